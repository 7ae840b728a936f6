/** Checksums of captured packets: completed where a sender left that to its device, and looked at. */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import type { CapturedPacket } from "./captured-packet.ts";

/**
 * Makes the checksums those of the bytes, where the capture could not have them: a sender's frame that the device was to
 * complete has the pseudo-header's sum, and of a cut packet nobody can tell. Wrong ones stay wrong. `data` is changed.
 */
export function completeChecksums(p: CapturedPacket): void {
  for (const inner of p.inner) completeChecksums(inner);
  if (p.family === 0 || p.fragment !== undefined || p.l4 === 0) return;
  const { view, l4, end, proto } = p;
  const isCut = p.known < end;
  if (p.family === 4 && ipv4.checksum(view, p.l3) === 0) ipv4.computeChecksum(view, p.l3); // left to the device
  if (proto === Protocol.SCTP && l4 + sctp.HEADER_LEN <= end) {
    if (isCut || sctp.checksum(view, l4) === 0) sctp.computeChecksum(view, l4, end);
    return;
  }
  const at = checksumField(p);
  if (at < 0) return;
  const field = view.getUint16(at);
  if (proto === Protocol.UDP && field === 0) return;
  const hasPseudo = proto !== Protocol.ICMP;
  const pseudo = hasPseudo ? pseudoSum(p) : 0;
  const isPartial = hasPseudo && proto !== Protocol.ICMPV6 && field === checksum.fold(pseudo);
  if (!isCut && !isPartial) return;
  view.setUint16(at, 0);
  const sum = checksum.finish(checksum.sum(view, l4, end - l4, pseudo));
  view.setUint16(at, sum === 0 && proto === Protocol.UDP ? 0xffff : sum);
}

function pseudoSum({ family, view, l3, l4, end, proto }: CapturedPacket): number {
  return family === 4
    ? checksum.pseudoSumV4(ipv4.src(view, l3), ipv4.dst(view, l3), proto, end - l4)
    : checksum.pseudoSumV6(view, l3, proto, end - l4);
}

/** Offset of the 16-bit checksum of what the packet carries, or -1. */
export function checksumField({ proto, l4, end }: CapturedPacket): number {
  const offsets: Readonly<Record<number, number>> = {
    [Protocol.TCP]: tcp.CSUM_OFFSET,
    [Protocol.UDP]: udp.CSUM_OFFSET,
    [Protocol.UDPLITE]: udp.CSUM_OFFSET,
    [Protocol.ICMP]: icmpv4.CSUM_OFFSET,
    [Protocol.ICMPV6]: icmpv6.CSUM_OFFSET,
  };
  const offset = offsets[proto];
  return offset === undefined || l4 + offset + 2 > end ? -1 : l4 + offset;
}

const NAMES: Readonly<Record<number, string>> = {
  1: "ICMP",
  6: "TCP",
  17: "UDP",
  58: "ICMPv6",
  136: "UDP-Lite",
};

/** Of a packet whose checksums were completed: which of them is wrong, in words. Of a cut one nobody can tell. */
export function wrongChecksums(p: CapturedPacket): string[] {
  if (p.family === 0 || p.fragment !== undefined || p.l4 === 0) return [];
  const { view, l3, l4, end, proto } = p;
  const wrong: string[] = [];
  if (p.family === 4 && p.known >= l4 && !ipv4.checksumOk(view, l3)) wrong.push("wrong IP checksum");
  if (p.known < end) return wrong;
  if (proto === Protocol.SCTP && l4 + sctp.HEADER_LEN <= end && !sctp.checksumOk(view, l4, end))
    wrong.push("wrong SCTP checksum");
  const at = checksumField(p);
  const isUnused = proto === Protocol.UDP && at >= 0 && view.getUint16(at) === 0;
  if (at < 0 || isUnused || proto === Protocol.UDPLITE) return wrong; // UDP-Lite covers a part
  const pseudo = proto === Protocol.ICMP ? 0 : pseudoSum(p);
  if (checksum.finish(checksum.sum(view, l4, end - l4, pseudo)) !== 0)
    wrong.push(`wrong ${NAMES[proto]} checksum`);
  return wrong;
}
