// The image podwire/echo: tells the other side what it saw. Run as a program of its own inside a pod's namespace.
//
//   HTTP  any method, any path: one line of JSON, the connection stays open for more (keep-alive).
//         HTTP/2 without TLS too; gRPC's health service says SERVING, other calls of gRPC are not implemented.
//   TCP   bytes that are no HTTP request: the line of JSON, then everything received comes back. A client that sends
//         nothing gets the line after QUIET_MS.
//   UDP   a datagram longer than 512 bytes, or one that begins with "echo", comes back as it is; any other is
//         answered with the line of JSON. An empty datagram too.
//
// The line: {"pod","namespace","node","protocol","client":"ip:port","server":"ip:port"}. Only what a pod has in a real
// cluster is used: environment and sockets. SIGTERM: no new connections; it ends when the open ones have ended.
import { createSocket, type RemoteInfo } from "node:dgram";
import { createWriteStream, readFileSync, watch } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import type { Http2Taker } from "./echo-http2.ts";

/** A client that has connected may be late with its request on a busy machine; who is answered too soon sees no HTTP. */
const QUIET_MS = 3000;
const UDP_ECHO_FROM_BYTES = 513;
const BACKLOG = 4096; // the kernel cuts it to net.core.somaxconn
const HTTP_START = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) /;
const HTTP_METHOD_MAX = 8;
/** How a client of HTTP/2 begins (RFC 9113 §3.4), as far as methods are long. */
const HTTP2_START = "PRI * HT";

export interface EchoIdentity {
  pod: string;
  namespace: string;
  node: string;
}

/** Address and port as one reads them: IPv4-mapped addresses plain, IPv6 in brackets. */
export function endpoint(address: string | undefined, port: number | undefined): string {
  const plain = (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  return plain.includes(":") ? `[${plain}]:${port ?? 0}` : `${plain}:${port ?? 0}`;
}

export function answer(who: EchoIdentity, protocol: string, client: string, server: string): string {
  return `${JSON.stringify({ ...who, protocol, client, server })}\n`;
}

/** What the first bytes of a connection are: HTTP, HTTP/2, something else, or too few to tell. */
export function looksLikeHttp(bytes: Buffer): "http" | "http2" | "other" | "more" {
  const head = bytes.toString("latin1", 0, HTTP_METHOD_MAX);
  if (HTTP_START.test(head)) return "http";
  if (head === HTTP2_START) return "http2";
  const methods = [
    HTTP2_START,
    "GET ",
    "HEAD ",
    "POST ",
    "PUT ",
    "DELETE ",
    "OPTIONS ",
    "PATCH ",
    "TRACE ",
    "CONNECT ",
  ];
  return methods.some((method) => method.startsWith(head) && head.length < method.length) ? "more" : "other";
}

/** TCP, HTTP and HTTP/2 on one port: the first bytes decide which of them it is. */
export function tcpServer(
  who: EchoIdentity,
  quietMs = QUIET_MS,
): { server: Server; drain(done: () => void): void } {
  const http = createHttpServer({ keepAliveTimeout: 60_000 }, (request, response) =>
    reply(who, request, response),
  );
  let http2: Promise<Http2Taker> | undefined;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    let seen: Buffer = Buffer.alloc(0);
    let isDecided = false;
    let isHttp = false;
    // Timers come before sockets: what arrived while this process had no processor is read before silence counts.
    const quiet = setTimeout(() => setImmediate(() => asRawTcp()), quietMs);
    const decided = (): void => {
      isDecided = true;
      clearTimeout(quiet);
      socket.off("data", decide);
    };
    const asRawTcp = (): void => {
      if (isDecided) return;
      decided();
      rawTcp(who, socket, seen);
    };
    const decide = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const kind = looksLikeHttp(seen);
      if (kind === "more") quiet.refresh();
      else if (kind === "other") asRawTcp();
      else {
        isHttp = true; // from here on the end of the connection is the HTTP server's business
        decided();
        socket.pause();
        if (kind === "http2") {
          socket.unshift(seen);
          http2 ??= loadHttp2(who);
          void http2.then((taker) => socket.destroyed || taker.take(socket));
          return;
        }
        http.emit("connection", socket);
        socket.unshift(seen);
        socket.resume();
      }
    };
    socket.on("data", decide);
    socket.on("end", () => {
      if (isHttp) return;
      asRawTcp();
      socket.end();
    });
    socket.on("close", () => clearTimeout(quiet));
  });
  const drain = (done: () => void): void => {
    server.close(() => done());
    http.closeIdleConnections();
    void http2?.then((taker) => taker.close());
  };
  return { server, drain };
}

async function loadHttp2(who: EchoIdentity): Promise<Http2Taker> {
  const { makeHttp2Taker } = await import("./echo-http2.ts");
  return makeHttp2Taker((socket) => answerTo(who, socket));
}

function answerTo(who: EchoIdentity, socket: Socket): string {
  return answer(
    who,
    "TCP",
    endpoint(socket.remoteAddress, socket.remotePort),
    endpoint(socket.localAddress, socket.localPort),
  );
}

function reply(who: EchoIdentity, request: IncomingMessage, response: ServerResponse): void {
  const text = answerTo(who, request.socket);
  request.resume(); // a body is read and dropped, or the connection could not be used again
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(request.method === "HEAD" ? undefined : text);
}

function rawTcp(who: EchoIdentity, socket: Socket, first: Buffer): void {
  if (socket.destroyed) return;
  socket.write(answerTo(who, socket));
  if (first.length > 0) socket.write(first);
  socket.pipe(socket);
}

/** One socket per address, or the answer could leave with another address than the one that was asked. */
export function udpServer(who: EchoIdentity, address: string, port: number): Promise<{ close(): void }> {
  const socket = createSocket({
    type: address.includes(":") ? "udp6" : "udp4",
    recvBufferSize: 1 << 20,
    sendBufferSize: 1 << 20,
  });
  const server = endpoint(address, port);
  socket.on("message", (message: Buffer, from: RemoteInfo) => {
    const echoes = message.length >= UDP_ECHO_FROM_BYTES || message.toString("latin1", 0, 4) === "echo";
    const out = echoes ? message : answer(who, "UDP", endpoint(from.address, from.port), server);
    socket.send(out, from.port, from.address, () => {}); // a client that is gone answers ICMP: not our trouble
  });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.bind({ address, port }, () => resolve({ close: () => socket.close() }));
  });
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "::", backlog: BACKLOG }, () => resolve()).on("error", reject);
  });
}

/** IPv6 may be off in the namespace: then the IPv4 wildcard. */
async function listenAny(server: Server, port: number): Promise<void> {
  try {
    await listen(server, port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen({ port, host: "0.0.0.0", backlog: BACKLOG }, () => resolve());
    });
  }
}

/** Listens where it is told to, at first and later. */
class Listener {
  readonly #who: EchoIdentity;
  readonly #addresses: readonly string[];
  readonly #open = new Set<string>();
  readonly #drains: ((done: () => void) => void)[] = [];

  constructor(who: EchoIdentity, addresses: readonly string[]) {
    this.#who = who;
    this.#addresses = addresses;
  }

  /** `words`: "8080/TCP,53/UDP"; what is open stays open. */
  async open(words: string): Promise<void> {
    for (const word of words.split(",")) {
      if (word === "" || this.#open.has(word)) continue;
      this.#open.add(word);
      const [port, protocol] = word.split("/");
      if (protocol !== "UDP") {
        const { server, drain } = tcpServer(this.#who);
        await listenAny(server, Number(port));
        this.#drains.push(drain);
      } else for (const address of this.#addresses) await udpServer(this.#who, address, Number(port));
    }
  }

  drain(done: () => void): void {
    let left = this.#drains.length;
    if (left === 0) done();
    for (const drain of this.#drains) drain(() => --left === 0 && done());
  }
}

async function main(): Promise<void> {
  const { env } = process;
  const who = {
    pod: env.PODWIRE_POD ?? env.HOSTNAME ?? "",
    namespace: env.PODWIRE_NAMESPACE ?? "default",
    node: env.PODWIRE_NODE ?? "",
  };
  const addresses = ["127.0.0.1", ...(env.PODWIRE_ADDRESSES ?? "").split(",").filter(Boolean)];
  const listener = new Listener(who, addresses);
  const file = env.PODWIRE_ECHO_PORTS_FILE;
  if (file === undefined) await listener.open(env.PODWIRE_ECHO_PORTS || "8080/TCP,8080/UDP");
  else await openFrom(file, listener);
  announce();
  process.on("SIGTERM", () => listener.drain(() => process.exit(0)));
}

/** The lab writes into this file when it learns of more ports. A port that somebody else has is none of its. */
async function openFrom(file: string, listener: Listener): Promise<void> {
  const read = (): string => readFileSync(file, "latin1");
  watch(file, () => {
    listener.open(read()).catch((error: Error) => process.stderr.write(`echo: ${error.message}\n`));
  });
  await listener.open(read());
}

/** Tells whoever started us, on file descriptor 3, that all ports are open. */
function announce(): void {
  if (process.env.PODWIRE_READY_FD === undefined) return;
  const pipe = createWriteStream("", { fd: Number(process.env.PODWIRE_READY_FD) });
  pipe.on("error", () => {});
  pipe.end("ready\n");
}

if (process.argv[1]?.endsWith("/pod/echo.js")) {
  main().catch((error: Error) => {
    process.stderr.write(`echo: ${error.message}\n`);
    process.exit(1);
  });
}
