/**
 * Packet slots beside the receive slots: for packets the plane makes itself (ARP, ICMP, tunnel segments), for
 * packets that wait (neighbour resolution) and for datagrams in reassembly. A stack of free slot numbers; all
 * memory is taken at the start. When it is empty the caller drops, with a reason.
 */
import { type Columns, OWN_COLUMNS } from "../base/columns.ts";
import { HEADROOM, SLOT_STRIDE } from "./packet/packet.ts";

export class SlotPool {
  readonly first: number; //          number of the first pool slot in the arena
  readonly free: Int32Array;
  /** By slot: which traced packet lies in it, while it waits (trace/late.ts, tagOf); 0: none. */
  readonly tags: Int32Array;
  /** One word: how many are free. */
  readonly left: Int32Array;
  constructor(first: number, slots: number, columns: Columns = OWN_COLUMNS) {
    this.first = first;
    this.free = columns.int32(slots);
    this.tags = columns.int32(first + slots);
    this.left = columns.int32(1);
    if (!columns.isNew) return;
    this.left[0] = slots;
    for (let i = 0; i < slots; i++) this.free[i] = first + slots - 1 - i;
  }
  get count(): number {
    return this.left[0];
  }
  set count(count: number) {
    this.left[0] = count;
  }
}

/** A free slot's number, or -1. */
export function acquire(p: SlotPool): number {
  if (p.count === 0) return -1;
  p.count--;
  return p.free[p.count];
}

/**
 * A slot for a packet that will wait (for a neighbour, for its other fragments), or -1. A quarter of the pool
 * is left for packets that leave at once, so that nobody can stop those by making many wait.
 */
export function acquireToKeep(p: SlotPool): number {
  return p.count <= p.free.length >> 2 ? -1 : acquire(p);
}

/** A slot for frames that wait for their port's rate, or -1: half of the pool is left for all else. */
export function acquireForQueue(p: SlotPool): number {
  return p.count <= p.free.length >> 1 ? -1 : acquire(p);
}

export function release(p: SlotPool, slot: number): void {
  p.free[p.count] = slot;
  p.count++;
}

/** Offset of a frame's first byte in `slot`. */
export function frameOffset(slot: number): number {
  return slot * SLOT_STRIDE + HEADROOM;
}
