// Services and EndpointSlices, and host ports of pods → changes of the plane's service table. Incremental: a change costs
// what the touched service ports hold, whatever else the cluster has.
//
// Two Services may claim one address and port (externalIPs are anybody's to write). Then the one with the smaller name
// has it, and the other gets it when the first lets go: the table depends on the objects, not on who came first.

import { type IpFamily, ipKey } from "../base/ip.ts";
import { listOf, type Some, someOf } from "../base/some.ts";
import { specOfText, specText } from "../dataplane/spec/packed-services.ts";
import type { FrontendSpec, ServicePortSpec, ServiceUpdate } from "../dataplane/spec/services.ts";
import { Action, FrontendKind, HOST_PORT_META, protocolOf, SourceClass } from "../dataplane/spec/services.ts";
import type { DesiredState, EndpointSlice, Service } from "../watch/desired-state.ts";
import { Claims } from "./claims.ts";
import { compileHostPorts, podOfKey } from "./host-ports.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { compileServicePort, isIgnored, isIgnoredSlice, type PortSpec } from "./service-port.ts";

const FAMILIES: readonly IpFamily[] = [4, 6];
const { EXTERNAL_IP, LOAD_BALANCER, NODE_PORT } = FrontendKind;
const EXTERNAL: readonly number[] = [EXTERNAL_IP, LOAD_BALANCER, NODE_PORT];

/** Who numbers service ports: whoever wants an id to mean something beyond this process. */
export interface ServiceIds {
  /** An id for a service port that has none, by its key, and what tells it to the plane's memory. */
  take(key: string): { readonly id: number; readonly digest?: readonly number[] };
  /** The service port is gone. */
  release(id: number): void;
}

/** One after the other. */
class FreshIds implements ServiceIds {
  #last = 0;
  take(): { id: number } {
    return { id: ++this.#last };
  }
  release(): void {}
}

/** A service port. There are tens of thousands, so what they are is kept as texts (packed-services.ts). */
interface Entry {
  readonly key: string;
  readonly id: number;
  readonly name: string;
  /** With all its frontends, whether it owns them or not. */
  full: string;
  /** As last told; "": not yet. */
  told: string;
  /** Trait bits of what was told. */
  traits: number;
}

/** What is counted of service ports, each a bit. */
const Trait = { HOST_PORT: 1, NO_LOCAL_INTERNAL: 2, NO_LOCAL_EXTERNAL: 4 } as const;

export interface ServiceCounts {
  /** Of Services, and of pods' host ports. */
  readonly servicePorts: number;
  readonly hostPorts: number;
  /** Of Services whose traffic policy is Local and that have no endpoint here, by ClusterIP and from outside. */
  readonly noLocalInternal: number;
  readonly noLocalExternal: number;
}

export class ServiceCompiler {
  #settings: ProxySettings;
  readonly #nodeName: string;
  readonly #ids: ServiceIds;
  readonly #byId = new Map<number, Entry>();
  readonly #ofService = new Map<string, Some<Entry>>();
  /** Frontends. */
  readonly #claims = new Claims<Entry>();
  readonly #prepared = new Map<string, Map<string, PortSpec>>();

  /** `nodeName`: whose pods' host ports these are. */
  constructor(settings: ProxySettings, nodeName = settings.nodeName, ids: ServiceIds = new FreshIds()) {
    this.#settings = settings;
    this.#ids = ids;
    this.#nodeName = nodeName;
  }

  get settings(): ProxySettings {
    return this.#settings;
  }

  /** Number of service ports. */
  get size(): number {
    return this.#byId.size;
  }

  /** What the plane was told about a service port: for `show` and for messages that name one by id. */
  *specs(): Iterable<ServicePortSpec> {
    for (const { told, name } of this.#byId.values()) if (told !== "") yield specOfText(told, name);
  }

  /** Of those that the plane was told about. */
  get counts(): ServiceCounts {
    const all = [...this.#byId.values()].filter(({ told }) => told !== "");
    const having = (trait: number): number => all.filter(({ traits }) => (traits & trait) !== 0).length;
    const hostPorts = having(Trait.HOST_PORT);
    return {
      servicePorts: all.length - hostPorts,
      hostPorts,
      noLocalInternal: having(Trait.NO_LOCAL_INTERNAL),
      noLocalExternal: having(Trait.NO_LOCAL_EXTERNAL),
    };
  }

  /** "namespace/name:port" of a service port, "pod namespace/name" of a host port; undefined once it is gone. */
  nameOf(id: number): string | undefined {
    return this.#byId.get(id)?.name;
  }

  /** Does anything in the plane come from the objects of this key? */
  has(key: string): boolean {
    return this.#ofService.has(key);
  }

  /** The changes that these Services' objects make. Keys whose objects did not change cost little and tell nothing. */
  update(state: DesiredState, serviceKeys: Iterable<string>): ServiceUpdate {
    const out: Marks = { touched: new Map(), lost: new Set(), remove: [], freed: new Map() };
    for (const key of serviceKeys) this.#updateService(state, key, out);
    this.#prepared.clear();
    const upsert: ServicePortSpec[] = [];
    for (const entry of new Set([...out.lost, ...out.touched.keys()])) {
      const full = out.touched.get(entry) ?? specOfText(entry.full, entry.name);
      const frontends = this.#owned(entry, full);
      const spec = frontends === full.frontends ? full : { ...full, frontends };
      const text = spec === full ? entry.full : specText(spec);
      if (entry.told === text) continue;
      if (entry.told !== "") markFreed(specOfText(entry.told, entry.name), frontends, out.freed);
      entry.told = text;
      entry.traits = traitsOf(frontends);
      upsert.push(spec);
    }
    const { remove } = out;
    const together = out.freed.size === 0 ? [] : handedOver(upsert, out.freed);
    return together.length === 0 ? { upsert, remove } : { upsert, remove, together };
  }

  /**
   * Compiles Services whose `update` will come: a caller with many of them can do other things in between. Those that
   * change meanwhile have to come again.
   */
  prepare(state: DesiredState, serviceKeys: Iterable<string>): void {
    for (const key of serviceKeys) this.#prepared.set(key, this.#compile(state, key));
  }

  /** Takes in other settings (a zone, an address, the configuration); answers which Services to update. */
  setSettings(settings: ProxySettings): string[] {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return [];
    this.#settings = settings;
    this.#prepared.clear();
    return [...this.#ofService.keys()];
  }

  #compile(state: DesiredState, key: string): Map<string, PortSpec> {
    const pod = podOfKey(key);
    if (pod !== undefined) return compileHostPorts(state, pod, this.#nodeName, this.#settings);
    return compileService(state.services.get(key), state.slices.get(key) ?? [], this.#settings);
  }

  #updateService(state: DesiredState, key: string, out: Marks): void {
    const before = listOf(this.#ofService.get(key));
    const specs = this.#prepared.get(key) ?? this.#compile(state, key);
    for (const entry of before) if (!specs.has(entry.key)) this.#drop(entry, out);
    const entries: Entry[] = [];
    for (const [entryKey, port] of specs) {
      const known = before.find((entry) => entry.key === entryKey);
      entries.push(known === undefined ? this.#add(entryKey, port, out) : this.#change(known, port, out));
    }
    set(this.#ofService, key, someOf(entries));
  }

  #add(key: string, port: PortSpec, out: Marks): Entry {
    const { id, digest } = this.#ids.take(key);
    const spec: ServicePortSpec = { id, ...port };
    if (digest !== undefined) spec.digest = digest;
    const entry: Entry = { key, id, name: port.name, full: specText(spec), told: "", traits: 0 };
    this.#byId.set(id, entry);
    this.#claim(entry, spec, out);
    out.touched.set(entry, spec);
    return entry;
  }

  /** Its key is what it was, and so is its name. */
  #change(entry: Entry, port: PortSpec, out: Marks): Entry {
    const before = specOfText(entry.full, entry.name);
    const spec: ServicePortSpec = { id: entry.id, ...port };
    if (before.digest !== undefined) spec.digest = before.digest;
    this.#release(entry, before, out);
    entry.full = specText(spec);
    this.#claim(entry, spec, out);
    out.touched.set(entry, spec);
    return entry;
  }

  #drop(entry: Entry, out: Marks): void {
    const { id, name, full, told } = entry;
    this.#release(entry, specOfText(full, name), out);
    out.lost.delete(entry);
    out.touched.delete(entry);
    out.remove.push(id);
    if (told !== "") markFreed(specOfText(told, name), [], out.freed);
    this.#byId.delete(id);
    this.#ids.release(id);
  }

  #claim(entry: Entry, { frontends, protocol }: ServicePortSpec, out: Marks): void {
    for (const frontend of frontends) {
      const loser = this.#claims.add(claimKey(frontend, protocol), entry);
      if (loser !== undefined) out.lost.add(loser);
    }
  }

  #release(entry: Entry, { frontends, protocol }: ServicePortSpec, out: Marks): void {
    for (const frontend of frontends) {
      const heir = this.#claims.remove(claimKey(frontend, protocol), entry);
      if (heir !== undefined) touch(heir, out);
    }
  }

  #owned(entry: Entry, { frontends, protocol }: ServicePortSpec): FrontendSpec[] {
    const isOwned = (f: FrontendSpec): boolean => this.#claims.holder(claimKey(f, protocol)) === entry;
    return frontends.every(isOwned) ? frontends : frontends.filter(isOwned);
  }
}

interface Marks {
  /** Entries to tell again, as they are now; undefined: as they were. */
  readonly touched: Map<Entry, ServicePortSpec | undefined>;
  /** Among them those that an address was taken from. */
  readonly lost: Set<Entry>;
  readonly remove: number[];
  /** Addresses that a service port had in the plane and has no more, with its id. */
  readonly freed: Map<string, number>;
}

function traitsOf(frontends: readonly FrontendSpec[]): number {
  let traits = 0;
  for (const { kind, byClass } of frontends) {
    if (kind === FrontendKind.HOST_PORT) traits |= Trait.HOST_PORT;
    if (byClass[SourceClass.OUTSIDE].action !== Action.DROP) continue;
    if (kind === FrontendKind.CLUSTER_IP) traits |= Trait.NO_LOCAL_INTERNAL;
    if (EXTERNAL.includes(kind)) traits |= Trait.NO_LOCAL_EXTERNAL;
  }
  return traits;
}

/** Undefined: there is nothing left. */
function set<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function touch(entry: Entry, { touched }: Marks): void {
  if (!touched.has(entry)) touched.set(entry, undefined);
}

function markFreed(told: ServicePortSpec, now: readonly FrontendSpec[], freed: Map<string, number>): void {
  const kept = new Set(now.map((f) => claimKey(f, told.protocol)));
  for (const f of told.frontends) {
    const claim = claimKey(f, told.protocol);
    if (!kept.has(claim)) freed.set(claim, told.id);
  }
}

/** Service ports of which one gets what another had: they have to change at once, or nobody has it in between. */
function handedOver(upsert: readonly ServicePortSpec[], freed: ReadonlyMap<string, number>): number[] {
  const ids = new Set<number>();
  for (const { id, protocol, frontends } of upsert) {
    for (const f of frontends) {
      const before = freed.get(claimKey(f, protocol));
      if (before !== undefined && before !== id) ids.add(before).add(id);
    }
  }
  return [...ids];
}

/** All service ports of a Service, by "namespace/name:port/protocol/family". */
export function compileService(
  service: Service | undefined,
  slices: readonly EndpointSlice[],
  settings: ProxySettings,
): Map<string, PortSpec> {
  const specs = new Map<string, PortSpec>();
  if (service === undefined || isIgnored(service)) return specs;
  const usable = slices.filter((slice) => !isIgnoredSlice(slice));
  for (const port of service.spec.ports ?? []) {
    for (const family of FAMILIES) {
      const spec = compileServicePort(service, port, family, usable, settings);
      if (spec !== undefined) specs.set([spec.name, port.protocol ?? "TCP", family].join("/"), spec);
    }
  }
  return specs;
}

/** By what the plane finds it. */
function claimKey(f: FrontendSpec, protocol: number): string {
  const isHostPort = f.kind === FrontendKind.HOST_PORT;
  const meta = protocolOf(f, protocol) | (f.family << 8) | (isHostPort ? HOST_PORT_META : 0);
  return ipKey(f) + String.fromCharCode(meta, f.port);
}
