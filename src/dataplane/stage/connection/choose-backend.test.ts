// Services: who gets a new connection, what is rejected, what dropped, and that answers come back untranslated.
import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { Action } from "../../spec/services.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const VIP = "10.96.0.10";
const WEB = { name: "default/web", clusterIp: VIP, nodePort: 30080, endpoints: [`${POD3}:8080`] };

function syn(node: TestNode, src: string, dst: string, o: object = {}): Uint8Array {
  return build.tcpFrame({ ...pathTo(node, src, dst), flags: "S", mss: 1410, ...o });
}
function synAck(node: TestNode, src: string, dst: string, srcPort: number, dstPort: number): Uint8Array {
  return build.tcpFrame({ ...pathTo(node, src, dst), flags: "S.", srcPort, dstPort });
}
/** "… > 10.0.0.1.1234: …" → source address and port of a TCP or UDP packet. */
function source(text: string): [address: string, port: number] {
  const match = /^IP (\S+)\.(\d+) > /.exec(text);
  if (match === null) throw new Error(text);
  return [match[1], Number(match[2])];
}

function nodeWith(...services: Parameters<TestNode["setService"]>[0][]): TestNode {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  for (const service of services) node.setService(service);
  return node;
}

t.test(
  "a pod reaches a ClusterIP with its own address, and the bridged answer comes from the ClusterIP",
  async (t) => {
    const node = nodeWith(WEB);
    const out = node.through("pod2", syn(node, POD2, VIP));
    t.equal(out.port, "pod3");
    t.match(out.text, `IP ${POD2}.41000 > ${POD3}.8080: Flags [S]`);
    const back = node.through("pod3", synAck(node, POD3, POD2, 8080, 41000));
    t.equal(back.port, "pod2");
    t.match(back.text, `IP ${VIP}.80 > ${POD2}.41000: Flags [S.]`);
    node.settle();
  },
);

t.test("the answer is translated too when the pod sends it by way of the gateway", async (t) => {
  const node = nodeWith(WEB);
  node.through("pod2", syn(node, POD2, VIP));
  const answer = build.tcpFrame({
    ...pathTo(node, POD3, POD2),
    dstMac: node.gatewayMac,
    flags: "S.",
    srcPort: 8080,
    dstPort: 41000,
  });
  t.match(node.through("pod3", answer).text, `IP ${VIP}.80 > ${POD2}.41000`);
});

t.test(
  "a pod that is its own service's only endpoint talks to itself through the gateway's address",
  async (t) => {
    const node = nodeWith({ ...WEB, endpoints: [`${POD2}:8080`] });
    const out = node.through("pod2", syn(node, POD2, VIP));
    t.equal(out.port, "pod2");
    const [address, port] = source(out.text);
    t.equal(address, node.gateway);
    t.match(out.text, `> ${POD2}.8080`);
    const back = node.through("pod2", synAck(node, POD2, node.gateway, 8080, port));
    t.equal(back.port, "pod2");
    t.match(back.text, `IP ${VIP}.80 > ${POD2}.41000: Flags [S.]`);
    node.settle();
  },
);

t.test("only the pod that was chosen itself is masqueraded, not every client of its service", async (t) => {
  const node = nodeWith({ ...WEB, endpoints: [`${POD2}:8080`, `${POD3}:8080`] });
  let toItself = 0;
  for (let i = 0; i < 200; i++) {
    const out = node.through("pod2", syn(node, POD2, VIP, { srcPort: 1000 + i }));
    if (out.port === "pod2") toItself++;
    t.equal(source(out.text)[0], out.port === "pod2" ? node.gateway : POD2);
  }
  t.ok(toItself > 60 && toItself < 140, `${toItself} of 200`);
});

t.test(
  "the node's own traffic to a ClusterIP is masqueraded and comes back to it from the ClusterIP",
  async (t) => {
    const node = nodeWith(WEB);
    const out = node.through("host", syn(node, node.address, VIP));
    t.equal(out.port, "pod3");
    const [address, port] = source(out.text);
    t.equal(address, node.gateway);
    const back = node.through("pod3", synAck(node, POD3, node.gateway, 8080, port));
    t.equal(back.port, "host");
    t.match(back.text, `IP ${VIP}.80 > ${node.address}.41000`);
    node.settle();
  },
);

t.test(
  "an outside client reaches a node port; the pod sees the gateway, the client its answer",
  async (t) => {
    const node = nodeWith(WEB);
    const out = node.through("uplink", syn(node, CLIENT, node.address, { dstPort: 30080 }));
    t.equal(out.port, "pod3");
    const [address, port] = source(out.text);
    t.equal(address, node.gateway);
    t.match(out.text, `> ${POD3}.8080`);
    const back = node.through("pod3", synAck(node, POD3, node.gateway, 8080, port));
    t.equal(back.port, "uplink");
    t.match(back.text, `IP ${node.address}.30080 > ${CLIENT}.41000: Flags [S.]`);
    node.settle();
  },
);

t.test("a node port answers at every address of the node, for pods and the node itself too", async (t) => {
  const node = nodeWith(WEB);
  for (const dst of [node.address, node.gateway, node.vtep]) {
    t.equal(node.through("pod2", syn(node, POD2, dst, { dstPort: 30080 })).port, "pod3", dst);
    t.equal(node.through("host", syn(node, node.address, dst, { dstPort: 30080, srcPort: 9 })).port, "pod3");
  }
  const elsewhere = node.through("pod2", syn(node, POD2, CLIENT, { dstPort: 30080 }));
  t.equal(elsewhere.port, "uplink", "the same port of another host is no node port");
});

t.test("a port that no service has leads to the node's stack", async (t) => {
  const node = nodeWith(WEB);
  t.equal(node.through("uplink", syn(node, CLIENT, node.address, { dstPort: 22 })).port, "host");
  t.equal(
    node.through("uplink", build.udpFrame({ ...pathTo(node, CLIENT, node.address), dstPort: 30080 })).port,
    "host",
  );
});

t.test("a service without endpoints is rejected with port unreachable, TCP as well", async (t) => {
  const node = nodeWith({ ...WEB, endpoints: [] });
  const out = node.through("pod2", syn(node, POD2, VIP));
  t.equal(out.port, "pod2");
  t.match(out.text, `IP ${node.gateway} > ${POD2}: ICMP ${VIP} tcp port 80 unreachable`);
  const outside = node.through("uplink", syn(node, CLIENT, node.address, { dstPort: 30080 }));
  t.equal(outside.port, "uplink");
  t.match(outside.text, `IP ${node.address} > ${CLIENT}: ICMP ${node.address} tcp port 30080 unreachable`);
  const host = node.through("host", syn(node, node.address, VIP));
  t.equal(host.port, "host");
  t.match(host.text, `> ${node.address}: ICMP ${VIP} tcp port 80 unreachable`);
  t.same(node.drops(), { SERVICE_NO_ENDPOINTS: 3 });
  t.same(node.connections(), []);
  node.settle();
});

t.test("a service whose endpoints are all elsewhere under policy Local is dropped in silence", async (t) => {
  const node = nodeWith({ ...WEB, action: Action.DROP });
  node.send("pod2", syn(node, POD2, VIP));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { SERVICE_NO_LOCAL_ENDPOINTS: 1 });
});

t.test("a load balancer's source ranges let in whom they name, by the address before NAT", async (t) => {
  const node = nodeWith({
    name: "lb",
    externalIp: "192.0.2.1",
    sourceRanges: ["192.168.50.96/28", "10.244.1.3/32"],
    endpoints: [`${POD3}:8080`],
  });
  const from = (src: string, port: string): void => node.send(port, syn(node, src, "192.0.2.1"));
  from(CLIENT, "uplink");
  from(POD3, "pod3");
  from(POD2, "pod2");
  from("203.0.113.5", "uplink");
  from(node.address, "host");
  node.run();
  t.equal(node.received("pod3").length, 2);
  t.same(node.drops(), { SERVICE_SOURCE_RANGE: 3 });
});

t.test("services tell protocols apart", async (t) => {
  const node = nodeWith(WEB, { ...WEB, name: "udp", protocol: 17, endpoints: [`${POD3}:5353`] });
  t.match(node.through("pod2", syn(node, POD2, VIP)).text, `> ${POD3}.8080: Flags`);
  const udp = build.udpFrame({ ...pathTo(node, POD2, VIP), dstPort: 80 });
  t.match(node.through("pod2", udp).text, `> ${POD3}.5353: UDP`);
});

t.test("SCTP is translated with its CRC32c", async (t) => {
  const node = nodeWith({ ...WEB, protocol: 132, endpoints: [`${POD3}:9899`] });
  const path = { ...pathTo(node, POD2, VIP), dstPort: 80 };
  const init = build.sctpFrame({ ...path, vtag: 0, chunks: [{ type: 1, value: 16 }] });
  t.match(node.through("pod2", init).text, `> ${POD3}.9899: sctp`);
});

t.test("a ClusterIP does not answer pings: they take the default way, as with iptables", async (t) => {
  const node = nodeWith(WEB);
  const out = node.through("pod2", build.echoFrame(pathTo(node, POD2, VIP)));
  t.match(out.text, `ICMP net ${VIP} unreachable`);
});

t.test("new connections are spread evenly over the endpoints", async (t) => {
  const node = nodeWith({
    ...WEB,
    endpoints: ["10.244.1.3:1", "10.244.1.3:2", "10.244.1.3:3", "10.244.1.3:4"],
  });
  const hits = [0, 0, 0, 0];
  for (let i = 0; i < 2000; i++) {
    const match = /> 10\.244\.1\.3\.(\d)/.exec(
      node.through("pod2", syn(node, POD2, VIP, { srcPort: 2000 + i })).text,
    );
    hits[Number(match?.[1]) - 1]++;
  }
  for (const n of hits) t.ok(n > 420 && n < 580, `${hits}`);
  t.equal(node.tables.services.hits[0], 2000);
});
