/** What a frame says to a packet that was sent to ask: an answer, a refusal, an ICMP error that quotes it, or nothing. */
import { formatIp, type IpWords, sameIp, V4_MAPPED } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import type { Probe } from "./probe-frame.ts";

export interface ProbeAnswer {
  /** refused: by a reset. error: by ICMP. */
  readonly kind: "answer" | "refused" | "error";
  /** Who says so. */
  readonly from: string;
  /** Of an error, in ping(8)'s words. */
  readonly text?: string;
  /** Of an error: what the next link carries. */
  readonly mtu?: number;
  /** Of a datagram. */
  readonly payload?: Uint8Array;
}

/** Both ends and what follows them. */
interface Layer3 {
  readonly src: IpWords;
  readonly dst: IpWords;
  readonly proto: number;
  readonly at: number;
}

const SYN_ACK = 0x12;
const RST = 0x04;

/** undefined: the frame in `view` has nothing to do with it. */
export function answerTo(probe: Probe, view: DataView): ProbeAnswer | undefined {
  const end = view.byteLength;
  if (!eth.isWellFormed(view, 0, end)) return undefined;
  const packet = layer3(view, eth.HEADER_LEN, end, eth.etherType(view, 0));
  if (packet === undefined || !sameIp(packet.dst, probe.src)) return undefined;
  const { proto, at, src } = packet;
  const from = formatIp(src);
  if (proto === Protocol.ICMP || proto === Protocol.ICMPV6) return icmpAnswer(probe, view, packet, end, from);
  if (!sameIp(src, probe.dst) || end - at < udp.HEADER_LEN) return undefined;
  if (udp.srcPort(view, at) !== probe.dstPort || udp.dstPort(view, at) !== probe.srcPort) return undefined;
  if (proto === Protocol.UDP && probe.protocol === "UDP") {
    const payload = bytesOf(view, at + udp.HEADER_LEN, Math.min(end, at + udp.length(view, at)));
    return { kind: "answer", from, payload };
  }
  if (proto !== Protocol.TCP || probe.protocol !== "TCP" || !tcp.isWellFormed(view, at, end))
    return undefined;
  const flags = tcp.flags(view, at);
  if ((flags & RST) !== 0) return { kind: "refused", from };
  return (flags & SYN_ACK) === SYN_ACK ? { kind: "answer", from } : undefined;
}

function icmpAnswer(
  probe: Probe,
  view: DataView,
  { src, proto, at }: Layer3,
  end: number,
  from: string,
): ProbeAnswer | undefined {
  if (end - at < icmpv4.HEADER_LEN) return undefined;
  const isV4 = proto === Protocol.ICMP;
  const type = icmpv4.type(view, at); // where it is in both
  if (type === (isV4 ? icmpv4.TYPE_ECHO_REPLY : icmpv6.TYPE_ECHO_REPLY)) {
    const isOurs = probe.protocol === "ICMP" && sameIp(src, probe.dst) && isEchoOf(probe, view, at);
    return isOurs ? { kind: "answer", from } : undefined;
  }
  if (!(isV4 ? icmpv4.isError(type) : icmpv6.isError(type))) return undefined;
  const inner = layer3(
    view,
    icmpv4.innerOffset(at),
    end,
    isV4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6,
    true,
  );
  if (inner === undefined || !isQuoted(probe, view, inner, end)) return undefined;
  const code = icmpv4.code(view, at);
  if (isV4 && type === icmpv4.TYPE_UNREACHABLE && code === icmpv4.CODE_FRAGMENTATION_NEEDED)
    return { kind: "error", from, text: "Frag needed and DF set", mtu: icmpv4.mtu(view, at) };
  if (!isV4 && type === icmpv6.TYPE_PACKET_TOO_BIG)
    return { kind: "error", from, text: "Packet too big", mtu: icmpv6.mtu(view, at) };
  return { kind: "error", from, text: isV4 ? errorV4(type, code) : errorV6(type, code) };
}

/** Does an ICMP error quote the probe? */
function isQuoted(probe: Probe, view: DataView, { src, dst, at }: Layer3, end: number): boolean {
  if (!sameIp(src, probe.src) || !sameIp(dst, probe.dst) || end - at < icmpv4.HEADER_LEN) return false;
  if (probe.protocol === "ICMP") return isEchoOf(probe, view, at);
  return udp.srcPort(view, at) === probe.srcPort && udp.dstPort(view, at) === probe.dstPort;
}

function isEchoOf({ srcPort = 1, sequence = 0 }: Probe, view: DataView, at: number): boolean {
  return icmpv4.id(view, at) === srcPort && icmpv4.seq(view, at) === sequence;
}

/** `isCut`: quoted, so the whole packet need not be there. */
function layer3(
  view: DataView,
  at: number,
  end: number,
  etherType: number,
  isCut = false,
): Layer3 | undefined {
  if (etherType === eth.ETHERTYPE_IPV4) {
    const isWhole = isCut ? end - at >= ipv4.HEADER_LEN_MIN : ipv4.isWellFormed(view, at, end);
    if (!isWhole || ipv4.fragOffset(view, at) !== 0) return undefined;
    const [src, dst] = [ipv4.src(view, at), ipv4.dst(view, at)].map(v4);
    return { src, dst, proto: ipv4.proto(view, at), at: at + ipv4.headerLen(view, at) };
  }
  if (etherType !== eth.ETHERTYPE_IPV6 || end - at < ipv6.HEADER_LEN) return undefined;
  const words = (of: typeof ipv6.srcWord): IpWords => {
    const [w0, w1, w2, w3] = [0, 1, 2, 3].map((i) => of(view, at, i));
    return { w0, w1, w2, w3 };
  };
  const proto = ipv6.nextHeader(view, at); // what answers a probe has no extension headers
  return { src: words(ipv6.srcWord), dst: words(ipv6.dstWord), proto, at: at + ipv6.HEADER_LEN };
}

const v4 = (w3: number): IpWords => ({ w0: 0, w1: 0, w2: V4_MAPPED, w3 });

function bytesOf(view: DataView, from: number, to: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + from, Math.max(0, to - from)).slice();
}

function errorV4(type: number, code: number): string {
  if (type === icmpv4.TYPE_TIME_EXCEEDED) return "Time to live exceeded";
  if (type !== icmpv4.TYPE_UNREACHABLE) return `ICMP type ${type} code ${code}`;
  const texts: Readonly<Record<number, string>> = {
    [icmpv4.CODE_NET_UNREACHABLE]: "Destination Net Unreachable",
    [icmpv4.CODE_HOST_UNREACHABLE]: "Destination Host Unreachable",
    [icmpv4.CODE_PROTOCOL_UNREACHABLE]: "Destination Protocol Unreachable",
    [icmpv4.CODE_PORT_UNREACHABLE]: "Destination Port Unreachable",
    [icmpv4.CODE_NET_PROHIBITED]: "Destination Net Prohibited",
    [icmpv4.CODE_HOST_PROHIBITED]: "Destination Host Prohibited",
    [icmpv4.CODE_ADMIN_PROHIBITED]: "Packet filtered",
  };
  return texts[code] ?? `Destination Unreachable, code ${code}`;
}

function errorV6(type: number, code: number): string {
  if (type !== icmpv6.TYPE_UNREACHABLE) return `ICMPv6 type ${type} code ${code}`;
  const texts = ["No route", "Administratively prohibited", "Beyond scope of source address"];
  return (
    [...texts, "Address unreachable", "Port unreachable"][code] ?? `Destination unreachable, code ${code}`
  );
}
