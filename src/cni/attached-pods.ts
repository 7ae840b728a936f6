/**
 * Pods of this node as the plane has to see them: their addresses, namespace and MAC are what CNI gave, whatever their
 * objects tell; kubelet writes addresses into `status` only after a sandbox is made, and leaves those of the sandbox
 * before there. A container that no object is about counts as a pod of the namespace `podwire-cni`, named by its id.
 */

import { withBandwidth } from "../kube/bandwidth.ts";
import { hostPortsOf, isInTheWay, type PodHostPort } from "../kube/host-ports.ts";
import { keyOf, type Pod } from "../kube/objects.ts";
import type { ObjectEvent } from "../watch/desired-state.ts";
import type { Lease } from "./leases.ts";
import { nameOf } from "./leases.ts";

const NETNS = "podwire.dev/netns";
const INTERFACE = "podwire.dev/interface";
const MAC = "podwire.dev/mac";
const NOBODYS = "podwire-cni";

export class AttachedPods {
  readonly #nodeName: string;
  readonly #isAnybodys: boolean;
  /** As the source has them. */
  readonly #objects = new Map<string, Pod>();
  /** Of these, the ones that are gone but for their sandboxes. */
  readonly #gone = new Set<string>();
  /** Pods of other nodes that have the name of one whose sandbox is here still. */
  readonly #elsewhere = new Map<string, Pod>();
  /** Of each pod, the sandbox that came last at the end. */
  readonly #leases = new Map<string, Lease[]>();

  /**
   * `isAnybodys`: whoever may write a pod may write its annotations, as in an API server. What they say of a network that
   * somebody else made is not believed then, or a pod could ask to be attached in another's namespace, or the node's.
   */
  constructor(nodeName: string, isAnybodys: boolean) {
    this.#nodeName = nodeName;
    this.#isAnybodys = isAnybodys;
  }

  /** The pod's object as the source has it. */
  object(key: string): Pod | undefined {
    return this.#objects.get(key);
  }

  /** What the event of the source means. */
  merged(event: ObjectEvent): ObjectEvent {
    if (event.object.kind !== "Pod") return event;
    const pod = event.object as Pod;
    const key = keyOf(pod);
    const lease = this.#lease(key);
    const wasElsewhere = this.#elsewhere.delete(key);
    if (event.type === "DELETED") {
      if (wasElsewhere) return event;
      // Its sandbox goes on until DEL, as the object told last.
      const last = this.#objects.get(key);
      if (last !== undefined && lease !== undefined) this.#gone.add(key);
      if (lease !== undefined) return { type: "MODIFIED", object: withLease(last, lease, this.#nodeName) };
      this.#objects.delete(key);
      return event;
    }
    this.#gone.delete(key);
    if (!this.#isOurs(pod)) {
      this.#objects.delete(key);
      if (lease !== undefined) this.#elsewhere.set(key, pod);
      return event;
    }
    this.#objects.set(key, pod);
    return { ...event, object: this.#seen(pod, lease) };
  }

  /** The interface is there. */
  attach(lease: Lease): ObjectEvent {
    const key = podKey(lease);
    this.#leases.set(key, [...this.#others(lease), lease]);
    return { type: "MODIFIED", object: withLease(this.#objects.get(key), lease, this.#nodeName) };
  }

  /** It is not any more. */
  detach(lease: Lease): ObjectEvent {
    const key = podKey(lease);
    const left = this.#others(lease);
    if (left.length > 0) this.#leases.set(key, left);
    else this.#leases.delete(key);
    const elsewhere = this.#elsewhere.get(key);
    if (elsewhere !== undefined) {
      if (left.length === 0) this.#elsewhere.delete(key);
      return { type: "MODIFIED", object: elsewhere };
    }
    if (left.length === 0 && this.#gone.delete(key)) this.#objects.delete(key);
    const object = this.#objects.get(key);
    if (object === undefined && left.length === 0) {
      return { type: "DELETED", object: withLease(undefined, lease, this.#nodeName) };
    }
    const next = left.at(-1);
    return {
      type: "MODIFIED",
      object: next === undefined ? this.#seen(object as Pod, next) : withLease(object, next, this.#nodeName),
    };
  }

  #lease(key: string): Lease | undefined {
    return this.#leases.get(key)?.at(-1);
  }

  #others(lease: Lease): Lease[] {
    return (this.#leases.get(podKey(lease)) ?? []).filter((each) => nameOf(each) !== nameOf(lease));
  }

  #isOurs({ spec }: Pod): boolean {
    return spec.nodeName === this.#nodeName && spec.hostNetwork !== true;
  }

  #seen(pod: Pod, lease: Lease | undefined): Pod {
    if (lease !== undefined) return withLease(pod, lease, this.#nodeName);
    if (!this.#isAnybodys && pod.metadata.annotations?.[NETNS] !== undefined) return pod; // another made its network
    const { podIP: _, podIPs: __, ...status } = pod.status;
    return { ...pod, status };
  }
}

/** The pod whose sandbox it is. */
export function podKey({ pod, containerId }: Pick<Lease, "pod" | "containerId">): string {
  return pod === null ? `${NOBODYS}/${containerId}` : `${pod.namespace}/${pod.name}`;
}

function withLease(object: Pod | undefined, lease: Lease, nodeName: string): Pod {
  const { netns, ifname, mac, ips, hostPorts, bandwidth } = lease;
  const pod = object ?? bare(lease, nodeName);
  const annotations = {
    ...(bandwidth === undefined
      ? pod.metadata.annotations
      : withBandwidth(pod.metadata.annotations ?? {}, bandwidth)),
    ...{ [NETNS]: netns, [INTERFACE]: ifname, [MAC]: mac },
  };
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations },
    spec: { ...pod.spec, containers: [...(pod.spec.containers ?? []), ...mapped(pod, hostPorts)] },
    status: { ...pod.status, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

/** Ports that the runtime asks for, and the pod's containers do not. */
function mapped(pod: Pod, hostPorts: readonly PodHostPort[]): Pod["spec"]["containers"] {
  const own = hostPortsOf(pod.spec);
  const ports = hostPorts.filter((port) => !own.some((each) => isInTheWay(each, port)));
  return ports.length === 0 ? [] : [{ name: "port-mappings", ports: [...ports] }];
}

function bare({ pod, containerId }: Lease, nodeName: string): Pod {
  const { namespace = NOBODYS, name = containerId, uid = containerId } = pod ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, ...(uid !== "" && { uid }) },
    spec: { nodeName, containers: [] },
    status: { phase: "Running" },
  } as Pod;
}
