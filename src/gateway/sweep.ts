// Times by which something has to have happened, looked at a few times a second: a timer for each request would cost more
// than the request's own work. What has to be exact sets a timer of its own.

/** Something that may wait too long. */
export interface Timed {
  /** By performance.now(); 0: it waits for nothing. */
  deadlineMs: number;
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
  readonly #all = new Set<Timed>();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  add(timed: Timed): void {
    this.#all.add(timed);
  }

  delete(timed: Timed): void {
    this.#all.delete(timed);
  }

  get size(): number {
    return this.#all.size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const timed of this.#all) {
      if (timed.deadlineMs === 0 || timed.deadlineMs > now) continue;
      timed.deadlineMs = 0;
      timed.expired();
    }
  }
}
