// IPv6 through the whole pipeline: addresses that go nowhere, masquerade, services, path MTU, fragments, and the tunnel
// with IPv6 inside and outside.
import t from "tap";
import * as build from "../testing/frames/frame-builder.ts";
import {
  CLIENT6,
  fragmentsOf6,
  gateway6,
  joinFragments6,
  makeDualStack,
  node6,
  pathTo6,
  pod6,
} from "../testing/world/dual-stack.ts";
import { CLIENT_MAC, TestFabric } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";

const POD2 = pod6(1, 2);
const POD3 = pod6(1, 3);
const REMOTE = pod6(2, 2);

/** A node that knows the client's MAC address. */
function node(): TestNode {
  const made = makeDualStack(new TestNode());
  const told = { src: CLIENT6, srcMac: CLIENT_MAC, dst: node6(1), dstMac: made.uplinkMac, mac: CLIENT_MAC };
  made.through("uplink", build.neighborSolicitationFrame({ ...told, target: node6(1) }));
  return made;
}

function fabric(outer: 4 | 6): TestFabric {
  const made = new TestFabric();
  for (const each of made.nodes) makeDualStack(each, outer);
  return made;
}

for (const [what, src, dst, reason] of [
  ["from the loopback address", "::1", CLIENT6, "MARTIAN_SOURCE"],
  ["from nobody", "::", CLIENT6, "MARTIAN_SOURCE"],
  ["from a group", "ff02::5", CLIENT6, "MARTIAN_SOURCE"],
  ["to the loopback address", POD2, "::1", "MARTIAN_SOURCE"],
  ["from a link-local address", "fe80::5", CLIENT6, "LINK_LOCAL_UNROUTED"],
  ["to a link-local address", POD2, "fe80::5", "LINK_LOCAL_UNROUTED"],
  ["to a group", POD2, "ff0e::1", "MULTICAST_UNROUTED"],
] as const) {
  t.test(`a packet ${what} is not routed, and nobody is told`, async (t) => {
    const n = node();
    n.tables.config.guard.antiSpoofing = 0; // else no pod would get so far
    n.send("pod2", build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), src, dst }));
    n.run();
    t.same(n.everything(), []);
    t.same(n.drops(), { [reason]: 1 });
  });
}

t.test("an IPv4-mapped address on the wire is refused", async (t) => {
  const n = node();
  const frame = build.udpFrame(pathTo6(n, POD2, CLIENT6));
  frame.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 96, 0, 10], 14 + 24);
  n.send("pod2", frame);
  n.run();
  t.same(n.drops(), { MARTIAN_SOURCE: 1 });
});

t.test("a datagram without a checksum goes no further", async (t) => {
  const n = node();
  n.send("pod2", build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), checksum: false }));
  n.run();
  t.same(n.drops(), { UDP_NO_CHECKSUM: 1 });
});

t.test("what leaves the cluster is masqueraded, and the answer comes back", async (t) => {
  const n = node();
  const out = n.through("pod2", build.echoFrame({ ...pathTo6(n, POD2, CLIENT6), ttl: 64 }));
  t.equal(out.port, "uplink");
  t.match(out.text, /fd00:192:168:50::11 > fd00:192:168:50::100: ICMP6, echo request/);
  t.equal(out.frame[14 + 7], 63, "one hop less");
  const echoId = new DataView(out.frame.buffer, out.frame.byteOffset).getUint16(14 + 40 + 4);
  const reply = n.through(
    "uplink",
    build.echoFrame({ ...pathTo6(n, CLIENT6, node6(1)), reply: true, echoId }),
  );
  t.equal(reply.port, "pod2");
  t.match(reply.text, /fd00:192:168:50::100 > fd00:10:244:1::2: ICMP6, echo reply/);
  n.settle();
});

t.test("a service of two families is reached over each", async (t) => {
  const n = node();
  const at = "fd00:10:96::a";
  n.setService({ name: "web", clusterIp: at, port: 80, endpoints: [`[${POD3}]:8080`] });
  const out = n.through("pod2", build.tcpFrame({ ...pathTo6(n, POD2, at), flags: "S" }));
  t.equal(out.port, "pod3");
  t.match(out.text, /fd00:10:244:1::2\.41000 > fd00:10:244:1::3\.8080/);
  const answer = { srcPort: 8080, dstPort: 41000, flags: "S.", ack: 1 };
  const back = n.through("pod3", build.tcpFrame({ ...pathTo6(n, POD3, POD2), ...answer }));
  t.match(back.text, /fd00:10:96::a\.80 > fd00:10:244:1::2\.41000/);
});

t.test("what does not fit is never cut: its sender is told the MTU", async (t) => {
  const n = node();
  const out = n.through("pod2", build.udpFrame({ ...pathTo6(n, POD2, REMOTE), payload: 1450 }));
  t.equal(out.port, "pod2");
  t.match(out.text, /fd00:10:244:1::1 > fd00:10:244:1::2: ICMP6, packet too big, mtu 1450/);
});

t.test("a hop limit that runs out is reported by the gateway", async (t) => {
  const n = node();
  const out = n.through("pod2", build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), ttl: 1 }));
  t.equal(out.port, "pod2");
  t.match(out.text, new RegExp(`${gateway6(1)} > ${POD2}: ICMP6, time exceeded`));
});

for (const order of ["in order", "in reverse"] as const) {
  t.test(`fragments ${order} are translated as one datagram and leave as they came`, async (t) => {
    const n = node();
    const datagram = build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), payload: 5000, ttl: 64 });
    const pieces = fragmentsOf6(datagram, 1400, 0x1234567);
    for (const piece of order === "in order" ? pieces : pieces.reverse()) n.send("pod2", piece);
    n.run();
    const out = n.received("uplink");
    t.equal(out.length, 4);
    t.ok(out.every(({ frame }) => frame.length <= 14 + 1448 && frame[14 + 6] === 44));
    const view = new DataView(out[0].frame.buffer, out[0].frame.byteOffset);
    t.equal(view.getInt32(14 + 40 + 4), 0x1234567, "the identification stays");
    const joined = joinFragments6(out.map(({ frame }) => frame));
    const srcPort = new DataView(joined.buffer).getUint16(14 + 40);
    const wanted = build.udpFrame({
      ...pathTo6(n, POD2, CLIENT6),
      payload: 5000,
      ttl: 63,
      src: node6(1),
      srcPort,
    });
    t.same(joined.subarray(14), wanted.subarray(14));
    n.settle();
  });
}

t.test("extension headers before the fragment header stay with every fragment", async (t) => {
  const n = node();
  const datagram = build.echoFrame({ ...pathTo6(n, POD2, POD3), payload: 2500, ttl: 64 });
  const pieces = fragmentsOf6(datagram, 1200, 77).map((piece) => {
    const frame = new Uint8Array(piece.length + 8);
    frame.set(piece.subarray(0, 54));
    frame.set([44, 0, 1, 4, 0, 0, 0, 0], 54); // destination options: PadN
    frame.set(piece.subarray(54), 62);
    frame[14 + 6] = 60;
    new DataView(frame.buffer).setUint16(14 + 4, piece.length - 54 + 8);
    return frame;
  });
  for (const piece of pieces) n.send("pod2", piece);
  n.run();
  t.same(
    n.received("pod3").map(({ frame }) => frame),
    pieces,
    "on the bridge nothing changes",
  );
  n.settle();
});

t.test("fragments longer than the way on allows: their sender is told", async (t) => {
  const n = node();
  const datagram = build.udpFrame({ ...pathTo6(n, POD2, REMOTE), payload: 5000 });
  for (const piece of fragmentsOf6(datagram, 1448, 7)) n.send("pod2", piece);
  n.run();
  const out = n.everything();
  t.equal(out.length, 1);
  t.match(out[0].text, /packet too big, mtu 1450/);
});

t.test("overlapping fragments give the datagram up", async (t) => {
  const n = node();
  const pieces = fragmentsOf6(build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), payload: 3000 }), 1400, 9);
  const [, second] = pieces;
  new DataView(second.buffer).setUint16(14 + 40 + 2, 1392 | 1);
  n.send("pod2", pieces[0]);
  n.send("pod2", second);
  n.run();
  t.same(n.drops(), { FRAGMENT_OVERLAP: 1 });
  n.settle();
});

t.test("a fragment header inside a reassembled datagram is refused", async (t) => {
  const n = node();
  const inner = fragmentsOf6(build.udpFrame({ ...pathTo6(n, POD2, CLIENT6), payload: 3000 }), 1600, 9)[0];
  for (const piece of fragmentsOf6(inner, 800, 10)) n.send("pod2", piece);
  n.run();
  t.same(n.everything(), []);
  t.same(n.drops(), { MALFORMED_IPV6: 1 });
  n.settle();
});

for (const outer of [4, 6] as const) {
  t.test(`the overlay carries IPv6 over IPv${outer}`, async (t) => {
    const f = fabric(outer);
    const [one, two] = f.nodes;
    one.send("pod2", build.echoFrame({ ...pathTo6(one, POD2, REMOTE), payload: 1000 }));
    f.run();
    const [echo] = two.received("pod2");
    t.match(echo?.text, /fd00:10:244:1::2 > fd00:10:244:2::2: ICMP6, echo request/, two.explain([]));
    const tunnelled = f.crossed.filter(({ frame }) => frame[outer === 4 ? 14 + 9 : 14 + 6] === 17);
    t.equal(tunnelled.length, 1);
    two.send("pod2", build.echoFrame({ ...pathTo6(two, REMOTE, POD2), reply: true, payload: 1000 }));
    f.run();
    t.match(one.texts("pod2").at(-1), /echo reply/);
    one.send("pod2", build.echoFrame({ ...pathTo6(one, POD2, REMOTE), payload: outer === 4 ? 1403 : 1383 }));
    f.run();
    t.match(one.texts("pod2").at(-1), new RegExp(`packet too big, mtu ${outer === 4 ? 1450 : 1430}`));
    f.settle();
  });
}

for (const outer of [4, 6] as const) {
  t.test(
    `the first datagram to a node nobody has asked for yet arrives whole, over IPv${outer}`,
    async (t) => {
      const f = fabric(outer);
      const [one, two] = f.nodes;
      const datagram = build.udpFrame({ ...pathTo6(one, POD2, REMOTE), payload: 30_000 });
      for (const piece of fragmentsOf6(datagram, 1376, 5)) one.send("pod2", piece);
      f.run();
      const arrived = joinFragments6(two.received("pod2").map((r) => r.frame));
      t.same(arrived.subarray(14 + 40), datagram.subarray(14 + 40), "every byte");
      t.ok(one.events().NEIGHBOR_QUEUED >= 22, "all of it waited for the neighbour");
      t.same(one.drops(), {});
      f.settle();
    },
  );
}
