// Which of several processes does what only one should: a Lease of the API server, held and renewed as client-go's leader
// election does it. No clock but this machine's own counts: a holder is gone when its Lease has not changed for as long
// as it says, as seen from here. Whoever cannot renew in time lets go before anybody else may take it.
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiConnection } from "../../watch/api-server/connection.ts";
import { askOnce, type Refusal } from "../../watch/api-server/write-request.ts";

export interface LeaseOptions {
  readonly connection: ApiConnection;
  readonly namespace: string;
  readonly name: string;
  /** Of this process, among all that ask for it. */
  readonly identity: string;
  /** Held from now on, or not any more. */
  readonly onChange: (isHeld: boolean) => void;
  /** Why the server does not let it be had; said once, and again when it is another. */
  readonly onRefused: (why: string) => void;
  readonly times?: LeaseTimes;
}

/** How long each waits, ms. */
export interface LeaseTimes {
  /** Until a holder that says nothing has lost it. */
  readonly holdMs: number;
  /** Until a holder that cannot renew lets go. */
  readonly renewMs: number;
  /** Between two questions. */
  readonly retryMs: number;
}

interface Spec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Stored {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec?: Spec;
}

const TIMES: LeaseTimes = { holdMs: 15_000, renewMs: 10_000, retryMs: 2000 }; // client-go's
const RELEASE_MS = 2000;
const [NOT_FOUND, CONFLICT] = [404, 409];

export class Lease {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #path: string;
  /** As it was seen last, and since when it is so. */
  #seen = "";
  #seenMs = 0;
  #renewedMs = 0;
  #isHeld = false;
  #isClosed = false;
  #refused = "";
  #timer: NodeJS.Timeout | undefined;
  #step: Promise<void> = Promise.resolve();

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(options.namespace)}/leases`;
  }

  start(): void {
    this.#step = this.#ask().then(() => this.#again());
  }

  /** Lets go, so that another one may have it at once; a server that does not answer is not waited for. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await Promise.race([this.#release(), sleep(RELEASE_MS, undefined, { ref: false })]);
  }

  async #release(): Promise<void> {
    await this.#step;
    if (!this.#isHeld) return;
    this.#set(false);
    const found = await this.#read();
    if ("body" in found && (found.body as Stored).spec?.holderIdentity === this.#options.identity)
      await this.#write(found.body as Stored, { holderIdentity: "", leaseDurationSeconds: 1 });
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.start(), this.#times.retryMs * (1 + Math.random() / 5));
  }

  async #ask(): Promise<void> {
    const found = await this.#read();
    const refusal =
      "body" in found
        ? await this.#take(found.body as Stored)
        : found.status === NOT_FOUND
          ? await this.#write(undefined, { leaseTransitions: 0 })
          : found;
    const nowMs = performance.now();
    if (refusal === undefined) {
      this.#renewedMs = nowMs;
      this.#refused = "";
      this.#set(true);
      return;
    }
    if (refusal !== "held" && refusal.status !== CONFLICT) this.#tell(refusal);
    // Another one has it; or nobody knows, and soon another one may.
    if (refusal === "held" || nowMs - this.#renewedMs > this.#times.renewMs) this.#set(false);
  }

  /** Undefined: it is ours. */
  async #take(stored: Stored): Promise<Refusal | "held" | undefined> {
    const { spec = {} } = stored;
    const { holderIdentity = "", leaseDurationSeconds, leaseTransitions = 0 } = spec;
    const isOwn = holderIdentity === this.#options.identity;
    const text = JSON.stringify(spec);
    const nowMs = performance.now();
    if (text !== this.#seen) [this.#seen, this.#seenMs] = [text, nowMs];
    const holdMs = (leaseDurationSeconds ?? 0) * 1000 || this.#times.holdMs;
    if (!isOwn && holderIdentity !== "" && nowMs - this.#seenMs < holdMs) return "held";
    return this.#write(stored, isOwn ? {} : { leaseTransitions: leaseTransitions + 1 });
  }

  /** `more` goes before what is usual. */
  async #write(stored: Stored | undefined, more: Spec): Promise<Refusal | undefined> {
    const { identity, namespace, name } = this.#options;
    const now = new Date().toISOString().replace("Z", "000Z"); // in microseconds
    const isOwn = stored?.spec?.holderIdentity === identity;
    const spec = {
      ...(isOwn ? stored?.spec : { acquireTime: now }),
      ...{ holderIdentity: identity, leaseDurationSeconds: Math.ceil(this.#times.holdMs / 1000) },
      ...{ renewTime: now, leaseTransitions: stored?.spec?.leaseTransitions ?? 0 },
      ...more,
    };
    const { resourceVersion } = stored?.metadata ?? {};
    const body = {
      ...{ apiVersion: "coordination.k8s.io/v1", kind: "Lease" },
      // Whoever has written meanwhile is the holder: then this is refused.
      metadata: {
        ...stored?.metadata,
        namespace,
        name,
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
      spec,
    };
    const answer = await askOnce(
      this.#options.connection,
      stored === undefined
        ? { method: "POST", path: this.#path, body }
        : { method: "PUT", path: `${this.#path}/${encodeURIComponent(name)}`, body },
      this.#times.renewMs,
    );
    return "body" in answer ? undefined : answer;
  }

  #read(): Promise<{ readonly body: unknown } | Refusal> {
    const path = `${this.#path}/${encodeURIComponent(this.#options.name)}`;
    return askOnce(this.#options.connection, { method: "GET", path }, this.#times.renewMs);
  }

  #tell({ why }: Refusal): void {
    if (this.#refused !== why) this.#options.onRefused(why);
    this.#refused = why;
  }

  #set(isHeld: boolean): void {
    if (this.#isHeld === isHeld) return;
    this.#isHeld = isHeld;
    this.#options.onChange(isHeld);
  }
}
