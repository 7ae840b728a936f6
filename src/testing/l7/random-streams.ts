// A random Gateway of TCP, TLS and UDP with its routes, and connections that come close to what it has: from a seed.
import { Prng } from "../prng.ts";
import { GATEWAY_GROUP, gateway } from "./random-gateway.ts";

const HOSTNAMES = ["", "a.t", "b.t", "*.t", "*.w.t", "x.w.t"];
const NAMES = ["a.t", "b.t", "c.t", "x.w.t", "y.w.t", "other.example", "A.T", ""];
const SERVICES = ["one", "two", "empty", "gone"];
const SECRETS = ["one", "two", "gone"];
const MODES = ["pass", "end", "https"];
const ENDPOINTS = 2;

/** Where endpoints are before they are moved to where servers are. */
export const STREAM_PREFIX = "10.244.";
/** The third number of their addresses; the fourth goes from 2 on. */
export const STREAM_THIRDS = [11, 12, 21, 22];
export const STREAM_FOURTHS = Array.from({ length: ENDPOINTS }, (_, i) => i + 2);

export interface StreamPorts {
  readonly tcp: number;
  readonly udp: number;
  readonly http: number;
  readonly tls: readonly number[];
}

export interface AskedConnection {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  readonly sni: string | undefined;
}

export interface RandomStreams {
  readonly objects: object[];
  readonly connections: AskedConnection[];
}

/** `secrets`: by name, "one" and "two"; `served`: ports of their servers. */
export function randomStreams(
  seed: number,
  connections: number,
  world: {
    readonly ports: StreamPorts;
    readonly served: { readonly tcp: number; readonly udp: number };
    readonly secrets: readonly object[];
  },
): RandomStreams {
  const random = new Prng(seed);
  const { ports } = world;
  const listeners = [
    ...(random.below(5) > 0 ? [{ name: "tcp", port: ports.tcp, protocol: "TCP" }] : []),
    ...(random.below(5) > 0 ? [{ name: "udp", port: ports.udp, protocol: "UDP" }] : []),
    ...(random.below(3) > 0 ? [{ name: "http", port: ports.http, protocol: "HTTP" }] : []),
    ...ports.tls.flatMap((port, i) => tlsListeners(random, port, i)),
  ];
  const names = listeners.map(({ name }) => name);
  const used = names.length === 0 ? [{ name: "tcp", port: ports.tcp, protocol: "TCP" }] : listeners;
  const routes = Array.from({ length: 2 + random.below(7) }, (_, i) => randomRoute(random, i, names));
  const services = ["shop", "other"].flatMap((namespace, i) =>
    ["one", "two", "empty"].flatMap((name, j) =>
      service(namespace, name, name === "empty" ? 0 : STREAM_THIRDS[i * 2 + j], world.served),
    ),
  );
  const grant = {
    ...{ apiVersion: `${GATEWAY_GROUP}/v1beta1`, kind: "ReferenceGrant" },
    metadata: { name: "g", namespace: "other" },
    spec: {
      from: ["TCPRoute", "TLSRoute"].map((kind) => ({ group: GATEWAY_GROUP, kind, namespace: "shop" })),
      to: [{ group: "", kind: "Service" }],
    },
  };
  return {
    objects: [
      ...[...services, ...world.secrets, gateway(used), ...routes],
      ...(random.below(2) === 0 ? [grant] : []),
    ],
    connections: Array.from({ length: connections }, () => randomConnection(random, ports)),
  };
}

interface Listener {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

function tlsListeners(random: Prng, port: number, index: number): Listener[] {
  return HOSTNAMES.filter(() => random.below(3) === 0).map((hostname, i) => {
    const mode = random.pick(MODES);
    const certificateRefs = [{ name: random.pick(SECRETS) }, { name: random.pick(SECRETS) }].slice(
      random.below(2),
    );
    return {
      ...{ name: `tls-${index}-${i}`, port, protocol: mode === "https" ? "HTTPS" : "TLS" },
      ...(hostname !== "" && { hostname }),
      tls: mode === "pass" ? { mode: "Passthrough" } : { mode: "Terminate", certificateRefs },
    };
  });
}

function randomRoute(random: Prng, index: number, listeners: readonly string[]): object {
  const kind = random.pick(["TCPRoute", "UDPRoute", "TLSRoute", "TLSRoute"]);
  const hostnames = HOSTNAMES.filter((name) => name !== "" && random.below(3) === 0);
  const isNamed = listeners.length > 0 && random.below(3) > 0;
  const refs = Array.from({ length: 1 + random.below(3) }, () => ({
    ...{ name: random.pick(SERVICES), port: random.pick([80, 80, 80, 81]) },
    weight: random.pick([0, 1, 1, 3]),
    ...(random.below(4) === 0 && { namespace: "other" }),
  }));
  return {
    ...{ apiVersion: `${GATEWAY_GROUP}/v1alpha2`, kind },
    metadata: {
      ...{ name: `r${random.below(100)}-${index}`, namespace: "shop" },
      ...(random.below(2) === 0 && { creationTimestamp: `2026-01-0${1 + random.below(3)}T00:00:00Z` }),
    },
    spec: {
      parentRefs: [{ name: "gw", ...(isNamed && { sectionName: random.pick(listeners) }) }],
      ...(kind === "TLSRoute" && { hostnames: hostnames.length === 0 ? ["a.t"] : hostnames }),
      rules: [{ backendRefs: refs }],
    },
  };
}

function randomConnection(random: Prng, { tcp, udp, http, tls }: StreamPorts): AskedConnection {
  const port = random.pick([tcp, udp, http, ...tls, ...tls, ...tls]);
  if (port === udp) return { protocol: "udp", port, sni: undefined };
  const hasTls = port !== http && random.below(port === tcp ? 3 : 8) > 0;
  return { protocol: "tcp", port, sni: hasTls ? random.pick(NAMES) : undefined };
}

/** `third`: of its endpoints' addresses; 0: it has none. */
function service(
  namespace: string,
  name: string,
  third: number,
  served: { readonly tcp: number; readonly udp: number },
): object[] {
  const protocols = ["TCP", "UDP"] as const;
  return [
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace } },
      spec: {
        clusterIP: `10.96.0.${third + (namespace === "shop" ? 1 : 2)}`,
        ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), port: 80, protocol })),
      },
    },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
      metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
      ports: protocols.map((protocol) => {
        const port = protocol === "TCP" ? served.tcp : served.udp;
        return { name: protocol.toLowerCase(), protocol, port };
      }),
      endpoints: (third === 0 ? [] : STREAM_FOURTHS).map((fourth) => ({
        addresses: [`${STREAM_PREFIX}${third}.${fourth}`],
      })),
    },
  ];
}
