// A node's proxy: objects on one side; on the other, connections as the plane gives them, and those of other proxies.
import type { Socket } from "node:net";
import { familyOf, formatIp, type Ip, parseIp } from "../base/ip.ts";
import type { LogTarget } from "../gateway/log-writer.ts";
import type { ObjectSource } from "../watch/source.ts";
import { MeshLog } from "./access-log.ts";
import { Carrier } from "./carry/carrier.ts";
import { Inbound } from "./carry/inbound.ts";
import { Outbound } from "./carry/outbound.ts";
import { type ConnectionRecord, type Refusal, refusal } from "./carry/record.ts";
import { type Place, placeText } from "./hbone/connect-head.ts";
import { Peers } from "./hbone/peers.ts";
import { HboneServer } from "./hbone/server.ts";
import { InboundHttp, type RequestRecord } from "./http/inbound-http.ts";
import type { IdentitySource } from "./identity/identity-source.ts";
import type { MeshLimits } from "./limits.ts";
import { MeshMetrics } from "./metrics.ts";
import { MeshWorld } from "./world.ts";

export interface MeshOptions {
  readonly source: ObjectSource;
  readonly nodeName: string;
  readonly trustDomain: string;
  readonly identities: IdentitySource;
  readonly limits: MeshLimits;
  readonly plain: "refuse" | "allow";
  /** Where other nodes' proxies listen. */
  readonly hbonePort: number;
  readonly accessLog: LogTarget;
  readonly onNote: (line: string) => void;
  /** A connection from this address; it connects yet. */
  dialAs(source: Ip, to: Place): Socket;
  /** "namespace/name"; undefined: nobody knows. */
  serviceOf(client: Place, to: Place): Promise<string | undefined>;
}

const POLICY = "AuthorizationPolicy ";

export class MeshProxy {
  readonly #options: MeshOptions;
  readonly #world: MeshWorld;
  readonly #carrier: Carrier;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #peers: Peers;
  readonly #http: InboundHttp;
  readonly #server: HboneServer;
  readonly #log: MeshLog;
  readonly #metrics = new MeshMetrics();
  readonly #accepted = new Set<Socket>();
  #ids: ReadonlySet<string> = new Set();
  #isSynced = false;
  #isDraining = false;

  constructor(options: MeshOptions) {
    this.#options = options;
    const { nodeName, trustDomain, identities, limits, onNote, plain, dialAs, serviceOf } = options;
    this.#log = new MeshLog(options.accessLog, onNote);
    const world = new MeshWorld({
      ...{ nodeName, trustDomain, onNote, refusedPolicies: () => this.#refusedPolicies() },
      onIdentities: (ids) => {
        this.#ids = ids;
        identities.keep(ids);
      },
    });
    this.#world = world;
    const serviceAt = (to: Place): string => world.services.only(placeText(to));
    const carrier = new Carrier({
      ...{ idleSec: limits.idleSec, serviceAt },
      opened: (parties) => this.#metrics.opened(parties, parties.service ?? serviceAt(parties.to)),
      ended: (record) => this.#ended(record),
      refusedPeer: (address, why) => this.#refusedPeer(address, why),
    });
    this.#carrier = carrier;
    const connectMs = limits.connectSec * 1000;
    this.#peers = new Peers({ identities, trustDomain, port: options.hbonePort, limits });
    this.#http = new InboundHttp({
      ...{ idleSec: limits.idleSec, connectSec: limits.connectSec, sessions: limits.connections, dialAs },
      finished: (record) => this.#requested(record, serviceAt(record.parties.to)),
      refused: (parties, { status, why }) =>
        carrier.refused(parties, refusal("no_request", `${status}: ${why}`)),
    });
    this.#inbound = new Inbound({ world, carrier, connectMs, dialAs, http: this.#http });
    this.#outbound = new Outbound({ world, carrier, connectMs, plain, serviceOf, peers: this.#peers });
    this.#server = new HboneServer({
      ...{ identities, trustDomain, limits, isOwn: (id) => world.isOwnId(id) },
      refused: (address, why) => this.#refusedPeer(address, why),
      taken: (stream, headers, peer) => {
        this.#inbound.takeStream(stream, headers, peer).catch(() => stream.destroy());
      },
    });
  }

  /** Resolves with the port when other proxies may connect there; objects may still come. */
  async listen(addresses: readonly string[], port: number): Promise<number> {
    this.#options.source.start({
      events: (events, isSynced) => {
        this.#world.take(events);
        this.#isSynced ||= isSynced;
      },
      problem: (error) => this.#options.onNote(error.message),
      note: (line) => this.#options.onNote(line),
    });
    let opened = port;
    for (const address of addresses) opened = await this.#server.listen(address, opened);
    return opened;
  }

  /** Objects are known, other proxies may connect, and whom to trust is known, too. */
  get isReady(): boolean {
    return this.#isSynced && !this.#isDraining && this.#options.identities.bundle !== "";
  }

  /** A connection that nothing was read of; client and server as its own addresses say. */
  accept(socket: Socket): void {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const [client, to] = [addressOf(remoteAddress), addressOf(localAddress)];
    if (client === undefined || to === undefined) socket.destroy();
    else this.take(socket, { ip: client, port: remotePort }, { ip: to, port: localPort });
  }

  take(socket: Socket, client: Place, to: Place): void {
    socket.on("error", () => socket.destroy());
    if (this.#isDraining || this.#accepted.size >= this.#options.limits.connections) {
      socket.resetAndDestroy();
      this.#refusedPeer(formatIp(client.ip), refusal("limit", "too many connections, or this proxy ends"));
      return;
    }
    this.#accepted.add(socket);
    socket.on("close", () => this.#accepted.delete(socket));
    this.#route(socket, client, to).catch(() => socket.destroy());
  }

  /** The log's file was moved away. */
  reopenLog(): void {
    this.#log.reopen();
  }

  get metricsText(): string {
    const { identities } = this.#options;
    return this.#metrics.text({
      ...{
        connections: this.#carrier.count + this.#http.count,
        out: this.#peers.count,
        in: this.#server.count,
        logLost: this.#log.lost,
      },
      certificates: [...this.#ids].flatMap((id) => identities.get(id) ?? []),
    });
  }

  /** No new connections; what is carried ends, within so many seconds. */
  async drain(sec: number): Promise<void> {
    this.#isDraining = true;
    this.#server.drain();
    await Promise.all([this.#carrier.idle(sec), this.#http.drain(sec)]);
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    this.#options.source.close();
    this.#carrier.stop();
    this.#http.close();
    for (const socket of this.#accepted) socket.destroy();
    this.#server.close();
    this.#peers.close();
    this.#options.identities.close();
    await new Promise((resolve) => setImmediate(resolve)); // what ends with the connections is logged, too
    await this.#log.close();
  }

  #route(socket: Socket, client: Place, to: Place): Promise<void> {
    const world = this.#world;
    const source = world.podAt(formatIp(client.ip));
    const destination = world.podAt(formatIp(to.ip));
    const own = source !== undefined && world.isLocal(source) && world.isMeshed(source) ? source : undefined;
    if (destination !== undefined && world.isLocal(destination))
      return this.#inbound.takeSocket(socket, client, to, own?.identity);
    if (own !== undefined) return this.#outbound.take(socket, client, to, own);
    return this.#inbound.takeSocket(socket, client, to, undefined); // refused there, by name
  }

  /** Policies that the source could not read: they are not there, and are to be held to nevertheless. */
  #refusedPolicies(): ReadonlyMap<string, string> {
    const refused = new Map<string, string>();
    for (const [title, why] of this.#options.source.health?.refused ?? [])
      if (title.startsWith(POLICY)) refused.set(title.slice(POLICY.length), why);
    return refused;
  }

  #ended(record: ConnectionRecord): void {
    this.#metrics.ended(record);
    this.#log.connection(record);
  }

  #requested(record: RequestRecord, service: string): void {
    this.#metrics.requested(record, service);
    this.#log.request(record, service);
  }

  #refusedPeer(address: string, why: Refusal): void {
    this.#metrics.refusedPeer(why);
    this.#log.peer(address, why);
  }
}

/** As sockets have it: IPv4 that came to an IPv6 socket is IPv4. */
function addressOf(text: string): Ip | undefined {
  const ip = parseIp(text.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, ""));
  return ip === null ? undefined : { ...ip, family: familyOf(ip) };
}
