// The node's own addresses (type LOCAL in Linux's terms), both families: node address, gateway, VTEP, and
// what the NodePort addresses add. Asked for every packet. Open addressing, at most half full, filled once:
// a change of the node makes a new set. The hash is not keyed: the entries are ours, so no peer can
// lengthen a chain, only choose which short one it walks.
import { ColumnCarver, columnBytes } from "../../base/columns.ts";
import type { IpWords } from "../../base/ip.ts";
import * as hashIndex from "./hash-index.ts";

export class LocalAddresses {
  readonly addr0: Int32Array;
  readonly addr1: Int32Array;
  readonly addr2: Int32Array;
  readonly addr3: Int32Array;
  readonly taken: Uint8Array; // 1: the slot holds an address
  readonly mask: number;

  constructor(
    addresses: readonly IpWords[],
    memory: ArrayBufferLike = new ArrayBuffer(LocalAddresses.bytesFor(addresses.length)),
  ) {
    const slots = slotsFor(addresses.length);
    const carve = new ColumnCarver(memory);
    this.addr0 = carve.int32(slots);
    this.addr1 = carve.int32(slots);
    this.addr2 = carve.int32(slots);
    this.addr3 = carve.int32(slots);
    this.taken = carve.uint8(slots);
    this.mask = slots - 1;
    for (const { w0, w1, w2, w3 } of addresses) {
      const found = locate(this, w0, w1, w2, w3);
      if (found >= 0) continue;
      this.addr0[~found] = w0;
      this.addr1[~found] = w1;
      this.addr2[~found] = w2;
      this.addr3[~found] = w3;
      this.taken[~found] = 1;
    }
  }

  static bytesFor(count: number): number {
    return 4 * columnBytes(slotsFor(count), 4) + columnBytes(slotsFor(count), 1);
  }
}

export function has(t: LocalAddresses, w0: number, w1: number, w2: number, w3: number): boolean {
  return locate(t, w0, w1, w2, w3) >= 0;
}

/** Slot of the address, or ~slot of where it would go. */
function locate(t: LocalAddresses, w0: number, w1: number, w2: number, w3: number): number {
  let slot = hashIndex.mixTrusted(w0, w1, w2, w3) & t.mask;
  while (t.taken[slot] !== 0) {
    if (t.addr3[slot] === w3 && t.addr2[slot] === w2 && t.addr1[slot] === w1 && t.addr0[slot] === w0)
      return slot;
    slot = (slot + 1) & t.mask;
  }
  return ~slot;
}

/** A power of two, at least twice as many as addresses. */
function slotsFor(count: number): number {
  let slots = 8;
  while (slots < 2 * count) slots *= 2;
  return slots;
}
