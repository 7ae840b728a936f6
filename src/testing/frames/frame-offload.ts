// What offloads make of a frame: checksums completed or left partial, superframes. For tests that feed a TAP's end.
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ethernet from "../../wire/link/ethernet.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { viewOf } from "./bytes.ts";

/** The frame with the virtio-net header that goes before it. */
export interface OffloadFrame {
  readonly frame: Uint8Array;
  readonly virtio: Uint8Array;
}

/** Where the transport header of a whole packet lies. */
interface Transport {
  readonly l3: number;
  readonly l4: number;
  readonly end: number;
  readonly proto: number;
  readonly v6: boolean;
  /** Pseudo-header sum, not folded. */
  readonly pseudo: number;
}

/** A copy whose IP and transport checksums are right wherever there is a whole header to put them. */
export function withChecksums(frame: Uint8Array): Uint8Array {
  const bytes = frame.slice();
  const view = viewOf(bytes);
  const l3 = ethernet.payloadOffset(view, 0, bytes.length);
  const isIpv4 = ethernet.payloadType(view, 0, bytes.length) === ethernet.ETHERTYPE_IPV4;
  if (isIpv4 && ipv4.isWellFormed(view, l3, bytes.length)) ipv4.computeChecksum(view, l3);
  const at = transportOf(view, bytes.length);
  if (at === undefined) return bytes;
  const { l4, end, proto } = at;
  const finish = (): number => checksum.finish(checksum.sum(view, l4, end - l4, at.pseudo));
  if (proto === Protocol.TCP && tcp.isWellFormed(view, l4, end)) {
    tcp.setChecksum(view, l4, 0);
    tcp.setChecksum(view, l4, finish());
  } else if (proto === Protocol.UDP && udp.isWellFormed(view, l4, end)) {
    udp.setChecksum(view, l4, 0);
    udp.setChecksum(view, l4, finish() || 0xffff);
  } else if (proto === Protocol.ICMP && !at.v6 && icmpv4.isWellFormed(view, l4, end)) {
    icmpv4.computeChecksum(view, l4, end - l4);
  } else if (proto === Protocol.ICMPV6 && at.v6 && icmpv6.isWellFormed(view, l4, end)) {
    icmpv6.computeChecksum(view, l4, end - l4, at.l3);
  } else if (proto === Protocol.SCTP && sctp.isWellFormed(view, l4, end)) {
    sctp.computeChecksum(view, l4, end);
  }
  return bytes;
}

/**
 * A TCP or UDP frame as a stack with offloads hands it over: the checksum field holds the pseudo-header sum only.
 * With `gsoSize`, bytes of one segment's payload, it is a superframe. Undefined for any other frame.
 */
export function withPartialChecksum(frame: Uint8Array, gsoSize = 0): OffloadFrame | undefined {
  const bytes = frame.slice();
  const view = viewOf(bytes);
  const at = transportOf(view, bytes.length);
  if (at === undefined) return undefined;
  const isTcp = at.proto === Protocol.TCP && tcp.isWellFormed(view, at.l4, at.end);
  const isUdp = at.proto === Protocol.UDP && udp.isWellFormed(view, at.l4, at.end);
  if (!isTcp && !isUdp) return undefined;
  const field = isTcp ? tcp.CSUM_OFFSET : udp.CSUM_OFFSET;
  view.setUint16(at.l4 + field, checksum.fold(at.pseudo));
  const headers = at.l4 + (isTcp ? tcp.headerLen(view, at.l4) : udp.HEADER_LEN);
  const tcpType = at.v6 ? virtio.GSO_TCPV6 : virtio.GSO_TCPV4;
  const type = gsoSize === 0 ? virtio.GSO_NONE : isTcp ? tcpType : virtio.GSO_UDP_L4;
  const header = new Uint8Array(virtio.HEADER_LEN);
  const hdrLen = gsoSize === 0 ? 0 : headers;
  virtio.emit(viewOf(header), 0, virtio.NEEDS_CSUM, type, hdrLen, gsoSize, at.l4, field);
  return { frame: bytes, virtio: header };
}

function transportOf(view: DataView, frameEnd: number): Transport | undefined {
  const l3 = ethernet.payloadOffset(view, 0, frameEnd);
  const type = ethernet.payloadType(view, 0, frameEnd);
  if (type === ethernet.ETHERTYPE_IPV4 && ipv4.isWellFormed(view, l3, frameEnd)) {
    if (ipv4.isFragment(view, l3)) return undefined;
    const l4 = l3 + ipv4.headerLen(view, l3);
    const end = l3 + ipv4.totalLen(view, l3);
    const proto = ipv4.proto(view, l3);
    const pseudo = checksum.pseudoSumV4(ipv4.src(view, l3), ipv4.dst(view, l3), proto, end - l4);
    return { l3, l4, end, proto, v6: false, pseudo };
  }
  if (type !== ethernet.ETHERTYPE_IPV6 || !ipv6.isWellFormed(view, l3, frameEnd)) return undefined;
  const found = ipv6.findUpperLayer(view, l3, frameEnd);
  if (found < 0) return undefined;
  const l4 = ipv6.upperLayerOffset(l3, found);
  const end = l3 + ipv6.HEADER_LEN + ipv6.payloadLen(view, l3);
  const proto = ipv6.upperLayerProto(found);
  return { l3, l4, end, proto, v6: true, pseudo: checksum.pseudoSumV6(view, l3, proto, end - l4) };
}
