// CRC32c (Castagnoli, RFC 9260 appendix A), the checksum of SCTP. Pure over (view, off); nothing allocates.
// `update` works on the register: start with -1, invert the result; registers are i32. Eight bytes a step, from eight
// tables: a quarter of the time of a byte a step (1,500 bytes: 2.0 µs and 7.6 µs, busy machine).
//
// A CRC is linear: the CRC of a message whose bits changed is the old one XOR the CRC of the change alone. So a word
// may change without the rest of the message being read: its own register, moved on over as many zero bytes as follow
// it, is what the CRC changes by. `overZeroes` moves by powers of two, 8 lookups each: 0.1 µs for any length. What
// was damaged before stays damaged, which a sum made anew would hide.

const POLYNOMIAL = 0x82f63b78; // reflected
const BYTES_LOG2 = 16; // of the longest run of zeroes: an IP packet
const TABLES = createTables();
const POWERS = createPowers();

/** Register after the bytes `off…end`. */
export function update(view: DataView, off: number, end: number, register: number): number {
  let r = register;
  let at = off;
  for (; at + 8 <= end; at += 8) {
    const a = r ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    r =
      TABLES[0x700 | (a & 0xff)] ^
      TABLES[0x600 | ((a >>> 8) & 0xff)] ^
      TABLES[0x500 | ((a >>> 16) & 0xff)] ^
      TABLES[0x400 | (a >>> 24)] ^
      TABLES[0x300 | (b & 0xff)] ^
      TABLES[0x200 | ((b >>> 8) & 0xff)] ^
      TABLES[0x100 | ((b >>> 16) & 0xff)] ^
      TABLES[b >>> 24];
  }
  for (; at < end; at++) r = TABLES[(r ^ view.getUint8(at)) & 0xff] ^ (r >>> 8);
  return r;
}

/** Register after `bytes` zero bytes (below 65,536). */
export function overZeroes(register: number, bytes: number): number {
  let r = register;
  let n = bytes;
  for (let at = 0; n !== 0; at += 128) {
    if ((n & 1) !== 0) {
      r =
        POWERS[at | (r & 15)] ^
        POWERS[at | 16 | ((r >>> 4) & 15)] ^
        POWERS[at | 32 | ((r >>> 8) & 15)] ^
        POWERS[at | 48 | ((r >>> 12) & 15)] ^
        POWERS[at | 64 | ((r >>> 16) & 15)] ^
        POWERS[at | 80 | ((r >>> 20) & 15)] ^
        POWERS[at | 96 | ((r >>> 24) & 15)] ^
        POWERS[at | 112 | (r >>> 28)];
    }
    n >>>= 1;
  }
  return r;
}

/**
 * What the CRC of a message changes by (XOR) when the big-endian word `before` in it becomes `after` and `following`
 * bytes come behind that word.
 */
export function difference32(before: number, after: number, following: number): number {
  const changed = before ^ after;
  // The word's first byte is the lowest of the reflected register.
  const swapped = (changed << 24) | ((changed & 0xff00) << 8) | ((changed >>> 8) & 0xff00) | (changed >>> 24);
  return overZeroes(swapped, following + 4);
}

/** Table k: register of a byte with k zero bytes behind it. */
function createTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let r = byte;
    for (let bit = 0; bit < 8; bit++) r = (r >>> 1) ^ ((r & 1) === 0 ? 0 : POLYNOMIAL);
    tables[byte] = r;
  }
  for (let i = 256; i < tables.length; i++) {
    const r = tables[i - 256];
    tables[i] = tables[r & 0xff] ^ (r >>> 8);
  }
  return tables;
}

/** For 2^k zero bytes, at k * 128: what each value of each of a register's eight nibbles becomes. */
function createPowers(): Int32Array {
  const powers = new Int32Array(BYTES_LOG2 * 128);
  let images = Int32Array.from({ length: 32 }, (_, bit) => {
    const r = 1 << bit;
    return TABLES[r & 0xff] ^ (r >>> 8);
  });
  const apply = (r: number): number => {
    let image = 0;
    for (let bit = 0; bit < 32; bit++) if (((r >>> bit) & 1) !== 0) image ^= images[bit];
    return image;
  };
  for (let k = 0; k < BYTES_LOG2; k++) {
    for (let i = 0; i < 128; i++) powers[k * 128 + i] = apply((i & 15) << ((i >> 4) * 4));
    images = images.map(apply);
  }
  return powers;
}
