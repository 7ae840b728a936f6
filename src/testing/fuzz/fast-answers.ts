// What pods, hosts and clients answer in the fuzz target `fast`: mostly what a sound stack would, so that connections get
// old, now and then what ends or disturbs one; in all the forms that a frame may come in.
import { formatIp } from "../../base/ip.ts";
import { formatMac } from "../../base/mac.ts";
import { Protocol } from "../../base/protocols.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { fromHex, viewOf } from "../frames/bytes.ts";
import * as build from "../frames/frame-builder.ts";
import { type OffloadFrame, withPartialChecksum } from "../frames/frame-offload.ts";
import type { Prng } from "../prng.ts";

const L3 = eth.HEADER_LEN;
const { FLAG_ACK, FLAG_FIN, FLAG_RST, FLAG_SYN } = tcp;
const NO_OPERATIONS = Uint8Array.of(1, 1, 1, 0);

/** The answer to a TCP or UDP packet over IPv4, undefined to others and to resets. */
export function answerTo(frame: Uint8Array, random: Prng): OffloadFrame | undefined {
  const view = viewOf(frame);
  const isIpv4 = frame.length > L3 && eth.etherType(view, 0) === eth.ETHERTYPE_IPV4;
  if (!isIpv4 || !ipv4.isWellFormed(view, L3, frame.length) || ipv4.isFragment(view, L3)) return undefined;
  const l4 = L3 + ipv4.headerLen(view, L3);
  const end = L3 + ipv4.totalLen(view, L3);
  const proto = ipv4.proto(view, L3);
  const address = (w3: number): string => formatIp({ w0: 0, w1: 0, w2: 0xffff, w3 });
  const path = {
    srcMac: formatMac(eth.dstHi(view, 0), eth.dstLo(view, 0)),
    dstMac: formatMac(eth.srcHi(view, 0), eth.srcLo(view, 0)),
    src: address(ipv4.dst(view, L3)),
    dst: address(ipv4.src(view, L3)),
    tos: random.below(4) === 0 ? random.below(256) : 0,
    ttl: random.below(24) === 0 ? 1 + random.below(3) : 64,
    dontFragment: random.below(3) > 0,
    id: random.below(65_536),
    ...(random.below(40) === 0 && { ipOptions: NO_OPERATIONS }),
  };
  if (proto === Protocol.UDP && udp.isWellFormed(view, l4, end)) {
    const ports = { srcPort: udp.dstPort(view, l4), dstPort: udp.srcPort(view, l4) };
    const payload = lengthOf(random);
    return onWire(build.udpFrame({ ...path, ...ports, payload, checksum: random.below(5) > 0 }), random);
  }
  if (proto !== Protocol.TCP || !tcp.isWellFormed(view, l4, end)) return undefined;
  const flags = tcp.flags(view, l4);
  if ((flags & FLAG_RST) !== 0) return undefined;
  const isSyn = (flags & FLAG_SYN) !== 0;
  const moved = end - l4 - tcp.headerLen(view, l4) + (isSyn ? 1 : 0) + ((flags & FLAG_FIN) !== 0 ? 1 : 0);
  const seq = (flags & FLAG_ACK) !== 0 ? tcp.ack(view, l4) : random.next() | 0;
  const isFirst = isSyn && (flags & FLAG_ACK) === 0;
  const answer = build.tcpFrame({
    ...path,
    ...{ srcPort: tcp.dstPort(view, l4), dstPort: tcp.srcPort(view, l4) },
    seq: random.below(30) === 0 ? seq + random.below(70_000) - 35_000 : seq,
    ack: random.below(30) === 0 ? tcp.seq(view, l4) - random.below(3000) : tcp.seq(view, l4) + moved,
    flags: isFirst ? "S." : flagsOf(random),
    window: random.below(20) === 0 ? random.below(3) : 1000 + random.below(60_000),
    ...(isFirst && random.below(2) === 0 && { wscale: random.below(15) }),
    ...(!isFirst && random.below(2) === 0 && { timestamps: [random.below(1000), 7] as const }),
    ...(!isFirst && random.below(20) === 0 && { sack: [[seq + 10, seq + 20]] as const }),
    payload: isFirst ? 0 : lengthOf(random),
  });
  return onWire(answer, random);
}

function flagsOf(random: Prng): string {
  const kind = random.below(60);
  if (kind === 0) return "R";
  if (kind === 1) return "F.";
  if (kind === 2) return "S";
  return random.pick([".", ".", "P.", "E.", "W.", "U."]);
}

/** Mostly small; sometimes longer than an MTU takes. */
function lengthOf(random: Prng): number {
  if (random.below(3) === 0) return 0;
  return random.below(8) === 0 ? 1380 + random.below(140) : random.below(200);
}

/** As a device may hand it over: its sum left partial, vouched for, damaged, with padding behind it, or as it is. */
function onWire(frame: Uint8Array, random: Prng): OffloadFrame {
  const plain = { frame, virtio: new Uint8Array(10) };
  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
      return withPartialChecksum(frame) ?? plain;
    case 3:
      return withPartialChecksum(frame, 1 + random.below(100)) ?? plain; // a superframe
    case 4:
      return { frame, virtio: fromHex("02000000000000000000") };
    case 5: {
      const damaged = frame.slice();
      damaged[L3 + random.below(frame.length - L3)] ^= 1 << random.below(8);
      return random.below(3) === 0 ? { ...plain, frame: damaged } : plain;
    }
    case 6:
      return { ...plain, frame: Uint8Array.from([...frame, ...new Uint8Array(random.below(12))]) };
    default:
      return plain;
  }
}
