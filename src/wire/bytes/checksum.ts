// The Internet checksum (RFC 1071), its incremental update (RFC 1624 eq. 3), and the partial form that a
// virtio-net header with NEEDS_CSUM announces. All arithmetic is on small ints. A "sum" is a one's complement
// sum that has not been inverted; "folded" means reduced to 16 bits; a "checksum" is the inverted folded sum.
// Missing on purpose: runs over 128 KiB, which no frame reaches.

/**
 * Folded sum of `len` bytes at `off`, started from `seed` (any sum below 2^30). An odd last byte counts as
 * the high half of a word, so only the last of several chained runs may be odd. `len` is at most 131,072
 * bytes.
 */
export function sum(view: DataView, off: number, len: number, seed: number): number {
  // Two accumulators of 16-bit halves cannot overflow 32 bits within 65,537 words, so the loop needs no
  // carry: this form is 4 times as fast as 16-bit words and needs neither doubles nor BigInt.
  let hi = 0;
  let lo = 0;
  let at = off;
  const unrolledEnd = off + (len & ~15);
  for (; at < unrolledEnd; at += 16) {
    const a = view.getInt32(at);
    const b = view.getInt32(at + 4);
    const c = view.getInt32(at + 8);
    const d = view.getInt32(at + 12);
    hi = (hi + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
    lo = (lo + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
  }
  const wordEnd = off + (len & ~3);
  for (; at < wordEnd; at += 4) {
    const word = view.getInt32(at);
    hi = (hi + (word >>> 16)) | 0;
    lo = (lo + (word & 0xffff)) | 0;
  }
  if ((len & 2) !== 0) {
    lo = (lo + view.getUint16(at)) | 0;
    at += 2;
  }
  if ((len & 1) !== 0) hi = (hi + (view.getUint8(at) << 8)) | 0;
  return fold((hi >>> 16) + (hi & 0xffff) + (lo >>> 16) + (lo & 0xffff) + (seed & 0xffff) + (seed >>> 16));
}

/** Reduces a sum to 16 bits with end-around carry. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum of a sum: folded and inverted, 0…65535. */
export function finish(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Sum of the IPv4 pseudo-header (RFC 9293 §3.1), not folded; `len` is the L4 length in bytes. */
export function pseudoSumV4(src: number, dst: number, proto: number, len: number): number {
  return (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff) + proto + len;
}

/** Sum of the IPv6 pseudo-header (RFC 8200 §8.1), addresses taken from the header at `ipv6Off`. */
export function pseudoSumV6(view: DataView, ipv6Off: number, proto: number, len: number): number {
  return sum(view, ipv6Off + 8, 32, proto + (len & 0xffff) + (len >>> 16));
}

/** The same from eight address words (`s0…s3` source, `d0…d3` destination); not folded. */
export function pseudoSumV6Words(
  s0: number,
  s1: number,
  s2: number,
  s3: number,
  d0: number,
  d1: number,
  d2: number,
  d3: number,
  proto: number,
  len: number,
): number {
  const source = halves(s0) + halves(s1) + halves(s2) + halves(s3);
  const destination = halves(d0) + halves(d1) + halves(d2) + halves(d3);
  return source + destination + proto + (len & 0xffff) + (len >>> 16);
}

/** Repairs the full checksum at `csumOff` after a 16-bit word under it changed from `old` to `now`. */
export function adjust16(view: DataView, csumOff: number, old: number, now: number): void {
  view.setUint16(csumOff, adjusted16(view.getUint16(csumOff), old, now));
}

/** Repairs the full checksum at `csumOff` after a 32-bit word (i32, 16-bit aligned) changed. */
export function adjust32(view: DataView, csumOff: number, old: number, now: number): void {
  view.setUint16(csumOff, adjusted32(view.getUint16(csumOff), old, now));
}

/** adjust16 for UDP: 0 means "no checksum" and stays; a result of 0 is written as 0xffff (RFC 768). */
export function adjustUdp16(view: DataView, csumOff: number, old: number, now: number): void {
  const before = view.getUint16(csumOff);
  if (before === 0) return;
  const after = adjusted16(before, old, now);
  view.setUint16(csumOff, after === 0 ? 0xffff : after);
}

/** adjust32 for UDP: 0 means "no checksum" and stays; a result of 0 is written as 0xffff (RFC 768). */
export function adjustUdp32(view: DataView, csumOff: number, old: number, now: number): void {
  const before = view.getUint16(csumOff);
  if (before === 0) return;
  const after = adjusted32(before, old, now);
  view.setUint16(csumOff, after === 0 ? 0xffff : after);
}

/**
 * What a 32-bit word (i32, 16-bit aligned) that changed from `old` to `now` adds to a sum. Differences of
 * several words may be added up, so that a packet whose addresses and ports change is repaired once.
 */
export function difference32(old: number, now: number): number {
  return halves(~old) + halves(now);
}

/** difference32 for a 16-bit word. */
export function difference16(old: number, now: number): number {
  return (~old & 0xffff) + (now & 0xffff);
}

/** Repairs the full checksum at `csumOff` by a sum of differences below 2^30. */
export function adjustBy(view: DataView, csumOff: number, difference: number): void {
  view.setUint16(csumOff, finish((~view.getUint16(csumOff) & 0xffff) + difference));
}

/** adjustBy for UDP: 0 means "no checksum" and stays; a result of 0 is written as 0xffff (RFC 768). */
export function adjustUdpBy(view: DataView, csumOff: number, difference: number): void {
  const before = view.getUint16(csumOff);
  if (before === 0) return;
  const after = finish((~before & 0xffff) + difference);
  view.setUint16(csumOff, after === 0 ? 0xffff : after);
}

/** adjustBy for a partial checksum: the differences are of words of the pseudo-header. */
export function adjustPartialBy(view: DataView, csumOff: number, difference: number): void {
  view.setUint16(csumOff, fold(view.getUint16(csumOff) + difference));
}

/**
 * Repairs a partial checksum (NEEDS_CSUM) after a 16-bit word *of the pseudo-header* changed. The field holds
 * the folded pseudo-header sum, not inverted. Ports and payload are not under it: changing those needs
 * nothing.
 */
export function adjustPartial16(view: DataView, csumOff: number, old: number, now: number): void {
  view.setUint16(csumOff, fold(view.getUint16(csumOff) + (~old & 0xffff) + (now & 0xffff)));
}

/** adjustPartial16 for a 32-bit word, as an IPv4 address is. */
export function adjustPartial32(view: DataView, csumOff: number, old: number, now: number): void {
  view.setUint16(csumOff, fold(view.getUint16(csumOff) + halves(~old) + halves(now)));
}

/** Where it stands in a UDP header, by which a partial checksum tells that it is UDP's. */
const UDP_FIELD = 6;

/**
 * Completes a partial checksum: sums `start…end` including the field (which holds the pseudo-header sum) and
 * writes the checksum. UDP's 0 would say "none" and becomes 0xffff; of others Linux writes that, too, and both verify,
 * but to Wireshark it is wrong (RFC 1624 §3): they stay 0.
 */
export function completePartial(view: DataView, start: number, csumOff: number, end: number): void {
  const checksum = finish(sum(view, start, end - start, 0));
  view.setUint16(csumOff, checksum === 0 && csumOff - start === UDP_FIELD ? 0xffff : checksum);
}

// RFC 1624 eq. 3: HC' = ~(~HC + ~m + m'). Eq. 4 (subtraction) can yield the wrong zero.
function adjusted16(checksum: number, old: number, now: number): number {
  return finish((~checksum & 0xffff) + (~old & 0xffff) + (now & 0xffff));
}

function adjusted32(checksum: number, old: number, now: number): number {
  return finish((~checksum & 0xffff) + halves(~old) + halves(now));
}

function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}
