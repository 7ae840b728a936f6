// Keeps a checksum right while a benchmark or a test varies a frame, in bytes alone: nothing is allocated for a packet.

/** Repairs the checksum at `at` after a 16-bit word under it changed from `before` to `after` (RFC 1624 eq. 3). */
function adjustSum(bytes: Uint8Array, at: number, before: number, after: number): void {
  const stored = (bytes[at] << 8) | bytes[at + 1];
  let sum = (~stored & 0xffff) + (~before & 0xffff) + (after & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = ~((sum & 0xffff) + (sum >>> 16));
  bytes[at] = sum >>> 8;
  bytes[at + 1] = sum;
}

/** Writes a 16-bit word and repairs the checksum at `sumAt`. */
export function setWord(bytes: Uint8Array, at: number, word: number, sumAt: number): void {
  adjustSum(bytes, sumAt, (bytes[at] << 8) | bytes[at + 1], word);
  bytes[at] = word >>> 8;
  bytes[at + 1] = word;
}
