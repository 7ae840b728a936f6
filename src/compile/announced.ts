// Addresses of load balancers that this node announces: of Services that name it as the one who does (announced-from.ts)
// those that their status gives them. Who may announce is decided by whoever writes the Service, so that of all nodes one
// answers. A change looks at the Services that changed, not at all.
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { ANNOUNCED_FROM } from "../kube/load-balancer/announced-from.ts";
import type { DesiredState, Service } from "../watch/desired-state.ts";
import { distinct } from "./proxy-settings.ts";

export class AnnouncedAddresses {
  readonly #nodeName: string;
  readonly #ofService = new Map<string, readonly Ip[]>();
  #list: readonly Ip[] = [];
  /** By text, as the plane knows them. */
  #told = new Set<string>();

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  get list(): readonly Ip[] {
    return this.#list;
  }

  /** True when they are others now. */
  update(state: DesiredState, serviceKeys: Iterable<string>): boolean {
    for (const key of serviceKeys) {
      const addresses = this.#addressesOf(state.services.get(key));
      if (addresses.length === 0) this.#ofService.delete(key);
      else this.#ofService.set(key, addresses);
    }
    const before = this.#list.map(formatIp).join();
    this.#list = distinct([...this.#ofService.values()].flat());
    return this.#list.map(formatIp).join() !== before;
  }

  /** All of them, and those among them that are new; undefined: they are what they were when it was last asked. */
  take(): { addresses: Ip[]; told: Ip[] } | undefined {
    const before = this.#told;
    const told = this.#list.filter((address) => !before.has(formatIp(address)));
    if (told.length === 0 && this.#list.length === before.size) return undefined;
    this.#told = new Set(this.#list.map(formatIp));
    return { addresses: [...this.#list], told };
  }

  #addressesOf(service: Service | undefined): readonly Ip[] {
    if (service?.spec.type !== "LoadBalancer") return [];
    if (service.metadata.annotations?.[ANNOUNCED_FROM] !== this.#nodeName) return [];
    const ingress = service.status.loadBalancer?.ingress ?? [];
    return ingress
      .filter(({ ipMode = "VIP" }) => ipMode === "VIP")
      .flatMap(({ ip = "" }) => parseIp(ip) ?? []);
  }
}
