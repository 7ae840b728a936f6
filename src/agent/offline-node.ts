/**
 * A node without devices: the same compile, the same tables, the same pipeline, with memory queues for ports. `replay`
 * sends captures through it. Needs neither root nor a kernel nor the addon.
 */
import { type IpWords, parseIp } from "../base/ip.ts";
import { compilePods } from "../compile/node.ts";
import type { AgentConfig } from "../control/config/agent.ts";
import { ObjectGraph } from "../control/desired-state.ts";
import type { KubeObject } from "../control/objects.ts";
import { Counters } from "../dataplane/counters.ts";
import * as engine from "../dataplane/engine.ts";
import { PortRole } from "../dataplane/port.ts";
import { RecordRing } from "../dataplane/record-ring.ts";
import { Services } from "../dataplane/table/services.ts";
import { createMemoryPair, type MemoryPort } from "../device/memory-pair.ts";
import * as offload from "../wire/offload.ts";
import { applyMessage } from "./apply-message.ts";
import { NodeMessages } from "./node-messages.ts";
import type { PortInfo } from "./show.ts";

export const UPLINK_PORT = 0;
export const HOST_PORT = 1;
const FIRST_POD_PORT = 2;
const UPLINK_MTU = 1500;
const POLLER = { add: () => 0, remove: () => 0 };

export interface OfflinePort {
  readonly id: number;
  readonly info: PortInfo;
  /** The station's end: send into the node, take what the node sent. */
  readonly station: MemoryPort;
  readonly addresses: readonly IpWords[];
}

export class OfflineNode {
  readonly engine: engine.Engine;
  readonly messages: NodeMessages;
  readonly graph = new ObjectGraph();
  readonly ports: OfflinePort[] = [];

  /** `objects` as a cluster holds them: defaulted, addresses allocated. */
  constructor(config: AgentConfig, objects: readonly KubeObject[], servicesLog2 = 14) {
    for (const object of objects) this.graph.onEvent({ type: "ADDED", object });
    const pods = compilePods(this.graph, config.nodeName);
    const maxPorts = FIRST_POD_PORT + pods.length;
    this.engine = new engine.Engine({
      maxPorts,
      poolSlots: 64,
      io: null,
      offload,
      counters: new Counters(maxPorts),
      tables: { services: new Services(servicesLog2, servicesLog2) },
    });
    this.messages = new NodeMessages(config, this.graph);
    const node = this.messages;
    const changes = this.graph.take();
    for (const m of node.update(this.graph, changes, { uplink: 0, host: 1, mtu: UPLINK_MTU })) {
      applyMessage(this.engine, m, POLLER);
    }
    const own = node.topology?.own;
    const address = own?.addresses ?? [];
    // The uplink's MAC is ours to choose; host0 shares it, as in a real node.
    const mac = { hi: 0x0a58, lo: address.find((a) => a.family === 4)?.w3 ?? 0 };
    this.#addPort("uplink", "uplink", PortRole.UPLINK, "", mac, UPLINK_MTU, address);
    this.#addPort("host0", "host", PortRole.HOST, "", mac, UPLINK_MTU, address);
    const podMtu = config.overlay.type === "vxlan" ? UPLINK_MTU - 50 : UPLINK_MTU;
    for (const pod of pods) {
      const port = this.#addPort(
        `eth0 ${pod.key}`,
        "pod",
        PortRole.POD,
        pod.key,
        pod.mac,
        podMtu,
        pod.addresses,
      );
      const add = pod.addresses.map(({ w0, w1, w2, w3 }) => ({
        w0,
        w1,
        w2,
        w3,
        macHi: pod.mac.hi,
        macLo: pod.mac.lo,
        port: port.id,
      }));
      applyMessage(this.engine, { type: "stations", add, remove: [] }, POLLER);
    }
    engine.setClock(this.engine, 0);
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
    engine.createPort(this.engine, id, device, mac, mtu);
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
    const same = (a: IpWords): boolean =>
      wanted !== null && a.w3 === wanted.w3 && a.w2 === wanted.w2 && a.w1 === wanted.w1 && a.w0 === wanted.w0;
    const pod = this.ports.find((p) => p.info.kind === "pod" && p.addresses.some(same));
    if (pod !== undefined) return pod;
    const own = this.messages.topology?.own.local ?? [];
    return own.some(same) ? this.ports[HOST_PORT] : this.ports[UPLINK_PORT];
  }

  /** Starts a watcher that sees everything; its records land in the ring that is returned. */
  watch(mode: number, ringLog2: number, index = 0): RecordRing {
    const memory = new SharedArrayBuffer(RecordRing.bytesFor(ringLog2));
    applyMessage(
      this.engine,
      {
        type: "watch",
        index,
        mode,
        program: null,
        remaining: -1,
        snapLen: 65_536,
        ring: memory,
        ringLog2,
      },
      POLLER,
    );
    return new RecordRing(ringLog2, memory);
  }

  /** Sends one frame into port `id` and runs the plane until it has nothing left to do. */
  send(id: number, frame: Uint8Array, nowMs: number, vnetHeader?: Uint8Array): void {
    engine.setClock(this.engine, nowMs);
    this.ports[id].station.send(frame, vnetHeader);
    while (engine.pollPort(this.engine, id) > 0);
    engine.tick(this.engine);
  }
}
