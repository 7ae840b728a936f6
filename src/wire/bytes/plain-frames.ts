// Frames with a vnet header that asks for work (checksum to complete, superframe to cut) become frames that
// any device, capture file or libpcap can take as they are. Same conventions as offload.ts.

import { Protocol } from "../../base/protocols.ts";
import * as virtio from "../link/virtio-net.ts";
import * as offload from "./offload.ts";

const { UDP } = Protocol;

const EINVAL = -22;
const ENOSPC = -28;
const ETH_BYTES = 14;
const UDP_BYTES = 8;
const UDP_FIELD = 6; // of the checksum
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const VXLAN_BYTES = 8;

/**
 * Writes the frame of `len` bytes at `frame`, its vnet header before it, to `out` as one or more plain frames
 * laid end to end; the original stays as it is. result: [frames, bytes written, bytes of each frame but the
 * last]. Returns the number of frames, -EINVAL when the vnet header does not fit the frame, -ENOSPC when
 * `outBytes` is too small. `view` is over the same bytes as `arena`.
 */
export function toPlainFrames(
  arena: Uint8Array,
  view: DataView,
  frame: number,
  len: number,
  out: number,
  outBytes: number,
  result: Int32Array,
): number {
  const vnet = frame - virtio.HEADER_LEN;
  if (vnet < 0 || len < ETH_BYTES || frame + len > arena.length) return EINVAL;
  if (out < 0 || out + outBytes > arena.length || result.length < 3) return EINVAL;
  const gsoType = virtio.gsoType(view, vnet) & ~virtio.GSO_ECN;
  if ((gsoType & virtio.GSO_TUNNEL) !== 0) return cutTunnel(arena, view, frame, len, out, outBytes, result);
  const start = virtio.csumStart(view, vnet);
  if (gsoType === virtio.GSO_NONE) return copyPlain(arena, view, frame, len, out, outBytes, result);
  if (start >= len) return EINVAL;
  const l3 = networkOffset(view, frame, len);
  if (gsoType === virtio.GSO_UDP_L4) return cutUdp(arena, view, frame, len, l3, out, outBytes, result);
  if (gsoType !== virtio.GSO_TCPV4 && gsoType !== virtio.GSO_TCPV6) return EINVAL;
  const size = virtio.gsoSize(view, vnet);
  const done = offload.segmentTcp(
    arena,
    frame,
    len,
    l3,
    frame + start,
    size,
    0,
    out,
    outBytes,
    frame,
    0,
    result,
  );
  if (done < 0) return done;
  const headerLen = result[2] - size;
  return done === len - headerLen ? result[0] : ENOSPC;
}

function copyPlain(
  arena: Uint8Array,
  view: DataView,
  frame: number,
  len: number,
  out: number,
  outBytes: number,
  result: Int32Array,
): number {
  if (len > outBytes) return ENOSPC;
  const vnet = frame - virtio.HEADER_LEN;
  const start = virtio.csumStart(view, vnet);
  const field = start + virtio.csumOffset(view, vnet);
  const isPartial = virtio.needsCsum(view, vnet);
  if (isPartial && field + 2 > len) return EINVAL;
  arena.copyWithin(out, frame, frame + len);
  // The field holds the pseudo-header's sum, so summing over it completes it.
  if (isPartial) {
    const sum = offload.checksum(arena, out + start, len - start, 0);
    if (field - start === UDP_FIELD) putUdpChecksum(view, out + field, sum);
    else view.setUint16(out + field, ~sum);
  }
  result[0] = 1;
  result[1] = len;
  result[2] = len;
  return 1;
}

/** 0 would say "not computed", and is sent as 0xffff, its equal in one's complement (RFC 768). Elsewhere 0 is 0. */
function putUdpChecksum(view: DataView, off: number, sum: number): void {
  view.setUint16(off, sum === 0xffff ? 0xffff : ~sum);
}

/** A TCP superframe in VXLAN: every segment is a packet of its own, inside and outside. */
function cutTunnel(
  arena: Uint8Array,
  view: DataView,
  frame: number,
  len: number,
  out: number,
  outBytes: number,
  result: Int32Array,
): number {
  const vnet = frame - virtio.HEADER_LEN;
  const isV6 = (virtio.gsoType(view, vnet) & virtio.GSO_TUNNEL_V6) !== 0;
  const l4 = ETH_BYTES + (isV6 ? IPV6_BYTES : IPV4_BYTES);
  const inner = l4 + UDP_BYTES + VXLAN_BYTES;
  const start = virtio.csumStart(view, vnet);
  if (start < inner + ETH_BYTES || start >= len) return EINVAL;
  const size = virtio.gsoSize(view, vnet);
  const from = frame + inner;
  const done = offload.segmentTcp(
    arena,
    from,
    len - inner,
    from + ETH_BYTES,
    frame + start,
    size,
    0,
    out,
    outBytes,
    frame,
    inner,
    result,
  );
  if (done < 0) return done;
  const pieces = result[0];
  const stride = result[2];
  if (done !== len - (stride - size)) return ENOSPC;
  const hasChecksum = view.getUint16(frame + l4 + 6) !== 0;
  for (let i = 0; i < pieces; i++) {
    const at = out + i * stride;
    const udpBytes = Math.min(stride, out + result[1] - at) - l4;
    finishDatagram(arena, view, at + ETH_BYTES, at + l4, udpBytes, i, isV6, hasChecksum);
  }
  return pieces;
}

/** UDP_L4: every piece is a datagram of its own, with IP and UDP lengths, id and checksums of its own. */
function cutUdp(
  arena: Uint8Array,
  view: DataView,
  frame: number,
  len: number,
  l3: number,
  out: number,
  outBytes: number,
  result: Int32Array,
): number {
  const vnet = frame - virtio.HEADER_LEN;
  const size = virtio.gsoSize(view, vnet);
  const l4 = frame + virtio.csumStart(view, vnet);
  const headerLen = l4 + UDP_BYTES - frame;
  if (size === 0 || l4 - l3 < 20 || headerLen > len) return EINVAL;
  const isV6 = arena[l3] >> 4 === 6;
  if (isV6 && l4 - l3 < IPV6_BYTES) return EINVAL;
  const hasChecksum = view.getUint16(l4 + 6) !== 0;
  const pieces = Math.ceil((len - headerLen) / size);
  if (len - headerLen + pieces * headerLen > outBytes) return ENOSPC;
  let at = out;
  for (let i = 0; i < pieces; i++) {
    const from = frame + headerLen + i * size;
    const bytes = Math.min(size, frame + len - from);
    arena.copyWithin(at, frame, frame + headerLen);
    arena.copyWithin(at + headerLen, from, from + bytes);
    finishDatagram(arena, view, at + l3 - frame, at + l4 - frame, UDP_BYTES + bytes, i, isV6, hasChecksum);
    at += headerLen + bytes;
  }
  result[0] = pieces;
  result[1] = at - out;
  result[2] = headerLen + size;
  return pieces;
}

function finishDatagram(
  arena: Uint8Array,
  view: DataView,
  l3: number,
  l4: number,
  udpBytes: number,
  index: number,
  isV6: boolean,
  hasChecksum: boolean,
): void {
  if (isV6) view.setUint16(l3 + 4, l4 - l3 - IPV6_BYTES + udpBytes);
  else {
    view.setUint16(l3 + 2, l4 - l3 + udpBytes);
    view.setUint16(l3 + 4, view.getUint16(l3 + 4) + index);
    view.setUint16(l3 + 10, 0);
    view.setUint16(l3 + 10, ~offload.checksum(arena, l3, l4 - l3, 0));
  }
  view.setUint16(l4 + 4, udpBytes);
  if (!hasChecksum) return;
  const addresses = isV6 ? offload.checksum(arena, l3 + 8, 32, 0) : offload.checksum(arena, l3 + 12, 8, 0);
  view.setUint16(l4 + 6, 0);
  putUdpChecksum(view, l4 + UDP_FIELD, offload.checksum(arena, l4, udpBytes, addresses + UDP + udpBytes));
}

/** Start of the network header: after the Ethernet header and any VLAN tags. */
function networkOffset(view: DataView, frame: number, len: number): number {
  let off = frame + ETH_BYTES;
  const end = frame + len - 4;
  for (let type = view.getUint16(off - 2); off <= end && (type === 0x8100 || type === 0x88a8); off += 4) {
    type = view.getUint16(off + 2);
  }
  return off;
}
