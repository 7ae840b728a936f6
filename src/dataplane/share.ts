/**
 * Several engines on one set of tables, each in a thread of its own: ports are spread over them, tables, packet slots and
 * counters are common. They take turns: whoever has a batch of frames enters, forwards it and leaves. System calls that
 * bring and take frames are outside of turns, and those are most of the time. So nothing in a table is ever seen half
 * written, and a packet is decided about exactly as by a single engine.
 *
 * A flow keeps its order: a port is read by one engine, which sends what it forwards in the order in which it came. What
 * had waited for a neighbour leaves before the turn ends, or packets that come later could overtake it.
 */
import type { Columns } from "../base/columns.ts";

/** Turns as one of the engines has them. Neither throws nor allocates. */
export interface Turn {
  /** Waits until it is this engine's turn; brings it to the tables' time, and to what was changed since its last one. */
  enter(): void;
  /** As `enter`, in the middle of what the engine does: nothing changes but the time. */
  resume(): void;
  leave(): void;
}

export interface Share {
  /** Which of the engines: 0 is the keeper, which does alone what is to be done once: changes of tables, expiry. */
  readonly index: number;
  readonly count: number;
  /** Packet slots of all of them: each one's receive slots, one after the other, then the pool. */
  readonly arena: Uint8Array;
  readonly columns: Columns;
  readonly turn: Turn;
}
