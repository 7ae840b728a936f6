/**
 * Addresses of pods that are of the mesh, on whatever node (packet/mesh.ts). Asked for what begins a TCP connection while
 * there is a mesh. Rows are laid out as those of the policies' addresses, by the same code (change/policy-addresses.ts):
 * open addressing, at most half of them taken; a table that is full is replaced by a larger one.
 */
import { A_IDENTITY, ADDRESS_WORDS } from "../spec/policy.ts";
import * as hashIndex from "./hash-index.ts";

const ADDRESS_SHIFT = 3; // of ADDRESS_WORDS

export class MeshMembers {
  readonly words: Int32Array;
  readonly mask: number;

  constructor(words: Int32Array = new Int32Array(ADDRESS_WORDS)) {
    this.words = words;
    this.mask = words.length / ADDRESS_WORDS - 1;
  }
}

/** Is the address whose words begin at `at` in `key` one of them? */
export function has({ words, mask }: MeshMembers, key: Int32Array, at: number): boolean {
  const w0 = key[at];
  const w1 = key[at + 1];
  const w2 = key[at + 2];
  const w3 = key[at + 3];
  let row = hashIndex.mixTrusted(w0, w1, w2, w3) & mask;
  for (;;) {
    const a = row << ADDRESS_SHIFT;
    if (words[a + A_IDENTITY] === 0) return false;
    if (words[a + 3] === w3 && words[a + 2] === w2 && words[a + 1] === w1 && words[a] === w0) return true;
    row = (row + 1) & mask;
  }
}
