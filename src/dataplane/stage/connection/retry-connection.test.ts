// Mode userspace on a whole node: what an endpoint that refuses, or says nothing, costs a client, and what stays behind.

import fc from "fast-check";
import t from "tap";
import { Protocol } from "../../../base/protocols.ts";
import { readTraceRecord } from "../../../kubeproxy/words/read-record.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { gateway6, makeDualStack, pathTo6, pod6 } from "../../../testing/world/dual-stack.ts";
import { vtepMacOf } from "../../../testing/world/test-cluster.ts";
import { pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode, type TestNodeOptions } from "../../../testing/world/test-node.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { TcpOption } from "../../table/connection/conntrack-tcp-window.ts";
import * as pending from "../../table/service/pending-connections.ts";
import { CaptureWord } from "../../trace/layout.ts";
import * as ring from "../../trace/record-ring.ts";
import { Mode } from "../../trace/watchers.ts";

const { UDP } = Protocol;

const [CLIENT, GATEWAY, VIP] = ["10.244.1.2", "10.244.1.1", "10.96.0.10"];
const PODS = [3, 4, 5, 6];
const SYN_SEQ = 1_000_000;
type Behaviour = "answer" | "refuse" | "silent" | "unreachable";

/** A node in mode userspace with a client, pod 2, and endpoints at pods 3 … 6. */
function userspaceNode(o: object = {}, options: TestNodeOptions = {}): TestNode {
  const node = new TestNode(options);
  for (const pod of PODS.slice(1)) node.addPod(pod);
  node.tables.config.proxy.userspace = 1;
  node.tables.config.proxy.retry = 1;
  serve(node, PODS, o);
  return node;
}

function serve(node: TestNode, pods: readonly number[], o: object = {}): void {
  const endpoints = pods.map((pod) => `10.244.1.${pod}:8080`);
  node.setService({ name: "default/web", clusterIp: VIP, endpoints, masqueradeAll: true, ...o });
}

const syn = (node: TestNode, srcPort = 41000): Uint8Array =>
  build.tcpFrame({ ...pathTo(node, CLIENT, VIP), srcPort, flags: "S", seq: SYN_SEQ });
const query = (node: TestNode, payload = 20): Uint8Array =>
  build.udpFrame({ ...pathTo(node, CLIENT, VIP), srcPort: 41000, dstPort: 53, payload });

/** What a pod does about a frame that it got; undefined: nothing. */
function reaction(node: TestNode, pod: number, frame: Uint8Array, how: Behaviour): Uint8Array | undefined {
  if (how === "silent") return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset);
  const back = pathTo(node, `10.244.1.${pod}`, GATEWAY);
  const [srcPort, dstPort] = [view.getUint16(36), view.getUint16(34)];
  if (how === "unreachable" || (how === "refuse" && view.getUint8(23) === UDP)) {
    const code = how === "unreachable" ? 1 : 3;
    return build.icmpErrorFrame({ ...back, type: 3, code, about: frame });
  }
  if (view.getUint8(23) === UDP) return build.udpFrame({ ...back, srcPort, dstPort, payload: "answer" });
  const ack = (view.getInt32(38) + 1) | 0;
  return build.tcpFrame({ ...back, srcPort, dstPort, ack, flags: how === "answer" ? "S." : "R." });
}

/** Lets pods react until nothing moves. Returns the pods that got something, in order. */
function play(node: TestNode, how: (pod: number) => Behaviour): number[] {
  const asked: number[] = [];
  for (let round = 0; round < 20; round++) {
    node.run();
    let moved = false;
    for (const pod of PODS) {
      for (const { frame } of node.received(`pod${pod}`)) {
        asked.push(pod);
        const answer = reaction(node, pod, frame, how(pod));
        if (answer !== undefined) node.send(`pod${pod}`, answer);
        moved = true;
      }
    }
    if (!moved) return asked;
  }
  throw new Error("it does not come to rest");
}

const flagsOf = (texts: string[]): string[] => texts.map((text) => /Flags \[(.*?)\]/.exec(text)?.[1] ?? text);

t.test("a refused connection goes to another endpoint; the client sees the answer alone", async (t) => {
  const node = userspaceNode();
  node.send("pod2", syn(node));
  let refused = 0;
  const asked = play(node, () => (refused++ < 2 ? "refuse" : "answer"));
  t.equal(asked.length, 3);
  const texts = node.texts("pod2");
  t.same(flagsOf(texts), ["S."]);
  t.match(texts[0], `IP ${VIP}.80 > ${CLIENT}.41000: Flags [S.]`);
  t.match(texts[0], `ack ${SYN_SEQ + 1}`);
  const port = `10.244.1.${asked[2]}:8080>${GATEWAY}`;
  t.match(node.connections(), [new RegExp(`^tcp SYN_RECV ${CLIENT}:41000>${VIP}:80 ${port}:\\d+$`)]);
  t.equal(pending.used(node.tables.pending), 0);
  t.match(node.events(), { CONNECTION_RETRIED: 2 });
  t.same(node.drops(), {});
});

t.test("silence is borne for 250 ms, 500 ms, 1 s and 2 s; then the client is refused", async (t) => {
  const node = userspaceNode();
  node.send("pod2", syn(node));
  const at: number[] = [];
  for (let ms = 0; ms <= 4000; ms += 50) {
    if (play(node, () => "silent").length > 0) at.push(ms);
    if (node.tables.counters.events[28] > 0) at.push(-ms);
    if ((at.at(-1) ?? 0) < 0) break;
    node.clock.advanceMs(50);
  }
  t.same(at, [0, 250, 750, 1750, -3750]);
  const texts = node.texts("pod2");
  t.same(flagsOf(texts), ["R."]);
  t.match(texts[0], `IP ${VIP}.80 > ${CLIENT}.41000: Flags [R.], seq 0, ack ${SYN_SEQ + 1}`);
  t.same(node.drops(), { SERVICE_BACKENDS_FAILED: 1 });
  t.same(node.connections(), []);
});

t.test("four refusals are one refusal to the client", async (t) => {
  for (const how of ["refuse", "unreachable"] as const) {
    const node = userspaceNode();
    node.send("pod2", syn(node));
    t.equal(play(node, () => how).length, 4);
    t.same(flagsOf(node.texts("pod2")), ["R."]);
    t.same(node.connections(), []);
    node.settle();
  }
});

t.test("an endpoint that cannot be reached is passed over without a word", async (t) => {
  const node = userspaceNode();
  serve(node, [7, 8, 3]); // no such pods as 7 and 8
  for (let i = 0; i < 20; i++) {
    node.send("pod2", syn(node, 42_000 + i));
    play(node, () => "answer");
    for (const text of node.texts("pod2")) t.match(text, /Flags \[(?:S\.|R\.)\]/);
  }
  t.ok(node.counters.drops[22] > 0);
  serve(node, [7]);
  node.send("pod2", syn(node, 43_000));
  node.run();
  t.same(flagsOf(node.texts("pod2")), ["R."]);
});

t.test(
  "a reset that does not acknowledge the SYN is no refusal, even when conntrack is liberal",
  async (t) => {
    for (const options of [TcpOption.LOOSE, TcpOption.LOOSE | TcpOption.BE_LIBERAL]) {
      for (const wrong of [SYN_SEQ, SYN_SEQ + 2]) {
        const node = userspaceNode();
        serve(node, [3]);
        node.tables.conntrack.header[conntrack.H_TCP_OPTIONS] = options;
        node.send("pod2", syn(node));
        node.run();
        const [{ frame }] = node.received("pod3");
        const dstPort = new DataView(frame.buffer, frame.byteOffset).getUint16(34);
        const back = { ...pathTo(node, "10.244.1.3", GATEWAY), srcPort: 8080, dstPort };
        node.send("pod3", build.tcpFrame({ ...back, ack: wrong, flags: "R." }));
        node.run();
        t.equal(node.events().CONNECTION_RETRIED, undefined);
        t.equal(pending.used(node.tables.pending), 1, "it goes on waiting");
      }
    }
  },
);

t.test("a slot that went to another connection does not make that one wait", async (t) => {
  const node = userspaceNode();
  node.send("pod2", syn(node));
  node.run();
  node.everything();
  conntrack.remove(node.tables.conntrack, 0); // as early drop would, without a word
  const direct = build.tcpFrame({ ...pathTo(node, CLIENT, "10.244.1.3"), srcPort: 5000, flags: "S", seq: 9 });
  t.equal(node.through("pod2", direct).port, "pod3");
  t.match(node.connections(), [/10\.244\.1\.2:5000>/]);
  const back = { ...pathTo(node, "10.244.1.3", CLIENT), srcPort: 80, dstPort: 5000 };
  const refusal = build.tcpFrame({ ...back, flags: "R.", ack: 10 });
  t.equal(node.through("pod3", refusal).port, "pod2", "its refusal is its own");
  t.equal(pending.used(node.tables.pending), 0);
  const other = userspaceNode();
  other.send("pod2", syn(other));
  other.run();
  other.everything();
  conntrack.remove(other.tables.conntrack, 0);
  other.through("pod2", direct);
  other.advanceMs(300, 300);
  t.same([pending.used(other.tables.pending), other.connections().length], [0, 1], "and time passes it by");
});

t.test("when the client's port is gone, nobody waits any more", async (t) => {
  const node = userspaceNode();
  node.send("pod2", syn(node));
  node.run();
  node.removePod(2);
  node.advanceMs(300, 300);
  t.same([pending.used(node.tables.pending), node.events().CONNECTION_RETRIED], [0, undefined]);
});

t.test("an ICMP error that quotes another segment is no refusal", async (t) => {
  const node = userspaceNode();
  serve(node, [3]);
  node.send("pod2", syn(node));
  node.run();
  const [{ frame }] = node.received("pod3");
  const about = frame.slice();
  about[41]++; // the sequence number's last byte
  const back = pathTo(node, "10.244.1.3", GATEWAY);
  const error = (quoted: Uint8Array, code: number): Uint8Array =>
    build.icmpErrorFrame({ ...back, type: 3, code, about: quoted });
  for (const other of [error(about, 3), error(frame, 4)]) node.send("pod3", other);
  node.run();
  t.equal(node.events().CONNECTION_RETRIED, undefined);
  node.send("pod3", error(frame, 3));
  node.run();
  t.equal(node.events().CONNECTION_RETRIED, 1);
});

t.test("affinity is forgotten when its endpoint fails, and follows the one that answered", async (t) => {
  const node = userspaceNode({ affinitySec: 100 });
  const connect = (port: number, how: (pod: number) => Behaviour): number[] => {
    node.send("pod2", syn(node, port));
    return play(node, how);
  };
  const [first] = connect(50_000, () => "answer");
  t.same(
    connect(50_001, () => "answer"),
    [first],
  );
  const asked = connect(50_002, (pod) => (pod === first ? "refuse" : "answer"));
  t.equal(asked[0], first);
  const last = asked.at(-1) as number;
  t.not(last, first);
  t.same(
    connect(50_003, () => "answer"),
    [last],
  );
});

t.test("datagrams that nobody takes go to another endpoint, all of them and in order", async (t) => {
  const node = userspaceNode({ protocol: UDP, port: 53 });
  node.send("pod2", query(node, 20));
  node.send("pod2", query(node, 30));
  let last = 0;
  let refused = 0;
  const asked = play(node, (pod) => {
    if (last === 0) last = pod;
    return pod === last && refused++ < 1 ? "refuse" : pod === last ? "silent" : "answer";
  });
  t.ok(node.events().CONNECTION_RETRIED >= 1);
  t.ok(asked.length >= 4, `${asked}`);
  t.notMatch(node.texts("pod2").join("\n"), /unreachable/);
  node.settle();
});

t.test("a datagram that nobody answers stays where it is; the fourth refusal is told", async (t) => {
  const node = userspaceNode({ protocol: UDP, port: 53 });
  node.send("pod2", query(node));
  t.equal(play(node, () => "silent").length, 1);
  node.advanceMs(5000, 250);
  t.equal(play(node, () => "silent").length, 0);
  t.equal(pending.used(node.tables.pending), 0);
  node.advanceMs(60_000, 1000);
  node.send("pod2", query(node));
  t.equal(play(node, () => "refuse").length, 4);
  t.match(node.texts("pod2"), [/udp port 53 unreachable/]);
});

t.test("without endpoints TCP is refused with a reset, and a datagram is not answered", async (t) => {
  const node = userspaceNode({ endpoints: [] });
  t.match(node.through("pod2", syn(node)).text, `IP ${VIP}.80 > ${CLIENT}.41000: Flags [R.]`);
  node.setService({ name: "dns", clusterIp: VIP, port: 53, protocol: UDP, endpoints: [] });
  node.send("pod2", query(node));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { SERVICE_NO_ENDPOINTS: 2 });
});

t.test("what cannot be held goes on without a second chance", async (t) => {
  const tables = { pending: new pending.PendingConnections(3, 1 << 14) };
  const node = userspaceNode({}, { tables });
  for (let i = 0; i < 12; i++) node.send("pod2", syn(node, 42_000 + i));
  t.equal(play(node, () => "refuse").length, 8 * 4 + 4);
  t.equal(node.events().RETRY_NOT_HELD, 4);
  t.equal(flagsOf(node.texts("pod2")).filter((flags) => flags === "R.").length, 12);
  node.settle();
});

t.test("other modes hold nothing", async (t) => {
  const node = userspaceNode();
  node.tables.config.proxy.userspace = 0;
  node.tables.config.proxy.retry = 0;
  node.send("pod2", syn(node));
  t.equal(play(node, () => "refuse").length, 1);
  t.same(flagsOf(node.texts("pod2")), ["R."]);
  t.equal(node.events().CONNECTION_RETRIED, undefined);
});

t.test("the client may be the node itself, or come through the tunnel", async (t) => {
  const node = userspaceNode({ nodePort: 30080 });
  node.send("host", build.tcpFrame({ ...pathTo(node, node.address, VIP), flags: "S", seq: SYN_SEQ }));
  play(node, () => "refuse");
  t.match(node.texts("host"), [`IP ${VIP}.80 > ${node.address}.41000: Flags [R.]`]);
  const path = { src: "10.244.2.2", dst: node.vtep, srcMac: vtepMacOf(2), dstMac: node.vtepMac };
  const inner = build.tcpFrame({ ...path, dstPort: 30080, flags: "S", seq: SYN_SEQ });
  const outer = pathTo(node, "192.168.50.12", node.address);
  node.send("uplink", build.vxlanFrame({ ...outer, inner }));
  let asked = 0;
  play(node, () => (asked++ === 0 ? "refuse" : "answer"));
  t.equal(asked, 2);
  t.match(
    node.connections().join("\n"),
    /tcp SYN_RECV 10\.244\.2\.2:41000>10\.244\.1\.0:30080 10\.244\.1\.\d:8080>/,
  );
});

t.test("a trace tells each attempt, a capture shows what left and not what was held", async (t) => {
  const node = userspaceNode();
  const rings = [Mode.TRACE, Mode.CAPTURE].map((mode, i) => watchNode(node, mode, i));
  node.send("pod2", syn(node));
  let asked = 0;
  play(node, () => (asked++ === 0 ? "refuse" : "answer"));
  const steps = [...records(rings[0])].map((at) => readTraceRecord(rings[0], at, "node1", NAMES));
  const retries = steps.filter(({ stage }) => stage === "retry-connection");
  t.same(
    retries.map(({ verdict, attempt, failure }) => [verdict, attempt, failure]),
    [
      ["consumed", undefined, undefined],
      ["next", 2, "refused"],
    ],
  );
  const again = steps.filter(({ packet }) => packet === retries[1].packet).map(({ stage }) => stage);
  t.same(again.slice(0, 3), ["retry-connection", "parse", "classify"]);
  t.equal(again.at(-1), "output");
  const directions = [...records(rings[1])].map((at) => rings[1].words[(at >> 2) + CaptureWord.DIRECTION]);
  // In: SYN, RST, SYN+ACK. Out: SYN, SYN, SYN+ACK.
  t.same([directions.filter((d) => d === 0).length, directions.filter((d) => d === 1).length], [3, 3]);
});

const NAMES = { mode: "userspace", port: String, service: String };

function watchNode(node: TestNode, mode: number, index: number): ring.RecordRing {
  const { watchers } = node.tables;
  const memory = new ring.RecordRing(16);
  Object.assign(watchers.list[index], { mode, remaining: -1, snapLen: 65_536, ring: memory });
  watchers.active = 2;
  return memory;
}

function* records(r: ring.RecordRing): Generator<number> {
  for (let at = ring.peek(r); at >= 0; at = ring.peek(r)) {
    yield at;
    ring.consume(r, at);
  }
}

t.test("IPv6 is no different", async (t) => {
  const node = makeDualStack(new TestNode());
  node.tables.config.proxy.userspace = 1;
  node.tables.config.proxy.retry = 1;
  const endpoints = [`[${pod6(1, 3)}]:8080`];
  const vip = "fd00:10:96::10";
  node.setService({ name: "six", clusterIp: vip, endpoints, masqueradeAll: true });
  node.send("pod2", build.tcpFrame({ ...pathTo6(node, pod6(1, 2), vip), flags: "S", seq: SYN_SEQ }));
  const seen: string[] = [];
  for (let round = 0; round < 6; round++) {
    node.run();
    for (const { frame, text } of node.received("pod3")) {
      seen.push(text);
      const view = new DataView(frame.buffer, frame.byteOffset);
      const dstPort = view.getUint16(54);
      const back = { ...pathTo6(node, pod6(1, 3), gateway6(1)), srcPort: 8080, dstPort };
      const error = build.icmpErrorFrame({ ...back, type: 1, code: 4, about: frame });
      const refusal = build.tcpFrame({ ...back, flags: "R.", ack: SYN_SEQ + 1 });
      node.send("pod3", seen.length % 2 === 1 ? error : refusal);
    }
  }
  t.equal(seen.length, 4);
  t.match(node.texts("pod2"), [`IP6 ${vip}.80 > ${pod6(1, 2)}.41000: Flags [R.], seq 0, ack ${SYN_SEQ + 1}`]);
  t.same(node.drops(), { SERVICE_BACKENDS_FAILED: 1 });
});

const BEHAVIOURS: readonly Behaviour[] = ["answer", "refuse", "silent", "unreachable"];
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("connect" as const), port: fc.nat(5) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("react" as const), n: fc.nat(7), how: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(2200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("client" as const), port: fc.nat(5), n: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), n: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("serve" as const), n: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("datagram" as const), port: fc.nat(3) }) },
);

t.test("whatever comes in whatever order, nothing leaks", async () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const few = new pending.PendingConnections(3, 1 << 14);
      const node = userspaceNode({}, { poolSlots: 24, tables: { pending: few } });
      node.setService({ name: "dns", clusterIp: VIP, port: 53, protocol: UDP, endpoints: ["10.244.1.3:53"] });
      const seen: { pod: number; frame: Uint8Array }[] = [];
      for (const one of steps) {
        act(node, one, seen);
        node.run(); // checks slots and tables
        for (const pod of PODS) for (const { frame } of node.received(`pod${pod}`)) seen.push({ pod, frame });
      }
      node.advanceMs(200_000, 10_000);
      const { pending: held, pool } = node.tables;
      if (pending.used(held) !== 0 || pool.count !== node.poolSlots) return false;
      // An ACK out of nowhere is a connection, too, and lives longer.
      return node.connections().every((text) => text.includes("ESTABLISHED"));
    }),
    { numRuns: 200, seed: 7 },
  );
});

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function act(node: TestNode, one: Step, seen: { pod: number; frame: Uint8Array }[]): void {
  const path = pathTo(node, CLIENT, VIP);
  if (one.do === "connect") node.send("pod2", syn(node, 41_000 + one.port));
  else if (one.do === "wait") node.clock.advanceMs(one.ms);
  else if (one.do === "serve") serve(node, PODS.slice(0, one.n));
  else if (one.do === "client") {
    const srcPort = 41_000 + one.port;
    node.send("pod2", build.tcpFrame({ ...path, srcPort, flags: ["R", "S", "."][one.n], seq: SYN_SEQ + 1 }));
  } else if (one.do === "datagram") {
    node.send("pod2", build.udpFrame({ ...path, srcPort: 43_000 + one.port, dstPort: 53, payload: 9 }));
  } else if (one.do === "react") {
    const to = seen.at(-1 - (one.n % Math.max(1, seen.length)));
    const frame = to === undefined ? undefined : reaction(node, to.pod, to.frame, BEHAVIOURS[one.how]);
    if (to !== undefined && frame !== undefined) node.send(`pod${to.pod}`, frame);
  } else {
    const ct = node.tables.conntrack;
    if (one.n < conntrack.highWater(ct) && ct.status[one.n << 4] !== 0) conntrack.remove(ct, one.n);
  }
}
