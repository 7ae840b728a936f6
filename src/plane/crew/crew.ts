/**
 * The workers of one plane. Each has an engine, all have the same tables, and they take turns with them
 * (dataplane/share.ts) by a lock in memory that they share. Beside it lie the tables' time, which never goes back, and
 * the number of the last change: the keeper, worker 0, makes a change of the tables and writes its number there, and
 * whoever has the next turn first makes the same change of what it has for itself. So a change holds for all at once.
 */
import { SharedColumns } from "../../base/columns.ts";
import type { Engine } from "../../dataplane/engine.ts";
import * as engine from "../../dataplane/engine.ts";
import type { Share, Turn } from "../../dataplane/share.ts";
import { Control } from "../plane-memory.ts";

/** What a worker has to know of the others. */
export interface CrewInit {
  readonly index: number;
  readonly count: number;
  readonly memory: SharedArrayBuffer;
  readonly arena: SharedArrayBuffer;
  readonly columns: readonly SharedArrayBuffer[];
  /** Control words of the keeper. */
  readonly keeper: SharedArrayBuffer;
  /** What the keeper rings when there is a change for all: the bells of the others. */
  readonly bells: readonly number[];
}

const LOCK = 0; //   0: free, 1: taken, 2: taken, and others sleep until it is free
const CHANGE = 1; // number of the last change that concerns all
const CLOCK = 1; //  of the words in Float64
const BYTES = 16;
/** Looks at a lock that is taken before the thread sleeps: some µs. A turn is mostly over by then. */
const LOOKS = 400;

export class Crew implements Turn {
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(BYTES);
  }

  readonly words: Int32Array;
  readonly clock: Float64Array;
  readonly #catchUp: (change: number) => void;
  /** Number of the last change that this worker has made. */
  change = 0;
  /** What this worker's clock said last, ms since the tables' time was 0. */
  nowMs = 0;
  /** And the time of day, µs since 1970. */
  nowUs = 0;
  engine: Engine | null = null;

  /** `catchUp`: makes changes up to that number. */
  constructor(memory: SharedArrayBuffer, catchUp: (change: number) => void) {
    this.words = new Int32Array(memory);
    this.clock = new Float64Array(memory);
    this.#catchUp = catchUp;
  }

  enter(): void {
    this.resume();
    const change = this.words[CHANGE];
    if (change === this.change) return;
    this.#catchUp(change);
    this.change = change;
    this.#stamp(); // somebody may watch from now on
  }

  resume(): void {
    const { words, clock } = this;
    if (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) waitFor(words);
    if (clock[CLOCK] < this.nowMs) clock[CLOCK] = this.nowMs;
    if (this.engine !== null) engine.setClock(this.engine, clock[CLOCK]);
    this.#stamp();
  }

  /** Records bear times in the order in which packets were decided about. */
  #stamp(): void {
    if (this.engine === null) return;
    const { watchers } = this.engine.tables;
    if (watchers.active !== 0 && watchers.clockUs[0] < this.nowUs) watchers.clockUs[0] = this.nowUs;
  }

  leave(): void {
    if (Atomics.exchange(this.words, LOCK, 0) === 2) Atomics.notify(this.words, LOCK, 1);
  }

  /** The keeper's, in its turn: it has made the change of this number. */
  changed(change: number): void {
    this.words[CHANGE] = change;
    this.change = change;
  }
}

/** Packet slots and columns as all of them have them. */
export function shareOf({ index, count, arena, columns }: CrewInit, turn: Turn): Share {
  return { index, count, arena: new Uint8Array(arena), columns: new SharedColumns(columns), turn };
}

/** Until the keeper has put in order what an earlier plane left. */
export function awaitKeeper({ index, keeper }: CrewInit): void {
  if (index !== 0) Atomics.wait(new Int32Array(keeper), Control.READY, 0);
}

/** Somebody else has the lock. */
function waitFor(words: Int32Array): void {
  for (let looks = 0; looks < LOOKS; looks++) {
    if (Atomics.load(words, LOCK) === 0 && Atomics.compareExchange(words, LOCK, 0, 1) === 0) return;
  }
  while (Atomics.exchange(words, LOCK, 2) !== 0) Atomics.wait(words, LOCK, 2);
}
