// The beginning of every TCP connection to a gateway: the PROXY header, where one is awaited; the ClientHello, where TLS
// is; then the decision. What carries requests goes on elsewhere (`requests`); what is a stream is carried here.
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { familyOf, type Ip, ip, parseIp } from "../../base/ip.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import type { Choice } from "../../l7/decision.ts";
import { type ClientHello, HelloReader } from "../tls/client-hello.ts";
import { type Client, type Dialed, type Dialing, dial } from "./dial.ts";
import { lookFirst } from "./first-bytes.ts";
import { Pipe, type Piped } from "./pipe.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

export type ProxyProtocol = "off" | "accept" | "require";

/** What is known when a connection is handed on to be asked for requests. */
export interface Begun {
  readonly client: Client;
  readonly decision: ConnectionDecision;
  /** Undefined: plain. */
  readonly hello: ClientHello | undefined;
}

export interface StreamRecord {
  readonly client: Client;
  readonly listener: string | undefined;
  readonly rule: string | undefined;
  readonly sni: string | undefined;
  readonly backend: string | undefined;
  readonly endpoint: string | undefined;
  readonly sent: number;
  readonly received: number;
  /** Why it ended otherwise than by both ends' will; "": it did not. */
  readonly reason: string;
  readonly durationMs: number;
}

export interface FrontOptions extends Dialing {
  readonly proxyProtocol: ProxyProtocol;
  /** For the PROXY header, the ClientHello and the handshake, each. */
  readonly helloMs: number;
  /** A stream on which nothing goes by for so long is ended. */
  readonly idleMs: number;
  /** By the objects as they are now; `sni` as in `Connection`. */
  decide(client: Client, sni: string | undefined): ConnectionDecision;
  /** That TLS is ended with; undefined: none can be shown. */
  context(decision: ConnectionDecision, sni: string): SecureContext | undefined;
  requests(socket: Socket | TLSSocket, begun: Begun): void;
  ended(record: StreamRecord): void;
  /** A stream has begun to be carried, or is over. */
  carried(change: 1 | -1): void;
  nowMs(): number;
}

const HTTP_ALPN = ["h2", "http/1.1"];
/** TLS: unrecognized_name (RFC 6066 §3), fatal, as a record of an alert. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

export class TcpFront {
  readonly #options: FrontOptions;
  readonly #pipes = new Set<Pipe>();

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** A connection of a server that allows half-open ones. */
  accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    this.#begin(socket).catch(() => socket.destroy());
  }

  /** Ends all streams that are left. */
  stop(): void {
    for (const pipe of this.#pipes) pipe.stop();
  }

  async #begin(socket: Socket): Promise<void> {
    const startMs = this.#options.nowMs();
    const peer = peerOf(socket);
    const client = await this.#clientOf(socket, peer);
    if (typeof client === "string") return this.#close(socket, { client: peer, reason: client, startMs });
    const plain = this.#options.decide(client, undefined);
    if (plain.action.kind !== "close" || plain.action.awaitsTls !== true)
      return this.#carryOut(socket, { client, decision: plain, hello: undefined }, startMs);
    const hello = await this.#helloOf(socket);
    if (typeof hello === "string")
      return this.#close(socket, { client, decision: plain, reason: hello, startMs });
    const decision = this.#options.decide(client, hello.sni);
    return this.#carryOut(socket, { client, decision, hello }, startMs);
  }

  /** A text: why it is closed. */
  async #clientOf(socket: Socket, peer: Client): Promise<Client | string> {
    const { proxyProtocol, helloMs } = this.#options;
    if (proxyProtocol === "off") return peer;
    const state = await lookFirst(socket, helloMs, (_, all) => {
      const read = readProxyHeader(all());
      if (read.kind === "more") return undefined;
      return { value: read, used: read.kind === "header" ? read.header.length : 0 };
    });
    // Where the server speaks first, a client without a header has nothing to say.
    const isSilent = socket.bytesRead === 0 && !socket.readableEnded && !socket.destroyed;
    if (state === undefined) return proxyProtocol === "accept" && isSilent ? peer : "no PROXY header came";
    if (state.kind === "bad") return state.reason;
    if (state.kind !== "header")
      return proxyProtocol === "require" ? "it begins without a PROXY header" : peer;
    const { from, to } = state.header;
    return from === undefined || to === undefined ? peer : { ...from, to };
  }

  async #helloOf(socket: Socket): Promise<ClientHello | string> {
    const reader = new HelloReader();
    const state = await lookFirst(socket, this.#options.helloMs, (chunk) => {
      const read = reader.push(chunk);
      return read.kind === "more" ? undefined : { value: read, used: 0 };
    });
    if (state === undefined) return "no ClientHello came";
    return state.kind === "hello" ? state.hello : state.kind === "bad" ? state.reason : "no ClientHello came";
  }

  async #carryOut(socket: Socket, begun: Begun, startMs: number): Promise<void> {
    const { decision, hello, client } = begun;
    const { action, cert, reason } = decision;
    if (action.kind === "close") {
      if (hello !== undefined) socket.write(UNRECOGNIZED_NAME);
      return this.#close(socket, { client, decision, reason, startMs });
    }
    const isPlain = hello === undefined || (action.kind === "stream" && cert === undefined);
    const shown = isPlain ? socket : await this.#shakeHands(socket, begun, hello.sni);
    if (typeof shown === "string") return this.#close(socket, { client, decision, reason: shown, startMs });
    if (action.kind === "requests") {
      if (isPlain) this.#options.requests(shown, begun);
      return;
    }
    return this.#carry(shown, action.choices, begun, startMs);
  }

  /** TLS that ends here. A text: why there is none. */
  #shakeHands(socket: Socket, begun: Begun, sni: string): Promise<TLSSocket | string> {
    const { decision } = begun;
    const secureContext = this.#options.context(decision, sni);
    if (secureContext === undefined)
      return Promise.resolve(`there is no certificate to show for ${sni || "no name"}`);
    const isHttp = decision.action.kind === "requests";
    const tls = new TLSSocket(socket, {
      ...{ isServer: true, secureContext },
      ...(isHttp && { ALPNProtocols: HTTP_ALPN }),
    });
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish("the TLS handshake took too long"), this.#options.helloMs);
      const finish = (result: TLSSocket | string): void => {
        clearTimeout(timer);
        resolve(result);
      };
      // After the handshake, too: Node leaves what goes wrong in TLS later to whoever has made the socket.
      tls.on("_tlsError", (error: Error) => {
        finish(`the TLS handshake failed: ${error.message}`);
        tls.destroy();
      });
      tls.on("error", () => tls.destroy());
      tls.once("secure", () => {
        Object.assign(tls, { secureConnecting: false }); // as a server of Node's does, and as HTTP/2 waits for
        // At once: who speaks HTTP/2 takes the bytes from below, and would not see what came up meanwhile.
        if (isHttp) this.#options.requests(tls, begun);
        finish(tls);
      });
      tls.once("close", () => finish("the client left during the TLS handshake"));
    });
  }

  async #carry(socket: Socket, choices: readonly Choice[], begun: Begun, startMs: number): Promise<void> {
    const { client, decision } = begun;
    const dialed = await dial(choices, client, this.#options);
    if (typeof dialed === "string") return this.#close(socket, { ...begun, reason: dialed, startMs });
    if (socket.destroyed) {
      dialed.socket.destroy();
      return this.#close(socket, { ...begun, reason: "the client left", startMs });
    }
    const pipe = new Pipe(socket, dialed.socket, this.#options.idleMs);
    this.#pipes.add(pipe);
    this.#options.carried(1);
    const piped = await pipe.ended;
    this.#pipes.delete(pipe);
    this.#options.carried(-1);
    this.#tell({
      client,
      decision,
      hello: begun.hello,
      dialed,
      piped,
      reason: REASONS[piped.brokenBy],
      startMs,
    });
  }

  #close(socket: Socket, about: About): void {
    socket.destroySoon();
    this.#tell(about);
  }

  #tell({ client, decision, hello, dialed, piped, reason, startMs }: About): void {
    this.#options.ended({
      ...{ client, listener: decision?.listener, rule: decision?.rule, sni: hello?.sni },
      ...{ backend: dialed?.backend, endpoint: dialed?.endpoint, sent: piped?.sent ?? 0 },
      ...{ received: piped?.received ?? 0, reason, durationMs: this.#options.nowMs() - startMs },
    });
  }
}

interface About {
  readonly client: Client;
  readonly decision?: ConnectionDecision;
  readonly hello?: ClientHello | undefined;
  readonly dialed?: Dialed;
  readonly piped?: Piped;
  readonly reason: string;
  readonly startMs: number;
}

const REASONS: Readonly<Record<Piped["brokenBy"], string>> = {
  ...{ "": "", client: "the client broke it off", backend: "the backend broke it off" },
  ...{ idle: "nothing went by for too long", stopped: "the gateway ends" },
};
/** Of a socket that was gone before it was looked at. */
const NOWHERE = ip("0.0.0.0");

function peerOf(socket: Socket): Client {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
  const to = { address: addressOf(localAddress), port: localPort };
  return { address: addressOf(remoteAddress), port: remotePort, to };
}

/** As sockets have it: IPv4 that came to an IPv6 socket is IPv4, and a zone is of no interest. */
function addressOf(text: string): Ip {
  const bare = text.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  const address = parseIp(bare) ?? NOWHERE;
  return { ...address, family: familyOf(address) };
}
