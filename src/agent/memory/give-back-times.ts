// When an agent gives memory back: not while objects change, and where that gets something.

/**
 * What is known is on disk by then, which leaves as much again (api-source.ts); and V8 gives the room for young objects
 * back where hardly any came within five seconds.
 */
const QUIET_MS = 13_000;
/**
 * V8 keeps the room for young objects, up to 32 MiB, where many came within the five seconds before it or since it
 * collected last. On a busy machine what was to be written is not in 13 s.
 */
const CALM_MS = 6000;
/** So much more in use from one look to the next is not calm, bytes. */
const CALM = 2 ** 20;
/** Who is never calm gives back what is old. */
const PATIENCE_MS = 60_000;
/** From one time to the next, but for those that follow. */
const REST_MS = 60_000;
/** What is worth it, bytes of V8's heap beyond what it kept the last time. */
const WORTH = 12 * 2 ** 20;
/** A time that follows another one, and got so much, has one more behind it. */
const MUCH = 4 * 2 ** 20;

/** Times are ms of one clock, sizes V8's heap in bytes. */
export class GiveBackTimes {
  #changedMs = Number.NEGATIVE_INFINITY;
  #collectedMs = Number.NEGATIVE_INFINITY;
  #kept = 0;
  #isFollowed = false;
  #used = 0;
  #busyMs = Number.NEGATIVE_INFINITY;

  /** Objects have changed: the next are not far. */
  changed(nowMs: number): void {
    this.#changedMs = nowMs;
  }

  /** `used`: what of the heap is in use; asked every few seconds. */
  isDue(nowMs: number, heap: number, used = 0): boolean {
    if (used - this.#used > CALM) this.#busyMs = nowMs;
    this.#used = used;
    const quietMs = nowMs - this.#changedMs;
    if (quietMs < QUIET_MS) return false;
    if (nowMs - this.#busyMs < CALM_MS && quietMs < PATIENCE_MS) return false;
    const restMs = nowMs - this.#collectedMs;
    return this.#isFollowed ? restMs >= CALM_MS : restMs >= REST_MS && heap - this.#kept >= WORTH;
  }

  /** The first one finds what was made before it, and pages go one collection later: so another one follows. */
  collected(nowMs: number, before: number, after: number): void {
    this.#isFollowed = !this.#isFollowed || before - after >= MUCH;
    this.#collectedMs = nowMs;
    this.#kept = after;
  }
}
