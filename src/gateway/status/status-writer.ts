// Writes statuses of Ingresses, Gateways, routes and policies to an API server, one after the other. Each says which
// version of its object it is about: where somebody else has written meanwhile nothing is, and whoever follows the
// objects says it anew. The same of the same object is not said twice in a row: a server that does not keep a field of
// it, as one with an older definition, would be told for ever.
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { StatusWrite } from "../../l7/status-writes.ts";
import type { ApiConnection, Asked } from "../../watch/api-server/connection.ts";
import { type Refusal, writeOnce } from "../../watch/api-server/write-request.ts";

const AGAIN_MS = 5000;
const TOO_MANY = 429;
const SAME_MS = 300_000;
const TYPE = "application/merge-patch+json";
/** Somebody else was faster, or the object is gone: its next version is looked at anew. */
const OVERTAKEN = [404, 409];

export interface StatusWriterOptions {
  readonly connection: ApiConnection;
  /** Where the server has objects of a kind: "/apis/networking.k8s.io/v1/ingresses". */
  readonly pathOf: (kind: string) => string;
  /** Why the server does not take one; said once, and again when it is another reason. */
  readonly onRefused: (why: string) => void;
  /** Before what was refused is tried again, ms. */
  readonly againMs?: number;
  /** Before the same is written once more, ms. */
  readonly sameMs?: number;
}

interface Written {
  readonly text: string;
  readonly atMs: number;
}

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  /** By object, the last that was said of each. */
  #due = new Map<string, StatusWrite>();
  readonly #written = new Map<string, Written>();
  /** What was refused, and is tried again with the others of its kind. */
  #refused = new Map<string, StatusWrite>();
  #isBusy = false;
  #isClosed = false;
  /** Why each was refused last, as it was told. */
  readonly #told = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** All that is otherwise than it should be; what was said before and is not among them needs no writing any more. */
  write(changes: readonly StatusWrite[]): void {
    const all = new Map(changes.map((each): [string, StatusWrite] => [nameOf(each.object), each]));
    for (const name of this.#written.keys()) if (!all.has(name)) this.#written.delete(name);
    for (const name of this.#told.keys()) if (!all.has(name)) this.#told.delete(name);
    for (const [name, each] of this.#refused) {
      const now = all.get(name);
      if (now === undefined || textOf(now) !== textOf(each)) this.#refused.delete(name);
    }
    this.#due = new Map(
      [...all].filter(([name, each]) => !this.#refused.has(name) && !this.#wasSaid(name, each)),
    );
    void this.#work();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #wasSaid(name: string, change: StatusWrite): boolean {
    const { sameMs = SAME_MS } = this.#options;
    const last = this.#written.get(name);
    return last !== undefined && last.text === textOf(change) && performance.now() - last.atMs < sameMs;
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next = this.#first(); next !== undefined && !this.#isClosed; next = this.#first()) {
      const [name, change] = next;
      const refusal = await writeOnce(this.#options.connection, this.#requestOf(change));
      // Another one may have been said while this one was under way.
      if (this.#due.get(name) === change) this.#due.delete(name);
      if (refusal === undefined) {
        this.#told.delete(name);
        this.#written.set(name, { text: textOf(change), atMs: performance.now() });
      } else if (!OVERTAKEN.includes(refusal.status)) {
        this.#tell(name, refusal);
        if (!this.#due.has(name)) this.#refused.set(name, change);
        this.#again();
        if (!isAnswer(refusal)) break; // nor would it take others now
      }
    }
    this.#isBusy = false;
  }

  #tell(name: string, refusal: Refusal): void {
    if (!isAnswer(refusal) || this.#told.get(name) === refusal.why) return;
    this.#told.set(name, refusal.why);
    this.#options.onRefused(`${name}: ${refusal.why}`);
  }

  #again(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#due = new Map([...this.#refused, ...this.#due]);
      this.#refused = new Map();
      void this.#work();
    }, this.#options.againMs ?? AGAIN_MS);
    this.#timer.unref();
  }

  #first(): [string, StatusWrite] | undefined {
    return this.#due.entries().next().value;
  }

  #requestOf({ object, status }: StatusWrite): Asked {
    const { kind, metadata } = object;
    const { name, namespace, resourceVersion } = metadata;
    const [root, plural] = this.#options.pathOf(kind).split(/\/(?=[^/]*$)/);
    const place = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
    const old = (object as KubeObject & { status?: object }).status ?? {};
    const gone = Object.fromEntries(Object.keys(old).map((field) => [field, null]));
    return {
      method: "PATCH",
      path: `${root}${place}/${plural}/${encodeURIComponent(name)}/status`,
      type: TYPE,
      body: {
        ...(resourceVersion !== undefined && { metadata: { resourceVersion } }),
        status: { ...gone, ...status },
      },
    };
  }
}

/** Not for lack of time, nor of a server. */
function isAnswer({ status }: Refusal): boolean {
  return status >= 400 && status < 500 && status !== TOO_MANY;
}

function nameOf(object: KubeObject): string {
  return `${object.kind} ${keyOf(object)}`;
}

/** Of another object of the same name it is another one. */
function textOf({ object, status }: StatusWrite): string {
  return `${object.metadata.uid ?? ""} ${JSON.stringify(status)}`;
}
