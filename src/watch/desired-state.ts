// What one node has to know of the cluster: the objects, keyed, with EndpointSlices gathered by Service, and what has
// changed since somebody last looked. It depends on the objects, never on the order in which they came.
//
//   source ─▶ events ─▶ ObjectGraph ─┬─ services   ns/name → Service            ┐
//                                    ├─ slices     ns/service → its slices      │ take() → Changes ─▶ compile
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
  /** Slices of a Service, in whatever order, whether the Service is there or not. */
  readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  /** Those among them that run on a node, as they are now: a change does not look at all that others have. */
  podsOn(nodeName: string): ReadonlyMap<string, Pod>;
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
  readonly slices = new Map<string, readonly EndpointSlice[]>();
  readonly nodes = new Map<string, Node>();
  readonly pods = new Map<string, Pod>();
  readonly namespaces = new Map<string, KubeObject>();
  readonly policies = new Map<string, NetworkPolicy>();
  readonly clusterPolicies = new Map<string, ClusterNetworkPolicy>();
  readonly serviceCidrs = new Map<string, ServiceCidr>();
  /** As they are in `slices`, to notice that one has another Service now: by namespace and by name. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  /** By node, of nodes that were asked for. */
  readonly #podsOn = new Map<string, Map<string, Pod>>();
  #changes = noChanges();

  podsOn(nodeName: string): ReadonlyMap<string, Pod> {
    let pods = this.#podsOn.get(nodeName);
    if (pods === undefined) {
      pods = new Map([...this.pods].filter(([, { spec }]) => spec.nodeName === nodeName));
      this.#podsOn.set(nodeName, pods);
    }
    return pods;
  }

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
        this.#sliceChanged(object as EndpointSlice, gone);
        break;
      case "Node":
        put(this.nodes, key, object as Node, gone);
        this.#changes.nodes.add(key);
        break;
      case "Pod":
        this.#podChanged(key, object as Pod, gone);
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

  #podChanged(key: string, pod: Pod, gone: boolean): void {
    put(this.pods, key, pod, gone);
    for (const [nodeName, pods] of this.#podsOn) put(pods, key, pod, gone || pod.spec.nodeName !== nodeName);
    this.#changes.pods.add(key);
  }

  #sliceChanged(slice: EndpointSlice, gone: boolean): void {
    const { namespace = "", name } = slice.metadata;
    const named = this.#slices.get(namespace) ?? new Map<string, EndpointSlice>();
    const before = named.get(name);
    const left = before === undefined ? undefined : ownerOf(before);
    const owner = gone ? undefined : ownerOf(slice);
    if (before !== undefined && left !== undefined) {
      const others = (this.slices.get(left) ?? []).filter((each) => each !== before);
      put(this.slices, left, others, others.length === 0);
      this.#changes.services.add(left);
    }
    put(named, name, slice, owner === undefined);
    put(this.#slices, namespace, named, named.size === 0);
    if (owner === undefined) return;
    this.slices.set(owner, (this.slices.get(owner) ?? []).concat(slice)); // a spread leaves room for sixteen more
    this.#changes.services.add(owner);
  }
}

/** "namespace/name" of the Service whose slice it is. */
function ownerOf({ metadata: { namespace = "", labels } }: EndpointSlice): string | undefined {
  const name = labels?.[SERVICE_NAME_LABEL] ?? "";
  return name === "" ? undefined : keyOf({ metadata: { namespace, name } });
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
