/**
 * What a node's data plane has to be told about the objects: topology and services as messages. The agent sends them to
 * its worker; an offline node (replay, explain) applies them in place. No devices here, no waiting.
 */

import { type Cidr, cidr, type Ip, ip, isV4Mapped, network } from "../base/ip.ts";
import { AnnouncedAddresses } from "../compile/announced.ts";
import * as hostPorts from "../compile/host-ports.ts";
import { servesLoopback } from "../compile/host-rules.ts";
import { MeshCompiler } from "../compile/mesh.ts";
import { compileTopology, type NodeTopology, prefixOf } from "../compile/node.ts";
import { PolicyCompiler } from "../compile/policy/policy-compiler.ts";
import type { LastingIds } from "../compile/policy/rule-names.ts";
import { type ProxySettings, proxySettings } from "../compile/proxy-settings.ts";
import { ServiceCompiler, type ServiceIds } from "../compile/services.ts";
import type { MachineNetwork } from "../compile/shared-uplink.ts";
import type { AgentConfig } from "../config/agent.ts";
import { MeshLayout } from "../dataplane/change/mesh.ts";
import { PolicyLayout } from "../dataplane/change/policy.ts";
import type { MeshUpdate } from "../dataplane/spec/mesh.ts";
import { type ConfigChange, DetectLocal, type ProxyConfig } from "../dataplane/spec/node-config.ts";
import type { Changes, DesiredState } from "../watch/desired-state.ts";
import type { PlaneMessage } from "./messages.ts";

export interface NodePorts {
  readonly uplink: number;
  readonly host: number;
  /** Of the uplink, bytes. */
  readonly mtu: number;
  /** The kernel's part of a shared uplink; another object whenever it changes. */
  readonly machine?: MachineNetwork;
  /** Of a node whose uplink is its agent's alone: further addresses of type LOCAL. */
  readonly localIps?: readonly Ip[];
}

/** What an offline node has and a real one has not. */
export interface OfflineFacts {
  /** Further addresses of type LOCAL (explain's --local-ip). */
  readonly localIps?: readonly Ip[];
  /** The objects are all there is: do not wait for what they leave out; the node's loopback goes by host0. */
  readonly partial?: boolean;
}

/** Who numbers what connections remember, where that is to outlive this process. */
export interface LastingPlaneIds {
  readonly services?: ServiceIds;
  readonly rules?: LastingIds;
}

/** Services compiled in one step: some ten milliseconds. */
const STEP = 256;
const LOOPBACK: readonly Ip[] = [ip("127.0.0.1"), ip("::1")];

/** A change of so many leaves garbage that is better collected before the next one comes. */
export const MANY_SERVICES = 1000;

export class NodeMessages {
  readonly config: AgentConfig;
  readonly services: ServiceCompiler;
  readonly policies: PolicyCompiler;
  readonly #announced: AnnouncedAddresses;
  readonly #layout = new PolicyLayout();
  readonly #mesh: MeshCompiler;
  readonly #members = new MeshLayout();
  readonly #facts: OfflineFacts;
  /** Pods with host ports at 127.0.0.0/8. */
  readonly #atLoopback = new Set<string>();
  #isComplete = false;
  #ports: NodePorts | undefined;
  topology: NodeTopology | undefined;

  constructor(config: AgentConfig, state: DesiredState, facts: OfflineFacts = {}, ids: LastingPlaneIds = {}) {
    this.config = config;
    this.#facts = facts;
    this.policies = new PolicyCompiler({
      nodeName: config.nodeName,
      hasTunnel: config.overlay.type === "vxlan",
      ruleIds: ids.rules,
    });
    this.#announced = new AnnouncedAddresses(config.nodeName);
    this.#mesh = new MeshCompiler(config.nodeName);
    this.services = new ServiceCompiler(this.#settings(state), config.nodeName, ids.services);
  }

  /** Nodes that cannot be reached as they say they can be, a line each. */
  get problems(): readonly string[] {
    return this.topology?.problems ?? [];
  }

  /** The messages for what changed; empty when nothing did, or while the Node object is not there yet. */
  update(state: DesiredState, changes: Changes, ports: NodePorts): PlaneMessage[] {
    const steps = this.steps(state, changes, ports);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** As `update`, in steps of some milliseconds, for a caller who has more to do. `state` may change between them. */
  *steps(state: DesiredState, changes: Changes, ports: NodePorts): Generator<void, PlaneMessage[]> {
    const messages: PlaneMessage[] = [];
    const policies = yield* this.policies.steps(state, changes);
    if (policies !== undefined) messages.push({ type: "policy", parts: yield* this.#layout.steps(policies) });
    const mesh = this.#mesh.update(state, changes);
    if (mesh !== undefined) messages.push(this.#meshMessage(mesh));
    const services = new Set(changes.services);
    const servedLoopback = this.#atLoopback.size > 0;
    for (const key of this.#hostPorts(state, changes.pods)) services.add(key);
    const isMoved = servedLoopback !== this.#atLoopback.size > 0;
    const isOther = ports !== this.#ports && this.#ports !== undefined;
    this.#ports = ports;
    const isAnnounced = this.#answers && this.#announced.update(state, changes.services);
    const isChanged =
      isMoved || isOther || isAnnounced || changes.nodes.size > 0 || changes.serviceCidrs.size > 0;
    if (isChanged || this.topology === undefined) {
      for (const key of this.#topology(state, ports, messages)) services.add(key);
    }
    if (services.size === 0) return this.#completed(messages);
    const keys = [...services];
    for (let i = STEP; i < keys.length; i += STEP) {
      this.services.prepare(state, keys.slice(i - STEP, i));
      yield;
    }
    const update = this.services.update(state, keys);
    if (update.upsert.length + update.remove.length > 0) messages.push({ type: "services", update });
    return this.#completed(messages);
  }

  /** Who asks about objects that somebody wrote down has no proxy among them, mostly. */
  #meshMessage(update: MeshUpdate): PlaneMessage {
    const { isOn, proxy } = update;
    const addresses = proxy?.addresses ?? [];
    const v6 = addresses.find((address) => !isV4Mapped(address));
    return {
      type: "mesh",
      config: {
        on: isOn ? 1 : 0,
        ready: proxy?.isReady === true ? 1 : 0,
        bypass: this.config.meshWhenAway === "bypass" || this.#facts.partial === true ? 1 : 0,
        v4: addresses.find(isV4Mapped)?.w3 ?? 0,
        v60: v6?.w0 ?? 0,
        v61: v6?.w1 ?? 0,
        v62: v6?.w2 ?? 0,
        v63: v6?.w3 ?? 0,
      },
      parts: this.#members.parts(update),
    };
  }

  /** The first time that everything has been told: what an earlier plane had beside it is gone. */
  #completed(messages: PlaneMessage[]): PlaneMessage[] {
    this.#announce(messages);
    if (this.#isComplete || this.topology === undefined) return messages;
    this.#isComplete = true;
    return [...messages, { type: "complete" }];
  }

  /** Of a shared uplink the kernel answers. */
  get #answers(): boolean {
    return this.config.uplink.mode !== "shared";
  }

  /** After the services: who hears of an address finds it served. */
  #announce(messages: PlaneMessage[]): void {
    if (this.topology === undefined) return;
    const announced = this.#announced.take();
    if (announced !== undefined) messages.push({ type: "announced", ...announced });
  }

  /** What to compile of pods: those that have host ports here, or had. */
  *#hostPorts(state: DesiredState, pods: Iterable<string>): Generator<string> {
    for (const pod of pods) {
      const ports = hostPorts.servedHostPorts(state, pod, this.config.nodeName);
      if (hostPorts.servesLoopback(ports)) this.#atLoopback.add(pod);
      else this.#atLoopback.delete(pod);
      const key = hostPorts.hostPortsKey(pod);
      if (ports.length > 0 || this.services.has(key)) yield key;
    }
  }

  #settings(state: DesiredState): ProxySettings {
    const { config } = this;
    return proxySettings({
      config: config.proxy,
      extensions: config,
      nodeName: config.nodeName,
      node: state.nodes.get(config.nodeName),
      localIps: this.topology?.own.local ?? [],
    });
  }

  /** Answers the Services for which the topology makes a difference. */
  #topology(state: DesiredState, ports: NodePorts, messages: PlaneMessage[]): string[] {
    const { config } = this;
    const { localIps = [], partial = false } = this.#facts;
    const known = [...localIps, ...(ports.localIps ?? [])];
    const extra = partial ? [...known, ...LOOPBACK] : known;
    const loopback = partial || this.#atLoopback.size > 0 || servesLoopback(this.#settings(state));
    const { mtu, machine } = ports;
    const announced = this.#announced.list;
    const given = { config, mtu, ports, localIps: extra, partial, loopback, announced };
    const input = machine === undefined ? given : { ...given, machine };
    const topology = compileTopology(state, input);
    if (topology === undefined) return [];
    this.topology = topology;
    const settings = this.#settings(state);
    const ranges = serviceRanges(state, config);
    messages.push(nodeMessage(config, topology, settings, ports, { partial, loopback, ranges }));
    messages.push({ type: "routes", routes: [...topology.routes], vteps: [...topology.vteps] });
    return this.services.setSettings(settings);
  }
}

function nodeMessage(
  config: AgentConfig,
  topology: NodeTopology,
  settings: ProxySettings,
  ports: NodePorts,
  { partial, loopback, ranges }: { partial: boolean; loopback: boolean; ranges: readonly Cidr[] },
): PlaneMessage {
  const { own } = topology;
  const { overlay } = config;
  const v6 = own.addresses.find((a) => a.family === 6);
  return {
    type: "node",
    config: {
      router: {
        macHi: own.gatewayMac.hi,
        macLo: own.gatewayMac.lo,
        hostPort: ports.host,
        uplinkPort: ports.uplink,
        v4: own.addresses.find((a) => a.family === 4)?.w3 ?? 0,
        v60: v6?.w0 ?? 0,
        v61: v6?.w1 ?? 0,
        v62: v6?.w2 ?? 0,
        v63: v6?.w3 ?? 0,
        link2: ports.machine?.linkLocal?.w2 ?? 0,
        link3: ports.machine?.linkLocal?.w3 ?? 0,
        shared: config.uplink.mode === "shared" ? 1 : 0,
      },
      tunnel: {
        on: overlay.type === "vxlan" ? 1 : 0,
        vni: overlay.type === "vxlan" ? overlay.vni : 1,
        port: overlay.type === "vxlan" ? overlay.port : 8472,
        macHi: own.vtepMac.hi,
        macLo: own.vtepMac.lo,
        keepClients: topology.keepsClients ? 1 : 0,
      },
      joining: { withoutChecksum: config.joinWithoutChecksum ? 1 : 0 },
      proxy: proxyConfig(config, settings, { partial, loopback }),
      snat: sourcePorts(config),
      guard: {
        antiSpoofing: config.antiSpoofing ? 1 : 0,
        policyCloses: partial ? 0 : 1, // who asks about a pod that no object tells of means one without policies
        policyRecheck: config.policyEstablished === "recheck" ? 1 : 0,
      },
      extra: {
        ftpHelper: config.ftpHelper ? 1 : 0,
        resetRemoved: config.resetRemovedEndpoints ? 1 : 0,
        mssClamp: config.mssClamp ? 1 : 0,
      },
    },
    local: [...own.local],
    podSources: settings.podSources.map(prefixOf),
    masqueradeSources: [...topology.masqueradeSources],
    masqueradeExempt: [...topology.masqueradeExempt],
    ownSources: [...own.podCidrs, ...own.addresses.map(alone)].map(prefixOf),
    nodeSources: topology.nodeAddresses.map(alone).map(prefixOf),
    serviceRanges: ranges.map(prefixOf),
  };
}

/** On a shared uplink answers to the reserved ports alone come to the plane. */
function sourcePorts({ uplink, nodePortRange }: AgentConfig): NonNullable<ConfigChange["snat"]> {
  const avoid = nodePortRange === null ? {} : { avoidMin: nodePortRange.first, avoidMax: nodePortRange.last };
  if (uplink.mode !== "shared") return { ...avoid, always: 0 };
  const { first: min, last: max } = uplink.masqueradePorts;
  const isAway = nodePortRange === null || nodePortRange.last < min || nodePortRange.first > max;
  if (isAway) return { min, max, avoidMin: max + 1, avoidMax: max, always: 1 };
  return {
    ...{ min, max, always: 1 },
    avoidMin: Math.max(min, nodePortRange.first),
    avoidMax: Math.min(max, nodePortRange.last),
  };
}

function alone(address: Ip): Cidr {
  return network(address, address.family === 4 ? 32 : 128);
}

function proxyConfig(
  { proxy }: AgentConfig,
  settings: ProxySettings,
  { partial, loopback }: { partial: boolean; loopback: boolean },
): ProxyConfig {
  const { mode } = proxy;
  // kube-proxy leaves its INVALID rule out when conntrack is liberal; only iptables mode has one.
  const hasRule = mode === "iptables" && !proxy.conntrack.tcpBeLiberal;
  return {
    detectLocal: detectLocal(settings.podsByPort, settings.podSources.length > 0),
    dropInvalid: hasRule ? 1 : 0,
    refusesOutput: mode === "nftables" ? 1 : 0,
    rangesFirst: mode === "nftables" ? 1 : 0,
    masqueradeVips: withoutDetector(settings),
    serviceArp: mode === "ipvs" && !proxy.ipvs.strictArp ? 1 : 0,
    loopback: loopback ? 1 : 0,
    userspace: mode === "userspace" ? 1 : 0,
    retry: mode === "userspace" && !partial ? 1 : 0, // who asks about one packet means its first endpoint
  };
}

/** Addresses that only services have, where the mode cares: what the cluster was set up with, and ServiceCIDR objects. */
function serviceRanges(state: DesiredState, { proxy, serviceCidrs }: AgentConfig): Cidr[] {
  if (proxy.mode !== "nftables") return [];
  const added = [...state.serviceCidrs.values()].flatMap(({ spec }) => spec.cidrs.map(cidr));
  return [...serviceCidrs, ...added];
}

/** Families, as bits, in which ipvs mode has no detector: each family has a proxier of its own. */
function withoutDetector({ mode, masqueradeAll, detector }: ProxySettings): number {
  if (mode !== "ipvs" || masqueradeAll) return 0;
  return (detector[4] ? 0 : 1) | (detector[6] ? 0 : 2);
}

function detectLocal(byPort: boolean, byCidr: boolean): number {
  if (byPort) return DetectLocal.POD_PORT;
  return byCidr ? DetectLocal.CIDR : DetectLocal.NONE;
}
