// What a gateway carries without reading requests from it, and how connections begin where a PROXY header or a choice by
// TLS' name comes before requests: the fronts of its ports, by the rules as they are now.
import type { Socket } from "node:net";
import type { ConnectionOptions, SecureContext, TLSSocket } from "node:tls";
import type { Ip } from "../../base/ip.ts";
import { keyOf } from "../../kube/objects.ts";
import type { ConnectionDecision } from "../../l7/connection.ts";
import type { BackendTls } from "../../l7/decision.ts";
import type { Port } from "../server/door.ts";
import type { World } from "../world.ts";
import { type Begun, type ProxyProtocol, type StreamRecord, TcpFront } from "./tcp-front.ts";
import type { UdpCounts } from "./udp-front.ts";
import { type UdpPort, UdpPorts } from "./udp-ports.ts";

export interface StreamLimits {
  readonly headerSec: number;
  /** A stream on which nothing goes by for so long is ended; so is a client's flow of datagrams. */
  readonly streamIdleSec: number;
  readonly flowIdleSec: number;
  /** Clients' flows of datagrams at once, of each UDP port. */
  readonly flows: number;
}

export interface StreamsOptions {
  readonly world: World;
  readonly limits: StreamLimits;
  readonly address: readonly string[];
  readonly gateways: readonly string[] | "all";
  readonly proxyProtocol: ProxyProtocol;
  /** Of several processes one has the datagrams: a client's have to come to the same one. */
  readonly hasDatagrams?: boolean;
  random(): number;
  /** What TLS shows; null: nothing, and there is no handshake. */
  contextFor(port: Port, sni: string): SecureContext | null;
  contextOf(secret: string): SecureContext | undefined;
  backendTls(tls: BackendTls): ConnectionOptions | undefined;
  ended(record: StreamRecord, port: number): void;
  /** A stream has begun to be carried, or is over. */
  carried(change: 1 | -1): void;
  onNote(line: string): void;
}

const CONNECT_MS = 5000;
const TRIES = 3;

export class Streams {
  readonly #options: StreamsOptions;
  readonly #fronts = new Set<TcpFront>();
  readonly #udp: UdpPorts;

  constructor(options: StreamsOptions) {
    this.#options = options;
    const { address, limits, random, onNote } = options;
    this.#udp = new UdpPorts({
      ...{ address, idleMs: limits.flowIdleSec * 1000, flows: limits.flows, draw: random },
      nowMs: () => performance.now(),
      decide: (port, client) => this.#decide("udp", port, client, undefined),
      onProblem: onNote,
    });
  }

  get udpCounts(): (UdpCounts & { readonly port: number })[] {
    return this.#udp.counts;
  }

  /** A port's connections begin in it, where they have to (`isNeeded`). */
  front(port: () => Port, requests: (socket: Socket | TLSSocket, begun: Begun) => void): TcpFront {
    const { limits, proxyProtocol, random, backendTls, contextOf, contextFor } = this.#options;
    const front = new TcpFront({
      ...{ proxyProtocol, connectMs: CONNECT_MS, tries: TRIES, draw: random, backendTls, requests },
      proxyTo: (name) => this.#options.world.settingsOf(name).proxyProtocol,
      ...{ helloMs: limits.headerSec * 1000, idleMs: limits.streamIdleSec * 1000 },
      decide: ({ address }, sni) => this.#decideAt(port(), address, sni),
      context: ({ action, cert }, sni) =>
        action.kind === "requests" ? (contextFor(port(), sni) ?? undefined) : contextOf(cert ?? ""),
      ended: (record) => this.#options.ended(record, port().number),
      carried: (change) => this.#options.carried(change),
      nowMs: () => performance.now(),
    });
    this.#fronts.add(front);
    return front;
  }

  isNeeded({ hasStreams }: Port): boolean {
    return hasStreams || this.#options.proxyProtocol !== "off";
  }

  /** Objects have changed. */
  async follow(what: "endpoints" | "all"): Promise<void> {
    if (what === "endpoints") this.#udp.changed();
    else if (this.#options.hasDatagrams !== false) await this.#udp.follow(this.#udpPorts());
  }

  /** Whatever is still carried ends. */
  close(): void {
    for (const each of this.#fronts) each.stop();
    this.#udp.close();
  }

  #udpPorts(): UdpPort[] {
    const { gateways, world } = this.#options;
    const ports = new Map<number, string[]>();
    for (const gateway of world.gateways()) {
      const name = keyOf(gateway);
      if (gateways !== "all" && !gateways.includes(name)) continue;
      for (const { port, protocol } of gateway.spec.listeners)
        if (protocol === "UDP") ports.set(port, [...(ports.get(port) ?? []), name]);
    }
    return [...ports].map(([number, names]) => ({ number, gateways: names }));
  }

  #decideAt(port: Port, client: Ip, sni: string | undefined): ConnectionDecision {
    const decision = this.#decide("tcp", port, client, sni);
    if (decision.listener !== undefined || !port.isIngress) return decision;
    if (port.isTls && sni === undefined)
      return {
        action: { kind: "close", awaitsTls: true },
        reason: "it speaks no TLS, and TLS is awaited there",
      };
    return { action: { kind: "requests" }, reason: "its requests are decided one by one" };
  }

  /** Of several Gateways at a port the first that has a listener for it. */
  #decide(
    protocol: "tcp" | "udp",
    { number, gateways }: UdpPort,
    client: Ip | undefined,
    sni: string | undefined,
  ): ConnectionDecision {
    const { evaluator } = this.#options.world;
    let other: ConnectionDecision | undefined;
    for (const gateway of gateways) {
      const decision = evaluator.connect({ protocol, port: number, gateway, sni, client });
      if (decision.listener !== undefined) return decision;
      other ??= decision;
    }
    return other ?? { action: { kind: "close" }, reason: "no Gateway is served here" };
  }
}
