// Services and EndpointSlices → changes of the plane's service table. Incremental: a change costs what the touched
// service ports hold, whatever else the cluster has.
//
// Two Services may claim one address and port (externalIPs are anybody's to write). Then the one with the smaller name
// has it, and the other gets it when the first lets go: the table depends on the objects, not on who came first.
import type { IpFamily } from "../base/ip.ts";
import type { DesiredState, EndpointSlice, Service } from "../control/desired-state.ts";
import type { FrontendSpec, ServicePortSpec, ServiceUpdate } from "../dataplane/table/services.ts";
import * as table from "../dataplane/table/services.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { compileServicePort, isIgnored, isIgnoredSlice, type PortSpec, portName } from "./service-port.ts";

const FAMILIES: readonly IpFamily[] = [4, 6];
const NO_SLICES: ReadonlyMap<string, EndpointSlice> = new Map();

interface Entry {
  readonly id: number;
  /** With all its frontends, whether it owns them or not. */
  full: PortSpec;
  /** As last told; undefined: not yet. */
  told: ServicePortSpec | undefined;
}

export class ServiceCompiler {
  #settings: ProxySettings;
  #nextId = 1;
  readonly #names = new Map<number, string>();
  readonly #entries = new Map<string, Entry>();
  /** Service → keys of its entries. */
  readonly #ofService = new Map<string, string[]>();
  /** Frontend → keys of the entries that claim it, sorted; the first one has it. */
  readonly #claims = new Map<string, string[]>();

  constructor(settings: ProxySettings) {
    this.#settings = settings;
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

  /** "namespace/name:port" of a service port; undefined once it is gone. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** The changes that these Services' objects make. Keys whose objects did not change cost little and tell nothing. */
  update(state: DesiredState, serviceKeys: Iterable<string>): ServiceUpdate {
    const touched = new Set<string>();
    const lost = new Set<string>();
    const remove: number[] = [];
    for (const key of serviceKeys) this.#updateService(state, key, { touched, lost, remove });
    const specs: ServicePortSpec[] = [];
    for (const key of [...lost, ...touched]) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      const spec = { id: entry.id, ...entry.full, frontends: this.#owned(key, entry.full.frontends) };
      if (entry.told !== undefined && sameSpec(entry.told, spec)) continue;
      entry.told = spec;
      specs.push(spec);
    }
    return { upsert: specs, remove };
  }

  /** The changes that other settings (a zone, an address, the configuration) make to all that was compiled so far. */
  changeSettings(state: DesiredState, settings: ProxySettings): ServiceUpdate {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return { upsert: [], remove: [] };
    this.#settings = settings;
    return this.update(state, [...this.#ofService.keys()]);
  }

  #updateService(state: DesiredState, key: string, out: Marks): void {
    const before = this.#ofService.get(key) ?? [];
    const specs = compileService(state.services.get(key), state.slices.get(key) ?? NO_SLICES, this.#settings);
    for (const entryKey of before) {
      if (specs.has(entryKey)) continue;
      const entry = this.#entries.get(entryKey) as Entry;
      this.#release(entryKey, entry.full.frontends, out);
      this.#entries.delete(entryKey);
      out.lost.delete(entryKey);
      out.touched.delete(entryKey);
      out.remove.push(entry.id);
      this.#names.delete(entry.id);
    }
    for (const [entryKey, full] of specs) {
      const entry = this.#entries.get(entryKey);
      if (entry === undefined) {
        this.#names.set(this.#nextId, full.name);
        this.#entries.set(entryKey, { id: this.#nextId++, full, told: undefined });
      } else {
        this.#release(entryKey, entry.full.frontends, out);
        entry.full = full;
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
    return frontends.filter((f) => this.#claims.get(claimKey(f, protocol))?.[0] === entryKey);
  }
}

interface Marks {
  /** Entries to tell again. */
  readonly touched: Set<string>;
  /** Among them those that an address was taken from. */
  readonly lost: Set<string>;
  readonly remove: number[];
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
  return `${f.w0},${f.w1},${f.w2},${f.w3},${f.family}:${f.port}/${table.protocolOf(f, protocol)}`;
}

function sameSpec(a: ServicePortSpec, b: ServicePortSpec): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
