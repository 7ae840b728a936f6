/** The first packet of a connection, made for asking what becomes of it: TCP SYN, UDP datagram, SCTP INIT, ping. */

import type { Ipv4Addr, L4Port } from "../../base/ids.ts";
import type { Ip } from "../../base/ip.ts";
import type { Mac } from "../../base/mac.ts";
import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";

export interface Probe {
  readonly srcMac: Mac;
  readonly dstMac: Mac;
  /** Both of one family. */
  readonly src: Ip;
  readonly dst: Ip;
  readonly protocol: ProbeProtocol;
  /** Of no meaning for ICMP. */
  readonly dstPort: number;
  /** Of ICMP: identifier and sequence number. Left out: 40000, or identifier 1. */
  readonly srcPort?: number;
  readonly sequence?: number;
  /** Behind the header of UDP and ICMP. */
  readonly payload?: Uint8Array;
}

const SRC_PORT = 40_000 as L4Port; // neither a node port nor a port that a service would have
const TTL = 64;
const SYN = 0x02;
const SCTP_INIT = 1;
const SCTP_INIT_LEN = 20; // RFC 9260 §3.3.2, without parameters
const ECHO_ID = 1;
const NOTHING = new Uint8Array(0);

export function probeFrame(probe: Probe): Uint8Array {
  const { src, dst, srcMac, dstMac } = probe;
  const isV4 = src.family === 4;
  const l3 = eth.HEADER_LEN;
  const l4 = l3 + (isV4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN);
  const { payload = NOTHING } = probe;
  const len = l4Len(probe.protocol) + payload.length;
  const frame = new Uint8Array(l4 + len);
  frame.set(payload, l4 + len - payload.length);
  const view = new DataView(frame.buffer);
  const type = isV4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6;
  eth.emit(view, 0, dstMac.hi, dstMac.lo, srcMac.hi, srcMac.lo, type);
  const proto = protocolNumber(probe.protocol, isV4);
  if (isV4) {
    const [from, to] = [src.w3 as Ipv4Addr, dst.w3 as Ipv4Addr];
    ipv4.emit(view, l3, 0, len + ipv4.HEADER_LEN_MIN, 0, ipv4.FLAG_DF, TTL, proto, from, to);
  } else {
    ipv6.emit(view, l3, 0, 0, len, proto, TTL);
    ipv6.setSrc(view, l3, src.w0, src.w1, src.w2, src.w3);
    ipv6.setDst(view, l3, dst.w0, dst.w1, dst.w2, dst.w3);
  }
  const pseudo = isV4
    ? checksum.pseudoSumV4(src.w3, dst.w3, proto, len)
    : checksum.pseudoSumV6(view, l3, proto, len);
  writeL4(view, l4, probe, pseudo, l3);
  return frame;
}

function l4Len(protocol: ProbeProtocol): number {
  switch (protocol) {
    case "TCP":
      return tcp.HEADER_LEN_MIN;
    case "UDP":
      return udp.HEADER_LEN;
    case "SCTP":
      return sctp.HEADER_LEN + SCTP_INIT_LEN;
    case "ICMP":
      return icmpv4.HEADER_LEN;
  }
}

function protocolNumber(protocol: ProbeProtocol, isV4: boolean) {
  switch (protocol) {
    case "TCP":
      return Protocol.TCP;
    case "UDP":
      return Protocol.UDP;
    case "SCTP":
      return Protocol.SCTP;
    case "ICMP":
      return isV4 ? Protocol.ICMP : Protocol.ICMPV6;
  }
}

function writeL4(
  view: DataView,
  l4: number,
  { protocol, src, dstPort, srcPort, sequence = 0 }: Probe,
  pseudo: number,
  l3: number,
): void {
  const end = view.byteLength;
  const from = (srcPort ?? SRC_PORT) as L4Port;
  const echo = ((srcPort ?? ECHO_ID) << 16) | sequence;
  const to = dstPort as L4Port;
  const sum = (): number => checksum.finish(checksum.sum(view, l4, end - l4, pseudo));
  switch (protocol) {
    case "TCP":
      tcp.emit(view, l4, from, to, 1, 0, tcp.HEADER_LEN_MIN, SYN, 64_240);
      tcp.setChecksum(view, l4, sum());
      return;
    case "UDP": {
      udp.emit(view, l4, from, to, end - l4);
      const value = sum();
      udp.setChecksum(view, l4, value === 0 ? 0xffff : value);
      return;
    }
    case "SCTP":
      sctp.emit(view, l4, from, to, 0);
      sctp.emitChunk(view, l4 + sctp.HEADER_LEN, SCTP_INIT, 0, SCTP_INIT_LEN);
      sctp.computeChecksum(view, l4, end);
      return;
    case "ICMP":
      if (src.family === 4) {
        icmpv4.emit(view, l4, icmpv4.TYPE_ECHO_REQUEST, 0, echo);
        icmpv4.computeChecksum(view, l4, end - l4);
      } else {
        icmpv6.emit(view, l4, icmpv6.TYPE_ECHO_REQUEST, 0, echo);
        icmpv6.computeChecksum(view, l4, end - l4, l3);
      }
  }
}
