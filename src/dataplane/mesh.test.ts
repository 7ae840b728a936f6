// The mesh in the plane: what goes to the node's proxy, what comes back from it, in whose name it may speak, and what
// becomes of it when the proxy is not there. Two nodes, both families; the proxy is pod 4, played by the test.
import t from "tap";
import * as build from "../testing/frames/frame-builder.ts";
import { makeDualStack, pathTo6, pod6 } from "../testing/world/dual-stack.ts";
import { addProxy, type MeshOptions, meshed } from "../testing/world/meshed.ts";
import { macOf, nodeAddress } from "../testing/world/test-cluster.ts";
import { CLIENT, pathTo, TestFabric } from "../testing/world/test-fabric.ts";
import type { TestNode } from "../testing/world/test-node.ts";
import { beginSettling } from "./engine.ts";
import * as conntrack from "./table/connection/conntrack.ts";

const [CLIENT_POD, OTHER, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];
const [POD, PROXY1, PROXY2] = ["10.244.2.2", "10.244.1.4", "10.244.2.4"];
const VIP6 = "fd00:10:96::a";
/** What a frame is made of. */
type Ends = { src: string; dst: string; [option: string]: unknown };
const ALL = [CLIENT_POD, POD, pod6(1, 2), pod6(2, 2)];

function makeMesh(o: Partial<MeshOptions> = {}, endpoints = [`${POD}:8080`]): TestFabric {
  const fabric = new TestFabric();
  for (const node of fabric.nodes) {
    makeDualStack(node);
    addProxy(node, 4);
    meshed(node, { members: ALL, proxy: 4, ...o });
    const names = { name: "shop/web:http", port: 80, nodePort: 30080 };
    node.setService({ ...names, clusterIp: VIP, endpoints });
  }
  return fabric;
}

/** What a station behind a port of a node sends, from its own MAC. */
function say(fabric: TestFabric, n: number, port: string, frame: Uint8Array): void {
  fabric.nodes[n - 1].send(port, frame);
  fabric.run();
}

const heard = (fabric: TestFabric, n: number, port: string): string[] => fabric.nodes[n - 1].texts(port);

/** By the gateway, from a pod's MAC, whatever the source says. */
const frameOf = (node: TestNode, host: number, o: Ends): Uint8Array =>
  build.tcpFrame({ srcMac: macOf(`10.244.${node.index}.${host}`), dstMac: node.gatewayMac, ...o });

const ask = (fabric: TestFabric, o: object = {}): void =>
  say(
    fabric,
    1,
    "pod2",
    frameOf(fabric.nodes[0], 2, { src: CLIENT_POD, dst: VIP, dstPort: 80, flags: "S", ...o }),
  );

const proxyOf = (fabric: TestFabric, n: number, o: Ends): void =>
  say(fabric, n, "pod4", frameOf(fabric.nodes[n - 1], 4, o));

/** The pod answers whatever opened a connection to it. */
const podAnswers = (fabric: TestFabric, dst: string, dstPort: number): void =>
  say(
    fabric,
    2,
    "pod2",
    frameOf(fabric.nodes[1], 2, { src: POD, dst, srcPort: 8080, dstPort, flags: "S.", ack: 1 }),
  );

const statusOf = (node: TestNode): number[] => {
  const ct = node.tables.conntrack;
  return Array.from({ length: conntrack.highWater(ct) }, (_, slot) => ct.status[slot << 4]);
};

t.test(
  "what a pod asks a service goes to the proxy as after DNAT, and comes back from it as the service's",
  async (t) => {
    const fabric = makeMesh();
    const [node] = fabric.nodes;
    ask(fabric);
    t.match(heard(fabric, 1, "pod4"), [`IP ${CLIENT_POD}.41000 > ${POD}.8080: Flags [S]`]);
    t.same(fabric.crossed, [], "nothing of it left the node");
    const back = { src: POD, dst: CLIENT_POD, srcPort: 8080, dstPort: 41000 };
    proxyOf(fabric, 1, { ...back, flags: "S.", ack: 1 });
    t.match(heard(fabric, 1, "pod2"), [`IP ${VIP}.80 > ${CLIENT_POD}.41000: Flags [S.]`]);
    ask(fabric, { flags: ".", seq: 1, ack: 1 });
    ask(fabric, { flags: "P.", seq: 1, ack: 1, payload: 100 });
    t.equal(heard(fabric, 1, "pod4").length, 2, "known packets go the same way");
    t.equal(statusOf(node)[0] & conntrack.Status.TO_PROXY, conntrack.Status.TO_PROXY);
    t.match(node.events(), { MESH_OUTBOUND: 1 });
    t.same(node.drops(), {});
    fabric.settle();
  },
);

t.test("the proxy reaches a pod in its client's name, and gets the answers", async (t) => {
  const fabric = makeMesh();
  const [, node] = fabric.nodes;
  const open = { src: CLIENT_POD, dst: POD, srcPort: 50_001, dstPort: 8080 };
  proxyOf(fabric, 2, { ...open, flags: "S" });
  t.match(heard(fabric, 2, "pod2"), [`IP ${CLIENT_POD}.50001 > ${POD}.8080: Flags [S]`]);
  podAnswers(fabric, CLIENT_POD, 50_001);
  t.match(heard(fabric, 2, "pod4"), [`IP ${POD}.8080 > ${CLIENT_POD}.50001: Flags [S.]`]);
  t.same(fabric.crossed, [], "not to the client");
  proxyOf(fabric, 2, { ...open, flags: ".", seq: 1, ack: 1 });
  t.match(heard(fabric, 2, "pod2"), [`IP ${CLIENT_POD}.50001 > ${POD}.8080: Flags [.]`]);
  t.match(node.events(), { MESH_DELIVERED: 1 });
  t.same(node.drops(), {});
});

t.test("IPv6: to the proxy and back, and in the client's name", async (t) => {
  const fabric = makeMesh();
  const [node, other] = fabric.nodes;
  const [client, pod] = [pod6(1, 2), pod6(2, 2)];
  node.setService({ name: "six", externalIp: VIP6, port: 80, protocol: 6, endpoints: [`[${pod}]:8080`] });
  const syn = { ...pathTo6(node, client, VIP6), dstPort: 80, flags: "S" };
  say(fabric, 1, "pod2", build.tcpFrame(syn));
  t.match(heard(fabric, 1, "pod4"), [`IP6 ${client}.41000 > ${pod}.8080: Flags [S]`]);
  proxyOf(fabric, 1, { src: pod, dst: client, srcPort: 8080, dstPort: 41000, flags: "S.", ack: 1 });
  t.match(heard(fabric, 1, "pod2"), [`IP6 ${VIP6}.80 > ${client}.41000: Flags [S.]`]);
  proxyOf(fabric, 2, { src: client, dst: pod, srcPort: 50_001, dstPort: 8080, flags: "S" });
  t.match(heard(fabric, 2, "pod2"), [`IP6 ${client}.50001 > ${pod}.8080: Flags [S]`]);
  const back = { ...pathTo6(other, pod, client), srcPort: 8080, dstPort: 50_001, flags: "S.", ack: 1 };
  say(fabric, 2, "pod2", build.tcpFrame(back));
  t.match(heard(fabric, 2, "pod4"), [`IP6 ${pod}.8080 > ${client}.50001: Flags [S.]`]);
  for (const each of fabric.nodes) t.same(each.drops(), {});
});

t.test("both ends on one node: two connections by one proxy, told apart even with one port", async (t) => {
  const fabric = makeMesh({ members: [CLIENT_POD, OTHER] }, [`${OTHER}:8080`]);
  const [node] = fabric.nodes;
  ask(fabric);
  t.match(heard(fabric, 1, "pod4"), [`IP ${CLIENT_POD}.41000 > ${OTHER}.8080: Flags [S]`]);
  const open = { src: CLIENT_POD, dst: OTHER, srcPort: 41_000, dstPort: 8080, flags: "S" };
  proxyOf(fabric, 1, open);
  const [first] = heard(fabric, 1, "pod3");
  const port = Number(/IP \S+\.(\d+) > 10\.244\.1\.3\.8080: Flags \[S\]/.exec(first)?.[1]);
  t.not(port, 41_000, "its answers would be the first one's");
  const answer = { src: OTHER, dst: CLIENT_POD, srcPort: 8080, flags: "S.", ack: 1 };
  say(fabric, 1, "pod3", frameOf(node, 3, { ...answer, dstPort: port }));
  t.match(heard(fabric, 1, "pod4"), [`IP ${OTHER}.8080 > ${CLIENT_POD}.41000: Flags [S.]`]);
  proxyOf(fabric, 1, { ...answer, dstPort: 41_000 });
  t.match(heard(fabric, 1, "pod2"), [`IP ${VIP}.80 > ${CLIENT_POD}.41000: Flags [S.]`]);
  t.same(node.drops(), {});
});

t.test(
  "who asks a pod of the mesh without being of it goes by the proxy as well, as who he is",
  async (t) => {
    const fabric = makeMesh();
    const [, node] = fabric.nodes;
    const plain = { src: OTHER, dst: POD, dstPort: 8080, flags: "S" };
    say(fabric, 1, "pod3", frameOf(fabric.nodes[0], 3, plain));
    t.match(heard(fabric, 2, "pod4"), [`IP ${OTHER}.41000 > ${POD}.8080: Flags [S]`], "by the pod's address");
    proxyOf(fabric, 2, { src: OTHER, dst: POD, srcPort: 41_000, dstPort: 8080, flags: "S" });
    const [opened] = heard(fabric, 2, "pod2");
    const port = Number(/IP \S+\.(\d+) >/.exec(opened)?.[1]);
    t.match(
      opened,
      `IP ${OTHER}.${port} > ${POD}.8080: Flags [S]`,
      "with the same ports: another connection",
    );
    podAnswers(fabric, OTHER, port);
    t.match(heard(fabric, 2, "pod4"), [`IP ${POD}.8080 > ${OTHER}.41000: Flags [S.]`]);
    proxyOf(fabric, 2, { src: POD, dst: OTHER, srcPort: 8080, dstPort: 41_000, flags: "S.", ack: 1 });
    t.match(heard(fabric, 1, "pod3"), [`IP ${POD}.8080 > ${OTHER}.41000: Flags [S.]`]);
    const outside = { ...pathTo(node, CLIENT, node.address), dstPort: 30080, flags: "S" };
    fabric.send(build.tcpFrame(outside));
    t.match(heard(fabric, 2, "pod4"), [`IP ${CLIENT}.41000 > ${POD}.8080: Flags [S]`], "not masqueraded");
    fabric.client.got.splice(0);
    proxyOf(fabric, 2, { src: POD, dst: CLIENT, srcPort: 8080, dstPort: 41_000, flags: "S.", ack: 1 });
    t.match(
      fabric.client.got.map(({ text }) => text),
      [`IP ${node.address}.30080 > ${CLIENT}.41000`],
    );
    t.match(node.events(), { MESH_INBOUND: 2, MESH_DELIVERED: 1 });
    for (const each of fabric.nodes) t.same(each.drops(), {});
  },
);

t.test("neighbours on one bridge go by the proxy, too", async (t) => {
  const fabric = makeMesh({ members: [CLIENT_POD] });
  const [node] = fabric.nodes;
  say(fabric, 1, "pod3", build.tcpFrame({ ...pathTo(node, OTHER, CLIENT_POD), dstPort: 8080, flags: "S" }));
  t.match(heard(fabric, 1, "pod4"), [`IP ${OTHER}.41000 > ${CLIENT_POD}.8080: Flags [S]`]);
  const back = { src: CLIENT_POD, dst: OTHER, srcPort: 8080, dstPort: 41000, flags: "S.", ack: 1 };
  proxyOf(fabric, 1, { ...back, dstMac: macOf(OTHER) });
  t.match(heard(fabric, 1, "pod3"), [`IP ${CLIENT_POD}.8080 > ${OTHER}.41000: Flags [S.]`]);
  t.same(node.drops(), {});
});

t.test("what is not the mesh's goes on as ever", async (t) => {
  const fabric = makeMesh({}, [`${OTHER}:8080`, "10.244.2.3:8080"]);
  const [node] = fabric.nodes;
  ask(fabric);
  t.match(
    [...heard(fabric, 1, "pod3"), ...heard(fabric, 2, "pod3")],
    [/Flags \[S\]/],
    "an endpoint that is not of it",
  );
  fabric.nodes[1].setService({ name: "shop/web:http", clusterIp: VIP, endpoints: [`${POD}:8080`] });
  const probe = { srcMac: fabric.nodes[1].uplinkMac, dstMac: fabric.nodes[1].gatewayMac };
  say(
    fabric,
    2,
    "host",
    build.tcpFrame({ ...probe, src: nodeAddress(2), dst: POD, dstPort: 8080, flags: "S" }),
  );
  t.match(heard(fabric, 2, "pod2"), [`IP ${nodeAddress(2)}.41000 > ${POD}.8080`], "the node's own probes");
  say(fabric, 1, "pod3", build.udpFrame({ ...pathTo(node, OTHER, POD), dstPort: 8080 }));
  t.equal(heard(fabric, 2, "pod2").length, 1, "UDP");
  proxyOf(fabric, 2, { src: PROXY2, dst: POD, dstPort: 8080, flags: "S" });
  t.match(heard(fabric, 2, "pod2"), [`IP ${PROXY2}.41000 > ${POD}.8080`], "the proxy's own connections");
  proxyOf(fabric, 1, { src: PROXY1, dst: PROXY2, dstPort: 15_008, flags: "S" });
  t.match(heard(fabric, 2, "pod4"), [`IP ${PROXY1}.41000 > ${PROXY2}.15008`], "one proxy to the other");
  for (const name of [1, 2]) t.same(heard(fabric, name, "pod4"), []);
  for (const each of fabric.nodes) t.same(each.drops(), {});
});

t.test("a pod that reaches itself by a service does so without the proxy", async (t) => {
  const fabric = makeMesh({}, [`${CLIENT_POD}:8080`]);
  ask(fabric);
  t.match(heard(fabric, 1, "pod2"), [/> 10\.244\.1\.2\.8080: Flags \[S\]/]);
});

t.test("the proxy speaks for nobody else than its connections' ends", async (t) => {
  const fabric = makeMesh();
  const [node] = fabric.nodes;
  const cases: [string, Ends][] = [
    ["a pod that is not of the mesh", { src: CLIENT_POD, dst: OTHER, flags: "S" }],
    ["a pod elsewhere", { src: CLIENT_POD, dst: POD, flags: "S" }],
    ["what is no beginning", { src: POD, dst: CLIENT_POD, flags: "." }],
    ["an answer nobody asked for", { src: POD, dst: CLIENT_POD, flags: "S.", ack: 1 }],
    ["the world", { src: CLIENT_POD, dst: CLIENT, flags: "S" }],
  ];
  for (const [why, o] of cases) {
    proxyOf(fabric, 1, { dstPort: 8080, ...o });
    t.same(node.takeDrops(), { SPOOFED_SOURCE: 1 }, why);
  }
  const udp = { srcMac: macOf(PROXY1), dstMac: node.gatewayMac, src: POD, dst: CLIENT_POD, dstPort: 8080 };
  say(fabric, 1, "pod4", build.udpFrame(udp));
  t.same(node.takeDrops(), { SPOOFED_SOURCE: 1 }, "UDP");
  proxyOf(fabric, 1, { srcMac: macOf(OTHER), src: POD, dst: CLIENT_POD, dstPort: 8080, flags: "S" });
  t.same(node.takeDrops(), { SPOOFED_MAC: 1 }, "another's MAC");
  say(fabric, 1, "pod3", frameOf(node, 3, { src: POD, dst: CLIENT_POD, dstPort: 8080, flags: "S" }));
  t.same(node.takeDrops(), { SPOOFED_SOURCE: 1 }, "nobody but the proxy");
});

t.test("the endpoint itself cannot answer for the proxy", async (t) => {
  const fabric = makeMesh({ members: [CLIENT_POD, OTHER] }, [`${OTHER}:8080`]);
  const [node] = fabric.nodes;
  ask(fabric);
  heard(fabric, 1, "pod4");
  const forged = { src: OTHER, dst: CLIENT_POD, srcPort: 8080, dstPort: 41_000, flags: "S.", ack: 1 };
  for (const [dropInvalid, reason] of [
    [1, "CT_INVALID"],
    [0, "CT_INVALID_NAT"],
  ] as const) {
    node.tables.config.proxy.dropInvalid = dropInvalid;
    say(fabric, 1, "pod3", frameOf(node, 3, forged));
    t.same(heard(fabric, 1, "pod2"), []);
    t.same(node.takeDrops(), { [reason]: 1 });
  }
  t.match(node.connections(), [/SYN_SENT/], "and moves nothing");
});

t.test("while the proxy is not ready connections are refused, or go without it", async (t) => {
  for (const o of [{ isReady: false }, { proxy: 9 }]) {
    const fabric = makeMesh(o);
    const [node] = fabric.nodes;
    ask(fabric);
    t.match(heard(fabric, 1, "pod2"), [`IP ${VIP}.80 > ${CLIENT_POD}.41000: Flags [R.]`]);
    t.same(node.drops(), { MESH_PROXY_AWAY: 1 });
    t.same(node.connections(), []);
    meshed(node, { members: ALL, ...o, bypass: true });
    ask(fabric);
    t.match(fabric.crossed.at(-1)?.text, "8472", "into the tunnel");
    t.match(node.events(), { MESH_BYPASSED: 1 });
  }
});

t.test("a connection whose proxy is gone is reset; while an agent begins, nothing is said", async (t) => {
  const fabric = makeMesh();
  const [node] = fabric.nodes;
  ask(fabric);
  heard(fabric, 1, "pod4");
  meshed(node, { members: ALL, proxy: 4, isReady: false });
  ask(fabric);
  t.equal(heard(fabric, 1, "pod4").length, 1, "not ready: known connections go on");
  beginSettling(node.engine, node.clock.nowMs());
  meshed(node, { members: ALL });
  ask(fabric);
  t.same(heard(fabric, 1, "pod2"), []);
  node.tables.isSettling = 0;
  ask(fabric);
  t.match(heard(fabric, 1, "pod2"), [`IP ${VIP}.80 > ${CLIENT_POD}.41000: Flags [R.]`]);
  t.same(node.drops(), { MESH_PROXY_AWAY: 2 });
});

t.test("connections stay what they were when their namespace's label goes", async (t) => {
  const fabric = makeMesh();
  const [node] = fabric.nodes;
  ask(fabric);
  for (const each of fabric.nodes) meshed(each, { members: [], proxy: 4 });
  ask(fabric);
  t.equal(heard(fabric, 1, "pod4").length, 2);
  proxyOf(fabric, 1, { src: POD, dst: CLIENT_POD, srcPort: 8080, dstPort: 41_000, flags: "S.", ack: 1 });
  t.match(heard(fabric, 1, "pod2"), [`IP ${VIP}.80 > ${CLIENT_POD}.41000: Flags [S.]`]);
  ask(fabric, { srcPort: 41_001 });
  t.same(heard(fabric, 1, "pod4"), [], "a new one goes without it");
  t.same(node.drops(), {});
});

t.test("without anti-spoofing the proxy's connections are told apart all the same", async (t) => {
  const fabric = makeMesh({ members: [CLIENT_POD, OTHER] }, [`${OTHER}:8080`]);
  const [node] = fabric.nodes;
  node.tables.config.guard.antiSpoofing = 0;
  ask(fabric);
  proxyOf(fabric, 1, { src: CLIENT_POD, dst: OTHER, srcPort: 41_000, dstPort: 8080, flags: "S" });
  t.equal(heard(fabric, 1, "pod3").length, 1);
  const { TO_PROXY, FROM_PROXY } = conntrack.Status;
  t.same(
    statusOf(node).map((status) => status & (TO_PROXY | FROM_PROXY)),
    [TO_PROXY, FROM_PROXY],
  );
});

t.test("errors about a proxy's packets reach the proxy", async (t) => {
  const fabric = makeMesh();
  const [, node] = fabric.nodes;
  proxyOf(fabric, 2, { src: CLIENT_POD, dst: POD, srcPort: 50_001, dstPort: 8080, flags: "S", ttl: 1 });
  t.match(heard(fabric, 2, "pod4"), [/ICMP time exceeded/]);
  t.same(fabric.crossed, [], "not its client");
  t.same(node.drops(), { TTL_EXCEEDED: 1 });
  proxyOf(fabric, 2, { src: CLIENT_POD, dst: POD, srcPort: 50_001, dstPort: 8080, flags: "S" });
  const about = build.tcpFrame({
    ...pathTo(node, CLIENT_POD, POD),
    srcPort: 50_001,
    dstPort: 8080,
    flags: "S",
  });
  const from = { ...pathTo(node, POD, CLIENT_POD), about, type: 3, code: 10 };
  say(fabric, 2, "pod2", build.icmpErrorFrame(from));
  t.match(heard(fabric, 2, "pod4"), [/ICMP/], "an endpoint's, too");
});
