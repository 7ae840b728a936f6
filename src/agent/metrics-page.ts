/** GET /metrics: everything that this agent measures, gathered when somebody asks. */
import type { PolicyTotal } from "../api/show-policies.ts";
import { VERSION } from "../base/version.ts";
import type { ServiceCounts } from "../compile/services.ts";
import { Exposition } from "../observe/exposition.ts";
import { type PlaneState, writePlaneMetrics } from "../observe/plane-metrics.ts";
import type { SyncMetrics } from "../observe/sync-metrics.ts";
import type { SourceHealth } from "../watch/source.ts";

export interface MetricsSources {
  readonly sync: SyncMetrics;
  readonly plane: () => PlaneState;
  readonly services: () => ServiceCounts;
  readonly policies: () => readonly PolicyTotal[];
  /** Kind → number of objects known. */
  readonly objects: () => Readonly<Record<string, number>>;
  readonly ready: () => boolean;
  /** Of a source that somebody serves. */
  readonly source?: () => SourceHealth | undefined;
  /** Answers of the health server by status. */
  readonly healthz: ReadonlyMap<number, number>;
  readonly livez: ReadonlyMap<number, number>;
}

/** podwire's own metrics; those of the process come from prom-client. */
export function metricsPage(sources: MetricsSources): string {
  const out = new Exposition();
  const node = process.versions.node;
  out
    .gauge("podwire_build_info", "What runs; always 1.", [
      { labels: { version: VERSION, nodejs_version: node }, value: 1 },
    ])
    .gauge("podwire_ready", "1: objects are known, the node is, and every pod has its port.", [
      { value: sources.ready() ? 1 : 0 },
    ])
    .gauge(
      "podwire_objects",
      "Kubernetes objects known, by kind.",
      Object.entries(sources.objects()).map(([kind, value]) => ({ labels: { kind }, value })),
    );
  writeSource(out, sources.source?.());
  sources.sync.write(out);
  writeServices(out, sources.services());
  for (const [name, answers] of [
    ["healthz", sources.healthz],
    ["livez", sources.livez],
  ] as const) {
    out.counter(
      `kubeproxy_proxy_${name}_total`,
      `Cumulative proxy ${name} HTTP status`,
      [...answers].map(([code, value]) => ({ labels: { code: String(code) }, value })),
    );
  }
  out.counter(
    "podwire_policy_packets_total",
    "Packets that policies were asked about: the first of a connection, or each that was denied.",
    sources.policies().map(({ policy, direction, verdict, packets }) => ({
      labels: { policy, direction, verdict },
      value: packets,
    })),
  );
  writePlaneMetrics(out, sources.plane());
  return out.toString();
}

function writeSource(out: Exposition, health: SourceHealth | undefined): void {
  if (health === undefined) return;
  out
    .gauge("podwire_source_up", "1: nothing keeps the agent from hearing of changes of objects.", [
      { value: health.problem === "" ? 1 : 0 },
    ])
    .gauge("podwire_source_refused_objects", "Objects that cannot be used; status tells why.", [
      { value: health.refused.size },
    ]);
  if (health.silentSeconds < 0) return;
  out.gauge("podwire_source_silent_seconds", "Since the API server was heard of.", [
    { value: health.silentSeconds },
  ]);
}

function writeServices(out: Exposition, counts: ServiceCounts): void {
  const { servicePorts, hostPorts, noLocalInternal, noLocalExternal } = counts;
  out
    .gauge("podwire_service_ports", "Service ports in the data plane, by family.", [{ value: servicePorts }])
    .gauge("podwire_host_ports", "Host ports of the node's pods in the data plane, by family.", [
      { value: hostPorts },
    ])
    .gauge(
      "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
      "Number of services with a Local traffic policy and no endpoints",
      [
        { labels: { traffic_policy: "internal" }, value: noLocalInternal },
        { labels: { traffic_policy: "external" }, value: noLocalExternal },
      ],
    );
}
