// Limits of one client at one rule: requests a second as a bucket that leaks, and requests at once, as nginx counts them.
import type { Limits } from "../../l7/decision.ts";

interface Bucket {
  /** Requests above the rate, at `atMs`. */
  excess: number;
  atMs: number;
  active: number;
}

const BUCKETS_MAX = 100_000;
const NOTHING = (): void => {};

export class Rates {
  readonly #buckets = new Map<string, Bucket>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** What to call when the request is over; or why it is too much. */
  take(rule: string, client: string, { perSec, burst = 0, connections }: Limits): (() => void) | string {
    const key = `${rule} ${client}`;
    const bucket = this.#bucket(key);
    if (connections !== undefined && bucket.active >= connections)
      return `${client} has ${connections} requests under way (limit-connections)`;
    if (perSec !== undefined) {
      const now = this.#nowMs();
      const excess = Math.max(0, bucket.excess - ((now - bucket.atMs) / 1000) * perSec) + 1;
      if (excess > burst + 1)
        return `${client} asks more often than ${Number(perSec.toFixed(3))} times a second`;
      bucket.excess = excess;
      bucket.atMs = now;
    }
    if (connections === undefined) return NOTHING;
    bucket.active++;
    return () => {
      bucket.active--;
    };
  }

  #bucket(key: string): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket !== undefined) return bucket;
    if (this.#buckets.size >= BUCKETS_MAX) this.#forget();
    bucket = { excess: 0, atMs: this.#nowMs(), active: 0 };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Clients that have nothing under way, the oldest first. */
  #forget(): void {
    for (const [key, { active }] of this.#buckets) {
      if (active === 0) this.#buckets.delete(key);
      if (this.#buckets.size < BUCKETS_MAX / 2) return;
    }
  }
}
