/**
 * What of a cluster's objects names are made of: namespaces, Services with the endpoints of their slices, pods by
 * address. It follows events; what a Service's names say is worked out when somebody asks and kept until it changes.
 */
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { type EndpointSlice, keyOf, type Pod, type Service } from "../kube/objects.ts";
import { type ObjectEvent, ObjectGraph } from "../watch/desired-state.ts";

export interface NamedPort {
  /** "": it has no name, and no SRV record of its own. */
  readonly name: string;
  /** In lower case. */
  readonly protocol: string;
  /** -1: of what has no ports at all. */
  readonly port: number;
}

export interface NamedEndpoint {
  readonly address: Ip;
  /** Its label below the Service's name. */
  readonly label: string;
  readonly ports: readonly NamedPort[];
}

export interface NamedService {
  readonly namespace: string;
  readonly name: string;
  readonly kind: "cluster" | "headless" | "external";
  /** Of a kind of its own: what it stands for, without a dot at the end; "" where that is no name. */
  readonly externalName: string;
  readonly addresses: readonly Ip[];
  readonly ports: readonly NamedPort[];
  /** Those that are ready, or count as it. */
  readonly endpoints: readonly NamedEndpoint[];
}

const NO_PORTS: readonly NamedPort[] = [{ name: "", protocol: "", port: -1 }];
/** Before there was a field for it; the specification still names it. */
const TOLERATE = "service.alpha.kubernetes.io/tolerate-unready-endpoints";

export class ZoneObjects {
  readonly #graph = new ObjectGraph();
  readonly #services = new Map<string, NamedService | undefined>();
  /** Address → keys of what has it. */
  readonly #podsByIp = new Keys();
  readonly #servicesByIp = new Keys();
  readonly #endpointsByIp = new Keys();
  /** How many Services and pods a namespace has: files need not name it. */
  readonly #used = new Map<string, Set<string>>();
  #read: Set<string> | undefined;
  /** Told of each fact that has changed, by the key that `reading` gives. */
  onChanged: (fact: string) => void = () => {};

  apply(events: readonly ObjectEvent[]): void {
    for (const event of events) {
      const { object, type } = event;
      this.#graph.onEvent(event);
      if (object.kind === "Pod") this.#podChanged(object as Pod, type === "DELETED");
      if (object.kind === "Namespace") this.onChanged(`namespace ${object.metadata.name}`);
    }
    for (const key of this.#graph.take().services) this.#serviceChanged(key);
  }

  /** What `run` finds out, and the facts that it asked for: as long as none of them changes, it finds the same. */
  reading<T>(run: () => T): { readonly found: T; readonly facts: ReadonlySet<string> } {
    const facts = new Set<string>();
    this.#read = facts;
    try {
      return { found: run(), facts };
    } finally {
      this.#read = undefined;
    }
  }

  hasNamespace(name: string): boolean {
    this.#read?.add(`namespace ${name}`);
    return this.#graph.namespaces.has(name) || this.#used.has(name);
  }

  service(namespace: string, name: string): NamedService | undefined {
    return this.#service(`${namespace}/${name}`);
  }

  /** Pods that have this address of their own, as their status says; `text` is canonical. */
  podsAt(text: string): Pod[] {
    this.#read?.add(`pod ${text}`);
    return [...this.#podsByIp.of(text)].flatMap((key) => this.#graph.pods.get(key) ?? []);
  }

  /** The Service with this ClusterIP. */
  serviceAt(text: string): NamedService | undefined {
    this.#read?.add(`address ${text}`);
    const [key] = this.#servicesByIp.of(text);
    return key === undefined ? undefined : this.#service(key);
  }

  /** Services that have an endpoint with this address. */
  servicesOfEndpoint(text: string): NamedService[] {
    this.#read?.add(`endpoint ${text}`);
    return [...this.#endpointsByIp.of(text)].flatMap((key) => this.#service(key) ?? []);
  }

  get counts(): { services: number; pods: number } {
    return { services: this.#graph.services.size, pods: this.#graph.pods.size };
  }

  #podChanged(pod: Pod, gone: boolean): void {
    const key = keyOf(pod);
    const isOver = gone || pod.status.phase === "Succeeded" || pod.status.phase === "Failed"; // its address is another's
    const ips = isOver ? [] : [...(pod.status.podIPs ?? []).map(({ ip }) => ip), pod.status.podIP];
    this.#changed("pod", this.#podsByIp.put(key, ips.flatMap(canonical)));
    this.#uses(`pod ${key}`, pod.metadata.namespace ?? "", !gone);
  }

  #serviceChanged(key: string): void {
    this.#services.delete(key);
    const service = this.#service(key);
    const endpoints = (service?.endpoints ?? []).map(({ address }) => formatIp(address));
    this.#changed("service", [key]);
    this.#changed("address", this.#servicesByIp.put(key, (service?.addresses ?? []).map(formatIp)));
    this.#changed("endpoint", this.#endpointsByIp.put(key, endpoints));
    this.#uses(`service ${key}`, key.slice(0, key.indexOf("/")), service !== undefined);
  }

  #changed(what: string, keys: Iterable<string>): void {
    for (const key of keys) this.onChanged(`${what} ${key}`);
  }

  #uses(what: string, namespace: string, does: boolean): void {
    const users = this.#used.get(namespace) ?? new Set();
    const before = users.size > 0;
    if (does) users.add(what);
    else users.delete(what);
    if (users.size > 0) this.#used.set(namespace, users);
    else this.#used.delete(namespace);
    if (before !== users.size > 0) this.#changed("namespace", [namespace]);
  }

  #service(key: string): NamedService | undefined {
    this.#read?.add(`service ${key}`);
    if (this.#services.has(key)) return this.#services.get(key);
    const service = this.#graph.services.get(key);
    const named =
      service === undefined ? undefined : namedService(service, this.#graph.slices.get(key) ?? []);
    if (service !== undefined) this.#services.set(key, named); // who asks for names that are none fills nothing
    return named;
  }
}

function namedService(service: Service, slices: readonly EndpointSlice[]): NamedService {
  const { spec, metadata } = service;
  const addresses = (spec.clusterIPs ?? [spec.clusterIP]).flatMap((text) => parseIp(text ?? "") ?? []);
  const isExternal = spec.type === "ExternalName";
  const ports = (spec.ports ?? []).map(({ name = "", protocol = "TCP", port }) => ({
    ...{ name, protocol: protocol.toLowerCase(), port },
  }));
  const externalName = isExternal ? (spec.externalName ?? "").replace(/\.$/, "") : "";
  return {
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    kind: isExternal ? "external" : isHeadless(service) ? "headless" : "cluster",
    externalName: parseIp(externalName) === null ? externalName : "",
    addresses: isExternal ? [] : addresses,
    ports: ports.length === 0 ? NO_PORTS : ports,
    endpoints: slices.flatMap((slice) => endpointsOf(slice, countsUnready(service))),
  };
}

function isHeadless({ spec }: Service): boolean {
  return (spec.clusterIPs?.[0] ?? spec.clusterIP) === "None";
}

function countsUnready({ spec, metadata }: Service): boolean {
  return spec.publishNotReadyAddresses === true || metadata.annotations?.[TOLERATE] === "true";
}

function endpointsOf(slice: EndpointSlice, countUnready: boolean): NamedEndpoint[] {
  const ports = (slice.ports ?? []).flatMap(({ name, protocol, port }) =>
    port === undefined ? [] : [{ name: name ?? "", protocol: (protocol ?? "TCP").toLowerCase(), port }],
  );
  return slice.endpoints.flatMap(({ addresses, conditions, hostname = "" }) => {
    if (conditions?.ready === false && !countUnready) return [];
    return addresses.flatMap((text): NamedEndpoint[] => {
      const address = parseIp(text); // of a slice of names it is none
      if (address === null) return [];
      const label = (hostname || formatIp(address).replaceAll(/[.:]/g, "-")).toLowerCase();
      return [{ address, label, ports: ports.length === 0 ? NO_PORTS : ports }];
    });
  });
}

function canonical(text: string | undefined): string[] {
  const address = parseIp(text ?? "");
  return address === null ? [] : [formatIp(address)];
}

/** Texts, each with the keys that were put with it. */
class Keys {
  readonly #keys = new Map<string, Set<string>>();
  readonly #texts = new Map<string, readonly string[]>();

  of(text: string): ReadonlySet<string> {
    return this.#keys.get(text) ?? NO_KEYS;
  }

  /** These are all that `key` has from now on. Returns those that it has or had, and not both. */
  put(key: string, texts: readonly string[]): string[] {
    const [before, after] = [new Set(this.#texts.get(key)), new Set(texts)];
    const gone = [...before].filter((text) => !after.has(text));
    const come = [...after].filter((text) => !before.has(text));
    for (const text of gone) {
      const keys = this.#keys.get(text);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(text);
    }
    for (const text of come) this.#keys.set(text, (this.#keys.get(text) ?? new Set()).add(key));
    if (after.size === 0) this.#texts.delete(key);
    else this.#texts.set(key, texts);
    return [...gone, ...come];
  }
}

const NO_KEYS: ReadonlySet<string> = new Set();
