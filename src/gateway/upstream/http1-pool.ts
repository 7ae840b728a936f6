// Connections to an endpoint by HTTP/1.1.
import type { Call, CallHead, CallSink } from "../exchange/ends.ts";
import { dial } from "./dial.ts";
import { Http1Connection, type Http1Keeper } from "./http1-call.ts";
import type { Pool, PoolOptions } from "./pool.ts";

const IDLE_MAX = 128; // connections kept open to one endpoint

export class Http1Pool implements Pool, Http1Keeper {
  readonly text: string;
  readonly #options: PoolOptions;
  /** The one that was used last is at the end, and is used next: the others may come to their time. */
  readonly #idle: Http1Connection[] = [];
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.text = options.text;
    this.#options = options;
  }

  ask(head: CallHead, sink: CallSink): Call {
    for (let free = this.#idle.pop(); free !== undefined; free = this.#idle.pop()) {
      if (free.isGone) continue;
      free.ask(head, sink, true);
      return free;
    }
    const { way, sweep, onConnection } = this.#options;
    const socket = dial(this.text, way);
    const made = new Http1Connection(socket, way.tls === undefined ? "connect" : "secureConnect", this);
    onConnection(1);
    sweep.add(made);
    made.ask(head, sink, false);
    return made;
  }

  free(connection: Http1Connection): void {
    if (this.#isClosed || this.#idle.length >= IDLE_MAX) connection.cancel();
    else this.#idle.push(connection);
  }

  closed(connection: Http1Connection): void {
    this.#options.sweep.delete(connection);
    this.#options.onConnection(-1);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  close(): void {
    this.#isClosed = true;
    for (const each of this.#idle.splice(0)) each.cancel();
  }
}
