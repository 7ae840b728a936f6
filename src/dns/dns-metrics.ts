/** What the server counts, under CoreDNS' names where they mean the same: its dashboards show this server, too. */
import { Exposition, exponentialBounds, Histogram, type Labels, type Sample } from "../observe/exposition.ts";
import { rcodeName, typeName } from "./query.ts";
import type { Protocol } from "./upstream.ts";

/** Types that are told apart; all others are "other", as there. */
const TYPES = new Set([
  ...[
    "A",
    "AAAA",
    "CNAME",
    "MX",
    "NS",
    "PTR",
    "SOA",
    "SRV",
    "TXT",
    "DNSKEY",
    "DS",
    "RRSIG",
    "HTTPS",
    "SVCB",
    "ANY",
  ],
]);
const SECONDS = exponentialBounds(0.000_25, 2, 16);
const OCTETS = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16_000, 32_000, 48_000, 64_000];

export interface Gauges {
  readonly hits: number;
  readonly denials: number;
  readonly misses: number;
  readonly autopaths: number;
  readonly cached: number;
  readonly rejected: number;
  readonly hosts: number;
}

export class DnsMetrics {
  /** By protocol, family and type in one number: a text for each query would be what it costs most. */
  readonly #requests = new Map<number, number>();
  /** By who answered, and code. */
  readonly #responses = new Map<string, Map<number, number>>();
  readonly #seconds = new Histogram(SECONDS);
  readonly #asked = { udp: new Histogram(OCTETS), tcp: new Histogram(OCTETS) };
  readonly #answered = { udp: new Histogram(OCTETS), tcp: new Histogram(OCTETS) };
  readonly #upstream = new Map<string, Histogram>();
  readonly #server: string;
  readonly #zone: string;
  /** Messages that were no queries, and had no answer. */
  dropped = 0;
  /** Mistakes of ours. */
  panics = 0;

  constructor(server: string, zone: string) {
    this.#server = server;
    this.#zone = zone;
  }

  done(protocol: Protocol, family: 4 | 6, type: number, rcode: number, by: string): void {
    add(this.#requests, (type << 2) | (protocol === "tcp" ? TCP : 0) | (family === 6 ? SIX : 0));
    let codes = this.#responses.get(by);
    if (codes === undefined) {
      codes = new Map();
      this.#responses.set(by, codes);
    }
    add(codes, rcode);
  }

  /** From a query to its answer; octets of both. */
  took(protocol: Protocol, seconds: number, asked: number, answered: number): void {
    this.#seconds.observe(seconds);
    this.#asked[protocol].observe(asked);
    this.#answered[protocol].observe(answered);
  }

  asked(server: string, rcode: number | undefined, seconds: number): void {
    const key = `${server} ${rcode === undefined ? "" : rcodeName(rcode)}`;
    const histogram = this.#upstream.get(key) ?? new Histogram(SECONDS);
    this.#upstream.set(key, histogram);
    histogram.observe(seconds);
  }

  /** Prometheus' text. */
  text(gauges: Gauges): string {
    const own = { server: this.#server, zone: this.#zone, view: "" };
    const page = new Exposition();
    const sizes = (of: Readonly<Record<Protocol, Histogram>>) =>
      (["udp", "tcp"] as const).map((proto) => ({ labels: { ...own, proto }, histogram: of[proto] }));
    page.counter("coredns_dns_requests_total", "Queries.", this.#requestSamples(own));
    page.counter("coredns_dns_responses_total", "Answers.", this.#responseSamples(own));
    const seconds = [{ labels: own, histogram: this.#seconds }];
    page.histogram("coredns_dns_request_duration_seconds", "From a query to its answer.", seconds);
    page.histogram("coredns_dns_request_size_bytes", "Octets of queries.", sizes(this.#asked));
    page.histogram("coredns_dns_response_size_bytes", "Octets of answers.", sizes(this.#answered));
    this.#ofOthers(page, gauges);
    page.counter("coredns_panics_total", "Mistakes of the server's own.", [{ value: this.panics }]);
    const dropped = [{ labels: { server: this.#server }, value: this.dropped }];
    page.counter("podwire_dns_dropped_total", "Messages that were no queries.", dropped);
    return page.toString();
  }

  #requestSamples(own: Labels): Sample[] {
    const counts = new Map<string, number>();
    for (const [key, count] of this.#requests) {
      const named = typeName(key >>> 2);
      const family = (key & SIX) === 0 ? "1" : "2"; // as CoreDNS numbers them
      const what = `${(key & TCP) === 0 ? "udp" : "tcp"} ${family} ${TYPES.has(named) ? named : "other"}`;
      counts.set(what, (counts.get(what) ?? 0) + count);
    }
    return [...counts].map(([what, value]) => {
      const [proto, family, type] = what.split(" ");
      return { labels: { ...own, proto, family, type }, value };
    });
  }

  #responseSamples(own: Labels): Sample[] {
    return [...this.#responses].flatMap(([plugin, codes]) =>
      [...codes].map(([rcode, value]) => ({ labels: { ...own, rcode: rcodeName(rcode), plugin }, value })),
    );
  }

  #ofOthers(page: Exposition, gauges: Gauges): void {
    const own = { server: this.#server, zones: ".", view: "" };
    const { hits, denials, misses, cached, rejected, autopaths, hosts } = gauges;
    page.counter("coredns_cache_requests_total", "Questions to the cache.", [
      { labels: own, value: hits + denials + misses },
    ]);
    page.counter("coredns_cache_hits_total", "Answers from the cache.", [
      { labels: { ...own, type: "success" }, value: hits },
      { labels: { ...own, type: "denial" }, value: denials },
    ]);
    page.counter("coredns_cache_misses_total", "Questions that it could not answer.", [
      { labels: own, value: misses },
    ]);
    page.gauge("coredns_cache_entries", "Answers in the cache.", [{ labels: own, value: cached }]);
    page.histogram(
      "coredns_proxy_request_duration_seconds",
      "From a question to another server to its answer.",
      [...this.#upstream].map(([key, histogram]) => {
        const [to, rcode] = key.split(" ");
        return { labels: { proxy_name: "forward", to, rcode }, histogram };
      }),
    );
    const rejects = "Questions that were not asked since too many waited.";
    page.counter("coredns_forward_max_concurrent_rejects_total", rejects, [{ value: rejected }]);
    const paths = [{ labels: { server: this.#server }, value: autopaths }];
    page.counter("coredns_autopath_success_total", "Search domains that pods need not go through.", paths);
    page.gauge("coredns_hosts_entries", "Names that the configuration gives addresses.", [{ value: hosts }]);
  }
}

const TCP = 2;
const SIX = 1;

function add(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
