// What a mesh proxy is told of a connection that it was given, and of others.
import t from "tap";
import * as build from "../testing/frames/frame-builder.ts";
import { makeDualStack, pathTo6, pod6 } from "../testing/world/dual-stack.ts";
import { addProxy, meshed } from "../testing/world/meshed.ts";
import { macOf } from "../testing/world/test-cluster.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { liveConnections } from "./conntrack-view.ts";
import { type MeshOrigin, meshEnds, meshOrigin } from "./mesh-origin.ts";

const [POD2, POD3, VIP, VIP6] = ["10.244.1.2", "10.244.1.3", "10.96.0.10", "fd00:10:96::a"];

function makeNode(): TestNode {
  const node = makeDualStack(new TestNode());
  addProxy(node, 4);
  meshed(node, { members: [POD2, POD3, pod6(1, 2), pod6(1, 3)], proxy: 4 });
  const service = { port: 80, protocol: 6 };
  node.setService({ name: "shop/web:http", clusterIp: VIP, endpoints: [`${POD3}:8080`], ...service });
  node.setService({ name: "shop/six", externalIp: VIP6, endpoints: [`[${pod6(1, 3)}]:8080`], ...service });
  return node;
}

function origin(node: TestNode, query: string): MeshOrigin | string | undefined {
  const ends = meshEnds(new URLSearchParams(query));
  if (typeof ends === "string") return ends;
  return meshOrigin(node.tables.conntrack, ends, (id) => node.serviceName(id));
}

t.test("by the ends that its socket has: what the client asked for, and which service that is", async (t) => {
  const node = makeNode();
  node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), dstPort: 80, flags: "S" }));
  t.same(origin(node, `src=${POD2}&sport=41000&dst=${POD3}&dport=8080`), {
    original: { src: POD2, sport: 41_000, dst: VIP, dport: 80 },
    service: { namespace: "shop", name: "web", port: "http" },
  });
  const [client, pod] = [pod6(1, 2), pod6(1, 3)];
  node.through("pod2", build.tcpFrame({ ...pathTo6(node, client, VIP6), dstPort: 80, flags: "S" }));
  t.same(origin(node, `src=${client}&sport=41000&dst=${pod}&dport=8080`), {
    original: { src: client, sport: 41_000, dst: VIP6, dport: 80 },
    service: { namespace: "shop", name: "six", port: "" },
  });
  node.through(
    "pod2",
    build.tcpFrame({ ...pathTo(node, POD2, POD3), srcPort: 9, dstPort: 8080, flags: "S" }),
  );
  t.same(origin(node, `src=${POD2}&sport=9&dst=${POD3}&dport=8080`), {
    original: { src: POD2, sport: 9, dst: POD3, dport: 8080 },
  });
});

t.test(
  "of connections that it was not given it is told nothing, and bad questions are told as such",
  async (t) => {
    const node = makeNode();
    node.through("pod4", build.tcpFrame({ ...pathTo(node, "10.244.1.4", POD3), dstPort: 8080, flags: "S" }));
    t.equal(origin(node, `src=10.244.1.4&sport=41000&dst=${POD3}&dport=8080`), undefined);
    t.equal(origin(node, `src=${POD3}&sport=8080&dst=10.244.1.4&dport=41000`), undefined);
    t.equal(origin(node, `src=${POD2}&sport=1&dst=${POD3}&dport=2`), undefined);
    t.equal(
      origin(node, `src=${POD2}&dst=${pod6(1, 3)}&sport=1&dport=2`),
      "src and dst: two addresses of one family",
    );
    t.equal(origin(node, "sport=1&dport=2"), "src and dst: two addresses of one family");
    for (const ports of ["", "sport=0&dport=1", "sport=1&dport=65536", "sport=x&dport=1"])
      t.equal(origin(node, `src=${POD2}&dst=${POD3}&${ports}`), "sport and dport: two ports");
  },
);

t.test("conntrack says what the proxy has to do with a connection", async (t) => {
  const node = makeNode();
  node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), dstPort: 80, flags: "S" }));
  const link = { srcMac: macOf("10.244.1.4"), dstMac: node.gatewayMac };
  node.through(
    "pod4",
    build.tcpFrame({ ...link, src: POD2, dst: POD3, srcPort: 7, dstPort: 8080, flags: "S" }),
  );
  const entries = [...liveConnections(node.tables.conntrack, "node1")].map(({ entry }) => entry);
  t.match(entries, [{ mesh: "to-proxy" }, { mesh: "from-proxy", origZone: 65_535 }]);
  t.notOk("origZone" in entries[0]);
});
