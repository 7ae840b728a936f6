/**
 * DNS over TCP (RFC 7766): many queries a connection, answered as they are ready. A client that asks more than it
 * reads, sends something too long for a query, or says nothing for a while, is held up or let go.
 */
import { createServer, type Server, type Socket } from "node:net";
import { FrameReader, framed } from "./tcp-frames.ts";

/** Called with a query; `answer` is called once with the answer's bytes, undefined: there is none. */
export type OnQuery = (
  bytes: Buffer,
  address: string,
  port: number,
  answer: (message?: Buffer) => void,
) => void;

export interface TcpLimits {
  readonly idleMs: number;
  readonly connections: number;
  /** Queries of one connection that are answered at a time. */
  readonly atOnce: number;
}

const TCP_LIMITS: TcpLimits = { idleMs: 10_000, connections: 1000, atOnce: 100 };
const QUERY_MAX = 4096; // octets: a name, an OPT record with its options, and to spare
const UNREAD_MAX = 256 * 1024; // octets of answers

export function tcpServer(onQuery: OnQuery, limits: TcpLimits = TCP_LIMITS): Server {
  const server = createServer((socket) => {
    new Connection(socket, onQuery, limits).begin();
  });
  server.maxConnections = limits.connections;
  return server;
}

class Connection {
  readonly #socket: Socket;
  readonly #onQuery: OnQuery;
  readonly #limits: TcpLimits;
  readonly #frames = new FrameReader();
  #waiting: Buffer[] = [];
  #working = 0;
  #hasEnded = false;

  constructor(socket: Socket, onQuery: OnQuery, limits: TcpLimits) {
    this.#socket = socket;
    this.#onQuery = onQuery;
    this.#limits = limits;
  }

  begin(): void {
    const socket = this.#socket;
    socket.setTimeout(this.#limits.idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("drain", () => this.#work());
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#endSoon();
    });
    socket.on("close", () => {
      this.#waiting = [];
    });
  }

  #take(chunk: Buffer): void {
    const queries = this.#frames.take(chunk);
    if (this.#frames.pending > QUERY_MAX || queries.some(({ length }) => length > QUERY_MAX)) {
      this.#socket.destroy();
      return;
    }
    this.#waiting.push(...queries);
    this.#work();
  }

  #work(): void {
    const socket = this.#socket;
    const { remoteAddress = "", remotePort = 0 } = socket;
    while (this.#waiting.length > 0 && !this.#isFull) {
      const bytes = this.#waiting.shift() as Buffer;
      this.#working++;
      this.#onQuery(bytes, remoteAddress, remotePort, (message) => {
        this.#working--;
        if (socket.destroyed) return;
        if (message !== undefined) socket.write(framed(message));
        if (this.#waiting.length > 0) queueMicrotask(() => this.#work());
        else this.#endSoon();
      });
    }
    if (this.#waiting.length > 0) socket.pause();
    else socket.resume();
  }

  get #isFull(): boolean {
    return this.#working >= this.#limits.atOnce || this.#socket.writableLength > UNREAD_MAX;
  }

  #endSoon(): void {
    if (this.#hasEnded && this.#working === 0 && this.#waiting.length === 0) this.#socket.end();
  }
}
