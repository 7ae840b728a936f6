/**
 * A captured frame as a file can hold it. Where a sender left work to the device (a checksum, the cutting of
 * a UDP superframe), it is done here: no device will. A TCP superframe stays whole, as tcpdump shows it on
 * Linux, but for one in a tunnel; a UDP one is many VXLAN packets end to end, of which a reader would see the
 * first only, so it is cut.
 */
import { Protocol } from "../base/protocols.ts";
import type { CaptureRecord } from "../observe/trace-record.ts";
import * as checksum from "../wire/bytes/checksum.ts";
import * as plainFrames from "../wire/bytes/plain-frames.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as ipv6 from "../wire/ip/ipv6.ts";
import * as eth from "../wire/link/ethernet.ts";
import * as virtio from "../wire/link/virtio-net.ts";

const FRAME_BYTES = 66_048; //  as much as a packet slot
const HEADROOM = 16; //         the virtio header, aligned
const OUT = HEADROOM + FRAME_BYTES;
/** Segments repeat their headers: 42 bytes outside, for as little as one byte each in a forged frame. */
const OUT_BYTES = 4 * FRAME_BYTES;

const arena = new Uint8Array(OUT + OUT_BYTES);
const view = new DataView(arena.buffer);
const result = new Int32Array(3);

/** One frame, or the pieces of a superframe. Changes `record.data`. */
export function captureFrames(record: CaptureRecord): Uint8Array[] {
  if (record.data.length < record.length) return [record.data]; // cut: nothing can be summed
  const gsoType = gsoTypeOf(record);
  if (gsoType === virtio.GSO_UDP_L4 || (gsoType & virtio.GSO_TUNNEL) !== 0)
    return pieces(record, gsoType) ?? [record.data];
  completeChecksum(record);
  return [record.data];
}

/** A packet socket has no word for a tunnel: a TCP superframe in a UDP datagram came whole through one. */
function gsoTypeOf({ gsoType, data, csumStart }: CaptureRecord): number {
  if ((gsoType & ~virtio.GSO_ECN) !== virtio.GSO_TCPV4 && (gsoType & ~virtio.GSO_ECN) !== virtio.GSO_TCPV6)
    return gsoType;
  const frame = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (csumStart < eth.HEADER_LEN + ipv6.HEADER_LEN || csumStart > data.length) return gsoType;
  const isV6 = eth.etherType(frame, 0) === eth.ETHERTYPE_IPV6;
  const protocol = isV6 ? ipv6.nextHeader(frame, eth.HEADER_LEN) : ipv4.proto(frame, eth.HEADER_LEN);
  if (protocol !== Protocol.UDP) return gsoType;
  return gsoType | (isV6 ? virtio.GSO_TUNNEL_V6 : virtio.GSO_TUNNEL_V4);
}

function completeChecksum(record: CaptureRecord): void {
  const field = record.csumStart + record.csumOffset;
  if (!record.csumPartial || field + 2 > record.data.length) return;
  const { buffer, byteOffset, byteLength } = record.data;
  checksum.completePartial(new DataView(buffer, byteOffset, byteLength), record.csumStart, field, byteLength);
}

function pieces(record: CaptureRecord, gsoType: number): Uint8Array[] | undefined {
  if (record.data.length > FRAME_BYTES) return undefined;
  const vnet = HEADROOM - virtio.HEADER_LEN;
  virtio.clear(view, vnet);
  virtio.setFlags(view, vnet, record.csumPartial ? virtio.NEEDS_CSUM : 0);
  virtio.setGsoType(view, vnet, gsoType);
  virtio.setGsoSize(view, vnet, record.gsoSize);
  virtio.setCsumStart(view, vnet, record.csumStart);
  virtio.setCsumOffset(view, vnet, record.csumOffset);
  arena.set(record.data, HEADROOM);
  const count = plainFrames.toPlainFrames(arena, view, HEADROOM, record.data.length, OUT, OUT_BYTES, result);
  if (count <= 0) return undefined;
  const [, bytes, stride] = result;
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes; at += stride)
    frames.push(arena.slice(OUT + at, OUT + Math.min(at + stride, bytes)));
  return frames;
}
