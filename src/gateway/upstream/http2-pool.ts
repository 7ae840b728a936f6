// Connections to an endpoint by HTTP/2: many requests on each, as many as it allows.
import { type ClientHttp2Session, connect } from "node:http2";
import type { Call, CallHead, CallSink } from "../exchange/ends.ts";
import { dial } from "./dial.ts";
import { Http2Call } from "./http2-call.ts";
import type { Pool, PoolOptions } from "./pool.ts";

const STREAMS = 100; // at once, until the server has said how many it takes
const IDLE_MS = 60_000;
const CONNECT_MS = 1000; // before a connection that does not come is doubted
const SILENT_MS = 30_000; // before one that answers nothing is ended

interface Session {
  readonly session: ClientHttp2Session;
  streams: number;
  isConnected: boolean;
  /** It takes no further requests. */
  isLeaving: boolean;
  readonly sinceMs: number;
  /** Somebody waited for it in vain: nobody else is sent there until it has said something. */
  isDoubted: boolean;
}

export class Http2Pool implements Pool {
  readonly #options: PoolOptions;
  readonly #sessions: Session[] = [];
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  ask(head: CallHead, sink: CallSink): Call {
    const found = this.#sessions.find((each) => hasRoom(each)) ?? this.#connect();
    found.streams++;
    return new Http2Call(found.session, {
      ...{ head, sink, text: this.#options.text, isTls: this.#options.way.tls !== undefined },
      isConnected: () => found.isConnected,
      cancelled: () => doubt(found),
      done: () => {
        found.streams--;
        if (found.streams === 0 && (this.#isClosed || found.isLeaving)) found.session.close();
      },
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const { session, isDoubted } of this.#sessions) {
      if (isDoubted) session.destroy();
      else session.close(); // streams that are open end first
    }
  }

  #connect(): Session {
    const { text, way, onConnection } = this.#options;
    const session = connect(`${way.tls === undefined ? "http" : "https"}://${text}`, {
      createConnection: () => dial(text, way),
      settings: { enablePush: false },
    });
    const made: Session = {
      ...{ session, streams: 0, isConnected: false, isLeaving: false },
      ...{ sinceMs: performance.now(), isDoubted: false },
    };
    onConnection(1);
    session.setTimeout(IDLE_MS); // what is given along hears of the first time alone
    session.on("timeout", () => {
      if (made.streams === 0) session.close();
    });
    session.on("connect", () => {
      made.isConnected = true;
      made.isDoubted = false;
    });
    session.on("goaway", () => {
      made.isLeaving = true;
    });
    session.on("error", () => {}); // each of its streams is told
    session.on("close", () => {
      onConnection(-1);
      const at = this.#sessions.indexOf(made);
      if (at >= 0) this.#sessions.splice(at, 1);
    });
    this.#sessions.push(made);
    return made;
  }
}

/** A machine that is gone closes nothing: its connections look as good as any. */
function doubt(made: Session): void {
  const { session, isConnected, sinceMs } = made;
  if (made.isDoubted || session.destroyed) return;
  if (!isConnected && performance.now() - sinceMs < CONNECT_MS) return;
  made.isDoubted = true;
  if (!isConnected) return;
  const timer = setTimeout(() => session.destroy(), SILENT_MS);
  timer.unref();
  session.ping(() => {
    clearTimeout(timer);
    made.isDoubted = false;
  });
}

function hasRoom({ session, streams, isLeaving, isDoubted }: Session): boolean {
  if (isLeaving || isDoubted || session.closed || session.destroyed) return false;
  return streams < (session.remoteSettings?.maxConcurrentStreams ?? STREAMS);
}
