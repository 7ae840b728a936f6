// One endpoint of a Service's port: its connections, how much it does, and whether it is left alone for a while.
import type { Call, CallHead, CallSink } from "../exchange/ends.ts";
import type { Sweep } from "../sweep.ts";
import type { Way } from "./dial.ts";
import { Http1Pool } from "./http1-pool.ts";
import { Http2Pool } from "./http2-pool.ts";
import type { Pool } from "./pool.ts";

/** Ways kept: a way by TLS has the name in it that the client asked for, and clients can think of many. */
const POOLS_MAX = 32;

export class Endpoint {
  /** "10.0.0.1:80" */
  readonly text: string;
  /** Requests under way. */
  active = 0;
  /** Failures without an answer in between. */
  failures = 0;
  /** Left alone until then, by performance.now(); 0: it is not. */
  ejectedUntilMs = 0;
  readonly #pools = new Map<string, Pool>();
  readonly #sweep: Sweep;
  readonly #onConnection: (change: 1 | -1) => void;
  #isGone = false;

  constructor(text: string, sweep: Sweep, onConnection: (change: 1 | -1) => void) {
    this.text = text;
    this.#sweep = sweep;
    this.#onConnection = onConnection;
  }

  ask(way: Way, head: CallHead, sink: CallSink): Call {
    let pool = this.#pools.get(way.key);
    if (pool === undefined) {
      const options = { text: this.text, way, sweep: this.#sweep, onConnection: this.#onConnection };
      pool = way.isHttp2 ? new Http2Pool(options) : new Http1Pool(options);
      const [oldest] = this.#pools;
      if (oldest !== undefined && this.#pools.size >= POOLS_MAX) {
        this.#pools.delete(oldest[0]);
        oldest[1].close();
      }
      this.#pools.set(way.key, pool);
      if (this.#isGone) pool.close();
    }
    return pool.ask(head, sink);
  }

  /** No longer one of its Service's: what is under way ends as it may, and nothing is kept. */
  close(): void {
    this.#isGone = true;
    for (const pool of this.#pools.values()) pool.close();
  }
}
