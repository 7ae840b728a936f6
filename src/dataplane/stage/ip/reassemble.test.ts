// Fragments: joined so that NAT sees ports, cut again on the way out. Stages reassemble and output.
import fc from "fast-check";
import t from "tap";
import { viewOf } from "../../../testing/frames/bytes.ts";
import { fragmentOf, fragmentsOf, joinFragments } from "../../../testing/frames/fragment-frames.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../../testing/frames/frame-checker.ts";
import { partialFrame } from "../../../testing/frames/virtio-frames.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode, type TestNodeOptions } from "../../../testing/world/test-node.ts";
import { traceNode } from "../../../testing/world/trace-node.ts";
import * as fragments from "../../table/fragments.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const VIP = "10.96.0.10";
const L3 = 14;
const DNS = {
  name: "dns",
  clusterIp: VIP,
  nodePort: 30053,
  port: 53,
  protocol: 17,
  endpoints: [`${POD3}:5353`],
};

function serving(o: TestNodeOptions = {}): TestNode {
  const node = new TestNode(o);
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  node.setService(DNS);
  return node;
}

interface Cut {
  readonly payload: number;
  readonly dontFragment?: boolean;
  readonly id?: number;
  readonly ipOptions?: Uint8Array;
}

const query = (node: TestNode, o: Cut): Uint8Array =>
  build.udpFrame({ dontFragment: false, id: 7, ...pathTo(node, POD2, VIP), ...o });
const ipLen = (frame: Uint8Array): number => viewOf(frame).getUint16(L3 + 2);
const flagsOf = (frame: Uint8Array): number => viewOf(frame).getUint16(L3 + 6) >> 13;

/** Sends fragments in this order and joins what comes out of `port`. */
function joined(node: TestNode, pieces: readonly Uint8Array[], port: string): Uint8Array {
  for (const piece of pieces) node.send("pod2", piece);
  node.run();
  const out = node.received(port).map((r) => r.frame);
  if (out.length === 0) throw new Error(`nothing at ${port}: ${JSON.stringify(node.drops())}`);
  const datagram = joinFragments(out);
  const problems = checkFrame(datagram);
  if (problems.length > 0) throw new Error(problems.join("; "));
  return datagram;
}

t.test("a datagram in fragments is translated by its ports and leaves in fragments", async (t) => {
  const node = serving();
  const datagram = query(node, { payload: 4000 });
  for (const piece of fragmentsOf(datagram, 1400)) node.send("pod2", piece);
  node.run();
  const out = node.received("pod3").map((r) => r.frame);
  t.equal(out.length, 3);
  t.ok(
    out.every((frame) => ipLen(frame) <= 1420),
    "no larger than it came",
  );
  const whole = joinFragments(out);
  t.same(checkFrame(whole), []);
  t.same(whole.subarray(L3 + 28), datagram.subarray(L3 + 28));
  t.equal(viewOf(whole).getUint16(L3 + 22), 5353);
  t.match(node.events(), { REASSEMBLED: 1, FRAGMENTED: 1 });
  t.equal(node.connections().length, 1);
  node.settle();
});

t.test("the answer's fragments are translated back", async (t) => {
  const node = serving();
  node.through("pod2", query(node, { payload: 5 }));
  const answer = build.udpFrame({
    ...pathTo(node, POD3, POD2),
    srcPort: 5353,
    dstPort: 41000,
    dontFragment: false,
    payload: 3000,
  });
  for (const piece of fragmentsOf(answer, 1480)) node.send("pod3", piece);
  node.run();
  const whole = joinFragments(node.received("pod2").map((r) => r.frame));
  t.same(checkFrame(whole), []);
  t.equal(viewOf(whole).getUint16(L3 + 20), 53);
  t.match(node.connections()[0], "udp");
});

t.test("fragments in any order, some of them twice, make the same datagram", async () => {
  const order = fc.array(fc.nat({ max: 1000 }), { minLength: 12, maxLength: 24 });
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 11 }), (shuffle, size) => {
      const node = serving({ poolSlots: 24 });
      const datagram = query(node, { payload: 700 });
      const pieces = fragmentsOf(datagram, 8 * size);
      const ranked = pieces.map((piece, i) => ({ piece, rank: shuffle[i % shuffle.length] + i / 1000 }));
      ranked.sort((a, b) => a.rank - b.rank);
      const sent = ranked.map(({ piece }) => piece);
      // The last to come completes the datagram: what is sent twice comes before.
      const twice = sent.length > 1 ? [sent[0], ...sent] : sent;
      const whole = joined(node, twice, "pod3");
      return Buffer.from(whole.subarray(L3 + 28)).equals(datagram.subarray(L3 + 28));
    }),
    { numRuns: 60 },
  );
});

t.test("small fragments are not joined into packets larger than they came", async (t) => {
  const node = serving();
  for (const piece of fragmentsOf(query(node, { payload: 600 }), 200)) node.send("pod2", piece);
  node.run();
  t.same(
    node.received("pod3").map((r) => ipLen(r.frame)),
    [220, 220, 220, 28],
  );
});

t.test("fragments of bridged packets are cut as they came, without a hop", async (t) => {
  const node = serving();
  const datagram = build.udpFrame({
    ...pathTo(node, POD2, POD3),
    dontFragment: false,
    id: 3,
    ttl: 9,
    payload: 3000,
  });
  const pieces = fragmentsOf(datagram, 1424);
  for (const piece of pieces) node.send("pod2", piece);
  node.run();
  const out = node.received("pod3").map((r) => r.frame);
  t.same(out, pieces);
});

t.test("fragments for a bridged station nobody has seen are flooded", async (t) => {
  const node = serving();
  node.addPod(4);
  const path = { ...pathTo(node, POD2, "10.244.1.9"), dstMac: "02:aa:00:00:00:01" };
  const take = traceNode(node);
  for (const piece of fragmentsOf(build.udpFrame({ ...path, dontFragment: false, payload: 200 }), 104)) {
    node.send("pod2", piece);
  }
  node.run();
  t.match(take().at(-1), { stage: "output", verdict: "flood" });
  t.equal(node.received("pod3").length, 2);
  t.equal(node.received("pod4").length, 2);
  node.settle();
});

t.test("a datagram cut with DF stays cut, with DF on every piece", async (t) => {
  const node = serving();
  for (const piece of fragmentsOf(query(node, { payload: 3000, dontFragment: true }), 1200))
    node.send("pod2", piece);
  node.run();
  const out = node.received("pod3").map((r) => r.frame);
  t.same(out.map(flagsOf), [3, 3, 2]);
  t.same(out.map(ipLen), [1220, 1220, 628]);
});

t.test("options that may not be copied stay with the first fragment", async (t) => {
  const node = serving();
  const ipOptions = Uint8Array.from([7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 0]); // record route, router alert
  const datagram = query(node, { payload: 3000, ipOptions });
  for (const piece of fragmentsOf(datagram, 1400)) node.send("pod2", piece);
  node.run();
  const out = node.received("pod3").map((r) => r.frame);
  t.equal(out.length, 3);
  const recorded = out[0].subarray(L3 + 24, L3 + 27); // NAT took the datagram off the bridge: it was routed
  t.same([...out[0].subarray(L3 + 20, L3 + 32)], [7, 7, 8, 10, ...recorded, 0x94, 4, 0, 0, 0]);
  for (const frame of out.slice(1)) {
    t.same([...frame.subarray(L3 + 20, L3 + 32)], [1, 1, 1, 1, 1, 1, 1, 0x94, 4, 0, 0, 0]);
  }
});

t.test("a packet too long for the next link is cut there when it may be", async (t) => {
  const node = serving();
  const sent = build.udpFrame({ ...pathTo(node, "203.0.113.9", POD2), dontFragment: false, payload: 1472 });
  node.send("uplink", sent);
  node.run();
  const out = node.received("pod2").map((r) => r.frame);
  t.same(out.map(ipLen), [1444, 76]);
  t.same(checkFrame(joinFragments(out)), []);
});

t.test("a partial checksum is completed before a datagram is cut", async (t) => {
  const node = serving();
  const { frame, virtio } = partialFrame(
    build.udpFrame({ ...pathTo(node, "203.0.113.9", POD2), dontFragment: false, payload: 1472 }),
  );
  node.send("uplink", frame, virtio);
  node.run();
  const out = node.received("pod2");
  t.same(
    out.map((r) => r.virtio[0]),
    [0, 0],
  );
  t.same(checkFrame(joinFragments(out.map((r) => r.frame))), []);
});

t.test("a UDP echo of 60,000 bytes crosses in fragments and comes back", async (t) => {
  const node = serving({ poolSlots: 64 });
  const datagram = query(node, { payload: 60_000 });
  const whole = joined(node, fragmentsOf(datagram, 1424), "pod3");
  t.ok(Buffer.from(whole.subarray(L3 + 28)).equals(datagram.subarray(L3 + 28)));
  node.settle();
});

t.test("a ping of 8,000 bytes in fragments keeps its id through masquerade", async (t) => {
  const node = serving();
  const ping = build.echoFrame({
    ...pathTo(node, POD2, CLIENT),
    dontFragment: false,
    echoId: 12,
    payload: 8000,
  });
  for (const piece of fragmentsOf(ping, 1424)) node.send("pod2", piece);
  node.run();
  const out = joinFragments(node.received("uplink").map((r) => r.frame));
  t.same(checkFrame(out), []);
  t.match(node.connections()[0], /icmp 10\.244\.1\.2>192\.168\.50\.100\(8\/0 id 12\)/);
});

t.test("fragments that overlap give the datagram up", async (t) => {
  const node = serving();
  const datagram = query(node, { payload: 200 });
  node.send("pod2", fragmentOf(datagram, 0, 64, true));
  node.send("pod2", fragmentOf(datagram, 56, 120, true));
  node.send("pod2", fragmentOf(datagram, 120, 208, false));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { FRAGMENT_OVERLAP: 1 });
  t.equal(fragments.used(node.tables.fragments), 1, "the last one opened a queue of its own");
  node.settle();
});

t.test("a fragment of an impossible length is dropped alone", async (t) => {
  const node = serving();
  const datagram = query(node, { payload: 200 });
  node.send("pod2", fragmentOf(datagram, 0, 61, true));
  node.run();
  t.same(node.takeDrops(), { FRAGMENT_BAD_LENGTH: 1 });
  const far = fragmentOf(datagram, 0, 104, false);
  viewOf(far).setUint16(L3 + 6, 0x1fff);
  node.send("pod2", fixed(far));
  node.run();
  t.same(node.takeDrops(), { FRAGMENT_TOO_BIG: 1 });
  node.settle();
});

t.test(
  "a datagram whose fragments do not all come is forgotten after 30 s, and its sender told",
  async (t) => {
    const node = serving();
    node.send("pod2", fragmentOf(query(node, { payload: 200 }), 0, 64, true));
    node.run();
    node.advanceMs(29_000, 1000);
    t.equal(fragments.used(node.tables.fragments), 1);
    node.advanceMs(2000, 500);
    t.equal(fragments.used(node.tables.fragments), 0);
    t.same(node.drops(), { FRAGMENT_TIMEOUT: 1 });
    const [told, ...more] = node.everything();
    t.equal(told.port, "pod2");
    t.match(told.text, "ip reassembly time exceeded");
    t.same(more, []);
  },
);

t.test("fragments of datagrams that differ in id, protocol or address are kept apart", async (t) => {
  const node = serving();
  const parts = [1, 2, 3].map((id) => fragmentsOf(query(node, { payload: 100 + id, id }), 72));
  for (const i of [0, 1]) for (const pieces of parts) node.send("pod2", pieces[i]);
  node.run();
  t.equal(node.received("pod3").length, 6);
  node.settle();
});

t.test("many unfinished datagrams push out the oldest, never the packet slots of others", async (t) => {
  const node = serving({ poolSlots: 16 });
  for (let id = 0; id < 200; id++)
    node.send("pod2", fragmentOf(query(node, { payload: 200, id }), 0, 64, true));
  node.run();
  const drops = node.takeDrops();
  t.equal(drops.FRAGMENT_QUEUE_FULL, 200 - fragments.used(node.tables.fragments));
  t.equal(node.through("pod2", query(node, { payload: 5, id: 999 })).port, "pod3");
  const whole = joined(node, fragmentsOf(query(node, { payload: 300, id: 1000 }), 160), "pod3");
  t.same(checkFrame(whole), []);
  node.settle();
});

t.test(
  "without a free slot a datagram that must be cut is dropped and counted, and leaks nothing",
  async (t) => {
    const node = serving({ poolSlots: 2 });
    node.tables.pool.count = 0;
    node.send(
      "uplink",
      build.udpFrame({ ...pathTo(node, "203.0.113.9", POD2), dontFragment: false, payload: 1472 }),
    );
    t.throws(() => node.run(), /2 packet slots are lost/);
    node.tables.pool.count = 2;
    t.same(node.drops(), { NO_SLOT: 1 });
  },
);

t.test("a datagram that is cut into more pieces than there are slots still leaves whole", async (t) => {
  const node = serving({ poolSlots: 4 });
  const datagram = build.udpFrame({ ...pathTo(node, POD2, POD3), dontFragment: false, payload: 12_000 });
  const whole = joined(node, fragmentsOf(datagram, 1424), "pod3");
  t.ok(Buffer.from(whole).equals(datagram));
  node.settle();
});

t.test("the ECN marks of fragments are joined: one congested piece marks the datagram", async (t) => {
  const node = serving();
  const pieces = fragmentsOf(
    build.udpFrame({ ...pathTo(node, POD2, POD3), dontFragment: false, tos: 2, payload: 3000 }),
    1200,
  );
  pieces[1][L3 + 1] = 3;
  node.send("pod2", pieces[0]);
  node.send("pod2", fixed(pieces[1]));
  node.send("pod2", pieces[2]);
  node.run();
  for (const { frame } of node.received("pod3")) t.equal(frame[L3 + 1], 3);
});

function fixed(frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  view.setUint16(L3 + 10, 0);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += view.getUint16(L3 + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(L3 + 10, ~sum);
  return frame;
}
