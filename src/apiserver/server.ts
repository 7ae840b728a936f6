// The Kubernetes API over HTTPS. Who calls shows a certificate of the lab's authority, or a token. The same over plain
// HTTP on a Unix socket, for programs of this machine: who may open it may do everything.
import { rmSync } from "node:fs";
import { type IncomingMessage, createServer as plainServer, type ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { PodwireError } from "../base/errors.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type Answer, Api, type ApiRequest, type WatchAnswer } from "./api.ts";
import type { Credentials } from "./certificates.ts";
import { splitPath, urlOf } from "./request.ts";
import type { User } from "./reviews.ts";
import { badRequest, methodNotAllowed, StatusError, tooLarge, unauthorized } from "./status.ts";
import { serveLog } from "./stream/log.ts";
import type { PodPrograms } from "./stream/pod-programs.ts";
import { podRequest } from "./stream/pod-request.ts";
import { serveUpgrade } from "./stream/upgrade.ts";
import { ADMIN, Tokens } from "./tokens.ts";
import type { Sink } from "./watches.ts";
import type { NotesOf } from "./writes.ts";

const BODY_MAX_BYTES = 3 * 1024 * 1024; // an API server's
const LARGE_BYTES = 256 * 1024; // of a body, which takes some milliseconds
const WARNINGS_MAX = 4096; // characters of all of an answer
const WARNING_MAX = 256; // of one, where all are too long
/** First parts of paths that nobody has to say his name for. */
const OPEN: readonly string[] = ["healthz", "livez", "readyz", "version"];

export interface ApiServer {
  /** Where it listens on the loopback. */
  readonly port: number;
  /** One who has come by another way than that. */
  take(socket: Socket): void;
  close(): void;
}

export interface ServeOptions {
  readonly cluster: Cluster;
  readonly credentials: Credentials;
  /** What runs in pods. */
  readonly programs: PodPrograms;
  /** Tried first; 0 or taken: any. */
  readonly port: number;
  /** A path, where programs of this machine ask without TLS; nobody but its owner may open it. */
  readonly socket?: string;
  /** For Warning headers. */
  readonly notesOf?: NotesOf;
  /** Told of what should not happen. */
  log(line: string): void;
}

export async function serveApi(options: ServeOptions): Promise<ApiServer> {
  const { cluster, credentials, port, socket, notesOf } = options;
  const tokens = new Tokens(credentials.accountKey, credentials.adminToken);
  const api = new Api(cluster, tokens, undefined, notesOf);
  const { serverCert: cert, serverKey: key, ca } = credentials;
  const upgraded = new Set<Duplex>();
  const by = (userOf: UserOf): [Listener, UpgradeListener] => listeners(api, options, upgraded, userOf);
  const [onRequest, onUpgrade] = by((request) => userOf(request, tokens, cluster));
  const tls = { cert, key, ca, requestCert: true, rejectUnauthorized: false };
  const server = createServer({ ...tls, requestTimeout: 0 }, onRequest).on("upgrade", onUpgrade);
  const [onLocalRequest, onLocalUpgrade] = by(() => ADMIN);
  const local = plainServer({ requestTimeout: 0 }, onLocalRequest).on("upgrade", onLocalUpgrade);
  for (const each of [server, local]) each.keepAliveTimeout = 120_000;
  const onLoopback = (at: number): Promise<void> => listen(server, { port: at, host: "127.0.0.1" });
  await onLoopback(port).catch(() => onLoopback(0));
  if (socket !== undefined) await listenPrivately(local, socket);
  return {
    port: (server.address() as AddressInfo).port,
    take: (socket) => void server.emit("connection", socket),
    close: () => {
      api.close();
      for (const each of [server, local]) {
        each.close();
        each.closeAllConnections();
      }
      for (const each of upgraded) each.destroy();
    },
  };
}

type UserOf = (request: IncomingMessage) => User | undefined;
type Listener = (request: IncomingMessage, response: ServerResponse) => void;
type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

function listeners(
  api: Api,
  options: ServeOptions,
  upgraded: Set<Duplex>,
  userOf: UserOf,
): [Listener, UpgradeListener] {
  const { log } = options;
  const onRequest: Listener = (request, response) => {
    serve(api, userOf, options, request, response).catch((error: unknown) => refuse(response, error, log));
  };
  const onUpgrade: UpgradeListener = (request, socket, head) => {
    upgraded.add(socket);
    socket.on("error", () => {}).on("close", () => upgraded.delete(socket));
    try {
      upgrade(userOf, options, request, socket, head);
    } catch (error) {
      refuseUpgrade(socket, error, log);
    }
  };
  return [onRequest, onUpgrade];
}

function listen(server: Server, where: { port: number; host: string } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Nobody else may open it, not even in between. */
async function listenPrivately(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  const before = process.umask(0o177);
  const listening = listen(server, { path });
  process.umask(before);
  await listening;
}

async function serve(
  api: Api,
  userOf: UserOf,
  { cluster, programs }: ServeOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/", headers } = request;
  const user = userOf(request);
  // By the path that is answered: "/version/../api" is none of these.
  if (user === undefined && !OPEN.includes(splitPath(urlOf(url).pathname)[0])) throw unauthorized();
  const ofPod = podRequest(url, cluster);
  if (ofPod?.subresource === "log") {
    if (method !== "GET") throw methodNotAllowed();
    return serveLog(ofPod.pod, ofPod.query, response, programs);
  }
  if (ofPod !== undefined) throw badRequest("Upgrade request required");
  const asked: ApiRequest = {
    ...{ method, url, accept: headers.accept, contentType: headers["content-type"] },
    userAgent: headers["user-agent"],
    body: await bodyOf(request),
    user: user ?? { username: "system:anonymous", groups: ["system:unauthenticated"] },
  };
  // Whoever asks for little and has come meanwhile goes first.
  if (asked.body.length > LARGE_BYTES) await new Promise((resolve) => setImmediate(resolve));
  const answer = api.answer(asked);
  // Agents are told before who asked is: packets wait for them, and an answer's reader takes the core that they need.
  if (method !== "GET") await api.telling;
  if ("watch" in answer) watch(answer, response);
  else send(answer, response);
}

/** Throws where nothing was answered yet. */
function upgrade(
  userOf: UserOf,
  { cluster, programs }: ServeOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  if (userOf(request) === undefined) throw unauthorized();
  const asked = podRequest(request.url ?? "/", cluster);
  if (asked === undefined || asked.subresource === "log")
    throw badRequest("nothing at this path turns its connection into something else");
  const { subresource, pod, query } = asked;
  serveUpgrade({ request, socket, head, subresource, pod, query }, programs);
}

function userOf(request: IncomingMessage, tokens: Tokens, cluster: Cluster): User | undefined {
  const token = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (token !== undefined) return tokens.userOf(token, (kind, key) => cluster.get(kind, key)?.metadata.uid);
  const socket = request.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  let user = shown.get(socket);
  if (user === undefined) {
    const { CN, O } = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] };
    user = { username: String(CN ?? ""), groups: [...[O ?? []].flat(), "system:authenticated"] };
    shown.set(socket, user);
  }
  return user;
}

/** By the certificate of a connection, which is read once. */
const shown = new WeakMap<Socket, User>();

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_MAX_BYTES) throw tooLarge(BODY_MAX_BYTES);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function send({ code, type, body, warnings }: Answer, response: ServerResponse): void {
  const text = Buffer.from(body);
  if (warnings.length > 0) response.setHeader("warning", shortened(warnings).map(warningOf));
  const headers = {
    "content-type": type,
    "content-length": text.length,
    "cache-control": "no-cache, private",
  };
  response.writeHead(code, headers);
  response.end(text);
}

/** As an API server does it: all, where they are 4096 characters together, else each as far as 256 of them. */
function shortened(warnings: readonly string[]): readonly string[] {
  let left = WARNINGS_MAX;
  if (warnings.reduce((sum, { length }) => sum + length, 0) <= left) return warnings;
  return warnings.flatMap((text) => {
    const kept = text.slice(0, Math.min(WARNING_MAX, left));
    left -= kept.length;
    return kept === "" ? [] : [kept];
  });
}

/** A quoted string (RFC 9110 §5.6.4) of what a header may hold. */
function warningOf(text: string): string {
  const plain = text.replaceAll(/[^\x20-\x7e]/g, "?");
  return `299 - "${plain.replaceAll(/["\\]/g, "\\$&")}"`;
}

function watch(answer: WatchAnswer, response: ServerResponse): void {
  // What refuses a watch is an answer of its own, so the head is sent when it has begun.
  const begin = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
    response.flushHeaders();
  };
  const sink: Sink = {
    get backlog() {
      return response.writableLength;
    },
    write: (lines) => {
      begin();
      response.cork();
      for (const line of lines) response.write(line);
      response.uncork();
    },
    end: () => {
      begin();
      response.end();
    },
    cut: () => response.destroy(),
  };
  let stop = (): void => {};
  response.on("close", () => stop());
  response.on("error", () => stop());
  stop = answer.watch(sink);
  if (!response.writableEnded) begin();
}

function refuse(response: ServerResponse, error: unknown, log: (line: string) => void): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status } = statusError(error, log);
  response.shouldKeepAlive = status.code !== 413; // the rest of the body is not read
  const type = "application/json";
  send({ code: status.code ?? 500, type, body: JSON.stringify(status), warnings: [] }, response);
}

function refuseUpgrade(socket: Duplex, error: unknown, log: (line: string) => void): void {
  const { status } = statusError(error, log);
  const body = JSON.stringify(status);
  const head = [
    `HTTP/1.1 ${status.code ?? 500} ${status.reason ?? ""}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function statusError(error: unknown, log: (line: string) => void): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof PodwireError) return badRequest(error.message);
  log(`API server: internal: ${String((error as Error)?.stack ?? error)}`);
  return new StatusError(
    500,
    "InternalError",
    `Internal error occurred: ${(error as Error)?.message ?? error}`,
  );
}
