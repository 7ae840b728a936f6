// Hashing of table keys, and the two collision schemes the tables share.
//
// Keys come from the wire, so a peer chooses them. HalfSipHash-1-3 with a secret seed, as Linux uses for
// its own hash tables (hsiphash): a multiply-and-shift mixer costs 7–10 ns for five words where this costs
// 15, but its collisions can be computed without knowing the seed, and a pod that fills one chain of the
// connection table slows the node for everybody. `mixTrusted` is the cheap one, for keys that come from our
// own configuration.
//
// A seed is one i32, drawn once per process by whoever makes the tables, and kept in each table's header.

const SIP_2 = 0x6c796765; // initial state of HalfSipHash (Aumasson, Bernstein 2012; linux lib/siphash.c)
const SIP_3 = 0x74656462;
const KEY_SPREAD = 0x9e3779b1; // golden ratio, odd: turns the one-word seed into the second key word
const FINAL_ROUNDS = 3;

/**
 * HalfSipHash-1-3 over the first `words` (1–5) of a…e: one round a word, three to finish; all 32 bits are
 * usable. The length block is left out: each caller hashes keys of one length.
 */
function halfSip(seed: number, words: number, a: number, b: number, c: number, d: number, e: number): number {
  let v0 = seed;
  let v1 = Math.imul(seed, KEY_SPREAD);
  let v2 = v0 ^ SIP_2;
  let v3 = v1 ^ SIP_3;
  const rounds = words + FINAL_ROUNDS;
  for (let i = 0; i < rounds; i++) {
    let m = 0;
    if (i < words) m = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? d : e;
    else if (i === words) v2 ^= 0xff;
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  return v1 ^ v3;
}

/** Hash of two i32 words, as i32. */
export function mix2(seed: number, a: number, b: number): number {
  return halfSip(seed, 2, a, b, 0, 0, 0);
}

export function mix3(seed: number, a: number, b: number, c: number): number {
  return halfSip(seed, 3, a, b, c, 0, 0);
}

export function mix4(seed: number, a: number, b: number, c: number, d: number): number {
  return halfSip(seed, 4, a, b, c, d, 0);
}

export function mix5(seed: number, a: number, b: number, c: number, d: number, e: number): number {
  return halfSip(seed, 5, a, b, c, d, e);
}

/**
 * Ten words, e.g. two IPv6 addresses, ports and protocol: the hash of the first five keys that of the other
 * five.
 */
export function mix10(
  seed: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g: number,
  h: number,
  i: number,
  j: number,
): number {
  return halfSip(halfSip(seed, 5, a, b, c, d, e), 5, f, g, h, i, j);
}

/**
 * Cheap hash of four words for sets that only our own configuration fills (node addresses, VTEPs). Not
 * keyed.
 */
export function mixTrusted(a: number, b: number, c: number, d: number): number {
  // Four products side by side, then one fold: the multiplications do not wait for each other.
  let h =
    Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ Math.imul(d, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 16);
}

/**
 * xorshift32: the next of a sequence of i32 that is spread well but not secret. Zero is a state like any
 * other.
 */
export function nextRandom(state: number): number {
  let x = state === 0 ? KEY_SPREAD : state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x;
}

/**
 * Open addressing without tombstones: may the entry whose home is `home` move back from `from` into the
 * hole? Yes, unless its home lies cyclically after the hole, in (hole, from]: then a search for it would
 * never pass the hole.
 */
export function canFill(hole: number, from: number, home: number, mask: number): boolean {
  return ((from - home) & mask) >= ((from - hole) & mask);
}

/**
 * Empties cell `at` of an index by open addressing, in which 0 is an empty cell, and closes the gap behind it: no
 * tombstones, so that probes do not get longer with age. `homeOf` says where the search for what a cell holds begins
 * (to be masked); given by name, it is inlined.
 */
export function vacate<T>(
  index: Int32Array,
  at: number,
  mask: number,
  table: T,
  homeOf: (table: T, cell: number) => number,
): void {
  let hole = at;
  let from = (at + 1) & mask;
  while (index[from] !== 0) {
    if (canFill(hole, from, homeOf(table, index[from]) & mask, mask)) {
      index[hole] = index[from];
      hole = from;
    }
    from = (from + 1) & mask;
  }
  index[hole] = 0;
}

// Chains keep an entry's slot number for its whole life, where open addressing moves entries on removal.
// Both columns hold slot + 1, so that zeroed memory is an empty index.

/** Puts `slot` at the front of the chain of `bucket`. */
export function chainInsert(heads: Int32Array, nexts: Int32Array, bucket: number, slot: number): void {
  nexts[slot] = heads[bucket];
  heads[bucket] = slot + 1;
}

/** Takes `slot` out of the chain of `bucket`; a slot that is not there is left alone. */
export function chainRemove(heads: Int32Array, nexts: Int32Array, bucket: number, slot: number): void {
  let at = heads[bucket] - 1;
  if (at === slot) {
    heads[bucket] = nexts[slot];
    nexts[slot] = 0;
    return;
  }
  while (at >= 0) {
    const next = nexts[at] - 1;
    if (next === slot) {
      nexts[at] = nexts[slot];
      nexts[slot] = 0;
      return;
    }
    at = next;
  }
}
