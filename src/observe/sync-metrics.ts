// What kube-proxy measures of itself, under its names: changes seen, changes waiting, how long they take to be in force
// (pkg/proxy/metrics/metrics.go). A "sync" is one application of changes to the data plane: full when it had to look at
// everything (the first one, and whenever a Node object changed), partial when only at what changed.
import { type Exposition, exponentialBounds, Histogram, linearBounds } from "./exposition.ts";

export const LAST_CHANGE_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time";

const SYNC_BOUNDS = exponentialBounds(0.001, 2, 15);
const PROGRAMMING_BOUNDS = [
  ...linearBounds(0.25, 0.25, 2),
  ...linearBounds(1, 1, 59),
  ...linearBounds(60, 5, 12),
  ...linearBounds(120, 30, 7),
];
/** Finer than kube-proxy's: a change is in force in well under a millisecond. */
const APPLY_BOUNDS = exponentialBounds(0.0001, 2, 20);

export interface SliceChange {
  /** namespace/name of the slice. */
  readonly key: string;
  /** "IPv4" or "IPv6". */
  readonly family: string;
  /** Value of the annotation LAST_CHANGE_TRIGGER_TIME. */
  readonly triggerTime: string | undefined;
}

export interface Applied {
  /** "none": nothing that kube-proxy would have made rules of. */
  readonly sync: "full" | "partial" | "none";
  readonly seconds: number;
}

export class SyncMetrics {
  readonly #now: () => number;
  readonly #startedMs: number;
  /** Families of the node, each with its own proxier in kube-proxy. */
  families: readonly string[] = ["IPv4"];
  readonly #sync = new Histogram(SYNC_BOUNDS);
  readonly #full = new Histogram(SYNC_BOUNDS);
  readonly #partial = new Histogram(SYNC_BOUNDS);
  readonly #apply = new Histogram(APPLY_BOUNDS);
  readonly #programming = new Map<string, Histogram>();
  readonly #changes = { service: 0, endpoint: 0 };
  #waiting = noChanges();
  #applying = noChanges();
  /** Slice → trigger time that was counted: a slice that comes again has not been triggered again. */
  readonly #seen = new Map<string, string>();
  #lastAppliedMs = 0;
  #lastQueuedMs = 0;

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedMs = now();
  }

  serviceChanged(): void {
    this.#changes.service++;
    this.#waiting.services++;
  }

  endpointsChanged({ key, family, triggerTime }: SliceChange): void {
    this.#changes.endpoint++;
    this.#waiting.endpoints++;
    if (triggerTime === undefined || this.#seen.get(key) === triggerTime) return;
    this.#seen.set(key, triggerTime);
    const ms = Date.parse(triggerTime);
    // What was triggered before our time took so long because we were not there.
    if (ms >= this.#startedMs) this.#waiting.triggers.push({ family, ms });
  }

  endpointsGone(key: string): void {
    this.#changes.endpoint++;
    this.#waiting.endpoints++;
    this.#seen.delete(key);
  }

  queued(): void {
    this.#lastQueuedMs = this.#now();
  }

  applying(): void {
    this.#applying = this.#waiting;
    this.#waiting = noChanges();
  }

  applied({ sync, seconds }: Applied): void {
    const now = this.#now();
    this.#apply.observe(seconds);
    if (sync !== "none") {
      this.#lastAppliedMs = now;
      this.#sync.observe(seconds);
      (sync === "full" ? this.#full : this.#partial).observe(seconds);
    }
    for (const { family, ms } of this.#applying.triggers) {
      const histogram = this.#programming.get(family) ?? new Histogram(PROGRAMMING_BOUNDS);
      this.#programming.set(family, histogram);
      histogram.observe(Math.max(0, now - ms) / 1000);
    }
    this.#applying = noChanges();
  }

  write(out: Exposition): void {
    const each = <T>(more: T): (T & { labels: { ip_family: string } })[] =>
      this.families.map((family) => ({ ...more, labels: { ip_family: family } }));
    const name = (rest: string): string => `kubeproxy_sync_proxy_rules_${rest}`;
    const pending = (of: "services" | "endpoints") => ({ value: this.#waiting[of] + this.#applying[of] });
    const programming = this.families.map((family) => ({
      labels: { ip_family: family },
      histogram: this.#programming.get(family) ?? new Histogram(PROGRAMMING_BOUNDS),
    }));
    out
      .histogram(
        name("duration_seconds"),
        "SyncProxyRules latency in seconds",
        each({ histogram: this.#sync }),
      )
      .histogram(
        "kubeproxy_sync_full_proxy_rules_duration_seconds",
        "SyncProxyRules latency in seconds for full resyncs",
        each({ histogram: this.#full }),
      )
      .histogram(
        "kubeproxy_sync_partial_proxy_rules_duration_seconds",
        "SyncProxyRules latency in seconds for partial resyncs",
        each({ histogram: this.#partial }),
      )
      .gauge(
        name("last_timestamp_seconds"),
        "The last time proxy rules were successfully synced",
        each({ value: this.#lastAppliedMs / 1000 }),
      )
      .gauge(
        name("last_queued_timestamp_seconds"),
        "The last time a sync of proxy rules was queued",
        each({ value: this.#lastQueuedMs / 1000 }),
      )
      .counter(name("endpoint_changes_total"), "Cumulative proxy rules Endpoint changes", [
        { value: this.#changes.endpoint },
      ])
      .gauge(name("endpoint_changes_pending"), "Pending proxy rules Endpoint changes", [pending("endpoints")])
      .counter(name("service_changes_total"), "Cumulative proxy rules Service changes", [
        { value: this.#changes.service },
      ])
      .gauge(name("service_changes_pending"), "Pending proxy rules Service changes", [pending("services")])
      .histogram(
        "kubeproxy_network_programming_duration_seconds",
        "In Cluster Network Programming Latency in seconds",
        programming,
      )
      .histogram("podwire_apply_duration_seconds", "Time from taking up changes until they are in force.", [
        { histogram: this.#apply },
      ]);
  }
}

interface WaitingChanges {
  services: number;
  endpoints: number;
  readonly triggers: { readonly family: string; readonly ms: number }[];
}

function noChanges(): WaitingChanges {
  return { services: 0, endpoints: 0, triggers: [] };
}
