// What a controller has to look at again when a time has come, and since when a pod is available.
import type { Pod } from "../../kube/objects.ts";
import { isReady } from "./scheduler.ts";

/** Time, for controllers: it comes from whoever runs them. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** As objects have it. */
  time(ms: number): string;
}

export class Due {
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
