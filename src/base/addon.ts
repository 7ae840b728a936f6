// What the plane asks of the C addon, in the words of both: the plane calls it, native/binding.ts has it. All of it
// returns >= 0 or a negated errno.
import type { MaybePinned, Pins } from "./maybe-pinned.ts";

/**
 * How receive and transmit treat a descriptor. Without a vnet header C writes a zero one on receive. TUNNEL_TAP is only
 * written to: C makes the longer header of superframes in VXLAN (virtio_net_hdr_v1_hash_tunnel) out of ours.
 */
export const IoKind = Object.freeze({
  TAP_VNET: 0,
  PACKET_VNET: 1,
  TAP: 2,
  PACKET: 3,
  TUNNEL_TAP: 4,
} as const);
export type IoKind = (typeof IoKind)[keyof typeof IoKind];

/** The addon's part of the engine: batches, waiting, and the few byte loops that C does faster. */
export interface Io extends Pins {
  /**
   * Up to `max` frames from fd: frame i goes to offs[first+i] (vnet header at -10), its bytes without that
   * header to lens[first+i]. slotBytes: room from an offset to the end of its slot. Ends at EAGAIN, max, or
   * once byteBudget is used up. A frame that fills its slot may be cut short: it is dropped and counted
   * (`droppedOnReceive`). sums[first+i]: what frameSum of wire/bytes/offload.ts says of the frame from byte sumFrom
   * on; whoever
   * makes no sums leaves them alone.
   */
  receive(
    fd: number,
    kind: number,
    arena: MaybePinned<Uint8Array>,
    offs: MaybePinned<Int32Array>,
    lens: MaybePinned<Int32Array>,
    first: number,
    max: number,
    slotBytes: number,
    byteBudget: number,
    sums: MaybePinned<Int32Array>,
    sumFrom: number,
  ): number;
  /**
   * Sends frame i to fds[i] as kinds[i]; results[i] = 0 or -errno. Returns the number sent. joins[i] makes frames
   * leave as one (see Join); left out: there are none.
   */
  transmit(
    fds: MaybePinned<Int32Array>,
    kinds: MaybePinned<Int32Array>,
    arena: MaybePinned<Uint8Array>,
    offs: MaybePinned<Int32Array>,
    lens: MaybePinned<Int32Array>,
    count: number,
    results: MaybePinned<Int32Array>,
    joins?: MaybePinned<Int32Array>,
  ): number;
}

/**
 * A word of `joins`: the number of the next piece of the same frame in its lower half (0: none), above it the bytes that
 * a piece leaves out at its front (0: it is no piece but a frame, or the first of its pieces). Pieces follow their frame
 * in order, at most 63 of them, to one descriptor.
 */
export const Join = Object.freeze({ NEXT_MASK: 0xffff, SKIP_SHIFT: 16, PIECES_MAX: 64 } as const);

/**
 * Pure byte work over the arena: the addon's, or its TypeScript twin. What exactly each does is said there, in
 * wire/bytes/offload.ts.
 */
export interface Offload extends Pins {
  /** Folded one's complement sum as a big-endian number, not inverted (RFC 1071). */
  checksum(arena: MaybePinned<Uint8Array>, off: number, len: number, seed: number): number;
  /** The same sum while copying len bytes from src to dst. The regions must not overlap. */
  copyChecksum(arena: MaybePinned<Uint8Array>, dst: number, src: number, len: number, seed: number): number;
  /** Cuts a TCP superframe into finished segments. */
  segmentTcp(
    arena: MaybePinned<Uint8Array>,
    frame: number,
    frameLen: number,
    l3: number,
    l4: number,
    gsoSize: number,
    payloadFrom: number,
    out: number,
    outBytes: number,
    prefix: number,
    prefixLen: number,
    result: MaybePinned<Int32Array>,
  ): number;
  /** Joins finished TCP segments into superframes. */
  coalesce(
    arena: MaybePinned<Uint8Array>,
    payload: number,
    payloadLen: number,
    stride: number,
    prefixLen: number,
    out: number,
    outBytes: number,
    desc: MaybePinned<Int32Array>,
    maxDesc: number,
  ): number;
}
