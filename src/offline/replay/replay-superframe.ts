/**
 * A captured frame that is longer than its link takes was a TCP superframe: tcpdump sees it before the device
 * cuts it. Put into the pipeline it needs the virtio header that it came with, which no capture file keeps.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import * as tcp from "../../wire/transport/tcp.ts";

/**
 * The virtio header for a TCP frame of more than `mtu` bytes of IP, segments filling the MTU; its checksum
 * field gets what a sender leaves there, the pseudo-header's sum. Undefined for every other frame.
 */
export function superframeHeader(frame: Uint8Array, mtu: number): Uint8Array | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const end = frame.length;
  if (end <= eth.HEADER_LEN + mtu) return undefined;
  const l3 = eth.payloadOffset(view, 0, end);
  const type = eth.payloadType(view, 0, end);
  const isV4 = type === eth.ETHERTYPE_IPV4 && ipv4.isWellFormed(view, l3, end) && !ipv4.isFragment(view, l3);
  const isV6 = type === eth.ETHERTYPE_IPV6 && ipv6.isWellFormed(view, l3, end);
  if (!isV4 && !isV6) return undefined;
  const proto = isV4 ? ipv4.proto(view, l3) : ipv6.nextHeader(view, l3);
  const l4 = l3 + (isV4 ? ipv4.headerLen(view, l3) : ipv6.HEADER_LEN);
  if (proto !== Protocol.TCP || !tcp.isWellFormed(view, l4, end)) return undefined;
  const payload = l4 + tcp.headerLen(view, l4);
  const bytes = end - l4;
  const sum = isV4
    ? checksum.pseudoSumV4(ipv4.src(view, l3), ipv4.dst(view, l3), proto, bytes)
    : checksum.pseudoSumV6(view, l3, proto, bytes);
  tcp.setChecksum(view, l4, checksum.fold(sum));
  const header = new Uint8Array(virtio.HEADER_LEN);
  const gsoType = isV4 ? virtio.GSO_TCPV4 : virtio.GSO_TCPV6;
  const segmentBytes = mtu - (payload - l3);
  virtio.emit(
    new DataView(header.buffer),
    0,
    virtio.NEEDS_CSUM,
    gsoType,
    payload,
    segmentBytes,
    l4,
    tcp.CSUM_OFFSET,
  );
  return header;
}
