// Ports of a node that a pod asks for: `hostPort` of its containers, and who is in whose way.
import type { PodSpec } from "./objects.ts";

export interface PodHostPort {
  /** Text of an IP address; "": every address of the node. */
  readonly hostIP: string;
  readonly protocol: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** Of everything that runs as long as the pod does: containers, and init containers that are restarted for ever. */
export function hostPortsOf(spec: PodSpec): PodHostPort[] {
  const sidecars = (spec.initContainers ?? []).filter((each) => each.restartPolicy === "Always");
  return [...sidecars, ...(spec.containers ?? [])].flatMap(({ ports = [] }) =>
    ports
      .filter(({ hostPort = 0 }) => hostPort > 0)
      .map(({ hostIP = "", protocol = "TCP", hostPort = 0, containerPort }) => ({
        hostIP,
        protocol,
        hostPort,
        containerPort,
      })),
  );
}

/** As the scheduler's NodePorts filter: 0.0.0.0 is in the way of every address, any other only of itself. */
export function isInTheWay(a: PodHostPort, b: PodHostPort): boolean {
  if (a.hostPort !== b.hostPort || a.protocol !== b.protocol) return false;
  const [one, other] = [a.hostIP || ANY, b.hostIP || ANY];
  return one === other || one === ANY || other === ANY;
}

const ANY = "0.0.0.0";

/** Host ports in use on each node, by pod. */
export class HostPortUse {
  readonly #byNode = new Map<string, Map<string, readonly PodHostPort[]>>();

  set(node: string, key: string, ports: readonly PodHostPort[]): void {
    const pods = this.#byNode.get(node) ?? new Map<string, readonly PodHostPort[]>();
    if (ports.length > 0) this.#byNode.set(node, pods.set(key, ports));
  }

  delete(node: string, key: string): void {
    const pods = this.#byNode.get(node);
    pods?.delete(key);
    if (pods?.size === 0) this.#byNode.delete(node);
  }

  /** True when no other pod of the node has any of the ports. */
  isFree(node: string, key: string, ports: readonly PodHostPort[]): boolean {
    if (ports.length === 0) return true;
    for (const [holder, held] of this.#byNode.get(node) ?? []) {
      if (holder !== key && held.some((a) => ports.some((b) => isInTheWay(a, b)))) return false;
    }
    return true;
  }
}
