// Objects from a lab's process, at its unix socket: GET /watch answers with JSON lines, first everything that is there,
// then one BOOKMARK, then changes as they happen. A lost connection is made again; the new list is compared with what
// was told, so that nobody downstream sees the difference.
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { PodwireError } from "../base/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { ObjectEvent } from "./desired-state.ts";
import { ObjectSet } from "./object-set.ts";
import type { ObjectSource, SourceListener } from "./source.ts";

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2000;

interface Line {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object?: KubeObject;
}

export class SocketSource implements ObjectSource {
  readonly #socketPath: string;
  readonly #path: string;
  readonly #set = new ObjectSet();
  #listener: SourceListener | undefined;
  #request: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = RETRY_FIRST_MS;
  /** Objects of the list that is coming in; undefined once its BOOKMARK was seen. */
  #list: KubeObject[] | undefined;
  #reported = false;

  constructor(socketPath: string, kinds: readonly string[]) {
    this.#socketPath = socketPath;
    this.#path = `/watch?kinds=${encodeURIComponent(kinds.join(","))}`;
  }

  start(listener: SourceListener): void {
    this.#listener = listener;
    this.#connect();
  }

  close(): void {
    this.#listener = undefined;
    clearTimeout(this.#timer);
    this.#request?.destroy();
  }

  #connect(): void {
    this.#list = [];
    let over = false;
    const lost = (error: Error): void => {
      if (over) return;
      over = true;
      this.#lost(error);
    };
    const made = request({ socketPath: this.#socketPath, path: this.#path });
    this.#request = made;
    made.on("error", lost);
    made.on("response", (response) => {
      if (response.statusCode === 200) this.#read(response, lost);
      else {
        response.resume();
        lost(this.#error(`answered ${response.statusCode}`));
      }
    });
    made.end();
  }

  #read(response: IncomingMessage, lost: (error: Error) => void): void {
    const decoder = new StringDecoder("utf8");
    let rest = "";
    response.on("data", (chunk: Buffer) => {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop() ?? "";
      try {
        this.#take(lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Line));
      } catch (error) {
        response.destroy();
        lost(this.#error(`sent a line that is not JSON: ${(error as Error).message}`));
      }
    });
    response.on("error", lost);
    response.on("close", () => lost(this.#error("closed the connection")));
  }

  /** All complete lines of a chunk at once: a burst of changes is one batch downstream. */
  #take(lines: readonly Line[]): void {
    const events: ObjectEvent[] = [];
    let synced = false;
    for (const { type, object } of lines) {
      if (type === "BOOKMARK") {
        if (this.#list === undefined) continue;
        events.push(...this.#set.replace(this.#list));
        this.#list = undefined;
        synced = true;
        this.#retryMs = RETRY_FIRST_MS;
        this.#reported = false;
      } else if (object !== undefined && this.#list !== undefined) this.#list.push(object);
      else if (object !== undefined) {
        const event = this.#set.apply({ type, object });
        if (event !== undefined) events.push(event);
      }
    }
    if (events.length > 0 || synced) this.#listener?.events(events, synced);
  }

  #lost(error: Error): void {
    if (this.#listener === undefined) return;
    if (!this.#reported) this.#listener.problem(error); // once for each time it goes away
    this.#reported = true;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }

  #error(what: string): PodwireError {
    const message = `${this.#socketPath}: ${what}`;
    return new PodwireError(message, { code: "SOURCE_LOST", socket: this.#socketPath });
  }
}
