// What a network card does for a kernel, for frames in the arena: sums, cutting TCP superframes, joining
// segments. These are the twins of the C functions of the addon: same arguments, same results, byte for byte
// (a property test holds them together). The agent uses C (64 KB: 3 µs instead of 65 µs); tests and replay
// need no addon.
//
// All offsets are absolute byte offsets into the arena. A frame's vnet header (virtio, ten bytes,
// little-endian) lies right before its Ethernet header. Out-of-range arguments return -EINVAL and nothing is
// written. Deliberately missing: joining UDP datagrams, which no stack asks of a router, and IPv6 extension headers in
// `coalesce`.
import { Protocol } from "../../base/protocols.ts";

const { TCP } = Protocol;
const EINVAL = -22;
const ENOSPC = -28;
const VNET_HDR_BYTES = 10;
const ETH_BYTES = 14;
const IPV4_MIN = 20;
const IPV6_BYTES = 40;
const TCP_MIN = 20;
const IP_LENGTH_MAX = 65535;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;
const NEVER_MERGED = 0x27; // URG, RST, SYN, FIN
const FOLD_EVERY = 16384; // bytes: an i32 holds the sum of so many without overflow

/**
 * Bytes kept free before each frame that `coalesce` lays down; frames start at a multiple of 16 from `out`.
 */
export const COALESCE_HEADROOM = 128;

/**
 * Folded one's complement sum (RFC 1071) as a big-endian number, not inverted; `seed` is a sum of up to 32
 * bits.
 */
export function checksum(arena: Uint8Array, off: number, len: number, seed: number): number {
  if (isOutside(arena, off, len)) return EINVAL;
  return sum(arena, off, len, fold(seed));
}

/** The same sum while copying `len` bytes from `src` to `dst`. Overlapping regions are refused. */
export function copyChecksum(arena: Uint8Array, dst: number, src: number, len: number, seed: number): number {
  if (isOutside(arena, src, len) || isOutside(arena, dst, len) || overlaps(dst, len, src, len)) return EINVAL;
  arena.copyWithin(dst, src, src + len);
  return sum(arena, src, len, fold(seed));
}

/**
 * What `receive` says of a frame of `len` bytes at `frame`: its checksum from byte `from` on. -1 where nobody would ask:
 * `from` is negative or behind the frame, the virtio header says that a checksum is partial, that all of them were
 * verified, or that it is a superframe.
 */
export function frameSum(arena: Uint8Array, frame: number, len: number, from: number): number {
  if (from < 0 || len <= from || (arena[frame - 10] & 3) !== 0 || arena[frame - 9] !== 0) return -1;
  return sum(arena, frame + from, len - from, 0);
}

/**
 * Cuts the TCP superframe of `frameLen` bytes at `frame` (IPv4 or IPv6 header at `l3`, TCP header at `l4`)
 * into pieces of `gsoSize` payload bytes, beginning with payload byte `payloadFrom` (a multiple of gsoSize),
 * as many as fit into `outBytes`. Each piece: `prefixLen` bytes from `prefix`, then the frame's headers with
 * their own lengths, IPv4 id (id + index in the whole superframe), sequence number and real checksums, then
 * payload. FIN and PSH stay on the last piece of the whole superframe, CWR on its first. The checksum field
 * of the superframe is not read. Returns the payload bytes consumed; result: [pieces, bytes written, bytes of
 * one full piece with its prefix].
 */
export function segmentTcp(
  arena: Uint8Array,
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
  result: Int32Array,
): number {
  if (result.length < 3 || isOutside(arena, frame, frameLen) || isOutside(arena, out, outBytes))
    return EINVAL;
  if (isOutside(arena, prefix, prefixLen)) return EINVAL;
  if (overlaps(out, outBytes, frame, frameLen) || overlaps(out, outBytes, prefix, prefixLen)) return EINVAL;
  const headerLen = superframeHeaderLen(arena, frame, frameLen, l3, l4, gsoSize);
  if (headerLen < 0) return EINVAL;
  const payloadLen = frameLen - headerLen;
  if (payloadFrom < 0 || payloadFrom > payloadLen || payloadFrom % gsoSize !== 0) return EINVAL;

  let at = payloadFrom;
  let written = 0;
  let segments = 0;
  while (at < payloadLen) {
    const bytes = Math.min(gsoSize, payloadLen - at);
    const total = prefixLen + headerLen + bytes;
    if (total > outBytes - written) break;
    const to = out + written + prefixLen;
    arena.copyWithin(out + written, prefix, prefix + prefixLen);
    arena.copyWithin(to, frame, frame + headerLen);
    arena.copyWithin(to + headerLen, frame + headerLen + at, frame + headerLen + at + bytes);
    finishIp(arena, to + l3 - frame, to + l4 - frame, to + headerLen + bytes, (at / gsoSize) | 0);
    finishTcp(arena, to + l3 - frame, to + l4 - frame, to + headerLen + bytes, at, at + bytes === payloadLen);
    written += total;
    at += bytes;
    segments++;
  }
  result[0] = segments;
  result[1] = written;
  result[2] = prefixLen + headerLen + gsoSize;
  return at - payloadFrom;
}

/** Bytes of Ethernet, IP and TCP headers of a superframe, or -1 when they are not what segmentTcp can cut. */
function superframeHeaderLen(
  a: Uint8Array,
  frame: number,
  frameLen: number,
  l3: number,
  l4: number,
  gsoSize: number,
): number {
  const l3Len = l4 - l3;
  if (l3 - frame < ETH_BYTES || l3Len < IPV4_MIN || l4 > frame + frameLen - TCP_MIN) return -1;
  const version = a[l3] >> 4;
  if (version === 4) {
    if ((a[l3] & 15) * 4 !== l3Len || a[l3 + 9] !== TCP) return -1;
  } else if (version === 6) {
    if (l3Len < IPV6_BYTES || (l3Len === IPV6_BYTES && a[l3 + 6] !== TCP)) return -1;
  } else return -1;
  const tcpLen = (a[l4 + 12] >> 4) * 4;
  const headerLen = l4 + tcpLen - frame;
  if (tcpLen < TCP_MIN || headerLen > frameLen) return -1;
  if (gsoSize < 1 || l3Len + tcpLen + gsoSize > IP_LENGTH_MAX) return -1;
  return headerLen;
}

function finishIp(a: Uint8Array, l3: number, l4: number, end: number, index: number): void {
  if (a[l3] >> 4 === 6) {
    put16(a, l3 + 4, end - l3 - IPV6_BYTES);
    return;
  }
  put16(a, l3 + 2, end - l3);
  put16(a, l3 + 4, get16(a, l3 + 4) + index);
  put16(a, l3 + 10, 0);
  put16(a, l3 + 10, ~sum(a, l3, l4 - l3, 0));
}

function finishTcp(a: Uint8Array, l3: number, l4: number, end: number, from: number, isLast: boolean): void {
  const seq = (get32(a, l4 + 4) + from) | 0;
  put16(a, l4 + 4, seq >>> 16);
  put16(a, l4 + 6, seq);
  if (!isLast) a[l4 + 13] &= ~0x09; // FIN, PSH
  if (from > 0) a[l4 + 13] &= ~TCP_CWR;
  put16(a, l4 + 16, 0);
  put16(a, l4 + 16, ~sum(a, l4, end - l4, pseudoSum(a, l3, end - l4)));
}

/**
 * Joins what segmentTcp (or a peer's kernel) cut. Input: frames end to end, `stride` bytes each (the last may
 * be shorter), each behind `prefixLen` bytes to skip. Consecutive TCP segments of one flow become one
 * superframe with a vnet header (NEEDS_CSUM, pseudo-header sum, GSO_TCPV4/6, gso_size = payload of the
 * first); everything else is copied as it is behind a zero vnet header, its checksum untouched and
 * unverified. Two segments join when both checksums (and IPv4 header checksums) are right; Ethernet header,
 * addresses, ports, TOS, TTL, DF, flow label, ACK number, window, urgent pointer, flags and TCP options are
 * equal; the sequence number follows on; no segment has SYN, FIN, RST or URG, IPv4 options or is a fragment;
 * and only the first has CWR. IPv4 ids must count up unless DF is set. A segment shorter than the first, or
 * with PSH, is the last of its superframe. Output: frames from `out` on, each with COALESCE_HEADROOM bytes
 * before it. desc[2i] = offset, desc[2i+1] = length, and desc[2*maxDesc] = input bytes consumed: fewer than
 * payloadLen when outBytes or maxDesc was too small. Returns the number of frames, or -ENOSPC when not even
 * the first fits.
 */
export function coalesce(
  arena: Uint8Array,
  payload: number,
  payloadLen: number,
  stride: number,
  prefixLen: number,
  out: number,
  outBytes: number,
  desc: Int32Array,
  maxDesc: number,
): number {
  if (isOutside(arena, payload, payloadLen) || isOutside(arena, out, outBytes)) return EINVAL;
  if (prefixLen < 0 || stride <= prefixLen || maxDesc < 1 || desc.length < 2 * maxDesc + 1) return EINVAL;
  if (overlaps(out, outBytes, payload, payloadLen)) return EINVAL;
  const end = out + outBytes;
  let frames = 0;
  let frame = -1; //     the newest frame, -1 when there is none yet
  let frameLen = 0;
  let count = 0; //      segments in it
  let open = false; //   more segments may join it
  let at = 0;
  while (at < payloadLen) {
    const bytes = Math.min(stride, payloadLen - at);
    const p = payload + at + prefixLen;
    const len = bytes - prefixLen;
    at += bytes;
    if (len <= 0) continue;
    const headerLen = mergeableHeaderLen(arena, p, len);
    if (headerLen > 0 && open && joins(arena, frame, frameLen, count, p, len, headerLen)) {
      if (frame + frameLen + len - headerLen <= end && isVerified(arena, p, len)) {
        const mss = gsoSizeOf(headerLen, frameLen, count);
        arena.copyWithin(frame + frameLen, p + headerLen, p + len);
        const flagsAt = l4Of(arena, p) - p + 13;
        arena[frame + flagsAt] |= arena[p + flagsAt] & TCP_PSH;
        frameLen += len - headerLen;
        count++;
        put16le(arena, frame - 6, mss);
        open = len - headerLen === mss && (arena[p + flagsAt] & TCP_PSH) === 0;
        continue;
      }
    }
    if (frame >= 0) closeFrame(arena, frame, frameLen, count, desc, frames++);
    const start = frame < 0 ? 0 : (frame + frameLen - out + 15) & ~15;
    frame = -1;
    if (frames === maxDesc || start + COALESCE_HEADROOM + len > outBytes) {
      at -= bytes;
      break;
    }
    frame = out + start + COALESCE_HEADROOM;
    frameLen = len;
    count = 1;
    arena.copyWithin(frame, p, p + len);
    open = headerLen > 0 && (arena[l4Of(arena, p) + 13] & TCP_PSH) === 0 && isVerified(arena, p, len);
  }
  if (frame >= 0) closeFrame(arena, frame, frameLen, count, desc, frames++);
  desc[2 * maxDesc] = at;
  return frames === 0 && at < payloadLen ? ENOSPC : frames;
}

/** Payload bytes of the first segment: of an open frame all segments so far have that size. */
function gsoSizeOf(headerLen: number, frameLen: number, count: number): number {
  return ((frameLen - headerLen) / count) | 0;
}

/**
 * Bytes of the headers when the frame is a TCP segment with data that may be merged, else 0. Checks the IPv4
 * sum.
 */
function mergeableHeaderLen(a: Uint8Array, p: number, len: number): number {
  if (len < ETH_BYTES + IPV4_MIN + TCP_MIN) return 0;
  const ip = p + ETH_BYTES;
  const type = get16(a, p + 12);
  let l4 = ip + IPV4_MIN;
  if (type === 0x0800) {
    if (a[ip] !== 0x45 || a[ip + 9] !== TCP || (get16(a, ip + 6) & 0x3fff) !== 0) return 0;
    if (get16(a, ip + 2) !== len - ETH_BYTES || sum(a, ip, IPV4_MIN, 0) !== 0xffff) return 0;
  } else if (type === 0x86dd) {
    l4 = ip + IPV6_BYTES;
    if (len < ETH_BYTES + IPV6_BYTES + TCP_MIN || a[ip] >> 4 !== 6 || a[ip + 6] !== TCP) return 0;
    if (get16(a, ip + 4) !== len - ETH_BYTES - IPV6_BYTES) return 0;
  } else return 0;
  const tcpLen = (a[l4 + 12] >> 4) * 4;
  const headerLen = l4 - p + tcpLen;
  if (tcpLen < TCP_MIN || headerLen >= len || (a[l4 + 13] & NEVER_MERGED) !== 0) return 0;
  return headerLen;
}

function l4Of(a: Uint8Array, p: number): number {
  return p + ETH_BYTES + (a[p + ETH_BYTES] >> 4 === 6 ? IPV6_BYTES : IPV4_MIN);
}

/** Both frames have passed mergeableHeaderLen; `f` is open. See `coalesce` for the rules. */
function joins(
  a: Uint8Array,
  f: number,
  frameLen: number,
  count: number,
  p: number,
  len: number,
  headerLen: number,
): boolean {
  const l4 = l4Of(a, p) - p;
  if (f + l4 !== l4Of(a, f) || headerLen !== l4 + (a[f + l4 + 12] >> 4) * 4) return false;
  const bytes = len - headerLen;
  if (bytes > gsoSizeOf(headerLen, frameLen, count)) return false;
  if (frameLen + bytes > ETH_BYTES + IP_LENGTH_MAX) return false;
  const nextSeq = (get32(a, f + l4 + 4) + frameLen - headerLen) | 0;
  if (get32(a, p + l4 + 4) !== nextSeq || !same(a, f, p, 0, ETH_BYTES)) return false;
  if (l4 === ETH_BYTES + IPV6_BYTES) {
    if (!same(a, f, p, ETH_BYTES, 18) || !same(a, f, p, ETH_BYTES + 6, ETH_BYTES + IPV6_BYTES)) return false;
  } else {
    // The id must count up unless DF makes it meaningless (RFC 6864 §4.1).
    if (!same(a, f, p, 15, 16) || !same(a, f, p, 20, 24) || !same(a, f, p, 26, 34)) return false;
    const id = (get16(a, f + 18) + count) & 0xffff;
    if ((a[p + 20] & 0x40) === 0 && get16(a, p + 18) !== id) return false;
  }
  if (!same(a, f, p, l4, l4 + 4) || !same(a, f, p, l4 + 8, l4 + 13) || !same(a, f, p, l4 + 14, l4 + 16))
    return false;
  const flags = a[p + l4 + 13];
  if (((a[f + l4 + 13] ^ flags) & ~(TCP_CWR | TCP_PSH)) !== 0 || (flags & TCP_CWR) !== 0) return false;
  return same(a, f, p, l4 + 18, headerLen);
}

function isVerified(a: Uint8Array, p: number, len: number): boolean {
  const l4 = l4Of(a, p);
  const bytes = p + len - l4;
  return sum(a, l4, bytes, pseudoSum(a, p + ETH_BYTES, bytes)) === 0xffff;
}

/**
 * Writes the vnet header and, for a superframe, lengths and sums. The size of its segments waits in the vnet
 * header.
 */
function closeFrame(
  a: Uint8Array,
  f: number,
  len: number,
  count: number,
  desc: Int32Array,
  index: number,
): void {
  const mss = a[f - 6] | (a[f - 5] << 8);
  a.fill(0, f - VNET_HDR_BYTES, f);
  desc[2 * index] = f;
  desc[2 * index + 1] = len;
  if (count === 1) return;
  const l3 = f + ETH_BYTES;
  const l4 = l4Of(a, f);
  const isV6 = a[l3] >> 4 === 6;
  a[f - 10] = 1; // NEEDS_CSUM
  a[f - 9] = (isV6 ? 4 : 1) | (a[l4 + 13] & TCP_CWR); // GSO_TCPV6 or GSO_TCPV4; GSO_ECN has CWR's value, 0x80
  put16le(a, f - 8, l4 - f + (a[l4 + 12] >> 4) * 4);
  put16le(a, f - 6, mss);
  put16le(a, f - 4, l4 - f);
  put16le(a, f - 2, 16);
  if (isV6) put16(a, l3 + 4, len - ETH_BYTES - IPV6_BYTES);
  else {
    put16(a, l3 + 2, len - ETH_BYTES);
    put16(a, l3 + 10, 0);
    put16(a, l3 + 10, ~sum(a, l3, IPV4_MIN, 0));
  }
  put16(a, l4 + 16, pseudoSum(a, l3, f + len - l4));
}

/** Folded sum of the TCP pseudo-header of the packet at l3. */
function pseudoSum(a: Uint8Array, l3: number, tcpBytes: number): number {
  const seed = fold(TCP + tcpBytes);
  return a[l3] >> 4 === 6 ? sum(a, l3 + 8, 32, seed) : sum(a, l3 + 12, 8, seed);
}

function sum(a: Uint8Array, off: number, len: number, seed: number): number {
  let s = seed;
  let i = off;
  const even = off + (len & ~1);
  while (i < even) {
    const stop = Math.min(even, i + FOLD_EVERY);
    for (; i < stop; i += 2) s += (a[i] << 8) | a[i + 1];
    s = fold(s);
  }
  if ((len & 1) !== 0) s += a[even] << 8;
  return fold(s);
}

function fold(s: number): number {
  const once = (s >>> 16) + (s & 0xffff);
  return (once >>> 16) + (once & 0xffff);
}

function same(a: Uint8Array, x: number, y: number, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (a[x + i] !== a[y + i]) return false;
  return true;
}

function isOutside(a: Uint8Array, off: number, len: number): boolean {
  return off < 0 || len < 0 || off + len > a.length;
}

function overlaps(x: number, xLen: number, y: number, yLen: number): boolean {
  return xLen > 0 && yLen > 0 && x < y + yLen && y < x + xLen;
}

function get16(a: Uint8Array, off: number): number {
  return (a[off] << 8) | a[off + 1];
}

function get32(a: Uint8Array, off: number): number {
  return (a[off] << 24) | (a[off + 1] << 16) | (a[off + 2] << 8) | a[off + 3];
}

function put16(a: Uint8Array, off: number, value: number): void {
  a[off] = value >>> 8;
  a[off + 1] = value;
}

function put16le(a: Uint8Array, off: number, value: number): void {
  a[off] = value;
  a[off + 1] = value >>> 8;
}
