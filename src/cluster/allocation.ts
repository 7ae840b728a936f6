// What the cluster decides of its objects: ranges of nodes, nodes and addresses of pods, addresses and ports of Services.
// Made again from the objects when a call was refused; beyond them it knows only what was saved at the last start.
import { cidrs } from "../base/ip.ts";
import type { KubeObject, Namespace, Node, Pod, Service } from "../kube/objects.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import { NodeIpam } from "./controller/node-ipam.ts";
import { PodIpam } from "./controller/pod-ipam.ts";
import { PodPlacer } from "./controller/pod-placer.ts";
import { type SavedService, ServiceAllocator } from "./controller/service-allocator.ts";
import type { Happening } from "./event-recorder.ts";
import type { Store } from "./store.ts";

/** Of what was saved: all but what was deleted since. */
export interface Remembered {
  readonly nodes: Record<string, { podCIDRs: readonly string[] }>;
  readonly pods: Record<string, { node: string; ips: readonly string[] }>;
  readonly services: Record<string, SavedService>;
}

export class Allocation {
  /** Places pods, and is told of changes as controllers are. */
  readonly placer: PodPlacer;
  readonly #nodeIpam: NodeIpam;
  readonly #podIpam = new PodIpam();
  readonly #services: ServiceAllocator;
  readonly #saved: Remembered;
  readonly #architecture: ClusterOptions["architecture"];

  constructor(
    store: Store,
    options: ClusterOptions,
    saved: Remembered,
    tell: (happening: Happening) => void,
  ) {
    this.#saved = saved;
    this.#architecture = options.architecture;
    this.#nodeIpam = new NodeIpam(cidrs(options.clusterCidr));
    this.#services = new ServiceAllocator(cidrs(options.serviceCidr));
    for (const [name, { podCIDRs }] of Object.entries(saved.nodes)) this.#nodeIpam.remember(name, podCIDRs);
    for (const [key, { ips }] of Object.entries(saved.pods)) this.#podIpam.remember(key, ips);
    for (const [key, service] of Object.entries(saved.services)) this.#services.remember(key, service);
    this.placer = new PodPlacer(store, this.#podIpam, saved.pods, tell);
  }

  /** The object with what is decided. */
  allocated(object: KubeObject, old: KubeObject | undefined): KubeObject {
    switch (object.kind) {
      case "Node":
        return this.#nodeIpam.allocated(object as Node, this.#podIpam, this.#architecture);
      case "Service":
        return this.#services.allocate(object as Service, old as Service | undefined);
      case "Pod":
        return this.placer.place(object as Pod);
      case "Namespace":
        return { ...object, status: { phase: "Active" } } as Namespace;
      default:
        return object;
    }
  }

  /** The object is gone: what it had is free. */
  forget(kind: string, key: string): void {
    if (kind === "Service") {
      this.#services.forget(key);
      delete this.#saved.services[key];
    }
    if (kind === "Pod") {
      this.#podIpam.forget(key);
      delete this.#saved.pods[key];
    }
    if (kind === "Node") {
      delete this.#saved.nodes[key];
      this.#nodeIpam.release(key);
      this.#podIpam.setNode(key, []);
    }
  }
}
