// Connections as conntrack(8) would show them: states, time-outs, decisions that hold and decisions taken anew.

import t from "tap";
import { Protocol } from "../../../base/protocols.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { superframe } from "../../../testing/frames/virtio-frames.ts";
import { pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import { Conntrack } from "../../table/connection/conntrack.ts";
import { H_IPVS_SET, H_IPVS_TCP, H_IPVS_TCP_FIN, H_IPVS_UDP } from "../../table/connection/ipvs-timeouts.ts";

const { UDP } = Protocol;

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const VIP = "10.96.0.10";
const WEB = { name: "default/web", clusterIp: VIP, nodePort: 30080 };
const DNS = { name: "kube-system/dns", clusterIp: VIP, port: 53, protocol: UDP };

function tcp(node: TestNode, src: string, dst: string, flags: string, o: object = {}): Uint8Array {
  return build.tcpFrame({ ...pathTo(node, src, dst), flags, ...o });
}

/** SYN of pod 2 to the service, SYN+ACK, ACK. Returns the pod's packets to come. */
function establish(node: TestNode, srcPort = 41000): void {
  node.through("pod2", tcp(node, POD2, VIP, "S", { srcPort }));
  node.through("pod3", tcp(node, POD3, POD2, "S.", { srcPort: 8080, dstPort: srcPort }));
  node.through("pod2", tcp(node, POD2, VIP, ".", { srcPort }));
}

const ways = "10.244.1.2:41000>10.96.0.10:80 10.244.1.3:8080>10.244.1.2:41000";

t.test(
  "a TCP connection to a service goes NEW, ESTABLISHED, TIME_WAIT, and is gone two minutes later",
  async (t) => {
    const node = new TestNode();
    node.setService({ ...WEB, endpoints: ["10.244.1.3:8080"] });
    const syn = node.through("pod2", tcp(node, POD2, VIP, "S"));
    t.equal(syn.port, "pod3");
    t.match(syn.text, `IP ${POD2}.41000 > ${POD3}.8080: Flags [S]`);
    t.same(node.connections(), [`tcp SYN_SENT ${ways} [UNREPLIED]`]);
    const answer = node.through("pod3", tcp(node, POD3, POD2, "S.", { srcPort: 8080, dstPort: 41000 }));
    t.equal(answer.port, "pod2");
    t.match(answer.text, `IP ${VIP}.80 > ${POD2}.41000: Flags [S.]`);
    t.same(node.connections(), [`tcp SYN_RECV ${ways}`]);
    node.through("pod2", tcp(node, POD2, VIP, "."));
    node.through("pod2", tcp(node, POD2, VIP, "P.", { payload: "GET /" }));
    t.same(node.connections(), [`tcp ESTABLISHED ${ways} [ASSURED]`]);
    node.through("pod2", tcp(node, POD2, VIP, "F."));
    node.through("pod3", tcp(node, POD3, POD2, "F.", { srcPort: 8080, dstPort: 41000 }));
    node.through("pod2", tcp(node, POD2, VIP, "."));
    t.same(node.connections(), [`tcp TIME_WAIT ${ways} [ASSURED]`]);
    node.advanceMs(119_000, 1000);
    t.equal(node.connections().length, 1);
    node.advanceMs(10_000, 1000);
    t.same(node.connections(), []);
    t.same(node.drops(), {});
  },
);

t.test(
  "a UDP connection lives 30 s, and 120 s once it talks both ways for more than two seconds",
  async (t) => {
    const node = new TestNode();
    node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
    const ask = (): Uint8Array => build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 3 });
    const reply = (): Uint8Array =>
      build.udpFrame({ ...pathTo(node, POD3, POD2), srcPort: 53, dstPort: 41000 });
    const left = (): number => node.tables.conntrack.expiresAtSec[0] - node.engine.nowSec;
    node.through("pod2", ask());
    t.equal(left(), 30);
    t.match(node.connections()[0], /^udp .*\[UNREPLIED\]$/);
    t.match(node.through("pod3", reply()).text, `IP ${VIP}.53 > ${POD2}.41000`);
    t.equal(left(), 30);
    t.notMatch(node.connections()[0], /UNREPLIED|ASSURED/);
    node.clock.advanceSec(3);
    node.through("pod2", ask());
    t.equal(left(), 120);
    t.match(node.connections()[0], /\[ASSURED\]$/);
  },
);

t.test("an echo request is followed by its reply for 30 s, each with its id", async (t) => {
  const node = new TestNode();
  node.through("pod2", build.echoFrame({ ...pathTo(node, POD2, POD3), echoId: 7 }));
  t.same(node.connections(), [`icmp ${POD2}>${POD3}(8/0 id 7) ${POD3}>${POD2}(0/0 id 7) [UNREPLIED]`]);
  node.through("pod3", build.echoFrame({ ...pathTo(node, POD3, POD2), echoId: 7, reply: true }));
  t.same(node.connections(), [`icmp ${POD2}>${POD3}(8/0 id 7) ${POD3}>${POD2}(0/0 id 7)`]);
  node.send("pod3", build.echoFrame({ ...pathTo(node, POD3, POD2), echoId: 8, reply: true }));
  node.run();
  t.same(node.everything(), [], "a reply nobody asked for");
  t.same(node.drops(), { CT_INVALID: 1 });
});

t.test("an expired connection is over even before the walk finds it", async (t) => {
  const node = new TestNode();
  node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  node.setService({ ...DNS, endpoints: ["10.244.1.2:5353"] });
  node.clock.advanceSec(31);
  const out = node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  t.match(out.text, `> ${POD2}.5353`);
  t.equal(node.connections().length, 1);
});

t.test(
  "a TCP connection stays with its endpoint when the endpoint goes; the next one does not",
  async (t) => {
    const node = new TestNode();
    node.setService({ ...WEB, endpoints: ["10.244.1.3:8080"] });
    establish(node);
    node.setService({ ...WEB, endpoints: ["10.244.1.2:9090"] });
    t.match(node.through("pod2", tcp(node, POD2, VIP, "P.", { payload: 1 })).text, `> ${POD3}.8080`);
    t.match(node.through("pod2", tcp(node, POD2, VIP, "S", { srcPort: 5 })).text, `> ${POD2}.9090`);
    node.removeService(WEB.name);
    t.match(node.through("pod2", tcp(node, POD2, VIP, "P.", { payload: 1 })).text, `> ${POD3}.8080`);
  },
);

t.test("a change that leaves the endpoint alone leaves its UDP connections alone", async (t) => {
  const node = new TestNode();
  node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  node.setService({ ...DNS, endpoints: ["10.244.1.2:53", "10.244.1.3:53"] });
  node.setService({ name: "other", clusterIp: "10.96.0.11", endpoints: ["10.244.1.2:1"] });
  for (let i = 0; i < 20; i++) {
    t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP))).text, `> ${POD3}.53`);
  }
  t.equal(node.events().CT_REDECIDED, undefined);
});

t.test("a UDP flow whose endpoint is gone goes to another with its next packet", async (t) => {
  const node = new TestNode();
  node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  node.setService({ ...DNS, endpoints: ["10.244.1.77:53", "10.244.1.3:54"] });
  node.setService({ ...DNS, endpoints: ["10.244.1.3:54"] });
  t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP))).text, `> ${POD3}.54`);
  t.equal(node.events().CT_REDECIDED, 1);
  t.equal(node.connections().length, 1);
});

t.test("a UDP flow to a service without endpoints is rejected, and served when one comes", async (t) => {
  const node = new TestNode();
  node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  node.setService({ ...DNS, endpoints: [] });
  const rejected = node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP)));
  t.match(rejected.text, `IP ${node.gateway} > ${POD2}: ICMP ${VIP} udp port 53 unreachable`);
  t.same(node.connections(), []);
  node.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  t.match(node.through("pod2", build.udpFrame(pathTo(node, POD2, VIP))).text, `> ${POD3}.53`);
});

t.test("a UDP flow that began before its service did is claimed by it", async (t) => {
  const node = new TestNode({ vxlan: false });
  node.send(
    "uplink",
    build.arpFrame({ senderIp: "192.168.50.1", senderMac: "02:00:00:00:00:01", targetIp: node.address }),
  );
  node.run();
  node.everything();
  const ask = (): Uint8Array => build.udpFrame(pathTo(node, POD2, "203.0.113.53"));
  t.equal(node.through("pod2", ask()).port, "uplink");
  node.setService({
    name: "dns",
    externalIp: "203.0.113.53",
    port: 53,
    protocol: UDP,
    endpoints: ["10.244.1.3:53"],
  });
  t.equal(node.through("pod2", ask()).port, "pod3");
});

t.test(
  "a UDP flow to the outside keeps its masquerade port when some node port has its number",
  async (t) => {
    const node = new TestNode();
    node.send(
      "uplink",
      build.arpFrame({ senderIp: "192.168.50.1", senderMac: "02:00:00:00:00:01", targetIp: node.address }),
    );
    node.run();
    node.everything();
    const ask = (): Uint8Array => build.udpFrame({ ...pathTo(node, POD2, "203.0.113.53"), dstPort: 30053 });
    const first = node.through("pod2", ask()).text;
    node.setService({ name: "np", nodePort: 30053, protocol: UDP, endpoints: ["10.244.1.3:53"] });
    t.equal(node.through("pod2", ask()).text, first);
  },
);

t.test("a port reused after TIME_WAIT is a new connection with a new decision", async (t) => {
  const node = new TestNode();
  node.setService({ ...WEB, endpoints: ["10.244.1.3:8080"] });
  establish(node);
  node.through("pod2", tcp(node, POD2, VIP, "F."));
  node.through("pod3", tcp(node, POD3, POD2, "F.", { srcPort: 8080, dstPort: 41000 }));
  node.through("pod2", tcp(node, POD2, VIP, "."));
  node.setService({ ...WEB, endpoints: ["10.244.1.2:9090"] });
  const again = node.through("pod2", tcp(node, POD2, VIP, "S"));
  t.match(again.text, `> ${POD2}.9090`);
  t.equal(node.connections().length, 1);
});

t.test("an INVALID packet is not forwarded, bridged or routed", async (t) => {
  const node = new TestNode();
  node.send("pod2", tcp(node, POD2, POD3, "S."));
  node.send("pod2", tcp(node, POD2, POD3, "SF"));
  node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, POD3), dstMac: node.gatewayMac, flags: "R" }));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_INVALID: 3 });
});

t.test("an INVALID packet reaches the node itself, and leaves it", async (t) => {
  const node = new TestNode();
  t.equal(node.through("pod2", tcp(node, POD2, node.address, "S.")).port, "host");
  t.equal(node.through("host", tcp(node, node.address, POD2, "R.")).port, "pod2");
  t.same(node.connections(), []);
});

t.test("an INVALID packet of a translated connection goes nowhere, whatever the rules say", async (t) => {
  const node = new TestNode();
  node.tables.config.proxy.dropInvalid = 0;
  node.setService({ ...WEB, endpoints: ["10.244.1.3:8080"] });
  establish(node);
  const answer = { srcPort: 8080, dstPort: 41000 };
  node.send("pod3", tcp(node, POD3, POD2, "P.", { ...answer, seq: 1_000_000, payload: 5 }));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_INVALID_NAT: 1 });
  t.match(node.connections()[0], /^tcp ESTABLISHED/, "the connection is none the worse for it");
  t.equal(node.through("pod3", tcp(node, POD3, POD2, "P.", { ...answer, payload: 5 })).port, "pod2");
});

t.test("a superframe counts for all its segments", async (t) => {
  const node = new TestNode();
  const direct = (src: string, dst: string, flags: string, o: object): Uint8Array =>
    tcp(node, src, dst, flags, { ...(src === POD3 && { srcPort: 80, dstPort: 41000 }), ...o });
  node.through("pod2", direct(POD2, POD3, "S", { seq: 99 }));
  node.through("pod3", direct(POD3, POD2, "S.", { seq: 499, ack: 100 }));
  node.through("pod2", direct(POD2, POD3, ".", { seq: 100, ack: 500 }));
  const { frame, virtio } = superframe(
    direct(POD2, POD3, ".", { seq: 100, ack: 500, payload: 60_000 }),
    1398,
  );
  node.send("pod2", frame, virtio);
  node.send("pod3", direct(POD3, POD2, ".", { seq: 500, ack: 60_100 }));
  node.send("pod3", direct(POD3, POD2, ".", { seq: 500, ack: 60_101 })); // that much was not sent
  node.run();
  t.same(node.drops(), { CT_INVALID: 1 });
});

t.test("with tcpBeLiberal nothing is dropped for being INVALID", async (t) => {
  const node = new TestNode();
  node.tables.config.proxy.dropInvalid = 0;
  t.equal(node.through("pod2", tcp(node, POD2, POD3, "S.")).port, "pod3");
});

t.test("a connection is picked up in the middle when that is allowed, and only then", async (t) => {
  const node = new TestNode();
  t.equal(node.through("pod2", tcp(node, POD2, POD3, "P.", { payload: 3 })).port, "pod3");
  t.match(node.connections()[0], /^tcp ESTABLISHED .*UNREPLIED/);
  const strict = new TestNode();
  strict.tables.conntrack.header[conntrack.H_TCP_OPTIONS] = 0;
  strict.send("pod2", tcp(strict, POD2, POD3, "P.", { payload: 3 }));
  strict.run();
  t.same(strict.drops(), { CT_INVALID: 1 });
});

t.test(
  "a full table gives up unanswered connections for new ones, and refuses when all are answered",
  async (t) => {
    const table = new Conntrack(4);
    const node = new TestNode({ tables: { conntrack: table } });
    for (let i = 0; i < 40; i++)
      node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), srcPort: 1000 + i }));
    node.run();
    t.equal(node.received("pod3").length, 40);
    t.equal(conntrack.used(table), 16);
    t.equal(conntrack.earlyDrops(table), 24);
    for (let slot = 0; slot < 16; slot++) table.status[slot << 4] |= conntrack.Status.ASSURED;
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), srcPort: 7 }));
    node.run();
    t.same(node.everything(), []);
    t.same(node.drops(), { CT_TABLE_FULL: 1 });
    t.equal(conntrack.refusedFull(table), 1);
  },
);

t.test("IPVS's time-outs, where they are set, are those of connections to services alone", async (t) => {
  const set = (node: TestNode, tcpSec: number, finSec: number, udpSec: number): void => {
    const { header } = node.tables.conntrack;
    header[H_IPVS_SET] = 1;
    header[H_IPVS_TCP] = tcpSec;
    header[H_IPVS_TCP_FIN] = finSec;
    header[H_IPVS_UDP] = udpSec;
  };
  const left = (node: TestNode, slot = 0): number =>
    node.tables.conntrack.expiresAtSec[slot << 4] - node.engine.nowSec;

  const web = new TestNode();
  web.setService({ ...WEB, endpoints: ["10.244.1.3:8080"] });
  set(web, 900, 77, 0);
  establish(web);
  t.equal(left(web), 900);
  web.clock.advanceSec(5);
  const payload = "GET /";
  web.through("pod2", tcp(web, POD2, VIP, "P.", { payload }));
  t.equal(left(web), 900, "also while data is not acknowledged, and by the fast way");
  web.through("pod2", tcp(web, POD2, VIP, "F.", { seq: 1 }));
  t.equal(left(web), 77, "FIN_WAIT");
  web.through("pod2", tcp(web, POD2, POD3, "S", { srcPort: 9 }));
  web.through("pod3", tcp(web, POD3, POD2, "S.", { srcPort: 80, dstPort: 9 }));
  web.through("pod2", tcp(web, POD2, POD3, ".", { srcPort: 9 }));
  t.equal(left(web, 1), 432_000, "no service");

  const dns = new TestNode();
  dns.setService({ ...DNS, endpoints: ["10.244.1.3:53"] });
  set(dns, 0, 0, 300);
  dns.through("pod2", build.udpFrame(pathTo(dns, POD2, VIP)));
  t.equal(left(dns), 300, "the first datagram");
  dns.through("pod3", build.udpFrame({ ...pathTo(dns, POD3, POD2), srcPort: 53, dstPort: 41000 }));
  t.equal(left(dns), 300);
  dns.through("pod2", build.udpFrame(pathTo(dns, POD2, POD3)));
  t.equal(left(dns, 1), 30, "no service");
  set(dns, 900, 77, 0);
  dns.clock.advanceSec(3);
  dns.through("pod2", build.udpFrame(pathTo(dns, POD2, VIP)));
  t.equal(left(dns), 120, "0 leaves it to conntrack");
});
