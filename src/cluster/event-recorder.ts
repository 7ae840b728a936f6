// Events, as the components of a cluster record them (core/v1): what happened to an object, how often, when first and
// last. They are objects of the store, so a call that is refused leaves none. The same again counts up. A cluster keeps
// them for an hour; so does this, and no more than EVENTS_MAX: the oldest go first.
import { hash32 } from "../kube/hash.ts";
import { type Event, type KubeObject, keyOf } from "../kube/objects.ts";
import type { Store } from "./store.ts";

const KEPT_MS = 3_600_000;
const EVENTS_MAX = 1000;
/** So many more before the oldest are looked for: that takes a look at all of them. */
const SLACK = 100;

export interface Happening {
  readonly object: KubeObject;
  /** One word: Scheduled, Unhealthy. */
  readonly reason: string;
  readonly message: string;
  /** kubelet, default-scheduler … */
  readonly component: string;
  readonly type?: "Normal" | "Warning";
  readonly host?: string | undefined;
  /** Of a container: spec.containers{main}. */
  readonly fieldPath?: string;
}

export class EventRecorder {
  readonly #store: Store;
  readonly #nowMs: () => number;
  /** Of what happened, the key of its event, which may be gone. */
  readonly #keys = new Map<string, string>();
  #made = 0;

  constructor(store: Store, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  record(happening: Happening): void {
    const nowMs = this.#nowMs();
    const now = timeText(nowMs);
    const what = whatOf(happening);
    const key = this.#keys.get(what);
    const before = key === undefined ? undefined : this.#store.get<Event>("Event", key);
    const event: Event =
      before === undefined
        ? eventOf(happening, now, suffixOf(nowMs, this.#made++))
        : { ...before, count: (before.count ?? 1) + 1, lastTimestamp: now };
    this.#store.put(event);
    this.#keys.set(what, keyOf(event));
    if (before === undefined && this.#store.count("Event") > EVENTS_MAX + SLACK) this.expire();
  }

  /** Takes away what is too old or too much. True when there was something. */
  expire(): boolean {
    const limit = this.#nowMs() - KEPT_MS;
    const kept: { event: Event; atMs: number }[] = [];
    const gone: Event[] = [];
    for (const event of this.#store.values<Event>("Event")) {
      const atMs = lastMs(event);
      if (atMs <= limit) gone.push(event);
      else kept.push({ event, atMs });
    }
    if (kept.length > EVENTS_MAX) {
      kept.sort((a, b) => b.atMs - a.atMs);
      gone.push(...kept.slice(EVENTS_MAX).map(({ event }) => event));
    }
    for (const event of gone) this.#store.remove("Event", keyOf(event));
    if (this.#keys.size <= this.#store.count("Event")) return gone.length > 0;
    for (const [what, key] of this.#keys)
      if (this.#store.get("Event", key) === undefined) this.#keys.delete(what);
    return gone.length > 0;
  }
}

/** When it happened last. */
function lastMs({ lastTimestamp }: Event): number {
  return Date.parse(lastTimestamp ?? "") || 0;
}

/** For sorting: the most recent one last. Times are seconds, versions tell what was first within one. */
export function byTime(a: Event, b: Event): number {
  const version = ({ metadata }: Event): number => Number(metadata.resourceVersion) || 0;
  return lastMs(a) - lastMs(b) || version(a) - version(b);
}

/** The same for the same. */
function whatOf({ object, reason, message, component, type, host, fieldPath }: Happening): string {
  const { kind, metadata } = object;
  const what = [kind, metadata.uid, reason, message, component, type, host, fieldPath].join("\n");
  return [0, 1].map((i) => hash32(`${i}/${what}`)).join("/");
}

/** Nanoseconds, as client-go has it: kubectl sorts by seconds, and leaves what is of one second in the order of names. */
function suffixOf(nowMs: number, made: number): string {
  return (BigInt(nowMs) * 1_000_000n + BigInt(made % 1_000_000)).toString(16).padStart(16, "0");
}

function eventOf(happening: Happening, now: string, suffix: string): Event {
  const { object, reason, message, component, type = "Normal", host, fieldPath } = happening;
  const { apiVersion, kind, metadata } = object;
  const { name, uid, resourceVersion, namespace = "default" } = metadata;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: {
      apiVersion,
      kind,
      name,
      ...(metadata.namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(fieldPath === undefined ? {} : { fieldPath }),
    },
    reason,
    message,
    source: { component, ...(host === undefined ? {} : { host }) },
    reportingComponent: component,
    reportingInstance: host ?? "",
    type,
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
  } as Event;
}

/** Kubernetes writes times to the second. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
