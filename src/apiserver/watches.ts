// Watches: from a resourceVersion on, every change in its order, none twice. What changed is written once for all who
// are told of it in the same form, and what comes in one turn goes out together.
import type { Store, StoreEvent } from "../cluster/store.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Format } from "./format.ts";
import { History, type HistoryEvent } from "./history.ts";
import { objectsOf, versionFrom } from "./list.ts";
import type { WatchOptions } from "./request.ts";
import { apiVersionOf, type Resource } from "./resource.ts";
import { type Matcher, matcherOf } from "./selectors.ts";
import { expired, invalidField, type StatusError, tooNew } from "./status.ts";

/** Where a watch's lines go. */
export interface Sink {
  write(lines: readonly Buffer[]): void;
  end(): void;
  /** Without a word: it does not read. */
  cut(): void;
  /** Bytes that wait. */
  readonly backlog: number;
}

export interface WatchTarget {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  /** Of one object. */
  readonly name: string | undefined;
  readonly format: Format;
}

const HISTORY_MAX = 20_000; // 20 s of a thousand changes a second
const BOOKMARK_MS = 60_000;
const BACKLOG_BYTES = 64 << 20;
const TIMEOUT_SECONDS = 1800; // at least, and as much again by chance, where the client leaves it to the server
const OPTIONS = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" };

export class Watches {
  readonly #store: Store;
  readonly #history: History;
  /** Stored kind → who watches it. */
  readonly #watches = new Map<string, Set<Watch>>();
  readonly #waiting = new Set<Watch>();
  /** Until they have been told. */
  #telling: Promise<void> | undefined;
  readonly #stop: () => void;
  readonly #ticking: NodeJS.Timeout;

  constructor(store: Store, historyMax = HISTORY_MAX) {
    this.#store = store;
    this.#history = new History(store, historyMax);
    this.#stop = store.watch((event) => this.#changed(event));
    this.#ticking = setInterval(() => this.#bookmarks(), BOOKMARK_MS).unref();
  }

  close(): void {
    this.#stop();
    clearInterval(this.#ticking);
    for (const watches of this.#watches.values()) for (const each of [...watches]) each.end(false);
  }

  /** Begins to tell. Throws a StatusError for what cannot be watched. Returns the way to stop. */
  open(target: WatchTarget, options: WatchOptions, sink: Sink): () => void {
    const kind = target.resource.storedAs ?? "";
    const isStream = checkedStream(options);
    const matches = matcherOf(target.resource, options);
    const asked = versionFrom(options.resourceVersion);
    const watch = new Watch(target, matches, options, sink, {
      version: () => this.#store.version,
      queued: () => this.#queue(watch),
      over: () => {
        this.#watches.get(kind)?.delete(watch);
        this.#waiting.delete(watch);
      },
    });
    if (asked !== undefined && asked > this.#store.version) {
      watch.refuse(tooNew(asked, this.#store.version));
      return () => {};
    }
    if (isStream || asked === undefined || asked === 0) this.#begin(watch, target, isStream);
    else {
      const events = this.#history.since(asked);
      if (events === undefined) {
        watch.refuse(expired(`too old resource version: ${asked} (${this.#history.compacted})`));
        return () => {};
      }
      for (const event of events) if (kindOf(event) === kind) watch.tell(event);
    }
    const watches = this.#watches.get(kind) ?? new Set();
    this.#watches.set(kind, watches.add(watch));
    return () => watch.end(false);
  }

  /** Resolves when all that has changed so far is on its way to those who watch it; undefined: it is. */
  get telling(): Promise<void> | undefined {
    return this.#telling;
  }

  #begin(watch: Watch, { resource, namespace }: WatchTarget, isStream: boolean): void {
    for (const object of objectsOf(this.#store, resource, namespace)) watch.begin(object);
    if (isStream) watch.bookmark(true);
  }

  #changed(change: StoreEvent): void {
    const event = this.#history.add(change);
    const lines = new Map<string, Buffer>();
    for (const watch of this.#watches.get(kindOf(event)) ?? []) watch.tell(event, lines);
  }

  #queue(watch: Watch): void {
    this.#telling ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#flush();
        resolve();
      });
    });
    this.#waiting.add(watch);
  }

  #flush(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#telling = undefined;
    for (const watch of waiting) watch.flush();
  }

  #bookmarks(): void {
    for (const watches of this.#watches.values()) for (const watch of watches) watch.bookmark(false);
  }
}

function kindOf({ object }: HistoryEvent): string {
  return object.kind;
}

/** Whether objects are to come first, marked by a bookmark. */
function checkedStream({ sendInitialEvents, resourceVersionMatch }: WatchOptions): boolean {
  const forbid = (why: string): StatusError =>
    invalidField(OPTIONS, "", "resourceVersionMatch", `Forbidden: ${why}`);
  if (!sendInitialEvents) {
    if (resourceVersionMatch === "") return false;
    throw forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
  if (resourceVersionMatch === "NotOlderThan") return true;
  throw forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
}

interface Around {
  version(): number;
  queued(): void;
  over(): void;
}

class Watch {
  readonly #target: WatchTarget;
  readonly #matches: Matcher;
  readonly #sink: Sink;
  readonly #around: Around;
  readonly #options: WatchOptions;
  readonly #timer: NodeJS.Timeout;
  #queue: Buffer[] = [];
  #isFirst = true;
  #isOver = false;
  /** What the objects of its beginning may wait for, beyond what changes may. */
  #beginningBytes = 0;

  constructor(
    target: WatchTarget,
    matches: Matcher | undefined,
    options: WatchOptions,
    sink: Sink,
    around: Around,
  ) {
    const { name, namespace } = target;
    this.#target = target;
    this.#options = options;
    this.#sink = sink;
    this.#around = around;
    this.#matches = (object) =>
      (name === undefined || object.metadata.name === name) &&
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (matches === undefined || matches(object));
    const seconds = options.timeoutSeconds || TIMEOUT_SECONDS * (1 + Math.random());
    this.#timer = setTimeout(() => this.end(true), Math.min(seconds, 86_400) * 1000).unref();
  }

  begin(object: KubeObject): void {
    if (!this.#matches(object)) return;
    const line = this.#line("ADDED", object);
    this.#beginningBytes += line.length;
    this.#write(line);
  }

  /** `lines`: what was written for others of this event. */
  tell({ type, object, old }: HistoryEvent, lines?: Map<string, Buffer>): void {
    const is = type !== "DELETED" && this.#matches(object);
    const was = old !== undefined && this.#matches(old);
    if (!is && !was) return;
    const told = is ? (was ? "MODIFIED" : "ADDED") : "DELETED";
    const key = `${told} ${this.#target.format.key}`;
    const shared = this.#isFirst ? undefined : lines; // a first line may say more
    const line = shared?.get(key) ?? this.#line(told, object);
    shared?.set(key, line);
    this.#write(line);
  }

  bookmark(isInitial: boolean): void {
    if (!this.#options.allowBookmarks && !isInitial) return;
    const { resource } = this.#target;
    const annotations = isInitial ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
    const metadata = {
      resourceVersion: String(this.#around.version()),
      creationTimestamp: null,
      ...annotations,
    };
    const object = { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata };
    this.#write(Buffer.from(`${JSON.stringify({ type: "BOOKMARK", object })}\n`));
  }

  refuse({ status }: StatusError): void {
    this.#write(Buffer.from(`${JSON.stringify({ type: "ERROR", object: status })}\n`));
    this.end(false);
  }

  flush(): void {
    if (this.#isOver || this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    if (this.#sink.backlog > BACKLOG_BYTES + this.#beginningBytes) {
      this.#close();
      this.#sink.cut(); // it comes back, and begins with a list of what is then
    } else this.#sink.write(queue);
  }

  /** `isDue`: its time is over, and a bookmark says how far it came. */
  end(isDue: boolean): void {
    if (this.#isOver) return;
    if (isDue) this.bookmark(false);
    this.flush();
    this.#close();
    this.#sink.end();
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#around.over();
  }

  #line(type: string, object: KubeObject): Buffer {
    const text = this.#target.format.one(object, this.#isFirst);
    this.#isFirst = false;
    return Buffer.from(`{"type":"${type}","object":${text}}\n`);
  }

  #write(line: Buffer): void {
    if (this.#queue.length === 0) this.#around.queued();
    this.#queue.push(line);
  }
}
