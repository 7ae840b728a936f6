// The overlay: what goes into VXLAN and how, what comes out of it, and what does not. tunnel.ts and stage
// decapsulate.
import t from "tap";
import { concat, viewOf } from "../../testing/frames/bytes.ts";
import { fragmentsOf } from "../../testing/frames/fragment-frames.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../testing/frames/frame-checker.ts";
import {
  completed,
  partialFrame,
  superframe,
  tcpPayload,
  tunnelSuperframe,
  udpSuperframe,
} from "../../testing/frames/virtio-frames.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../testing/world/test-cluster.ts";
import { CLIENT, pathTo, TestFabric } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import * as virtio from "../../wire/link/virtio-net.ts";

const POD = "10.244.1.2";
const REMOTE = "10.244.2.2";
const L3 = 14;
const OUTER = 50;

const PATH = pathTo(new TestNode({ poolSlots: 4 }), POD, REMOTE);
const tcp = (flags: string, o: object = {}): Uint8Array => build.tcpFrame({ ...PATH, flags, ...o });
const gsoType = (bytes: Uint8Array): number => virtio.gsoType(viewOf(bytes), 0);
const gsoSize = (bytes: Uint8Array): number => virtio.gsoSize(viewOf(bytes), 0);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

/** Two nodes that know each other's MAC, with an established connection from POD to REMOTE, port 80. */
function connected(): TestFabric {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const wide = { window: 65_535, wscale: 14 }; // as much as a test may send without an answer
  const back = (flags: string, o: object): Uint8Array =>
    build.tcpFrame({ ...pathTo(two, REMOTE, POD), flags, srcPort: 80, dstPort: 41000, ...o });
  one.send("pod2", tcp("S", wide));
  fabric.run();
  two.send("pod2", back("S.", { ack: 1, ...wide }));
  fabric.run();
  one.send("pod2", tcp(".", { seq: 1, ack: 1 }));
  fabric.run();
  two.send("pod2", back(".", { seq: 1, ack: 1, window: 65_535 }));
  fabric.run();
  for (const node of fabric.nodes) node.everything();
  fabric.crossed.length = 0;
  return fabric;
}

t.test("a packet for another node's pod travels in VXLAN from VTEP to VTEP", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  one.send("pod2", build.udpFrame({ ...pathTo(one, POD, REMOTE), payload: "over", tos: 1 }));
  fabric.run();
  t.equal(fabric.crossed.length, 1);
  const { frame, text, virtio: header } = fabric.crossed[0];
  t.match(text, /^IP 192\.168\.50\.11\.\d+ > 192\.168\.50\.12\.8472: VXLAN, flags \[I\] \(0x08\), vni 1/);
  t.same([...header], new Array(10).fill(0));
  const view = viewOf(frame);
  const sourcePort = view.getUint16(L3 + 20);
  t.ok(sourcePort >= 49_152, "RFC 7348 §5");
  t.equal(view.getUint16(L3 + 26), 0, "no outer checksum, as Linux over IPv4");
  t.equal(frame[L3 + 8], 64);
  t.equal(frame[L3 + 1], 1, "ECN of the inner header (RFC 6040), DSCP not");
  t.equal(view.getUint16(L3 + 6), 0, "may be fragmented");
  t.same({ hi: view.getUint16(OUTER), lo: view.getInt32(OUTER + 2) }, build.mac(vtepMacOf(2)));
  t.same({ hi: view.getUint16(OUTER + 6), lo: view.getInt32(OUTER + 8) }, build.mac(vtepMacOf(1)));
  const got = two.received("pod2");
  t.equal(got.length, 1);
  t.equal(got[0].text, `IP ${POD}.41000 > ${REMOTE}.53: UDP, length 4`, "its own address, not masqueraded");
  t.equal(got[0].frame[L3 + 8], 62, "two routers");
  fabric.settle();
});

t.test("packets of one flow keep one outer source port, flows differ in it", async (t) => {
  const fabric = new TestFabric();
  const [one] = fabric.nodes;
  const ports = new Set<number>();
  for (let flow = 0; flow < 50; flow++) {
    const seen = new Set<number>();
    for (let n = 0; n < 3; n++) {
      one.send("pod2", build.udpFrame({ ...pathTo(one, POD, REMOTE), srcPort: 1000 + flow, payload: n }));
      fabric.run();
      const crossed = fabric.crossed.pop();
      seen.add(viewOf(crossed?.frame ?? new Uint8Array(40)).getUint16(L3 + 20));
    }
    t.equal(seen.size, 1);
    ports.add([...seen][0]);
  }
  t.ok(ports.size > 45, `${ports.size} of 50`);
});

t.test(
  "a service spreads over both nodes, and its answers come back through the tunnel untranslated",
  async (t) => {
    const fabric = new TestFabric();
    const [one, two] = fabric.nodes;
    for (const node of fabric.nodes) {
      node.setService({
        name: "web",
        clusterIp: "10.96.0.10",
        nodePort: 30080,
        endpoints: [`${REMOTE}:8080`],
      });
    }
    one.send("pod2", build.tcpFrame({ ...pathTo(one, POD, "10.96.0.10"), flags: "S" }));
    fabric.run();
    t.match(two.texts("pod2")[0], `IP ${POD}.41000 > ${REMOTE}.8080: Flags [S]`);
    t.match(two.connections()[0], /^tcp SYN_SENT 10\.244\.1\.2:41000>10\.244\.2\.2:8080/);
    two.send(
      "pod2",
      build.tcpFrame({ ...pathTo(two, REMOTE, POD), flags: "S.", srcPort: 8080, dstPort: 41000 }),
    );
    fabric.run();
    t.match(one.texts("pod2")[0], `IP 10.96.0.10.80 > ${POD}.41000: Flags [S.]`);
    fabric.settle();
  },
);

t.test("the node's own stack reaches a remote pod from its VTEP's address", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  one.setService({ name: "web", clusterIp: "10.96.0.10", endpoints: [`${REMOTE}:8080`] });
  one.send("host", build.tcpFrame({ ...pathTo(one, one.address, "10.96.0.10"), flags: "S" }));
  fabric.run();
  const [text] = two.texts("pod2");
  const port = Number(/^IP 10\.244\.1\.0\.(\d+) > 10\.244\.2\.2\.8080/.exec(text)?.[1]);
  two.send(
    "pod2",
    build.tcpFrame({ ...pathTo(two, REMOTE, one.vtep), flags: "S.", srcPort: 8080, dstPort: port }),
  );
  fabric.run();
  t.match(one.texts("host")[0], `IP 10.96.0.10.80 > ${one.address}.41000: Flags [S.]`);
  fabric.settle();
});

t.test(
  "an outside client reaches a pod through another node's port, and gets its answer from there",
  async (t) => {
    const fabric = new TestFabric();
    const [one, two] = fabric.nodes;
    one.setService({ name: "web", nodePort: 30080, endpoints: [`${REMOTE}:8080`] });
    fabric.send(build.tcpFrame({ ...pathTo(one, CLIENT, one.address), flags: "S", dstPort: 30080 }));
    const [text] = two.texts("pod2");
    const port = Number(/^IP 10\.244\.1\.0\.(\d+) > 10\.244\.2\.2\.8080/.exec(text)?.[1]);
    two.send(
      "pod2",
      build.tcpFrame({ ...pathTo(two, REMOTE, one.vtep), flags: "S.", srcPort: 8080, dstPort: port }),
    );
    fabric.run();
    t.match(fabric.client.got.at(-1)?.text, `IP ${one.address}.30080 > ${CLIENT}.41000: Flags [S.]`);
    fabric.settle();
  },
);

t.test("a ping whose TTL ends on the second node is answered through the tunnel by its VTEP", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const ping = build.echoFrame({ ...pathTo(one, POD, REMOTE), ttl: 2 });
  one.send("pod2", ping);
  fabric.run();
  t.same(two.everything(), []);
  const [error] = one.received("pod2");
  t.match(error.text, `IP ${two.vtep} > ${POD}: ICMP time exceeded in-transit`);
  fabric.settle();
});

t.test("a partial checksum is completed before the tunnel", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const plain = tcp("S", { payload: 33 });
  const { frame, virtio: header } = partialFrame(plain);
  one.send("pod2", frame, header);
  fabric.run();
  t.same(checkFrame(fabric.crossed[0].frame), []);
  const [got] = two.received("pod2");
  t.equal(got.virtio[0], 0);
  t.ok(same(tcpPayload(got.frame), tcpPayload(plain)));
});

for (const { payload, mss, frames } of [
  { payload: 50_000, mss: 1398, frames: 1 },
  { payload: 1398 * 3, mss: 1398, frames: 1 },
  { payload: 1399, mss: 1398, frames: 1 },
  { payload: 60_000, mss: 500, frames: 2 },
  { payload: 64_000, mss: 100, frames: 3 },
  { payload: 20_000, mss: 1, frames: 313 },
]) {
  t.test(
    `${payload} bytes in segments of ${mss} cross as ${frames} superframes and arrive joined`,
    async (t) => {
      const fabric = connected();
      const [one, two] = fabric.nodes;
      const plain = tcp("P.", { payload, seq: 1000, ack: 1 });
      const { frame, virtio: header } = superframe(plain, mss);
      one.send("pod2", frame, header);
      fabric.run();
      if (payload < 50_000 || mss > 100) t.equal(fabric.crossed.length, frames);
      for (const crossed of fabric.crossed) {
        t.equal(gsoType(crossed.virtio), virtio.GSO_UDP_L4);
        t.equal(gsoSize(crossed.virtio), 8 + L3 + 40 + mss, "one VXLAN packet");
        t.ok(crossed.frame.length <= 65_535 + L3);
      }
      const got = two.received("pod2");
      t.ok(same(concat(...got.map((r) => tcpPayload(r.frame))), tcpPayload(plain)), "every byte, in order");
      for (const r of got)
        t.same(
          checkFrame(completed(r)).filter((p) => !p.includes("superframe")),
          [],
        );
      t.ok(got.length <= fabric.crossed.length * 2 + 2, `${got.length} frames`);
      fabric.settle();
    },
  );
}

t.test("a superframe that shrank to one segment needs no superframe", async (t) => {
  const fabric = connected();
  const [one, two] = fabric.nodes;
  const { frame, virtio: header } = superframe(tcp("P.", { payload: 700 }), 1398);
  one.send("pod2", frame, header);
  fabric.run();
  t.equal(gsoType(fabric.crossed[0].virtio), 0);
  t.equal(two.received("pod2").length, 1);
});

t.test(
  "more superframes in one batch than there is room to join them at once arrive whole, in order",
  async (t) => {
    const fabric = connected();
    const [one, two] = fabric.nodes;
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      const payload = new Uint8Array(30_000).map((_, k) => (k * 7 + i * 31) & 255);
      const plain = tcp("P.", { payload, seq: 30_000 * i });
      sent.push(payload);
      const { frame, virtio: header } = superframe(plain, 1398);
      one.send("pod2", frame, header);
    }
    fabric.run();
    const got = two.received("pod2");
    t.equal(got.length, 20);
    t.ok(same(concat(...got.map((r) => tcpPayload(r.frame))), concat(...sent)));
    fabric.settle();
  },
);

t.test("a superframe with FIN keeps it for its last segment", async (t) => {
  const fabric = connected();
  const [one, two] = fabric.nodes;
  const { frame, virtio: header } = superframe(tcp("FP.", { payload: 4000 }), 1398);
  one.send("pod2", frame, header);
  fabric.run();
  const texts = two.texts("pod2");
  t.match(texts.at(-1), "Flags [FP.]");
  t.notMatch(texts[0], /Flags \[.*F/);
});

t.test("CWR and its virtio mark cross the tunnel", async (t) => {
  const fabric = connected();
  const [one, two] = fabric.nodes;
  const { frame, virtio: header } = superframe(tcp("W.", { payload: 4000 }), 1398, true);
  one.send("pod2", frame, header);
  fabric.run();
  const got = two.received("pod2");
  t.equal(got.filter((r) => /W/.test(r.text)).length, 1);
});

t.test("a superframe without payload is a packet like any", async (t) => {
  const fabric = connected();
  const [one, two] = fabric.nodes;
  const { frame, virtio: header } = superframe(tcp(".", { payload: 0 }), 1398);
  one.send("pod2", frame, header);
  fabric.run();
  t.equal(two.received("pod2").length, 1);
});

t.test("a superframe of UDP datagrams crosses the tunnel as datagrams", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  one.send("pod2", build.udpFrame({ ...pathTo(one, POD, REMOTE), payload: 1 }));
  fabric.run();
  two.everything();
  const plain = build.udpFrame({ ...pathTo(one, POD, REMOTE), payload: 5000 });
  const { frame, virtio: header } = udpSuperframe(plain, 1200);
  one.send("pod2", frame, header);
  fabric.run();
  const got = two.received("pod2");
  t.equal(got.length, 5);
  t.ok(
    got.every((r) => r.virtio[0] === 0 && viewOf(r.frame).getUint16(L3 + 26) !== 0),
    "with checksums",
  );
  t.ok(same(concat(...got.map((r) => r.frame.subarray(L3 + 28))), plain.subarray(L3 + 28)));
  t.same(one.drops(), {});
  fabric.settle();
});

t.test("a tunnel superframe as a kernel's VXLAN device sends it reaches the pod as superframe", async (t) => {
  const fabric = connected();
  const [, two] = fabric.nodes;
  const inner = tcp("P.", {
    payload: 20_000,
    dstMac: vtepMacOf(2),
    srcMac: vtepMacOf(1),
    ttl: 63,
  });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const { frame, virtio: header } = tunnelSuperframe(build.vxlanFrame({ ...link, inner }), 1398);
  two.send("uplink", frame, header);
  two.run();
  const [got] = two.received("pod2");
  t.equal(gsoType(got.virtio), virtio.GSO_TCPV4);
  t.equal(gsoSize(got.virtio), 1398);
  t.ok(same(tcpPayload(got.frame), tcpPayload(inner)));
});

t.test("fragments from a pod cross the tunnel as fragments", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const datagram = build.udpFrame({ ...pathTo(one, POD, REMOTE), dontFragment: false, payload: 5000 });
  one.send("pod2", build.udpFrame({ ...pathTo(one, POD, REMOTE), payload: 1 }));
  fabric.run();
  two.everything();
  for (const piece of fragmentsOf(datagram, 1424)) one.send("pod2", piece);
  fabric.run();
  t.equal(two.received("pod2").length, 4);
  fabric.settle();
});

t.test("a VXLAN packet that was fragmented on the fabric is joined and taken out", async (t) => {
  const fabric = new TestFabric();
  const [one, two] = fabric.nodes;
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const macs = { srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) };
  const inner = build.udpFrame({ ...pathTo(one, POD, REMOTE), ...macs, payload: 1400 });
  const outer = build.vxlanFrame({ ...link, inner, dontFragment: false });
  for (const piece of fragmentsOf(outer, 800)) two.send("uplink", piece);
  two.run();
  t.match(two.texts("pod2")[0], `IP ${POD}.41000 > ${REMOTE}.53: UDP, length 1400`);
  two.settle();
});

interface Bad {
  readonly title: string;
  readonly options?: Partial<Parameters<typeof build.vxlanFrame>[0]>;
  readonly change?: (frame: Uint8Array) => void;
  readonly reason: string;
}

const bad: Bad[] = [
  { title: "with the I flag missing", change: (f) => (f[L3 + 28] = 0), reason: "VXLAN_MALFORMED" },
  { title: "for another VNI", options: { vni: 2 }, reason: "VXLAN_UNKNOWN_VNI" },
  { title: "from a node we do not know", options: { src: "192.168.50.77" }, reason: "VXLAN_UNKNOWN_VTEP" },
  {
    title: "with a wrong outer checksum",
    options: { checksum: true },
    change: (f) => (f[f.length - 1] ^= 1),
    reason: "VXLAN_BAD_CHECKSUM",
  },
  {
    title: "for another inner MAC",
    options: {
      inner: build.udpFrame({ src: POD, dst: REMOTE, srcMac: vtepMacOf(1), dstMac: "0a:58:0a:f4:02:02" }),
    },
    reason: "VXLAN_INNER",
  },
  {
    title: "with a broadcast inside",
    options: {
      inner: build.udpFrame({ src: POD, dst: REMOTE, srcMac: vtepMacOf(1), dstMac: "ff:ff:ff:ff:ff:ff" }),
    },
    reason: "VXLAN_INNER",
  },
  {
    title: "with less than an Ethernet header inside",
    options: { inner: new Uint8Array(13) },
    reason: "VXLAN_INNER",
  },
  { title: "with nothing inside", options: { inner: new Uint8Array(0) }, reason: "VXLAN_INNER" },
];

for (const { title, options, change, reason } of bad) {
  t.test(`a VXLAN packet ${title} is dropped`, async (t) => {
    const node = new TestNode({ index: 2 });
    const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
    const inner = build.udpFrame({ src: POD, dst: REMOTE, srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) });
    const frame = build.vxlanFrame({ ...link, inner, ...options });
    change?.(frame);
    node.send("uplink", frame);
    node.run();
    t.same(node.everything(), []);
    t.same(node.drops(), { [reason]: 1 });
  });
}

for (const { title, outer, inner, want } of [
  { title: "no mark outside leaves the inner one alone", outer: 0, inner: 1, want: 1 },
  { title: "a congestion mark of the fabric reaches the pod", outer: 3, inner: 2, want: 3 },
  { title: "a mark that is there already stays", outer: 3, inner: 3, want: 3 },
  { title: "DSCP inside is kept beside the mark", outer: 3, inner: 0xb9, want: 0xbb },
  { title: "a congested packet whose sender knows no ECN is dropped", outer: 3, inner: 0, want: -1 },
  { title: "a capable outer header over one that is not does no harm", outer: 2, inner: 0, want: 0 },
]) {
  t.test(`ECN (RFC 6040): ${title}`, async (t) => {
    const node = new TestNode({ index: 2 });
    const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
    const packet = build.tcpFrame({
      src: POD,
      dst: REMOTE,
      srcMac: vtepMacOf(1),
      dstMac: vtepMacOf(2),
      flags: "S",
      tos: inner,
    });
    node.send("uplink", build.vxlanFrame({ ...link, inner: packet, tos: outer }));
    node.run();
    const got = node.received("pod2");
    t.equal(got.length === 0 ? -1 : got[0].frame[L3 + 1], want);
    t.same(node.drops(), want < 0 ? { VXLAN_CONGESTION: 1 } : {});
  });
}

t.test("an outer checksum that is right is accepted", async (t) => {
  const node = new TestNode({ index: 2 });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const inner = build.udpFrame({ src: POD, dst: REMOTE, srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) });
  t.equal(node.through("uplink", build.vxlanFrame({ ...link, inner, checksum: true })).port, "pod2");
});

t.test("a VXLAN packet without room for its header is malformed", async (t) => {
  const node = new TestNode({ index: 2 });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  node.send("uplink", build.udpFrame({ ...link, dstPort: 8472, payload: 7 }));
  node.run();
  t.same(node.drops(), { VXLAN_MALFORMED: 1 });
});

t.test("a superframe that mixes networks is refused as a whole", async (t) => {
  const node = new TestNode({ index: 2 });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const inner = build.udpFrame({
    src: POD,
    dst: REMOTE,
    srcMac: vtepMacOf(1),
    dstMac: vtepMacOf(2),
    payload: 10,
  });
  const packet = (vni: number): Uint8Array => build.vxlanFrame({ ...link, inner, vni }).subarray(L3 + 28);
  const payload = concat(packet(1), packet(2));
  const { frame, virtio: header } = udpSuperframe(
    build.udpFrame({ ...link, dstPort: 8472, payload }),
    packet(1).length,
  );
  node.send("uplink", frame, header);
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { VXLAN_UNKNOWN_VNI: 1 });
});

t.test("a superframe of packets of several flows is taken apart in order", async (t) => {
  const node = new TestNode({ index: 2 });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const inner = (srcPort: number): Uint8Array =>
    build.udpFrame({
      src: POD,
      dst: REMOTE,
      srcMac: vtepMacOf(1),
      dstMac: vtepMacOf(2),
      srcPort,
      payload: 10,
    });
  const packet = (srcPort: number): Uint8Array =>
    build.vxlanFrame({ ...link, inner: inner(srcPort) }).subarray(L3 + 28);
  const count = 600; // more than one call of coalesce can describe
  const payload = concat(...Array.from({ length: count }, (_, i) => packet(2000 + i)));
  const outer = build.udpFrame({ ...link, dstPort: 8472, payload });
  const { frame, virtio: header } = udpSuperframe(outer, packet(1).length);
  node.send("uplink", frame, header);
  node.run();
  const texts = node.texts("pod2");
  t.equal(texts.length, count);
  const wanted = texts.map((_, i) => `IP ${POD}.${2000 + i} > ${REMOTE}.53: UDP, length 10`);
  t.same(texts, wanted);
  node.settle();
});

t.test("VXLAN of a pod is not taken for the node's", async (t) => {
  const node = new TestNode();
  node.tables.config.guard.antiSpoofing = 0; // else it would go nowhere
  const inner = build.udpFrame({ src: REMOTE, dst: "10.244.1.3", dstMac: node.vtepMac });
  const frame = build.vxlanFrame({ ...pathTo(node, POD, node.address), inner });
  t.equal(node.through("pod2", frame).port, "host");
});

t.test("VXLAN inside VXLAN is not opened twice", async (t) => {
  const node = new TestNode({ index: 2, unchecked: true });
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const innermost = build.udpFrame({ src: POD, dst: REMOTE, srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) });
  const inner = build.vxlanFrame({
    src: POD,
    dst: nodeAddress(2),
    srcMac: vtepMacOf(1),
    dstMac: vtepMacOf(2),
    inner: innermost,
  });
  t.equal(node.through("uplink", build.vxlanFrame({ ...link, inner })).port, "host");
});

t.test(
  "a pod that is scanned through the tunnel while the other node is silent costs bounded memory",
  async () => {
    const node = new TestNode({ poolSlots: 32 });
    for (let i = 0; i < 500; i++) {
      const { frame, virtio: header } = superframe(tcp("P.", { srcPort: 1000 + i, payload: 30_000 }), 1398);
      node.send("pod2", frame, header);
      node.run();
    }
    node.everything();
    node.settle();
  },
);
