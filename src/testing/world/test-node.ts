// A whole node without a kernel: the engine over memory ports, with a manual clock, two pods, the node's own
// stack, an uplink, routes, VTEPs and services as the agent would compile them. What the plane sends is
// checked on the spot (frame-checker.ts), and after every run each packet slot must be accounted for: free,
// waiting for a neighbour, or in reassembly. Node n has 192.168.50.(10+n), podCIDR 10.244.n.0/24, gateway .1,
// VTEP .0, pods .2 and .3.

import type { Offload } from "../../base/addon.ts";
import { createPrefixSet } from "../../dataplane/change/prefix-set.ts";
import { createRoutes } from "../../dataplane/change/routes.ts";
import * as serviceChange from "../../dataplane/change/services.ts";
import { createVteps, findRoutes } from "../../dataplane/change/vteps.ts";
import { type Counters, Event } from "../../dataplane/counters.ts";
import { DROP_REASON_TEXT, DropReason, dropReasonName } from "../../dataplane/drop-reason.ts";
import type { Durable } from "../../dataplane/durable.ts";
import * as engine from "../../dataplane/engine.ts";
import { PortRole } from "../../dataplane/port.ts";
import { addOwner } from "../../dataplane/send/port-table.ts";
import type { Turn } from "../../dataplane/share.ts";
import type { RouteSpec } from "../../dataplane/spec/routes.ts";
import type { ServicePortSpec } from "../../dataplane/spec/services.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as fdb from "../../dataplane/table/fdb.ts";
import * as fragments from "../../dataplane/table/fragments.ts";
import { LocalAddresses } from "../../dataplane/table/local-addresses.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import { used } from "../../dataplane/table/service/pending-connections.ts";
import type { SizedTables, Tables } from "../../dataplane/tables.ts";
import { frameOf, vnetHeaderOf } from "../../device/frame-queue.ts";
import { createMemoryPair, type MemoryPort } from "../../device/memory-pair.ts";
import { dissect } from "../../dissect/dissect.ts";
import { summary } from "../../dissect/summary.ts";
import { createPlaneEngine } from "../../plane/plane-engine.ts";
import { allocate, open, type PlaneMemory, type PlaneSizes } from "../../plane/plane-memory.ts";
import { LastingServiceIds } from "../../plane/service-ids.ts";
import * as offloadTwin from "../../wire/bytes/offload.ts";
import { mac } from "../frames/frame-builder.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { SummingIo } from "../hot/summing-io.ts";
import { ManualClock } from "../manual-clock.ts";
import { pendingProblem } from "../pending-check.ts";
import { Canaries } from "./canaries.ts";
import { connectionText } from "./connection-text.ts";
import { createBoundEngines } from "./shared-engines.ts";
import {
  CLUSTER_CIDR,
  FABRIC_MTU,
  localAddresses,
  macOf,
  macWords,
  nodeAddress,
  nodeRoutes,
  peersOf,
  podMtu,
  prefix,
  type ServiceOptions,
  serviceSpec,
  uplinkMacOf,
  VXLAN_PORT,
  vtepMacOf,
  vtepMacWords,
  words,
} from "./test-cluster.ts";

const SIZES: PlaneSizes = {
  ...{ conntrackLog2: 14, maxPorts: 64, fdbLog2: 10, neighborsLog2: 10, stationsLog2: 10 },
  ...{ frontendsLog2: 12, endpointsLog2: 12, policyRulesLog2: 8, poolSlots: 0, seed: 0 },
};
const SHAPER_SLOTS = 1; // word of a shaper: how many it holds
const TICKS_MAX = 16;

export interface TestNodeOptions {
  readonly index?: number;
  readonly nodes?: number;
  readonly vxlan?: boolean;
  readonly offload?: Offload;
  readonly poolSlots?: number;
  readonly clock?: ManualClock;
  readonly sizes?: Partial<PlaneSizes>;
  /** Memory that an earlier node left: its connections go on. */
  readonly durable?: SharedArrayBuffer;
  /** Tables that the test made itself, mostly to fill them. */
  readonly tables?: Partial<SizedTables>;
  /** Frames one port may hold before it refuses more. */
  readonly queue?: number;
  /** What leaves is not looked at: for input that is wrong on purpose. */
  readonly unchecked?: boolean;
  /** Frames come with their sums, as from the addon. */
  readonly summed?: boolean;
  /** Engines on the same tables, over which ports are spread; all of them run in this thread, one after the other. */
  readonly engines?: number;
  /** What those take turns by; left out: nobody has to wait. */
  readonly turn?: Turn;
}

/** A frame as a station got it. */
export interface Received {
  readonly frame: Uint8Array;
  readonly virtio: Uint8Array;
  /** tcpdump's words. */
  readonly text: string;
}

interface TestPort {
  readonly id: number;
  readonly name: string;
  readonly station: MemoryPort;
  readonly got: Received[];
}

export class TestNode {
  readonly index: number;
  readonly address: string;
  readonly gateway: string;
  readonly vtep: string;
  readonly gatewayMac: string;
  readonly uplinkMac: string;
  readonly vtepMac: string;
  readonly clock: ManualClock;
  /** The only one, or the keeper. */
  readonly engine: engine.Engine;
  readonly engines: readonly engine.Engine[];
  readonly tables: Tables;
  readonly counters: Counters;
  readonly ports = new Map<string, TestPort>();
  readonly poolSlots: number;
  readonly summing: SummingIo | null;
  readonly #unchecked: boolean;
  readonly #queue: number;
  readonly #vxlan: boolean;
  readonly #nodes: number;
  readonly memory: PlaneMemory;
  readonly durable: Durable;
  readonly #ids: LastingServiceIds;
  readonly #services = new Map<string, Pick<ServicePortSpec, "id" | "digest">>();
  readonly #canaries: Canaries;

  constructor(o: TestNodeOptions = {}) {
    this.index = o.index ?? 1;
    this.address = nodeAddress(this.index);
    this.gateway = `10.244.${this.index}.1`;
    this.vtep = `10.244.${this.index}.0`;
    this.gatewayMac = macOf(this.gateway);
    this.uplinkMac = uplinkMacOf(this.index);
    this.vtepMac = vtepMacOf(this.index);
    this.clock = o.clock ?? new ManualClock();
    this.poolSlots = o.poolSlots ?? 192;
    this.#unchecked = o.unchecked ?? false;
    this.#queue = o.queue ?? 4096;
    this.#vxlan = o.vxlan ?? true;
    this.#nodes = o.nodes ?? 2;
    this.summing = o.summed ? new SummingIo() : null;
    const sizes = { ...SIZES, poolSlots: this.poolSlots, ...o.sizes };
    this.memory = allocate(sizes, o.durable);
    const shared = open(this.memory, sizes);
    this.durable = shared.durable;
    this.#ids = new LastingServiceIds(shared.durable.ids);
    const host = {
      io: this.summing,
      offload: o.offload ?? offloadTwin,
      ...(o.tables && { instead: o.tables }),
    };
    this.engines =
      o.engines === undefined
        ? [createPlaneEngine(sizes, { ...host, shared })]
        : createBoundEngines(o.engines, sizes, host, () => open(this.memory, sizes), o.turn);
    this.engine = this.engines[0];
    this.tables = this.engine.tables;
    this.counters = this.tables.counters;
    if (this.summing !== null) this.summing.ports = this.tables.ports;
    this.addPort("host", PortRole.HOST, this.uplinkMac, FABRIC_MTU);
    this.addPort("uplink", PortRole.UPLINK, this.uplinkMac, FABRIC_MTU);
    this.#configure();
    this.addPod(2);
    this.addPod(3);
    engine.setClock(this.engine, this.clock.nowMs());
    this.#canaries = new Canaries(this.engines);
  }

  #configure(): void {
    for (const { tables } of this.engines) this.#configureOne(tables);
    this.setRoutes(nodeRoutes(this.index, this.#nodes, this.#vxlan));
  }

  #configureOne(t: Tables): void {
    const { router, tunnel } = t.config;
    [router.macHi, router.macLo] = macWords(this.gatewayMac);
    [tunnel.macHi, tunnel.macLo] = macWords(this.vtepMac);
    router.hostPort = this.portId("host");
    router.uplinkPort = this.portId("uplink");
    router.v4 = words(this.address).w3;
    tunnel.on = this.#vxlan ? 1 : 0;
    tunnel.port = VXLAN_PORT;
    t.addresses.local = new LocalAddresses(localAddresses(this.index, this.#vxlan).map(words));
    t.addresses.podSources = createPrefixSet([prefix(CLUSTER_CIDR)]);
    const own = [`${this.vtep}/24`, `${this.address}/32`];
    t.addresses.ownSources = createPrefixSet(own.map((range) => prefix(range)));
    t.addresses.masqueradeSources = createPrefixSet([prefix(CLUSTER_CIDR)]);
    t.addresses.masqueradeExempt = createPrefixSet([prefix(CLUSTER_CIDR)]);
    const peers = peersOf(this.index, this.#nodes);
    t.vteps = createVteps(peers.map((i) => ({ ...words(nodeAddress(i)), ...vtepMacWords(i) })));
  }

  setRoutes(specs: readonly RouteSpec[]): void {
    for (const { tables } of this.engines) {
      tables.routes = createRoutes(specs);
      findRoutes(tables.vteps, tables.routes);
    }
  }

  addPort(name: string, role: PortRole, address: string, mtu: number): number {
    const [port, station] = createMemoryPair(name, role, this.#queue);
    const id = this.ports.size;
    for (const each of this.engines) engine.attach(each, id, port, mac(address), mtu);
    if (this.summing !== null) this.tables.ports.fd[id] = id;
    this.ports.set(name, { id, name, station, got: [] });
    return id;
  }

  /** Pod with the address 10.244.index.host behind port "pod<host>". */
  addPod(host: number, mtu = podMtu(this.#vxlan)): number {
    const address = `10.244.${this.index}.${host}`;
    const id = this.addPort(`pod${host}`, PortRole.POD, macOf(address), mtu);
    const { w0, w1, w2, w3 } = words(address);
    const [hi, lo] = macWords(macOf(address));
    neighbor.addPermanent(this.tables.stations, w0, w1, w2, w3, hi, lo, id);
    for (const { tables } of this.engines) addOwner(tables.ports, id, w0, w1, w2, w3);
    fdb.addStatic(this.tables.fdb, hi, lo, id);
    return id;
  }

  removePod(host: number): void {
    for (const each of this.engines) engine.detach(each, this.portId(`pod${host}`));
    const { w0, w1, w2, w3 } = words(`10.244.${this.index}.${host}`);
    const slot = neighbor.find(this.tables.stations, w0, w1, w2, w3);
    if (slot >= 0) neighbor.remove(this.tables.stations, slot);
  }

  portId(name: string): number {
    return this.#port(name).id;
  }

  #port(name: string): TestPort {
    const port = this.ports.get(name);
    if (port === undefined) throw new Error(`no port ${name}`);
    return port;
  }

  /** Adds or replaces a service port; `name` is its identity. */
  setService(o: ServiceOptions): void {
    let named = this.#services.get(o.name);
    if (named === undefined) this.#services.set(o.name, (named = this.#ids.take(o.name)));
    const spec = { ...serviceSpec(named.id, o), ...named };
    serviceChange.update(this.tables.services, { upsert: [spec], remove: [] });
  }

  /** Name of the service port with this id. */
  serviceName(id: number): string | undefined {
    return [...this.#services].find(([, each]) => each.id === id)?.[0];
  }

  removeService(name: string): void {
    const id = this.#services.get(name)?.id;
    if (id !== undefined) serviceChange.update(this.tables.services, { upsert: [], remove: [id] });
  }

  /** Lets the station behind a port send a frame; nothing happens before `run`. */
  send(port: string, frame: Uint8Array, virtio?: Uint8Array): void {
    if (!this.#port(port).station.send(frame, virtio)) throw new Error(`queue of ${port} is full`);
  }

  /** Polls every port until nothing is left to receive, then takes what was sent and checks it. */
  run(): void {
    for (const each of this.engines) engine.setClock(each, this.clock.nowMs());
    this.#tick();
    for (let busy = true; busy; ) {
      busy = false;
      for (const { id } of this.ports.values()) {
        if (engine.pollPort(this.engines[id % this.engines.length], id) > 0) busy = true;
      }
    }
    this.#tick();
    for (const port of this.ports.values()) this.#collect(port);
    this.checkInvariants();
  }

  /** As often as the neighbours' timers need: their walk takes a slice per tick. */
  #tick(): void {
    for (let n = 0; n < TICKS_MAX; n++) {
      engine.tick(this.engine);
      if (engine.msUntilDue(this.engine) > 0) return;
    }
  }

  /** Turns the clock, with a tick every `stepMs` as the engine's loop has. */
  advanceMs(ms: number, stepMs = 500): void {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advanceMs(Math.min(left, stepMs));
      this.run();
    }
  }

  #collect(port: TestPort): void {
    for (let stored = port.station.takeStored(); stored !== undefined; stored = port.station.takeStored()) {
      const frame = frameOf(stored);
      const virtio = vnetHeaderOf(stored);
      const text = summary(dissect(frame));
      const problems = this.#unchecked ? [] : checkFrame(frame, { virtio, vxlanPorts: [VXLAN_PORT] });
      if (problems.length > 0) throw new Error(`sent to ${port.name}: ${text}: ${problems.join("; ")}`);
      port.got.push({ frame, virtio, text });
    }
  }

  /** What the station behind a port got since it was last asked. */
  received(port: string): Received[] {
    return this.#port(port).got.splice(0);
  }

  /** The same as text. */
  texts(port: string): string[] {
    return this.received(port).map((r) => r.text);
  }

  /** Runs, and gives the one frame that came out, wherever that was. */
  through(port: string, frame: Uint8Array, virtio?: Uint8Array): Received & { port: string } {
    this.send(port, frame, virtio);
    this.run();
    const all = this.everything();
    if (all.length !== 1) throw new Error(`${all.length} frames came out, not one: ${this.explain(all)}`);
    return all[0];
  }

  /** Everything that came out since the last question, with its port. */
  everything(): (Received & { port: string })[] {
    return [...this.ports.keys()].flatMap((port) => this.received(port).map((r) => ({ ...r, port })));
  }

  explain(frames: readonly (Received & { port: string })[]): string {
    return [...frames.map((r) => `${r.port}: ${r.text}`), JSON.stringify(this.drops())].join("\n");
  }

  /** Drop counters that are not zero, by name. */
  drops(): Record<string, number> {
    const found: Record<string, number> = {};
    for (let code = 1; code < DROP_REASON_TEXT.length; code++) {
      if (this.counters.drops[code] !== 0) found[dropReasonName(code)] = this.counters.drops[code];
    }
    return found;
  }

  /** Drops since the last question. */
  takeDrops(): Record<string, number> {
    const found = this.drops();
    this.counters.drops.fill(0);
    return found;
  }

  events(): Record<string, number> {
    const entries = Object.entries(Event).map(([name, at]): [string, number] => [
      name,
      this.counters.events[at],
    ]);
    return Object.fromEntries(entries.filter(([, n]) => n !== 0));
  }

  /** Connections as conntrack would list them: "tcp ESTABLISHED 10.244.1.2:41000>… <…". */
  connections(): string[] {
    const ct = this.tables.conntrack;
    const lines: string[] = [];
    for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
      if (ct.status[slot << 4] !== 0) lines.push(connectionText(ct, slot));
    }
    return lines;
  }

  /** Throws when a slot got lost or is twice free, or the pipeline threw. */
  checkInvariants(): void {
    const t = this.tables;
    if (this.counters.drops[DropReason.INTERNAL_ERROR] !== 0) throw new Error(this.engine.lastError);
    if (t.tx.count !== 0) throw new Error(`${t.tx.count} frames were left in the transmit queue`);
    const free = new Set(t.pool.free.subarray(0, t.pool.count));
    if (free.size !== t.pool.count) throw new Error("a packet slot is free twice");
    this.#canaries.check();
    const problem = pendingProblem(t.pending);
    if (problem !== undefined) throw new Error(problem);
    const waiting = t.fabric.waiting.count.reduce((sum, n) => sum + n, 0);
    const shaped = t.ports.shapers.reduce((sum, s) => sum + (s?.words[SHAPER_SLOTS] ?? 0), 0);
    const accounted = t.pool.count + waiting + shaped + fragments.used(t.fragments);
    if (accounted !== this.poolSlots) throw new Error(`${this.poolSlots - accounted} packet slots are lost`);
  }

  /** Lets reassembly and neighbour resolution run out: then every slot must be free again. */
  settle(): void {
    this.advanceMs(40_000, 1000);
    this.everything();
    const { pool, pending } = this.tables;
    if (used(pending) !== 0) throw new Error("a connection still waits for its endpoint");
    const { count } = pool;
    if (count !== this.poolSlots) throw new Error(`${this.poolSlots - count} packet slots did not come back`);
  }
}
