// The bytes after NAT: checksums of every kind, and ICMP errors translated outside and inside, in both
// directions.
import fc from "fast-check";
import t from "tap";
import { concat, viewOf } from "../../../testing/frames/bytes.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../../testing/frames/frame-checker.ts";
import { completed, partialFrame, superframe } from "../../../testing/frames/virtio-frames.ts";
import { CLIENT, CLIENT_MAC, pathTo, ROUTER_MAC } from "../../../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../../../testing/world/test-node.ts";
import { H_CHECKSUM } from "../../table/connection/conntrack.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const VIP = "10.96.0.10";
const ROUTER = "198.51.100.1"; // some hop on the way
const L3 = 14;

function nodeWithServices(): TestNode {
  const node = new TestNode({ poolSlots: 16 });
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.send(
    "uplink",
    build.arpFrame({ senderIp: "192.168.50.1", senderMac: ROUTER_MAC, targetIp: node.address }),
  );
  node.run();
  node.everything();
  node.setService({ name: "web", clusterIp: VIP, nodePort: 30080, endpoints: [`${POD3}:8080`] });
  node.setService({
    name: "dns",
    clusterIp: VIP,
    nodePort: 30053,
    port: 53,
    protocol: 17,
    endpoints: [`${POD3}:5353`],
  });
  return node;
}

/** The packet that an ICMP error quotes, as a frame that the checker accepts. */
function quoted(error: Received): Uint8Array {
  return concat(new Uint8Array(12), Uint8Array.from([8, 0]), error.frame.subarray(L3 + 28));
}
function sourcePort(text: string): number {
  return Number(/^IP \S+\.(\d+) > /.exec(text)?.[1]);
}

t.test("every payload arrives with a right checksum, through DNAT, SNAT and back", async () => {
  const bytes = fc.uint8Array({ maxLength: 60 });
  const port = fc.integer({ min: 1, max: 65535 });
  fc.assert(
    fc.property(bytes, port, fc.boolean(), fc.boolean(), (payload, srcPort, isTcp, isPartial) => {
      const node = nodeWithServices();
      const plain = isTcp
        ? build.tcpFrame({
            ...pathTo(node, CLIENT, node.address),
            srcPort,
            dstPort: 30080,
            flags: "S",
            payload,
          })
        : build.udpFrame({ ...pathTo(node, CLIENT, node.address), srcPort, dstPort: 30053, payload });
      const { frame, virtio } = isPartial
        ? partialFrame(plain)
        : { frame: plain, virtio: new Uint8Array(10) };
      const out = node.through("uplink", frame, virtio);
      if (checkFrame(completed(out)).length > 0) throw new Error(`${checkFrame(completed(out))}`);
      const back = pathTo(node, POD3, node.gateway);
      const dstPort = sourcePort(out.text);
      const answer = isTcp
        ? build.tcpFrame({ ...back, srcPort: 8080, dstPort, flags: "S.", payload })
        : build.udpFrame({ ...back, srcPort: 5353, dstPort, payload });
      const partialAnswer = partialFrame(answer);
      const returned = node.through("pod3", partialAnswer.frame, partialAnswer.virtio);
      if (!returned.text.startsWith(`IP ${node.address}.${isTcp ? 30080 : 30053} > ${CLIENT}.${srcPort}`)) {
        throw new Error(returned.text);
      }
      if (checkFrame(completed(returned)).length > 0) throw new Error(`${checkFrame(completed(returned))}`);
    }),
    { numRuns: 60 },
  );
});

t.test("a partial checksum stays partial, its pseudo-header follows the addresses", async (t) => {
  const node = nodeWithServices();
  const { frame, virtio } = partialFrame(
    build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S", payload: 9 }),
  );
  const out = node.through("pod2", frame, virtio);
  t.equal(out.virtio[0], 1);
  t.same(checkFrame(completed(out)), []);
});

t.test("a partial checksum inside does not keep the outer one from being repaired", async (t) => {
  const node = new TestNode({ unchecked: true });
  node.setService({ name: "vx", clusterIp: VIP, port: 4789, protocol: 17, endpoints: [`${POD3}:4790`] });
  const inner = build.tcpFrame({ src: "172.16.0.1", dst: "172.16.0.2", payload: 5 });
  const outer = build.vxlanFrame({ ...pathTo(node, POD2, VIP), dstPort: 4789, inner, checksum: true });
  const header = Uint8Array.from([1, 0, 0, 0, 0, 0, 50 + 34, 0, 16, 0]);
  const out = node.through("pod2", outer, header);
  t.match(out.text, `> ${POD3}.4790`);
  t.same(checkFrame(out.frame), [], "as long as nobody completes the inner one, the outer is right");
});

t.test("a UDP datagram without a checksum stays without one", async (t) => {
  const node = nodeWithServices();
  const out = node.through(
    "pod2",
    build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 3, checksum: false }),
  );
  t.match(out.text, `> ${POD3}.5353`);
  t.equal(viewOf(out.frame).getUint16(L3 + 20 + 6), 0);
});

t.test("a wrong checksum that nobody is to look at is not repaired on the way", async (t) => {
  const node = new TestNode({ unchecked: true });
  node.tables.conntrack.header[H_CHECKSUM] = 0;
  node.setService({ name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`] });
  const frame = build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S", payload: 9 });
  frame[frame.length - 1] ^= 0x55;
  const out = node.through("pod2", frame);
  t.match(checkFrame(out.frame), [/TCP checksum is off by/]);
});

t.test("a superframe is translated once, as a whole", async (t) => {
  const node = nodeWithServices();
  node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S" }));
  node.through(
    "pod3",
    build.tcpFrame({ ...pathTo(node, POD3, POD2), flags: "S.", srcPort: 8080, dstPort: 41000 }),
  );
  const plain = build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "P.", payload: 50_000 });
  const { frame, virtio } = superframe(plain, 1398);
  const out = node.through("pod2", frame, virtio);
  t.same(out.virtio, virtio);
  t.match(out.text, `> ${POD3}.8080`);
  t.ok(Buffer.from(plain.subarray(L3 + 40)).equals(out.frame.subarray(L3 + 40)), "payload");
});

t.test("IPv4 options are carried through NAT", async (t) => {
  const node = nodeWithServices();
  const ipOptions = Uint8Array.from([0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0]);
  const out = node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S", ipOptions }));
  t.equal(out.port, "pod3");
  const recorded = [0x94, 4, 0, 0, 7, 7, 8, 10, 244, 1, 1, 0]; // the gateway's address: it was routed
  t.same([...out.frame.subarray(L3 + 20, L3 + 32)], recorded);
});

t.test("an endpoint's port unreachable reaches the client as if the service had said it", async (t) => {
  const node = nodeWithServices();
  const sent = build.udpFrame({ ...pathTo(node, POD2, VIP), payload: "query" });
  const arrived = node.through("pod2", sent);
  const error = build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about: arrived.frame });
  const out = node.through("pod3", error);
  t.equal(out.port, "pod2");
  t.match(out.text, `IP ${VIP} > ${POD2}: ICMP ${VIP} udp port 53 unreachable`);
  t.same(checkFrame(quoted(out)), [], "the quoted packet's checksums are right again");
  t.same(quoted(out).subarray(L3 + 12), sent.subarray(L3 + 12), "quoted as the client sent it");
});

t.test(
  "a hop that says fragmentation needed reaches the masqueraded pod, MTU and quote in the pod's words",
  async (t) => {
    const node = nodeWithServices();
    const sent = build.tcpFrame({ ...pathTo(node, POD2, CLIENT), flags: "P.", payload: 900 });
    const left = node.through("pod2", sent);
    const path = { ...pathTo(node, "203.0.113.1", node.address), src: ROUTER };
    const error = build.icmpErrorFrame({
      ...path,
      type: 3,
      code: 4,
      rest: 576,
      about: left.frame,
      quote: 600,
    });
    const out = node.through("uplink", error);
    t.equal(out.port, "pod2");
    t.match(out.text, `IP ${ROUTER} > ${POD2}: ICMP ${CLIENT} unreachable - need to frag (mtu 576)`);
    t.same(quoted(out).subarray(L3 + 12, L3 + 40), sent.subarray(L3 + 12, L3 + 40));
  },
);

t.test("a hop's time exceeded to a masqueraded ping comes back with the pod's id", async (t) => {
  const node = nodeWithServices();
  const sent = build.echoFrame({ ...pathTo(node, POD2, CLIENT), echoId: 99, seq: 4 });
  const left = node.through("pod2", sent);
  const path = { ...pathTo(node, "203.0.113.1", node.address), src: ROUTER };
  const out = node.through(
    "uplink",
    build.icmpErrorFrame({ ...path, type: 11, code: 0, about: left.frame, quote: 84 }),
  );
  t.equal(out.port, "pod2");
  t.same(checkFrame(quoted(out)), []);
  t.same(quoted(out).subarray(L3 + 12), sent.subarray(L3 + 12));
});

t.test("the client's refusal of an answer reaches the endpoint behind DNAT and SNAT", async (t) => {
  const node = nodeWithServices();
  const asked = node.through(
    "uplink",
    build.udpFrame({ ...pathTo(node, CLIENT, node.address), dstPort: 30053 }),
  );
  const reply = build.udpFrame({
    ...pathTo(node, POD3, node.gateway),
    srcPort: 5353,
    dstPort: sourcePort(asked.text),
    payload: "answer",
  });
  const answered = node.through("pod3", reply);
  t.match(answered.text, `IP ${node.address}.30053 > ${CLIENT}.41000`);
  const refusal = build.icmpErrorFrame({
    ...pathTo(node, CLIENT, node.address),
    type: 3,
    code: 3,
    about: answered.frame,
  });
  const out = node.through("uplink", refusal);
  t.equal(out.port, "pod3");
  t.match(out.text, `IP ${node.gateway} > ${POD3}: ICMP ${node.gateway} udp port`);
  t.same(checkFrame(quoted(out)), []);
  t.same(quoted(out).subarray(L3 + 12), reply.subarray(L3 + 12));
});

t.test("an error about a hairpin connection comes back to the pod", async (t) => {
  const node = nodeWithServices();
  node.setService({
    name: "self",
    clusterIp: "10.96.0.11",
    port: 53,
    protocol: 17,
    endpoints: [`${POD2}:53`],
  });
  const sent = build.udpFrame({ ...pathTo(node, POD2, "10.96.0.11"), payload: 5 });
  const arrived = node.through("pod2", sent);
  const error = build.icmpErrorFrame({
    ...pathTo(node, POD2, node.gateway),
    type: 3,
    code: 3,
    about: arrived.frame,
  });
  const out = node.through("pod2", error);
  t.equal(out.port, "pod2");
  t.match(out.text, `IP 10.96.0.11 > ${POD2}: ICMP 10.96.0.11 udp port 53 unreachable`);
  t.same(quoted(out).subarray(L3 + 12), sent.subarray(L3 + 12));
});

t.test("an error about a connection nobody has is INVALID and goes nowhere", async (t) => {
  const node = nodeWithServices();
  const about = build.udpFrame(pathTo(node, CLIENT, POD3));
  node.send("pod3", build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about }));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_INVALID: 1 });
});

t.test("an error with a wrong checksum is INVALID: NAT must not make it right", async (t) => {
  const node = nodeWithServices();
  const arrived = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: "query" }));
  const error = build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about: arrived.frame });
  error[error.length - 1] ^= 1;
  node.send("pod3", error);
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { BAD_ICMP_CHECKSUM: 1 });
});

t.test("an error that quotes too little, or a fragment, is INVALID", async (t) => {
  const node = nodeWithServices();
  const arrived = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 64 }));
  const later = arrived.frame.slice();
  viewOf(later).setUint16(L3 + 6, 2);
  for (const [about, quote] of [
    [arrived.frame, 27],
    [arrived.frame, 19],
    [arrived.frame, 0],
    [later, 48],
  ] as const) {
    node.send("pod3", build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about, quote }));
  }
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_INVALID: 4 });
});

t.test("an error belongs to a living connection only", async (t) => {
  const node = nodeWithServices();
  const arrived = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 4 }));
  node.clock.advanceSec(31);
  node.engine.lastSweepMs = node.clock.nowMs();
  node.send(
    "pod3",
    build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about: arrived.frame }),
  );
  node.run();
  t.same(node.everything(), []);
});

t.test("an error about an untranslated connection passes as it is", async (t) => {
  const node = nodeWithServices();
  const arrived = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 4 }));
  const error = build.icmpErrorFrame({ ...pathTo(node, POD3, POD2), type: 3, code: 3, about: arrived.frame });
  t.same(node.through("pod3", error).frame, error);
});

t.test("any error about any quote leaves with right checksums or not at all", async () => {
  const quote = fc.uint8Array({ minLength: 0, maxLength: 60 });
  fc.assert(
    fc.property(quote, fc.integer({ min: 0, max: 59 }), fc.boolean(), (noise, at, keep) => {
      const node = nodeWithServices();
      const arrived = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 24 }));
      const body = keep ? arrived.frame.slice(L3) : noise;
      if (keep && at < body.length) body[at] ^= noise[0] ?? 1;
      node.send("pod3", build.icmpFrame(pathTo(node, POD3, POD2), 3, 1, 0, body));
      node.run(); // throws when a frame is wrong: but quoted headers may be, when they came so
      node.everything();
    }),
    { numRuns: 200 },
  );
});
