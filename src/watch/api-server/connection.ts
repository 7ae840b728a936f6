/** Requests to an API server: the next of its addresses when one does not answer, credentials as they are now. */
import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  Agent as PlainAgent,
  request as plainRequest,
  type RequestOptions,
} from "node:http";
import { Agent, request } from "node:https";
import { createSecureContext, type SecureContext } from "node:tls";
import { isLoopback } from "../../base/ip.ts";
import { CredentialReader, type Credentials } from "./credentials.ts";
import { type Access, addressOf, KubeconfigError, serverText, socketPathOf } from "./kubeconfig.ts";

/** What becomes of a request, in this order: at most one `status`, any number of `data`, one `end`. */
export interface Answer {
  /** `warning`: the header of that name, as it came. */
  status(code: number, retryAfter: string | undefined, warning: string | undefined): void;
  data(chunk: Uint8Array): void;
  /** `error`: why there is no more; `isNear`: because the server is being started anew on this machine, or has moved. */
  end(error: string | undefined, isNear?: boolean): void;
}

export interface Asked {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: object;
  /** Instead of `body`: as it is to be sent. */
  readonly text?: string;
  /** Of what is sent; left out: JSON, and of a PATCH a strategic merge patch. */
  readonly type?: string;
  /** In which form the answer is wanted; left out: JSON. */
  readonly accept?: string;
}

export interface Call {
  close(): void;
}

/** So long after the last byte the kernel asks whether the other end is still there; it gives up 10 s later. */
const KEEPALIVE_MS = 15_000;
const CONNECT_MS = 10_000;
const JSON_TYPE = "application/json";
const PATCH_TYPE = "application/strategic-merge-patch+json";
const READ_AGAIN_MS = 1000;

export class ApiConnection {
  #access: Access;
  #reader: CredentialReader;
  readonly #readAccess: (() => Access) | undefined;
  #readMs = Number.NEGATIVE_INFINITY;
  readonly #plain = new PlainAgent({ keepAlive: true });
  #agent: Agent | undefined;
  #tlsKey = "";
  #server = 0;
  /** How far the server's clock is ahead of ours, by its last answer; undefined: none has said it. */
  aheadSeconds: number | undefined;

  /** `again`: the same as it is now, where a server that does not answer may have gone elsewhere meanwhile. */
  constructor(access: Access, again?: () => Access) {
    this.#access = access;
    this.#reader = new CredentialReader(access);
    this.#readAccess = again;
  }

  /** The address that is asked, for messages. */
  get server(): string {
    return serverText(this.#access.servers[this.#server]);
  }

  refused(): void {
    this.#reader.refused();
    this.#readAgain();
  }

  get(path: string, query: Readonly<Record<string, string>>, answer: Answer): Call {
    return this.send({ method: "GET", path: `${path}?${new URLSearchParams(query)}` }, answer);
  }

  send(asked: Asked, answer: Answer): Call {
    let made: ClientRequest | undefined;
    let isOver = false;
    const end: Answer["end"] = (error, isNear) => {
      if (isOver) return;
      isOver = true;
      answer.end(error, isNear);
    };
    this.#reader
      .read()
      .then((credentials) => {
        if (!isOver) made = this.#make(asked, credentials, answer, end);
      })
      .catch((error: Error) => {
        this.#readAgain(); // what is wrong may be mended by now
        end(error.message);
      });
    return {
      close: () => {
        isOver = true;
        made?.destroy();
      },
    };
  }

  /** For a connection that is to become another protocol's: where, as whom, by which certificates. Not by a socket. */
  async upgrade(path: string): Promise<{ url: URL; headers: OutgoingHttpHeaders; agent: PlainAgent }> {
    const credentials = await this.#reader.read();
    const url = this.#access.servers[this.#server];
    const agent = url.protocol === "http:" ? this.#plain : this.#tls(credentials);
    return { url: targetOf(url, path), headers: { "user-agent": "podwire", ...credentials.headers }, agent };
  }

  #make(asked: Asked, credentials: Credentials, answer: Answer, end: Answer["end"]): ClientRequest {
    const url = this.#access.servers[this.#server];
    const { method, path, body, accept = JSON_TYPE } = asked;
    const text = asked.text ?? (body === undefined ? undefined : JSON.stringify(body));
    const type = asked.type ?? (method === "PATCH" ? PATCH_TYPE : JSON_TYPE);
    const headers = {
      ...{ accept, "user-agent": "podwire" },
      ...(text === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(text) }),
      ...credentials.headers,
    };
    const made = this.#request(url, path, { method, headers }, credentials);
    made.setSocketKeepAlive(true, KEEPALIVE_MS);
    // Of connecting alone: how long a server may be silent, whoever asked knows.
    const patience = setTimeout(() => made.destroy(new Error("no connection within 10 s")), CONNECT_MS);
    made.on("socket", (socket) => {
      const arrived = (): void => clearTimeout(patience);
      if (!socket.connecting) arrived();
      else socket.once(url.protocol === "https:" ? "secureConnect" : "connect", arrived);
    });
    made.on("error", (error) => {
      clearTimeout(patience);
      this.#next(url);
      this.#readAgain();
      end(`${serverText(url)}: ${wordsOf(error)}`, isNobodyHere(error, url) || !this.#isServer(url));
    });
    made.on("response", (response) => {
      this.#hearTime(response.headers.date);
      pass(response, answer, end);
    });
    made.end(text);
    return made;
  }

  #request(url: URL, path: string, options: RequestOptions, credentials: Credentials): ClientRequest {
    const socketPath = socketPathOf(url);
    if (socketPath !== undefined) {
      const headers = { ...options.headers, host: "localhost" };
      return plainRequest({ ...options, headers, socketPath, path, agent: this.#plain });
    }
    const target = targetOf(url, path);
    return url.protocol === "http:"
      ? plainRequest(target, { ...options, agent: this.#plain })
      : request(target, { ...options, agent: this.#tls(credentials) });
  }

  /** An answer's date has no fractions: on average it is half a second later. */
  #hearTime(date = ""): void {
    const ms = Date.parse(date) + 500 - Date.now();
    if (!Number.isNaN(ms)) this.aheadSeconds = ms / 1000;
  }

  #tls(credentials: Credentials): Agent {
    const { tlsKey } = credentials;
    if (this.#agent !== undefined && this.#tlsKey === tlsKey) return this.#agent;
    const { insecure, serverName } = this.#access;
    // One for all connections: each would read the certificates for itself.
    const secureContext = secureContextOf(credentials);
    this.#tlsKey = tlsKey;
    this.#agent = new Agent({
      keepAlive: true,
      rejectUnauthorized: !insecure,
      secureContext,
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
    return this.#agent;
  }

  #isServer(url: URL): boolean {
    return this.#access.servers.some((server) => serverText(server) === serverText(url));
  }

  /** Of requests that fail together the first one leads on: as many turns as there are servers would lead nowhere. */
  #next(failed: URL): void {
    if (failed !== this.#access.servers[this.#server]) return;
    this.#server = (this.#server + 1) % this.#access.servers.length;
  }

  /** A file that is half written counts the next time. */
  #readAgain(): void {
    const nowMs = performance.now();
    if (this.#readAccess === undefined || nowMs - this.#readMs < READ_AGAIN_MS) return;
    this.#readMs = nowMs;
    try {
      const access = this.#readAccess();
      if (JSON.stringify(access) === JSON.stringify(this.#access)) return;
      this.#access = access;
      this.#reader = new CredentialReader(access);
      this.#server = 0;
      this.#agent = undefined; // what goes on by it goes on
    } catch {
      // what was read before goes on, and what is wrong with the server is told anyway
    }
  }

  close(): void {
    this.#agent?.destroy();
    this.#plain.destroy();
  }
}

/** Throws where they cannot be read: one is written just now, or of certificate and key only one is renewed yet. */
function secureContextOf({ ca, cert, key }: Pick<Credentials, "ca" | "cert" | "key">): SecureContext {
  try {
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (cause) {
    const why = wordsOf(cause as Error).replace(/^error:[0-9A-F]+:/, "");
    throw new KubeconfigError(`certificate-authority, client-certificate or client-key: ${why}`);
  }
}

function targetOf(server: URL, path: string): URL {
  return new URL(`${server.pathname.replace(/\/$/, "")}${path}`, server);
}

function pass(response: IncomingMessage, answer: Answer, end: Answer["end"]): void {
  const { "retry-after": retryAfter, warning } = response.headers;
  answer.status(response.statusCode ?? 0, retryAfter, warning);
  response.on("data", (chunk: Buffer) => answer.data(chunk));
  response.on("error", (error) => end(wordsOf(error)));
  response.on("end", () => end(undefined));
  response.on("close", () => end("the connection was cut"));
}

/** As while a server of this machine is started anew. */
function isNobodyHere(error: Error, server: URL): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (socketPathOf(server) !== undefined) return code === "ECONNREFUSED" || code === "ENOENT";
  const address = addressOf(server);
  const isHere = address === null ? server.hostname === "localhost" : isLoopback(address);
  return isHere && code === "ECONNREFUSED";
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ENOENT: "no such socket",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "no such host",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to its network",
  ETIMEDOUT: "no answer",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by nobody we know: check certificate-authority",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by nobody we know: check certificate-authority",
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: "the key is not the certificate's",
  ERR_OSSL_PEM_NO_START_LINE: "no PEM in it",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by nobody we know: check certificate-authority",
  CERT_HAS_EXPIRED: "its certificate has expired",
};

const wordsOf = (error: Error): string => WORDS[(error as NodeJS.ErrnoException).code ?? ""] ?? error.message;
