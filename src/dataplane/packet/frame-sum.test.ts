// Checksums verified by the sum that was made when the frame came: they must be found right and wrong as without it,
// whatever the frame is and wherever the sum begins; and the sum must be what is asked, or it would serve nobody.
import * as fc from "fast-check";
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import type { IpOptions } from "../../testing/frames/frame-options.ts";
import { makeDualStack, node6, pathTo6, pod6 } from "../../testing/world/dual-stack.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../testing/world/test-cluster.ts";
import { CLIENT, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { frameSum } from "../../wire/bytes/offload.ts";
import { receive } from "../pipeline.ts";
import { flush } from "../send/tx-queue.ts";
import { parse } from "../stage/ip/parse.ts";
import { H_CHECKSUM } from "../table/connection/conntrack.ts";
import { Verdict } from "../verdict.ts";
import { setSum, sumFrom, UNKNOWN } from "./frame-sum.ts";
import { begin } from "./packet.ts";
import { wrongChecksum } from "./transport-checksum.ts";

const [POD2, POD3] = ["10.244.1.2", "10.244.1.3"];
const L3 = 14;
const IN_TUNNEL = { 4: 64, 6: 84 };

/** IPv6 with a destination-options header of eight bytes before the transport. */
function withExtension(frame: Uint8Array): Uint8Array {
  const l4 = L3 + 40;
  const longer = Uint8Array.from([
    ...frame.subarray(0, l4),
    frame[L3 + 6],
    0,
    1,
    4,
    1,
    2,
    3,
    4,
    ...frame.subarray(l4),
  ]);
  longer[L3 + 6] = 60;
  new DataView(longer.buffer).setUint16(L3 + 4, longer.length - l4);
  return longer;
}

const kinds: readonly ((path: IpOptions, payload: number) => Uint8Array)[] = [
  (path, payload) => build.tcpFrame({ ...path, payload }),
  (path, payload) => build.udpFrame({ ...path, payload }),
  (path, payload) => build.udpFrame({ ...path, payload, checksum: false }),
  (path, payload) => build.echoFrame({ ...path, payload }),
  (path, payload) => build.udpLiteFrame({ ...path, payload }),
  (path, payload) => build.udpLiteFrame({ ...path, payload, coverage: 8 + (payload >> 1) }),
];
const samples = fc.record({
  kind: fc.nat({ max: kinds.length - 1 }),
  family: fc.constantFrom(4, 6),
  payload: fc.nat({ max: 700 }),
  tos: fc.nat({ max: 255 }),
  longer: fc.boolean(), // IPv4 options, an IPv6 extension header
  padding: fc.constantFrom(0, 0, 0, 1, 2, 5),
  from: fc.constantFrom(L3, IN_TUNNEL[4], IN_TUNNEL[6], L3 + 20, L3 + 60),
  damageAt: fc.option(fc.nat(), { nil: undefined }),
  damage: fc.integer({ min: 1, max: 255 }),
});

t.test("right and wrong are the same with a sum as without", async (t) => {
  const node = makeDualStack(new TestNode({ unchecked: true }));
  const { tables } = node;
  const off = node.engine.rxOffs[0];
  const seen = { right: 0, wrong: 0, summed: 0 };
  fc.assert(
    fc.property(samples, (s) => {
      const path = s.family === 4 ? pathTo(node, POD2, POD3) : pathTo6(node, pod6(1, 2), pod6(1, 3));
      const options = s.longer && s.family === 4 ? { ipOptions: Uint8Array.of(1, 1, 1, 0) } : {};
      let frame = kinds[s.kind]({ ...path, ...options, tos: s.tos }, s.payload);
      if (s.longer && s.family === 6) frame = withExtension(frame);
      if (s.damageAt !== undefined) frame[L3 + (s.damageAt % (frame.length - L3))] ^= s.damage;
      frame = Uint8Array.from([...frame, ...new Uint8Array(s.padding).fill(0x5a)]);
      tables.arena.fill(0, off - 10, off);
      tables.arena.set(frame, off);
      const pkt = tables.scratch.outer;
      begin(pkt, off, frame.length, node.portId("pod2"));
      if (parse(pkt, tables) !== Verdict.NEXT || pkt.family === 0 || pkt.fragment !== 0) return true;
      const want = wrongChecksum(pkt, tables);
      const sum = frameSum(tables.arena, off, frame.length, s.from);
      if (sum >= 0) setSum(pkt, sum, off + s.from, off + frame.length);
      seen[want === 0 ? "right" : "wrong"]++;
      if (sum >= 0 && s.padding === 0) seen.summed++;
      return wrongChecksum(pkt, tables) === want;
    }),
    { numRuns: 3000 },
  );
  t.ok(seen.right > 500 && seen.wrong > 300 && seen.summed > 500, JSON.stringify(seen));
});

t.test("where the sum of a port's frames begins, and whose are not summed", async (t) => {
  for (const outer of [4, 6] as const) {
    const node = makeDualStack(new TestNode(), outer);
    const from = (port: string): number => sumFrom(node.tables, node.portId(port));
    t.equal(from("pod2"), L3);
    t.equal(from("uplink"), IN_TUNNEL[outer], "where a packet begins that comes out of the tunnel");
    t.equal(from("host"), UNKNOWN, "nobody verifies what the node itself sends");
    node.tables.config.tunnel.on = 0;
    t.equal(from("uplink"), L3);
    node.tables.conntrack.header[H_CHECKSUM] = 0;
    t.equal(from("pod2"), UNKNOWN, "nor anything");
  }
});

/** Frames whose sum spares the way through their bytes, all or most of it. */
function cases(node: TestNode): readonly (readonly [name: string, port: string, frame: Uint8Array])[] {
  const inner = { srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const link = { srcMac: uplinkMacOf(2), dstMac: uplinkMacOf(1) };
  const [in4, in6] = [
    { ...inner, src: "10.244.2.2", dst: POD2 },
    { ...inner, src: pod6(2, 2), dst: pod6(1, 2) },
  ];
  const over4 = { ...link, src: nodeAddress(2), dst: nodeAddress(1) };
  const over6 = { ...link, src: node6(2), dst: node6(1), checksum: true };
  return [
    ["TCP", "pod2", build.tcpFrame({ ...pathTo(node, POD2, POD3), flags: "S", payload: 40 })],
    ["UDP over IPv6", "pod2", build.udpFrame({ ...pathTo6(node, pod6(1, 2), pod6(1, 3)), payload: 40 })],
    ["ICMP", "pod2", build.echoFrame({ ...pathTo(node, POD2, POD3), payload: 40 })],
    ["ICMPv6", "pod2", build.echoFrame({ ...pathTo6(node, pod6(1, 2), pod6(1, 3)), payload: 40 })],
    ["from the fabric", "uplink", build.udpFrame({ ...pathTo(node, CLIENT, POD2), payload: 400 })],
    ["in a tunnel", "uplink", build.vxlanFrame({ ...over4, inner: build.udpFrame({ ...in4, payload: 40 }) })],
    [
      "IPv6 in a tunnel",
      "uplink",
      build.vxlanFrame({ ...over4, inner: build.udpFrame({ ...in6, payload: 40 }) }),
    ],
    [
      "tunnel with a sum",
      "uplink",
      build.vxlanFrame({ ...over4, inner: build.udpFrame({ ...in4, payload: 40 }), checksum: true }),
    ],
    [
      "tunnel over IPv6",
      "uplink",
      build.vxlanFrame({ ...over6, inner: build.udpFrame({ ...in4, payload: 40 }) }),
    ],
  ];
}

t.test("the sum that came with the frame is the one that counts", async (t) => {
  const outer = (name: string): 4 | 6 => (name.endsWith("over IPv6") && name.startsWith("tunnel") ? 6 : 4);
  for (const [i, [name]] of cases(makeDualStack(new TestNode())).entries()) {
    for (const off of [0, 1]) {
      const node = makeDualStack(new TestNode({ unchecked: true }), outer(name));
      const [, port, frame] = cases(node)[i];
      const at = node.engine.rxOffs[0];
      node.tables.arena.fill(0, at - 10, at);
      node.tables.arena.set(frame, at);
      const id = node.portId(port);
      const from = sumFrom(node.tables, id);
      const sum = frameSum(node.tables.arena, at, frame.length, from) ^ off;
      receive(node.tables, at, frame.length, id, node.engine.nowSec, sum, from);
      flush(node.tables.tx);
      node.run();
      t.equal(node.everything().length, 1 - off, `${name}: ${off === 0 ? "its own sum" : "another"}`);
      if (off === 1) t.match(Object.keys(node.drops()).join(), /^(BAD_.*|VXLAN_BAD)_CHECKSUM$/, name);
    }
  }
});

t.test("beside ports whose frames are summed there may be one whose are not", async (t) => {
  const node = new TestNode({ summed: true });
  node.tables.ports.fd[node.portId("pod3")] = -1; // a device that receives by itself, as libpcap's does
  node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 40 }));
  t.equal(node.summing?.summed, 1);
  t.equal(node.through("pod3", build.udpFrame({ ...pathTo(node, POD3, POD2), payload: 4 })).port, "pod2");
  t.equal(node.summing?.summed, 1);
});
