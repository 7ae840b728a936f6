// Who may say what: a pod only what is its own, the fabric nothing of ours, the tunnel only what its sender's VTEP can
// have sent. Each frame is sent with antiSpoofing on and off: on it is dropped with its reason, off it goes through.
import fc from "fast-check";
import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import {
  CLIENT6,
  fragmentsOf6,
  gateway6,
  makeDualStack,
  node6,
  pathTo6,
  pod6,
  podMac6,
} from "../../../testing/world/dual-stack.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const REMOTE = "10.244.2.2";
const POD2_6 = pod6(1, 2);
const POD3_6 = pod6(1, 3);
const MAC2 = podMac6(1, 2);
const MAC3 = podMac6(1, 3);
const LINK2 = "fe80::858:aff:fef4:102"; // of 0a:58:0a:f4:01:02
const LINK3 = "fe80::858:aff:fef4:103";
const ALL_NODES = { dst: "ff02::1", dstMac: "33:33:00:00:00:01" };

function node(): TestNode {
  return makeDualStack(new TestNode({ unchecked: true }));
}

/** Drops of one frame, with the protection and without it. */
function fate(port: string, frame: Uint8Array, on: number): { drops: object; out: number } {
  const n = node();
  n.tables.config.guard.antiSpoofing = on;
  n.send(port, frame);
  n.run();
  return { drops: n.drops(), out: n.everything().length };
}

const n1 = node();
const to3 = pathTo(n1, POD2, POD3);
const to3v6 = pathTo6(n1, POD2_6, POD3_6);
const ra = (over: object) =>
  build.icmpFrame({ ...to3v6, ...ALL_NODES, src: LINK2, ttl: 255, ...over }, 134, 0, 0, new Uint8Array(8));
const twoOptions = new Uint8Array([
  ...[...ip6Bytes(POD2_6), 2, 1, ...macBytes(MAC2)],
  ...[2, 1, ...macBytes(MAC3)],
]);

function ip6Bytes(address: string): number[] {
  return build.ip6(address).flatMap((w) => [w >>> 24, (w >>> 16) & 255, (w >>> 8) & 255, w & 255]);
}
function macBytes(text: string): number[] {
  return text.split(":").map((b) => Number.parseInt(b, 16));
}
const advert = (o: { target: string; mac: string; src?: string; srcMac?: string }) =>
  build.neighborAdvertisementFrame({ ...ALL_NODES, src: POD2_6, srcMac: MAC2, flags: 0x20, ...o });

const FORGED: [what: string, reason: string, frame: Uint8Array, offOut?: number][] = [
  ["another pod's MAC", "SPOOFED_MAC", build.udpFrame({ ...to3, srcMac: "0a:58:0a:f4:01:09" })],
  ["another pod's IPv4 address", "SPOOFED_SOURCE", build.udpFrame({ ...to3, src: "10.244.1.9" })],
  ["no IPv4 address", "SPOOFED_SOURCE", build.udpFrame({ ...to3, src: "0.0.0.0" })],
  ["the broadcast address", "SPOOFED_SOURCE", build.udpFrame({ ...to3, src: "255.255.255.255" })],
  ["another pod's IPv6 address", "SPOOFED_SOURCE", build.udpFrame({ ...to3v6, src: pod6(1, 9) })],
  ["a link-local address of another MAC", "SPOOFED_SOURCE", build.udpFrame({ ...to3v6, src: LINK3 })],
  ["no IPv6 address, in UDP", "SPOOFED_SOURCE", build.udpFrame({ ...to3v6, src: "::" })],
  [
    "ARP: another's address",
    "SPOOFED_NEIGHBOR",
    build.arpFrame({ senderMac: MAC2, senderIp: "10.244.1.9", targetIp: POD3 }),
  ],
  [
    "gratuitous ARP for the gateway",
    "SPOOFED_NEIGHBOR",
    build.arpFrame({ senderMac: MAC2, senderIp: "10.244.1.1", targetIp: "10.244.1.1" }),
  ],
  [
    "an ARP answer for another pod",
    "SPOOFED_NEIGHBOR",
    build.arpFrame({
      op: 2,
      senderMac: MAC2,
      senderIp: "10.244.1.9",
      targetIp: POD3,
      targetMac: MAC3,
      dstMac: MAC3,
    }),
  ],
  [
    "an ARP answer from nobody",
    "SPOOFED_NEIGHBOR",
    build.arpFrame({
      op: 2,
      senderMac: MAC2,
      senderIp: "0.0.0.0",
      targetIp: POD3,
      targetMac: MAC3,
      dstMac: MAC3,
    }),
  ],
  [
    "ARP: another's MAC inside",
    "SPOOFED_NEIGHBOR",
    build.arpFrame({ srcMac: MAC2, senderMac: "0a:58:0a:f4:01:09", senderIp: POD2, targetIp: POD3 }),
  ],
  ["NA for another pod", "SPOOFED_NEIGHBOR", advert({ target: pod6(1, 9), mac: MAC2 })],
  ["NA for the gateway", "SPOOFED_NEIGHBOR", advert({ target: gateway6(1), mac: MAC2 })],
  ["NA for another's link-local address", "SPOOFED_NEIGHBOR", advert({ target: LINK3, mac: MAC2 })],
  ["NA with another's MAC", "SPOOFED_NEIGHBOR", advert({ target: POD2_6, mac: MAC3 })],
  [
    "NA with a second MAC behind its own",
    "SPOOFED_NEIGHBOR",
    build.icmpFrame({ ...to3v6, ttl: 255 }, 136, 0, 0x20000000, twoOptions),
  ],
  [
    "NS with another's MAC",
    "SPOOFED_NEIGHBOR",
    build.neighborSolicitationFrame({ ...to3v6, target: POD3_6, mac: MAC3 }),
  ],
  [
    "a probe for an address nobody has",
    "SPOOFED_NEIGHBOR",
    build.neighborSolicitationFrame({ ...ALL_NODES, src: "::", srcMac: MAC2, target: pod6(1, 9) }),
  ],
  ["a router advertisement", "SPOOFED_NEIGHBOR", ra({})],
  [
    "a redirect",
    "SPOOFED_NEIGHBOR",
    build.icmpFrame({ ...to3v6, src: LINK2, ttl: 255 }, 137, 0, 0, new Uint8Array(32)),
  ],
  ["a tagged frame", "TAGGED_FRAME", build.udpFrame({ ...to3, vlans: [0] } as never)],
];

for (const [what, reason, frame] of FORGED) {
  t.test(`a pod cannot send ${what}`, async (t) => {
    const on = fate("pod2", frame, 1);
    t.same(on, { drops: { [reason]: 1 }, out: 0 });
    const off = fate("pod2", frame, 0);
    t.notOk(Object.hasOwn(off.drops, reason), JSON.stringify(off));
  });
}

const OWN: [what: string, frame: Uint8Array][] = [
  ["its own IPv4 address", build.udpFrame(to3)],
  ["its own IPv6 address", build.udpFrame(to3v6)],
  ["its own link-local address", build.udpFrame({ ...to3v6, src: LINK2 })],
  ["an ARP probe", build.arpFrame({ senderMac: MAC2, senderIp: "0.0.0.0", targetIp: POD3 })],
  ["a gratuitous ARP of its own", build.arpFrame({ senderMac: MAC2, senderIp: POD2, targetIp: POD2 })],
  ["its own advertisement", advert({ target: POD2_6, mac: MAC2 })],
  ["its link-local advertisement", advert({ target: LINK2, mac: MAC2 })],
  [
    "its own probe for duplicates",
    build.neighborSolicitationFrame({ ...ALL_NODES, src: "::", srcMac: MAC2, target: POD2_6 }),
  ],
  [
    "an MLD report from nobody",
    build.icmpFrame({ ...to3v6, ...ALL_NODES, src: "::", ttl: 1 }, 143, 0, 0, new Uint8Array(4)),
  ],
  [
    "a router solicitation",
    build.icmpFrame({ ...to3v6, ...ALL_NODES, src: LINK2, ttl: 255 }, 133, 0, 0, new Uint8Array(0)),
  ],
];

for (const [what, frame] of OWN) {
  t.test(`a pod can send ${what}`, async (t) => {
    t.same(fate("pod2", frame, 1), { drops: {}, out: 1 });
  });
}

t.test("neighbour discovery in pieces reaches no group, and no pod whole", async (t) => {
  const long = build.icmpFrame(
    { ...to3v6, ...ALL_NODES, src: LINK2, ttl: 255 },
    134,
    0,
    0,
    new Uint8Array(2000),
  );
  const n = node();
  for (const piece of fragmentsOf6(long, 1280, 1)) n.send("pod2", piece);
  n.run();
  t.same(n.everything(), []);
  t.match(n.takeDrops(), { SPOOFED_NEIGHBOR: 2 });
  const alone = build.icmpFrame({ ...to3v6, src: LINK2, ttl: 255 }, 134, 0, 0, new Uint8Array(2000));
  for (const piece of fragmentsOf6(alone, 1280, 2)) n.send("pod2", piece);
  n.run();
  t.same(n.everything(), []);
  t.same(n.drops(), { MALFORMED_ND: 1 });
  n.settle();
});

t.test(
  "a pod with several addresses of one family may use each, and none that was taken from it",
  async (t) => {
    const n = new TestNode();
    const { addPermanent, find, remove } = await import("../../table/neighbor.ts");
    const second = build.ip("10.244.1.77");
    const port = n.portId("pod2");
    const [hi, lo] = [n.tables.ports.macHi[port], n.tables.ports.macLo[port]];
    addPermanent(n.tables.stations, 0, 0, 0xffff, second, hi, lo, port);
    const frame = build.udpFrame({ ...pathTo(n, POD2, POD3), src: "10.244.1.77" });
    t.equal(n.through("pod2", frame).port, "pod3");
    remove(n.tables.stations, find(n.tables.stations, 0, 0, 0xffff, second));
    n.send("pod2", frame);
    n.run();
    t.same(n.drops(), { SPOOFED_SOURCE: 1 });
  },
);

for (const [what, src, isV6] of [
  ["the node's address", nodeAddress(1), false],
  ["a local pod's address", POD3, false],
  ["the node's IPv6 address", node6(1), true],
  ["a local pod's IPv6 address", POD3_6, true],
] as const) {
  const link = { srcMac: CLIENT_MAC, dstMac: uplinkMacOf(1) };
  const dst = isV6 ? POD2_6 : POD2;
  t.test(`nobody on the fabric has ${what}`, async (t) => {
    const frame = build.udpFrame({ ...link, src, dst });
    t.same(fate("uplink", frame, 1), { drops: { MARTIAN_SOURCE: 1 }, out: 0 });
    t.equal(fate("uplink", frame, 0).out, 1);
  });
  t.test(`nobody in the tunnel has ${what}`, async (t) => {
    const inner = build.udpFrame({ srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), src, dst });
    const outer = {
      srcMac: uplinkMacOf(2),
      dstMac: uplinkMacOf(1),
      src: nodeAddress(2),
      dst: nodeAddress(1),
    };
    const frame = build.vxlanFrame({ ...outer, inner });
    t.same(fate("uplink", frame, 1), { drops: { MARTIAN_SOURCE: 1 }, out: 0 });
    t.equal(fate("uplink", frame, 0).out, 1);
  });
}

for (const [what, srcMac, vlans, reason] of [
  ["our own VTEP's MAC", vtepMacOf(1), [], "SPOOFED_MAC"],
  ["the MAC of no VTEP", "02:00:00:00:00:77", [], "SPOOFED_MAC"],
  ["a VLAN tag", vtepMacOf(2), [7], "UNSUPPORTED_L3"],
] as const) {
  t.test(`an inner frame with ${what} is refused`, async (t) => {
    const inner = build.udpFrame({
      srcMac,
      dstMac: vtepMacOf(1),
      src: REMOTE,
      dst: POD2,
      vlans: [...vlans],
    } as never);
    const outer = {
      srcMac: uplinkMacOf(2),
      dstMac: uplinkMacOf(1),
      src: nodeAddress(2),
      dst: nodeAddress(1),
    };
    t.same(fate("uplink", build.vxlanFrame({ ...outer, inner }), 1), { drops: { [reason]: 1 }, out: 0 });
  });
}

t.test("reserved bits of a VXLAN header are not looked at (RFC 7348 §5)", async (t) => {
  const inner = build.udpFrame({ srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), src: REMOTE, dst: POD2 });
  const outer = { srcMac: uplinkMacOf(2), dstMac: uplinkMacOf(1), src: nodeAddress(2), dst: nodeAddress(1) };
  const frame = build.vxlanFrame({ ...outer, inner });
  frame.set([0xff, 0xff, 0xff, 0xff], 14 + 20 + 8);
  frame[14 + 20 + 8 + 7] = 0xff;
  t.same(fate("uplink", frame, 1), { drops: {}, out: 1 });
});

const ipip = (o: object, proto: number): Uint8Array =>
  build.ipFrame({ ...pathTo(n1, POD2, nodeAddress(2)), ...o }, proto, 40, (view, off) => {
    for (let i = 0; i < 40; i++) view.setUint8(off + i, i);
  });

for (const [what, frame, on] of [
  ["VXLAN to another node", build.udpFrame({ ...pathTo(n1, POD2, nodeAddress(2)), dstPort: 8472 }), false],
  ["VXLAN to its own node", build.udpFrame({ ...pathTo(n1, POD2, nodeAddress(1)), dstPort: 8472 }), false],
  ["IP in IP to another node", ipip({}, 4), false],
  ["IPv6 in IP to another node", ipip({}, 41), false],
  [
    "VXLAN to a node's IPv6 address",
    build.udpFrame({ ...pathTo6(n1, POD2_6, node6(2)), dstPort: 8472 }),
    false,
  ],
  [
    "UDP to another port of a node",
    build.udpFrame({ ...pathTo(n1, POD2, nodeAddress(2)), dstPort: 8473 }),
    true,
  ],
  ["VXLAN to a pod of another node", build.udpFrame({ ...pathTo(n1, POD2, REMOTE), dstPort: 8472 }), true],
  ["VXLAN to a pod beside it", build.udpFrame({ ...pathTo(n1, POD2, POD3), dstPort: 8472 }), true],
  ["VXLAN to far away", build.udpFrame({ ...pathTo(n1, POD2, "8.8.8.8"), dstPort: 8472 }), true],
] as const) {
  t.test(`a pod ${on ? "may" : "may not"} send ${what}`, async (t) => {
    const reason = "TUNNEL_FROM_POD";
    t.equal(Object.hasOwn(fate("pod2", frame, 1).drops, reason), !on);
    t.notOk(Object.hasOwn(fate("pod2", frame, 0).drops, reason));
  });
}

t.test("nor by way of a service", async (t) => {
  const n = new TestNode();
  const endpoints = [`${nodeAddress(2)}:8472`];
  n.setService({ name: "evil", protocol: 17, clusterIp: "10.96.0.66", port: 53, endpoints });
  n.send("pod2", build.udpFrame({ ...pathTo(n, POD2, "10.96.0.66"), dstPort: 53 }));
  n.run();
  t.same(n.drops(), { TUNNEL_FROM_POD: 1 });
  t.same(n.connections(), []);
});

t.test("whatever source a pod's packet has, what leaves has the pod's or the node's", async () => {
  const any = fc.oneof(
    fc.constantFrom(POD2, POD3, REMOTE, CLIENT, nodeAddress(1), "10.244.1.1", "10.96.0.10"),
    fc.ipV4(),
  );
  fc.assert(
    fc.property(any, fc.constantFrom(POD3, REMOTE, CLIENT, nodeAddress(1)), (src, dst) => {
      const n = new TestNode({ unchecked: true });
      n.send("pod2", build.udpFrame({ ...pathTo(n, POD2, dst), src }));
      n.run();
      const passed = n.everything().filter((r) => !/arp|ARP/.test(r.text));
      return src === POD2 || (passed.length === 0 && n.tables.pool.count === n.poolSlots);
    }),
    { numRuns: 300 },
  );
  const any6 = fc.oneof(fc.constantFrom(POD2_6, POD3_6, CLIENT6, node6(1), "::", LINK3), fc.ipV6());
  fc.assert(
    fc.property(any6, (src) => {
      if (src === POD2_6 || !/^[0-9a-f:]+$/.test(src)) return true;
      return fate("pod2", build.udpFrame({ ...to3v6, src }), 1).out === 0;
    }),
    { numRuns: 100 },
  );
});
