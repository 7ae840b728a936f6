// Where packets go, and which ICMP error tells their senders that they did not. Stages route,
// send-icmp-error, output.
import t from "tap";
import { viewOf } from "../../../testing/frames/bytes.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { macOf } from "../../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../../../testing/world/test-node.ts";
import * as eth from "../../../wire/link/ethernet.ts";
import { beginSettling } from "../../engine.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const L3 = 14;
const ICMP_BODY = L3 + 20 + 8;

function knowClient(node: TestNode): void {
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
}

/** The packet that an error quotes, up to its 576 bytes. */
const quoteOf = (error: Received): Uint8Array => error.frame.subarray(ICMP_BODY);
const packetOf = (frame: Uint8Array): Uint8Array => frame.subarray(L3);

t.test("whoever traces a service sees the service, from the first hop on", async (t) => {
  const node = new TestNode();
  node.setService({ name: "a", clusterIp: "10.96.0.1", endpoints: ["10.244.1.3:80"] });
  const near = build.tcpFrame({ ...pathTo(node, POD2, "10.96.0.1"), flags: "S", ttl: 1 });
  t.match(node.through("pod2", near).text, `IP 10.96.0.1 > ${POD2}: ICMP time exceeded in-transit`);
  const far = build.udpFrame({ ...pathTo(node, POD2, "10.244.2.2"), ttl: 1 });
  t.match(node.through("pod2", far).text, `IP ${node.gateway} > ${POD2}: ICMP time exceeded in-transit`);
});

t.test("a routed packet gets the router's and the pod's MAC, and one TTL less", async (t) => {
  const node = new TestNode();
  const frame = build.udpFrame({ ...pathTo(node, POD2, POD3), dstMac: node.gatewayMac, ttl: 64 });
  const out = node.through("pod2", frame);
  t.equal(out.port, "pod3");
  const view = viewOf(out.frame);
  t.same({ hi: eth.dstHi(view, 0), lo: eth.dstLo(view, 0) }, build.mac(macOf(POD3)));
  t.same({ hi: eth.srcHi(view, 0), lo: eth.srcLo(view, 0) }, build.mac(node.gatewayMac));
  t.equal(out.frame[L3 + 8], 63);
});

t.test("the node's own packets keep their TTL, those to the node too", async (t) => {
  const node = new TestNode();
  const out = node.through("host", build.udpFrame({ ...pathTo(node, node.address, POD2), ttl: 1 }));
  t.equal(out.port, "pod2");
  t.equal(out.frame[L3 + 8], 1);
  const back = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, node.address), ttl: 1 }));
  t.equal(back.port, "host");
  t.equal(back.frame[L3 + 8], 1);
});

t.test("every address of the node leads to its stack", async (t) => {
  const node = new TestNode();
  for (const dst of [node.address, node.gateway, node.vtep]) {
    const out = node.through("pod2", build.echoFrame(pathTo(node, POD2, dst)));
    t.equal(out.port, "host", dst);
    t.same(build.mac(node.uplinkMac), macAt(out.frame, 0));
  }
});

t.test("a bridged packet keeps its TTL, be it 1", async (t) => {
  const node = new TestNode();
  t.equal(node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), ttl: 1 })).frame[L3 + 8], 1);
});

interface Refusal {
  readonly title: string;
  readonly dst: string;
  readonly options?: object;
  readonly text: string;
  readonly reason: string;
}

const gatewaySays = "IP 10.244.1.1 > 10.244.1.2: ICMP";
const refusals: Refusal[] = [
  {
    title: "a packet whose TTL ends here is answered with time exceeded from the gateway",
    dst: POD3,
    options: { ttl: 1 },
    text: `${gatewaySays} time exceeded in-transit, length 66`,
    reason: "TTL_EXCEEDED",
  },
  {
    title: "a packet without a route is answered with net unreachable",
    dst: "8.8.8.8",
    text: `${gatewaySays} net 8.8.8.8 unreachable, length 66`,
    reason: "NO_ROUTE",
  },
  {
    title: "a packet for a pod address without a pod is answered with host unreachable",
    dst: "10.244.1.77",
    text: `${gatewaySays} host 10.244.1.77 unreachable, length 66`,
    reason: "NEIGHBOR_FAILED",
  },
  {
    title: "an unreachable route answers host unreachable",
    dst: "198.18.0.1",
    text: `${gatewaySays} host 198.18.0.1 unreachable, length 66`,
    reason: "ROUTE_UNREACHABLE",
  },
  {
    title: "a prohibiting route answers administratively prohibited",
    dst: "198.20.0.1",
    text: `${gatewaySays} host 198.20.0.1 unreachable - admin prohibited filter, length 66`,
    reason: "ROUTE_UNREACHABLE",
  },
];

for (const refusal of refusals) {
  t.test(refusal.title, async (t) => {
    const node = new TestNode();
    const path = { ...pathTo(node, POD2, refusal.dst), dstMac: node.gatewayMac };
    const sent = build.udpFrame({ ...path, payload: 30, id: 9, ...refusal.options });
    const error = node.through("pod2", sent);
    t.equal(error.port, "pod2");
    t.equal(error.text, refusal.text);
    t.same(quoteOf(error), packetOf(sent), "quoted as it was sent");
    t.equal(error.frame[L3 + 1], 0xc0, "network control, as Linux");
    t.same(macAt(error.frame, 0), build.mac(macOf(POD2)));
    t.same(macAt(error.frame, 6), build.mac(node.gatewayMac));
    t.same(node.drops(), { [refusal.reason]: 1 });
    t.match(node.events(), { ICMP_ERRORS: 1 });
    node.settle();
  });
}

t.test("for its first seconds a node that begins tells nobody that there is no way", async (t) => {
  const node = new TestNode();
  beginSettling(node.engine, node.clock.nowMs());
  const ask = (dst: string): string[] => {
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, dst), dstMac: node.gatewayMac }));
    node.run();
    return node.texts("pod2");
  };
  t.same(ask("10.244.1.77"), []);
  t.same(ask("8.8.8.8"), []);
  node.advanceMs(2500);
  t.same(ask("10.244.1.77"), []);
  t.same(node.takeDrops(), { NEIGHBOR_FAILED: 2, NO_ROUTE: 1 });
  node.advanceMs(2000);
  t.equal(ask("10.244.1.77").length, 1);
  t.equal(ask("8.8.8.8").length, 1);
  node.settle();
});

t.test("a blackhole says nothing", async (t) => {
  const node = new TestNode();
  node.send("pod2", build.udpFrame(pathTo(node, POD2, "198.19.0.1")));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { ROUTE_BLACKHOLE: 1 });
});

t.test("an outside station is answered from the node's address", async (t) => {
  const node = new TestNode();
  knowClient(node);
  const error = node.through("uplink", build.udpFrame({ ...pathTo(node, CLIENT, POD2), ttl: 1 }));
  t.equal(error.port, "uplink");
  t.match(error.text, `IP ${node.address} > ${CLIENT}: ICMP time exceeded in-transit`);
  t.same(macAt(error.frame, 0), build.mac(CLIENT_MAC));
});

t.test("the node's stack is answered from an address that is not its own", async (t) => {
  const node = new TestNode();
  const error = node.through("host", build.udpFrame(pathTo(node, node.address, "8.8.8.8")));
  t.equal(error.port, "host");
  t.match(error.text, `IP 169.254.1.1 > ${node.address}: ICMP net 8.8.8.8 unreachable`);
});

t.test("a packet too long for the way that may not be cut is answered with the MTU", async (t) => {
  const node = new TestNode();
  const sent = build.udpFrame({ ...pathTo(node, POD2, "10.244.2.2"), payload: 1450 });
  const error = node.through("pod2", sent);
  t.equal(error.port, "pod2");
  t.equal(error.text, `${gatewaySays} 10.244.2.2 unreachable - need to frag (mtu 1450), length 556`);
  t.equal(error.frame.length, L3 + 576, "RFC 1812 §4.3.2.3");
  t.same(quoteOf(error), packetOf(sent).subarray(0, 548));
  t.same(node.drops(), { FRAGMENTATION_NEEDED: 1 });
  node.settle();
});

t.test("a superframe whose segments are too long is answered too", async (t) => {
  const node = new TestNode();
  const sent = build.tcpFrame({ ...pathTo(node, POD2, "10.244.2.2"), flags: "S", payload: 4000 });
  const virtio = Uint8Array.from([1, 1, 54, 0, 1420 & 255, 1420 >> 8, 34, 0, 16, 0]);
  const error = node.through("pod2", sent, virtio);
  t.match(error.text, "need to frag (mtu 1450)");
});

t.test("no error is made about an ICMP error, a later fragment, or a group frame", async (t) => {
  const node = new TestNode();
  node.tables.config.proxy.dropInvalid = 0; // else the error would not come as far
  const about = build.udpFrame(pathTo(node, POD3, POD2));
  const path = { ...pathTo(node, POD2, "8.8.8.8") };
  node.send("pod2", build.icmpErrorFrame({ ...path, type: 3, code: 1, about }));
  const later = build.udpFrame({ ...path, payload: 32 });
  const view = viewOf(later);
  view.setUint16(L3 + 6, 4);
  node.send("pod2", fixed(later));
  node.run();
  t.same(node.everything(), []);
  node.advanceMs(31_000);
  t.same(node.drops(), { NO_ROUTE: 1, FRAGMENT_TIMEOUT: 1 });
  node.settle();
});

t.test("no error is made to a source that cannot be a host", async (t) => {
  const node = new TestNode();
  node.tables.config.guard.antiSpoofing = 0; // else no pod would get so far
  for (const src of ["224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255"]) {
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, "8.8.8.8"), src }));
  }
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { MARTIAN_SOURCE: 4 });
});

t.test("loopback and multicast destinations are not routed", async (t) => {
  const node = new TestNode();
  const to = (dst: string): Uint8Array => build.udpFrame({ ...pathTo(node, POD2, "8.8.8.8"), dst });
  node.send("pod2", to("127.0.0.1"));
  node.send("pod2", to("0.1.2.3"));
  node.send("pod2", to("239.1.2.3"));
  node.send("pod2", to("255.255.255.255"));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { MARTIAN_SOURCE: 2, MULTICAST_UNROUTED: 2 });
});

t.test("errors are limited per destination, and the limit recovers", async (t) => {
  const node = new TestNode();
  const refuse = (): number => {
    for (let i = 0; i < 20; i++) node.send("pod2", build.udpFrame(pathTo(node, POD2, "8.8.8.8")));
    node.run();
    return node.received("pod2").length;
  };
  t.equal(refuse(), 6, "burst");
  t.equal(refuse(), 0);
  node.advanceMs(2000);
  t.equal(refuse(), 2);
  t.equal(node.events().ICMP_RATE_LIMITED, 52);
});

t.test("two nodes without an overlay reach each other's pods by plain routes", async (t) => {
  const node = new TestNode({ vxlan: false });
  node.send(
    "uplink",
    build.arpFrame({ senderIp: "192.168.50.12", senderMac: "02:00:00:00:00:12", targetIp: node.address }),
  );
  node.run();
  node.everything();
  const out = node.through("pod2", build.udpFrame(pathTo(node, POD2, "10.244.2.2")));
  t.equal(out.port, "uplink");
  t.same(macAt(out.frame, 0), build.mac("02:00:00:00:00:12"));
  t.match(out.text, `IP ${POD2}.41000 > 10.244.2.2.53`, "inside the cluster nothing is masqueraded");
});

t.test("headers that lie are refused, each with its reason", async (t) => {
  const node = new TestNode();
  const good = build.tcpFrame({ ...pathTo(node, POD2, POD3), flags: "S" });
  const bad = (change: (frame: Uint8Array) => void, sum = true): void => {
    const frame = good.slice();
    change(frame);
    node.send("pod2", sum ? fixed(frame) : frame);
  };
  bad((f) => (f[L3] = 0x44));
  bad((f) => (f[L3] = 0x65));
  bad((f) => (f[L3 + 3] = 255));
  bad((f) => (f[L3 + 8] = 63), false);
  bad((f) => (f[L3 + 20 + 12] = 0x40));
  bad((f) => (f[L3 + 20 + 12] = 0xf0));
  const udp = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 4 });
  udp[L3 + 20 + 5] = 100;
  node.send("pod2", udp);
  const icmp = build.echoFrame({ ...pathTo(node, POD2, POD3), payload: 0 });
  icmp[L3 + 3] = 24;
  node.send("pod2", fixed(icmp));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), {
    MALFORMED_IPV4: 3,
    BAD_IP_CHECKSUM: 1,
    MALFORMED_TCP: 2,
    MALFORMED_UDP: 1,
    MALFORMED_ICMP: 1,
  });
});

t.test("a packet that prescribes its route is refused, other options are carried along", async (t) => {
  const node = new TestNode();
  const withOptions = (...bytes: number[]): Uint8Array =>
    build.udpFrame({ ...pathTo(node, POD2, POD3), ipOptions: Uint8Array.from(bytes) });
  node.send("pod2", withOptions(0x83, 7, 4, 10, 0, 0, 1, 0));
  node.send("pod2", withOptions(1, 0x89, 7, 4, 10, 0, 0, 1));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { SOURCE_ROUTED: 2 });
  const recordRoute = withOptions(7, 7, 4, 0, 0, 0, 0, 0);
  t.same(node.through("pod2", recordRoute).frame, recordRoute);
  const alert = withOptions(0x94, 4, 0, 0);
  t.equal(node.through("pod2", alert).port, "pod3");
});

/** Repairs the IPv4 header checksum. */
function fixed(frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  view.setUint16(L3 + 10, 0);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += view.getUint16(L3 + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(L3 + 10, ~sum);
  return frame;
}

function macAt(frame: Uint8Array, at: number): { hi: number; lo: number } {
  const view = viewOf(frame);
  return { hi: view.getUint16(at), lo: view.getInt32(at + 2) };
}
