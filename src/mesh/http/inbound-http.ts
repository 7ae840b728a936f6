// Connections to pods of this node that carry requests: each is judged by the policies, and goes to the pod from the
// client's own address. Reading, writing and pools are the gateway's.
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { formatIp, type Ip } from "../../base/ip.ts";
import { Copies } from "../../gateway/exchange/copies.ts";
import type { ClientRequest } from "../../gateway/exchange/ends.ts";
import { Exchange } from "../../gateway/exchange/exchange.ts";
import type { Finished, Front } from "../../gateway/exchange/front.ts";
import { Rates } from "../../gateway/exchange/rates.ts";
import type { Door, Limits, Port, RefusedRequest } from "../../gateway/server/door.ts";
import { openPlain } from "../../gateway/server/plain-connection.ts";
import { Sweep } from "../../gateway/sweep.ts";
import { Cluster } from "../../gateway/upstream/cluster.ts";
import type { Way } from "../../gateway/upstream/dial.ts";
import { DEFAULTS } from "../../gateway/upstream/settings.ts";
import type { Backend } from "../../l7/backends.ts";
import { answer, type Decision, type Protocol } from "../../l7/decision.ts";
import type { Asked } from "../../l7/mesh/asked.ts";
import type { Judgement } from "../../l7/mesh/authorization.ts";
import { type Header, seen } from "../../l7/request.ts";
import type { Parties } from "../carry/carrier.ts";
import { type Place, placeOf, placeText } from "../hbone/connect-head.ts";

/** A connection that carries requests. */
export interface HttpConnection {
  readonly parties: Parties;
  /** By the policies as they are now. */
  judge(request: Asked["request"]): Judgement;
}

export interface RequestRecord {
  readonly parties: Parties;
  readonly exchange: Finished;
  readonly audited: readonly string[];
}

export interface InboundHttpOptions {
  readonly idleSec: number;
  readonly connectSec: number;
  readonly sessions: number;
  /** A connection from this address; it connects yet. */
  dialAs(source: Ip, to: Place): Socket;
  finished(record: RequestRecord): void;
  refused(parties: Parties, refused: RefusedRequest): void;
}

/** As the gateway's ports are, with the connection that it is. */
interface ConnectionPort extends Port {
  readonly connection: HttpConnection;
  readonly backend: Backend;
}

const EMPTY = Buffer.alloc(0);
const STATUS = { bad: 400, forbidden: 403 };
const SETTINGS = { ...DEFAULTS, ejectAfter: 0 };

export class InboundHttp implements Front, Door {
  readonly sweep = new Sweep();
  readonly rates = new Rates();
  readonly tunnels = new Set<Duplex>();
  readonly copies = new Copies(); // nothing is mirrored
  readonly limits: Limits;
  /** Connections to pods are their client's connection's own, so that NetworkPolicies see each as what it is. */
  readonly clusters = { of: (backend: Backend) => this.#clusterOf(backend), outside: nobody };
  /** Nothing here comes with more than requests. */
  readonly streams = { isNeeded: () => false, front: () => ({ accept: () => {} }) };
  isDraining = false;
  readonly #options: InboundHttpOptions;
  readonly #clusters = new Map<Backend, Cluster>();
  readonly #audited = new WeakMap<ClientRequest, readonly string[]>();
  readonly #connections = new Set<{ drain(): void }>();
  #active = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: InboundHttpOptions) {
    this.#options = options;
    const { idleSec } = options;
    this.limits = {
      ...{ headerBytes: 65_536, headers: 200, headerSec: 60, idleSec, stallSec: 300, bodyBytes: 0 },
      ...{ connections: options.sessions, streams: 128, streamIdleSec: idleSec, flowIdleSec: 0, flows: 0 },
    };
  }

  get count(): number {
    return this.#connections.size;
  }

  /** A connection that is accepted; nothing was read of it. */
  take(socket: Socket, connection: HttpConnection): void {
    const { client, to } = connection.parties;
    const name = placeText(to);
    const backend = { name, endpoints: [name], appProtocol: "", portName: "", clusterAddress: "" };
    const port: ConnectionPort = {
      ...{ number: to.port, isTls: false, hasStreams: false, isIngress: false, gateways: [] },
      ...{ connection, backend },
    };
    socket.on("close", () => {
      this.#clusters.get(backend)?.close();
      this.#clusters.delete(backend);
    });
    const peer = { ip: client.ip, text: formatIp(client.ip), sni: undefined };
    openPlain(socket, peer, port, this, this.#connections);
    socket.resume(); // it was taken without being read
  }

  taken(request: ClientRequest, port: Port): void {
    this.#active++;
    new Exchange(this, request, port).start();
  }

  refused(refused: RefusedRequest, port: Port): void {
    this.#options.refused((port as ConnectionPort).connection.parties, refused);
  }

  finished(exchange: Finished): void {
    this.#active--;
    const { parties } = (exchange.port as ConnectionPort).connection;
    this.#options.finished({ parties, exchange, audited: this.#audited.get(exchange.request) ?? [] });
    if (this.#active === 0) this.#whenIdle?.();
  }

  decide(request: ClientRequest, port: Port): Decision {
    const { connection, backend } = port as ConnectionPort;
    const { method, scheme, host, target, headers } = request;
    const { path } = seen({ method, scheme, host, target, headers });
    if (path === undefined)
      return {
        action: answer(STATUS.bad),
        reason: `the path ${target} makes no sense: escapes or dot segments`,
      };
    const { isAllowed, reason, audited } = connection.judge({ method, path, host: host ?? "", headers });
    if (audited.length > 0) this.#audited.set(request, audited);
    if (!isAllowed) return { action: answer(STATUS.forbidden), reason };
    const all: Header[] = host === undefined ? [...headers] : [{ name: "Host", value: host }, ...headers];
    const { connectSec } = this.#options;
    return {
      reason,
      action: {
        ...{
          kind: "forward",
          choices: [{ share: 1, backend }],
          target,
        },
        ...{ host: host ?? "", headers: all, answerHeaders: [], mirrors: [], bodyMax: 0 },
        protocol: request.version === "HTTP/2" ? "h2c" : "http",
        ...{ timeouts: { connectSec }, retries: { on: [], tries: 1, timeoutSec: 0 } },
      },
    };
  }

  wayTo(protocol: Protocol, _: unknown, { client, clientText }: ClientRequest): Way | string {
    if (client === undefined) return "the client has no address";
    const isHttp2 = protocol === "h2c";
    return {
      ...{ key: `${isHttp2 ? "h2c" : "http"} ${clientText}`, isHttp2, tls: undefined },
      open: (text) => {
        const to = placeOf(text) as Place; // as placeText has written it
        return this.#options.dialAs(client, to);
      },
    };
  }

  authorize(): void {
    nobody();
  }

  bodyMax(): number {
    return 0;
  }

  random(): number {
    return 0; // there is one choice
  }

  answer(request: ClientRequest, status: number, headers: readonly Header[]): number {
    const body = request.method === "HEAD" ? EMPTY : Buffer.from(`${status} ${STATUS_CODES[status] ?? ""}\n`);
    request.respond(status, "", [...headers, { name: "Content-Type", value: "text/plain" }], body.length);
    if (body.length > 0) request.write(body);
    request.end([]);
    return body.length;
  }

  /** Answers that are under way end, within so many seconds. */
  async drain(sec: number): Promise<void> {
    this.isDraining = true;
    for (const each of this.#connections) each.drain();
    if (this.#active === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, sec * 1000);
      this.#whenIdle = () => {
        clearTimeout(timer);
        setImmediate(resolve); // the last answer is on its way
      };
    });
  }

  close(): void {
    for (const each of this.tunnels) each.destroy();
    for (const each of this.#clusters.values()) each.close();
    this.sweep.close();
  }

  #clusterOf(backend: Backend): Cluster {
    let cluster = this.#clusters.get(backend);
    if (cluster === undefined) {
      const made = new Cluster(
        backend.name,
        () => backend,
        () => SETTINGS,
        this.sweep,
      );
      cluster = made;
      this.#clusters.set(backend, made);
    }
    return cluster;
  }
}

function nobody(): never {
  throw new Error("nobody else is asked here"); // no decision of this file says so
}
