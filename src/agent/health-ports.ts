/**
 * The servers behind healthCheckNodePort: one a Service, at every address that serves node ports, answering whether this
 * node has ready endpoints of it (pkg/proxy/healthcheck/service_health.go). They open, move and close with the Service.
 * A port that is taken is tried again; meanwhile the others work.
 */
import type { RequestListener, ServerResponse } from "node:http";
import type { HealthCheck } from "../compile/health-checks.ts";
import type { NodeListener, OpenListener } from "./node-listener.ts";

const RETRY_MS = 1000;

interface Entry {
  check: HealthCheck;
  listeners: NodeListener[];
  /** Why it does not listen; "": it does. */
  problem: string;
}

export class HealthPorts {
  readonly #open: OpenListener;
  readonly #proxyHealthy: () => boolean;
  readonly #entries = new Map<string, Entry>();
  #addresses: readonly string[] = [];
  #chain: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  /** Called when a port cannot be opened; once, not at every try. */
  onProblem: (error: Error) => void = () => {};

  constructor(open: OpenListener, proxyHealthy: () => boolean) {
    this.#open = open;
    this.#proxyHealthy = proxyHealthy;
  }

  /** Makes the servers what `checks` says. Counts are in force at once, ports when the promise resolves. */
  sync(checks: readonly HealthCheck[], addresses: readonly string[]): Promise<void> {
    for (const check of checks) {
      const entry = this.#entries.get(keyOf(check));
      if (entry?.check.port === check.port) entry.check = check;
    }
    this.#chain = this.#chain.then(() => this.#sync(checks, addresses));
    return this.#chain;
  }

  async close(): Promise<void> {
    await this.sync([], []);
  }

  async #sync(checks: readonly HealthCheck[], addresses: readonly string[]): Promise<void> {
    const wanted = new Map(checks.map((check) => [keyOf(check), check]));
    const moved = addresses.join() !== this.#addresses.join();
    this.#addresses = addresses;
    for (const [key, entry] of [...this.#entries]) {
      if (!moved && wanted.get(key)?.port === entry.check.port) continue;
      closeAll(entry);
      this.#entries.delete(key);
    }
    for (const [key, check] of wanted) {
      const entry = this.#entries.get(key) ?? { check, listeners: [], problem: "" };
      entry.check = check;
      this.#entries.set(key, entry);
    }
    await this.#openMissing();
  }

  async #openMissing(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let failed = false;
    for (const entry of this.#entries.values()) {
      if (entry.listeners.length === 0 && !(await this.#openOne(entry))) failed = true;
    }
    if (!failed) return;
    this.#retry = setTimeout(() => {
      this.#chain = this.#chain.then(() => this.#openMissing());
    }, RETRY_MS);
    this.#retry.unref();
  }

  async #openOne(entry: Entry): Promise<boolean> {
    const { namespace, name, port } = entry.check;
    try {
      for (const address of this.#addresses) {
        entry.listeners.push(await this.#open({ address, port }, this.#handler(entry)));
      }
      entry.problem = "";
    } catch (error) {
      closeAll(entry); // all of its addresses or none
      const { message } = error as Error;
      if (message === entry.problem) return false;
      entry.problem = message;
      this.onProblem(new Error(`Service ${namespace}/${name}: healthCheckNodePort: ${message}`));
      return false;
    }
    return true;
  }

  #handler(entry: Entry): RequestListener {
    return (_, response) => answer(response, entry.check, this.#proxyHealthy());
  }
}

/** Any path and method: what load balancers ask differs. */
function answer(response: ServerResponse, check: HealthCheck, healthy: boolean): void {
  const { namespace, name, localEndpoints } = check;
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: healthy };
  const text = JSON.stringify(body, null, "\t");
  response.writeHead(localEndpoints > 0 && healthy ? 200 : 503, {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    "X-Load-Balancing-Endpoint-Weight": String(localEndpoints),
    "Content-Length": Buffer.byteLength(text),
  });
  response.end(text);
}

function closeAll(entry: Entry): void {
  for (const listener of entry.listeners.splice(0)) listener.close();
}

function keyOf({ namespace, name }: HealthCheck): string {
  return `${namespace}/${name}`;
}
