// Hot subjects of wire/: every parser and setter over one frame of each kind; and planted ones that allocate
// or de-optimise, to show that the harness would notice.

import type { Ipv4Addr, L4Port } from "../../base/ids.ts";
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as options from "../../wire/ip/ipv4-options.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ndp from "../../wire/ip/ndp.ts";
import * as arp from "../../wire/link/arp.ts";
import * as ethernet from "../../wire/link/ethernet.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { sampleFrames } from "../frames/sample-frames.ts";
import type { HotSubject } from "./hot-subject.ts";

const STRIDE = 2048;
const HEADROOM = 128;
const DEOPT_AFTER_RUNS = 20_000;

/** All frames in one arena, as the plane holds them; each run looks at every frame once. */
export function createWireSubject(): HotSubject {
  const frames = sampleFrames();
  const arena = new Uint8Array(frames.length * STRIDE);
  const view = new DataView(arena.buffer);
  const lens = Int32Array.from(frames, (frame) => frame.length);
  const sink = new Int32Array(1);
  frames.forEach((frame, i) => {
    arena.set(frame, i * STRIDE + HEADROOM);
  });
  const run = (): void => {
    for (let i = 0; i < lens.length; i++) {
      const off = i * STRIDE + HEADROOM;
      sink[0] ^= touchFrame(view, off, off + lens[i]);
    }
  };
  return { units: frames.length, run };
}

/** Keeps one array per call. */
export function createAllocatingSubject(): HotSubject {
  let kept: number[] = [];
  const run = (): void => {
    for (let i = 0; i < 100; i++) kept = [i, kept.length, i, i];
  };
  return { units: 100, run };
}

/** Keeps one number per call that does not fit a small int: the trap of unsigned 32-bit words. */
export function createBoxingSubject(): HotSubject {
  const view = new DataView(new ArrayBuffer(8));
  view.setInt32(0, -2);
  const holder: { word: number | undefined } = { word: undefined };
  const run = (): void => {
    for (let i = 0; i < 100; i++) holder.word = view.getUint32(0) - (i & 1);
  };
  return { units: 100, run };
}

/** Keeps a buffer outside the heap per run. */
export function createBufferSubject(): HotSubject {
  let kept = new Uint8Array(0);
  const run = (): void => {
    kept = new Uint8Array(kept.length === 1000 ? 1001 : 1000);
  };
  return { units: 1, run };
}

/** Shows a second shape of object to compiled code: after two million units. */
export function createDeoptingSubject(): HotSubject {
  let runs = 0;
  let total = 0;
  const run = (): void => {
    const point = ++runs > DEOPT_AFTER_RUNS ? { y: 1, x: 2 } : { x: 1 };
    total = (total + plantedDeopt(point)) | 0;
  };
  return { units: 100, run };
}

function plantedDeopt(point: { readonly x: number }): number {
  let sum = 0;
  for (let i = 0; i < 1000; i++) sum = (sum + point.x + i) | 0;
  return sum;
}

function touchFrame(view: DataView, off: number, end: number): number {
  virtio.clear(view, off - virtio.HEADER_LEN);
  const l3 = ethernet.payloadOffset(view, off, end);
  const type = ethernet.payloadType(view, off, end);
  ethernet.setSrc(view, off, ethernet.srcHi(view, off), ethernet.srcLo(view, off));
  if (type === ethernet.ETHERTYPE_ARP) return arp.isWellFormed(view, l3, end) ? arp.targetIp(view, l3) : 0;
  if (type === ethernet.ETHERTYPE_IPV4) return touchIpv4(view, l3, end);
  return touchIpv6(view, l3, end);
}

function touchIpv4(view: DataView, l3: number, end: number): number {
  if (!ipv4.isWellFormed(view, l3, end) || !ipv4.checksumOk(view, l3)) return 0;
  const l4 = l3 + ipv4.headerLen(view, l3);
  const l4End = l3 + ipv4.totalLen(view, l3);
  const old = ipv4.dst(view, l3);
  const now = (old ^ 0x00010203) as Ipv4Addr;
  ipv4.setDstAndChecksum(view, l3, now);
  ipv4.decrementTtl(view, l3);
  ipv4.setTtl(view, l3, 64);
  ipv4.computeChecksum(view, l3);
  if (ipv4.isFragment(view, l3) || options.findProblem(view, l3) !== options.NONE) return 1;
  return touchL4(view, l4, l4End, ipv4.proto(view, l3), old, now);
}

function touchIpv6(view: DataView, l3: number, end: number): number {
  if (!ipv6.isWellFormed(view, l3, end)) return 0;
  const found = ipv6.findUpperLayer(view, l3, end);
  if (found < 0) return 0;
  const l4 = ipv6.upperLayerOffset(l3, found);
  const l4End = l3 + ipv6.HEADER_LEN + ipv6.payloadLen(view, l3);
  const proto = ipv6.upperLayerProto(found);
  const old = ipv6.dstWord(view, l3, 3);
  ipv6.setDstWord(view, l3, 3, old ^ 5);
  if (proto !== Protocol.ICMPV6) return touchL4(view, l4, l4End, proto, old, old ^ 5);
  icmpv6.computeChecksum(view, l4, l4End - l4, l3);
  if (ndp.isWellFormed(view, l4, l4End)) return ndp.findOption(view, l4, l4End, ndp.OPTION_SOURCE_LINK);
  return icmpv6.isWellFormed(view, l4, l4End) ? icmpv6.rest(view, l4) : 0;
}

function touchL4(view: DataView, l4: number, end: number, proto: number, old: number, now: number): number {
  if (proto === Protocol.TCP && tcp.isWellFormed(view, l4, end)) {
    checksum.adjust32(view, l4 + tcp.CSUM_OFFSET, old, now);
    checksum.adjust16(view, l4 + tcp.CSUM_OFFSET, tcp.srcPort(view, l4), 4000);
    tcp.setSrcPort(view, l4, 4000 as L4Port);
    return tcp.seq(view, l4) ^ tcp.mss(view, l4) ^ tcp.timestampsOffset(view, l4);
  }
  if (proto === Protocol.UDP && udp.isWellFormed(view, l4, end)) {
    checksum.adjustUdp32(view, l4 + udp.CSUM_OFFSET, old, now);
    const payload = l4 + udp.HEADER_LEN;
    return vxlan.isWellFormed(view, payload, end) ? vxlan.vni(view, payload) : udp.length(view, l4);
  }
  if (proto === Protocol.SCTP && sctp.isWellFormed(view, l4, end)) {
    sctp.computeChecksum(view, l4, end);
    return sctp.firstChunk(view, l4, end) ^ sctp.vtag(view, l4);
  }
  return proto === Protocol.ICMP && icmpv4.isWellFormed(view, l4, end) ? icmpv4.rest(view, l4) : 0;
}
