/**
 * List and watch of one resource of a Kubernetes API server, without input or output: bytes and the time go in, requests
 * and objects come out. It begins with a streaming list (sendInitialEvents), where the server has none with a list in
 * pages; then it watches. Whatever is lost is asked for again: a watch from the last resourceVersion, and when the server
 * has forgotten that (410 Gone), everything. A list that is not whole is never told, so that no table is emptied by it.
 */
import { Lines } from "./lines.ts";
import { eventOf, pageOf, type Received, type Status, statusOf } from "./received.ts";

/** A request to make: the parameters of a GET of the resource. */
export interface Ask {
  readonly query: Readonly<Record<string, string>>;
}

export type Told<T> =
  /** Everything that there is, instead of what was told before; of what cannot be used the names. */
  | { readonly type: "ALL"; readonly objects: readonly T[]; readonly unusable: readonly T[] }
  /** UNUSABLE: it is there, by its name alone, and cannot be used (any more). */
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "UNUSABLE"; readonly object: T };

export interface ReflectorOptions<T> {
  /** As errors name it: services, endpointslices.discovery.k8s.io. */
  readonly resource: string;
  /** Objects of a kind that a cluster may not have: without it there are none, and it is looked for now and then. */
  readonly isOptional?: boolean;
  /** What of a received object is kept; undefined: it cannot be used. */
  readonly keep: (object: Received) => T | undefined;
  /** An object by its name alone: it is gone, or cannot be used any more. */
  readonly bare: (object: Received) => T;
  /** From 0 to 1, for the jitter of waiting. */
  readonly random?: () => number;
  readonly labelSelector?: string;
}

const PAGE = 500;
const FIRST_WAIT_MS = 250;
const MOST_WAIT_MS = 15_000;
/** Of a server that is on this machine, or has just moved: it has not been asked in vain so far. */
const NEAR_WAIT_MS = 1000;
/** How long it was away does not lengthen the waits that follow: one that has just begun may fail a first question. */
const NEAR_FAILURES = Math.log2(NEAR_WAIT_MS / FIRST_WAIT_MS);
const MOST_RETRY_AFTER_MS = 60_000;
/** A watch that ends sooner without a word was no watch. */
const SHORT_WATCH_MS = 1000;
const WATCH_SECONDS = 300; // at least; as much again at random, so that not all nodes come back at once
/** A server says something within the time of a watch, at the latest that it is over. */
const SILENCE_MS = 15_000;
const LIST_SILENCE_MS = 60_000;
/** A server that does not know of streaming lists sends all objects and then is silent. */
const STREAM_SILENCE_MS = 10_000;
const ABSENT_MS = 60_000;
const ERROR_BYTES = 65_536;
/** Longer than any object that an API server takes (etcd: 1.5 MiB). */
const LINE_BYTES = 16 * 1024 * 1024;
/** More than 100,000 pods; a text of JavaScript ends at twice as much. */
const LIST_BYTES = 256 * 1024 * 1024;
const INITIAL_END = "k8s.io/initial-events-end";

interface Gathered<T> {
  readonly object: T;
  readonly isUsable: boolean;
}

type Way = "stream" | "list" | "watch";

interface Flight {
  readonly way: Way;
  readonly beganMs: number;
  readonly timeoutMs: number;
  status: number;
  retryAfterMs: number;
  lines: Lines;
  parts: Uint8Array[];
  bytes: number;
  heardAnything: boolean;
  /** What it said has been dealt with; what still comes is nobody's. */
  isOver: boolean;
}

export class Reflector<T> {
  /** When the next request is due, ms of the caller's clock. */
  dueMs = 0;
  /** When bytes came last; -1: never. */
  heardMs = -1;
  /** What keeps it from hearing of changes; "": nothing. */
  problem = "";
  /** The server refused the credentials: read them again before the next request. */
  needsCredentials = false;
  readonly #options: ReflectorOptions<T>;
  #told: Told<T>[] = [];
  #way: Way = "stream";
  #canStream = true;
  #resourceVersion = "";
  #continue = "";
  /** The server has given up a list in pages: it is to come as one. */
  #isUnpaged = false;
  #failures = 0;
  /** How often the server has forgotten what it had just told. */
  #forgotten = 0;
  /** Objects of a list that is not whole yet, by namespace and name. */
  #list: Map<string, Gathered<T>> | undefined;
  #flight: Flight | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
  }

  /** The request to make now, or undefined: one is on its way, or none is due. */
  ask(nowMs: number): Ask | undefined {
    if (this.#flight !== undefined || nowMs < this.dueMs) return undefined;
    const way = this.#way;
    const { random = Math.random, labelSelector } = this.#options;
    const seconds = way === "list" ? 0 : WATCH_SECONDS + Math.floor(random() * WATCH_SECONDS);
    this.#flight = {
      ...{ way, beganMs: nowMs, timeoutMs: seconds * 1000, status: 0, retryAfterMs: -1 },
      ...{ lines: new Lines(), parts: [], bytes: 0, heardAnything: false, isOver: false },
    };
    if (way !== "watch" && this.#continue === "") this.#list = new Map();
    const selector = labelSelector === undefined ? {} : { labelSelector };
    return { query: { ...selector, ...this.#query(way, String(seconds)) } };
  }

  #query(way: Way, timeoutSeconds: string): Record<string, string> {
    if (way === "list") {
      if (this.#isUnpaged) return {};
      return { limit: String(PAGE), ...(this.#continue === "" ? {} : { continue: this.#continue }) };
    }
    const watch = { watch: "1", allowWatchBookmarks: "true", timeoutSeconds };
    if (way === "watch") return { ...watch, resourceVersion: this.#resourceVersion };
    return { ...watch, sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan", resourceVersion: "" };
  }

  /** When the request on its way is to be given up, ms; Infinity: there is none. */
  get deadlineMs(): number {
    const flight = this.#flight;
    if (flight === undefined) return Number.POSITIVE_INFINITY;
    const since = Math.max(flight.beganMs, this.heardMs);
    // A watch begins at once, too; nobody else tells of a server, or one before it, that takes requests and is silent.
    if (flight.status === 0) return flight.beganMs + LIST_SILENCE_MS;
    if (this.#list === undefined) return since + flight.timeoutMs + SILENCE_MS;
    return since + (flight.way === "stream" && flight.heardAnything ? STREAM_SILENCE_MS : LIST_SILENCE_MS);
  }

  /** Objects and changes since the last call, in order. */
  take(): Told<T>[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }

  /** The answer begins. `retryAfter`: that header, in seconds. */
  onStatus(status: number, retryAfter: string | undefined, nowMs: number): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    this.heardMs = nowMs;
    flight.status = status;
    if (status === 200 && flight.way === "watch") this.problem = "";
    const seconds = Number(retryAfter ?? "");
    if (retryAfter !== undefined && seconds >= 0)
      flight.retryAfterMs = Math.min(seconds * 1000, MOST_RETRY_AFTER_MS);
  }

  onData(chunk: Uint8Array, nowMs: number): void {
    const flight = this.#flight;
    if (flight === undefined || flight.isOver) return;
    this.heardMs = nowMs;
    flight.heardAnything = true;
    if (flight.status !== 200 || flight.way === "list") {
      if (flight.status === 200 || flight.bytes < ERROR_BYTES) flight.parts.push(chunk);
      flight.bytes += chunk.length;
      if (flight.bytes > LIST_BYTES) this.#again(flight, "sent a list that does not end", nowMs);
      return;
    }
    flight.lines.add(chunk, (line) => {
      if (line !== "" && !flight.isOver) this.#onLine(flight, line, nowMs);
    });
    if (flight.lines.pending > LINE_BYTES) this.#again(flight, "sent a line without an end", nowMs);
  }

  /** True when what the server still sends is of no use: the connection can be closed. */
  get isOver(): boolean {
    return this.#flight?.isOver ?? true;
  }

  /** The answer is over, or never came: `error` says why. `isNear`: it will soon come. */
  onEnd(error: string | undefined, nowMs: number, isNear = false): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    if (!flight.isOver) this.#ended(flight, error, nowMs);
    if (isNear) this.#failures = Math.min(this.#failures, NEAR_FAILURES);
    if (isNear) this.dueMs = Math.min(this.dueMs, nowMs + NEAR_WAIT_MS);
    this.#flight = undefined;
  }

  /** The server has it elsewhere: the next request, there, asks for everything. */
  onMoved(nowMs: number): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    this.#restart();
    this.#over(flight, nowMs);
    this.#flight = undefined;
  }

  /** Nothing came until `deadlineMs`. */
  onSilence(nowMs: number): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    if (
      flight.way === "stream" &&
      flight.status === 200 &&
      flight.heardAnything &&
      this.#list !== undefined
    ) {
      this.#withoutStreams(flight, nowMs);
    } else this.onEnd("no answer", nowMs);
    this.#flight = undefined;
  }

  #ended(flight: Flight, error: string | undefined, nowMs: number): void {
    if (flight.status !== 0 && flight.status !== 200) {
      this.#onRefusal(flight, nowMs);
    } else if (error !== undefined || flight.status === 0) {
      this.#again(flight, error ?? "closed the connection", nowMs);
    } else if (flight.way === "list") {
      this.#onPage(flight, Buffer.concat(flight.parts).toString("utf8"), nowMs);
    } else if (this.#list !== undefined) {
      this.#again(flight, "ended a list before it was whole", nowMs);
    } else if (nowMs - flight.beganMs < SHORT_WATCH_MS && !flight.heardAnything) {
      this.#again(flight, "ended a watch as soon as it began", nowMs);
    } else this.#over(flight, nowMs);
  }

  #onRefusal(flight: Flight, nowMs: number): void {
    const { status } = flight;
    const body = statusOf(Buffer.concat(flight.parts).toString("utf8"));
    const { resource, isOptional } = this.#options;
    if (flight.way === "stream" && (status === 400 || status === 422)) this.#withoutStreams(flight, nowMs);
    else if (status === 410) this.#forget(flight, nowMs);
    else if (status === 404 && isOptional === true) {
      this.#works();
      this.#told.push({ type: "ALL", objects: [], unusable: [] });
      this.#restart();
      this.#over(flight, nowMs + ABSENT_MS);
    } else {
      this.needsCredentials = status === 401;
      const words = body.message ?? `answered ${status}`;
      const wait = flight.retryAfterMs >= 0 ? flight.retryAfterMs : waitOf(body);
      this.#again(flight, status === 404 ? `has no ${resource}: ${words}` : words, nowMs, wait);
    }
  }

  #onPage(flight: Flight, text: string, nowMs: number): void {
    const page = pageOf(text);
    if (typeof page === "string") {
      this.#again(flight, page, nowMs);
      return;
    }
    for (const item of page.items) this.#gather(item, false);
    this.#continue = page.continue;
    if (this.#continue === "") this.#whole(page.resourceVersion);
    this.#over(flight, nowMs);
  }

  #onLine(flight: Flight, line: string, nowMs: number): void {
    const event = eventOf(line);
    if (typeof event === "string") {
      this.#again(flight, event, nowMs);
      return;
    }
    if (event.type === "ERROR") {
      this.#onError(flight, event.status, nowMs);
      return;
    }
    const { type, object } = event;
    const version = object.metadata?.resourceVersion;
    if (this.#list === undefined) {
      this.#works();
      this.#forgotten = 0;
    }
    if (type === "BOOKMARK") {
      if (version !== undefined) this.#resourceVersion = version;
      if (this.#list !== undefined && object.metadata?.annotations?.[INITIAL_END] === "true")
        this.#whole(version ?? "");
      return;
    }
    if (this.#list !== undefined) this.#gather(object, type === "DELETED");
    else this.#change(type, object);
    if (version !== undefined) this.#resourceVersion = version;
  }

  #onError(flight: Flight, status: Status, nowMs: number): void {
    const { code, reason, message = `ERROR ${code ?? ""}` } = status;
    if (code === 410 || reason === "Expired" || reason === "Gone") this.#forget(flight, nowMs);
    else if (flight.way === "stream" && this.#list !== undefined && (code === 400 || code === 422))
      this.#withoutStreams(flight, nowMs);
    // What a server says first whose etcd is older than 3.4.31 or 3.5.13: a storage feature is disabled.
    else if (flight.way === "stream" && this.#list?.size === 0 && code === 500)
      this.#withoutStreams(flight, nowMs);
    else {
      this.#restart(); // what a server cannot go on with from a version, it can tell anew
      this.#again(flight, message, nowMs, waitOf(status));
    }
  }

  #change(type: "ADDED" | "MODIFIED" | "DELETED", received: Received): void {
    const { keep, bare } = this.#options;
    if (type === "DELETED") {
      this.#told.push({ type, object: bare(received) });
      return;
    }
    const object = keep(received);
    this.#told.push(object === undefined ? { type: "UNUSABLE", object: bare(received) } : { type, object });
  }

  #gather(received: Received, gone: boolean): void {
    const { namespace = "", name = "" } = received.metadata ?? {};
    const key = `${namespace}/${name}`;
    if (gone) {
      this.#list?.delete(key);
      return;
    }
    const object = this.#options.keep(received);
    const isUsable = object !== undefined;
    this.#list?.set(key, { object: object ?? this.#options.bare(received), isUsable });
  }

  #whole(resourceVersion: string): void {
    const all = [...(this.#list?.values() ?? [])];
    const of = (usable: boolean): T[] =>
      all.filter(({ isUsable }) => isUsable === usable).map(({ object }) => object);
    this.#told.push({ type: "ALL", objects: of(true), unusable: of(false) });
    this.#list = undefined;
    this.#continue = "";
    this.#isUnpaged = false;
    this.#resourceVersion = resourceVersion;
    this.#way = "watch";
    this.#works();
  }

  /** What was known is of a version that the server has forgotten; one that forgets all that it tells can wait. */
  #forget(flight: Flight, nowMs: number): void {
    const wasPaged = flight.way === "list" && this.#continue !== "";
    this.#restart();
    this.#isUnpaged = wasPaged;
    if (nowMs - flight.beganMs > MOST_WAIT_MS) this.#forgotten = 0;
    this.#failures = Math.max(this.#failures, this.#forgotten);
    const isFirst = this.#forgotten++ === 0;
    if (flight.way === "watch" && isFirst) this.#over(flight, nowMs);
    else this.#again(flight, "has forgotten the version that it gave", nowMs);
  }

  #withoutStreams(flight: Flight, nowMs: number): void {
    this.#canStream = false;
    this.#restart();
    this.#over(flight, nowMs);
  }

  /** The next request asks for everything. */
  #restart(): void {
    this.#way = this.#canStream ? "stream" : "list";
    this.#continue = "";
    this.#isUnpaged = false;
    this.#list = undefined;
  }

  #works(): void {
    this.#failures = 0;
    this.problem = "";
    this.needsCredentials = false;
  }

  #over(flight: Flight, dueMs: number): void {
    flight.isOver = true;
    this.dueMs = dueMs;
  }

  /** The same once more, after a while that grows. */
  #again(flight: Flight, problem: string, nowMs: number, waitMs = -1): void {
    if (flight.way === "stream" && this.#list !== undefined) this.#restart();
    if (flight.way === "watch") this.#list = undefined;
    this.problem = problem;
    const most = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    const random = (this.#options.random ?? Math.random)();
    this.#over(flight, nowMs + (waitMs >= 0 ? waitMs + random * FIRST_WAIT_MS : most * (0.5 + random / 2)));
  }
}

/** -1: it does not say. */
const waitOf = ({ retryAfterSeconds = -1 }: Status): number =>
  retryAfterSeconds < 0 ? -1 : Math.min(retryAfterSeconds * 1000, MOST_RETRY_AFTER_MS);
