// Addresses of clients kept from node to node: a client of a node port at one node, a pod on another. What the pod sees,
// which way its answers go, what of errors, fragments and connections of one tuple; and what falls back to masquerading.
import t from "tap";
import { formatMac } from "../base/mac.ts";
import { fragmentsOf, joinFragments } from "../testing/frames/fragment-frames.ts";
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
  vtep6,
} from "../testing/world/dual-stack.ts";
import { brought, keepClients, keepingFabric } from "../testing/world/kept-clients.ts";
import { PolicyWorld, testNodes, testPod, testPolicy } from "../testing/world/policy-world.ts";
import {
  macWords,
  nodeAddress,
  nodeRoutes,
  route,
  uplinkMacOf,
  vtepMacOf,
  words,
} from "../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo, type TestFabric } from "../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../testing/world/test-node.ts";
import { RouteKind } from "./spec/routes.ts";
import * as conntrack from "./table/connection/conntrack.ts";
import * as neighbor from "./table/neighbor.ts";

const [LOCAL_POD, POD] = ["10.244.1.2", "10.244.2.2"];
const POD6 = pod6(2, 2);
const NODE_PORT = 30080;
const L3 = 14;

/** A service by node port at every node, with the pod of node 2 behind it. */
function serve(fabric: TestFabric, endpoints = [`${POD}:8080`], protocol = 6): TestFabric {
  for (const node of fabric.nodes) {
    node.setService({ name: "web", nodePort: NODE_PORT, endpoints, protocol });
  }
  return fabric;
}

const web = (protocol = 6, count = 2, keeping?: number[]): TestFabric =>
  serve(keepingFabric(count, keeping), [`${POD}:8080`], protocol);

/** The client knocks at node `n`. */
function knock(fabric: TestFabric, n: number, flags = "S", srcPort = 41000): string[] {
  const path = pathTo(fabric.nodes[n - 1], CLIENT, nodeAddress(n));
  fabric.send(build.tcpFrame({ ...path, flags, srcPort, dstPort: NODE_PORT }));
  return fabric.nodes[1].texts("pod2");
}

/** The pod of node 2 answers; what reaches the client. */
function answer(fabric: TestFabric, frame: Uint8Array): string[] {
  const [, node] = fabric.nodes;
  fabric.client.got.splice(0);
  fabric.crossed.splice(0);
  node.send("pod2", frame);
  fabric.run();
  return fabric.client.got.splice(0).map(({ text }) => text);
}

const synAck = (fabric: TestFabric, dstPort = 41000): Uint8Array =>
  build.tcpFrame({ ...pathTo(fabric.nodes[1], POD, CLIENT), flags: "S.", ack: 1, srcPort: 8080, dstPort });

const outer = ({ text }: Received): string =>
  /^IP (\S+)\.\d+ > (\S+)\.8472/.exec(text)?.slice(1).join(" > ") ?? text;

t.test("the pod sees the client, and its answers leave by the node that the client knocked at", async (t) => {
  const fabric = web();
  t.match(knock(fabric, 1), [`IP ${CLIENT}.41000 > ${POD}.8080: Flags [S]`]);
  t.match(answer(fabric, synAck(fabric)), [
    `IP ${nodeAddress(1)}.${NODE_PORT} > ${CLIENT}.41000: Flags [S.]`,
  ]);
  t.equal(outer(fabric.crossed[0]), `${nodeAddress(2)} > ${nodeAddress(1)}`, "back through the tunnel");
  t.match(knock(fabric, 1, "."), [`IP ${CLIENT}.41000 > ${POD}.8080: Flags [.]`]);
  for (const node of fabric.nodes) t.same(node.drops(), {});
  fabric.settle();
});

t.test(
  "the pod's own node port answers the client directly, and so does a pod of the entering node",
  async (t) => {
    const fabric = web();
    t.match(knock(fabric, 2), [`IP ${CLIENT}.41000 > ${POD}.8080: Flags [S]`]);
    t.match(answer(fabric, synAck(fabric)), [
      `IP ${nodeAddress(2)}.${NODE_PORT} > ${CLIENT}.41000: Flags [S.]`,
    ]);
    t.equal(fabric.crossed.length, 1, "nothing through the tunnel");
    serve(fabric, [`${LOCAL_POD}:8080`]);
    knock(fabric, 1);
    t.match(fabric.nodes[0].texts("pod2"), [`IP ${CLIENT}.41000 > ${LOCAL_POD}.8080: Flags [S]`]);
  },
);

t.test("UDP, and datagrams in fragments, both ways", async (t) => {
  const fabric = web(17);
  const [entry, node] = fabric.nodes;
  const path = pathTo(entry, CLIENT, entry.address);
  const large = build.udpFrame({ ...path, dstPort: NODE_PORT, payload: 3000, dontFragment: false });
  for (const piece of fragmentsOf(large, 1480)) fabric.send(piece);
  const got = joinFragments(node.received("pod2").map(({ frame }) => frame));
  t.same([...got.subarray(L3 + 12, L3 + 20)], [192, 168, 50, 100, 10, 244, 2, 2]);
  t.equal(got.length, large.length);
  const back = build.udpFrame({
    ...pathTo(node, POD, CLIENT),
    ...{ srcPort: 8080, dstPort: 41000, payload: 3000, dontFragment: false },
  });
  for (const piece of fragmentsOf(back, 1424)) node.send("pod2", piece);
  fabric.run();
  const whole = joinFragments(fabric.client.got.map(({ frame }) => frame));
  t.same([...whole.subarray(L3 + 12, L3 + 20)], [192, 168, 50, 11, 192, 168, 50, 100]);
  t.same([whole.length, node.drops(), entry.drops()], [back.length, {}, {}]);
  fabric.settle();
});

t.test("IPv6: connections, fragments, and errors", async (t) => {
  const fabric = keepingFabric();
  const [entry, node] = fabric.nodes;
  const { w0, w1, w2, w3 } = words(CLIENT6);
  const [hi, lo] = macWords(CLIENT_MAC);
  neighbor.addPermanent(entry.tables.fabric, w0, w1, w2, w3, hi, lo, entry.portId("uplink"));
  const service = { name: "six", externalIp: node6(1), port: NODE_PORT, protocol: 17 };
  entry.setService({ ...service, endpoints: [`[${POD6}]:8080`] });
  const ask = build.udpFrame({ ...pathTo6(entry, CLIENT6, node6(1)), dstPort: NODE_PORT, payload: 3000 });
  for (const piece of fragmentsOf6(ask, 1400, 7)) fabric.send(piece);
  const pieces = node.received("pod2").map(({ frame }) => frame);
  t.match(node.connections(), [`udp [${CLIENT6}]:41000>[${POD6}]:8080 [${POD6}]:8080>[${CLIENT6}]:41000`]);
  t.equal(joinFragments6(pieces).length, ask.length);
  const reply = { ...pathTo6(node, POD6, CLIENT6), srcPort: 8080, dstPort: 41000 };
  t.match(answer(fabric, build.udpFrame({ ...reply, payload: 9 })), [
    `IP6 ${node6(1)}.${NODE_PORT} > ${CLIENT6}.41000`,
  ]);
  const about = build.udpFrame({ ...pathTo6(node, CLIENT6, POD6), dstPort: 8080, payload: 9 });
  const refusal = build.icmpErrorFrame({ ...pathTo6(node, POD6, CLIENT6), about, type: 1, code: 4 });
  answer(fabric, refusal);
  t.match(fabric.crossed.at(-1)?.text, `IP6 ${node6(1)} > ${CLIENT6}: ICMP6, destination unreachable`);
  t.same([node.drops(), entry.drops()], [{}, {}]);
});

t.test("towards a node that does not keep addresses clients are masqueraded", async (t) => {
  const fabric = web(6, 2, [1]);
  t.match(knock(fabric, 1), [`IP ${fabric.nodes[0].vtep}.`]);
  const reply = /IP \S+\.(\d+) >/.exec(fabric.nodes[1].connections()[0] ?? "");
  t.equal(reply, null);
  t.match(fabric.nodes[0].connections(), [`${POD}:8080>10.244.1.0:`]);
});

t.test("who is no client from outside is masqueraded as ever", async (t) => {
  const fabric = web();
  const [entry, node] = fabric.nodes;
  const at = { dstPort: NODE_PORT, flags: "S", dst: entry.address };
  const from = (name: string, o: object): string[] => {
    entry.send(name, build.tcpFrame({ ...pathTo(entry, LOCAL_POD, CLIENT), ...at, ...o }));
    fabric.run();
    return node.texts("pod2");
  };
  t.match(from("pod2", {}), [`IP ${entry.vtep}.`], "a pod");
  const own = { src: entry.address, srcMac: entry.uplinkMac, dstMac: entry.gatewayMac };
  t.match(from("host", own), [`IP ${entry.vtep}.`], "the node itself");
  const other = { src: node.address, srcMac: node.uplinkMac, dstMac: entry.uplinkMac };
  t.match(from("uplink", other), [`IP ${entry.vtep}.`], "another node, even the pod's own");
  entry.setService({ name: "vip", clusterIp: "10.96.0.9", endpoints: [`${POD}:8080`] });
  const guest = { ...own, src: "198.51.100.7" };
  t.match(from("host", guest), [`IP ${entry.vtep}.`], "whom the node's own stack forwards for");
  const vip = { ...pathTo(entry, CLIENT, "10.96.0.9"), dst: "10.96.0.9", dstPort: 80 };
  t.match(from("uplink", vip), [`IP ${entry.vtep}.`], "a ClusterIP has no clients outside");
});

t.test("a pod that leads an FTP conversation sees who it can open a connection to", async (t) => {
  const fabric = serve(keepingFabric(), [`${POD}:21`]);
  for (const node of fabric.nodes) node.tables.config.extra.ftpHelper = 1;
  t.match(knock(fabric, 1), [`IP ${fabric.nodes[0].vtep}.`]);
});

t.test("one client by two nodes with one port: two connections, and answers find their own", async (t) => {
  const fabric = web(6, 3);
  const [, node] = fabric.nodes;
  t.match(knock(fabric, 1), [`IP ${CLIENT}.41000 > ${POD}.8080: Flags [S]`]);
  const [second] = knock(fabric, 3);
  const port = Number(/IP \S+\.(\d+) >/.exec(second)?.[1]);
  t.match(second, `IP ${CLIENT}.${port} > ${POD}.8080: Flags [S]`);
  t.not(port, 41000);
  t.equal(node.connections().length, 2);
  t.match(answer(fabric, synAck(fabric)), [`IP ${nodeAddress(1)}.${NODE_PORT} > ${CLIENT}.41000`]);
  t.match(answer(fabric, synAck(fabric, port)), [`IP ${nodeAddress(3)}.${NODE_PORT} > ${CLIENT}.41000`]);
  t.match(knock(fabric, 3, "."), [`IP ${CLIENT}.${port} > ${POD}.8080: Flags [.]`]);
});

t.test("what comes in fragments by two nodes at once is put together by node", async (t) => {
  const node = new TestNode({ index: 2, nodes: 3 });
  keepClients(node, 3);
  const path = { src: CLIENT, dst: POD, dstPort: 8080, dontFragment: false, id: 9 };
  const [a, b] = [1, 3].map((n) => {
    const link = { srcMac: vtepMacOf(n), dstMac: vtepMacOf(2) };
    const whole = build.udpFrame({ ...path, ...link, payload: String(n).repeat(2000) });
    const outerLink = {
      srcMac: uplinkMacOf(n),
      dstMac: uplinkMacOf(2),
      src: nodeAddress(n),
      dst: node.address,
    };
    return fragmentsOf(whole, 1200).map((inner) => build.vxlanFrame({ ...outerLink, inner }));
  });
  for (const piece of [a[0], b[0], a[1], b[1]]) node.send("uplink", piece);
  node.run();
  t.same([node.drops(), node.connections().length], [{}, 2]);
  const text = node.received("pod2").map(({ frame }) => String.fromCharCode(frame[100]));
  t.same(text, ["1", "1", "3", "3"]);
});

t.test("errors: of the pod to the client, of a router to the pod, of the nodes on the way", async (t) => {
  const fabric = web();
  const [entry, node] = fabric.nodes;
  knock(fabric, 1);
  const asked = { ...pathTo(node, CLIENT, POD), srcPort: 41000, dstPort: 8080, flags: "S" };
  const refused = { ...pathTo(node, POD, CLIENT), about: build.tcpFrame(asked), type: 3, code: 3 };
  const [told] = answer(fabric, build.icmpErrorFrame(refused));
  t.match(told, `IP ${entry.address} > ${CLIENT}: ICMP ${entry.address} tcp port ${NODE_PORT} unreachable`);

  const sent = { ...pathTo(entry, entry.address, CLIENT), srcPort: NODE_PORT, dstPort: 41000, flags: "S." };
  const router = { ...pathTo(entry, "203.0.113.1", entry.address), type: 3, code: 4, rest: 1200 };
  fabric.send(build.icmpErrorFrame({ ...router, about: build.tcpFrame(sent) }));
  t.match(node.texts("pod2"), [
    `IP 203.0.113.1 > ${POD}: ICMP ${CLIENT} unreachable - need to frag (mtu 1200)`,
  ]);

  const narrow = [...entry.tables.routes.mtu];
  entry.tables.routes.mtu.fill(1300);
  const large = { ...pathTo(node, POD, CLIENT), srcPort: 8080, dstPort: 41000, ack: 1, payload: 1380 };
  node.send("pod2", build.tcpFrame({ ...large, dontFragment: true }));
  fabric.run();
  t.match(node.texts("pod2"), [
    `IP ${entry.vtep} > ${POD}: ICMP ${CLIENT} unreachable - need to frag (mtu 1300)`,
  ]);
  entry.tables.routes.mtu.set(narrow);
  t.same(node.drops(), {});
});

t.test(
  "path MTU: what is too long for the tunnel, or for the pod, the client hears of in its own words",
  async (t) => {
    const fabric = web();
    const [entry, node] = fabric.nodes;
    knock(fabric, 1);
    answer(fabric, synAck(fabric));
    const large = { ...pathTo(entry, CLIENT, entry.address), dstPort: NODE_PORT, seq: 1, dontFragment: true };
    const told = (payload: number): string[] => {
      fabric.client.got.splice(0);
      fabric.send(build.tcpFrame({ ...large, payload }));
      return fabric.client.got.splice(0).map(({ text }) => text);
    };
    const needs = (mtu: number): RegExp =>
      new RegExp(
        `^IP ${entry.address} > ${CLIENT}: ICMP ${entry.address} unreachable - need to frag \\(mtu ${mtu}\\)`,
      );
    t.match(told(1440), [needs(1450)]);
    node.tables.routes.mtu[node.tables.routes.kind.indexOf(RouteKind.PODS)] = 1300;
    t.match(told(1400), [needs(1300)], "by the pod's node, through the tunnel");
    t.equal(outer(fabric.crossed.at(-2) as Received), `${node.address} > ${entry.address}`);
    node.tables.routes.mtu.fill(1200);
    const longer = { ...pathTo(node, POD, CLIENT), srcPort: 8080, dstPort: 41000, ack: 1, payload: 1300 };
    node.send("pod2", build.tcpFrame({ ...longer, dontFragment: true }));
    fabric.run();
    t.match(node.texts("pod2"), [
      `IP ${node.gateway} > ${POD}: ICMP ${CLIENT} unreachable - need to frag (mtu 1200)`,
    ]);
  },
);

t.test(
  "a datagram of which a piece is missing, and a hop too many: the client hears it from its own node",
  async (t) => {
    const fabric = web(17);
    const [entry, node] = fabric.nodes;
    const path = { ...pathTo(entry, CLIENT, entry.address), dstPort: NODE_PORT, dontFragment: false };
    fabric.send(build.udpFrame({ ...path, payload: 8 }));
    node.texts("pod2");
    fabric.client.got.splice(0);
    fabric.send(build.udpFrame({ ...path, payload: 8, ttl: 2 }));
    t.match(fabric.client.got.splice(0), [
      { text: `IP ${entry.address} > ${CLIENT}: ICMP time exceeded in-transit` },
    ]);
    const datagram = build.udpFrame({
      ...pathTo(node, CLIENT, POD),
      dstPort: 8080,
      payload: 2000,
      dontFragment: false,
    });
    const [first] = fragmentsOf(datagram, 1200);
    const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: entry.address, dst: node.address };
    first.set(macBytes(vtepMacOf(2)), 0);
    first.set(macBytes(vtepMacOf(1)), 6);
    fabric.send(build.vxlanFrame({ ...link, inner: first }));
    fabric.advanceMs(20_000);
    fabric.send(build.udpFrame({ ...path, payload: 8 })); // the connection lives
    fabric.advanceMs(12_000);
    t.match(fabric.client.got.splice(0), [
      { text: `IP ${entry.address} > ${CLIENT}: ICMP ip reassembly time exceeded` },
    ]);
  },
);

function macBytes(text: string): number[] {
  return text.split(":").map((byte) => Number.parseInt(byte, 16));
}

t.test("the tunnel brings clients to pods alone, and only from nodes that keep addresses", async (t) => {
  for (const [what, peers, frame, drops] of [
    ["of one that does", [1], brought(), {}],
    ["of one that does not", [], brought(), { TUNNEL_OUTSIDE_SOURCE: 1 }],
    ["to the node", [1], brought({}, nodeAddress(2)), { TUNNEL_OUTSIDE_SOURCE: 1 }],
    ["to go on outside", [1], brought({}, "203.0.113.9"), { TUNNEL_OUTSIDE_SOURCE: 1 }],
    ["under another's MAC", [1], brought({ srcMac: vtepMacOf(3) }), { SPOOFED_MAC: 1 }],
    ["with an address of the pod's node", [1], brought({ src: nodeAddress(2) }), { MARTIAN_SOURCE: 1 }],
    ["pods of other nodes", [], brought({ src: "10.244.1.7" }), {}],
    ["and nodes themselves", [], brought({ src: nodeAddress(1) }), {}],
  ] as const) {
    const node = new TestNode({ index: 2 });
    keepClients(node, 2, [...peers]);
    node.send("uplink", frame);
    node.run();
    t.same(node.drops(), drops, what);
  }
  const node = new TestNode({ index: 2 });
  t.match(
    node.through("uplink", brought()).text,
    `IP ${CLIENT}.41000 > ${POD}.8080`,
    "switched off: as it was",
  );
  t.match(node.connections(), [`udp ${CLIENT}:41000>`]);
});

t.test("an entering node that started anew leaves answers alone until the client speaks again", async (t) => {
  for (const protocol of [6, 17]) {
    const fabric = web(protocol);
    const [entry, node] = fabric.nodes;
    const frame = (path: Parameters<typeof build.udpFrame>[0], flags: string): Uint8Array => {
      if (protocol === 17) return build.udpFrame({ ...path, payload: 5 });
      return build.tcpFrame({ ...path, flags, ack: 1, payload: flags === "S" ? 0 : 5 });
    };
    const ask = (flags: string): void => {
      const path = { ...pathTo(entry, CLIENT, nodeAddress(1)), srcPort: 41000, dstPort: NODE_PORT };
      fabric.send(frame(path, flags));
    };
    const reply = frame({ ...pathTo(node, POD, CLIENT), srcPort: 8080, dstPort: 41000 }, "P.");
    ask("S");
    conntrack.remove(entry.tables.conntrack, 0);
    t.same(answer(fabric, reply), [], "nothing that the client could not place");
    t.same([entry.drops(), entry.connections()], [{ CT_INVALID: 1 }, []]);
    ask("P.");
    t.match(answer(fabric, reply), [`IP ${nodeAddress(1)}.${NODE_PORT} > ${CLIENT}.41000`], "it goes on");
  }
});

t.test("policies of the pod's node see the client, in both families", async (t) => {
  const annotations = { "podwire.dev/keep-client-address": "true" };
  const nodes = testNodes().map((node, i) => ({ ...node, metadata: { name: `node${i + 1}`, annotations } }));
  const blocks = [`${CLIENT}/32`, `${CLIENT6}/128`].map((cidr) => ({ ipBlock: { cidr } }));
  const partners = testPolicy("partners", { podSelector: {}, ingress: [{ from: blocks }] });
  const db = testPod({ name: "db", ips: [LOCAL_POD, "fd00:10:244:1::2"] });
  const world = new PolicyWorld([...nodes, db, partners], { overlay: { type: "vxlan", vni: 1, port: 8472 } });
  const { macHi, macLo } = world.tables.ports;
  const link = { srcMac: uplinkMacOf(2), dstMac: formatMac(macHi[world.uplink.id], macLo[world.uplink.id]) };
  const from = (src: string): string => {
    const dst = src.includes(":") ? "fd00:10:244:1::2" : LOCAL_POD;
    const inner = build.udpFrame({ src, dst, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1), dstPort: 8080 });
    const outside = { ...link, src: nodeAddress(2), dst: nodeAddress(1) };
    return world.send(world.uplink, build.vxlanFrame({ ...outside, inner }));
  };
  t.equal(from(CLIENT), "pod default/db");
  t.equal(from("192.168.50.101"), "POLICY_DENY");
  t.equal(from(CLIENT6), "pod default/db");
  t.equal(from("fd00:192:168:50::101"), "POLICY_DENY");
});

t.test("an agent that starts anew knows by whom its clients came", async (t) => {
  const fabric = web();
  knock(fabric, 1);
  answer(fabric, synAck(fabric));
  const [entry, before] = fabric.nodes;
  const node = new TestNode({ index: 2, durable: before.memory.durable, clock: fabric.clock });
  keepClients(node, 2);
  node.send(
    "uplink",
    build.arpFrame({ senderIp: entry.address, senderMac: entry.uplinkMac, targetIp: node.address }),
  );
  node.run();
  node.everything();
  const reply = node.through(
    "pod2",
    build.tcpFrame({
      ...pathTo(node, POD, CLIENT),
      ...{ flags: ".", srcPort: 8080, dstPort: 41000, ack: 1, seq: 1 },
    }),
  );
  t.equal(outer(reply), `${node.address} > ${entry.address}`);
});

t.test("when the entering node is gone nobody else answers in its name", async (t) => {
  const fabric = web(6, 3);
  const [, node] = fabric.nodes;
  knock(fabric, 1);
  node.tables.vteps.byMac.fill(0);
  t.same(answer(fabric, synAck(fabric)), []);
  t.same(node.drops(), { NO_ROUTE: 1 });
  t.match(node.texts("pod2"), [`ICMP net ${CLIENT} unreachable`]);
});

t.test("what is INVALID of such a connection goes nowhere, in every mode", async (t) => {
  const fabric = web();
  const [, node] = fabric.nodes;
  node.tables.config.proxy.dropInvalid = 0;
  knock(fabric, 1);
  answer(fabric, synAck(fabric));
  knock(fabric, 1, ".");
  t.same(
    answer(
      fabric,
      build.tcpFrame({
        ...pathTo(node, POD, CLIENT),
        ...{ flags: ".", srcPort: 8080, dstPort: 41000, seq: 0x4000_0000, ack: 1 },
      }),
    ),
    [],
  );
  t.same(node.drops(), { CT_INVALID_NAT: 1 });
});

t.test("a node that has pods of one family only is answered by their route", async (t) => {
  const node = makeDualStack(new TestNode({ index: 2 }));
  node.setRoutes([
    ...nodeRoutes(2, 2, true),
    route(`${vtep6(2)}/64`, RouteKind.PODS, { src: gateway6(2), mtu: 1450 }),
  ]);
  keepClients(node, 2);
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const path = { src: CLIENT6, dst: POD6, srcMac: vtepMacOf(1), dstMac: vtepMacOf(2), dstPort: 8080 };
  node.through("uplink", build.vxlanFrame({ ...link, inner: build.udpFrame(path) }));
  node.send("pod2", build.udpFrame({ ...pathTo6(node, POD6, CLIENT6), srcPort: 8080, dstPort: 41000 }));
  node.run();
  t.match(node.texts("uplink"), [`who-has ${nodeAddress(1)}`]);
});
