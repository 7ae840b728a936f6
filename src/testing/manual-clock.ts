// A clock that a test turns by hand: the engine's seconds (i32) and milliseconds (i32, wraps after 24 days).

export class ManualClock {
  #ms: number;

  /** `startMs` may lie just before a wrap, which is what a test of timers wants to cross. */
  constructor(startMs = 0) {
    this.#ms = startMs;
  }

  /** Milliseconds as an i32 that wraps. */
  readonly nowMs = (): number => this.#ms | 0;

  /** Seconds; they do not wrap when the milliseconds do. */
  readonly nowSec = (): number => Math.floor(this.#ms / 1000);

  advanceMs(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`a clock cannot go back ${-ms} ms`);
    this.#ms += ms;
  }

  advanceSec(sec: number): void {
    this.advanceMs(sec * 1000);
  }
}
