// Ports of Services → the endpoints that requests may be given to, from the slices, as proxies choose them: ready ones,
// and where there are none those that still serve while they end; by topology hints where the slices have them.
import { categorize, endpointsOf, portKey } from "../compile/endpoints.ts";
import {
  type EndpointSlice,
  type KubeObject,
  keyOf,
  type Service,
  type ServicePort,
} from "../kube/objects.ts";
import { SERVICE_NAME_LABEL } from "../kube/slice-labels.ts";

/** A port of a Service. */
export interface Backend {
  /** "namespace/service:port", the port by its number. */
  readonly name: string;
  /** "ip:port" each, sorted; of an ExternalName its name and port. Another list stands here when slices change. */
  endpoints: readonly string[];
  /** kubernetes.io/h2c, kubernetes.io/ws, …; "": not said. */
  readonly appProtocol: string;
  /** The port's own name; "": it has none. */
  readonly portName: string;
  /** Of its ClusterIP; "": it has none. */
  readonly clusterAddress: string;
}

export interface NotThere {
  readonly name: string;
  /** One sentence without an end: "there is no Service shop/api". */
  readonly missing: string;
}

export interface PortRef {
  readonly namespace: string;
  readonly name: string;
  /** By number or name; undefined: the first that it has. */
  readonly port: number | string | undefined;
  /** Left out: TCP. */
  readonly protocol?: "TCP" | "UDP";
}

export interface BackendOptions {
  /** Whose endpoints are near; "": nobody's. */
  readonly nodeName?: string;
  readonly zone?: string;
  /** Nothing tells of endpoints, so that every Service is taken to have some. */
  readonly areAssumed?: boolean;
}

interface Found {
  readonly port: number | string | undefined;
  readonly protocol: "TCP" | "UDP";
  readonly known: Backend | NotThere;
}

export class Backends {
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice[]>();
  /** By service, then by port and protocol as they were asked for. */
  readonly #found = new Map<string, Map<string, Found>>();
  readonly #place: { readonly nodeName: string; readonly zone: string };
  readonly areAssumed: boolean;
  /** Goes on when a port's endpoints change: what was made of them before is to be made anew. */
  epoch = 0;

  constructor(objects: readonly KubeObject[], options: BackendOptions = {}) {
    const { nodeName = "", zone = "", areAssumed = false } = options;
    this.#place = { nodeName, zone };
    this.areAssumed = areAssumed;
    for (const object of objects) {
      if (object.kind === "Service") this.#services.set(keyOf(object), object as Service);
      if (object.kind === "EndpointSlice") this.#slicesOf(object).push(object as EndpointSlice);
    }
  }

  /** A slice came, changed or went, and nothing else did: Backends that were found before have its endpoints now. */
  replaceSlice(before: EndpointSlice | undefined, now: EndpointSlice | undefined): void {
    const keys = new Set<string>();
    for (const slice of [before, now]) {
      if (slice === undefined) continue;
      const list = this.#slicesOf(slice);
      const at = list.findIndex(({ metadata }) => metadata.name === slice.metadata.name);
      if (at >= 0) list.splice(at, 1);
      if (slice === now) list.push(slice);
      keys.add(serviceOf(slice));
    }
    for (const key of keys) this.#renew(key);
  }

  #slicesOf(slice: KubeObject): EndpointSlice[] {
    const key = serviceOf(slice);
    const list = this.#slices.get(key) ?? [];
    this.#slices.set(key, list);
    return list;
  }

  #renew(service: string): void {
    for (const { known, port, protocol } of this.#found.get(service)?.values() ?? []) {
      if (!isThere(known)) continue;
      const now = this.#find(service, port, protocol);
      if (!isThere(now) || isSameList(known.endpoints, now.endpoints)) continue;
      known.endpoints = now.endpoints;
      this.epoch++;
    }
  }

  /** The same answer for the same port each time. */
  find({ namespace, name, port, protocol = "TCP" }: PortRef): Backend | NotThere {
    const service = `${namespace}/${name}`;
    let ports = this.#found.get(service);
    if (ports === undefined) this.#found.set(service, (ports = new Map()));
    const key = `${port ?? ""}/${protocol}`;
    let found = ports.get(key);
    if (found === undefined) {
      found = { port, protocol, known: this.#find(service, port, protocol) };
      ports.set(key, found);
    }
    return found.known;
  }

  #find(key: string, wanted: number | string | undefined, protocol: "TCP" | "UDP"): Backend | NotThere {
    const service = this.#services.get(key);
    if (service === undefined)
      return { name: wanted === undefined ? key : `${key}:${wanted}`, missing: `there is no Service ${key}` };
    const { ports = [], type, externalName = "", clusterIP = "" } = service.spec;
    const fitting = ports.filter(
      (each) => wanted === undefined || each.port === wanted || each.name === wanted,
    );
    const isOfProtocol = (each: ServicePort): boolean => (each.protocol ?? "TCP") === protocol;
    const port = fitting.find(isOfProtocol) ?? fitting[0];
    if (type === "ExternalName") {
      const number = port?.port ?? (typeof wanted === "number" ? wanted : 80);
      const endpoints = externalName === "" ? [] : [`${externalName}:${number}`];
      return { name: `${key}:${number}`, endpoints, ...protocolOf(port), clusterAddress: "" };
    }
    if (port === undefined) {
      const has = ports.map((each) => (each.name === undefined ? each.port : `${each.port} (${each.name})`));
      const missing = `Service ${key} has no port ${wanted ?? ""}: it has ${has.join(", ") || "none"}`;
      return { name: `${key}:${wanted ?? ""}`, missing };
    }
    if (!isOfProtocol(port))
      return {
        name: `${key}:${port.port}`,
        missing: `port ${port.port} of Service ${key} is ${port.protocol ?? "TCP"}`,
      };
    const address = clusterIP === "" || clusterIP === "None" ? "" : `${bracketed(clusterIP)}:${port.port}`;
    const endpoints = this.areAssumed ? [address || `${key}:${port.port}`] : this.#endpoints(key, port);
    return {
      ...{ name: `${key}:${port.port}`, endpoints, ...protocolOf(port) },
      clusterAddress: address,
    };
  }

  #endpoints(key: string, port: { name?: string; protocol?: string }): string[] {
    const slices = this.#slices.get(key) ?? [];
    const joined = portKey(port.name, port.protocol);
    return ([4, 6] as const).flatMap((family) => {
      const all = endpointsOf(slices, joined, family, this.#place.nodeName);
      const { cluster } = categorize(all, { cluster: true, local: false }, this.#place);
      return cluster.map((i) => all[i].text);
    });
  }
}

export function isThere(found: Backend | NotThere): found is Backend {
  return !("missing" in found);
}

function serviceOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME_LABEL]}`;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function protocolOf(port: ServicePort | undefined): Pick<Backend, "appProtocol" | "portName"> {
  return { appProtocol: port?.appProtocol ?? "", portName: port?.name ?? "" };
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
