// What a controller has to look at, since it was marked or a time has come, and since when a pod is available.
import { keyOf, type Pod } from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { isReady } from "./scheduler.ts";

/** Time, for controllers: it comes from whoever runs them. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** As objects have it. */
  time(ms: number): string;
}

class Due {
  /** Key → when it is due. */
  readonly #at = new Map<string, number>();

  /** The earliest of several times counts. */
  add(key: string, atMs: number): void {
    this.#at.set(key, Math.min(atMs, this.#at.get(key) ?? atMs));
  }

  forget(key: string): void {
    this.#at.delete(key);
  }

  /** Those whose time has come; they are not due any more. */
  take(nowMs: number): string[] {
    const due = [...this.#at].filter(([, at]) => at <= nowMs).map(([key]) => key);
    for (const key of due) this.#at.delete(key);
    return due;
  }
}

/** What a controller has to look at: objects that were marked, and those whose time has come. */
export class Agenda {
  readonly #kind: string;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #marked = new Set<string>();
  readonly #due = new Due();

  /** `kind`: of the objects that the controller is for. */
  constructor(kind: string, store: Store, clock: Clock) {
    this.#kind = kind;
    this.#store = store;
    this.#clock = clock;
  }

  mark(key: string): void {
    this.#marked.add(key);
  }

  /** To be looked at then, whatever happens; undefined: not for that. */
  markAt(key: string, atMs: number | undefined): void {
    if (atMs !== undefined) this.#due.add(key, atMs);
  }

  forget(key: string): void {
    this.#due.forget(key);
  }

  /** Forgets what is marked, after a replay of objects that were reconciled before. What was due is not known then. */
  settle(): void {
    this.#marked.clear();
    for (const object of this.#store.values(this.#kind)) this.#due.add(keyOf(object), 0);
  }

  /** Marks what time alone has made due; true when there was something. */
  tick(): boolean {
    const due = this.#due.take(this.#clock.nowMs());
    for (const key of due) this.#marked.add(key);
    return due.length > 0;
  }

  /** Does this for each that is marked; what is marked meanwhile is for the next time. True when there was something. */
  work(each: (key: string) => void): boolean {
    const keys = [...this.#marked];
    this.#marked.clear();
    for (const key of keys) each(key);
    return keys.length > 0;
  }
}

/** Pods that have been ready for so long, and when the next one will have been; undefined: none is about to. */
export function available(
  pods: readonly Pod[],
  minReadySeconds: number,
  nowMs: number,
): { pods: Pod[]; nextMs: number | undefined } {
  const ready = pods.filter(isReady);
  if (minReadySeconds === 0) return { pods: ready, nextMs: undefined };
  const at = (pod: Pod): number => {
    const since = pod.status.conditions?.find((c) => c.type === "Ready")?.lastTransitionTime;
    return (Date.parse(since ?? "") || 0) + minReadySeconds * 1000;
  };
  const later = ready.map(at).filter((ms) => ms > nowMs);
  return {
    pods: ready.filter((pod) => at(pod) <= nowMs),
    nextMs: later.length === 0 ? undefined : Math.min(...later),
  };
}
