// Datagrams to a gateway: a flow for each client, which keeps its endpoint as long as there is that endpoint, and ends
// when nothing has come either way for a while. A flow is a socket of its own towards its endpoint, by which answers find
// their client. There are only so many: where all are taken, one that was never answered gives way, the oldest first, and
// a flow that is being answered never does.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { type Ip, parseIp } from "../../base/ip.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import { type Draw, drawChoice, splitEndpoint } from "./dial.ts";

export interface UdpOptions {
  /** Both ways silent for so long: the flow ends. */
  readonly idleMs: number;
  readonly flows: number;
  readonly draw: Draw;
  decide(client: Ip | undefined): ConnectionDecision;
  nowMs(): number;
}

interface Flow {
  readonly key: string;
  readonly client: RemoteInfo;
  /** Undefined: its datagrams are dropped. */
  readonly endpoint: string | undefined;
  readonly socket: Socket | undefined;
  /** What came before its socket was connected, which takes a turn; undefined: it is. */
  waiting: Buffer[] | undefined;
  lastMs: number;
  isAnswered: boolean;
}

export interface UdpCounts {
  readonly flows: number;
  /** Datagrams from clients, from endpoints, and those that nobody got. */
  readonly received: number;
  readonly answered: number;
  readonly dropped: number;
}

const SWEEPS = 4; // looks at flows within their time
/** Bytes that wait in a socket: whoever sends faster than they leave loses some, as in any router. */
const QUEUE_MAX = 1_048_576;
const WAITING_MAX = 64; // datagrams

export class UdpFront {
  readonly #socket: Socket;
  readonly #options: UdpOptions;
  /** The oldest first, each. */
  readonly #unanswered = new Map<string, Flow>();
  readonly #answered = new Map<string, Flow>();
  readonly #timer: NodeJS.Timeout;
  #received = 0;
  #replies = 0;
  #dropped = 0;

  /** `socket`: bound to the listener's port. */
  constructor(socket: Socket, options: UdpOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on("message", (bytes, from) => this.#take(bytes, from));
    socket.on("error", () => {}); // of single datagrams: the socket goes on
    this.#timer = setInterval(() => this.#sweep(), Math.max(1, options.idleMs / SWEEPS));
    this.#timer.unref();
  }

  get counts(): UdpCounts {
    const flows = this.#unanswered.size + this.#answered.size;
    return { flows, received: this.#received, answered: this.#replies, dropped: this.#dropped };
  }

  /** The objects are others now: flows whose endpoint is no longer one begin anew with their next datagram. */
  changed(): void {
    for (const flow of this.#all()) {
      const { action } = this.#options.decide(addressOf(flow.client));
      const isStill =
        action.kind === "stream" &&
        action.choices.some(({ backend }) => backend?.endpoints.includes(flow.endpoint ?? "") === true);
      if (!isStill) this.#end(flow);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const flow of this.#all()) this.#end(flow);
    this.#socket.close();
  }

  #all(): Flow[] {
    return [...this.#unanswered.values(), ...this.#answered.values()];
  }

  #take(bytes: Buffer, from: RemoteInfo): void {
    this.#received++;
    const key = `${from.address} ${from.port}`;
    const flow = this.#unanswered.get(key) ?? this.#answered.get(key) ?? this.#begin(key, from);
    if (flow === undefined || flow.socket === undefined) {
      this.#dropped++;
      return;
    }
    flow.lastMs = this.#options.nowMs();
    if (flow.waiting === undefined) this.#send(flow.socket, bytes);
    else if (flow.waiting.length < WAITING_MAX) flow.waiting.push(bytes);
    else this.#dropped++;
  }

  /** Undefined: there is no room for it. */
  #begin(key: string, client: RemoteInfo): Flow | undefined {
    if (this.#unanswered.size + this.#answered.size >= this.#options.flows) {
      const oldest = this.#unanswered.values().next().value;
      if (oldest === undefined) return undefined;
      this.#end(oldest);
    }
    const endpoint = this.#endpointFor(client);
    const socket = endpoint === undefined ? undefined : this.#open(endpoint);
    const lastMs = this.#options.nowMs();
    const flow: Flow = { key, client, endpoint, socket, lastMs, waiting: [], isAnswered: false };
    this.#unanswered.set(key, flow);
    if (socket !== undefined) this.#listen(flow, socket);
    return flow;
  }

  #endpointFor(client: RemoteInfo): string | undefined {
    const { action } = this.#options.decide(addressOf(client));
    if (action.kind !== "stream") return undefined;
    const { backend } = drawChoice(action.choices, this.#options.draw);
    if (backend === undefined) return undefined;
    return backend.endpoints[Math.floor(this.#options.draw() * backend.endpoints.length)];
  }

  #open(endpoint: string): Socket {
    const { host, port } = splitEndpoint(endpoint);
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.connect(port, host);
    return socket;
  }

  #listen(flow: Flow, socket: Socket): void {
    socket.once("connect", () => {
      for (const bytes of flow.waiting ?? []) this.#send(socket, bytes);
      flow.waiting = undefined;
    });
    // Refused, or without a way there: the next datagram may find another endpoint.
    socket.on("error", () => this.#end(flow));
    socket.on("message", (bytes) => {
      this.#replies++;
      flow.lastMs = this.#options.nowMs();
      if (!flow.isAnswered) {
        flow.isAnswered = true;
        this.#unanswered.delete(flow.key);
        this.#answered.set(flow.key, flow);
      }
      if (this.#socket.getSendQueueSize() > QUEUE_MAX) this.#dropped++;
      else this.#socket.send(bytes, flow.client.port, flow.client.address);
    });
  }

  #send(socket: Socket, bytes: Buffer): void {
    if (socket.getSendQueueSize() > QUEUE_MAX) this.#dropped++;
    else socket.send(bytes);
  }

  #sweep(): void {
    const before = this.#options.nowMs() - this.#options.idleMs;
    for (const flow of this.#all()) if (flow.lastMs <= before) this.#end(flow);
  }

  #end({ key, socket }: Flow): void {
    this.#unanswered.delete(key);
    this.#answered.delete(key);
    if (socket === undefined) return;
    try {
      socket.close();
    } catch {
      // closed by its own error
    }
  }
}

function addressOf({ address }: RemoteInfo): Ip | undefined {
  return parseIp(address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "")) ?? undefined;
}
