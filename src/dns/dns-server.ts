/**
 * The server: sockets, objects, metrics and the log around a resolver. It listens before it knows the objects, and says
 * SERVFAIL to what it cannot know yet: a client asks again, where NXDOMAIN would be kept.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Server as TcpServer } from "node:net";
import { PodwireError } from "../base/errors.ts";
import { parseIp } from "../base/ip.ts";
import type { DnsConfig } from "../config/dns.ts";
import { formatHostPort, type HostPort } from "../config/host-port.ts";
import { keyOf, type Pod } from "../kube/objects.ts";
import type { ObjectSource } from "../watch/source.ts";
import { DnsMetrics } from "./dns-metrics.ts";
import { type HostResolvers, hostResolvers } from "./host-resolvers.ts";
import { Hosts } from "./hosts.ts";
import { LocalAnswers } from "./local-answers.ts";
import { LoopProbe } from "./loop-probe.ts";
import { type MetricsServer, serveMetrics } from "./metrics-server.ts";
import { labelsOf, nameText } from "./name.ts";
import { MESSAGE_MAX, type Query, rcodeName, readQuery, typeName, UDP_MAX, UDP_MIN } from "./query.ts";
import { Resolver, type Told } from "./resolver.ts";
import { tcpServer } from "./tcp-listener.ts";
import { type Protocol, type Server, serverText, Upstream } from "./upstream.ts";
import { Zone } from "./zone.ts";
import { ZoneObjects } from "./zone-objects.ts";

export interface DnsServerOptions extends Omit<DnsConfig, "source" | "forward"> {
  /** undefined: the cluster's names are asked for, like all others. */
  readonly source: ObjectSource | undefined;
  /** Also the socket of somebody who asks for us. */
  readonly forward: readonly Server[] | "host" | null;
  /** Domains after the cluster's for autopath; undefined: the machine's. */
  readonly search?: readonly string[] | undefined;
  /** A line for people. */
  onNote(text: string): void;
  /** Lines of the query log. */
  onLog(text: string): void;
}

const RECEIVE_BUFFER = 4 << 20; // octets: what comes while objects are read
const LOG_MS = 100;
const LOG_LINES = 512;

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #objects = new ZoneObjects();
  readonly #zone: Zone;
  readonly #local: LocalAnswers;
  readonly #resolver: Resolver;
  readonly #metrics: DnsMetrics;
  readonly #probe: LoopProbe;
  readonly #upstreams: readonly Upstream[];
  readonly #udp: Socket[] = [];
  readonly #tcp: TcpServer[] = [];
  #pages: MetricsServer | undefined;
  #isSynced: boolean;
  #lines: string[] = [];
  #flushing: NodeJS.Timeout | undefined;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    const { zone, ttl, listen } = options;
    const host = hostResolvers();
    this.#isSynced = options.source === undefined;
    const own = listen.map(({ address }) => parseIp(address)).find((each) => each !== null && !isAny(each));
    this.#zone = new Zone(this.#objects, { zone, ttl, ...(own != null && { address: own }) });
    this.#metrics = new DnsMetrics(`dns://${formatHostPort(listen[0])}`, `${zone}.`);
    const upstream = this.#upstreamOf(host);
    const stubs = options.stubDomains.map(({ domain, servers }) => ({
      domain,
      upstream: this.#asks(servers),
    }));
    this.#upstreams = [...(upstream === undefined ? [] : [upstream]), ...stubs.map((each) => each.upstream)];
    this.#probe = new LoopProbe((text) => options.onNote(text));
    this.#local = new LocalAnswers({
      hosts: new Hosts(options.hosts, ttl),
      zone: options.source === undefined ? undefined : this.#zone,
      objects: this.#objects,
      isSynced: () => this.#isSynced,
      passesReverse: upstream !== undefined,
    });
    this.#resolver = new Resolver({
      ...{ local: this.#local, zone, stubs, upstream, cache: options.cache },
      search: options.autopath ? (options.search ?? host.search) : undefined,
      isOwnQuestion: (name) => this.#probe.isOwn(name),
    });
  }

  /** Throws when an address cannot be had. */
  async start(): Promise<void> {
    const { listen, metrics, source, onNote } = this.#options;
    try {
      for (const at of listen) await this.#listen(at);
      if (metrics !== null)
        this.#pages = await serveMetrics(metrics, { text: () => this.#text(), isReady: () => this.isReady });
    } catch (error) {
      await this.close();
      throw error;
    }
    source?.start({
      events: (events, synced) => {
        this.#objects.apply(events);
        if (events.length > 0) this.#zone.serial = Math.floor(Date.now() / 1000);
        if (synced) this.#isSynced = true;
      },
      problem: (error) => onNote(error.message),
      note: onNote,
    });
    for (const upstream of this.#upstreams) void this.#probe.ask(upstream);
  }

  get isReady(): boolean {
    return this.#isSynced;
  }

  get counts(): { services: number; pods: number } {
    return this.#objects.counts;
  }

  /** Where it listens, as it is: a port that was 0 is one by then. */
  get addresses(): readonly HostPort[] {
    return this.#udp.map((socket) => socket.address());
  }

  async close(): Promise<void> {
    this.#options.source?.close();
    this.#flush();
    for (const upstream of this.#upstreams) upstream.close();
    const closing = this.#udp
      .splice(0)
      .map((socket) => new Promise<void>((resolve) => socket.close(resolve)));
    for (const server of this.#tcp.splice(0)) server.close();
    await Promise.all([...closing, this.#pages?.close()]);
  }

  #upstreamOf(host: HostResolvers): Upstream | undefined {
    const { forward, listen } = this.#options;
    if (forward === null) return undefined;
    const servers = forward === "host" ? host.servers : forward;
    const own = new Set(listen.map(formatHostPort));
    const others = servers.filter((server) => !own.has(serverText(server)));
    for (const server of servers)
      if (!others.includes(server))
        this.#options.onNote(`forward: ${serverText(server)} is this server itself: not asked`);
    if (others.length === 0) {
      this.#options.onNote("forward: there is no server to ask: names of others are refused");
      return undefined;
    }
    return this.#asks(others);
  }

  #asks(servers: readonly Server[]): Upstream {
    return new Upstream(servers, { onDone: (server, rcode, sec) => this.#metrics.asked(server, rcode, sec) });
  }

  async #listen({ address, port }: HostPort): Promise<void> {
    const at = formatHostPort({ address, port });
    const isSix = address.includes(":");
    const socket = createSocket({
      ...{ type: isSix ? "udp6" : "udp4", ipv6Only: isSix },
      // Answers go to addresses, which nobody has to look up.
      lookup: (name, _, done) => done(null, name, isSix ? 6 : 4),
    });
    await bound(at, (resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, address, resolve);
    }).catch((error: Error) => {
      socket.close();
      throw error;
    });
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER);
    } catch {
      // the kernel's own bound holds
    }
    socket.removeAllListeners("error");
    socket.on("error", (error) => this.#options.onNote(`${at}: ${error.message}`));
    socket.on("message", (bytes, from) => this.#datagram(socket, bytes, from));
    this.#udp.push(socket);
    const server = tcpServer((bytes, from, fromPort, answer) =>
      this.#answer(bytes, new Asker("tcp", from, fromPort, this.#objects), answer),
    );
    await bound(at, (resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port: socket.address().port, ipv6Only: isSix }, resolve);
    });
    server.on("error", (error) => this.#options.onNote(`${at}: ${error.message}`));
    this.#tcp.push(server);
  }

  /** Without a callback, which costs a turn: a client that is gone is nobody's problem. */
  #datagram(socket: Socket, bytes: Buffer, { address, port }: RemoteInfo): void {
    if (port === 0) return; // nobody can be answered there
    this.#answer(bytes, new Asker("udp", address, port, this.#objects), (message) => {
      if (message !== undefined && this.#udp.includes(socket)) socket.send(message, port, address);
    });
  }

  #answer(bytes: Buffer, from: Asker, send: (message?: Buffer) => void): void {
    const beginMs = performance.now();
    const query = readQuery(bytes);
    if (query === undefined) {
      this.#metrics.dropped++;
      send();
      return;
    }
    const limit = from.protocol === "tcp" ? MESSAGE_MAX : Math.min(query.edns?.size ?? UDP_MIN, UDP_MAX);
    const asked: Asked = { bytes, query, limit, from, send, beginMs };
    try {
      const told = this.#resolver.answer(bytes, query, limit, from);
      if (!(told instanceof Promise)) this.#finish(asked, told);
      else
        told.then((each) => this.#finish(asked, each)).catch((error: unknown) => this.#failed(asked, error));
    } catch (error) {
      this.#failed(asked, error);
    }
  }

  #finish(asked: Asked, told: Told): void {
    asked.send(told.message);
    this.#done(asked, told, performance.now() - asked.beginMs);
  }

  #failed(asked: Asked, error: unknown): void {
    this.#metrics.panics++;
    this.#options.onNote(`internal error: ${String(error)}`);
    this.#finish(asked, this.#resolver.failed(asked.bytes, asked.query, asked.limit));
  }

  #done({ bytes, query, from }: Asked, { message, rcode, by }: Told, ms: number): void {
    const { protocol, address, port } = from;
    const family = address.includes(":") ? 6 : 4;
    this.#metrics.done(protocol, family, query.type, rcode, by);
    this.#metrics.took(protocol, ms / 1000, bytes.length, message.length);
    if (!this.#options.log) return;
    const pod = from.pod();
    const who = pod === undefined ? "-" : keyOf(pod);
    const what = `${typeName(query.type)} ${nameText(labelsOf(query.name))}`;
    const end = `${rcodeName(rcode)} ${by === "" ? "-" : by} ${message.length} B ${ms.toFixed(3)} ms`;
    const at = formatHostPort({ address, port });
    this.#lines.push(`${new Date().toISOString()} ${who} ${at} ${protocol} ${what} ${end}\n`);
    if (this.#lines.length >= LOG_LINES) this.#flush();
    else this.#flushing ??= setTimeout(() => this.#flush(), LOG_MS);
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    if (this.#lines.length > 0) this.#options.onLog(this.#lines.join(""));
    this.#lines = [];
  }

  #text(): string {
    const { counts, cached } = this.#resolver;
    const rejected = this.#upstreams.reduce((sum, upstream) => sum + upstream.rejected, 0);
    const hosts = this.#options.hosts.reduce((sum, { hostnames }) => sum + hostnames.length, 0);
    return this.#metrics.text({ ...counts, cached, rejected, hosts });
  }
}

/** Who asks. What pod that is nobody wants to know of most queries. */
class Asker {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly #objects: ZoneObjects;

  constructor(protocol: Protocol, address: string, port: number, objects: ZoneObjects) {
    this.protocol = protocol;
    this.address = address;
    this.port = port;
    this.#objects = objects;
  }

  pod(): Pod | undefined {
    return this.#objects.podsAt(this.address).find(({ spec }) => spec.hostNetwork !== true);
  }

  namespace(): string | undefined {
    return this.pod()?.metadata.namespace;
  }
}

/** A query that is being answered. */
interface Asked {
  readonly bytes: Buffer;
  readonly query: Query;
  readonly limit: number;
  readonly from: Asker;
  readonly send: (message?: Buffer) => void;
  readonly beginMs: number;
}

function isAny({
  w0,
  w1,
  w2,
  w3,
  family,
}: {
  w0: number;
  w1: number;
  w2: number;
  w3: number;
  family: 4 | 6;
}): boolean {
  return w3 === 0 && (family === 4 || (w0 === 0 && w1 === 0 && w2 === 0));
}

/** Resolves when it listens; an error says where, and what to do. */
async function bound(
  at: string,
  listen: (resolve: () => void, reject: (error: Error) => void) => void,
): Promise<void> {
  try {
    await new Promise<void>(listen);
  } catch (cause) {
    throw new PodwireError(`${at}: ${listenProblem(cause as NodeJS.ErrnoException)}`, {
      code: "DNS_LISTEN",
      cause,
    });
  }
}

function listenProblem({ code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return "somebody listens there already: choose another address to listen at";
  if (code === "EACCES")
    return "ports below 1024 need root: run it with sudo, or choose another port to listen at";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address: choose another one to listen at";
  return message;
}
