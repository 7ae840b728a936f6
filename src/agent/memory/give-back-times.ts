// When an agent gives memory back: not while objects change, and where that gets something.

/**
 * What is known is on disk by then, which leaves as much again (api-source.ts); and V8 gives the room for young objects
 * back where hardly any came within five seconds.
 */
const QUIET_MS = 13_000;
/** From one time to the next, but for what follows at once, since pages go one collection later. */
const REST_MS = 60_000;
/** What is worth it, bytes of V8's heap beyond what it kept the last time. */
const WORTH = 12 * 2 ** 20;
/** Who got so much tries again. */
const MUCH = 4 * 2 ** 20;

/** Times are ms of one clock, sizes V8's heap in bytes. */
export class GiveBackTimes {
  #changedMs = Number.NEGATIVE_INFINITY;
  #collectedMs = Number.NEGATIVE_INFINITY;
  #kept = 0;
  #isGood = false;

  /** Objects have changed: the next are not far. */
  changed(nowMs: number): void {
    this.#changedMs = nowMs;
  }

  isDue(nowMs: number, heap: number): boolean {
    if (nowMs - this.#changedMs < QUIET_MS) return false;
    return this.#isGood || (nowMs - this.#collectedMs >= REST_MS && heap - this.#kept >= WORTH);
  }

  collected(nowMs: number, before: number, after: number): void {
    this.#isGood = before - after >= MUCH;
    this.#collectedMs = nowMs;
    this.#kept = after;
  }
}
