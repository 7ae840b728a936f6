/**
 * Other servers, asked on behalf of clients. Each question has a socket of its own, so a port and an id that nobody
 * can guess (RFC 5452), connected, so that nobody else is heard; what comes back must be an answer to that question. A
 * server that did not answer is asked last for a while.
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { type Answer, readAnswer } from "./answer.ts";
import { Flag, HEADER, type Query, Rcode } from "./query.ts";
import { OPT_OCTETS, writeOpt } from "./reply.ts";
import { FrameReader, framed } from "./tcp-frames.ts";

/** A server by its address, or by the socket of somebody who asks for us. */
export type Server = { readonly address: string; readonly port: number } | { readonly path: string };

export type Protocol = "udp" | "tcp";

export interface UpstreamOptions {
  /** Waited for one answer, ms. */
  readonly timeoutMs?: number;
  /** Questions that wait at a time. */
  readonly mostWaiting?: number;
  /** Told of each question's end: "" for no answer. */
  readonly onDone?: (server: string, rcode: number | undefined, seconds: number) => void;
}

const TIMEOUT_MS = 2000; // as CoreDNS
const ROUNDS = 2;
const MOST_WAITING = 1000;
const AVOIDED_MS = 5000;
const RANDOM = 0x10000;

export class Upstream {
  #servers: readonly Server[];
  readonly #options: UpstreamOptions;
  readonly #avoidedUntil = new Map<Server, number>();
  /** Ends of the questions that are under way. */
  readonly #open = new Set<() => void>();
  #waiting = 0;
  /** Questions that were refused since too many waited. */
  rejected = 0;

  constructor(servers: readonly Server[], options: UpstreamOptions = {}) {
    this.#servers = servers;
    this.#options = options;
  }

  /** Nobody answers any more. */
  close(): void {
    this.#servers = [];
    for (const end of this.#open) end();
  }

  get servers(): readonly Server[] {
    return this.#servers;
  }

  /** It is not asked any more. False: it was not anyway. */
  drop(server: Server): boolean {
    const left = this.#servers.filter((each) => each !== server);
    const was = left.length < this.#servers.length;
    this.#servers = left;
    return was;
  }

  /** undefined: no server answered. `protocol` is the client's. `only`: no other server. */
  async ask(bytes: Buffer, query: Query, protocol: Protocol, only?: Server): Promise<Answer | undefined> {
    if (this.#waiting >= (this.#options.mostWaiting ?? MOST_WAITING)) {
      this.rejected++;
      return undefined;
    }
    this.#waiting++;
    try {
      return await this.#askAll(Buffer.from(bytes.subarray(HEADER, query.end)), query, protocol, only);
    } finally {
      this.#waiting--;
    }
  }

  async #askAll(
    asked: Buffer,
    query: Query,
    protocol: Protocol,
    only: Server | undefined,
  ): Promise<Answer | undefined> {
    let unhelpful: Answer | undefined;
    for (let round = 0; round < ROUNDS && this.#servers.length > 0; round++) {
      for (const server of this.#inOrder()) {
        if (!this.#servers.includes(server) || (only !== undefined && server !== only)) continue;
        const answer = await this.#askOne(server, asked, query, protocol);
        if (answer === undefined) this.#avoidedUntil.set(server, performance.now() + AVOIDED_MS);
        else if (answer.rcode === Rcode.SERVFAIL || answer.rcode === Rcode.REFUSED) unhelpful ??= answer;
        else return answer;
      }
      if (unhelpful !== undefined) return unhelpful; // all were asked, and one said so
    }
    return undefined;
  }

  #inOrder(): readonly Server[] {
    const nowMs = performance.now();
    const isAvoided = (server: Server): boolean => (this.#avoidedUntil.get(server) ?? 0) > nowMs;
    return [...this.#servers.filter((each) => !isAvoided(each)), ...this.#servers.filter(isAvoided)];
  }

  async #askOne(
    server: Server,
    asked: Buffer,
    query: Query,
    protocol: Protocol,
  ): Promise<Answer | undefined> {
    const id = randomInt(RANDOM);
    const message = question(id, asked, query);
    const begin = performance.now();
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS;
    const read = (bytes: Buffer): Answer | undefined => readAnswer(bytes, id, asked);
    const answer =
      protocol === "tcp" || "path" in server
        ? await askByStream(server, message, { timeoutMs, read, open: this.#open })
        : await askByDatagram(server, message, { timeoutMs, read, open: this.#open });
    this.#options.onDone?.(serverText(server), answer?.rcode, (performance.now() - begin) / 1000);
    return answer;
  }
}

/** "192.0.2.53:53", "[2001:db8::53]:53", a path. */
export function serverText(server: Server): string {
  if ("path" in server) return server.path;
  const { address, port } = server;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function question(id: number, asked: Buffer, query: Query): Buffer {
  const message = Buffer.alloc(HEADER + asked.length + OPT_OCTETS);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(Flag.RD | (query.flags & (Flag.CD | Flag.AD)), 2);
  message.writeUInt16BE(1, 4);
  message.writeUInt16BE(1, 10);
  asked.copy(message, HEADER);
  writeOpt(message, HEADER + asked.length, 0, query.edns?.dnssecOk === true);
  return message;
}

interface Asking {
  readonly timeoutMs: number;
  read(bytes: Buffer): Answer | undefined;
  readonly open: Set<() => void>;
}

/** Bytes that are no answer are passed over: the true one may still come. */
function askByDatagram(
  { address, port }: { readonly address: string; readonly port: number },
  message: Buffer,
  { timeoutMs, read, open }: Asking,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    let isOver = false;
    const done = (answer: Answer | undefined): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      open.delete(end);
      socket.close();
      resolve(answer);
    };
    const end = (): void => done(undefined);
    const timer = setTimeout(end, timeoutMs);
    open.add(end);
    socket.on("error", end); // nobody listens there, or no way leads there
    socket.on("message", (bytes) => {
      const answer = read(bytes);
      if (answer !== undefined) done(answer);
    });
    // Told of an error as well, where no way leads there: of a machine without a network all servers are such.
    socket.connect(port, address, (error?: Error) => {
      if (error !== undefined) end();
      else if (!isOver) socket.send(message);
    });
  });
}

function askByStream(
  server: Server,
  message: Buffer,
  { timeoutMs, read, open }: Asking,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const socket =
      "path" in server ? connect(server.path) : connect({ host: server.address, port: server.port });
    const frames = new FrameReader();
    const done = (answer: Answer | undefined): void => {
      clearTimeout(timer);
      open.delete(end);
      socket.destroy();
      resolve(answer);
    };
    const end = (): void => done(undefined);
    const timer = setTimeout(end, timeoutMs);
    open.add(end);
    socket.on("error", end);
    socket.on("close", end);
    socket.on("data", (chunk: Buffer) => {
      for (const bytes of frames.take(chunk)) {
        const answer = read(bytes);
        if (answer !== undefined) return done(answer);
      }
    });
    socket.write(framed(message));
  });
}
