// What kubelets do by time alone: they look at the machine, and say by a Lease in kube-node-lease that their node is
// there.
import type { Cluster } from "../../cluster/cluster.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { NO_PRESSURE, type Pressure, readPressure } from "./machine.ts";

const LEASES = "kube-node-lease";
const LEASE_SECONDS = 40; // kubelet's
/** A quarter of it, as kubelet renews it. */
const RENEWAL_MS = 10_000;

export class NodeBeats {
  /** As it was found last. */
  pressure: Pressure = NO_PRESSURE;
  readonly #beat: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(beat: () => void) {
    this.#beat = beat;
  }

  start(): void {
    this.#next();
    this.#timer = setInterval(() => this.#next(), RENEWAL_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #next(): void {
    this.pressure = readPressure();
    this.#beat();
  }
}

/** Of a node that is not in the store there is none. */
export function renewLease(cluster: Cluster, node: string): void {
  const { uid } = cluster.get("Node", node)?.metadata ?? {};
  if (uid === undefined) return;
  const renewTime = new Date().toISOString().replace(/Z$/, "000Z"); // microseconds
  cluster.update({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: node,
      namespace: LEASES,
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node, uid }],
    },
    spec: { holderIdentity: node, leaseDurationSeconds: LEASE_SECONDS, renewTime },
  } as KubeObject);
}

/** It changes too often to be written to disk for its own sake, and is made anew at once. */
export function isNodeLease({ kind, metadata }: KubeObject): boolean {
  return kind === "Lease" && metadata.namespace === LEASES;
}
