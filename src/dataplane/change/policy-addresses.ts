/** Addresses of the policy table: open addressing, rows of words side by side, at most half of them taken. */
import {
  A_IDENTITY,
  A_SUBJECT,
  ADDRESS_WORDS,
  type PolicyAddress,
  type PolicyAddressSpec,
} from "../spec/policy.ts";
import * as hashIndex from "../table/hash-index.ts";

const ROWS_MIN = 8;

/** Words with room for so many addresses. */
export function createAddresses(count: number): Int32Array {
  let rows = ROWS_MIN;
  while (rows < 2 * count) rows *= 2;
  return new Int32Array(rows * ADDRESS_WORDS);
}

/** True when there is room for so many. */
export function hasRoom(words: Int32Array, count: number): boolean {
  return 2 * count * ADDRESS_WORDS <= words.length;
}

function homeOf({ w0, w1, w2, w3 }: PolicyAddress, mask: number): number {
  return hashIndex.mixTrusted(w0, w1, w2, w3) & mask;
}

/** Row of the address, or the free one where it would go. */
function find(words: Int32Array, address: PolicyAddress): number {
  const { w0, w1, w2, w3 } = address;
  const mask = words.length / ADDRESS_WORDS - 1;
  for (let row = homeOf(address, mask); ; row = (row + 1) & mask) {
    const at = row * ADDRESS_WORDS;
    if (words[at + A_IDENTITY] === 0) return row;
    if (words[at] === w0 && words[at + 1] === w1 && words[at + 2] === w2 && words[at + 3] === w3) return row;
  }
}

/** True when the address is new. */
export function put(words: Int32Array, { w0, w1, w2, w3, identity, subject }: PolicyAddressSpec): boolean {
  const at = find(words, { w0, w1, w2, w3 }) * ADDRESS_WORDS;
  const isNew = words[at + A_IDENTITY] === 0;
  words[at] = w0;
  words[at + 1] = w1;
  words[at + 2] = w2;
  words[at + 3] = w3;
  words[at + A_IDENTITY] = identity + 1;
  words[at + A_SUBJECT] = subject + 1;
  return isNew;
}

/** True when it was there. What stands behind moves up, as far as a search for it would else end at the gap. */
export function take(words: Int32Array, address: PolicyAddress): boolean {
  const mask = words.length / ADDRESS_WORDS - 1;
  let gap = find(words, address);
  if (words[gap * ADDRESS_WORDS + A_IDENTITY] === 0) return false;
  for (let row = (gap + 1) & mask; words[row * ADDRESS_WORDS + A_IDENTITY] !== 0; row = (row + 1) & mask) {
    const at = row * ADDRESS_WORDS;
    const home = homeOf({ w0: words[at], w1: words[at + 1], w2: words[at + 2], w3: words[at + 3] }, mask);
    if (!hashIndex.canFill(gap, row, home, mask)) continue;
    words.copyWithin(gap * ADDRESS_WORDS, at, at + ADDRESS_WORDS);
    gap = row;
  }
  words.fill(0, gap * ADDRESS_WORDS, (gap + 1) * ADDRESS_WORDS);
  return true;
}

/** All rows of one table, in another. */
export function putAll(from: Int32Array, to: Int32Array): void {
  for (let at = 0; at < from.length; at += ADDRESS_WORDS) {
    if (from[at + A_IDENTITY] === 0) continue;
    put(to, {
      ...{ w0: from[at], w1: from[at + 1], w2: from[at + 2], w3: from[at + 3] },
      ...{ identity: from[at + A_IDENTITY] - 1, subject: from[at + A_SUBJECT] - 1 },
    });
  }
}

/** Puts rows in, or takes out those that have no identity. */
export function apply(words: Int32Array, changes: Int32Array): void {
  for (let at = 0; at < changes.length; at += ADDRESS_WORDS) {
    const [w0, w1, w2, w3] = changes.subarray(at, at + A_IDENTITY);
    const identity = changes[at + A_IDENTITY] - 1;
    if (identity < 0) take(words, { w0, w1, w2, w3 });
    else put(words, { w0, w1, w2, w3, identity, subject: changes[at + A_SUBJECT] - 1 });
  }
}
