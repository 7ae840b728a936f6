/**
 * Is the checksum of a whole packet's transport right (Linux: nf_checksum, nf_checksum_partial, sctp_compute_cksum as
 * conntrack calls them)? The sum is over all that IP carries, as there: a UDP datagram that claims to be shorter than
 * its packet must have a sum over the rest as well. Not asked for: partial checksums, and those that virtio vouches for.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import { DropReason } from "../drop-reason.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import type { Tables } from "../tables.ts";
import type { Packet } from "./packet.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;

const { SRC3, DST3 } = TupleWord;

const UDP_LENGTH = 4; //   offsets in the header
const UDP_CHECKSUM = 6;
const NEXT_HEADER = 6; //  in IPv6's, before the hop limit
const FOUND_RIGHT = 0xffff;
/** Bytes from which on a call of the addon is faster than the loop here. */
const LONG = 512;

/**
 * Does the sum of the whole packet, made as it came, say that the checksum of TCP or UDP is right? Nearly every one's
 * does, so this is small enough to be inlined; it is right for those that nobody verifies, too. If not, ask on.
 */
export function isKnownRight(pkt: Packet): boolean {
  if (pkt.frameSum < 0 || pkt.sumAt !== pkt.l3 || pkt.sumEnd !== pkt.end) return false;
  const proto = pkt.proto;
  if (proto !== TCP && proto !== UDP) return false;
  if (pkt.family === 6) return pkt.l4 - pkt.l3 === ipv6.HEADER_LEN && sumWithoutHeader(pkt) === FOUND_RIGHT;
  // The header has the sum 0xffff, which is one's complement's other zero.
  const pseudo = checksum.pseudoSumV4(pkt.key[SRC3], pkt.key[DST3], proto, pkt.end - pkt.l4);
  return checksum.fold(pkt.frameSum + pseudo) === FOUND_RIGHT;
}

/** NONE, or the reason to drop it. */
export function wrongChecksum(pkt: Packet, t: Tables): DropReason {
  if (!isVerifiedHere(pkt, t)) return 0;
  const proto = pkt.proto;
  const l4 = pkt.l4;
  if (proto === TCP) return isRight(pkt, t) ? 0 : DropReason.BAD_TCP_CHECKSUM;
  if (proto === UDP) {
    if (pkt.view.getUint16(l4 + UDP_CHECKSUM) === 0) return 0; // none; parse knows who may leave it out
    return isRight(pkt, t) ? 0 : DropReason.BAD_UDP_CHECKSUM;
  }
  if (proto === ICMP && pkt.family === 4) {
    return sumOf(pkt, t, pkt.end - l4, 0) === FOUND_RIGHT ? 0 : DropReason.BAD_ICMP_CHECKSUM;
  }
  if (proto === ICMPV6 && pkt.family === 6) return isRight(pkt, t) ? 0 : DropReason.BAD_ICMP_CHECKSUM;
  if (proto === SCTP) return sctp.checksumOk(pkt.view, l4, pkt.end) ? 0 : DropReason.BAD_SCTP_CHECKSUM;
  if (proto === UDPLITE) {
    const len = pkt.end - l4;
    const coverage = pkt.view.getUint16(l4 + UDP_LENGTH); // RFC 3828 §3.1: 0 is everything
    const covered = coverage === 0 ? len : coverage;
    return sumOf(pkt, t, covered, pseudoSum(pkt, len)) === FOUND_RIGHT ? 0 : DropReason.BAD_UDP_CHECKSUM;
  }
  return 0;
}

/** nf_conntrack_checksum: what comes in from somewhere, once. What the node itself sends (OUTPUT) is its own affair. */
export function isVerifiedHere(pkt: Packet, t: Tables): boolean {
  if (t.conntrack.header[conntrack.H_CHECKSUM] === 0) return false;
  return pkt.inPort !== t.config.router.hostPort || pkt.fromTunnel !== 0;
}

/** Is the sum right that a transport with a pseudo-header has over all that IP carries? */
export function isRight(pkt: Packet, t: Tables): boolean {
  const len = pkt.end - pkt.l4;
  return sumOf(pkt, t, len, pseudoSum(pkt, len)) === FOUND_RIGHT;
}

/** Was there made a sum when the frame came, of bytes up to `end`? Not so with padding behind the packet. */
function isSummed(pkt: Packet, end: number): boolean {
  return pkt.frameSum >= 0 && pkt.sumEnd === end;
}

/**
 * The sum of IPv6 packet and pseudo-header: the addresses are in both, and the length; what precedes them is taken out
 * of the packet's.
 */
function sumWithoutHeader(pkt: Packet): number {
  const first = pkt.view.getInt32(pkt.l3);
  const hops = pkt.view.getUint16(pkt.l3 + NEXT_HEADER);
  return checksum.fold(pkt.frameSum + (~first >>> 16) + (~first & 0xffff) + (~hops & 0xffff) + pkt.proto);
}

/** Folded sum of `len` bytes from the transport's header on. */
function sumOf(pkt: Packet, t: Tables, len: number, seed: number): number {
  const l4 = pkt.l4;
  if (isSummed(pkt, l4 + len)) {
    const at = pkt.sumAt;
    if (at > l4) return checksum.sum(pkt.view, l4, at - l4, pkt.frameSum + seed);
    const before = pkt.family === 4 && at === pkt.l3 ? 0xffff : checksum.sum(pkt.view, at, l4 - at, 0);
    return checksum.fold(pkt.frameSum + (before ^ 0xffff) + seed);
  }
  if (len < LONG) return checksum.sum(pkt.view, l4, len, seed);
  return t.offload.checksum(t.arenaPin, l4, len, checksum.fold(seed));
}

/** Not folded; of the IPv6 header as it lies there, as the kernel takes it. */
function pseudoSum(pkt: Packet, len: number): number {
  if (pkt.family === 6) return checksum.pseudoSumV6(pkt.view, pkt.l3, pkt.proto, len);
  return checksum.pseudoSumV4(pkt.key[SRC3], pkt.key[DST3], pkt.proto, len);
}
