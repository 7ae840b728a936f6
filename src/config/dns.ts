/**
 * DNSConfiguration (podwire.dev/v1alpha1): what `podwire dns` serves where, and whom it asks. A lab's `spec.dns` has
 * its settings.
 */
import { formatIp, parseIp } from "../base/ip.ts";
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";
import * as names from "../kube/validate/names.ts";
import type { KubernetesSource } from "./agent.ts";
import { type HostPort, parseHostPort } from "./host-port.ts";
import { checkSchema } from "./schema.ts";

export interface DnsCache {
  /** Answers of other servers; 0: none are kept. */
  readonly size: number;
  /** Seconds. */
  readonly maxTtl: number;
  readonly maxNegativeTtl: number;
}

/** Somebody who asks for us, at a socket: queries as by TCP. */
export interface SocketPath {
  readonly path: string;
}

export interface DnsHost {
  readonly ip: string;
  /** In lower case. */
  readonly hostnames: readonly string[];
}

/** What it says, wherever it listens. */
export interface DnsSettings {
  readonly zone: string;
  /** Of the cluster's records, seconds. */
  readonly ttl: number;
  /** Servers for all other names; "host": those of the machine's resolv.conf; null: nobody is asked. */
  readonly forward: readonly (HostPort | SocketPath)[] | "host" | null;
  readonly stubDomains: readonly { readonly domain: string; readonly servers: readonly HostPort[] }[];
  readonly hosts: readonly DnsHost[];
  readonly cache: DnsCache;
  /** Goes through a pod's search domains for it. */
  readonly autopath: boolean;
  /** A line for each query. */
  readonly log: boolean;
}

export interface DnsConfig extends DnsSettings {
  readonly listen: readonly HostPort[];
  /** null: no metrics. */
  readonly metrics: HostPort | null;
  /** undefined: the cluster's names are asked for, like all others. */
  readonly source:
    | { readonly files: readonly string[] }
    | { readonly kubernetes: Omit<KubernetesSource, "stateFile"> }
    | undefined;
}

export interface RawDns {
  zone?: string;
  ttl?: number;
  forward?: string | string[];
  stubDomains?: Record<string, string[]>;
  hosts?: { ip: string; hostnames: string[] }[];
  cache?: Partial<DnsCache>;
  autopath?: boolean;
  log?: boolean;
}

/** A lab's `spec.dns`. */
export interface RawLabDns extends RawDns {
  enabled?: boolean;
}

interface RawConfig extends RawDns {
  listen?: string[];
  metrics?: string;
  source?: DnsConfig["source"];
}

const DNS_PORT = 53;
const ZONE = "cluster.local";
const TTL = 5; // CoreDNS' default
const CACHE: DnsCache = { size: 10_000, maxTtl: 3600, maxNegativeTtl: 300 };
const LISTEN = "127.0.0.1:5300";
const UNIX = "unix:";
const SERVER_TEXT = "must be IP or IP:port ([IP]:port for IPv6)";

/** Schema and values of a DNSConfiguration; undefined when there are problems. */
export function dnsConfig(value: unknown, problems: FieldProblems): DnsConfig | undefined {
  checkSchema("DNSConfiguration", value, problems);
  if (problems.any) return undefined;
  const raw = value as RawConfig;
  const listen = (raw.listen ?? [LISTEN]).flatMap((text, i) => server(text, ["listen", i], problems));
  const metrics = raw.metrics === undefined ? null : parseHostPort(raw.metrics);
  if (raw.metrics !== undefined && metrics === null)
    problems.invalid(["metrics"], raw.metrics, "must be IP:port, (e.g. 127.0.0.1:9153)");
  if (raw.listen?.length === 0) problems.required(["listen"], "an address to be asked at");
  const config = { ...dnsSettings(raw, [], problems), listen, metrics, source: raw.source };
  return problems.any ? undefined : config;
}

/** Of a lab; null: it has no DNS. */
export function labDns({ enabled = true, ...raw }: RawLabDns, problems: FieldProblems): DnsSettings | null {
  const settings = dnsSettings(raw, ["spec", "dns"], problems);
  return enabled ? settings : null;
}

/** Values that the schema cannot judge. */
function dnsSettings(raw: RawDns, at: FieldPath, problems: FieldProblems): DnsSettings {
  const { zone = ZONE, ttl = TTL, forward = "host", autopath = false, log = false } = raw;
  const stubDomains = Object.entries(raw.stubDomains ?? {}).map(([domain, texts]) => {
    const path = [...at, "stubDomains", domain];
    names.checkName(problems, path, domain, names.dns1123Subdomain);
    if (texts.length === 0) problems.required(path, "a server");
    return { domain, servers: texts.flatMap((text, i) => server(text, [...path, i], problems)) };
  });
  names.checkName(problems, [...at, "zone"], zone, names.dns1123Subdomain);
  return {
    ...{ zone, ttl, stubDomains, autopath, log },
    forward: forwardOf(forward, [...at, "forward"], problems),
    hosts: (raw.hosts ?? []).map((host, i) => hostOf(host, [...at, "hosts", i], problems)),
    cache: { ...CACHE, ...raw.cache },
  };
}

/** Of the command line: "none", "host" or servers. undefined: it is none of these. */
export function parseForward(text: string): DnsSettings["forward"] | undefined {
  if (text === "none") return null;
  if (text === "host") return text;
  const servers = text.split(",").map((part) => parseAsked(part.trim()));
  return servers.every((each) => each !== null) ? servers : undefined;
}

function forwardOf(
  forward: string | readonly string[],
  path: FieldPath,
  problems: FieldProblems,
): DnsSettings["forward"] {
  if (forward === "none") return null;
  if (forward === "host") return forward;
  if (typeof forward === "string") {
    const servers = parseForward(forward);
    if (servers === undefined)
      problems.invalid(path, forward, "must be host, none, or servers as IP or IP:port");
    return servers ?? null;
  }
  if (forward.length === 0) problems.required(path, "a server, or none");
  return forward.flatMap((text, i): (HostPort | SocketPath)[] =>
    text.startsWith(UNIX) ? [{ path: text.slice(UNIX.length) }] : server(text, [...path, i], problems),
  );
}

function hostOf(
  { ip, hostnames }: { ip: string; hostnames: string[] },
  path: FieldPath,
  problems: FieldProblems,
): DnsHost {
  names.checkIp(problems, [...path, "ip"], ip);
  if (hostnames.length === 0) problems.required([...path, "hostnames"]);
  for (const [i, name] of hostnames.entries())
    names.checkName(problems, [...path, "hostnames", i], name, names.dns1123Subdomain);
  const address = parseIp(ip);
  return { ip: address === null ? ip : formatIp(address), hostnames };
}

function server(text: string, path: FieldPath, problems: FieldProblems): HostPort[] {
  const found = parseServer(text);
  if (found === null) problems.invalid(path, text, SERVER_TEXT);
  return found === null ? [] : [found];
}

function parseAsked(text: string): HostPort | SocketPath | null {
  return text.startsWith(UNIX) ? { path: text.slice(UNIX.length) } : parseServer(text);
}

/** Port 53 where there is none. Null: it is no address. */
function parseServer(text: string): HostPort | null {
  const address = parseIp(text);
  return address === null ? parseHostPort(text) : { address: formatIp(address), port: DNS_PORT };
}
