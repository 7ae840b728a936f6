// Service with a selector + pods → EndpointSlices, as the endpointslice controller of kube-controller-manager makes
// them, with the hints of trafficDistribution. Incremental: a pod's change recomputes the services whose selector
// matches it, before or after; an endpoint stays in the slice where it is, so that one pod's change is one slice's.
import { nameSuffix } from "../../kube/hash.ts";
import { matchesLabels } from "../../kube/labels.ts";
import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  keyOf,
  type Node,
  type Pod,
  type Service,
} from "../../kube/objects.ts";
import { HEADLESS_LABEL, MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from "../../kube/slice-labels.ts";
import { formatWeights, parseWeight, WEIGHT_ANNOTATION, WEIGHTS_ANNOTATION } from "../../kube/weight.ts";
import type { Store, StoreEvent } from "../store.ts";
import { putEndpoints } from "./endpoints/endpoints.ts";
import { LabelIndex } from "./label-index.ts";
import { addressOf, readySince, resolvePorts, TRIGGER_TIME } from "./pod-endpoints.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";

const CONTROLLER_NAME = "endpointslice-controller.k8s.io";
const ZONE_LABEL = "topology.kubernetes.io/zone";
const ENDPOINTS_MAX = 100; // --max-endpoints-per-slice

/** Endpoints of one family whose ports resolved to the same numbers: they can share slices. */
interface Group {
  readonly family: string;
  readonly ports: EndpointPort[];
  readonly endpoints: Map<string, Endpoint>;
  /** Address → when its pod became what it is, ready or not. */
  readonly changed: Map<string, string>;
  /** Address → weight, of pods that say one. */
  readonly weights: Map<string, number>;
}

export class EndpointSliceController {
  readonly #store: Store;
  readonly #makesEndpoints: boolean;
  readonly #dirty = new Set<string>();
  readonly #index = new LabelIndex();
  /** Service → keys of the slices that this controller manages. */
  readonly #slices = new Map<string, Set<string>>();

  /** `makesEndpoints`: for each Service the object of before EndpointSlices as well. */
  constructor(store: Store, makesEndpoints = false) {
    this.#store = store;
    this.#makesEndpoints = makesEndpoints;
  }

  onEvent(event: StoreEvent): void {
    const { kind } = event.object;
    if (kind === "Service") this.#serviceChanged(event);
    else if (kind === "Pod") this.#podChanged(event);
    else if (kind === "EndpointSlice") this.#sliceChanged(event);
    else if (kind === "Node") this.#nodeChanged(event);
    else if (kind === "Endpoints" && this.#makesEndpoints) this.#dirty.add(keyOf(event.object)); // somebody's
  }

  settle(): void {
    this.#dirty.clear();
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) this.#reconcileOne(key);
    return keys.length > 0;
  }

  #serviceChanged({ type, object }: StoreEvent): void {
    const service = object as Service;
    const selector = type === "DELETED" ? undefined : service.spec.selector;
    this.#index.setSelector(service.metadata.namespace ?? "", keyOf(service), selector);
    this.#dirty.add(keyOf(service));
  }

  #podChanged({ type, object, old }: StoreEvent): void {
    const namespace = object.metadata.namespace ?? "";
    const labels = type === "DELETED" ? undefined : object.metadata.labels;
    for (const key of this.#index.selecting(namespace, old?.metadata.labels)) this.#dirty.add(key);
    for (const key of this.#index.selecting(namespace, labels)) this.#dirty.add(key);
    this.#index.setLabels(namespace, keyOf(object), labels);
  }

  #sliceChanged({ type, object }: StoreEvent): void {
    if (object.metadata.labels?.[MANAGED_BY_LABEL] !== CONTROLLER_NAME) return;
    const service = `${object.metadata.namespace}/${object.metadata.labels[SERVICE_NAME_LABEL]}`;
    const keys = this.#slices.get(service) ?? new Set();
    if (type === "DELETED") keys.delete(keyOf(object));
    else keys.add(keyOf(object));
    this.#slices.set(service, keys);
    this.#dirty.add(service); // put right what somebody else changed
  }

  #nodeChanged({ object, old }: StoreEvent): void {
    if (object.metadata.labels?.[ZONE_LABEL] === old?.metadata.labels?.[ZONE_LABEL]) return;
    for (const service of this.#store.values<Service>("Service")) this.#dirty.add(keyOf(service));
  }

  #reconcileOne(key: string): void {
    const service = this.#store.get<Service>("Service", key);
    const slices = [...(this.#slices.get(key) ?? [])]
      .sort()
      .map((sliceKey) => this.#store.get<EndpointSlice>("EndpointSlice", sliceKey))
      .filter((slice): slice is EndpointSlice => slice !== undefined);
    if (service === undefined) {
      for (const slice of slices) this.#store.remove("EndpointSlice", keyOf(slice));
      this.#slices.delete(key);
      return;
    }
    if (Object.keys(service.spec.selector ?? {}).length === 0 || service.spec.type === "ExternalName") return;
    const pods = this.#podsOf(service);
    if (this.#makesEndpoints) putEndpoints(this.#store, service, pods);
    const groups = this.#groups(service, pods);
    const kept = new Set<string>();
    for (const [groupKey, group] of groups) {
      const mine = slices.filter((slice) => groupKeyOf(slice.addressType, slice.ports) === groupKey);
      for (const slice of fillSlices(service, groupKey, group, mine, this.#nameTaken)) {
        kept.add(keyOf(slice));
        this.#store.put(slice);
      }
    }
    for (const slice of slices)
      if (!kept.has(keyOf(slice))) this.#store.remove("EndpointSlice", keyOf(slice));
  }

  readonly #nameTaken = (key: string): boolean => this.#store.get("EndpointSlice", key) !== undefined;

  #podsOf({ metadata, spec: { selector = {} } }: Service): Pod[] {
    const candidates = [...this.#index.matching(metadata.namespace ?? "", selector)];
    return candidates
      .map((key) => this.#store.get<Pod>("Pod", key))
      .filter((pod): pod is Pod => pod !== undefined && !isFinished(pod))
      .filter((pod) => matchesLabels(selector, pod.metadata.labels));
  }

  #groups(service: Service, pods: readonly Pod[]): Map<string, Group> {
    const groups = new Map<string, Group>();
    const families = service.spec.ipFamilies ?? ["IPv4"];
    for (const pod of pods) {
      const ports = resolvePorts(service, pod);
      for (const family of families) {
        const address = addressOf(pod, family);
        if (address === undefined) continue;
        const groupKey = groupKeyOf(family, ports);
        let group = groups.get(groupKey);
        if (group === undefined) {
          group = { family, ports, endpoints: new Map(), changed: new Map(), weights: new Map() };
          groups.set(groupKey, group);
        }
        group.endpoints.set(address, this.#endpoint(service, pod, address));
        group.changed.set(address, readySince(pod));
        const weight = parseWeight(pod.metadata.annotations?.[WEIGHT_ANNOTATION] ?? "");
        if (weight !== undefined) group.weights.set(address, weight);
      }
    }
    // A Service without endpoints has one empty slice a family, so that its readers know it was looked at.
    for (const family of families) {
      if ([...groups.values()].some((group) => group.family === family)) continue;
      groups.set(groupKeyOf(family, []), {
        family,
        ports: [],
        endpoints: new Map(),
        changed: new Map(),
        weights: new Map(),
      });
    }
    return groups;
  }

  #endpoint(service: Service, pod: Pod, address: string): Endpoint {
    const serving = isReady(pod);
    const terminating = isTerminating(pod);
    const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
    const node = pod.spec.nodeName;
    const zone =
      node === undefined ? undefined : this.#store.get<Node>("Node", node)?.metadata.labels?.[ZONE_LABEL];
    const { namespace, name, uid } = pod.metadata;
    const { hostname, subdomain } = pod.spec;
    const named = hostname !== undefined && subdomain === service.metadata.name;
    return {
      addresses: [address],
      conditions: { ready, serving, terminating },
      ...(ready ? hintsOf(service, node, zone) : {}),
      ...(named ? { hostname } : {}),
      ...(node === undefined ? {} : { nodeName: node }),
      targetRef: { kind: "Pod", namespace: namespace as string, name, ...(uid === undefined ? {} : { uid }) },
      ...(zone === undefined ? {} : { zone }),
    };
  }
}

/** KEP-4444 and KEP-3015. By node one falls back to the zone, so an endpoint has hints of both. */
function hintsOf(
  service: Service,
  node: string | undefined,
  zone: string | undefined,
): Pick<Endpoint, "hints"> {
  const { trafficDistribution } = service.spec as { trafficDistribution?: string };
  if (trafficDistribution === undefined) return {};
  const zones = zone === undefined ? {} : { forZones: [{ name: zone }] };
  const nodes =
    trafficDistribution === "PreferSameNode" && node !== undefined ? { forNodes: [{ name: node }] } : {};
  const hints = { ...zones, ...nodes };
  return Object.keys(hints).length === 0 ? {} : { hints };
}

/** The slices of a group: endpoints stay where they are, gone ones leave room, new ones fill it, then new slices. */
function fillSlices(
  service: Service,
  groupKey: string,
  group: Group,
  existing: readonly EndpointSlice[],
  nameTaken: (key: string) => boolean,
): EndpointSlice[] {
  const placed = new Set<string>();
  const bins = existing.map((slice) => {
    const addresses = slice.endpoints
      .map((e) => e.addresses[0])
      .filter((a) => group.endpoints.has(a) && !placed.has(a));
    for (const address of addresses) placed.add(address);
    return { slice, addresses };
  });
  const waiting = [...group.endpoints.keys()].filter((address) => !placed.has(address)).sort();
  for (const bin of bins) bin.addresses.push(...waiting.splice(0, ENDPOINTS_MAX - bin.addresses.length));
  const full = bins.filter((bin) => bin.addresses.length > 0);
  const used = full.length > 0 || waiting.length > 0 ? full : bins.slice(0, 1);
  const slices = used.map(({ slice, addresses }) =>
    makeSlice(service, slice.metadata.name, group, addresses),
  );
  const taken = new Set(slices.map((slice) => slice.metadata.name));
  while (waiting.length > 0 || slices.length === 0) {
    const name = freeName(
      service,
      groupKey,
      (n) => taken.has(n) || nameTaken(`${service.metadata.namespace}/${n}`),
    );
    taken.add(name);
    slices.push(makeSlice(service, name, group, waiting.splice(0, ENDPOINTS_MAX)));
  }
  return slices;
}

function freeName(service: Service, groupKey: string, isTaken: (name: string) => boolean): string {
  for (let i = 0; ; i++) {
    const name = `${service.metadata.name}-${nameSuffix(`${keyOf(service)}/${groupKey}/${i}`)}`;
    if (!isTaken(name)) return name;
  }
}

function makeSlice(
  service: Service,
  name: string,
  group: Group,
  addresses: readonly string[],
): EndpointSlice {
  const { namespace, labels, uid } = service.metadata;
  const headless = service.spec.clusterIP === "None" ? { [HEADLESS_LABEL]: "" } : {};
  const weights = weightsText(group, addresses);
  const trigger = addresses.map((address) => group.changed.get(address) ?? "").reduce(later, "");
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name,
      namespace: namespace as string,
      labels: {
        ...labels,
        ...headless,
        [SERVICE_NAME_LABEL]: service.metadata.name,
        [MANAGED_BY_LABEL]: CONTROLLER_NAME,
      },
      ...(trigger === "" && weights === ""
        ? {}
        : {
            annotations: {
              ...(trigger === "" ? {} : { [TRIGGER_TIME]: trigger }),
              ...(weights === "" ? {} : { [WEIGHTS_ANNOTATION]: weights }),
            },
          }),
      ownerReferences: [
        { apiVersion: "v1", kind: "Service", name: service.metadata.name, uid: uid ?? "", controller: true },
      ],
    },
    addressType: group.family,
    endpoints: [...addresses].sort().map((address) => group.endpoints.get(address) as Endpoint),
    ports: group.ports,
  };
}

function weightsText({ weights }: Group, addresses: readonly string[]): string {
  const own = [...addresses].sort().filter((address) => weights.has(address));
  return formatWeights(new Map(own.map((address) => [address, weights.get(address) as number])));
}

/** Times of one form, RFC 3339 in UTC, compare as text. */
function later(a: string, b: string): string {
  return a > b ? a : b;
}

function groupKeyOf(family: string, ports: readonly EndpointPort[]): string {
  const list = ports.map((p) => `${p.name ?? ""}/${p.protocol}/${p.port}/${p.appProtocol ?? ""}`).sort();
  return `${family} ${list.join(" ")}`;
}
