/**
 * Is the checksum of a whole packet's transport right (Linux: nf_checksum, nf_checksum_partial, sctp_compute_cksum as
 * conntrack calls them)? The sum is over all that IP carries, as there: a UDP datagram that claims to be shorter than
 * its packet must have a sum over the rest as well. Not asked for: partial checksums, and those that virtio vouches for.
 */
import * as checksum from "../wire/checksum.ts";
import * as sctp from "../wire/sctp.ts";
import { DropReason } from "./drop-reason.ts";
import type { Packet } from "./packet.ts";
import type { Tables } from "./tables.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const SCTP = 132;
const UDPLITE = 136;
const UDP_LENGTH = 4; //   offsets in the header
const UDP_CHECKSUM = 6;
const FOUND_RIGHT = 0xffff;
/** Bytes from which on a call of the addon is faster than the loop here. */
const LONG = 512;

/** NONE, or the reason to drop it. */
export function wrongChecksum(pkt: Packet, t: Tables): DropReason {
  const proto = pkt.proto;
  const l4 = pkt.l4;
  const len = pkt.end - l4;
  if (proto === TCP) {
    return sumOf(pkt, t, len, pseudoSum(pkt, len)) === FOUND_RIGHT ? 0 : DropReason.BAD_TCP_CHECKSUM;
  }
  if (proto === UDP) {
    if (pkt.view.getUint16(l4 + UDP_CHECKSUM) === 0) return 0; // none; parse knows who may leave it out
    return sumOf(pkt, t, len, pseudoSum(pkt, len)) === FOUND_RIGHT ? 0 : DropReason.BAD_UDP_CHECKSUM;
  }
  if (proto === ICMP && pkt.family === 4) {
    return sumOf(pkt, t, len, 0) === FOUND_RIGHT ? 0 : DropReason.BAD_ICMP_CHECKSUM;
  }
  if (proto === ICMPV6 && pkt.family === 6) {
    return sumOf(pkt, t, len, pseudoSum(pkt, len)) === FOUND_RIGHT ? 0 : DropReason.BAD_ICMP_CHECKSUM;
  }
  if (proto === SCTP) return sctp.checksumOk(pkt.view, l4, pkt.end) ? 0 : DropReason.BAD_SCTP_CHECKSUM;
  if (proto === UDPLITE) {
    const coverage = pkt.view.getUint16(l4 + UDP_LENGTH); // RFC 3828 §3.1: 0 is everything
    const covered = coverage === 0 ? len : coverage;
    return sumOf(pkt, t, covered, pseudoSum(pkt, len)) === FOUND_RIGHT ? 0 : DropReason.BAD_UDP_CHECKSUM;
  }
  return 0;
}

/** Folded sum of `len` bytes from the transport's header on. */
function sumOf(pkt: Packet, t: Tables, len: number, seed: number): number {
  if (len < LONG) return checksum.sum(pkt.view, pkt.l4, len, seed);
  return t.offload.checksum(t.arenaPin, pkt.l4, len, checksum.fold(seed));
}

/** Not folded; of the IPv6 header as it lies there, as the kernel takes it. */
function pseudoSum(pkt: Packet, len: number): number {
  if (pkt.family === 6) return checksum.pseudoSumV6(pkt.view, pkt.l3, pkt.proto, len);
  return checksum.pseudoSumV4(pkt.key[3], pkt.key[7], pkt.proto, len);
}
