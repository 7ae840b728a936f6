// Services of type LoadBalancer get addresses of the lab's pool, and a node that announces them (announcer.ts), as status
// and as the annotation by which agents know. A Service keeps its addresses until it is deleted, is of another type or
// asks for others; one that cannot have what it asks for has none, and an Event that says why. Classes of others are left
// alone. Who has what is known from the objects: a controller that begins anew goes on with that.
import type { AddressSpan } from "../../../base/address-span.ts";
import { type IpFamily, ip } from "../../../base/ip.ts";
import { ANNOUNCED_FROM, LOAD_BALANCER_CLASS } from "../../../kube/load-balancer/announced-from.ts";
import {
  type EndpointSlice,
  type KubeObject,
  keyOf,
  type Node,
  type Service,
} from "../../../kube/objects.ts";
import { SERVICE_NAME_LABEL } from "../../../kube/slice-labels.ts";
import type { Happening } from "../../event-recorder.ts";
import type { Store, StoreEvent } from "../../store.ts";
import { announcerOf } from "./announcer.ts";
import { familiesOf, requestedAddresses } from "./requested-addresses.ts";
import { VipPool } from "./vip-pool.ts";

const COMPONENT = "podwire-load-balancer";

export class LoadBalancerController {
  readonly #store: Store;
  readonly #pool: VipPool;
  readonly #tell: (happening: Happening) => void;
  readonly #dirty = new Set<string>();
  /** Service → its addresses. */
  readonly #held = new Map<string, readonly string[]>();
  /** Service that has none → why, as it was told. */
  readonly #failed = new Map<string, string>();
  /** Service → keys of its slices. */
  readonly #slices = new Map<string, Set<string>>();

  constructor(store: Store, pool: readonly AddressSpan[], tell: (happening: Happening) => void) {
    this.#store = store;
    this.#pool = new VipPool(pool);
    this.#tell = tell;
  }

  onEvent({ type, object }: StoreEvent): void {
    if (object.kind === "Service") this.#serviceChanged(type, object as Service);
    else if (object.kind === "EndpointSlice") this.#sliceChanged(type, object);
    else if (object.kind === "Node") for (const key of this.#held.keys()) this.#dirty.add(key);
  }

  /** Whoever waits for an address was told why. */
  settle(): void {
    this.#dirty.clear();
    for (const service of this.#store.values<Service>("Service")) {
      const key = keyOf(service);
      if (!isOurs(service) || this.#held.has(key)) continue;
      const found = this.#addressesFor(key, service);
      if (typeof found === "string") this.#failed.set(key, found);
      else this.#dirty.add(key);
    }
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) {
      const service = this.#store.get<Service>("Service", key);
      if (service !== undefined) this.#reconcileOne(key, service);
    }
    return keys.length > 0;
  }

  #serviceChanged(type: StoreEvent["type"], service: Service): void {
    const key = keyOf(service);
    if (type === "DELETED") {
      this.#hold(key, []);
      this.#failed.delete(key);
      return;
    }
    if (type === "ADDED" && isOurs(service)) {
      const given = (service.status.loadBalancer?.ingress ?? []).flatMap((each) => each.ip ?? []);
      this.#hold(
        key,
        given.filter((address) => this.#pool.has(address) && this.#pool.ownerOf(address) === undefined),
      );
    }
    this.#dirty.add(key);
  }

  #sliceChanged(type: StoreEvent["type"], { metadata }: KubeObject): void {
    const service = `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME_LABEL]}`;
    const keys = this.#slices.get(service) ?? new Set();
    if (type === "DELETED") keys.delete(keyOf({ metadata }));
    else keys.add(keyOf({ metadata }));
    if (keys.size === 0) this.#slices.delete(service);
    else this.#slices.set(service, keys);
    if (this.#held.has(service)) this.#dirty.add(service);
  }

  #reconcileOne(key: string, service: Service): void {
    const held = this.#held.get(key) ?? [];
    if (!isOurs(service)) {
      this.#failed.delete(key);
      if (held.length === 0) return; // others', or none at all
      this.#hold(key, []);
      this.#write(service, [], undefined);
      return;
    }
    const found = this.#addressesFor(key, service);
    const addresses = typeof found === "string" ? [] : found;
    this.#hold(key, addresses);
    if (typeof found === "string") this.#refuse(key, service, found);
    else this.#failed.delete(key);
    const from = addresses.length === 0 ? undefined : this.#announcer(key, service, addresses[0]);
    this.#write(service, addresses, from);
    const isNew = addresses.length > 0 && addresses.join() !== held.join();
    if (isNew) this.#say(service, "IPAllocated", `Assigned IP ${JSON.stringify(addresses)}`);
    if (from === undefined || from === service.metadata.annotations?.[ANNOUNCED_FROM]) return;
    this.#say(service, "nodeAssigned", `announcing from node "${from}" with protocol "layer2"`);
  }

  /** What it has, if that will still do, or others; or why it cannot have any. */
  #addressesFor(key: string, service: Service): readonly string[] | string {
    const asked = requestedAddresses(service, key, this.#pool);
    if (typeof asked === "string") return asked;
    const held = this.#held.get(key) ?? [];
    const addresses: string[] = [];
    for (const name of familiesOf(service)) {
      const family: IpFamily = name === "IPv6" ? 6 : 4;
      const isIts = (address: string): boolean => ip(address).family === family;
      const address = asked.find(isIts) ?? held.find(isIts) ?? this.#pool.firstFree(family);
      if (address !== undefined) addresses.push(address);
      else if (service.spec.ipFamilyPolicy !== "PreferDualStack") return `no ${name} address is left`;
    }
    return addresses.length > 0 ? addresses : "no address is left";
  }

  #announcer(key: string, service: Service, address: string): string | undefined {
    const slices = [...(this.#slices.get(key) ?? [])].flatMap(
      (slice) => this.#store.get<EndpointSlice>("EndpointSlice", slice) ?? [],
    );
    return announcerOf(service, address, slices, this.#store.values<Node>("Node"));
  }

  /** These and no others. What becomes free is for those that wait. */
  #hold(key: string, addresses: readonly string[]): void {
    const before = this.#held.get(key) ?? [];
    const freed = before.filter((address) => !addresses.includes(address));
    for (const address of freed) this.#pool.release(address);
    for (const address of addresses) this.#pool.take(address, key);
    if (addresses.length === 0) this.#held.delete(key);
    else this.#held.set(key, addresses);
    if (freed.length > 0) for (const waiting of this.#failed.keys()) this.#dirty.add(waiting);
  }

  #write(service: Service, addresses: readonly string[], from: string | undefined): void {
    const { [ANNOUNCED_FROM]: _, ...others } = service.metadata.annotations ?? {};
    const annotations = from === undefined ? others : { ...others, [ANNOUNCED_FROM]: from };
    const { annotations: __, ...metadata } = service.metadata;
    const ingress = addresses.map((address) => ({ ip: address, ipMode: "VIP" }));
    this.#store.put({
      ...service,
      metadata: { ...metadata, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
      status: { ...service.status, loadBalancer: ingress.length === 0 ? {} : { ingress } },
    } as Service);
  }

  #refuse(key: string, service: Service, why: string): void {
    if (this.#failed.get(key) === why) return;
    this.#failed.set(key, why);
    const message = `Failed to allocate IP for ${JSON.stringify(key)}: ${why}`;
    this.#tell({
      object: service,
      reason: "AllocationFailed",
      message,
      component: COMPONENT,
      type: "Warning",
    });
  }

  #say(object: Service, reason: string, message: string): void {
    this.#tell({ object, reason, message, component: COMPONENT });
  }
}

/** Of that type, and of no other class. */
function isOurs({ spec }: Service): boolean {
  const { loadBalancerClass = "" } = spec;
  return (
    spec.type === "LoadBalancer" && (loadBalancerClass === "" || loadBalancerClass === LOAD_BALANCER_CLASS)
  );
}
