// Many short queues over one pool: packets that wait for something, as arena slot numbers and lengths. The
// pool bounds what may wait altogether, QUEUE_MAX what may wait for one thing; both keep a peer from
// holding the whole arena. Lives inside the memory of the table whose entries are waited for; the queue
// number is that table's slot.
import type { ColumnCarver } from "../../base/columns.ts";
import { columnBytes } from "../../base/columns.ts";

/**
 * Packets in one queue. Linux's unres_qlen_bytes of 212,992 holds 277 small ones, 768 bytes each by its count: with 100
 * the first traffic of a few pods to another node, all of it before the other node had answered, lost what came first.
 */
export const QUEUE_MAX = 256;
/** Packets in all queues. */
export const PENDING_MAX = 288;

export class PendingQueues {
  readonly head: Int32Array; //     per queue: first packet, place + 1; 0 = empty
  readonly tail: Int32Array; //     per queue: last packet, place + 1
  readonly arenaSlot: Int32Array; // per place
  readonly lenBytes: Int32Array; //  per place
  readonly next: Int32Array; //     per place: next in the queue, or in the list of freed places
  readonly free: Int32Array; //     [0] first freed place + 1, [1] places from here on were never used
  readonly count: Uint16Array; //   per queue

  constructor(carve: ColumnCarver, queues: number) {
    this.head = carve.int32(queues);
    this.tail = carve.int32(queues);
    this.arenaSlot = carve.int32(PENDING_MAX);
    this.lenBytes = carve.int32(PENDING_MAX);
    this.next = carve.int32(PENDING_MAX);
    this.free = carve.int32(2);
    this.count = carve.uint16(queues);
  }

  static bytesFor(queues: number): number {
    return 2 * columnBytes(queues, 4) + 3 * columnBytes(PENDING_MAX, 4) + 8 + columnBytes(queues, 2);
  }
}

/**
 * Appends a packet. Returns the arena slot of the one that had to give way: the queue's oldest, or
 * `arenaSlot` itself when the pool is taken by others; -1 when there was room.
 */
export function enqueue(q: PendingQueues, queue: number, arenaSlot: number, lenBytes: number): number {
  let dropped = -1;
  if (q.count[queue] >= QUEUE_MAX) dropped = dequeue(q, queue);
  let place = takePlace(q);
  if (place < 0) {
    if (q.count[queue] === 0) return arenaSlot;
    dropped = dequeue(q, queue);
    place = takePlace(q);
  }
  q.arenaSlot[place] = arenaSlot;
  q.lenBytes[place] = lenBytes;
  q.next[place] = 0;
  if (q.count[queue] === 0) q.head[queue] = place + 1;
  else q.next[q.tail[queue] - 1] = place + 1;
  q.tail[queue] = place + 1;
  q.count[queue] += 1;
  return dropped;
}

/** Bytes of the packet that `dequeue` gives next; -1: none. */
export function frontLen(q: PendingQueues, queue: number): number {
  return q.count[queue] === 0 ? -1 : q.lenBytes[q.head[queue] - 1];
}

/** Arena slot of the packet that has waited longest, or -1. */
export function dequeue(q: PendingQueues, queue: number): number {
  if (q.count[queue] === 0) return -1;
  const place = q.head[queue] - 1;
  q.head[queue] = q.next[place];
  q.count[queue] -= 1;
  q.next[place] = q.free[0];
  q.free[0] = place + 1;
  return q.arenaSlot[place];
}

function takePlace(q: PendingQueues): number {
  const freed = q.free[0] - 1;
  if (freed >= 0) {
    q.free[0] = q.next[freed];
    return freed;
  }
  const fresh = q.free[1];
  if (fresh >= PENDING_MAX) return -1;
  q.free[1] = fresh + 1;
  return fresh;
}
