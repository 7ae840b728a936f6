// ipvs mode's addresses are the node's own: it answers pings to them and, unless strictARP forbids it, ARP.
import t from "tap";
import { fragmentsOf } from "../../../testing/frames/fragment-frames.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { makeDualStack, pathTo6, pod6 } from "../../../testing/world/dual-stack.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";

const [VIP, VIP6, POD2, POD3] = ["10.96.0.10", "fd00:10:96::10", "10.244.1.2", "10.244.1.3"];

function node(isBound = true): TestNode {
  const made = new TestNode();
  made.setService({ name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`], isBound });
  const asks = { senderIp: CLIENT, senderMac: CLIENT_MAC, srcMac: CLIENT_MAC };
  made.through("uplink", build.arpFrame({ ...asks, targetIp: made.address }));
  return made;
}

t.test("a pod's ping to a service address is answered from there", async (t) => {
  const n = node();
  const out = n.through("pod2", build.echoFrame({ ...pathTo(n, POD2, VIP), echoId: 7, seq: 3, ttl: 2 }));
  t.equal(out.port, "pod2");
  t.match(out.text, `IP ${VIP} > ${POD2}: ICMP echo reply, id 7, seq 3`);
  t.equal(out.frame[22], 64, "a hop count of its own");
  t.same(n.connections(), []);
});

t.test("so are the fabric's and the node's own", async (t) => {
  const n = node();
  const outside = n.through("uplink", build.echoFrame(pathTo(n, CLIENT, VIP)));
  t.match(outside, { port: "uplink", text: `IP ${VIP} > ${CLIENT}: ICMP echo reply` });
  const own = n.through("host", build.echoFrame(pathTo(n, n.address, VIP)));
  t.match(own, { port: "host", text: `IP ${VIP} > ${n.address}: ICMP echo reply` });
});

t.test("a ping in fragments is answered in fragments", async (t) => {
  const n = node();
  const ping = build.echoFrame({ ...pathTo(n, POD2, VIP), payload: 3000, dontFragment: false, id: 9 });
  for (const piece of fragmentsOf(ping, 1400)) n.send("pod2", piece);
  n.run();
  const out = n.everything();
  t.same(
    out.map(({ port }) => port),
    ["pod2", "pod2", "pod2"],
  );
  t.match(out[0].text, "ICMP echo reply");
  n.settle();
});

t.test("IPv6", async (t) => {
  const n = makeDualStack(new TestNode());
  n.setService({ name: "web6", clusterIp: VIP6, endpoints: [`[${pod6(1, 3)}]:8080`], isBound: true });
  const out = n.through("pod2", build.echoFrame(pathTo6(n, pod6(1, 2), VIP6)));
  t.match(out, { port: "pod2", text: `IP6 ${VIP6} > ${pod6(1, 2)}: ICMP6, echo reply` });
});

t.test("other ICMP is taken in without a word, other protocols are refused", async (t) => {
  const n = node();
  const timestamp = build.icmpFrame(pathTo(n, POD2, VIP), 13, 0, 0x10001, 12);
  n.send("pod2", timestamp);
  n.run();
  t.same(n.everything(), []);
  const udp = n.through("pod2", build.udpFrame({ ...pathTo(n, POD2, VIP), dstPort: 99 }));
  t.match(udp.text, `${VIP} udp port 99 unreachable`);
});

t.test("in the other modes the address is nobody's", async (t) => {
  const n = node(false);
  const out = n.through("pod2", build.echoFrame(pathTo(n, POD2, VIP)));
  t.match(out.text, `ICMP net ${VIP} unreachable`);
});

t.test("the fabric is told that a service address is here, unless strictARP forbids it", async (t) => {
  const n = node();
  const ask = build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, srcMac: CLIENT_MAC, targetIp: VIP });
  n.send("uplink", ask);
  n.run();
  t.same(n.everything(), [], "strict");
  n.tables.config.proxy.serviceArp = 1;
  t.equal(n.through("uplink", ask).text, `ARP, Reply ${VIP} is-at ${n.uplinkMac}, length 28`);
});
