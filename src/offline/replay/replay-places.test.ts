// Captures that were taken where the given objects know nobody: that is said, once and first, instead of calling what is
// healthy dropped.
import t from "tap";
import { echoFrame, tcpFrame, udpFrame, vxlanFrame } from "../../testing/frames/frame-builder.ts";
import {
  CLIENT,
  NODE1,
  NODE2,
  offlineNode,
  podText,
  replay,
  SERVICE,
  WEB,
  words,
} from "../../testing/world/offline-replay.ts";
import type { ReplayFrame, ReplayOptions } from "./replay.ts";

const POD_MAC = "0a:58:0a:f4:01:07";
const GATEWAY_MAC = "0a:58:0a:f4:01:01";

/** A connection of a pod to the Service, as the pod sees it. */
function connection(pod: string, to = SERVICE): Uint8Array[] {
  const sent = { src: pod, dst: to, srcPort: 41000, dstPort: 80, srcMac: POD_MAC, dstMac: GATEWAY_MAC };
  const got = { src: to, dst: pod, srcPort: 80, dstPort: 41000, srcMac: GATEWAY_MAC, dstMac: POD_MAC };
  return [
    tcpFrame({ ...sent, flags: "S", seq: 100 }),
    tcpFrame({ ...got, flags: "S.", seq: 900, ack: 101 }),
    tcpFrame({ ...sent, flags: ".", seq: 101, ack: 901 }),
    tcpFrame({ ...sent, flags: "P.", seq: 101, ack: 901, payload: 18 }),
    tcpFrame({ ...got, flags: "P.", seq: 901, ack: 119, payload: 300 }),
  ];
}

async function told(frames: readonly (Uint8Array | ReplayFrame)[], options: ReplayOptions = {}) {
  const notices: string[] = [];
  const node = offlineNode();
  const replayed = await replay(node, frames, { ...options, tell: (notice) => notices.push(notice) });
  return { node, replayed, notices };
}

const between = (src: string, dst: string) => ({ src, dst, srcPort: 9, dstPort: 9 });
const tunnel = (from: string, to: string, inner: Uint8Array) =>
  vxlanFrame({ src: from, dst: to, dstPort: 8472, vni: 1, inner });

const ELSEWHERE: readonly { name: string; frames: Uint8Array[]; want: RegExp; note: RegExp }[] = [
  {
    name: "a pod of this node that the objects leave out",
    frames: connection("10.244.1.7"),
    want: /^the capture seems to be taken at 10\.244\.1\.7, which none of the given objects has: give its Pod with -f, or say --at$/,
    note: /^of 10\.244\.1\.7, which no given object has$/,
  },
  {
    name: "a pod of another cluster",
    frames: connection("10.1.2.3", "10.43.0.10"),
    want: /taken at 10\.1\.2\.3 or 10\.43\.0\.10, which none .*: give its Pod, or its Node with status\.addresses with -f/,
    note: /^of 10\.1\.2\.3 or 10\.43\.0\.10, which/,
  },
  {
    name: "a pod of another node",
    frames: connection(WEB, "192.168.50.100"),
    want: /^the capture seems to be taken at pod\/default\/web \(10\.244\.2\.2\): use --node node2$/,
    note: /^of pod\/default\/web \(10\.244\.2\.2\)$/,
  },
  {
    name: "another node's uplink",
    frames: [1, 2, 3].map((n) => udpFrame(between(NODE2, `192.168.50.10${n}`))),
    want: /^the capture seems to be taken at node node2 \(192\.168\.50\.12\): use --node node2$/,
    note: /^of node node2/,
  },
  {
    name: "the uplink of a node that the objects know by another address",
    frames: [3, 4, 5].map((n) =>
      tunnel("172.18.0.2", `172.18.0.${n}`, udpFrame(between("10.244.9.2", "10.244.8.2"))),
    ),
    want: /^the capture seems to be taken at 172\.18\.0\.2, which none .* or its Node with status\.addresses with -f/,
    note: /^of 172\.18\.0\.2, which no given object has$/,
  },
];

for (const { name, frames, want, note } of ELSEWHERE) {
  t.test(`taken at ${name}`, async (t) => {
    const { replayed, notices } = await told(frames);
    t.equal(notices.length, 1);
    t.match(notices[0] ?? "", want);
    t.same(new Set(words(replayed)), new Set(["not compared"]));
    for (const { notes } of replayed) t.match(notes, [note]);
  });
}

t.test(
  "a pod without an address in its object has the one that the capture shows, where --at says so",
  async (t) => {
    const at = offlineNode().ports.findIndex(({ info }) => info.pod === "default/client");
    for (const address of ["10.244.1.7", "172.30.4.4"]) {
      const node = offlineNode();
      const notices: string[] = [];
      const options = { at: node.ports[at], tell: (notice: string) => notices.push(notice) };
      const replayed = await replay(node, connection(address), options);
      t.same(words(replayed), ["forward", "as captured", "forward", "forward", "as captured"], address);
      t.same(notices, [`pod/default/client is taken to have ${address}, as the capture shows it`]);
    }
    const node = offlineNode();
    await replay(node, connection(CLIENT), { at: node.ports[at] });
    t.equal(node.ports[at].addresses.length, 1, "its own address is enough");
  },
);

t.test(
  "outside of the pods: what is of a pod that the objects leave out is not judged, the rest is",
  async (t) => {
    const macs = { srcMac: "0e:01:c0:a8:32:0c", dstMac: "0e:01:c0:a8:32:0b" };
    const frames = [
      tunnel(NODE1, NODE2, udpFrame(between("10.244.1.9", WEB))),
      tunnel(NODE2, NODE1, udpFrame({ ...between(WEB, "10.244.1.9"), ...macs })),
      tunnel(NODE2, NODE1, udpFrame({ ...between(WEB, CLIENT), ...macs })),
      tunnel(NODE1, NODE2, udpFrame(between(CLIENT, WEB))),
    ];
    const { replayed, notices } = await told(frames);
    t.same(words(replayed), ["not compared", "not compared", "forward", "as captured"]);
    t.same(notices, [
      "10.244.1.9 is a pod of node1, by its range, which none of the given objects has: give its Pod with -f",
    ]);
  },
);

t.test(
  "at one of two pods of the node that talk with nobody else: at that whose packets passed no router",
  async (t) => {
    const NEAR = "10.244.1.3";
    const asked = {
      src: CLIENT,
      dst: NEAR,
      srcPort: 41000,
      dstPort: 8080,
      srcMac: GATEWAY_MAC,
      dstMac: POD_MAC,
    };
    const answered = { src: NEAR, dst: CLIENT, srcPort: 8080, dstPort: 41000, srcMac: POD_MAC };
    const taken = (client: number, near: number): Uint8Array[] => [
      tcpFrame({ ...asked, flags: "S", seq: 100, ttl: client }),
      tcpFrame({ ...answered, flags: "S.", seq: 900, ack: 101, ttl: near }),
      tcpFrame({ ...asked, flags: ".", seq: 101, ack: 901, ttl: client }),
      tcpFrame({ ...answered, flags: "P.", seq: 901, ack: 101, payload: 300, ttl: near }),
    ];
    const placed = async (frames: readonly Uint8Array[]) => {
      const replayed = await replay(offlineNode({ more: [podText("near", "node1")] }), frames);
      return replayed.map(({ way, port }) => `${way} ${port.info.name}`);
    };
    t.same(
      await placed(taken(63, 64)),
      [1, 2].flatMap(() => ["out eth0 default/near", "in eth0 default/near"]),
    );
    t.same(
      await placed(taken(64, 127)),
      [1, 2].flatMap(() => ["in eth0 default/client", "out eth0 default/client"]),
    );
  },
);

t.test("a pod's veth as its node sees it: what comes in there, the pod sent", async (t) => {
  const list = connection(CLIENT).map((data, i): ReplayFrame => {
    const direction = [0, 2, 3].includes(i) ? "in" : "out";
    return { data, timestampNs: BigInt(i), group: "0/7", macs: "source", direction };
  });
  const want = ["forward", "as captured", "forward", "forward", "as captured"];
  t.same(words((await told(list)).replayed), want);
  const atPod = list.map(
    (frame): ReplayFrame => ({ ...frame, direction: frame.direction === "in" ? "out" : "in" }),
  );
  t.same(words((await told(atPod)).replayed), want);
});

t.test("a capture that is being made is replayed as it comes", { timeout: 20_000 }, async (t) => {
  const frames = connection(CLIENT);
  const seen: string[] = [];
  async function* live() {
    for (const [i, data] of frames.entries()) {
      if (i > 1) await new Promise((done) => setTimeout(done, 700));
      seen.push(`frame ${i}`);
      yield { data, timestampNs: BigInt(i) };
    }
  }
  const { replayFrames } = await import("./replay.ts");
  const all = [];
  for await (const one of replayFrames(offlineNode(), live(), { isLive: true })) {
    all.push(one);
    seen.push(`replayed ${all.length - 1}`);
  }
  t.same(words(all), ["forward", "as captured", "forward", "forward", "as captured"]);
  t.same(seen.indexOf("replayed 1") < seen.indexOf("frame 3"), true, seen.join());
  t.same(seen.slice(-2), ["frame 4", "replayed 4"]);
});

t.test("an interface that is first heard of late is learned as well", async (t) => {
  const early = Array.from({ length: 1100 }, (_, i) => ({
    data: echoFrame({ src: NODE1, dst: "192.168.50.100" }),
    timestampNs: BigInt(i),
    group: "1",
  }));
  const late = connection(CLIENT).map((data, i) => ({ data, timestampNs: BigInt(2000 + i), group: "2" }));
  const { replayed } = await told([...early, ...late]);
  t.same(words(replayed.slice(1100)), ["forward", "as captured", "forward", "forward", "as captured"]);
  t.same(new Set(replayed.slice(1100).map(({ port }) => port.info.pod)), new Set(["default/client"]));
});
