/**
 * What a node's data plane has to be told about the objects: topology and services as messages. The agent sends them to
 * its worker; an offline node (replay, explain) applies them in place. No devices here, no waiting.
 */

import type { Ip } from "../base/ip.ts";
import { compileTopology, type NodeTopology, prefixOf } from "../compile/node.ts";
import { type ProxySettings, proxySettings } from "../compile/proxy-settings.ts";
import { ServiceCompiler } from "../compile/services.ts";
import type { AgentConfig } from "../control/config/agent.ts";
import type { Changes, DesiredState } from "../control/desired-state.ts";
import { DetectLocal } from "../dataplane/tables.ts";
import type { PlaneMessage } from "./messages.ts";

export interface NodePorts {
  readonly uplink: number;
  readonly host: number;
  /** Of the uplink, bytes. */
  readonly mtu: number;
}

export class NodeMessages {
  readonly config: AgentConfig;
  readonly services: ServiceCompiler;
  /** Further addresses of type LOCAL (explain's --local-ip). */
  readonly extraLocal: readonly Ip[];
  topology: NodeTopology | undefined;

  constructor(config: AgentConfig, state: DesiredState, extraLocal: readonly Ip[] = []) {
    this.config = config;
    this.extraLocal = extraLocal;
    this.services = new ServiceCompiler(this.#settings(state));
  }

  /** The messages for what changed; empty when nothing did, or while the Node object is not there yet. */
  update(state: DesiredState, changes: Changes, ports: NodePorts): PlaneMessage[] {
    const messages: PlaneMessage[] = [];
    if (changes.nodes.size > 0 || this.topology === undefined) this.#topology(state, ports, messages);
    if (changes.services.size > 0) {
      const update = this.services.update(state, changes.services);
      if (update.upsert.length + update.remove.length > 0) messages.push({ type: "services", update });
    }
    return messages;
  }

  #settings(state: DesiredState): ProxySettings {
    const { config } = this;
    return proxySettings({
      config: config.proxy,
      nodeName: config.nodeName,
      node: state.nodes.get(config.nodeName),
      localIps: [...(this.topology?.own.local ?? []), ...this.extraLocal],
    });
  }

  #topology(state: DesiredState, ports: NodePorts, messages: PlaneMessage[]): void {
    const { config } = this;
    const topology = compileTopology(state, { config, mtu: ports.mtu, ports });
    if (topology === undefined) return;
    this.topology = topology;
    const settings = this.#settings(state);
    messages.push(nodeMessage(config, topology, settings, ports, this.extraLocal));
    messages.push({ type: "routes", routes: [...topology.routes], vteps: [...topology.vteps] });
    const update = this.services.changeSettings(state, settings);
    if (update.upsert.length + update.remove.length > 0) messages.push({ type: "services", update });
  }
}

function nodeMessage(
  config: AgentConfig,
  topology: NodeTopology,
  settings: ProxySettings,
  ports: NodePorts,
  extraLocal: readonly Ip[],
): PlaneMessage {
  const { own } = topology;
  const { overlay, proxy } = config;
  // kube-proxy leaves its INVALID rule out when conntrack is liberal, and nftables mode never had one.
  const liberal = proxy.conntrack.tcpBeLiberal || proxy.mode === "nftables";
  return {
    type: "node",
    config: {
      gatewayMacHi: own.gatewayMac.hi,
      gatewayMacLo: own.gatewayMac.lo,
      vtepMacHi: own.vtepMac.hi,
      vtepMacLo: own.vtepMac.lo,
      hostPort: ports.host,
      uplinkPort: ports.uplink,
      nodeAddress: own.addresses.find((a) => a.family === 4)?.w3 ?? 0,
      vxlan: overlay.type === "vxlan" ? 1 : 0,
      vni: overlay.type === "vxlan" ? overlay.vni : 1,
      vxlanPort: overlay.type === "vxlan" ? overlay.port : 8472,
      detectLocal: detectLocal(settings.podsByPort, settings.podSources.length > 0),
      dropInvalid: liberal ? 0 : 1,
    },
    local: [...own.local, ...extraLocal],
    podSources: settings.podSources.map(prefixOf),
    masqueradeSources: [...topology.masqueradeSources],
    masqueradeExempt: [...topology.masqueradeExempt],
  };
}

function detectLocal(byPort: boolean, byCidr: boolean): number {
  if (byPort) return DetectLocal.POD_PORT;
  return byCidr ? DetectLocal.CIDR : DetectLocal.NONE;
}
