// All Services' ports that have been asked for, and others' addresses; those that nobody asks for any more are forgotten.
import type { Backend } from "../../l7/backends.ts";
import type { Sweep } from "../sweep.ts";
import { Cluster, type ClusterGauges } from "./cluster.ts";
import { DEFAULTS, type UpstreamSettings } from "./settings.ts";

interface Known {
  readonly cluster: Cluster;
  backend: Backend;
}

export class Clusters {
  readonly #known = new Map<string, Known>();
  #byBackend = new WeakMap<Backend, Cluster>();
  readonly #sweep: Sweep;
  readonly #settingsOf: (name: string) => UpstreamSettings;

  /** `settingsOf`: of a Service's port, "namespace/name:port". */
  constructor(sweep: Sweep, settingsOf: (name: string) => UpstreamSettings) {
    this.#sweep = sweep;
    this.#settingsOf = settingsOf;
  }

  of(backend: Backend): Cluster {
    const cluster = this.#byBackend.get(backend);
    return cluster ?? this.#take(backend);
  }

  outside(text: string): Cluster {
    const key = `outside ${text}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known.cluster;
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
    for (const { cluster } of this.#known.values()) cluster.follow();
  }

  close(): void {
    for (const { cluster } of this.#known.values()) cluster.close();
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
