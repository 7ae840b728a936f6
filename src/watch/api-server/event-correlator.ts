/**
 * What becomes of things that happen to objects: Events to make or to count up, as client-go's recorder does it, so that
 * an object which is wrong again and again fills no API server. No input or output. The same again counts up; ten
 * different messages of one reason within ten minutes are one Event from then on; of one object come 25 at once, and one
 * in five minutes after that.
 */
import { createHash } from "node:crypto";

export interface EventObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Happening {
  readonly object: EventObject;
  readonly type: "Normal" | "Warning";
  /** One word, in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** A request that tells the server of it. */
export interface EventWrite {
  readonly method: "POST" | "PATCH";
  readonly namespace: string;
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** All of the event, for a server that has forgotten what was to be counted up. */
  readonly whole: Readonly<Record<string, unknown>>;
}

interface Seen {
  readonly name: string;
  readonly firstTimestamp: string;
  count: number;
}

interface Similar {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  lastMs: number;
}

const SIMILAR_MAX = 10;
const SIMILAR_MS = 600_000;
const BURST = 25;
const REFILL_MS = 300_000;
const REMEMBERED = 4096;
const MESSAGE_MAX = 1024;
const NAME_MAX = 253;
const COMBINED = "(combined from similar events): ";

export class EventCorrelator {
  readonly #component: string;
  readonly #host: string;
  readonly #seen = new Map<string, Seen>();
  readonly #similar = new Map<string, Similar>();
  readonly #buckets = new Map<string, Bucket>();
  /** Of the node, within a millisecond: all nodes see an object at once, and each has an event of its own. */
  readonly #nanoseconds: bigint;
  #lastName = 0n;

  constructor(component: string, host: string) {
    this.#component = component;
    this.#host = host;
    this.#nanoseconds = BigInt(createHash("sha256").update(host).digest().readUInt32LE(0) % 1_000_000);
  }

  /** `nowMs`: of the wall's clock. undefined: this one is not told. */
  record(happening: Happening, nowMs: number): EventWrite | undefined {
    const { object, type, reason } = happening;
    const of = JSON.stringify([object.kind, object.namespace, object.name, object.uid]);
    const group = `${of} ${type} ${reason}`;
    const isCombined = this.#isCombined(group, happening.message, nowMs);
    const message = `${isCombined ? COMBINED : ""}${happening.message}`.slice(0, MESSAGE_MAX);
    const key = isCombined ? group : `${group} ${message}`;
    const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
    const before = this.#seen.get(key);
    const seen = before ?? { name: this.#nameFor(object.name, nowMs), firstTimestamp: now, count: 0 };
    seen.count++;
    remember(this.#seen, key, seen);
    if (!this.#passes(of, nowMs)) return undefined;
    const whole = this.#event({ ...happening, message }, seen, now);
    const { name } = seen;
    const namespace = object.namespace ?? "default";
    if (before === undefined) return { method: "POST", namespace, name, body: whole, whole };
    const body = { count: seen.count, lastTimestamp: now, message };
    return { method: "PATCH", namespace, name, body, whole };
  }

  #isCombined(group: string, message: string, nowMs: number): boolean {
    const known = this.#similar.get(group);
    const isOld = known !== undefined && nowMs - known.lastMs > SIMILAR_MS;
    const similar = known === undefined || isOld ? { messages: new Set<string>(), lastMs: nowMs } : known;
    similar.lastMs = nowMs;
    if (similar.messages.size < SIMILAR_MAX) similar.messages.add(message);
    remember(this.#similar, group, similar);
    return similar.messages.size >= SIMILAR_MAX;
  }

  #passes(of: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(of) ?? { tokens: BURST, lastMs: nowMs };
    const more = Math.max(0, nowMs - bucket.lastMs) / REFILL_MS;
    bucket.tokens = Math.min(BURST, bucket.tokens + more);
    bucket.lastMs = nowMs;
    remember(this.#buckets, of, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** Of its object, the time and the node, as long as client-go names them: no two of a node are the same. */
  #nameFor(of: string, nowMs: number): string {
    const nanoseconds = BigInt(Math.floor(nowMs)) * 1_000_000n + this.#nanoseconds;
    this.#lastName = nanoseconds > this.#lastName ? nanoseconds : this.#lastName + 1n;
    const suffix = this.#lastName.toString(16);
    return `${of.slice(0, NAME_MAX - 1 - suffix.length).replace(/[-.]+$/, "")}.${suffix}`;
  }

  #event(happening: Happening, seen: Seen, now: string): Record<string, unknown> {
    const { object, type, reason, message } = happening;
    const { name, firstTimestamp, count } = seen;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace: object.namespace ?? "default" },
      involvedObject: object,
      ...{ type, reason, message, count, firstTimestamp, lastTimestamp: now },
      source: { component: this.#component, host: this.#host },
      reportingComponent: this.#component,
      reportingInstance: this.#host,
    };
  }
}

/** Keeps it as the latest one; the one that was not used for longest goes when there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= REMEMBERED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
