// 128-bit addresses as four i32 words, most significant first. IPv4 is v4-mapped (0, 0, 0xffff, address),
// so that one ordering and one prefix arithmetic serve both families. Columns that are searched hold each
// word with its top bit flipped (`biased`): then the processor's signed comparison is the unsigned one that
// addresses need.

const TOP = 1 << 31;
export const V4_MAPPED = 0xffff; //    word 2 of an IPv4 address
export const V4_PREFIX_BITS = 96; //   what v4-mapping adds to an IPv4 prefix length

/** The word in the form in which signed `<` compares unsigned words. Its own inverse. */
export function biased(word: number): number {
  return word ^ TOP;
}

/** Bits of word `index` (0–3) that a prefix of `bits` (0–128) fixes. */
export function maskWord(bits: number, index: number): number {
  const fixed = bits - 32 * index;
  if (fixed <= 0) return 0;
  if (fixed >= 32) return -1;
  return -1 << (32 - fixed);
}

/** Sign of a - b as unsigned 128-bit numbers; `at` is the first of four words. */
export function compareAt(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  for (let i = 0; i < 4; i++) {
    const x = biased(a[aAt + i]);
    const y = biased(b[bAt + i]);
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Adds one to the four words at `at`. True when it ran over, i.e. the result is zero. */
export function increment(words: Int32Array, at: number): boolean {
  for (let i = 3; i >= 0; i--) {
    words[at + i] += 1;
    if (words[at + i] !== 0) return false;
  }
  return true;
}
