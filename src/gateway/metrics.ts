// What the gateway counts: requests by rule, backend and status, how long they took, and what is open.
import { Exposition } from "../observe/exposition.ts";
import type { Finished } from "./exchange/front.ts";
import type { StreamRecord } from "./l4/tcp-front.ts";
import type { UdpCounts } from "./l4/udp-front.ts";
import { RequestCounts, type Series } from "./request-counts.ts";
import type { ClusterGauges } from "./upstream/cluster.ts";

const NOTHING = { count: 0, broken: 0, bytesIn: 0, bytesOut: 0 };
const STREAMS_MAX = 20_000; // rules come and go; what is beyond is counted under no rule

export interface GatewayGauges {
  readonly clusters: readonly ClusterGauges[];
  readonly connections: readonly { readonly port: number; readonly open: number }[];
  readonly flows: readonly (UdpCounts & { readonly port: number })[];
  /** Lines of the access log. */
  readonly logLost: number;
  /** Of requests. */
  readonly copies: { readonly sent: number; readonly leftOut: number };
}

interface StreamSeries {
  readonly rule: string;
  readonly backend: string;
  count: number;
  /** Ended otherwise than by both ends' will, those counted that no backend got. */
  broken: number;
  bytesIn: number;
  bytesOut: number;
}

export class GatewayMetrics {
  readonly #requests = new RequestCounts();
  readonly #refused = new Map<number, number>();
  readonly #streams = new Map<string, StreamSeries>();
  retries = 0;

  done({ decision, cluster, status, startMs, bytesIn, bytesOut, tries }: Finished): void {
    const seconds = (performance.now() - startMs) / 1000;
    this.#requests.add(decision?.rule ?? "", cluster?.name ?? "", status, seconds, bytesIn, bytesOut);
    if (tries > 1) this.retries += tries - 1;
  }

  stream({ rule = "", backend = "", sent, received, reason }: StreamRecord): void {
    const key = this.#streams.size < STREAMS_MAX ? `${rule} ${backend}` : "";
    let series = this.#streams.get(key);
    if (series === undefined) {
      series = { ...(key === "" ? { rule: "", backend: "" } : { rule, backend }), ...NOTHING };
      this.#streams.set(key, series);
    }
    series.count++;
    if (reason !== "") series.broken++;
    series.bytesIn += sent;
    series.bytesOut += received;
  }

  refused(status: number): void {
    this.#refused.set(status, (this.#refused.get(status) ?? 0) + 1);
  }

  /** Prometheus' text. */
  text({ clusters, connections, flows, logLost, copies }: GatewayGauges): string {
    const page = new Exposition();
    const all = this.#requests.all();
    const labels = ({ rule, backend }: Series) => ({ rule, backend });
    page.counter(
      "podwire_gateway_requests_total",
      "Requests that were answered, by rule, backend and status.",
      all.flatMap((each) =>
        each.byStatus.map(([code, value]) => ({ labels: { ...labels(each), code: String(code) }, value })),
      ),
    );
    page.histogram(
      "podwire_gateway_request_duration_seconds",
      "From a request's head to the end of its answer.",
      all.map((each) => ({ labels: labels(each), histogram: each.seconds })),
    );
    page.counter(
      "podwire_gateway_request_bytes_total",
      "Bytes of bodies that clients sent.",
      all.map((each) => ({ labels: labels(each), value: each.bytesIn })),
    );
    page.counter(
      "podwire_gateway_response_bytes_total",
      "Bytes of bodies that clients got.",
      all.map((each) => ({ labels: labels(each), value: each.bytesOut })),
    );
    page.counter(
      "podwire_gateway_refused_total",
      "Requests that were none, by the status that they got; 0: the connection was ended.",
      [...this.#refused].map(([code, value]) => ({ labels: { code: String(code) }, value })),
    );
    page.counter("podwire_gateway_retries_total", "Tries beyond the first.", [{ value: this.retries }]);
    const { sent, leftOut } = copies;
    page.counter("podwire_gateway_copies_total", "Copies of requests for mirrors.", [{ value: sent }]);
    page.counter(
      "podwire_gateway_copies_left_out_total",
      "Copies not sent, or not to their end: too many were under way, or who gets them is too slow.",
      [{ value: leftOut }],
    );
    page.gauge(
      "podwire_gateway_connections",
      "Clients' connections.",
      connections.map(({ port, open }) => ({ labels: { port: String(port) }, value: open })),
    );
    page.counter("podwire_gateway_log_lost_total", "Lines of the access log that could not be written.", [
      { value: logLost },
    ]);
    this.#backends(page, clusters);
    this.#streamsAndFlows(page, flows);
    return page.toString();
  }

  #streamsAndFlows(page: Exposition, flows: GatewayGauges["flows"]): void {
    const counter = (name: string, help: string, value: (each: StreamSeries) => number): void => {
      const samples = [...this.#streams.values()].map((each) => {
        return { labels: { rule: each.rule, backend: each.backend }, value: value(each) };
      });
      page.counter(`podwire_gateway_${name}`, help, samples);
    };
    counter(
      "streams_total",
      "Connections that carried no requests, and those that were ended before.",
      (s) => s.count,
    );
    counter(
      "streams_broken_total",
      "Of these, what ended otherwise than by both ends' will.",
      (s) => s.broken,
    );
    counter("stream_sent_bytes_total", "Bytes that backends got of them.", (s) => s.bytesIn);
    counter("stream_received_bytes_total", "Bytes that clients got of them.", (s) => s.bytesOut);
    const byPort = (value: (each: UdpCounts) => number) =>
      flows.map((each) => ({ labels: { port: String(each.port) }, value: value(each) }));
    const udp = "podwire_gateway_udp";
    page.gauge(
      `${udp}_flows`,
      "Clients' flows of datagrams.",
      byPort((each) => each.flows),
    );
    page.counter(
      `${udp}_received_total`,
      "Datagrams that clients sent.",
      byPort((each) => each.received),
    );
    page.counter(
      `${udp}_answered_total`,
      "Datagrams that endpoints sent.",
      byPort((each) => each.answered),
    );
    page.counter(
      `${udp}_dropped_total`,
      "Datagrams that nobody got.",
      byPort((each) => each.dropped),
    );
  }

  #backends(page: Exposition, clusters: readonly ClusterGauges[]): void {
    const gauge = (name: string, help: string, value: (each: ClusterGauges) => number): void => {
      const samples = clusters.map((each) => ({ labels: { backend: each.name }, value: value(each) }));
      page.gauge(`podwire_gateway_backend_${name}`, help, samples);
    };
    gauge("endpoints", "Endpoints of a Service's port.", ({ endpoints }) => endpoints);
    gauge("ejected", "Endpoints that are left alone for a while.", ({ ejected }) => ejected);
    gauge("requests", "Requests under way.", ({ active }) => active);
    gauge("connections", "Connections to its endpoints.", ({ connections }) => connections);
  }
}
