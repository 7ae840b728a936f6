// The gateway: objects on one side, connections on the other, and exchanges between them.

import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext } from "node:tls";
import type { ConfigMap } from "../kube/objects.ts";
import type { Choice, Decision, Protocol } from "../l7/decision.ts";
import type { Header, HttpRequest } from "../l7/request.ts";
import type { ObjectSource } from "../watch/source.ts";
import { AccessLog } from "./access-log.ts";
import type { GatewayConfig } from "./config.ts";
import { authorize } from "./exchange/auth.ts";
import { Copies } from "./exchange/copies.ts";
import type { ClientRequest } from "./exchange/ends.ts";
import { Exchange } from "./exchange/exchange.ts";
import type { Finished, Front, Question, Verdict } from "./exchange/front.ts";
import { Rates } from "./exchange/rates.ts";
import { Streams } from "./l4/streams.ts";
import { GatewayMetrics } from "./metrics.ts";
import { Contexts } from "./server/contexts.ts";
import type { Door, Port, RefusedRequest } from "./server/door.ts";
import { Listeners } from "./server/listeners.ts";
import { makeOwnCertificate } from "./server/own-certificate.ts";
import { Sweep } from "./sweep.ts";
import { identityCheck } from "./tls/backend-identity.ts";
import { Clusters } from "./upstream/clusters.ts";
import type { Way } from "./upstream/dial.ts";
import { World } from "./world.ts";

export interface GatewayOptions extends Omit<GatewayConfig, "source" | "status"> {
  readonly source: ObjectSource;
  readonly onNote: (line: string) => void;
  readonly random?: () => number;
  /** Of several processes one has them: a client's datagrams have to come to the same one. */
  readonly hasDatagrams?: boolean;
}

const EMPTY = Buffer.alloc(0);
const PATIENCE_MS = 10_000; // for objects, before ports are opened without them
const NOT_FOUND = 404;
const FAILED = 400; // statuses from here on are told in a line, too

export class Gateway implements Front, Door {
  readonly limits: GatewayConfig["limits"];
  readonly sweep = new Sweep();
  readonly rates = new Rates();
  readonly tunnels = new Set<Duplex>();
  readonly copies = new Copies();
  readonly clusters: Clusters;
  readonly random: () => number;
  isDraining = false;
  readonly #options: GatewayOptions;
  readonly #world: World;
  readonly #log: AccessLog;
  readonly #metrics = new GatewayMetrics();
  readonly streams: Streams;
  readonly #ways = new Map<string, Way>();
  readonly #authorities = new Map<string, { readonly text: string; readonly context: SecureContext }>();
  #listeners: Listeners | undefined;
  #contexts: Contexts | undefined;
  #isSynced = false;
  #active = 0;
  #date = "";
  #dateMs = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.random = options.random ?? Math.random;
    const { nodeName, zone, gateways, ingress, onNote } = options;
    this.#world = new World({
      ...{ nodeName, zone, gateways, isIngress: ingress !== undefined, onNote },
      onChange: (what) => this.#changed(what),
    });
    this.clusters = new Clusters(this.sweep, (name) => this.#world.settingsOf(name));
    this.#log = new AccessLog(options.accessLog, (endpoint) => this.#world.podAt(endpoint), onNote);
    this.streams = this.#makeStreams();
  }

  /** Resolves when the ports are open; objects may still come. Rejects where a port cannot be had. */
  async start(): Promise<void> {
    this.#contexts = new Contexts(this.#world, await makeOwnCertificate(), this.#options.onNote);
    this.#listeners = new Listeners(this.#options, this, this.#contexts, this.#options.onNote);
    const synced = new Promise<void>((resolve) => {
      this.#options.source.start({
        events: (events, isSynced) => {
          this.#world.take(events);
          if (!isSynced) return;
          this.#isSynced = true;
          resolve();
        },
        problem: (error) => this.#options.onNote(error.message),
        note: (line) => this.#options.onNote(line),
      });
    });
    const waited = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
    await Promise.race([synced, waited]);
    await this.#listeners.open(this.#world);
    await this.streams.follow("all");
  }

  /** Objects are known, and the ports are open. */
  get isReady(): boolean {
    return this.#isSynced && !this.isDraining && this.#listeners !== undefined;
  }

  get ports(): readonly Port[] {
    return this.#listeners?.ports ?? [];
  }

  get metricsText(): string {
    return this.#metrics.text({
      clusters: this.clusters.gauges(),
      connections: this.#listeners?.connections ?? [],
      flows: this.streams.udpCounts,
      logLost: this.#log.lost,
      copies: this.copies,
    });
  }

  /** The log's file was moved away. */
  reopenLog(): void {
    this.#log.reopen();
  }

  /** No new connections; what is under way ends, within so many seconds. */
  async drain(sec: number): Promise<void> {
    this.isDraining = true;
    this.#listeners?.drain();
    if (this.#active > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, sec * 1000);
        this.#whenIdle = () => {
          clearTimeout(timer);
          setImmediate(resolve); // the last answer is on its way
        };
      });
    }
  }

  async close(): Promise<void> {
    this.isDraining = true;
    this.#options.source.close();
    this.#world.close();
    for (const each of this.tunnels) each.destroy();
    this.#listeners?.close();
    this.streams.close();
    this.clusters.close();
    this.sweep.close();
    await new Promise((resolve) => setImmediate(resolve)); // what ends with the connections is logged, too
    await this.#log.close();
  }

  taken(request: ClientRequest, port: Port): void {
    this.#active++;
    new Exchange(this, request, port).start();
  }

  refused(refused: RefusedRequest): void {
    this.#metrics.refused(refused.status);
    this.#log.refused(refused);
  }

  finished(exchange: Finished): void {
    this.#active--;
    this.#metrics.done(exchange);
    if (this.#log.isOn) this.#log.done(exchange);
    if (this.#active === 0) this.#whenIdle?.();
  }

  decide(request: ClientRequest, port: Port): Decision {
    const { method, scheme, host, target, headers, sni, client } = request;
    const { evaluator } = this.#world;
    const asked = { method, scheme, host, target, headers, sni, client, port: port.number };
    if (port.isIngress) return evaluator.evaluate(asked);
    let other: Decision | undefined;
    for (const gateway of port.gateways) {
      const decision = evaluator.evaluate({ ...asked, gateway } satisfies HttpRequest);
      if (decision.rule !== undefined || port.gateways.length === 1) return decision;
      other ??= decision;
    }
    return (
      other ?? {
        action: { kind: "answer", status: NOT_FOUND, headers: [] },
        reason: "no Gateway is served here",
      }
    );
  }

  wayTo(
    protocol: Protocol,
    { backend, tls }: Pick<Choice, "backend" | "tls">,
    request: ClientRequest,
  ): Way | string {
    const wanted = protocol === "auto" ? (request.scheme === "https" ? "https" : "http") : protocol;
    const isHttp2 = wanted === "h2c" || wanted === "grpc" || wanted === "grpcs";
    const isTls = tls !== undefined || wanted === "https" || wanted === "grpcs" || wanted === "wss";
    if (!isTls) return this.#way(isHttp2 ? "h2c" : "http", isHttp2, undefined);
    if (tls === undefined) {
      const name = request.host?.split(":", 1)[0] ?? "";
      const serverName = /^[\d.]*$|^\[/.test(name) ? "" : name;
      return this.#way(`${wanted} ${serverName}`, isHttp2, {
        serverName,
        context: undefined,
        isVerified: false,
      });
    }
    const context = this.#authority(tls.authorities);
    if (typeof context === "string") return `${backend?.name}: ${context}`;
    const { hostname: serverName, authorities, names } = tls;
    const who = `${serverName} ${names?.join(",") ?? ""}`;
    const key = `verified ${isHttp2} ${who} ${authorities.join(" ")} ${context.text.length}`;
    return this.#way(key, isHttp2, { serverName, context: context.context, isVerified: true, names });
  }

  authorize(request: ClientRequest, question: Question, done: (verdict: Verdict) => void): void {
    authorize(this, request, question, done);
  }

  bodyMax(ofRule: number): number {
    const { bodyBytes } = this.limits;
    return bodyBytes === 0 || (ofRule > 0 && ofRule < bodyBytes) ? ofRule : bodyBytes;
  }

  answer(request: ClientRequest, status: number, headers: readonly Header[]): number {
    const body = status < FAILED ? EMPTY : Buffer.from(`${status} ${STATUS_CODES[status] ?? ""}\n`);
    const page = body.length === 0 ? [] : [{ name: "Content-Type", value: "text/plain" }];
    request.respond(status, "", [{ name: "Date", value: this.#today() }, ...headers, ...page], body.length);
    const isSent = body.length > 0 && request.method !== "HEAD";
    if (isSent) request.write(body);
    request.end([]);
    return isSent ? body.length : 0;
  }

  #makeStreams(): Streams {
    const { address, gateways, proxyProtocol, onNote } = this.#options;
    return new Streams({
      ...{ world: this.#world, limits: this.limits, address, gateways, proxyProtocol, onNote },
      ...{ random: this.random, hasDatagrams: this.#options.hasDatagrams !== false },
      contextFor: (port, sni) => this.#contexts?.contextFor(port, sni) ?? null,
      contextOf: (secret) => this.#contexts?.contextOf(secret),
      backendTls: ({ hostname, authorities, names }) => {
        const authority = this.#authority(authorities);
        if (typeof authority === "string") return undefined;
        const { context: secureContext } = authority;
        return {
          servername: hostname,
          ...(secureContext !== undefined && { secureContext }),
          ...(names !== undefined && { checkServerIdentity: identityCheck(names) }),
        };
      },
      carried: (change) => {
        this.#active += change;
        if (this.#active === 0) this.#whenIdle?.();
      },
      ended: (record, port) => {
        this.#metrics.stream(record);
        if (this.#log.isOn) this.#log.stream(record, port);
      },
    });
  }

  /** Made anew once a second. */
  #today(): string {
    const now = Date.now();
    if (now - this.#dateMs >= 1000) {
      this.#dateMs = now;
      this.#date = new Date(now).toUTCString();
    }
    return this.#date;
  }

  #way(key: string, isHttp2: boolean, tls: Way["tls"]): Way {
    let way = this.#ways.get(key);
    if (way === undefined) {
      if (this.#ways.size > 10_000) this.#ways.clear();
      way = { key, isHttp2, tls };
      this.#ways.set(key, way);
    }
    return way;
  }

  /** Of ConfigMaps, whose authorities count together; none: those that the machine trusts. */
  #authority(
    names: readonly string[],
  ): { readonly text: string; readonly context: SecureContext | undefined } | string {
    if (names.length === 0) return { text: "", context: undefined };
    const text = names
      .map((name) => this.#world.get<ConfigMap>("ConfigMap", name)?.data?.["ca.crt"] ?? "")
      .join("\n");
    const key = names.join(" ");
    const known = this.#authorities.get(key);
    if (known?.text === text) return known;
    try {
      const made = { text, context: createSecureContext({ ca: text }) };
      this.#authorities.set(key, made);
      return made;
    } catch (error) {
      return `ca.crt of ConfigMap ${key} cannot be read: ${(error as Error).message.split("\n", 1)[0]}`;
    }
  }

  #changed(what: "endpoints" | "all"): void {
    this.clusters.follow();
    if (this.#listeners !== undefined) void this.streams.follow(what);
    if (what === "endpoints") return;
    this.#contexts?.forget();
    void this.#listeners?.follow(this.#world);
  }
}
