/**
 * Answers of other servers, for as long as they hold: by their TTLs, those that say no by their SOA record (RFC 2308),
 * none beyond what the configuration gives. When it is full, who was put first goes.
 */
import type { Answer } from "./answer.ts";

export interface CacheOptions {
  /** Answers; 0: nothing is kept. */
  readonly size: number;
  /** Seconds. */
  readonly maxTtl: number;
  readonly maxNegativeTtl: number;
}

export interface Kept {
  readonly answer: Answer;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class AnswerCache {
  readonly #options: CacheOptions;
  readonly #kept = new Map<string, Kept>();

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }

  get(key: string, nowMs: number): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined || nowMs < kept.untilMs) return kept;
    this.#kept.delete(key);
    return undefined;
  }

  put(key: string, answer: Answer, nowMs: number): void {
    const { size, maxTtl, maxNegativeTtl } = this.#options;
    const ttl = Math.min(answer.ttl, answer.isNegative ? maxNegativeTtl : maxTtl);
    if (size === 0 || ttl <= 0 || answer.truncated) return;
    this.#kept.delete(key);
    const [first] = this.#kept.keys();
    if (this.#kept.size >= size && first !== undefined) this.#kept.delete(first);
    this.#kept.set(key, { answer, sinceMs: nowMs, untilMs: nowMs + ttl * 1000 });
  }
}
