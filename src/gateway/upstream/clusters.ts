// All Services' ports that have been asked for, and others' addresses; those that nobody asks for any more are forgotten.
import type { Backend } from "../../l7/backends.ts";
import type { Sweep } from "../sweep.ts";
import { Cluster, type ClusterGauges } from "./cluster.ts";
import { DEFAULTS, type UpstreamSettings } from "./settings.ts";

const FORGET_MS = 600_000;
const OUTSIDE = "outside ";
const OUTSIDE_MAX = 1000; // addresses may have clients' words in them ($host): there are only so many at once

interface Known {
  readonly cluster: Cluster;
  backend: Backend;
}

export class Clusters {
  readonly #known = new Map<string, Known>();
  #byBackend = new WeakMap<Backend, Cluster>();
  readonly #sweep: Sweep;
  readonly #settingsOf: (name: string) => UpstreamSettings;
  readonly #forgetMs: number;
  /** Addresses that were asked for since the last look at them. */
  #outside = 0;

  /** `settingsOf`: of a Service's port, "namespace/name:port". `forgetMs`: nobody asks for so long. */
  constructor(sweep: Sweep, settingsOf: (name: string) => UpstreamSettings, forgetMs = FORGET_MS) {
    this.#sweep = sweep;
    this.#settingsOf = settingsOf;
    this.#forgetMs = forgetMs;
  }

  of(backend: Backend): Cluster {
    const cluster = this.#byBackend.get(backend);
    return cluster ?? this.#take(backend);
  }

  outside(text: string): Cluster {
    const key = OUTSIDE + text;
    const known = this.#known.get(key);
    if (known !== undefined) return known.cluster;
    if (++this.#outside > OUTSIDE_MAX) {
      this.#outside = 0;
      this.#forget(0, OUTSIDE);
    }
    const backend = { name: text, endpoints: [text], appProtocol: "", portName: "", clusterAddress: "" };
    const cluster = new Cluster(
      text,
      () => backend,
      () => DEFAULTS,
      this.#sweep,
    );
    this.#known.set(key, { cluster, backend });
    return cluster;
  }

  gauges(): ClusterGauges[] {
    return [...this.#known.values()].map(({ cluster }) => cluster.gauges);
  }

  /** Endpoints have changed: connections to those that are gone end, where nothing is under way on them. */
  follow(): void {
    this.#forget(this.#forgetMs, "");
    for (const { cluster } of this.#known.values()) cluster.follow();
  }

  close(): void {
    for (const { cluster } of this.#known.values()) cluster.close();
  }

  /** Those that have nothing to do, and that nobody has asked for so long. */
  #forget(ms: number, kind: string): void {
    const before = performance.now() - ms;
    for (const [key, { cluster }] of this.#known) {
      if (!key.startsWith(kind) || cluster.active > 0 || cluster.usedMs > before) continue;
      cluster.close();
      this.#known.delete(key);
      this.#byBackend = new WeakMap(); // whoever is still named there is found again
    }
  }

  /** The Service's own address is another cluster than its endpoints. */
  #take(backend: Backend): Cluster {
    const { name, endpoints, clusterAddress } = backend;
    const isService = clusterAddress !== "" && endpoints.length === 1 && endpoints[0] === clusterAddress;
    const key = `${isService ? "service" : "endpoints"} ${name}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      const made: Known = {
        backend,
        cluster: new Cluster(
          name,
          () => made.backend,
          () => this.#settingsOf(name),
          this.#sweep,
        ),
      };
      known = made;
      this.#known.set(key, known);
    }
    known.backend = backend;
    this.#byBackend.set(backend, known.cluster);
    return known.cluster;
  }
}
