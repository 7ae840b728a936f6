/**
 * The node's HTTP servers, as kube-proxy has them: health-check ports of Services, health of the proxy (:10256), metrics
 * (:10249). They live in the node's network namespace, so that agents that share a machine do not meet.
 *
 *   events ─▶ queued ─▶ applying ─▶ applied     the agent says where its changes are; health and metrics follow
 */
import type { RequestListener, ServerResponse } from "node:http";
import { HealthChecks, healthCheckAddresses, isNodeEligible } from "../compile/health-checks.ts";
import type { ProxySettings } from "../compile/proxy-settings.ts";
import { parseHostPort } from "../config/host-port.ts";
import type { ProxyConfig } from "../config/proxy.ts";
import { type EndpointSlice, keyOf } from "../kube/objects.ts";
import { CONTENT_TYPE } from "../observe/exposition.ts";
import { type HealthAnswer, ProxyHealth } from "../observe/proxy-health.ts";
import { LAST_CHANGE_TRIGGER_TIME, SyncMetrics } from "../observe/sync-metrics.ts";
import type { Changes, DesiredState, ObjectEvent } from "../watch/desired-state.ts";
import { configz } from "./configz.ts";
import { HealthPorts } from "./health-ports.ts";
import { type MetricsSources, metricsPage } from "./metrics-page.ts";
import type { NodeListener, OpenListener } from "./node-listener.ts";
import { ProcessMetrics } from "./process-metrics.ts";

const RETRY_MS = 5000; // kube-proxy's
const TEXT = "text/plain; charset=utf-8";

export interface NodeServersOptions {
  readonly nodeName: string;
  readonly proxy: ProxyConfig;
  readonly open: OpenListener;
  readonly sources: Omit<MetricsSources, "sync" | "healthz" | "livez">;
}

export class NodeServers {
  readonly #options: NodeServersOptions;
  readonly #health: ProxyHealth;
  readonly #sync: SyncMetrics;
  readonly #checks = new HealthChecks();
  readonly #ports: HealthPorts;
  readonly #process = new ProcessMetrics();
  readonly #answers = { healthz: new Map<number, number>(), livez: new Map<number, number>() };
  readonly #listeners: NodeListener[] = [];
  #settings: ProxySettings | undefined;
  #addresses: readonly string[] = [];
  #nodeSeen = false;
  #closed = false;
  /** Called when a server cannot be opened; it is tried again. */
  onProblem: (error: Error) => void = () => {};

  constructor(options: NodeServersOptions) {
    this.#options = options;
    const now = (): number => performance.timeOrigin + performance.now();
    this.#health = new ProxyHealth(2 * options.proxy.syncPeriodSec * 1000, now);
    this.#sync = new SyncMetrics(now);
    this.#ports = new HealthPorts(options.open, () => this.#health.healthy);
    this.#ports.onProblem = (error) => this.onProblem(error);
  }

  /** Opens the two servers; one whose address is taken is tried again, so this waits for nothing. */
  start(): void {
    const { proxy } = this.#options;
    void this.#keepOpen("metrics", proxy.metricsBindAddress, (request, response) =>
      this.#metrics(pathOf(request.url), response),
    );
    void this.#keepOpen("healthz", proxy.healthzBindAddress, (request, response) =>
      this.#healthz(pathOf(request.url), response),
    );
  }

  /** Objects came. */
  events(events: readonly ObjectEvent[]): void {
    for (const { type, object } of events) {
      if (object.kind === "Service") this.#sync.serviceChanged();
      if (object.kind !== "EndpointSlice") continue;
      const key = keyOf(object);
      if (type === "DELETED") this.#sync.endpointsGone(key);
      else this.#sync.endpointsChanged({ key, ...triggerOf(object as EndpointSlice) });
    }
  }

  /** What came has to be applied. */
  queued(): void {
    this.#health.queued();
    this.#sync.queued();
  }

  applying(): void {
    this.#health.applying();
    this.#sync.applying();
  }

  /** The plane works with the changes. Resolves when health-check ports are open that have to be. */
  async applied(
    state: DesiredState,
    changes: Changes,
    settings: ProxySettings,
    seconds: number,
  ): Promise<void> {
    const { nodeName } = this.#options;
    const full = changes.nodes.size > 0;
    this.#sync.applied({
      sync: full ? "full" : changes.services.size > 0 ? "partial" : "none",
      seconds,
    });
    this.#health.applied();
    const node = state.nodes.get(nodeName);
    this.#nodeSeen ||= node !== undefined;
    const families = [...new Set(settings.nodeIps.map((address) => `IPv${address.family}`))];
    this.#health.setNode(isNodeEligible(node, this.#nodeSeen), families);
    if (families.length > 0) this.#sync.families = families;
    const moved = settings !== this.#settings;
    this.#settings = settings;
    if (moved) this.#addresses = healthCheckAddresses(settings);
    if (changes.services.size === 0 && !moved) return;
    this.#checks.update(state, changes.services, nodeName);
    await this.#ports.sync(this.#checks.list(), this.#addresses);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const listener of this.#listeners.splice(0)) listener.close();
    await this.#ports.close();
    this.#process.close();
  }

  async #keepOpen(name: string, address: string, handler: RequestListener): Promise<void> {
    const where = parseHostPort(address);
    if (where === null) return; // "": not wanted
    let told = false;
    while (!this.#closed) {
      try {
        const listener = await this.#options.open(where, handler);
        if (this.#closed) listener.close();
        else this.#listeners.push(listener);
        return;
      } catch (error) {
        if (!told) this.onProblem(new Error(`${name} server: ${(error as Error).message}`));
        told = true;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  #healthz(path: string, response: ServerResponse): void {
    if (path === "/healthz") this.#answer("healthz", this.#health.healthz(), response);
    else if (path === "/livez") this.#answer("livez", this.#health.livez(), response);
    else notFound(response);
  }

  #answer(name: "healthz" | "livez", { status, body }: HealthAnswer, response: ServerResponse): void {
    const answers = this.#answers[name];
    answers.set(status, (answers.get(status) ?? 0) + 1);
    reply(response, status, "application/json", JSON.stringify(body));
  }

  #metrics(path: string, response: ServerResponse): void {
    if (path === "/metrics") void this.#page(response);
    else if (path === "/proxyMode") reply(response, 200, TEXT, this.#options.proxy.mode);
    else if (path === "/healthz") reply(response, 200, TEXT, "ok");
    else if (path === "/configz") {
      reply(response, 200, "application/json", JSON.stringify(configz(this.#options.proxy)));
    } else notFound(response);
  }

  async #page(response: ServerResponse): Promise<void> {
    try {
      const own = metricsPage({ ...this.#options.sources, ...this.#answers, sync: this.#sync });
      reply(response, 200, CONTENT_TYPE, own + (await this.#process.text()));
    } catch (error) {
      reply(response, 500, TEXT, `${(error as Error).message}\n`);
    }
  }
}

function triggerOf(slice: EndpointSlice): { family: string; triggerTime: string | undefined } {
  return { family: slice.addressType, triggerTime: slice.metadata.annotations?.[LAST_CHANGE_TRIGGER_TIME] };
}

function pathOf(url = "/"): string {
  return url.split("?", 1)[0];
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "X-Content-Type-Options": "nosniff",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function notFound(response: ServerResponse): void {
  reply(response, 404, TEXT, "404 page not found\n");
}
