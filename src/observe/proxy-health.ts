// Whether the proxy is healthy, by kube-proxy's definition (pkg/proxy/healthcheck/proxy_health.go): it is not when a
// change has waited longer than it may. /healthz says besides that the node is to get no new connections: it is being
// deleted, or the cluster autoscaler has marked it. A proxy that starts is healthy.

export interface HealthAnswer {
  readonly status: 200 | 503;
  /** JSON. Times are RFC 3339. */
  readonly body: Readonly<Record<string, unknown>>;
}

export class ProxyHealth {
  readonly #timeoutMs: number;
  readonly #now: () => number;
  #waitingSinceMs: number | undefined;
  #applyingSinceMs: number | undefined;
  #lastUpdatedMs = 0;
  #eligible = true;
  #families: readonly string[] = ["IPv4"];

  /** `now`: milliseconds since 1970, never going back. `timeoutMs`: how long a change may wait, 2 × syncPeriod. */
  constructor(timeoutMs: number, now: () => number) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  /** A change came that is not in force yet. */
  queued(): void {
    this.#waitingSinceMs ??= this.#now();
  }

  /** What is queued is being applied now; what comes from here on waits for the next round. */
  applying(): void {
    this.#applyingSinceMs = this.#waitingSinceMs;
    this.#waitingSinceMs = undefined;
  }

  /** What was being applied is in force. */
  applied(): void {
    this.#applyingSinceMs = undefined;
    this.#lastUpdatedMs = this.#now();
  }

  setNode(eligible: boolean, families: readonly string[]): void {
    this.#eligible = eligible;
    if (families.length > 0) this.#families = families;
  }

  get healthy(): boolean {
    const oldest = this.#applyingSinceMs ?? this.#waitingSinceMs;
    return oldest === undefined || this.#now() - oldest < this.#timeoutMs;
  }

  healthz(): HealthAnswer {
    return this.#answer(this.healthy && this.#eligible, { nodeEligible: this.#eligible });
  }

  livez(): HealthAnswer {
    return this.#answer(this.healthy, {});
  }

  #answer(good: boolean, more: Readonly<Record<string, unknown>>): HealthAnswer {
    const now = this.#now();
    const { healthy } = this;
    const updated = formatTime(this.#lastUpdatedMs);
    const status = Object.fromEntries(this.#families.map((f) => [f, { lastUpdated: updated, healthy }]));
    return {
      status: good ? 200 : 503,
      // "lastUpdated" of a healthy proxy is now: it says that the rules are up to date, not when they changed.
      body: {
        lastUpdated: good ? formatTime(now) : updated,
        currentTime: formatTime(now),
        ...more,
        healthy,
        status,
      },
    };
  }
}

/** Zero is Go's zero time, which kube-proxy prints before its first sync. */
function formatTime(ms: number): string {
  return ms === 0 ? "0001-01-01T00:00:00Z" : new Date(ms).toISOString();
}
