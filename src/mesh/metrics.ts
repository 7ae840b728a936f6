// What a proxy counts: connections and bytes by who is at their ends, and what was refused, and why.
import { Exposition, exponentialBounds, Histogram, type Labels } from "../observe/exposition.ts";
import type { Parties } from "./carry/carrier.ts";
import type { ConnectionRecord, Refusal } from "./carry/record.ts";
import type { RequestRecord } from "./http/inbound-http.ts";
import type { MeshPod } from "./world.ts";

const REQUEST_SECONDS = exponentialBounds(0.000_5, 2, 16);
const SECONDS = exponentialBounds(0.001, 4, 12);
const SERIES_MAX = 10_000; // workloads come and go; what is beyond is counted under no names
const WORKLOAD_LABELS = ["app.kubernetes.io/name", "app", "k8s-app"];

interface Series {
  readonly labels: Labels;
  opened: number;
  closed: number;
  broken: number;
  sent: number;
  received: number;
  readonly seconds: Histogram;
  /** Of requests, by status. */
  readonly codes: Map<number, number>;
  readonly requestSeconds: Histogram;
}

export interface MeshGauges {
  readonly connections: number;
  /** Sessions with other proxies, to them and of them. */
  readonly out: number;
  readonly in: number;
  /** Lines of the access log. */
  readonly logLost: number;
  readonly certificates: readonly { readonly id: string; readonly notAfterMs: number }[];
}

export class MeshMetrics {
  readonly #series = new Map<string, Series>();
  readonly #refused = new Map<string, { readonly labels: Labels; value: number }>();
  #audited = 0;

  opened(parties: Parties, service: string): void {
    this.#of(parties, service).opened++;
  }

  ended(record: ConnectionRecord): void {
    this.#audited += record.audited.length;
    if (record.refusal !== undefined) {
      this.#refuse(record.side, record.refusal);
      return;
    }
    const series = this.#of(record, record.service);
    series.closed++;
    if (record.brokenBy !== "") series.broken++;
    series.sent += record.sent;
    series.received += record.received;
    series.seconds.observe(record.durationMs / 1000);
  }

  requested({ parties, exchange, audited }: RequestRecord, service: string): void {
    this.#audited += audited.length;
    const { codes, requestSeconds } = this.#of(parties, service);
    codes.set(exchange.status, (codes.get(exchange.status) ?? 0) + 1);
    requestSeconds.observe((performance.now() - exchange.startMs) / 1000);
  }

  refusedPeer(why: Refusal): void {
    this.#refuse("peer", why);
  }

  /** Prometheus' text. */
  text(gauges: MeshGauges): string {
    const page = new Exposition();
    this.#counts(page);
    this.#times(page);
    page.counter("podwire_mesh_refused_total", "Connections that were not carried, by side and reason.", [
      ...this.#refused.values(),
    ]);
    page.counter("podwire_mesh_audited_total", "Connections that a policy of AUDIT has met.", [
      { value: this.#audited },
    ]);
    page.counter("podwire_mesh_log_lost_total", "Lines of the access log that could not be written.", [
      { value: gauges.logLost },
    ]);
    page.gauge("podwire_mesh_connections", "Connections that are carried.", [{ value: gauges.connections }]);
    page.gauge("podwire_mesh_sessions", "Connections between proxies.", [
      { labels: { direction: "out" }, value: gauges.out },
      { labels: { direction: "in" }, value: gauges.in },
    ]);
    page.gauge(
      "podwire_mesh_certificate_expiration_timestamp_seconds",
      "When an identity's certificate ends.",
      gauges.certificates.map(({ id, notAfterMs }) => ({
        labels: { identity: id },
        value: notAfterMs / 1000,
      })),
    );
    return page.toString();
  }

  #counts(page: Exposition): void {
    const all = [...this.#series.values()];
    const counter = (name: string, help: string, value: (each: Series) => number): Exposition =>
      page.counter(
        `podwire_mesh_${name}_total`,
        help,
        all.map((each) => ({ labels: each.labels, value: value(each) })),
      );
    counter("connections_opened", "Connections that are carried, or were.", (s) => s.opened);
    counter("connections_closed", "Of these, those that are over.", (s) => s.closed);
    counter("connections_broken", "Of these, what ended otherwise than by both ends' will.", (s) => s.broken);
    counter("sent_bytes", "Bytes of clients, counted when a connection is over.", (s) => s.sent);
    counter("received_bytes", "Bytes of servers, counted when a connection is over.", (s) => s.received);
    page.counter(
      "podwire_mesh_requests_total",
      "Requests of HTTP that were answered, by status.",
      all.flatMap(({ labels, codes }) =>
        [...codes].map(([code, value]) => ({ labels: { ...labels, code: String(code) }, value })),
      ),
    );
  }

  #times(page: Exposition): void {
    const all = [...this.#series.values()];
    page.histogram(
      "podwire_mesh_connection_duration_seconds",
      "How long connections were carried.",
      all.map(({ labels, seconds }) => ({ labels, histogram: seconds })),
    );
    page.histogram(
      "podwire_mesh_request_duration_seconds",
      "From a request's head to the end of its answer.",
      all
        .filter(({ codes }) => codes.size > 0)
        .map(({ labels, requestSeconds }) => ({ labels, histogram: requestSeconds })),
    );
  }

  #refuse(side: string, { code }: Refusal): void {
    const key = `${side} ${code}`;
    const known = this.#refused.get(key) ?? { labels: { side, reason: code }, value: 0 };
    known.value++;
    this.#refused.set(key, known);
  }

  #of(
    { side, source, destination }: Pick<Parties, "side" | "source" | "destination">,
    service: string,
  ): Series {
    const labels = {
      side,
      source_namespace: source?.namespace ?? "",
      source_workload: workloadOf(source),
      destination_namespace: destination?.namespace ?? "",
      destination_workload: workloadOf(destination),
      destination_service: service,
    };
    const key = Object.values(labels).join(" ");
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (
      this.#series.size >= SERIES_MAX &&
      (source !== undefined || destination !== undefined || service !== "")
    )
      return this.#of({ side, source: undefined, destination: undefined }, "");
    const made: Series = {
      ...{ labels, opened: 0, closed: 0, broken: 0, sent: 0, received: 0, seconds: new Histogram(SECONDS) },
      ...{ codes: new Map(), requestSeconds: new Histogram(REQUEST_SECONDS) },
    };
    this.#series.set(key, made);
    return made;
  }
}

/** As its pods are labelled; else its service account, of which there are never many. */
function workloadOf(pod: MeshPod | undefined): string {
  if (pod === undefined) return "";
  const label = WORKLOAD_LABELS.find((each) => Object.hasOwn(pod.labels, each));
  return label === undefined ? pod.identity.serviceAccount : pod.labels[label];
}
