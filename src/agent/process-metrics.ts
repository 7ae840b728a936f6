/** Metrics of the agent's process and of Node in it, as prom-client makes them. */
import promClient from "prom-client";

export class ProcessMetrics {
  readonly #registry = new promClient.Registry();

  constructor() {
    // The event loop is looked at ten times a second; prom-client's hundred would wake an idle agent for nothing.
    promClient.collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 100 });
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
