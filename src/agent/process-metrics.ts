/** Metrics of the agent's process and of Node in it, as prom-client makes them. */
import promClient from "prom-client";

export class ProcessMetrics {
  readonly #registry = new promClient.Registry();

  constructor() {
    promClient.collectDefaultMetrics({ register: this.#registry });
    // Gauges whose names end in _total: against Prometheus' rules, and nobody misses them.
    for (const what of ["handles", "requests", "resources"]) {
      this.#registry.removeSingleMetric(`nodejs_active_${what}`);
      this.#registry.removeSingleMetric(`nodejs_active_${what}_total`);
    }
  }

  /** Exposition text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  close(): void {
    this.#registry.clear();
  }
}
