/**
 * A node without devices: the same compile, the same tables, the same pipeline, with memory queues for ports. `replay`
 * sends captures through it, `explain` one packet at a time. Needs neither root nor a kernel nor the addon.
 */

import type { PortInfo } from "../api/show.ts";
import { PodwireError } from "../base/errors.ts";
import { contains, type IpWords, isV4Mapped, parseIp, sameIp } from "../base/ip.ts";
import type { Mac } from "../base/mac.ts";
import { compilePods, type LocalPod } from "../compile/local-pods.ts";
import { podMtu } from "../compile/node.ts";
import type { AgentConfig } from "../config/agent.ts";
import * as engine from "../dataplane/engine.ts";
import { PortRole } from "../dataplane/port.ts";
import { RouteKind } from "../dataplane/spec/routes.ts";
import * as fdb from "../dataplane/table/fdb.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { RecordRing } from "../dataplane/trace/record-ring.ts";
import { createMemoryPair, type MemoryPort } from "../device/memory-pair.ts";
import { hostPortsOf } from "../kube/host-ports.ts";
import type { EndpointSlice, KubeObject, Pod, Service } from "../kube/objects.ts";
import { applyMessage } from "../plane/apply-message.ts";
import { concernsAll, type PlaneMessage } from "../plane/messages.ts";
import { NodeMessages, type OfflineFacts } from "../plane/node-messages.ts";
import { createPlaneEngine } from "../plane/plane-engine.ts";
import { conntrackLog2, type PlaneSizes } from "../plane/plane-memory.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { ObjectSet } from "../watch/object-set.ts";
import * as offload from "../wire/bytes/offload.ts";

export const UPLINK_PORT = 0;
export const HOST_PORT = 1;
const MORE_PORTS = 3; // uplink, host0, one for pods without an object
const UPLINK_MTU = 1500;
const POLLER = { add: () => 0, remove: () => 0 };

const PORTS = Object.freeze({ uplink: UPLINK_PORT, host: HOST_PORT, mtu: UPLINK_MTU });

export interface OfflinePort {
  readonly id: number;
  readonly info: PortInfo;
  /** The station's end: send into the node, take what the node sent. */
  readonly station: MemoryPort;
  addresses: readonly IpWords[];
}

export interface OfflineOptions extends OfflineFacts {
  /** Loaded first; then `objects` take their place, in the way in which an agent hears of changes. */
  readonly previous?: readonly KubeObject[];
  /** Of every random choice; the same seed gives the same answers. */
  readonly seed?: number;
  /** Changes what the plane is told, before it is told. */
  readonly amend?: (message: PlaneMessage) => PlaneMessage;
  /** Several engines on one set of tables, the keeper first, over which ports are spread; left out: one. */
  readonly engines?: (sizes: PlaneSizes) => readonly engine.Engine[];
}

export class OfflineNode {
  /** The only one, or the keeper. */
  readonly engine: engine.Engine;
  readonly #engines: readonly engine.Engine[];
  readonly messages: NodeMessages;
  readonly graph = new ObjectGraph();
  readonly ports: OfflinePort[] = [];
  /** Of a partial node: where pods are that no Pod object tells of. */
  readonly strangers: OfflinePort | undefined;
  readonly #objects = new ObjectSet();
  readonly #podPorts = new Map<string, OfflinePort>();
  readonly #amend: (message: PlaneMessage) => PlaneMessage;

  /** `objects` as a cluster holds them: defaulted, addresses allocated. */
  constructor(config: AgentConfig, objects: readonly KubeObject[], options: OfflineOptions = {}) {
    const { previous = [] } = options;
    const all = [...previous, ...objects];
    this.#amend = options.amend ?? ((message) => message);
    const maxPorts = MORE_PORTS + all.filter((object) => object.kind === "Pod").length;
    const sizes = {
      ...{ ...sizesFor(previous, objects), maxPorts, poolSlots: 64, seed: options.seed ?? SEED },
      conntrackLog2: Math.max(CONNTRACK_LOG2, conntrackLog2(config.conntrackMax)),
    };
    const { engines = () => [createPlaneEngine(sizes, { io: null, offload })] } = options;
    this.#engines = engines(sizes);
    this.engine = this.#engines[0];
    this.messages = new NodeMessages(config, this.graph, options);
    this.#load(previous.length > 0 ? previous : objects);
    const address = this.messages.topology?.own.addresses ?? [];
    // The uplink's MAC is ours to choose; host0 shares it, as in a real node.
    const mac = { hi: 0x0a58, lo: address.find((a) => a.family === 4)?.w3 ?? 1 };
    this.#addPort("uplink", "uplink", PortRole.UPLINK, "", mac, UPLINK_MTU, address);
    this.#addPort("host0", "host", PortRole.HOST, "", mac, UPLINK_MTU, address);
    const [hi, lo] = [0x0a58, 2];
    if (options.partial === true)
      this.strangers = this.#addPort("a pod", "pod", PortRole.POD, "", { hi, lo }, this.#podMtu(), []);
    this.#syncPods();
    if (previous.length > 0) this.replace(objects);
    this.#hear();
    this.#setClock(0);
  }

  #setClock(nowMs: number): void {
    for (const each of this.#engines) engine.setClock(each, nowMs);
  }

  /** Makes `objects` the node's objects: what is missing goes, what differs changes. */
  replace(objects: readonly KubeObject[]): void {
    this.#load(objects);
    this.#syncPods();
    this.#hear();
  }

  /** What the node announces to its stations of its own accord, nobody has asked for here. */
  #hear(): void {
    for (const { station } of this.ports) while (station.takeStored() !== undefined);
  }

  #load(objects: readonly KubeObject[]): void {
    for (const event of this.#objects.replace(objects)) this.graph.onEvent(event);
    for (const m of this.messages.update(this.graph, this.graph.take(), PORTS)) this.#tell(this.#amend(m));
  }

  #tell(message: PlaneMessage): void {
    for (const each of this.#engines)
      if (each.isKeeper || concernsAll(message.type)) applyMessage(each, message, POLLER);
    const { refused } = this.engine.tables.services;
    if (refused.size === 0) return;
    throw new PodwireError(`${refused.size} service ports do not fit the tables: leave services out`, {
      code: "OFFLINE_TABLES_FULL",
    });
  }

  /** A port for each pod of this node, and the pod's addresses behind it. */
  #syncPods(): void {
    const pods = compilePods(this.graph, this.messages.config.nodeName);
    const keys = new Set(pods.map((pod) => pod.key));
    for (const [key, port] of this.#podPorts) {
      if (keys.has(key)) continue;
      this.#tell({ type: "stations", add: [], remove: port.addresses.map(wordsOf) });
      port.addresses = [];
    }
    for (const pod of pods) this.#attach(pod);
  }

  #attach(pod: LocalPod): void {
    const { key, mac, addresses } = pod;
    let port = this.#podPorts.get(key);
    if (port === undefined) {
      port = this.#addPort(`eth0 ${key}`, "pod", PortRole.POD, key, mac, this.#podMtu(), []);
      this.#podPorts.set(key, port);
    }
    const place = { macHi: mac.hi, macLo: mac.lo, port: port.id };
    const add = addresses.map((address) => ({ ...wordsOf(address), ...place }));
    this.#tell({ type: "stations", add, remove: port.addresses.map(wordsOf) });
    port.addresses = addresses;
  }

  /** Gives a pod a further address, wherever the pods of this node have theirs. */
  adopt(port: OfflinePort, address: IpWords): void {
    const { macHi, macLo } = this.engine.ports;
    const place = { macHi: macHi[port.id], macLo: macLo[port.id], port: port.id };
    this.#tell({ type: "stations", add: [{ ...wordsOf(address), ...place }], remove: [] });
    port.addresses = [...port.addresses, wordsOf(address)];
    const { topology } = this.messages;
    const isV4 = isV4Mapped(address);
    const pods = topology?.routes.find((r) => r.kind === RouteKind.PODS && r.family === (isV4 ? 4 : 6));
    if (topology === undefined || pods === undefined) return;
    const own = { ...pods, ...wordsOf(address), prefixLen: isV4 ? 32 : 128 };
    this.#tell({ type: "routes", routes: [...topology.routes, own], vteps: [...topology.vteps] });
  }

  #podMtu(): number {
    return podMtu(this.messages.config, this.messages.topology?.own.addresses ?? [], UPLINK_MTU);
  }

  #addPort(
    name: string,
    kind: PortInfo["kind"],
    role: PortRole,
    pod: string,
    mac: { hi: number; lo: number },
    mtu: number,
    addresses: readonly IpWords[],
  ): OfflinePort {
    const id = this.ports.length;
    const [device, station] = createMemoryPair(name, role, 4096);
    for (const each of this.#engines) engine.attach(each, id, device, mac, mtu);
    const info: PortInfo = {
      id,
      name,
      kind,
      pod,
      interface: kind === "pod" ? "eth0" : name,
      mac: "",
      mtu,
      state: "up",
      error: "",
    };
    const port = { id, info, station, addresses };
    this.ports.push(port);
    return port;
  }

  /** The port that a packet from `address` comes in at: its pod's, host0 for the node's own, else the uplink. */
  portOf(address: string): OfflinePort {
    const wanted = parseIp(address);
    if (wanted === null) return this.ports[UPLINK_PORT];
    const same = (a: IpWords): boolean => sameIp(a, wanted);
    const pod = this.ports.find((p) => p.info.kind === "pod" && p.addresses.some(same));
    if (pod !== undefined) return pod;
    const own = this.messages.topology?.own.local ?? [];
    return own.some(same) ? this.ports[HOST_PORT] : this.ports[UPLINK_PORT];
  }

  /** A pod speaks to a pod of its own bridge directly, to everybody else through the gateway. */
  nextMac(port: OfflinePort, src: IpWords, dst: IpWords): Mac {
    const { stations, fdb: table } = this.engine.tables;
    const slot = neighbor.find(stations, dst.w0, dst.w1, dst.w2, dst.w3);
    if (port.info.kind !== "pod" || slot < 0 || sameIp(src, dst)) {
      return this.messages.topology?.own.gatewayMac ?? { hi: 0, lo: 0 };
    }
    const mac = { hi: stations.macHi[slot], lo: stations.macLo[slot] };
    fdb.addStatic(table, mac.hi, mac.lo, stations.port[slot]);
    return mac;
  }

  /** Is the address one of the ranges that the cluster's pods have? */
  isClusterPod(address: IpWords): boolean {
    return this.messages.config.clusterCidrs.some((range) => contains(range, address));
  }

  /** Starts a watcher that sees everything; its records land in the ring that is returned. */
  watch(mode: number, ringLog2: number, index = 0): RecordRing {
    const memory = new SharedArrayBuffer(RecordRing.bytesFor(ringLog2));
    const all = { program: null, remaining: -1, snapLen: 65_536 };
    this.#tell({ type: "watch", index, mode, ...all, ring: memory, ringLog2 });
    return new RecordRing(ringLog2, memory);
  }

  /** Sends one frame into port `id` and runs the plane until it has nothing left to do. */
  send(id: number, frame: Uint8Array, nowMs: number, vnetHeader?: Uint8Array): void {
    this.#setClock(nowMs);
    this.ports[id].station.send(frame, vnetHeader);
    while (engine.pollPort(this.#engines[id % this.#engines.length], id) > 0);
    engine.tick(this.engine);
  }
}

function wordsOf({ w0, w1, w2, w3 }: IpWords): IpWords {
  return { w0, w1, w2, w3 };
}

/** Of an agent that says nothing, the smallest: no memory is touched before it is used. */
const CONNTRACK_LOG2 = 14;
const SEED = 1;
const LOG2_MIN = 10;
const LOG2_MAX = 22;
/** Addresses that serve node ports, of one family: any, loopback, or a few certain ones. */
const NODE_PORT_ROWS = 4;
/** Any address, and loopback. */
const HOST_PORT_ROWS = 2;

/** Room for these objects, the earlier ones and the later ones at once. */
function sizesFor(...states: (readonly KubeObject[])[]) {
  const room = { frontends: 0, endpoints: 0, nodes: 0, pods: 0 };
  for (const objects of states) countRows(objects, room);
  const log2 = (n: number): number => Math.min(LOG2_MAX, Math.max(LOG2_MIN, Math.ceil(Math.log2(n + 1))));
  return {
    fdbLog2: LOG2_MIN,
    neighborsLog2: log2(room.nodes * 2),
    stationsLog2: log2(room.pods * 2),
    frontendsLog2: log2(room.frontends),
    endpointsLog2: log2(room.endpoints),
    policyRulesLog2: LOG2_MIN,
  };
}

/** An upper bound: every port at every address, every endpoint for every port. */
function countRows(
  objects: readonly KubeObject[],
  room: { frontends: number; endpoints: number; nodes: number; pods: number },
): void {
  for (const object of objects) {
    if (object.kind === "Service") {
      const { spec, status } = object as Service;
      const addresses = 2 + (spec.externalIPs?.length ?? 0) + (status.loadBalancer?.ingress?.length ?? 0);
      room.frontends += (spec.ports?.length ?? 0) * (addresses + 2 * NODE_PORT_ROWS) + 2 * addresses;
    } else if (object.kind === "EndpointSlice") {
      const { ports = [], endpoints } = object as EndpointSlice;
      room.endpoints += ports.length * endpoints.length;
    } else if (object.kind === "Node") room.nodes++;
    else if (object.kind === "Pod") {
      const { spec, status } = object as Pod;
      const families = status.podIPs?.length ?? 1;
      room.pods += families;
      const ports = spec.hostNetwork === true ? 0 : hostPortsOf(spec).length * families;
      room.frontends += ports * HOST_PORT_ROWS;
      room.endpoints += ports;
    }
  }
}
