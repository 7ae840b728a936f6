// A node whose uplink is the kernel's, too: who answers there, with which ports pods leave, and by which way answers come.
import t from "tap";
import * as build from "../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";

const POD2 = "10.244.1.2";
const HOST_MAC = "02:00:00:00:00:99";
const PORTS = { min: 50_000, max: 50_099, avoidMin: 50_100, avoidMax: 50_099, always: 1 };

function shared(): TestNode {
  const node = new TestNode();
  node.tables.config.router.shared = 1;
  Object.assign(node.tables.config.snat, PORTS);
  return node;
}

function knowing(): TestNode {
  const node = shared();
  const says = { senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address };
  node.send("uplink", build.arpFrame(says));
  node.run();
  t.same(node.everything(), [], "the kernel answers");
  return node;
}

t.test("the node's own stack and the fabric hear each other by the kernel alone", async (t) => {
  const node = knowing();
  const announced = { senderIp: node.address, senderMac: HOST_MAC, targetIp: node.address };
  node.send("host", build.arpFrame({ ...announced, srcMac: HOST_MAC }));
  const group = { ...pathTo(node, node.address, "224.0.0.251"), dstMac: "01:00:5e:00:00:fb" };
  node.send("host", build.udpFrame(group));
  node.run();
  t.same(node.everything(), []);
});

t.test("pods leave from the reserved ports, whatever they came from, pings too", async (t) => {
  const node = knowing();
  for (let i = 0; i < 20; i++) {
    const path = pathTo(node, POD2, CLIENT);
    node.send("pod2", build.udpFrame({ ...path, srcPort: [80, 700, 41_000][i % 3] + i }));
    node.send("pod2", build.echoFrame({ ...path, echoId: i, seq: 1 }));
  }
  node.run();
  const texts = node.texts("uplink");
  const numbers = texts.map((text) => Number((/id (\d+)/.exec(text) ?? /\.(\d+) > /.exec(text))?.[1]));
  t.equal(numbers.length, 40);
  t.ok(
    numbers.every((n) => n >= PORTS.min && n <= PORTS.max),
    `${numbers}`,
  );
});

t.test("the node's program to another's by a service: the answer comes to a reserved port", async (t) => {
  const node = knowing();
  node.setService({ name: "api", clusterIp: "10.96.0.1", endpoints: [`${CLIENT}:6443`] });
  node.tables.config.snat.egress = 0; // and kube-proxy would let it leave as who it is, since it is taken for a pod's
  const syn = build.tcpFrame({ ...pathTo(node, node.gateway, "10.96.0.1"), flags: "S" });
  const out = node.through("host", syn);
  const port = Number(/\.(\d+) > /.exec(out.text)?.[1]);
  t.ok(port >= PORTS.min && port <= PORTS.max, out.text);
  const path = pathTo(node, CLIENT, node.address);
  const back = node.through("uplink", build.tcpFrame({ ...path, srcPort: 6443, dstPort: port, flags: "S." }));
  t.equal(back.port, "host");
  t.match(back.text, `IP 10.96.0.1.80 > ${node.gateway}.41000`);
});

t.test("a program of the node behind a node port answers by the plane", async (t) => {
  const node = knowing();
  node.setService({ name: "own", nodePort: 30_080, endpoints: [`${node.address}:8080`] });
  const syn = build.tcpFrame({ ...pathTo(node, CLIENT, node.address), dstPort: 30_080, flags: "S" });
  const out = node.through("uplink", syn);
  t.equal(out.port, "host");
  t.match(out.text, `IP 169.254.1.1.`);
});

t.test("what is the kernel's after all is handed to it as it came", async (t) => {
  const node = knowing();
  const path = pathTo(node, CLIENT, node.address);
  const out = node.through("uplink", build.udpFrame({ ...path, srcPort: 53, dstPort: 50_007 }));
  t.equal(out.port, "host");
  t.match(out.text, `IP ${CLIENT}.53 > ${node.address}.50007`);
});
