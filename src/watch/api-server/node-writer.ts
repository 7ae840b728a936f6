/**
 * Keeps what this node's agent has to say of its Node object: the condition NetworkUnavailable, by which the cluster's
 * node controller taints the node, and annotations. Written into nodes/status as flannel does it, by a strategic merge,
 * which leaves the conditions of others alone; written again when the Node is made anew or somebody writes otherwise.
 */
import type { NodeReport } from "../source.ts";
import type { ApiConnection } from "./connection.ts";
import type { Received } from "./received.ts";
import { type Refusal, writeOnce } from "./write-request.ts";

export interface NodeWriterOptions {
  readonly connection: ApiConnection;
  readonly nodeName: string;
  /** Why the server does not take it; said once. */
  readonly onRefused: (why: string) => void;
  /** Before the same is written once more, ms: since it failed, or since somebody else was seen to write otherwise. */
  readonly againMs?: number;
  /** The same after it was refused. */
  readonly refusedMs?: number;
}

/** What the server has of it. */
interface Seen {
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly condition: Partial<Condition>;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

interface Patch {
  readonly metadata?: { readonly annotations: Readonly<Record<string, string | null>> };
  readonly status?: { readonly conditions: readonly Condition[] };
}

const CONDITION = "NetworkUnavailable";
const AGAIN_MS = 10_000;
const REFUSED_MS = 300_000;
const TOO_MANY = 429;

export class NodeWriter {
  readonly #options: NodeWriterOptions;
  #wanted: NodeReport | undefined;
  #seen: Seen | undefined;
  /** What the server was last known to have, or was told, of which Node, and when. */
  #last = "";
  #lastMs = 0;
  /** The server has something else than is wanted. */
  #differs = false;
  #isBusy = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  #done: (() => void)[] = [];
  /** Why the server does not take it; "": it does, as far as is known. */
  problem = "";

  constructor(options: NodeWriterOptions) {
    this.#options = options;
  }

  /** What the Node is to say from now on. */
  want(report: NodeReport): void {
    this.#wanted = report;
    this.#next();
  }

  /** The node's object as the server has it. */
  seen(received: Received): void {
    const { metadata, status } = received as Received & { status?: { conditions?: unknown } };
    const conditions = Array.isArray(status?.conditions) ? status.conditions : [];
    const condition = (conditions as Partial<Condition>[]).find((each) => each?.type === CONDITION) ?? {};
    this.#seen = { uid: metadata?.uid ?? "", annotations: metadata?.annotations ?? {}, condition };
    this.#sawOthers();
    this.#next();
  }

  /** What is wanted follows what somebody else wrote, a moment later: it is not to be undone before. */
  #sawOthers(): void {
    const differs = this.#patch() !== undefined;
    if (differs && !this.#differs) this.#lastMs = performance.now();
    this.#differs = differs;
  }

  /** There is no such object any more. */
  gone(): void {
    this.#seen = undefined;
  }

  /** Resolves when all is written that there is, or after `most` ms. */
  written(mostMs: number): Promise<void> {
    if (this.#patch() === undefined || this.problem !== "") return Promise.resolve();
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, mostMs);
      this.#done.push(() => {
        clearTimeout(patience);
        resolve();
      });
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #patch(): Patch | undefined {
    if (this.#seen === undefined || this.#wanted === undefined) return undefined;
    return nodePatch(this.#wanted, this.#seen, new Date());
  }

  #next(): void {
    if (this.#isBusy || this.#isClosed) return;
    if (this.#seen === undefined || this.#wanted === undefined) return;
    const patch = this.#patch();
    const { againMs = AGAIN_MS, refusedMs = REFUSED_MS } = this.#options;
    const what = `${this.#seen.uid} ${JSON.stringify(this.#wanted)}`;
    if (patch === undefined) {
      this.#last = what; // as good as written
      this.#differs = false;
      return;
    }
    const waitMs = this.#lastMs + (this.problem === "" ? againMs : refusedMs) - performance.now();
    if (what === this.#last && waitMs > 0) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#next(), waitMs);
      this.#timer.unref();
      return;
    }
    this.#last = what;
    this.#isBusy = true;
    void this.#write(patch).then((isWritten) => {
      this.#isBusy = false;
      this.#lastMs = performance.now();
      this.#differs = this.#patch() !== undefined;
      if (!isWritten || this.#patch() === undefined) for (const done of this.#done.splice(0)) done();
      this.#next();
    });
  }

  async #write(patch: Patch): Promise<boolean> {
    const { connection, nodeName, onRefused } = this.#options;
    const path = `/api/v1/nodes/${encodeURIComponent(nodeName)}/status`;
    const before = this.#seen;
    const refusal = await writeOnce(connection, { method: "PATCH", path, body: patch });
    if (refusal === undefined) {
      this.problem = "";
      if (this.#seen === before) this.#seen = merged(before, patch); // what was told meanwhile is newer
      return true;
    }
    if (!isRefused(refusal)) return false;
    if (this.problem === "") onRefused(refusal.why);
    this.problem = refusal.why;
    return false;
  }
}

/** Not for lack of time, nor of the Node. */
const isRefused = ({ status }: Refusal): boolean =>
  status >= 400 && status < 500 && status !== TOO_MANY && status !== 404 && status !== 409;

/** As it is once that is written; the server tells of it a moment later. */
function merged(seen: Seen | undefined, { metadata, status }: Patch): Seen | undefined {
  if (seen === undefined) return undefined;
  const annotations = { ...seen.annotations, ...metadata?.annotations };
  return { ...seen, annotations, condition: status?.conditions[0] ?? seen.condition };
}

/** What makes the one of the other; undefined: nothing has to be. */
function nodePatch({ annotations, condition }: NodeReport, seen: Seen, now: Date): Patch | undefined {
  const others = Object.entries(annotations).filter(
    ([key, value]) => (seen.annotations[key] ?? null) !== value,
  );
  const metadata = others.length === 0 ? {} : { metadata: { annotations: Object.fromEntries(others) } };
  const { status, reason, message } = seen.condition;
  const isSame = status === condition.status && reason === condition.reason && message === condition.message;
  if (isSame) return others.length === 0 ? undefined : metadata;
  const nowText = now.toISOString().replace(/\.\d+Z$/, "Z");
  const since = status === condition.status ? (seen.condition.lastTransitionTime ?? nowText) : nowText;
  const times = { lastHeartbeatTime: nowText, lastTransitionTime: since };
  return { ...metadata, status: { conditions: [{ type: CONDITION, ...condition, ...times }] } };
}
