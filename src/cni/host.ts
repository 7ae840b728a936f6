// What the CNI verbs ask of the agent.
import type { Cidr, Ip } from "../base/ip.ts";
import type { PodHostPort } from "../kube/host-ports.ts";
import type { ObjectEvent } from "../watch/desired-state.ts";
import type { LeasePod } from "./leases.ts";

/** The node, once its object is there. */
export interface CniNode {
  /** Of pods, one a family. */
  readonly ranges: readonly Cidr[];
  /** What fits the way between nodes. */
  readonly mtu: number;
  /** Everything of type LOCAL, loopback addresses too. */
  readonly localIps: readonly Ip[];
}

export interface CniHost {
  /** undefined: it cannot be said yet … */
  readonly node: CniNode | undefined;
  /** … and why not. */
  readonly problem: string;
  /** Takes in what became of a pod; resolves when the plane works with it. */
  follow(event: ObjectEvent): Promise<void>;
  /** Resolves when the pod's object is there; false: it does not come. */
  knows(pod: LeasePod, gone: AbortSignal): Promise<boolean>;
  /** Why the pod's port is not open; "": it is. */
  portProblem(podKey: string): string;
  /** Addresses of pods of this node that others attached. */
  otherAddresses(): readonly Ip[];
  /** Host ports that are served here, by pod. */
  hostPorts(): Iterable<readonly [podKey: string, ports: readonly PodHostPort[]]>;
  note(text: string): void;
}
