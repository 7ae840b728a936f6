// Frames as a kernel with offloads hands them over: checksum still partial, many segments in one frame,
// tunnel packets of a kernel VXLAN device in one frame. Sums are written with arithmetic of frame-checker.ts.
import { Protocol } from "../../base/protocols.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import { concat, viewOf } from "./bytes.ts";
import { wordsMod } from "./frame-checker.ts";

const { TCP, UDP } = Protocol;

export interface VirtioFrame {
  readonly frame: Uint8Array;
  readonly virtio: Uint8Array;
}

const ETH = 14;

interface Layout {
  readonly v6: boolean;
  readonly l4: number;
  readonly proto: number;
  /** Offset of the checksum field from the transport header. */
  readonly field: number;
}

function layoutOf(frame: Uint8Array, off = 0): Layout {
  const l3 = off + ETH;
  const v6 = frame[l3] >> 4 === 6;
  const proto = v6 ? frame[l3 + 6] : frame[l3 + 9];
  const l4 = v6 ? l3 + 40 : l3 + (frame[l3] & 15) * 4;
  return { v6, l4, proto, field: proto === UDP ? 6 : 16 };
}

/** Writes the pseudo-header's sum where the checksum goes. */
function makePartial(frame: Uint8Array, off = 0): Layout {
  const layout = layoutOf(frame, off);
  const l3 = off + ETH;
  const len = frame.length - layout.l4;
  const addresses = layout.v6 ? frame.subarray(l3 + 8, l3 + 40) : frame.subarray(l3 + 12, l3 + 20);
  const tail = Uint8Array.from([0, layout.proto, len >> 8, len & 255]);
  viewOf(frame).setUint16(layout.l4 + layout.field, wordsMod(concat(addresses, tail)));
  return layout;
}

function header(
  flags: number,
  type: number,
  hdrLen: number,
  size: number,
  start: number,
  at: number,
): Uint8Array {
  const bytes = new Uint8Array(virtio.HEADER_LEN);
  virtio.emit(viewOf(bytes), 0, flags, type, hdrLen, size, start, at);
  return bytes;
}

/** NEEDS_CSUM: what a pod's kernel sends for a TCP or UDP packet. */
export function partialFrame(plain: Uint8Array): VirtioFrame {
  const frame = plain.slice();
  const { l4, field } = makePartial(frame);
  return { frame, virtio: header(virtio.NEEDS_CSUM, virtio.GSO_NONE, 0, 0, l4, field) };
}

/** A TCP frame as superframe of segments with `mss` bytes of payload. */
export function superframe(plain: Uint8Array, mss: number, ecn = false): VirtioFrame {
  const frame = plain.slice();
  const { l4, field, v6, proto } = makePartial(frame);
  if (proto !== TCP) throw new RangeError("only TCP makes superframes");
  const type = (v6 ? virtio.GSO_TCPV6 : virtio.GSO_TCPV4) | (ecn ? virtio.GSO_ECN : 0);
  const hdrLen = l4 + (frame[l4 + 12] >> 4) * 4;
  return { frame, virtio: header(virtio.NEEDS_CSUM, type, hdrLen, mss, l4, field) };
}

/** A UDP frame as superframe of datagrams with `size` bytes of payload. */
export function udpSuperframe(plain: Uint8Array, size: number): VirtioFrame {
  const frame = plain.slice();
  const { l4, field } = makePartial(frame);
  return { frame, virtio: header(virtio.NEEDS_CSUM, virtio.GSO_UDP_L4, l4 + 8, size, l4, field) };
}

/**
 * VXLAN around an inner TCP frame as Linux' vxlan device hands it to a veth pair: one outer header without
 * checksum, one inner superframe whose checksum is partial, GSO type of the inner packet, csum_start inside.
 */
export function tunnelSuperframe(outer: Uint8Array, mss: number): VirtioFrame {
  const frame = outer.slice();
  const inner = layoutOf(frame).l4 + 8 + 8;
  const { l4, field, v6 } = makePartial(frame, inner);
  const type = v6 ? virtio.GSO_TCPV6 : virtio.GSO_TCPV4;
  const hdrLen = l4 + (frame[l4 + 12] >> 4) * 4;
  return { frame, virtio: header(virtio.NEEDS_CSUM, type, hdrLen, mss, l4, field) };
}

/** Completes the sum of a partial frame, to compare payloads and checksums with a plain one. */
export function completed({ frame, virtio: bytes }: VirtioFrame): Uint8Array {
  const out = frame.slice();
  if ((bytes[0] & virtio.NEEDS_CSUM) === 0) return out;
  const start = virtio.csumStart(viewOf(bytes), 0);
  const at = start + virtio.csumOffset(viewOf(bytes), 0);
  const sum = 65535 - wordsMod(out.subarray(start));
  viewOf(out).setUint16(at, sum === 0 ? 65535 : sum);
  return out;
}

/** The payload of a TCP frame. */
export function tcpPayload(frame: Uint8Array): Uint8Array {
  const { l4 } = layoutOf(frame);
  const l3 = ETH;
  const end = frame[l3] >> 4 === 6 ? frame.length : l3 + 256 * frame[l3 + 2] + frame[l3 + 3];
  return frame.subarray(l4 + (frame[l4 + 12] >> 4) * 4, end);
}
