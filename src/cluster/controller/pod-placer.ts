// Node and addresses of every pod. A pod that fits nowhere waits with the scheduler's reason in its PodScheduled
// condition, and is tried again when nodes or pods change. Who names its node goes past the scheduler: there the kubelet
// would refuse what asks for a host port that is taken, and the pod has failed. A node that is named need not be there
// yet: its pods have addresses when it comes.
import { hasCode } from "../../base/errors.ts";
import { parseIp } from "../../base/ip.ts";
import { HostPortUse, hostPortsOf } from "../../kube/host-ports.ts";
import { type KubeObject, keyOf, type Node, type Pod } from "../../kube/objects.ts";
import type { Happening } from "../event-recorder.ts";
import type { Store, StoreEvent } from "../store.ts";
import { IP_ANNOTATION, IpamError, type PodIpam } from "./pod-ipam.ts";
import { isFinished, noFreePorts, placePod, podTitle } from "./scheduler.ts";

export class PodPlacer {
  readonly #store: Store;
  readonly #ipam: PodIpam;
  readonly #saved: Readonly<Record<string, { node: string }>>;
  readonly #pending = new Set<string>();
  readonly #load = new Map<string, number>();
  readonly #ports = new HostPortUse();
  readonly #tell: (happening: Happening) => void;
  /** What was decided of a pod that is not stored yet. */
  readonly #verdicts = new Map<string, Verdict>();
  #retry = false;

  constructor(
    store: Store,
    ipam: PodIpam,
    saved: Readonly<Record<string, { node: string }>>,
    tell: (happening: Happening) => void = () => {},
  ) {
    this.#tell = tell;
    this.#store = store;
    this.#ipam = ipam;
    this.#saved = saved;
  }

  onEvent({ type, object, old }: StoreEvent): void {
    if (object.kind === "Node") this.#retry = true;
    if (object.kind !== "Pod") return;
    const pod = type === "DELETED" ? undefined : (object as Pod);
    this.#count(old as Pod | undefined, -1);
    this.#count(pod, 1);
    const key = keyOf(object);
    if (pod !== undefined) this.#tellVerdict(pod);
    if (pod !== undefined && (isWaiting(pod) || isHomeless(pod)) && !isFinished(pod)) this.#pending.add(key);
    else this.#pending.delete(key);
    if (type === "DELETED" || (pod !== undefined && isFinished(pod))) this.#retry = true;
    if (pod !== undefined && isFinished(pod)) this.#ipam.release(key); // its address is free for the next one
  }

  settle(): void {
    this.#retry = false;
  }

  /** Tries the pods that wait. True when there was something to do. */
  reconcile(): boolean {
    if (!this.#retry) return false;
    this.#retry = false;
    for (const key of [...this.#pending].sort()) {
      const pod = this.#store.get<Pod>("Pod", key);
      if (pod === undefined) continue;
      if (this.#store.put(this.placeOrWait(pod)) === "unchanged") this.#tellVerdict(pod);
    }
    return true;
  }

  /** The pod with node and addresses; as it is, with the reason, when no node fits. */
  place(pod: Pod): Pod {
    const key = keyOf(pod);
    if (isFinished(pod)) return pod;
    if (pod.spec.nodeName === undefined && isOthers(pod)) return asPending(pod); // until its own scheduler binds it
    const wanted = PodPlacer.wantedAddresses(pod);
    const nodes = [...this.#store.values<Node>("Node")];
    const named = pod.spec.nodeName ?? (wanted.length > 0 ? this.#ipam.nodeOf(wanted[0]) : undefined);
    const ports = hostPortsOf(pod.spec);
    const hasPorts = (node: string): boolean => this.#ports.isFree(node, key, ports);
    const use = { load: this.#load, hasPorts };
    const placement =
      named === undefined ? placePod(pod, nodes, use, this.#saved[key]?.node) : { node: named, reason: "" };
    const { node } = placement;
    if (node !== undefined && (this.#isThere(key) || hasPorts(node))) {
      if (pod.spec.nodeName === undefined)
        this.#verdicts.set(key, { reason: "Scheduled", message: `Successfully assigned ${key} to ${node}` });
      return this.#addressed(pod, node, wanted);
    }
    this.#ipam.release(key);
    if (node === undefined) return this.#waiting(pod, placement.reason);
    if (pod.spec.nodeName === undefined) return this.#waiting(pod, noFreePorts(nodes.length));
    // A controller would make another pod for each that has failed, for ever: its pods wait instead.
    const isOwned = pod.metadata.ownerReferences?.some(({ controller }) => controller === true) === true;
    if (isOwned) return this.#waiting(pod, noFreePorts(nodes.length));
    this.#verdicts.set(key, { reason: "NodePorts", message: PORTS_TAKEN, type: "Warning", host: node });
    return rejected(pod);
  }

  /** As `place`; a pod whose node has no address left waits instead of failing. */
  placeOrWait(pod: Pod): Pod {
    try {
      return this.place(pod);
    } catch (error) {
      if (!hasCode(error, "IPAM_EXHAUSTED")) throw error;
      return this.#waiting(pod, (error as Error).message);
    }
  }

  #waiting(pod: Pod, message: string): Pod {
    this.#verdicts.set(keyOf(pod), { reason: "FailedScheduling", message, type: "Warning" });
    return waiting(pod, message);
  }

  #tellVerdict(object: Pod): void {
    const verdict = this.#verdicts.get(keyOf(object));
    if (verdict === undefined) return;
    this.#verdicts.delete(keyOf(object));
    const component = verdict.host === undefined ? "default-scheduler" : "kubelet";
    this.#tell({ object, component, ...verdict });
  }

  /** Addresses that the manifest asks for: status.podIPs, or the annotation. */
  static wantedAddresses(pod: Pod): string[] {
    const given = (pod.status.podIPs ?? []).map(({ ip }) => ip ?? "").filter((text) => text !== "");
    if (given.length > 0) return given;
    const annotation = pod.metadata.annotations?.[IP_ANNOTATION];
    if (annotation === undefined) return [];
    const list = annotation.split(",").map((text) => text.trim());
    const bad = list.find((text) => parseIp(text) === null);
    if (bad === undefined) return list;
    const message = `metadata.annotations: Invalid value: "${bad}": ${IP_ANNOTATION} must be a valid IP address`;
    throw new IpamError(message, {
      code: "IPAM_BAD_ADDRESS",
      path: ["metadata", "annotations", IP_ANNOTATION],
    });
  }

  #addressed(pod: Pod, nodeName: string, wanted: readonly string[]): Pod {
    const node = this.#store.get<Node>("Node", nodeName);
    const hostIPs = (node?.status.addresses ?? [])
      .filter((a) => a.type === "InternalIP")
      .map((a) => a.address);
    const host = pod.spec.hostNetwork === true;
    // A node that is not there yet (or never will be: the pod of an offline file) gives no addresses.
    if (node === undefined && wanted.length === 0) return withNode(pod, nodeName);
    const ips = host ? hostIPs : this.#addresses(pod, nodeName, wanted, node !== undefined);
    const status = {
      ...pod.status,
      ...(ips.length > 0 ? { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) } : {}),
      ...(hostIPs.length > 0 ? { hostIP: hostIPs[0], hostIPs: hostIPs.map((ip) => ({ ip })) } : {}),
      phase: pod.status.phase ?? "Pending",
    };
    return { ...withNode(pod, nodeName), status: { ...status, ...withoutReason(status) } };
  }

  #addresses(pod: Pod, nodeName: string, wanted: readonly string[], known: boolean): readonly string[] {
    const key = keyOf(pod);
    const held = this.#ipam.addressesOf(key);
    if (held !== undefined && held.join() === wanted.join()) return held;
    if (!known) {
      const message = `${podTitle(pod)} asks for address ${wanted[0]}, but there is no node "${nodeName}"`;
      throw new IpamError(message, { code: "IPAM_NO_NODE", pod: key, node: nodeName });
    }
    return this.#ipam.allocate(key, nodeName, wanted);
  }

  /** True of a pod that was admitted to its node before. */
  #isThere(key: string): boolean {
    const pod = this.#store.get<Pod>("Pod", key);
    return pod !== undefined && !isWaiting(pod) && !isFinished(pod);
  }

  #count(pod: Pod | undefined, by: number): void {
    const node = pod?.spec.nodeName;
    if (pod === undefined || node === undefined || isWaiting(pod) || isFinished(pod)) return;
    this.#load.set(node, (this.#load.get(node) ?? 0) + by);
    if (by < 0) this.#ports.delete(node, keyOf(pod));
    else this.#ports.set(node, keyOf(pod), hostPortsOf(pod.spec));
  }
}

type Verdict = Pick<Happening, "reason" | "message" | "type" | "host">;

const SCHEDULERS: readonly (string | undefined)[] = [undefined, "", "default-scheduler"];

const isOthers = ({ spec }: Pod): boolean => !SCHEDULERS.includes(spec.schedulerName);
const asPending = (pod: Pod): Pod => ({
  ...pod,
  status: { ...pod.status, phase: pod.status.phase ?? "Pending" },
});

const PORTS_TAKEN = "Predicate NodePorts failed";

function withNode(pod: Pod, nodeName: string): Pod {
  return pod.spec.nodeName === nodeName ? pod : { ...pod, spec: { ...pod.spec, nodeName } };
}

/** No node yet, or one that it may not have yet. */
function isWaiting(pod: Pod): boolean {
  return (
    pod.spec.nodeName === undefined ||
    (pod.status.conditions ?? []).some((c) => c.type === "PodScheduled" && c.reason === "Unschedulable")
  );
}

/** It names its node, and has no address of that yet. */
function isHomeless({ spec, status }: Pod): boolean {
  return spec.nodeName !== undefined && (status.podIPs ?? []).length === 0;
}

/** Pods that wait come last, or they would take what others have that were not met yet. */
export function placedFirst(objects: readonly KubeObject[]): KubeObject[] {
  return [...objects.filter((object) => !isWaitingPod(object)), ...objects.filter(isWaitingPod)];
}

export function isWaitingPod(object: KubeObject): boolean {
  return object.kind === "Pod" && isWaiting(object as Pod);
}

/** As the kubelet refuses it. */
function rejected(pod: Pod): Pod {
  const message = `Pod was rejected: ${PORTS_TAKEN}`;
  const { podIP, podIPs, ...status } = pod.status;
  return { ...pod, status: { ...status, phase: "Failed", reason: "NodePorts", message } };
}

function waiting(pod: Pod, message: string): Pod {
  const condition = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
  const others = (pod.status.conditions ?? []).filter((c) => c.type !== "PodScheduled");
  return { ...pod, status: { ...pod.status, phase: "Pending", conditions: [...others, condition] } };
}

function withoutReason(status: Pod["status"]): Partial<Pod["status"]> {
  const conditions = (status.conditions ?? []).filter((c) => c.reason !== "Unschedulable");
  return status.conditions === undefined ? {} : { conditions };
}
