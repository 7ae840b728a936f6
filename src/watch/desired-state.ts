// What one node has to know of the cluster: the objects, keyed, with EndpointSlices gathered by Service, and what has
// changed since somebody last looked. It depends on the objects, never on the order in which they came.
//
//   source ─▶ events ─▶ ObjectGraph ─┬─ services   ns/name → Service            ┐
//                                    ├─ slices     ns/service → slices by name  │ take() → Changes ─▶ compile
//                                    ├─ nodes      name → Node                  │   (keys that changed)
//                                    ├─ pods       ns/name → Pod                │
//                                    └─ serviceCidrs  name → ServiceCIDR        ┘
import type {
  ClusterNetworkPolicy,
  EndpointSlice,
  KubeObject,
  NetworkPolicy,
  Node,
  Pod,
  Service,
  ServiceCidr,
} from "../kube/objects.ts";
import { keyOf } from "../kube/objects.ts";
import { SERVICE_NAME_LABEL } from "../kube/slice-labels.ts";

export type {
  EndpointSlice,
  Node,
  Pod,
  Service,
} from "../kube/objects.ts";

export interface ObjectEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

export interface DesiredState {
  readonly services: ReadonlyMap<string, Service>;
  /** Slices of a Service by slice name, whether the Service is there or not. */
  readonly slices: ReadonlyMap<string, ReadonlyMap<string, EndpointSlice>>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly namespaces: ReadonlyMap<string, KubeObject>;
  readonly policies: ReadonlyMap<string, NetworkPolicy>;
  readonly clusterPolicies: ReadonlyMap<string, ClusterNetworkPolicy>;
  readonly serviceCidrs: ReadonlyMap<string, ServiceCidr>;
}

/** Keys of what was added, changed or removed. */
export interface Changes {
  /** Services that changed themselves or by one of their slices. */
  readonly services: ReadonlySet<string>;
  readonly nodes: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
  readonly policies: ReadonlySet<string>;
  readonly clusterPolicies: ReadonlySet<string>;
  readonly serviceCidrs: ReadonlySet<string>;
}

export class ObjectGraph implements DesiredState {
  readonly services = new Map<string, Service>();
  readonly slices = new Map<string, Map<string, EndpointSlice>>();
  readonly nodes = new Map<string, Node>();
  readonly pods = new Map<string, Pod>();
  readonly namespaces = new Map<string, KubeObject>();
  readonly policies = new Map<string, NetworkPolicy>();
  readonly clusterPolicies = new Map<string, ClusterNetworkPolicy>();
  readonly serviceCidrs = new Map<string, ServiceCidr>();
  /** Slice → the Service whose it is, to notice that its label changed. */
  readonly #sliceOwner = new Map<string, string>();
  #changes = noChanges();

  /** Takes in one event. A repeated or late event of the same object changes nothing but the marks. */
  onEvent({ type, object }: ObjectEvent): void {
    const gone = type === "DELETED";
    const key = keyOf(object);
    switch (object.kind) {
      case "Service":
        put(this.services, key, object as Service, gone);
        this.#changes.services.add(key);
        break;
      case "EndpointSlice":
        this.#sliceChanged(key, object as EndpointSlice, gone);
        break;
      case "Node":
        put(this.nodes, key, object as Node, gone);
        this.#changes.nodes.add(key);
        break;
      case "Pod":
        put(this.pods, key, object as Pod, gone);
        this.#changes.pods.add(key);
        break;
      case "Namespace":
        put(this.namespaces, key, object, gone);
        this.#changes.namespaces.add(key);
        break;
      case "NetworkPolicy":
        put(this.policies, key, object as NetworkPolicy, gone);
        this.#changes.policies.add(key);
        break;
      case "ClusterNetworkPolicy":
        put(this.clusterPolicies, key, object as ClusterNetworkPolicy, gone);
        this.#changes.clusterPolicies.add(key);
        break;
      case "ServiceCIDR":
        put(this.serviceCidrs, key, object as ServiceCidr, gone);
        this.#changes.serviceCidrs.add(key);
        break;
      default: // Deployments and configuration are nothing to a node
        break;
    }
  }

  /** What changed since the last call. */
  take(): Changes {
    const changes = this.#changes;
    this.#changes = noChanges();
    return changes;
  }

  #sliceChanged(key: string, slice: EndpointSlice, gone: boolean): void {
    const before = this.#sliceOwner.get(key);
    const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
    const owner =
      gone || name === undefined || name === "" ? undefined : `${slice.metadata.namespace}/${name}`;
    if (before !== undefined && before !== owner) {
      const slices = this.slices.get(before);
      slices?.delete(slice.metadata.name);
      if (slices?.size === 0) this.slices.delete(before);
      this.#sliceOwner.delete(key);
      this.#changes.services.add(before);
    }
    if (owner === undefined) return;
    const slices = this.slices.get(owner) ?? new Map<string, EndpointSlice>();
    slices.set(slice.metadata.name, slice);
    this.slices.set(owner, slices);
    this.#sliceOwner.set(key, owner);
    this.#changes.services.add(owner);
  }
}

function put<T>(map: Map<string, T>, key: string, object: T, gone: boolean): void {
  if (gone) map.delete(key);
  else map.set(key, object);
}

function noChanges() {
  return {
    services: new Set<string>(),
    nodes: new Set<string>(),
    pods: new Set<string>(),
    namespaces: new Set<string>(),
    policies: new Set<string>(),
    clusterPolicies: new Set<string>(),
    serviceCidrs: new Set<string>(),
  };
}
