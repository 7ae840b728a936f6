// Remote tunnel endpoints (RFC 7348): index → address of the node and MAC of its VTEP, as flannel's
// annotations tell them (change/vteps.ts). Routes name a VTEP by its index. The way in asks the other
// way round: is the outer source a node of ours, and is the inner source MAC the one that belongs to it?
// Compiled, swapped together with the routes that point into it. The indexes are not keyed: only our own
// configuration fills them.
//
// Nodes that keep the addresses of clients have a zone (tuple.ts): by it connections of one tuple, from one client by two
// nodes, stay apart. It depends on the VTEP's MAC alone, so that connections outlive changes of nodes and agents.
import { ColumnCarver, columnBytes } from "../../base/columns.ts";
import * as hashIndex from "./hash-index.ts";

const V4_MAPPED = 0xffff; // third word of an IPv4 address

export class Vteps {
  readonly outer0: Int32Array;
  readonly outer1: Int32Array;
  readonly outer2: Int32Array;
  readonly outer3: Int32Array;
  readonly macLo: Int32Array;
  readonly macHi: Uint16Array;
  readonly zone: Int32Array; //   as in a tuple's meta; 0: the node keeps no addresses of clients
  readonly route4: Int32Array; // a route that leads to it, of each family where it has one; -1: none
  readonly route6: Int32Array;
  readonly byOuter: Int32Array; // open addressing, at most half full: VTEP + 1, 0 = empty
  readonly byMac: Int32Array; //   likewise
  readonly count: number;
  readonly mask: number;

  constructor(count: number, memory: ArrayBufferLike = new ArrayBuffer(Vteps.bytesFor(count))) {
    const carve = new ColumnCarver(memory);
    const slots = slotsFor(count);
    this.outer0 = carve.int32(count);
    this.outer1 = carve.int32(count);
    this.outer2 = carve.int32(count);
    this.outer3 = carve.int32(count);
    this.macLo = carve.int32(count);
    this.macHi = carve.uint16(count);
    this.zone = carve.int32(count);
    this.route4 = carve.int32(count);
    this.route6 = carve.int32(count);
    this.byOuter = carve.int32(slots);
    this.byMac = carve.int32(slots);
    this.count = count;
    this.mask = slots - 1;
  }

  static bytesFor(count: number): number {
    return 8 * columnBytes(count, 4) + columnBytes(count, 2) + 2 * columnBytes(slotsFor(count), 4);
  }
}

/** Do the other nodes have IPv6 addresses? They all have one family's. */
export function isOverIpv6(t: Vteps): boolean {
  return t.count > 0 && (t.outer2[0] !== V4_MAPPED || (t.outer0[0] | t.outer1[0]) !== 0);
}

/** VTEP whose node has this address, or -1. Of two with one address the first in the list. */
export function findByOuter(t: Vteps, w0: number, w1: number, w2: number, w3: number): number {
  let slot = hashIndex.mixTrusted(w0, w1, w2, w3) & t.mask;
  for (;;) {
    const vtep = t.byOuter[slot] - 1;
    if (vtep < 0) return -1;
    if (t.outer3[vtep] === w3 && t.outer2[vtep] === w2 && t.outer1[vtep] === w1 && t.outer0[vtep] === w0) {
      return vtep;
    }
    slot = (slot + 1) & t.mask;
  }
}

/** VTEP with this MAC, or -1. */
export function findByMac(t: Vteps, macHi: number, macLo: number): number {
  let slot = hashIndex.mixTrusted(0, 0, macHi, macLo) & t.mask;
  for (;;) {
    const vtep = t.byMac[slot] - 1;
    if (vtep < 0 || (t.macLo[vtep] === macLo && t.macHi[vtep] === macHi)) return vtep;
    slot = (slot + 1) & t.mask;
  }
}

function slotsFor(count: number): number {
  let slots = 8;
  while (slots < 2 * count) slots *= 2;
  return slots;
}
