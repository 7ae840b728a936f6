// Who is answered for whom: gateway and node addresses for pods, everything for the node's own stack, the
// node's own addresses for the fabric.
import t from "tap";
import { ip } from "../../../base/ip.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { macOf } from "../../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { LocalAddresses } from "../../table/local-addresses.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";

const ask = (senderIp: string, senderMac: string, targetIp: string): Uint8Array =>
  build.arpFrame({ senderIp, senderMac, srcMac: senderMac, targetIp });
const isAt = (ip: string, mac: string): string => `ARP, Reply ${ip} is-at ${mac}, length 28`;

const answered = (node: TestNode): [string, string][] => [
  ["the gateway", node.gateway],
  ["the node's address", node.address],
  ["the VTEP's address", node.vtep],
  ["the link-local next hop", "169.254.1.1"],
];

for (const [what, target] of answered(new TestNode())) {
  t.test(`a pod that asks for ${what} is told the gateway's MAC`, async (t) => {
    const node = new TestNode();
    const out = node.through("pod2", ask(POD2, macOf(POD2), target));
    t.equal(out.port, "pod2");
    t.equal(out.text, isAt(target, node.gatewayMac));
    node.settle();
  });
}

t.test(
  "what a pod asks of another pod is asked of all pods, and answered by none but that pod",
  async (t) => {
    const node = new TestNode();
    node.addPod(4);
    const question = ask(POD2, macOf(POD2), POD3);
    node.send("pod2", question);
    node.run();
    const out = node.everything();
    t.same(
      out.map((r) => r.port),
      ["pod3", "pod4"],
    );
    t.same(out[0].frame, question);
    const answer = build.arpFrame({
      op: 2,
      srcMac: macOf(POD3),
      dstMac: macOf(POD2),
      senderIp: POD3,
      senderMac: macOf(POD3),
      targetIp: POD2,
      targetMac: macOf(POD2),
    });
    t.equal(node.through("pod3", answer).port, "pod2");
  },
);

t.test("a pod's question for an address nobody owns gets no answer from us", async (t) => {
  const node = new TestNode();
  node.send("pod2", ask(POD2, macOf(POD2), "10.244.1.77"));
  node.run();
  t.same(
    node.everything().map((r) => r.port),
    ["pod3"],
  );
});

t.test("a pod's gratuitous announcement of the gateway is not answered", async (t) => {
  const node = new TestNode();
  node.send("pod2", ask(node.gateway, macOf(POD2), node.gateway));
  node.run();
  t.same(node.received("pod2"), []);
});

for (const target of ["192.168.50.100", "10.244.2.7", "8.8.8.8", "169.254.1.1", POD2]) {
  t.test(`the node's stack that asks for ${target} is told the gateway's MAC`, async (t) => {
    const node = new TestNode();
    const out = node.through("host", ask(node.address, node.uplinkMac, target));
    t.equal(out.port, "host");
    t.equal(out.text, isAt(target, node.gatewayMac));
  });
}

t.test("the node's stack that probes its own address is not told that somebody else has it", async (t) => {
  const node = new TestNode();
  node.send("host", ask("0.0.0.0", node.uplinkMac, node.address));
  node.run();
  t.same(node.everything(), []);
});

t.test("the node's stack that announces its address is heard by the fabric", async (t) => {
  const node = new TestNode();
  const out = node.through("host", ask(node.address, node.uplinkMac, node.address));
  t.equal(out.port, "uplink");
});

t.test(
  "the fabric is answered for the node's addresses with the uplink's MAC, and for nothing else",
  async (t) => {
    const node = new TestNode();
    const out = node.through("uplink", ask(CLIENT, CLIENT_MAC, node.address));
    t.equal(out.port, "uplink");
    t.equal(out.text, isAt(node.address, node.uplinkMac));
    for (const target of [POD2, "10.96.0.10", "192.168.50.12", "169.254.1.1"]) {
      node.send("uplink", ask(CLIENT, CLIENT_MAC, target));
      node.run();
      t.same(node.everything(), [], target);
    }
    node.settle();
  },
);

t.test(
  "a load balancer's address is answered on the fabric by the node that announces it, only there",
  async (t) => {
    const VIP = "192.168.50.240";
    const node = new TestNode();
    node.send("uplink", ask(CLIENT, CLIENT_MAC, VIP));
    node.run();
    t.same(node.everything(), [], "not announced");
    node.tables.addresses.announced = new LocalAddresses([ip(VIP)]);
    const out = node.through("uplink", ask(CLIENT, CLIENT_MAC, VIP));
    t.equal(out.port, "uplink");
    t.equal(out.text, isAt(VIP, node.uplinkMac));
    node.send("uplink", ask(CLIENT, CLIENT_MAC, "192.168.50.241"));
    node.send("uplink", ask(VIP, CLIENT_MAC, VIP)); // another node announces it: nothing to answer
    node.run();
    t.same(node.everything(), []);
    node.settle();
  },
);

t.test("a malformed ARP message is dropped everywhere", async (t) => {
  const node = new TestNode();
  for (const port of ["pod2", "host", "uplink"]) {
    const frame = ask(POD2, macOf(POD2), node.gateway);
    frame[18] = 8; // hardware address length
    node.send(port, frame);
    node.send(port, frame.subarray(0, 40));
  }
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { MALFORMED_ARP: 6 });
});

t.test("an answer needs a packet slot: without one the question is dropped and counted", async (t) => {
  const node = new TestNode({ poolSlots: 1 });
  const { pool } = node.tables;
  pool.count = 0;
  node.send("pod2", ask(POD2, macOf(POD2), node.gateway));
  t.throws(() => node.run(), /1 packet slots are lost/);
  pool.count = 1;
  t.same(node.drops(), { NO_SLOT: 1 });
});
