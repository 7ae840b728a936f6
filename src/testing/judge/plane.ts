// podwire's side of the comparison: an offline node with the scenario's objects, and what becomes of packets
// in it.

import { Header } from "../../base/columns.ts";
import { formatIp, type IpWords, ip } from "../../base/ip.ts";
import { externalPorts, hostRules } from "../../compile/host-rules.ts";
import { type AgentConfig, agentConfig } from "../../config/agent.ts";
import { setSeed } from "../../dataplane/change/conntrack.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import type { Engine } from "../../dataplane/engine.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import { frameOf as storedFrame } from "../../device/frame-queue.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { HOST_PORT, OfflineNode, type OfflinePort, UPLINK_PORT } from "../../offline/offline-node.ts";
import { allocate, open, type PlaneSizes } from "../../plane/plane-memory.ts";
import * as offload from "../../wire/bytes/offload.ts";
import { Prng } from "../prng.ts";
import { createEngines } from "../world/shared-engines.ts";
import type { Flow } from "./flows.ts";
import { Lo } from "./lo.ts";
import { frameOf, Seen } from "./outcome.ts";
import type { Scenario } from "./scenario.ts";
import { otherFamily } from "./world.ts";

const NO_LINK = { srcMac: "00:00:00:00:00:00", dstMac: "00:00:00:00:00:00" };
const FABRIC_MAC = { hi: 0x0a00, lo: 1 };
const STEP_MS = 1100; // between packets
const QUICK_STEP_MS = 1; // where connections have to last

/** One packet of a flow, with the number it is known by. */
export interface Shot {
  readonly flow: Flow;
  readonly id: number;
  readonly srcPort: number;
}

export function agentConfigOf(s: Scenario): AgentConfig {
  const problems = new FieldProblems();
  const worlds = s.dual ? [s.world, otherFamily(s.world)] : [s.world];
  const config = agentConfig(
    {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "AgentConfiguration",
      nodeName: "node1",
      clusterCIDR: worlds.map(({ clusterCidr }) => clusterCidr).join(),
      serviceCIDR: worlds.map(({ serviceCidr }) => serviceCidr).join(),
      fabricCIDR: worlds.map(({ fabric }) => fabric).join(),
      overlay: { type: "none" },
      uplink: { interface: "eth0", gateway: s.world.router },
      host: { interface: "host0" },
      socket: "/nonexistent",
      source: { files: [] },
      proxy: s.proxy,
    },
    problems,
  );
  if (config === undefined) throw new Error(`seed ${s.seed}: ${JSON.stringify(problems.list)}`);
  return config;
}

export class PlaneSide {
  readonly #scenario: Scenario;
  readonly #config: AgentConfig;
  #node: OfflineNode;
  #nowMs = 0;
  /** Until the cluster changes. */
  #kernelKeeps: Lo | undefined;
  readonly #random: Prng;
  readonly #engines: number;

  /** `engines`: so many on one set of tables, as an agent with so many workers. */
  constructor(scenario: Scenario, engines = 1) {
    this.#scenario = scenario;
    this.#engines = engines;
    this.#config = agentConfigOf(scenario);
    this.#random = new Prng(scenario.seed);
    this.#node = this.#start();
  }

  /** Forgets connections and affinity. */
  reset(): void {
    this.#node = this.#start();
  }

  /** The cluster changes under the connections there are. */
  update({ objects }: Scenario): void {
    this.#kernelKeeps = undefined;
    this.#node.replace(objects);
  }

  #start(): OfflineNode {
    const engines = (sizes: PlaneSizes): Engine[] => {
      const memory = allocate(sizes);
      return createEngines(this.#engines, sizes, { io: null, offload }, () => open(memory, sizes));
    };
    const node = new OfflineNode(
      this.#config,
      this.#scenario.objects,
      this.#engines === 1 ? {} : { engines },
    );
    setSeed(node.engine.tables.conntrack, this.#random.next() | 0);
    this.#nowMs = 0;
    const { world } = this.#scenario;
    const fabric = [world.router, world.remoteNodeIp, ...world.neighbors];
    for (const address of fabric) know(node, ip(address));
    return node;
  }

  /** Lets time go by. */
  pause(ms: number): void {
    this.#nowMs += ms;
  }

  get node(): OfflineNode {
    return this.#node;
  }

  /** What became of each packet; `quickly`: before any connection times out. */
  shoot(shots: readonly Shot[], quickly = false): Seen {
    const seen = new Seen();
    this.#kernelKeeps ??= this.#lo();
    const lo = this.#kernelKeeps;
    for (const { flow, id, srcPort } of shots) {
      if (lo.keeps(flow)) {
        seen.add("host", frameOf(flow, id, srcPort, NO_LINK));
        seen.onLo.add(id);
        continue;
      }
      const port = this.#portOf(flow);
      this.#nowMs += quickly ? QUICK_STEP_MS : STEP_MS;
      this.#send(port, frameOf(flow, id, srcPort, this.#link(port)), seen);
    }
    return seen;
  }

  /** What the agent's policy routing leaves to the kernel. */
  #lo(): Lo {
    const { topology, services } = this.#node.messages;
    if (topology === undefined) throw new Error("the node has no addresses");
    const rules = hostRules({
      interface: this.#config.host.interface,
      topology,
      settings: services.settings,
      nodePorts: this.#config.nodePortRange,
      externals: [...services.specs()].flatMap(externalPorts),
    });
    const { family, nodeIp, secondIp, gateway } = this.#scenario.world;
    return new Lo(rules[family], [nodeIp, secondIp, gateway], family);
  }

  /** What becomes of frames that stations send, each where `where` says. */
  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen {
    const seen = new Seen();
    for (const { where, frame } of frames) {
      const port = this.#node.ports.find((each) => this.#nameOf(each) === where);
      if (port === undefined) throw new Error(`no port for ${where}`);
      setLink(frame, this.#link(port));
      this.#nowMs += QUICK_STEP_MS;
      this.#send(port, frame, seen);
    }
    return seen;
  }

  #send(port: OfflinePort, frame: Uint8Array, seen: Seen): void {
    const { icmpRate } = this.#node.engine.tables; // every refusal is to be seen
    icmpRate.debtMs.fill(0);
    icmpRate.header[Header.OWN] = 0;
    this.#node.send(port.id, frame, this.#nowMs);
    for (const out of this.#node.ports) this.#take(out, seen);
    const { lastError, tables } = this.#node.engine;
    if (lastError !== "" || tables.counters.drops[DropReason.INTERNAL_ERROR] > 0)
      throw new Error(lastError || "another engine met an error");
  }

  #take(port: OfflinePort, seen: Seen): void {
    for (let stored = port.station.takeStored(); stored !== undefined; stored = port.station.takeStored()) {
      seen.add(this.#nameOf(port), storedFrame(stored));
    }
  }

  #nameOf(port: OfflinePort): string {
    if (port.id === UPLINK_PORT) return "uplink";
    return port.id === HOST_PORT ? "host" : `pod ${this.#podAddress(port)}`;
  }

  #podAddress(port: OfflinePort): string {
    const own = port.addresses.map(formatIp);
    return this.#scenario.world.pods.find((address) => own.includes(address)) ?? own[0];
  }

  #portOf({ entry, from }: Flow): OfflinePort {
    if (entry === "node") return this.#node.ports[HOST_PORT];
    return entry === "uplink" ? this.#node.ports[UPLINK_PORT] : this.#node.portOf(from);
  }

  /** MAC addresses of a frame that comes in at this port. */
  #link(port: OfflinePort): { srcMac: string; dstMac: string } {
    const { macHi, macLo } = this.#node.engine.ports;
    const own = macText(macHi[port.id], macLo[port.id]);
    if (port.id === UPLINK_PORT) return { srcMac: macText(FABRIC_MAC.hi, FABRIC_MAC.lo), dstMac: own };
    const gateway = this.#node.messages.topology?.own.gatewayMac;
    if (gateway === undefined) throw new Error("the node has no gateway");
    return { srcMac: own, dstMac: macText(gateway.hi, gateway.lo) };
  }
}

/** Gives a frame other MAC addresses. */
export function setLink(frame: Uint8Array, { srcMac, dstMac }: { srcMac: string; dstMac: string }): void {
  const bytes = `${dstMac}:${srcMac}`.split(":").map((byte) => Number.parseInt(byte, 16));
  frame.set(bytes);
}

function macText(hi: number, lo: number): string {
  const bytes = [hi >>> 8, hi, lo >>> 24, lo >>> 16, lo >>> 8, lo].map((byte) => byte & 255);
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The address answers on the fabric, as if it had been spoken to before. */
function know(node: OfflineNode, { w0, w1, w2, w3 }: IpWords): void {
  const { fabric } = node.engine.tables;
  neighbor.addPermanent(fabric, w0, w1, w2, w3, FABRIC_MAC.hi, FABRIC_MAC.lo, UPLINK_PORT);
}
