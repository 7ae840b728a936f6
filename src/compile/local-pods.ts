// Pods and their annotations → the pods that this node's agent attaches.

import { type Ip, parseIp } from "../base/ip.ts";
import { type Bandwidth, bandwidthOf } from "../kube/bandwidth.ts";
import type { DesiredState, Pod } from "../watch/desired-state.ts";
import { type Mac, macFromText, macOf } from "./mac.ts";

/** A pod that this node's agent attaches. */
export interface LocalPod {
  /** "" where the source gives none. */
  readonly uid: string;
  readonly key: string;
  readonly addresses: readonly Ip[];
  readonly mac: Mac;
  /** Path of the network namespace, "" while nobody has made it. */
  readonly netns: string;
  readonly interface: string;
  /** UDP datagrams may enter it joined. */
  readonly joins: boolean;
  readonly bandwidth: Bandwidth;
}

const NETNS = "podwire.dev/netns";
const INTERFACE = "podwire.dev/interface";
const MAC = "podwire.dev/mac";
/** Anything but "true", which is what is meant where it is missing, is taken for no. */
const JOIN_DATAGRAMS = "podwire.dev/join-datagrams";

/** What was made of a pod, which never changes: one change asks for all pods of a node. */
const known = new WeakMap<Pod, LocalPod | typeof NOT_ATTACHED>();
const NOT_ATTACHED = "not attached";

/** Pods that this node attaches, sorted by key: its own, with addresses, not on the host's network, not ended. */
export function compilePods(state: DesiredState, nodeName: string): LocalPod[] {
  const list: LocalPod[] = [];
  for (const [key, pod] of state.podsOn(nodeName)) {
    let made = known.get(pod);
    if (made === undefined) {
      made = compilePod(key, pod) ?? NOT_ATTACHED;
      known.set(pod, made);
    }
    if (made !== NOT_ATTACHED) list.push(made);
  }
  return list.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function compilePod(key: string, pod: Pod): LocalPod | undefined {
  if (pod.spec.hostNetwork === true || hasEnded(pod)) return undefined;
  const addresses = (pod.status.podIPs ?? []).flatMap(({ ip }) => parseIp(ip ?? "") ?? []);
  if (addresses.length === 0) return undefined;
  const annotations = pod.metadata.annotations ?? {};
  return {
    key,
    uid: pod.metadata.uid ?? "",
    addresses,
    mac: macFromText(annotations[MAC] ?? "") ?? macOf(addresses),
    netns: annotations[NETNS] ?? "",
    interface: annotations[INTERFACE] ?? "eth0",
    joins: (annotations[JOIN_DATAGRAMS] ?? "true") === "true",
    bandwidth: bandwidthOf(annotations),
  };
}

export function hasEnded(pod: Pod): boolean {
  return pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
}
