// What a look ahead guesses, and that a guess is never more than that. Whether all else stays the same asks
// src/testing/fuzz/fuzz-fast.ts, whose fast planes look ahead for every frame.
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import { uplinkMacOf, vtepMacOf } from "../../testing/world/test-cluster.ts";
import { pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { TUPLE_WORDS } from "../table/connection/tuple.ts";

const [POD2, POD3, REMOTE, PEER] = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "192.168.50.12"];

type Frame = (node: TestNode) => Uint8Array;
const udp: Frame = (node) => build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 20 });
const tcp: Frame = (node) => build.tcpFrame({ ...pathTo(node, POD2, POD3), flags: "S" });
const tunnelled: Frame = (node) => {
  const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), payload: 20 };
  return build.vxlanFrame({ ...pathTo(node, PEER, node.address), inner: build.udpFrame(inner) });
};

function looking(): TestNode {
  const node = new TestNode({ summed: true });
  Object.assign(node.tables.scratch.ahead, { fromConnections: 0, fromFrames: 1 });
  node.send("uplink", build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: node.address }));
  node.run();
  return node;
}

/** The first frame's connection, as it was guessed. */
function guessed(node: TestNode, port: string, frame: Uint8Array): number {
  node.send(port, frame);
  node.run();
  const { ahead } = node.tables.scratch;
  t.equal(ahead.count, 1);
  return ahead.refs[0];
}

for (const [name, port, frame] of [
  ["a datagram", "pod2", udp],
  ["a segment", "pod2", tcp],
  ["a packet in the tunnel", "uplink", tunnelled],
] as const) {
  t.test(
    `the connection of ${name} is guessed from its second packet on, by its hash and by its hint`,
    async (t) => {
      const node = looking();
      t.ok(guessed(node, port, frame(node)) < 0, "nothing is known yet");
      t.equal(guessed(node, port, frame(node)), 0);
      node.tables.conntrack.hintHash.fill(0);
      t.equal(guessed(node, port, frame(node)), 0);
    },
  );
}

t.test("an answer is guessed as one", async (t) => {
  const node = looking();
  guessed(node, "pod2", udp(node));
  const answer = build.udpFrame({ ...pathTo(node, POD3, POD2), srcPort: 80, dstPort: 41_000, payload: 20 });
  t.equal(guessed(node, "pod3", answer), conntrack.used(node.tables.conntrack) === 1 ? 1 : -1);
});

t.test("what has no ports where plain frames have them, and what is cut off, is nobody's", async (t) => {
  const node = looking();
  const whole = udp(node);
  const arp = build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: node.address });
  for (const frame of [whole.subarray(0, 37), whole.subarray(0, 14), arp])
    t.ok(guessed(node, "uplink", frame) < 0);
});

t.test("a wrong guess, and one at a connection that is gone, is not taken", async (t) => {
  const node = looking();
  node.send("pod2", udp(node));
  node.send("pod2", tcp(node));
  node.run();
  const ct = node.tables.conntrack;
  const [first, second] = [0, 2].map((ref) => {
    const key = new Int32Array(TUPLE_WORDS);
    conntrack.loadTuple(ct, ref, key);
    return key;
  });
  for (const wrong of [1, 2, 3]) {
    ct.guess = wrong;
    t.equal(conntrack.find(ct, first), 0);
  }
  ct.guess = 2;
  conntrack.remove(ct, 1);
  t.equal(conntrack.find(ct, second), -1);
});

t.test("few connections and few frames are found without", async (t) => {
  const node = new TestNode({ summed: true });
  for (let i = 0; i < 8; i++) node.send("pod2", udp(node));
  node.run();
  t.equal(node.tables.scratch.ahead.count, 0);
});
