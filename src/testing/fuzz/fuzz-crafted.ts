// Frames made to hurt: lengths that lie, options without end, chains of extension headers, fragments that overlap,
// packets to themselves, tunnels in tunnels, superframes that are none. Each list is for one test node
// (test-node.ts, node 1) with both families; the corpus of the hostile runs mutates them further.
import { fromHex } from "../frames/bytes.ts";
import { fragmentOf, fragmentsOf } from "../frames/fragment-frames.ts";
import * as build from "../frames/frame-builder.ts";
import { withChecksums } from "../frames/frame-offload.ts";
import { superframe, tunnelSuperframe, udpSuperframe, type VirtioFrame } from "../frames/virtio-frames.ts";
import type { Prng } from "../prng.ts";
import {
  CLIENT6,
  fragmentsOf6,
  gateway6,
  node6,
  pathTo6,
  pod6,
  ROUTER6,
  vtep6,
} from "../world/dual-stack.ts";
import { VIP6 } from "../world/dual-stack-samples.ts";
import { FABRIC_ROUTER, uplinkMacOf, vtepMacOf } from "../world/test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo, ROUTER_MAC } from "../world/test-fabric.ts";
import type { TestNode } from "../world/test-node.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const REMOTE = "10.244.2.2";
const VIP = "10.96.0.10";
const NODE = "192.168.50.11";
const PEER = "192.168.50.12";
const VXLAN = 8472;
const ETH = 14;
const EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140, 253];
const UPPER = [6, 17, 58, 59, 132, 50, 4, 41, 47];

/** Ends that get far: every pair of places a frame may claim to travel between. */
function paths(node: TestNode): build4[] {
  const pairs = [
    [POD2, POD3],
    [POD2, REMOTE],
    [POD2, VIP],
    [POD3, "198.18.0.1"],
    [CLIENT, NODE],
    [PEER, NODE],
    [NODE, POD2],
    [POD2, "10.244.1.1"],
  ];
  return pairs.map(([src, dst]) => pathTo(node, src, dst));
}
type build4 = ReturnType<typeof pathTo>;

function paths6(node: TestNode): build4[] {
  const pairs = [
    [pod6(1, 2), pod6(1, 3)],
    [pod6(1, 2), pod6(2, 2)],
    [pod6(1, 2), VIP6],
    [pod6(1, 3), "2001:db8::9"],
    [pod6(1, 2), gateway6(1)],
    [node6(2), node6(1)],
  ];
  return pairs.map(([src, dst]) => pathTo6(node, src, dst));
}

/** `n` random bytes. */
export function randomBytes(random: Prng, n: number): Uint8Array {
  return Uint8Array.from({ length: n }, () => random.below(256));
}

/** A sample with one of its length fields set to what it is not; its sums are right again. */
export function lyingLength(sample: Uint8Array, random: Prng): Uint8Array {
  const bytes = sample.slice();
  if (bytes.length < ETH + 8) return bytes;
  const view = new DataView(bytes.buffer);
  const isV6 = bytes[12] === 0x86;
  const isTunnel = bytes.length > 110 && view.getUint16(36) === VXLAN;
  const base = isTunnel && random.below(2) === 0 ? 50 : 0;
  const v6 = base === 0 ? isV6 : bytes[62] === 0x86;
  const fields = v6 ? [18, 20, 46, 58, 66] : [14, 16, 20, 38, 46, 26];
  const at = base + random.pick(fields);
  if (at + 2 > bytes.length) return bytes;
  const left = bytes.length - ETH - base;
  const values = [0, 1, 7, 8, 19, 20, 40, left - 1, left + 1, left - 20, left - 8, 0x7fff, 0xfff0, 0xffff];
  if (!v6 && at === base + 14) bytes[at] = 0x40 | random.below(16);
  else if (at === base + 46) bytes[at] = random.below(16) << 4;
  else view.setUint16(at, random.pick(values) & 0xffff);
  return random.below(4) > 0 ? withChecksums(bytes) : bytes;
}

/** IPv4 and TCP headers full of options; neighbour discovery with hundreds of them. */
export function optionFrame(node: TestNode, random: Prng): Uint8Array {
  const path = random.pick(paths(node));
  switch (random.below(4)) {
    case 0: {
      const ipOptions = optionBytes(random, 4 * (1 + random.below(10)));
      return build.udpFrame({ ...path, ipOptions, payload: random.below(60), dontFragment: false });
    }
    case 1: {
      // The options lie in what was payload: only the data offset grows.
      const payload = optionBytes(random, 40 + random.below(20));
      const frame = build.tcpFrame({ ...path, flags: random.pick(["S", "S.", ".", "P.", "FPU."]), payload });
      frame[ETH + 20 + 12] = (6 + random.below(10)) << 4;
      return withChecksums(frame);
    }
    case 2: {
      const at6 = random.pick(paths6(node));
      const type = 133 + random.below(5);
      const options = optionBytes(random, random.below(2) === 0 ? 1200 : random.below(200));
      const group = { dst: "ff02::1:ff00:1", dstMac: "33:33:ff:00:00:01", ttl: 255 };
      const body = [...Array.from({ length: 16 }, () => random.below(256)), ...options];
      return build.icmpFrame({ ...at6, ...group }, type, 0, 0, Uint8Array.from(body));
    }
    default: {
      const frame = build.tcpFrame({ ...random.pick(paths6(node)), payload: optionBytes(random, 60) });
      frame[ETH + 40 + 12] = 0xf0;
      return withChecksums(frame);
    }
  }
}

/** Options as attackers write them: length 0, 1, past the end, all padding, source routes, or anything. */
function optionBytes(random: Prng, n: number): Uint8Array {
  const bytes = new Uint8Array(n);
  const kind = random.below(5);
  for (let i = 0; i < n; i++) {
    if (kind === 0) bytes[i] = 1;
    else if (kind === 1) bytes[i] = random.below(256);
    else if (kind === 2) bytes[i] = i % 2 === 0 ? random.below(256) : random.below(3);
    else if (kind === 3) bytes[i] = i % 4 === 0 ? random.pick([0x83, 0x89, 0x44, 0x07, 0x94]) : 4;
    else bytes[i] = i % 8 === 0 ? random.below(6) : i % 8 === 1 ? 1 : 0;
  }
  return bytes;
}

/** IPv6 with up to a hundred extension headers, fragment headers among them, lengths true or not. */
export function chainFrame(node: TestNode, random: Prng): Uint8Array {
  const count = random.below(4) === 0 ? random.below(100) : random.below(10);
  const kinds = Array.from({ length: count }, () => random.pick(EXTENSIONS));
  const upper = random.pick(UPPER);
  const body: number[] = [];
  kinds.forEach((kind, i) => {
    const next = kinds[i + 1] ?? upper;
    const units = kind === 44 || random.below(3) > 0 ? 0 : random.below(4);
    const claimed = random.below(12) === 0 ? random.below(256) : kind === 51 ? 2 * units : units;
    const fragment = kind === 44 ? [random.below(256), random.below(2) * 8 + random.below(2)] : [1, 4];
    body.push(next, claimed, ...fragment, 0, 0, 0, random.below(2));
    for (let k = 0; k < units * 8; k++) body.push(0);
  });
  body.push(...upperBytes(upper, random));
  const frame = build.ipFrame(random.pick(paths6(node)), kinds[0] ?? upper, body.length, (view, off) => {
    body.forEach((byte, i) => void view.setUint8(off + i, byte));
  });
  return random.below(8) === 0 ? frame.subarray(0, random.below(frame.length)).slice() : frame;
}

function upperBytes(proto: number, random: Prng): number[] {
  if (proto === 6) return [...fromHex("a0280050000000010000000150020400000000000000")];
  if (proto === 17) return [...fromHex("a02800350010beef0102030405060708")];
  if (proto === 58) return [random.pick([1, 2, 3, 4, 128, 129, 135, 136]), 0, 0, 0, ...Array(24).fill(0)];
  return Array.from({ length: random.below(40) }, () => random.below(256));
}

/** Fragments of few datagrams: overlapping, tiny, doubled, past 65535, in any order, of both families. */
export function fragmentFrames(node: TestNode, random: Prng, count: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  while (frames.length < count) {
    const id = random.below(40);
    const payload = random.below(6) === 0 ? 20_000 : random.below(3000);
    if (random.below(3) > 0) frames.push(...pieces4(node, random, id, payload));
    else frames.push(...pieces6(node, random, id, payload));
  }
  return frames.slice(0, count);
}

function pieces4(node: TestNode, random: Prng, id: number, payload: number): Uint8Array[] {
  const path = random.pick(paths(node));
  const o = { ...path, id, payload, dontFragment: false };
  const inner = build.udpFrame({
    src: REMOTE,
    dst: POD2,
    srcMac: vtepMacOf(2),
    dstMac: vtepMacOf(1),
    payload,
  });
  const whole =
    path.src === PEER
      ? build.vxlanFrame({ ...path, inner })
      : random.below(2) === 0
        ? build.tcpFrame(o)
        : build.udpFrame(o);
  if (random.below(3) === 0) return fragmentsOf(whole, 8 * (1 + random.below(180))).slice(0, 40);
  const body = whole.length - ETH - 20;
  return Array.from({ length: 4 }, () => {
    const from = 8 * random.below(1 + (body >> 3));
    const to = Math.min(body, from + random.below(1500));
    const piece = fragmentOf(whole, from, to, random.below(4) > 0);
    // Far behind: what would be longer than 65535 bytes when joined.
    if (random.below(10) === 0) piece[20] |= 0x1f;
    return withChecksums(piece);
  });
}

function pieces6(node: TestNode, random: Prng, id: number, payload: number): Uint8Array[] {
  const whole = build.udpFrame({ ...random.pick(paths6(node)), payload });
  const all = fragmentsOf6(whole, 8 * (1 + random.below(180)), id).slice(0, 40);
  for (const piece of all) {
    const view = new DataView(piece.buffer, piece.byteOffset);
    if (random.below(4) === 0) view.setUint16(56, random.below(65_536));
  }
  return all;
}

/** Packets to their own sender, tunnels in tunnels, errors about errors, hop limits that run out. */
export function loopFrame(node: TestNode, random: Prng): Uint8Array {
  const path = random.pick(paths(node));
  switch (random.below(7)) {
    case 0: {
      const self = random.pick([POD2, NODE, "10.244.1.1", "10.244.1.0", VIP, "127.0.0.1", "255.255.255.255"]);
      return build.tcpFrame({ ...path, src: self, dst: self, srcPort: 80, dstPort: 80, flags: "S" });
    }
    case 1:
      return build.udpFrame({ ...path, ttl: random.below(3), payload: 8 });
    case 2:
      return build.udpFrame({ ...random.pick(paths6(node)), ttl: random.below(3), payload: 8 });
    case 3: {
      let about = build.udpFrame({ ...path, payload: 8 });
      for (let n = random.below(5); n >= 0; n--)
        about = build.icmpErrorFrame({
          ...path,
          type: random.pick([3, 5, 11, 12]),
          code: random.below(6),
          about,
        });
      return about;
    }
    case 4:
      return nested(
        node,
        random,
        random.pick([POD2, "10.244.1.0", NODE, PEER]),
        random.pick([NODE, "10.244.1.0"]),
      );
    case 5:
      return nested(node, random, PEER, NODE);
    default: {
      const ends = random.pick([pod6(1, 2), node6(1), vtep6(1), VIP6, "::1", "fe80::1", "ff02::1"]);
      return build.tcpFrame({ ...random.pick(paths6(node)), src: ends, dst: ends, flags: "S" });
    }
  }
}

/** VXLAN in VXLAN, up to eight deep, each for this node's tunnel endpoint. */
function nested(node: TestNode, random: Prng, src: string, dst: string): Uint8Array {
  const macs = { srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  let frame = build.udpFrame({ src: REMOTE, dst: POD2, ...macs, payload: 10 });
  for (let depth = random.below(8); depth > 0; depth--) {
    const ends = random.pick([
      { src: PEER, dst: NODE },
      { src: "10.244.2.0", dst: "10.244.1.0" },
      { src: REMOTE, dst: NODE },
    ]);
    frame = build.vxlanFrame({ ...ends, ...macs, inner: frame });
  }
  const vni = random.below(8) === 0 ? random.below(1 << 24) : 1;
  const outer = pathTo(node, PEER, NODE);
  const macOfSender = src === PEER ? {} : { srcMac: uplinkMacOf(1 + random.below(2)) };
  return build.vxlanFrame({ ...outer, src, dst, ...macOfSender, vni, inner: frame });
}

/** Addresses nobody has: questions and answers that fill neighbour tables, stations that fill the bridge's. */
export function neighborFrame(node: TestNode, random: Prng): Uint8Array {
  const mac = `02:${[...randomBytes(random, 5)].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
  const host = `${random.below(256)}.${random.below(256)}`;
  const to = { dstMac: random.pick(["ff:ff:ff:ff:ff:ff", node.uplinkMac, node.gatewayMac]), srcMac: mac };
  switch (random.below(6)) {
    case 4:
    case 5:
      return answer(node, random);
    case 0:
      return build.arpFrame({ ...to, senderMac: mac, senderIp: `10.244.${host}`, targetIp: "10.244.1.1" });
    case 1:
      return build.arpFrame({
        ...to,
        op: 2,
        senderIp: `192.168.${host}`,
        targetIp: random.pick([NODE, FABRIC_ROUTER]),
      });
    case 2:
      return build.neighborAdvertisementFrame({ ...to, src: node6(2), dst: node6(1), target: node6(2), mac });
    default:
      return build.udpFrame({
        ...to,
        src: POD2,
        dst: `192.168.50.${random.below(256)}`,
        dstMac: node.gatewayMac,
      });
  }
}

/** What the stations of the fabric answer: without it nothing would ever leave. */
function answer(node: TestNode, random: Prng): Uint8Array {
  const [ip, ip6, mac] = random.pick([
    [PEER, node6(2), uplinkMacOf(2)],
    [CLIENT, CLIENT6, CLIENT_MAC],
    [FABRIC_ROUTER, ROUTER6, ROUTER_MAC],
  ]);
  const to = { srcMac: mac, dstMac: node.uplinkMac };
  if (random.below(2) === 0)
    return build.neighborAdvertisementFrame({ ...to, src: ip6, dst: node6(1), target: ip6, mac });
  return build.arpFrame({
    ...to,
    op: 2,
    senderMac: mac,
    senderIp: ip,
    targetMac: node.uplinkMac,
    targetIp: NODE,
  });
}

/** Whole superframes of every kind; the corpus lets most of them lie. */
export function superframes(node: TestNode): VirtioFrame[] {
  const path = (src: string, dst: string): build4 => pathTo(node, src, dst);
  const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const small = build.udpFrame({ ...inner, payload: 10 });
  const many = Uint8Array.from(Array.from({ length: 100 }, () => [8, 0, 0, 0, 0, 0, 1, 0, ...small]).flat());
  const vteps = path(PEER, NODE);
  const at6 = pathTo6(node, pod6(1, 2), pod6(2, 2));
  return [
    superframe(build.tcpFrame({ ...path(POD2, REMOTE), flags: ".", payload: 20_000 }), 1398),
    superframe(build.tcpFrame({ ...path(POD2, POD3), flags: "FP.", payload: 5000 }), 100),
    superframe(build.tcpFrame({ ...path(POD2, VIP), flags: "EW.", payload: 9000 }), 1398, true),
    superframe(build.tcpFrame({ ...path(POD2, "198.18.0.1"), flags: ".", payload: 3000 }), 9000),
    superframe(build.tcpFrame({ ...path(NODE, REMOTE), flags: "P.", payload: 4000 }), 7),
    superframe(build.tcpFrame({ ...at6, flags: "P.", payload: 9000 }), 1378),
    udpSuperframe(build.udpFrame({ ...path(POD2, REMOTE), payload: 9000 }), 1200),
    udpSuperframe(build.udpFrame({ ...path(POD2, POD3), payload: 2000 }), 3),
    udpSuperframe(build.udpFrame({ ...at6, payload: 5000 }), 1000),
    tunnelSuperframe(
      build.vxlanFrame({ ...vteps, inner: build.tcpFrame({ ...inner, payload: 9000 }) }),
      1398,
    ),
    udpSuperframe(build.udpFrame({ ...vteps, dstPort: VXLAN, payload: many }), 8 + small.length),
  ];
}
