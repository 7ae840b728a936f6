// Who is answered for whom over IPv6: gateway and node addresses for pods, everything for the node's own stack, the
// node's own addresses for the fabric; and what nobody must believe.
import t from "tap";
import { ip } from "../../../base/ip.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import {
  CLIENT6,
  gateway6,
  HOST_HOP6,
  makeDualStack,
  node6,
  pathTo6,
  pod6,
  podMac6,
  vtep6,
} from "../../../testing/world/dual-stack.ts";
import { CLIENT_MAC } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { LocalAddresses } from "../../table/local-addresses.ts";
import * as neighbor from "../../table/neighbor.ts";

const POD2 = pod6(1, 2);
const POD3 = pod6(1, 3);
const GROUP_MAC = "33:33:ff:00:00:01";
const GROUP = "ff02::1:ff00:1";
const STATE = neighbor.State;

const fresh = (): TestNode => makeDualStack(new TestNode());

function ask(src: string, srcMac: string, target: string, over: object = {}): Uint8Array {
  const option = src === "::" ? {} : { mac: srcMac };
  return build.neighborSolicitationFrame({
    ...{ src, srcMac, dst: GROUP, dstMac: GROUP_MAC, target, ...option },
    ...over,
  });
}

/** The gateway's link-local address, of which its MAC is the interface identifier. */
function linkLocalOf(mac: string): string {
  const b = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const group = (hi: number, lo: number): string => ((hi << 8) | lo).toString(16);
  return `fe80::${group(b[0] ^ 2, b[1])}:${group(b[2], 0xff)}:${group(0xfe, b[3])}:${group(b[4], b[5])}`;
}

for (const [what, target] of [
  ["the gateway", () => gateway6(1)],
  ["the node's address", () => node6(1)],
  ["the VTEP's address", () => vtep6(1)],
  ["the link-local next hop", () => HOST_HOP6],
  ["the gateway's link-local address", () => linkLocalOf(fresh().gatewayMac)],
] as const) {
  t.test(`a pod that asks for ${what} is told the gateway's MAC`, async (t) => {
    const node = fresh();
    const out = node.through("pod2", ask(POD2, podMac6(1, 2), target()));
    t.equal(out.port, "pod2");
    const wanted = build.neighborAdvertisementFrame({
      ...{ src: target(), srcMac: node.gatewayMac, dst: POD2, dstMac: podMac6(1, 2), target: target() },
      ...{ mac: node.gatewayMac, flags: 0xe0 },
    });
    t.same(out.frame, wanted, out.text);
    node.settle();
  });
}

t.test(
  "who asks by the address itself is told neither a link-layer address nor to override his",
  async (t) => {
    const node = fresh();
    for (const [port, src, srcMac, target, said] of [
      ["pod2", POD2, podMac6(1, 2), gateway6(1), 0xc0],
      ["host", node6(1), node.uplinkMac, CLIENT6, 0x40],
      ["uplink", CLIENT6, CLIENT_MAC, node6(1), 0xc0],
    ] as const) {
      const mac = port === "uplink" ? node.uplinkMac : node.gatewayMac;
      const out = node.through(port, ask(src, srcMac, target, { dst: target, dstMac: mac }));
      const from = said === 0x40 ? HOST_HOP6 : target; // whoever speaks for another says so by his own address
      const link = { src: from, srcMac: mac, dst: src, dstMac: srcMac };
      t.same(out.frame, build.neighborAdvertisementFrame({ ...link, target, flags: said }), out.text);
    }
    node.settle();
  },
);

t.test("what a pod asks of another pod goes to all pods, and the answer to the one that asked", async (t) => {
  const node = fresh();
  const question = ask(POD2, podMac6(1, 2), POD3);
  const out = node.through("pod2", question);
  t.equal(out.port, "pod3");
  t.same(out.frame, question);
  const answer = build.neighborAdvertisementFrame({
    ...{ src: POD3, srcMac: podMac6(1, 3), dst: POD2, dstMac: podMac6(1, 2), target: POD3 },
    mac: podMac6(1, 3),
  });
  t.equal(node.through("pod3", answer).port, "pod2");
  t.same(node.drops(), {});
});

t.test("a probe for duplicates is answered to everybody, for our addresses only", async (t) => {
  const node = fresh();
  const out = node.through("pod2", ask("::", podMac6(1, 2), gateway6(1)));
  t.equal(out.port, "pod2");
  const wanted = build.neighborAdvertisementFrame({
    ...{ src: gateway6(1), srcMac: node.gatewayMac, dst: "ff02::1", dstMac: "33:33:00:00:00:01" },
    ...{ target: gateway6(1), mac: node.gatewayMac, flags: 0xa0 },
  });
  t.same(out.frame, wanted, out.text);
  const own = ask("::", podMac6(1, 2), POD2);
  t.equal(node.through("pod2", own).port, "pod3", "its own address: pods may object");
  t.equal(node.through("host", ask("::", node.uplinkMac, node6(1))).port, "uplink", "the fabric may object");
  const probe = ask("::", CLIENT_MAC, node6(1));
  t.equal(node.through("uplink", probe).port, "uplink", "we object on the fabric");
});

t.test(
  "a probe for another pod's address is answered in the other's place, who does not hear it",
  async (t) => {
    const node = fresh();
    const out = node.through("pod2", ask("::", podMac6(1, 2), POD3));
    t.equal(out.port, "pod2");
    const wanted = build.neighborAdvertisementFrame({
      ...{ src: "fe80::1", srcMac: node.gatewayMac, dst: "ff02::1", dstMac: "33:33:00:00:00:01" },
      ...{ target: POD3, mac: podMac6(1, 3), flags: 0 },
    });
    t.same(out.frame, wanted, out.text);
    node.tables.config.guard.antiSpoofing = 0;
    t.equal(
      node.through("pod2", ask("::", podMac6(1, 2), POD3)).port,
      "pod3",
      "with antiSpoofing off it is flooded",
    );
  },
);

t.test("the node's own stack is answered for everything but itself", async (t) => {
  const node = fresh();
  for (const target of [CLIENT6, pod6(2, 2), POD2, HOST_HOP6, "2001:db8::1"]) {
    const out = node.through("host", ask(node6(1), node.uplinkMac, target));
    t.equal(out.port, "host");
    const wanted = build.neighborAdvertisementFrame({
      ...{ src: HOST_HOP6, srcMac: node.gatewayMac, dst: node6(1), dstMac: node.uplinkMac, target },
      // Solicited; a router is the gateway alone, and what is said for others overrides nothing (RFC 4861 §7.2.8).
      ...{ mac: node.gatewayMac, flags: target === HOST_HOP6 ? 0xe0 : 0x40 },
    });
    t.same(out.frame, wanted, out.text);
  }
  node.send("host", ask(node6(1), node.uplinkMac, vtep6(1)));
  node.run();
  t.same(node.everything(), []);
  node.settle();
});

t.test("who asks for us is known, and what waited for an answer goes when it comes", async (t) => {
  const node = fresh();
  node.send("pod2", build.echoFrame(pathTo6(node, POD2, CLIENT6)));
  node.run();
  const [question] = node.received("uplink");
  const client = { src: CLIENT6, srcMac: CLIENT_MAC, dst: node6(1), dstMac: node.uplinkMac };
  const wanted = build.neighborSolicitationFrame({
    ...{ src: node6(1), srcMac: node.uplinkMac, dst: "ff02::1:ff00:100", dstMac: "33:33:ff:00:01:00" },
    ...{ target: CLIENT6, mac: node.uplinkMac },
  });
  t.same(question.frame, wanted, question.text);
  const answer = { ...client, target: CLIENT6, mac: CLIENT_MAC };
  node.send("uplink", build.neighborAdvertisementFrame(answer));
  node.run();
  const [echo] = node.received("uplink");
  t.match(echo.text, /fd00:192:168:50::11 > fd00:192:168:50::100: ICMP6, echo request/, "masqueraded");
  t.equal(stateOf(node, CLIENT6), STATE.REACHABLE);

  const out = node.through("uplink", ask(node6(2), "02:00:00:00:00:12", node6(1)));
  t.equal(out.port, "uplink");
  t.equal(stateOf(node, node6(2)), STATE.STALE, "it will want an answer soon");
  node.settle();
});

t.test("a load balancer's address is answered on the fabric by the node that announces it", async (t) => {
  const VIP = "fd00:192:168:50::f0";
  const node = fresh();
  node.send("uplink", ask(CLIENT6, CLIENT_MAC, VIP));
  node.run();
  t.same(node.everything(), [], "not announced");
  node.tables.addresses.announced = new LocalAddresses([ip(VIP)]);
  const out = node.through("uplink", ask(CLIENT6, CLIENT_MAC, VIP));
  t.equal(out.port, "uplink");
  const wanted = build.neighborAdvertisementFrame({
    ...{ src: VIP, srcMac: node.uplinkMac, dst: CLIENT6, dstMac: CLIENT_MAC, target: VIP },
    ...{ mac: node.uplinkMac, flags: 0xe0 },
  });
  t.same(out.frame, wanted, out.text);
  node.settle();
});

t.test("an answer without a link-layer option confirms what is known, and teaches nothing", async (t) => {
  const node = fresh();
  const bare = { src: CLIENT6, srcMac: CLIENT_MAC, dst: node6(1), dstMac: node.uplinkMac, target: CLIENT6 };
  const answer = build.neighborAdvertisementFrame({ ...bare, flags: 0x40 });
  node.send("uplink", answer);
  node.run();
  t.equal(stateOf(node, CLIENT6), -1);
  node.through("uplink", ask(CLIENT6, CLIENT_MAC, node6(1)));
  t.equal(stateOf(node, CLIENT6), STATE.STALE);
  node.send("uplink", answer);
  node.run();
  t.equal(stateOf(node, CLIENT6), STATE.REACHABLE);
});

t.test("a neighbour that never answers: three questions, then the sender is told", async (t) => {
  const node = fresh();
  node.send("pod2", build.udpFrame(pathTo6(node, POD2, CLIENT6)));
  node.advanceMs(5000);
  t.equal(node.texts("uplink").filter((text) => /neighbor solicitation/.test(text)).length, 3);
  const [error] = node.texts("pod2");
  t.match(error, /ICMP6, destination unreachable/);
  node.settle();
});

for (const [what, over] of [
  ["for a group address", { target: "ff02::1" }],
  ["of nobody, with an option", { src: "::", mac: CLIENT_MAC }],
] as const) {
  t.test(`a solicitation ${what} is dropped`, async (t) => {
    const node = fresh();
    node.send("uplink", ask(CLIENT6, CLIENT_MAC, node6(1), over));
    node.run();
    t.same(node.everything(), []);
    t.same(node.drops(), { MALFORMED_ND: 1 });
    t.equal(stateOf(node, CLIENT6), -1);
  });
}

t.test("a solicitation that came over a router is dropped", async (t) => {
  const node = fresh();
  const frame = ask(CLIENT6, CLIENT_MAC, node6(1));
  frame[14 + 7] = 254; // the hop limit
  node.send("uplink", frame);
  node.run();
  t.same(node.drops(), { MALFORMED_ND: 1 });
  t.equal(stateOf(node, CLIENT6), -1);
});

t.test("a solicitation with a wrong checksum is dropped", async (t) => {
  const node = fresh();
  const frame = ask(CLIENT6, CLIENT_MAC, node6(1));
  frame[frame.length - 1] ^= 1;
  node.send("uplink", frame);
  node.run();
  t.same(node.drops(), { MALFORMED_ND: 1 });
});

function stateOf(node: TestNode, address: string): number {
  const [w0, w1, w2, w3] = build.ip6(address);
  const slot = neighbor.find(node.tables.fabric, w0, w1, w2, w3);
  return slot < 0 ? -1 : node.tables.fabric.state[slot];
}
