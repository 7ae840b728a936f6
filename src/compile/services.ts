// Services and EndpointSlices, and host ports of pods → changes of the plane's service table. Incremental: a change costs
// what the touched service ports hold, whatever else the cluster has.
//
// Two Services may claim one address and port (externalIPs are anybody's to write). Then the one with the smaller name
// has it, and the other gets it when the first lets go: the table depends on the objects, not on who came first.

import { deepEqual } from "../base/deep-equal.ts";
import type { IpFamily } from "../base/ip.ts";
import type { FrontendSpec, ServicePortSpec, ServiceUpdate } from "../dataplane/spec/services.ts";
import { FrontendKind, protocolOf } from "../dataplane/spec/services.ts";
import type { DesiredState, EndpointSlice, Service } from "../watch/desired-state.ts";
import { compileHostPorts, podOfKey } from "./host-ports.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { compileServicePort, isIgnored, isIgnoredSlice, type PortSpec, portName } from "./service-port.ts";

const FAMILIES: readonly IpFamily[] = [4, 6];
const NO_SLICES: ReadonlyMap<string, EndpointSlice> = new Map();

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

interface Entry {
  readonly id: number;
  readonly digest: readonly number[] | undefined;
  /** With all its frontends, whether it owns them or not. */
  full: PortSpec;
  /** As last told; undefined: not yet. */
  told: ServicePortSpec | undefined;
}

export class ServiceCompiler {
  #settings: ProxySettings;
  readonly #nodeName: string;
  readonly #ids: ServiceIds;
  readonly #names = new Map<number, string>();
  readonly #entries = new Map<string, Entry>();
  /** Service → keys of its entries. */
  readonly #ofService = new Map<string, string[]>();
  /** Frontend → keys of the entries that claim it, sorted; the first one has it. */
  readonly #claims = new Map<string, string[]>();
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
    return this.#entries.size;
  }

  /** What the plane was told about a service port: for `show` and for messages that name one by id. */
  *specs(): Iterable<ServicePortSpec> {
    for (const entry of this.#entries.values()) if (entry.told !== undefined) yield entry.told;
  }

  /** "namespace/name:port" of a service port, "pod namespace/name" of a host port; undefined once it is gone. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** Does anything in the plane come from the objects of this key? */
  has(key: string): boolean {
    return this.#ofService.has(key);
  }

  /** The changes that these Services' objects make. Keys whose objects did not change cost little and tell nothing. */
  update(state: DesiredState, serviceKeys: Iterable<string>): ServiceUpdate {
    const out: Marks = { touched: new Set(), lost: new Set(), remove: [], freed: new Map() };
    for (const key of serviceKeys) this.#updateService(state, key, out);
    this.#prepared.clear();
    const upsert: ServicePortSpec[] = [];
    for (const key of new Set([...out.lost, ...out.touched])) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      const { id, digest } = entry;
      const spec: ServicePortSpec = { id, ...entry.full, frontends: this.#owned(key, entry.full.frontends) };
      if (digest !== undefined) spec.digest = digest;
      if (entry.told !== undefined) {
        if (deepEqual(entry.told, spec)) continue;
        markFreed(entry.told, spec.frontends, out.freed);
      }
      entry.told = spec;
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
    return compileService(state.services.get(key), state.slices.get(key) ?? NO_SLICES, this.#settings);
  }

  #updateService(state: DesiredState, key: string, out: Marks): void {
    const before = this.#ofService.get(key) ?? [];
    const specs = this.#prepared.get(key) ?? this.#compile(state, key);
    for (const entryKey of before) {
      if (specs.has(entryKey)) continue;
      const entry = this.#entries.get(entryKey) as Entry;
      this.#release(entryKey, entry.full.frontends, out);
      this.#entries.delete(entryKey);
      out.lost.delete(entryKey);
      out.touched.delete(entryKey);
      out.remove.push(entry.id);
      if (entry.told !== undefined) markFreed(entry.told, [], out.freed);
      this.#names.delete(entry.id);
      this.#ids.release(entry.id);
    }
    for (const [entryKey, full] of specs) {
      const entry = this.#entries.get(entryKey);
      if (entry === undefined) {
        const { id, digest } = this.#ids.take(entryKey);
        this.#names.set(id, full.name);
        this.#entries.set(entryKey, { id, digest, full, told: undefined });
      } else {
        this.#release(entryKey, entry.full.frontends, out);
        entry.full = full;
        this.#names.set(entry.id, full.name);
      }
      for (const frontend of full.frontends) this.#claim(entryKey, claimKey(frontend, full.protocol), out);
      out.touched.add(entryKey);
    }
    if (specs.size > 0) this.#ofService.set(key, [...specs.keys()]);
    else this.#ofService.delete(key);
  }

  #claim(entryKey: string, claim: string, out: Marks): void {
    const keys = this.#claims.get(claim);
    if (keys === undefined) {
      this.#claims.set(claim, [entryKey]);
      return;
    }
    const holder = keys[0];
    keys.push(entryKey);
    keys.sort();
    if (keys[0] !== holder) out.lost.add(holder);
  }

  #release(entryKey: string, frontends: readonly FrontendSpec[], out: Marks): void {
    const protocol = this.#entries.get(entryKey)?.full.protocol ?? 0;
    for (const frontend of frontends) {
      const claim = claimKey(frontend, protocol);
      const keys = this.#claims.get(claim) ?? [];
      const at = keys.indexOf(entryKey);
      if (at >= 0) keys.splice(at, 1);
      if (keys.length === 0) this.#claims.delete(claim);
      else if (at === 0) out.touched.add(keys[0]);
    }
  }

  #owned(entryKey: string, frontends: readonly FrontendSpec[]): FrontendSpec[] {
    const protocol = (this.#entries.get(entryKey) as Entry).full.protocol;
    const isOwned = (f: FrontendSpec): boolean => this.#claims.get(claimKey(f, protocol))?.[0] === entryKey;
    return frontends.every(isOwned) ? (frontends as FrontendSpec[]) : frontends.filter(isOwned);
  }
}

interface Marks {
  /** Entries to tell again. */
  readonly touched: Set<string>;
  /** Among them those that an address was taken from. */
  readonly lost: Set<string>;
  readonly remove: number[];
  /** Addresses that a service port had in the plane and has no more, with its id. */
  readonly freed: Map<string, number>;
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
  slices: ReadonlyMap<string, EndpointSlice>,
  settings: ProxySettings,
): Map<string, PortSpec> {
  const specs = new Map<string, PortSpec>();
  if (service === undefined || isIgnored(service)) return specs;
  const usable = [...slices.values()].filter((slice) => !isIgnoredSlice(slice));
  for (const port of service.spec.ports ?? []) {
    for (const family of FAMILIES) {
      const spec = compileServicePort(service, port, family, usable, settings);
      if (spec !== undefined)
        specs.set(`${portName(service, port)}/${port.protocol ?? "TCP"}/${family}`, spec);
    }
  }
  return specs;
}

function claimKey(f: FrontendSpec, protocol: number): string {
  const kind = f.kind === FrontendKind.HOST_PORT ? "/host" : "";
  return `${f.w0},${f.w1},${f.w2},${f.w3},${f.family}:${f.port}/${protocolOf(f, protocol)}${kind}`;
}
