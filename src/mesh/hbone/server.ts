// Where other proxies connect: TLS 1.3 by the identity that they ask for, with a certificate of theirs; within it HTTP/2,
// each stream of which is to be a CONNECT. Who shows no certificate of this mesh gets no stream.
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { createServer, type SecureContext, type Server, type TLSSocket } from "node:tls";
import { formatIp, type Ip, parseIp } from "../../base/ip.ts";
import type { Identity } from "../../l7/mesh/asked.ts";
import { type Refusal, refusal } from "../carry/record.ts";
import type { IdentitySource } from "../identity/identity-source.ts";
import { identityOf } from "../identity/peer-certificate.ts";
import { SvidContexts } from "../identity/svid-contexts.ts";
import type { MeshLimits } from "../limits.ts";
import { idOfServerName } from "./server-name.ts";
import { BOUNDS, SETTINGS, widen } from "./windows.ts";

/** Another proxy, as its connection has shown it. */
export interface PeerShown {
  /** Of the proxy itself. */
  readonly address: string;
  /** Of the client that it speaks for. */
  readonly identity: Identity;
  /** Of the certificate, since 1970. */
  readonly notAfterMs: number;
  /** The identity of ours that it has asked for. */
  readonly askedId: string;
}

export interface HboneOptions {
  readonly identities: IdentitySource;
  readonly trustDomain: string;
  readonly limits: MeshLimits;
  /** Whether a pod of this node has the identity. */
  isOwn(id: string): boolean;
  /** A stream of a proxy that has shown who it is. */
  taken(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: PeerShown): void;
  /** A connection that came to no stream; `address`: "" is nobody's. */
  refused(address: string, why: Refusal): void;
}

const RESETS_MAX = 200; // within RESET_MS, of streams that were reset before they had an answer
const RESET_MS = 10_000;
const IDLE_MS = 300_000; // without a stream
const V4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;

export class HboneServer {
  readonly #options: HboneOptions;
  readonly #contexts: SvidContexts;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<{ close(): void }>();

  constructor(options: HboneOptions) {
    this.#options = options;
    this.#contexts = new SvidContexts(options.identities);
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Resolves with the port. Rejects where the address cannot be had. */
  listen(address: string, port: number): Promise<number> {
    const { limits } = this.#options;
    const server = createServer({
      ...{ requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.3", ALPNProtocols: ["h2"] },
      handshakeTimeout: limits.helloSec * 1000,
      SNICallback: (name, done) => this.#context(name).then((context) => done(null, context), done),
    });
    server.maxConnections = limits.sessions;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("drop", () =>
      this.#options.refused("", refusal("limit", `${limits.sessions} proxies are connected`)),
    );
    server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
      socket.destroy();
      this.#options.refused(addressOf(socket), handshakeRefusal(error));
    });
    server.on("secureConnection", (socket) => this.#secured(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: address, ipv6Only: address.includes(":"), backlog: 1024 }, () => {
        server.off("error", reject);
        server.on("error", () => {}); // of one connection that could not be taken
        const at = server.address();
        resolve(typeof at === "object" && at !== null ? at.port : port);
      });
    });
  }

  /** No new connections; streams that are open go on. */
  drain(): void {
    for (const server of this.#servers) server.close();
    for (const session of this.#sessions) session.close();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #context(name: string): Promise<SecureContext> {
    const { identities, trustDomain, limits, isOwn } = this.#options;
    const id = idOfServerName(name, trustDomain);
    if (id === undefined) throw new Error(`it asks for ${shown(name)}, which is no identity of this mesh`);
    if (!isOwn(id)) throw new Error(`it asks for ${id}, and no pod of this node is that`);
    const svid = identities.get(id) ?? (await identities.wait(id, (limits.helloSec * 1000) / 2));
    return this.#contexts.of(svid);
  }

  #secured(socket: TLSSocket): void {
    const { trustDomain, refused } = this.#options;
    const address = addressOf(socket);
    socket.on("error", () => socket.destroy());
    const { authorizationError } = socket as { authorizationError?: Error | string | null };
    const error =
      authorizationError === null || authorizationError === undefined ? "" : String(authorizationError);
    const certificate = socket.getPeerX509Certificate();
    const identity = identityOf(certificate, error, trustDomain);
    const why =
      "code" in identity
        ? refusal(identity.code, identity.why)
        : socket.alpnProtocol === "h2"
          ? undefined
          : refusal("handshake", "it does not speak HTTP/2");
    const askedId = idOfServerName(socket.servername || "", trustDomain);
    if (why !== undefined || "code" in identity || certificate === undefined || askedId === undefined) {
      refused(address, why ?? refusal("handshake", "it asks for no identity"));
      socket.destroy();
      return;
    }
    this.#serve(socket, { address, identity, notAfterMs: Date.parse(certificate.validTo), askedId });
  }

  #serve(socket: TLSSocket, peer: PeerShown): void {
    const { limits, taken, refused } = this.#options;
    socket.setNoDelay(true);
    const session = performServerHandshake(socket, {
      settings: { ...SETTINGS, maxConcurrentStreams: limits.streams },
      ...BOUNDS,
    } as object);
    this.#sessions.add(session);
    widen(session);
    let resets = 0;
    let sinceMs = 0;
    let open = 0;
    session.on("stream", (stream, headers) => {
      open++;
      stream.on("error", () => {});
      stream.on("close", () => {
        open--;
        if (stream.headersSent) return;
        const now = performance.now();
        if (now - sinceMs > RESET_MS) [resets, sinceMs] = [0, now];
        if (++resets !== RESETS_MAX) return;
        refused(peer.address, refusal("flood", "too many streams were opened and reset"));
        session.goaway(NGHTTP2_ENHANCE_YOUR_CALM);
        session.destroy();
      });
      taken(stream, headers, peer);
    });
    session.setTimeout(IDLE_MS, () => {
      if (open === 0) session.close();
    });
    session.on("error", () => session.destroy());
    session.on("frameError", () => {});
    session.on("close", () => this.#sessions.delete(session));
    socket.on("close", () => this.#sessions.delete(session));
    socket.on("end", () => session.destroy()); // nobody is left who could read
  }
}

/** As formatIp writes it; "": it is gone. */
function addressOf({ remoteAddress = "" }: Socket): string {
  const ip: Ip | null = parseIp(V4_MAPPED.exec(remoteAddress)?.[1] ?? remoteAddress);
  return ip === null ? "" : formatIp(ip);
}

function handshakeRefusal({ message }: Error): Refusal {
  const [line] = message.split("\n", 1);
  const text = /:SSL routines:(?:[^:]*:)?([^:]+)/.exec(line)?.[1] ?? line;
  return refusal("handshake", `the TLS handshake failed: ${text}`);
}

/** Somebody else's words, as one short line. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
