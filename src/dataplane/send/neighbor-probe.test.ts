// Neighbours on the fabric: who is asked, what waits, what is sent once the answer is there, and who is told
// when none comes.
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import { nodeRoutes, route } from "../../testing/world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo, ROUTER_MAC } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { RouteKind } from "../spec/routes.ts";
import * as neighbor from "../table/neighbor.ts";
import { QUEUE_MAX } from "../table/pending-queue.ts";

const POD2 = "10.244.1.2";
const OUTSIDE = "203.0.113.9"; // behind 192.168.50.1
const whoHas = (ip: string, node: TestNode): string =>
  `ARP, Request who-has ${ip} tell ${node.address}, length 28`;

function answer(node: TestNode, ip: string, mac: string): Uint8Array {
  return build.arpFrame({
    op: 2,
    srcMac: mac,
    dstMac: node.uplinkMac,
    senderIp: ip,
    senderMac: mac,
    targetIp: node.address,
    targetMac: node.uplinkMac,
  });
}

t.test(
  "a packet for an unknown neighbour waits, the neighbour is asked, and the packet follows the answer",
  async (t) => {
    const node = new TestNode();
    node.send("host", build.udpFrame({ ...pathTo(node, node.address, CLIENT), payload: "hi" }));
    node.run();
    const asked = node.received("uplink");
    t.same(
      asked.map((r) => r.text),
      [whoHas(CLIENT, node)],
    );
    t.equal(build.mac("ff:ff:ff:ff:ff:ff").hi, (asked[0].frame[0] << 8) | asked[0].frame[1]);
    node.send("uplink", answer(node, CLIENT, CLIENT_MAC));
    node.run();
    const out = node.received("uplink");
    t.same(
      out.map((r) => r.text),
      [`IP ${node.address}.41000 > ${CLIENT}.53: UDP, length 2`],
    );
    t.same(build.mac(CLIENT_MAC), macAt(out[0].frame, 0));
    t.same(build.mac(node.uplinkMac), macAt(out[0].frame, 6));
    node.settle();
  },
);

t.test("a packet for beyond the fabric asks for its gateway, not for its destination", async (t) => {
  const node = new TestNode();
  node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, OUTSIDE) }));
  node.run();
  t.same(node.texts("uplink"), [whoHas("192.168.50.1", node)]);
  node.send("uplink", answer(node, "192.168.50.1", ROUTER_MAC));
  node.run();
  t.match(node.texts("uplink")[0], `> ${OUTSIDE}.53`);
  node.settle();
});

t.test("packets to a known neighbour leave at once", async (t) => {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  const out = node.through("host", build.udpFrame(pathTo(node, node.address, CLIENT)));
  t.equal(out.port, "uplink");
});

t.test("packets wait in order, so many; then the oldest gives way", async (t) => {
  const node = new TestNode({ poolSlots: 400 });
  for (let i = 0; i <= QUEUE_MAX; i++) {
    node.send("host", build.udpFrame({ ...pathTo(node, node.address, CLIENT), payload: i }));
  }
  node.run();
  node.everything();
  node.send("uplink", answer(node, CLIENT, CLIENT_MAC));
  node.run();
  const lengths = node.texts("uplink").map((text) => Number(/length (\d+)$/.exec(text)?.[1]));
  t.same(
    lengths,
    Array.from({ length: QUEUE_MAX }, (_, i) => i + 1),
  );
  t.same(node.drops(), { NEIGHBOR_QUEUE_FULL: 1 });
  node.settle();
});

t.test(
  "the question is asked three times, a second apart; then the senders get host unreachable",
  async (t) => {
    const node = new TestNode();
    const sent = build.udpFrame({ ...pathTo(node, POD2, OUTSIDE), payload: "lost", srcPort: 5000, id: 77 });
    node.send("pod2", sent);
    node.run();
    t.equal(node.received("uplink").length, 1);
    for (let n = 2; n <= 3; n++) {
      node.advanceMs(900);
      t.equal(node.received("uplink").length, 0);
      node.advanceMs(100);
      t.equal(node.received("uplink").length, 1, `question ${n}`);
    }
    t.same(node.received("pod2"), []);
    node.advanceMs(1000);
    t.same(node.received("uplink"), []);
    const told = node.received("pod2");
    t.same(
      told.map((r) => r.text),
      [`IP ${node.gateway} > ${POD2}: ICMP host ${OUTSIDE} unreachable, length 40`],
    );
    // The packet was masqueraded before it waited; its sender must know it again.
    const quote = told[0].frame.subarray(14 + 28);
    t.same(quote.subarray(12, 28), sent.subarray(14 + 12, 14 + 28), "addresses, ports and lengths as sent");
    t.same(node.drops(), { NEIGHBOR_FAILED: 1 });
    node.settle();
  },
);

t.test("the node's own stack is told too, from an address that is not its own", async (t) => {
  const node = new TestNode();
  node.send("host", build.udpFrame({ ...pathTo(node, node.address, CLIENT) }));
  node.advanceMs(4000);
  t.same(node.texts("host"), [
    `IP 169.254.1.1 > ${node.address}: ICMP host ${CLIENT} unreachable, length 36`,
  ]);
  node.settle();
});

t.test("a later packet to a neighbour that failed starts the questions anew", async (t) => {
  const node = new TestNode();
  node.send("host", build.udpFrame(pathTo(node, node.address, CLIENT)));
  node.advanceMs(5000);
  node.everything();
  node.send("host", build.udpFrame(pathTo(node, node.address, CLIENT)));
  node.run();
  t.same(node.texts("uplink"), [whoHas(CLIENT, node)]);
  node.settle();
});

t.test("a neighbour in use is asked again by unicast before it is trusted further", async (t) => {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  node.send("host", build.udpFrame(pathTo(node, node.address, CLIENT)));
  node.run();
  node.advanceMs(5000);
  const probes = node.received("uplink").filter((r) => r.text.startsWith("ARP"));
  t.equal(probes.length, 1);
  t.same(macAt(probes[0].frame, 0), build.mac(CLIENT_MAC));
});

t.test("an unsolicited answer does not fill the table, a changed MAC is followed", async (t) => {
  const node = new TestNode();
  node.send("uplink", answer(node, "192.168.50.200", "02:00:00:00:02:00"));
  node.run();
  t.equal(neighbor.used(node.tables.fabric), 0);
  node.send("host", build.udpFrame(pathTo(node, node.address, "192.168.50.200")));
  node.run();
  t.same(node.texts("uplink"), [whoHas("192.168.50.200", node)]);
  node.send("uplink", answer(node, "192.168.50.200", "02:00:00:00:02:00"));
  node.run();
  node.everything();
  node.send("uplink", answer(node, "192.168.50.200", "02:00:00:00:02:01"));
  node.run();
  const out = node.through("host", build.udpFrame(pathTo(node, node.address, "192.168.50.200")));
  t.same(macAt(out.frame, 0), build.mac("02:00:00:00:02:01"));
  node.settle();
});

t.test("somebody on the fabric who claims the node's own address is not believed", async (t) => {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: node.address, senderMac: CLIENT_MAC, targetIp: CLIENT }));
  node.run();
  t.same(node.everything(), []);
  t.equal(
    node.tables.fabric.state.some((state) => state !== 0),
    false,
  );
});

t.test("a scan of an empty subnet holds a bounded number of slots, and gives all of them back", async (t) => {
  const node = new TestNode({ poolSlots: 64 });
  for (let i = 10; i < 250; i++) {
    if (i === 11) continue;
    node.send("pod2", build.udpFrame(pathTo(node, POD2, `192.168.50.${i}`)));
  }
  node.run();
  t.ok((node.drops().NO_SLOT ?? 0) > 0);
  node.everything();
  node.settle();
});

function macAt(frame: Uint8Array, at: number): { hi: number; lo: number } {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return { hi: view.getUint16(at), lo: view.getInt32(at + 2) };
}

t.test("IPv4 by a next hop of IPv6: the router is asked for from an address of the link", async (t) => {
  const node = new TestNode();
  const [far, hop] = ["198.51.100.9", "fe80::1"];
  node.setRoutes([
    ...nodeRoutes(1, 2, true),
    route("198.51.100.0/24", RouteKind.GATEWAY, { gw: hop, src: node.address }),
  ]);
  const send = (): void => {
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, far), payload: "hi" }));
    node.run();
  };
  send();
  t.same(node.texts("uplink"), [], "without an address of IPv6 nobody can ask");
  const asks = (source: string): string[] => [
    `IP6 ${source} > ff02::1:ff00:1: ICMP6, neighbor solicitation, who has ${hop}, length 32`,
  ];
  Object.assign(node.tables.config.router, { link2: 0, link3: 0x1234 });
  node.advanceMs(5000);
  node.received("uplink");
  send();
  t.same(node.texts("uplink"), asks("fe80::1234"));
  Object.assign(node.tables.config.router, { v60: 0xfd000050 | 0, v63: 0x11 });
  node.advanceMs(1000);
  node.run();
  t.same(
    node.texts("uplink"),
    asks("fe80::1234"),
    "also where the node has one: the router may know no way back",
  );
  const back = { src: hop, srcMac: ROUTER_MAC, dst: "fe80::1234", dstMac: node.uplinkMac };
  node.send(
    "uplink",
    build.neighborAdvertisementFrame({ ...back, target: hop, mac: ROUTER_MAC, flags: 0x60 }),
  );
  node.run();
  const out = node.received("uplink");
  t.match(out[0]?.text, `IP ${node.address}`);
  t.match(out[0]?.text, `> ${far}.53`);
  t.same(macAt(out[0].frame, 0), build.mac(ROUTER_MAC), "IPv4 to the MAC that ND told");
  node.settle();
});
