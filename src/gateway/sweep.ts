// Times by which something has to have happened, looked at a few times a second: a timer for each request would cost more
// than the request's own work. What has to be exact sets a timer of its own.

/** Something that may wait too long. */
export interface Timed {
  /** By performance.now(); 0: it waits for nothing. */
  deadlineMs: number;
  /** Where the sweep has it; -1: nowhere. The sweep's alone. */
  sweepAt: number;
  /** The time is over. */
  expired(): void;
}

const EVERY_MS = 250;
const TIMER_MAX_MS = 2 ** 31 - 1; // what is longer Node takes for 1 ms

/** Routes may allow more time than a timer has. */
export function afterSec(sec: number, run: () => void): NodeJS.Timeout {
  return setTimeout(run, Math.min(sec * 1000, TIMER_MAX_MS));
}

export class Sweep {
  /** In no order: a set that grows and shrinks with each request would cost more. */
  readonly #all: Timed[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  add(timed: Timed): void {
    if (timed.sweepAt < 0) timed.sweepAt = this.#all.push(timed) - 1;
  }

  delete(timed: Timed): void {
    const at = timed.sweepAt;
    const last = at < 0 ? undefined : this.#all.pop();
    if (last === undefined) return;
    timed.sweepAt = -1;
    if (last === timed) return;
    this.#all[at] = last;
    last.sweepAt = at;
  }

  get size(): number {
    return this.#all.length;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const timed of [...this.#all]) {
      if (timed.sweepAt < 0 || timed.deadlineMs === 0 || timed.deadlineMs > now) continue;
      timed.deadlineMs = 0;
      timed.expired();
    }
  }
}
