// The plane as a whole: lives of connections over two nodes with offloads on, the stages a packet goes
// through, and that no frame disappears without a word. Single stages have tests of their own beside them.
import fc from "fast-check";
import t from "tap";
import { concat } from "../testing/frames/bytes.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { partialFrame, superframe, tcpPayload } from "../testing/frames/virtio-frames.ts";
import { overlaySamples } from "../testing/fuzz/fuzz-overlay.ts";
import { CLIENT, pathTo, TestFabric } from "../testing/world/test-fabric.ts";
import { type Received, TestNode, type TestNodeOptions } from "../testing/world/test-node.ts";
import { traceNode } from "../testing/world/trace-node.ts";
import { PortCounter, portCounter } from "./counters.ts";
import { DROP_REASON_TEXT, DROP_REASONS, DropReason } from "./drop-reason.ts";
import { used } from "./table/connection/conntrack.ts";

const POD = "10.244.1.2";
const NEIGHBOR = "10.244.1.3";
const REMOTE = "10.244.2.2";
const VIP = "10.96.0.10";
const WEB = { name: "web", clusterIp: VIP, nodePort: 30080, endpoints: [`${REMOTE}:8080`] };

/** A client behind `port` of node one, from where it sends to the service. */
interface Life {
  readonly title: string;
  readonly client: string;
  readonly port: string;
  readonly vip: string;
  readonly vipPort: number;
  /** Whom the endpoint sees. */
  readonly seenAs: RegExp;
}

const lives: Life[] = [
  { title: "a pod", client: POD, port: "pod2", vip: VIP, vipPort: 80, seenAs: /^10\.244\.1\.2$/ },
  {
    ...{ title: "the node's own stack", client: "192.168.50.11", port: "host", vip: VIP, vipPort: 80 },
    seenAs: /^10\.244\.1\.0$/,
  },
  {
    ...{ title: "an outside client", client: CLIENT, port: "uplink", vip: "192.168.50.11", vipPort: 30080 },
    seenAs: /^10\.244\.1\.0$/,
  },
];

const fabrics: { name: string; options: TestNodeOptions; plainSeen?: RegExp }[] = [
  { name: "over VXLAN", options: {} },
  { name: "without overlay", options: { vxlan: false }, plainSeen: /^192\.168\.50\.11$/ },
];

/** "IP a.b.c.d.port > …" → address and port. */
function source(text: string | undefined): { address: string; port: number } {
  const match = /^IP (\d+\.\d+\.\d+\.\d+)\.(\d+) > /.exec(text ?? "");
  if (match === null) throw new Error(`no source in ${text}`);
  return { address: match[1], port: Number(match[2]) };
}

for (const { name, options, plainSeen } of fabrics) {
  for (const { title, client, port, vip, vipPort, seenAs } of lives) {
    t.test(
      `${title} uploads 100 KB to a service on another node ${name}, and every byte arrives`,
      async (t) => {
        const fabric = new TestFabric(options);
        const [one, two] = fabric.nodes;
        for (const node of fabric.nodes) node.setService(WEB);
        const path = { ...pathTo(one, client, vip), srcPort: 41000, dstPort: vipPort };
        const send = (frame: Uint8Array, virtio?: Uint8Array): void => {
          if (port === "uplink") fabric.send(frame, virtio);
          else one.send(port, frame, virtio);
          fabric.run();
        };
        const arrived = (): Received[] => two.received("pod2");
        send(build.tcpFrame({ ...path, flags: "S", mss: 1410 }));
        const seen = source(arrived()[0]?.text);
        t.match(seen.address, client === POD || plainSeen === undefined ? seenAs : plainSeen);
        const back = { ...pathTo(two, REMOTE, seen.address), srcPort: 8080, dstPort: seen.port };
        const { frame: synAck, virtio } = partialFrame(build.tcpFrame({ ...back, flags: "S.", mss: 1410 }));
        two.send("pod2", synAck, virtio);
        fabric.run();
        const answer = port === "uplink" ? fabric.client.got.at(-1) : one.received(port).at(-1);
        t.same(source(answer?.text), { address: vip, port: vipPort });
        const sent: Uint8Array[] = [];
        for (let i = 0; i < 2; i++) {
          const plain = build.tcpFrame({ ...path, flags: "P.", seq: 50_000 * i, payload: 50_000 });
          sent.push(tcpPayload(plain));
          const { frame, virtio } = superframe(plain, 1398);
          send(frame, virtio);
        }
        const got = concat(...arrived().map((r) => tcpPayload(r.frame)));
        t.ok(Buffer.from(got).equals(concat(...sent)));
        send(build.tcpFrame({ ...path, flags: "F." }));
        two.send("pod2", build.tcpFrame({ ...back, flags: "F." }));
        fabric.run();
        send(build.tcpFrame({ ...path, flags: "." }));
        for (const node of fabric.nodes)
          t.match(
            node.connections().filter((c) => c.startsWith("tcp")),
            [/^tcp TIME_WAIT/],
          );
        for (const node of fabric.nodes) t.same(node.drops(), {});
        fabric.settle();
      },
    );
  }
}

/** Stages and verdicts of the packets that went through since tracing began. */
function traced(node: TestNode, run: () => void): string[] {
  const take = traceNode(node);
  run();
  node.tables.watchers.active = 0;
  return take().map(({ stage, verdict }) => `${stage} ${verdict}`);
}

t.test(
  "a new connection to a service goes through every stage, a known one only through its lookup",
  async (t) => {
    const node = new TestNode();
    node.setService({ ...WEB, endpoints: [`${NEIGHBOR}:8080`] });
    const syn = build.tcpFrame({ ...pathTo(node, POD, VIP), flags: "S" });
    const first = traced(node, () => node.through("pod2", syn));
    const known = ["parse next", "classify next", "track-connection next"];
    t.same(first, [
      ...known,
      "choose-backend next",
      "route next",
      "enforce-policy next",
      "masquerade next",
      "enter-connection next",
      "translate next",
      "output forward",
    ]);
    const again = traced(node, () => node.through("pod2", syn));
    t.same(again, [...known, "route next", "enforce-policy next", "translate next", "output forward"]);
  },
);

t.test(
  "a packet out of the tunnel is traced outside and inside, a refused one with the error it caused",
  async (t) => {
    const node = new TestNode({ index: 2 });
    const inner = build.udpFrame({
      src: POD,
      dst: REMOTE,
      dstMac: node.vtepMac,
      srcMac: "0e:01:c0:a8:32:0b",
    });
    const outer = build.vxlanFrame({ ...pathTo(node, "192.168.50.11", node.address), inner });
    const stages = traced(node, () => node.through("uplink", outer));
    t.same(stages.slice(0, 3), ["parse next", "classify next", "decapsulate next"]);
    t.same(stages.slice(3, 6), ["parse next", "classify next", "track-connection next"]);
    t.same(stages.slice(-2), ["output forward", "decapsulate consumed"]);
    const refused = traced(node, () => {
      node.through("pod2", build.udpFrame(pathTo(node, REMOTE, "8.8.8.8")));
    });
    t.same(refused.slice(-2), ["route drop", "send-icmp-error forward"]);
  },
);

t.test("of what few connections have, others touch no memory", async (t) => {
  const node = new TestNode({});
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${NEIGHBOR}:53`] });
  for (let srcPort = 1024; srcPort < 1124; srcPort++) {
    node.through("pod2", build.udpFrame({ ...pathTo(node, POD, VIP), srcPort, dstPort: 53 }));
    node.through("pod3", build.udpFrame({ ...pathTo(node, NEIGHBOR, POD), srcPort: 53, dstPort: srcPort }));
  }
  node.through("pod2", build.echoFrame({ ...pathTo(node, POD, NEIGHBOR) }));
  const { conntrack: ct, connectionRules } = node.tables;
  t.equal(used(ct), 101);
  for (const column of [ct.track, ct.wide, ct.via, connectionRules.words])
    t.ok(column.every((word) => word === 0));
});

t.test("every drop reason has a text of its own", async (t) => {
  const codes = Object.values(DropReason);
  t.same(
    [...codes].sort((a, b) => a - b),
    Array.from({ length: DROP_REASONS }, (_, i) => i),
  );
  t.equal(DROP_REASON_TEXT.length, DROP_REASONS);
  t.equal(new Set(DROP_REASON_TEXT).size, DROP_REASONS);
});

const stations = ["pod2", "pod3", "host"] as const;
const addresses = [
  POD,
  NEIGHBOR,
  REMOTE,
  VIP,
  "192.168.50.11",
  "10.244.1.1",
  "10.244.1.99",
  CLIENT,
  "8.8.8.8",
];
const packet = fc.record({
  from: fc.integer({ min: 0, max: 2 }),
  to: fc.constantFrom(...addresses),
  kind: fc.constantFrom("syn", "ack", "fin", "udp", "ping", "large"),
  port: fc.integer({ min: 1, max: 3 }),
  waitMs: fc.constantFrom(0, 0, 0, 500, 20_000),
});

t.test(
  "whatever good packets are sent, each leads to a frame, a queue or a counter, and no slot is lost",
  async () => {
    fc.assert(
      fc.property(fc.array(packet, { minLength: 1, maxLength: 40 }), (list) => {
        const node = new TestNode({ poolSlots: 24 });
        node.setService({ ...WEB, endpoints: [`${NEIGHBOR}:8080`, `${REMOTE}:8080`] });
        for (const { from, to, kind, port, waitMs } of list) {
          node.clock.advanceMs(waitMs);
          const src = [POD, NEIGHBOR, node.address][from];
          const path = { ...pathTo(node, src, to), srcPort: port };
          const before = spoken(node);
          if (kind === "udp") node.send(stations[from], build.udpFrame({ ...path, payload: port }));
          else if (kind === "large") node.send(stations[from], build.udpFrame({ ...path, payload: 1440 }));
          else if (kind === "ping") node.send(stations[from], build.echoFrame({ ...path, echoId: port }));
          else
            node.send(
              stations[from],
              build.tcpFrame({ ...path, flags: { syn: "S", ack: ".", fin: "F." }[kind] }),
            );
          node.run();
          if (spoken(node) === before) throw new Error(`${kind} from ${src} to ${to} vanished`);
          node.everything();
        }
        node.settle();
      }),
      { numRuns: 60 },
    );
  },
);

/** Frames sent, drops and packets put aside: something of it must grow with every frame. */
function spoken(node: TestNode): number {
  const c = node.counters;
  let sum = c.drops.reduce((a, b) => a + b, 0) + c.events.reduce((a, b) => a + b, 0);
  for (const { id } of node.ports.values()) sum += portCounter(c, id, PortCounter.TX_PACKETS);
  return sum - c.events[1]; // RX_BATCHES grows with any frame
}

t.test("a batch makes of its frames what they would have become one by one", async () => {
  const samples = overlaySamples();
  const choice = fc.array(fc.nat({ max: samples.length - 1 }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(choice, fc.constantFrom("pod2", "pod3", "host", "uplink"), (list, port) => {
      const [whole, single] = [0, 1].map(() => {
        const fabric = new TestFabric({ unchecked: true, poolSlots: 64 });
        const [node] = fabric.nodes;
        node.setService({ ...WEB, endpoints: [`${NEIGHBOR}:8080`, `${REMOTE}:8080`] });
        node.send("pod2", build.udpFrame(pathTo(node, POD, REMOTE))); // the nodes get to know each other
        fabric.run();
        node.everything();
        return node;
      });
      for (const i of list) whole.send(port, samples[i]);
      whole.run();
      for (const i of list) {
        single.send(port, samples[i]);
        single.run();
      }
      const texts = (node: TestNode): string[] =>
        [...node.ports.keys()].flatMap((name) =>
          node.received(name).map(({ frame, virtio }) => `${name} ${virtio} ${frame}`),
        );
      const [a, b] = [texts(whole), texts(single)];
      if (`${a}` !== `${b}`) throw new Error(`${a.length} frames, one by one ${b.length}`);
    }),
    { numRuns: 40 },
  );
});
