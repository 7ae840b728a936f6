// Connections to the proxies of other nodes: TLS 1.3 with the certificate of the client's identity, to a server that
// shows the endpoint's; within it HTTP/2, where each connection of a pod is a stream (HBONE). Sessions are shared by what
// has both identities in common; a renewed certificate is shown by new sessions, and old ones go on until their streams
// end.
import { randomBytes } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectTls } from "node:tls";
import { type Refusal, refusal } from "../carry/record.ts";
import type { IdentitySource, Svid } from "../identity/identity-source.ts";
import { isIdentity } from "../identity/peer-certificate.ts";
import { SvidContexts } from "../identity/svid-contexts.ts";
import type { MeshLimits } from "../limits.ts";
import { type Place, placeText } from "./connect-head.ts";
import { serverNameOf } from "./server-name.ts";
import { BOUNDS, SETTINGS, widen } from "./windows.ts";

export interface PeerOptions {
  readonly identities: IdentitySource;
  readonly trustDomain: string;
  readonly port: number;
  readonly limits: MeshLimits;
}

export interface Opening {
  readonly clientId: string;
  readonly serverId: string;
  /** The other proxy's address. */
  readonly proxy: string;
  readonly to: Place;
  readonly client: Place;
  readonly trace: string;
}

interface Session {
  readonly session: ClientHttp2Session;
  readonly svid: Svid;
  readonly bundle: string;
  streams: number;
  /** What went wrong with it; "": nothing. */
  problem: string;
  isConnected: boolean;
  isLeaving: boolean;
}

/** A header by which a proxy tells the other why it refuses; no pod ever sees it. */
export const REASON_HEADER = "podwire-reason";

const IDLE_MS = 60_000; // without a stream
const PING_MS = 30_000; // between two looks at a session that has streams, and for its answer
const OK = 200;
const REASON_MAX = 300;
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

export class Peers {
  readonly #options: PeerOptions;
  readonly #contexts: SvidContexts;
  readonly #sessions = new Map<string, Session[]>();
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#contexts = new SvidContexts(options.identities);
    this.#timer = setInterval(() => this.#look(), PING_MS);
    this.#timer.unref();
  }

  get count(): number {
    let count = 0;
    for (const list of this.#sessions.values()) count += list.length;
    return count;
  }

  /** A stream on which bytes may go both ways. */
  async open(opening: Opening): Promise<ClientHttp2Stream | Refusal> {
    const { identities, limits } = this.#options;
    let svid: Svid;
    try {
      svid =
        identities.get(opening.clientId) ??
        (await identities.wait(opening.clientId, limits.connectSec * 1000));
    } catch (error) {
      return refusal("no_own_certificate", (error as Error).message);
    }
    if (svid.notAfterMs <= Date.now())
      return refusal("no_own_certificate", `the certificate of ${svid.id} has ended, and was not renewed`);
    const session = this.#sessionFor(opening, svid);
    if ("code" in session) return session;
    return this.#request(session, opening);
  }

  /** Sessions end when their streams do. */
  drain(): void {
    this.#isClosed = true;
    for (const list of this.#sessions.values()) for (const { session } of list) session.close();
  }

  close(): void {
    this.drain();
    clearInterval(this.#timer);
    for (const list of this.#sessions.values()) for (const { session } of [...list]) session.destroy();
  }

  #sessionFor(opening: Opening, svid: Svid): Session | Refusal {
    const { clientId, serverId, proxy } = opening;
    const key = `${clientId} ${serverId} ${proxy}`;
    const list = this.#sessions.get(key) ?? [];
    for (const each of list) {
      if (!each.isLeaving && (each.svid !== svid || each.bundle !== this.#options.identities.bundle)) {
        each.isLeaving = true;
        each.session.close();
      }
    }
    const found = list.find((each) => this.#hasRoom(each));
    if (found !== undefined) return found;
    if (this.#isClosed) return refusal("peer_unreachable", "this proxy ends");
    const serverName = serverNameOf(serverId);
    if (serverName === undefined)
      return refusal("peer_identity", `${serverId} is too long a name for TLS to ask for`);
    const made = this.#connect(opening, svid, serverName);
    if ("code" in made) return made;
    list.push(made);
    this.#sessions.set(key, list);
    made.session.on("close", () => {
      const at = list.indexOf(made);
      if (at >= 0) list.splice(at, 1);
      if (list.length === 0 && this.#sessions.get(key) === list) this.#sessions.delete(key);
    });
    return made;
  }

  #hasRoom({ session, streams, isLeaving }: Session): boolean {
    if (isLeaving || session.closed || session.destroyed) return false;
    const theirs = session.remoteSettings?.maxConcurrentStreams ?? this.#options.limits.streams;
    return streams < Math.min(theirs, this.#options.limits.streams);
  }

  #connect({ proxy, serverId }: Opening, svid: Svid, servername: string): Session | Refusal {
    const { port, trustDomain, identities, limits } = this.#options;
    let secureContext: ReturnType<SvidContexts["of"]>;
    try {
      secureContext = this.#contexts.of(svid);
    } catch (error) {
      const [why] = (error as Error).message.split("\n", 1);
      return refusal("no_own_certificate", `the certificate of ${svid.id} cannot be shown: ${why}`);
    }
    const socket = connectTls({
      ...{ host: proxy, port, servername, secureContext, ALPNProtocols: ["h2"], minVersion: "TLSv1.3" },
      ...{ rejectUnauthorized: true, checkServerIdentity: isIdentity(serverId, trustDomain) },
    });
    socket.setNoDelay(true);
    const session = connect("https://mesh", {
      createConnection: () => socket,
      settings: SETTINGS,
      ...BOUNDS,
    });
    const made: Session = {
      ...{ session, svid, bundle: identities.bundle, streams: 0 },
      ...{ problem: "", isConnected: false, isLeaving: false },
    };
    const timer = setTimeout(() => session.destroy(new Error("no answer in time")), limits.connectSec * 1000);
    session.setTimeout(IDLE_MS, () => {
      if (made.streams === 0) session.close();
    });
    session.on("connect", () => {
      clearTimeout(timer);
      made.isConnected = true;
      widen(session);
    });
    session.on("goaway", () => {
      made.isLeaving = true;
    });
    session.on("error", (error: NodeJS.ErrnoException) => {
      made.problem ||= problemText(error);
    });
    session.on("close", () => clearTimeout(timer));
    return made;
  }

  #request(made: Session, opening: Opening): Promise<ClientHttp2Stream | Refusal> {
    const { to, client, trace, proxy } = opening;
    const { session } = made;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(
        {
          ...{ ":method": "CONNECT", ":authority": placeText(to), forwarded: `for="${placeText(client)}"` },
          ...(trace !== "" && { traceparent: trace }),
        },
        { endStream: false },
      );
    } catch (error) {
      return Promise.resolve(refusal("peer_unreachable", `proxy ${proxy}: ${(error as Error).message}`));
    }
    made.streams++;
    stream.on("close", () => {
      made.streams--;
    });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        doubt(made);
        finish(refusal("peer_unreachable", `proxy ${proxy} does not answer`));
      }, this.#options.limits.connectSec * 1000);
      const finish = (result: ClientHttp2Stream | Refusal): void => {
        clearTimeout(timer);
        stream.off("error", failed);
        stream.off("close", failed);
        if ("code" in result) {
          stream.on("error", () => {}); // whatever else it has to say
          stream.close(NGHTTP2_CANCEL);
        }
        resolve(result);
      };
      const failed = (error?: Error): void => finish(failureOf(made, stream, proxy, error));
      stream.on("error", failed);
      stream.on("close", failed);
      stream.once("response", (headers) => {
        const status = Number(headers[":status"]);
        if (status === OK) return finish(stream);
        const reason = String(headers[REASON_HEADER] ?? `status ${status}`).slice(0, REASON_MAX);
        return finish(refusal("peer_refused", `proxy ${proxy} refuses it: ${reason}`));
      });
    });
  }

  /** A node that is gone closes nothing. */
  #look(): void {
    for (const list of this.#sessions.values())
      for (const each of list) if (each.streams > 0 && each.isConnected) doubt(each);
  }
}

/** Of no consequence where it answers. */
function doubt({ session }: Session): void {
  if (session.destroyed) return;
  const timer = setTimeout(() => session.destroy(new Error("it answers nothing any more")), PING_MS);
  timer.unref();
  try {
    session.ping(() => clearTimeout(timer));
  } catch {
    clearTimeout(timer); // it closes just now
  }
}

function failureOf(
  made: Session,
  stream: ClientHttp2Stream,
  proxy: string,
  error: Error | undefined,
): Refusal {
  if (stream.rstCode === NGHTTP2_REFUSED_STREAM)
    return refusal("peer_refused", `proxy ${proxy} takes no more connections`);
  if (!made.isConnected && error?.cause instanceof Error) made.problem ||= problemText(error.cause);
  const why = made.problem || (error === undefined ? "it closed the connection" : problemText(error));
  if (!made.isConnected) {
    const isIdentity = made.problem.includes("certificate");
    return refusal(isIdentity ? "peer_identity" : "peer_unreachable", `proxy ${proxy}: ${why}`);
  }
  return refusal("peer_unreachable", `proxy ${proxy} ended it without an answer: ${why}`);
}

function problemText({ code = "", message }: NodeJS.ErrnoException): string {
  if (code === "ECONNREFUSED") return "it refuses connections";
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return "it cannot be reached";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has ended";
  if (/^(?:SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code))
    return "its certificate is signed by nobody whom this mesh trusts";
  return message.split("\n", 1)[0];
}

/** W3C's traceparent, by which the logs of both proxies are found together. */
export function newTrace(): string {
  return `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
}
