/**
 * What would become of a packet: a real one is sent through an offline node's pipeline, and its trace records and the
 * tables that it met are read. There is no second model of the decisions. Nothing that one packet leaves behind
 * (connection, affinity, neighbours) is there for the next.
 */

import { planeNames } from "../../api/plane-names.ts";
import { routeText } from "../../api/route-text.ts";
import { PodwireError } from "../../base/errors.ts";
import {
  contains,
  formatCidr,
  formatIp,
  formatIpPort,
  type Ip,
  isLoopback,
  parseIp,
  sameIp,
} from "../../base/ip.ts";
import type { Mac } from "../../base/mac.ts";
import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { healthCheckOf } from "../../compile/health-checks.ts";
import { LOOPBACK } from "../../compile/service-port.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { setSeed } from "../../dataplane/change/conntrack.ts";
import { resetRow } from "../../dataplane/change/schedule.ts";
import { choiceOf } from "../../dataplane/change/service-sets.ts";
import { DropReason } from "../../dataplane/drop-reason.ts";
import { isFromVip } from "../../dataplane/packet/find-frontend.ts";
import { Masquerade } from "../../dataplane/packet/packet.ts";
import { RouteKind } from "../../dataplane/spec/routes.ts";
import { Action, FrontendKind, SCHEDULER_NAMES } from "../../dataplane/spec/services.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as localAddresses from "../../dataplane/table/local-addresses.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import * as affinity from "../../dataplane/table/service/affinity.ts";
import * as services from "../../dataplane/table/service/services.ts";
import * as ring from "../../dataplane/trace/record-ring.ts";
import { Mode } from "../../dataplane/trace/watchers.ts";
import { probeFrame } from "../../device/probe/probe-frame.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { explainSteps } from "../../kubeproxy/words/explain-steps.ts";
import type { Claim, EndVerdict, Explanation, Source, Told } from "../../kubeproxy/words/explanation.ts";
import { readTraceRecord } from "../../kubeproxy/words/read-record.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";
import type { PlaneMessage } from "../../plane/messages.ts";
import { HOST_PORT, OfflineNode, type OfflinePort, UPLINK_PORT } from "../offline-node.ts";
import { PolicyView } from "../policy-view.ts";
import { explainReason, verdictOf } from "./explain-reason.ts";
import * as facts from "./rule-facts.ts";

export type Via = "pod" | "uplink" | "host";

export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: ProbeProtocol;
  /** Kind of port that the packet comes in at; by who owns the source address when left out. */
  readonly via?: Via | undefined;
}

export interface ExplainOptions {
  /** Loaded first and then replaced by the objects. */
  readonly previous?: readonly KubeObject[];
  /** Further addresses of type LOCAL. */
  readonly localIps?: readonly Ip[];
  /** The objects are all there are, as in a lab; else there is a default route, and pods may be left out. */
  readonly complete?: boolean;
}

class ExplainError extends PodwireError {}

const RING_LOG2 = 16;
const FLOW_MS = 60_000; // between two packets: what limits ICMP errors has recovered
/** Who is on the fabric is not among the objects: one station answers for all. */
const STATION: Mac = { hi: 0x0a00, lo: 1 };
const STATION_IPS: readonly Ip[] = ["169.254.0.1", "fe80::1"].map((text) => parseIp(text) as Ip);
const SOURCES: readonly Source[] = ["pod", "node", "outside"];

export class Explainer {
  readonly node: OfflineNode;
  readonly #records: ring.RecordRing;
  readonly #healthChecks = new Map<number, string>();
  readonly #isComplete: boolean;
  readonly #policies: PolicyView;
  #nowMs = 0;

  constructor(config: AgentConfig, objects: readonly KubeObject[], options: ExplainOptions = {}) {
    this.#isComplete = options.complete ?? false;
    const own = config.uplink.gateways;
    const missing = STATION_IPS.filter(
      (station) => !this.#isComplete && !own.some(({ family }) => family === station.family),
    );
    const uplink = { ...config.uplink, gateways: [...own, ...missing] };
    this.node = new OfflineNode({ ...config, uplink }, objects, {
      ...options,
      partial: true,
      amend: viaStation,
    });
    this.#policies = new PolicyView(this.node.graph, this.node.messages.config.overlay.type === "vxlan");
    this.#records = this.node.watch(Mode.TRACE, RING_LOG2);
    for (const address of [...STATION_IPS, ...(this.node.messages.topology?.vteps ?? [])]) {
      const { w0, w1, w2, w3 } = address;
      neighbor.addPermanent(
        this.node.engine.tables.fabric,
        w0,
        w1,
        w2,
        w3,
        STATION.hi,
        STATION.lo,
        UPLINK_PORT,
      );
    }
    for (const [key, service] of this.node.graph.services) {
      const check = healthCheckOf(service, [], config.nodeName);
      const name = service.spec.ports?.[0]?.name ?? "";
      if (check !== undefined) this.#healthChecks.set(check.port, name === "" ? key : `${key}:${name}`);
    }
  }

  explain(flow: Flow): Explanation {
    const [from, to] = [addressOf("from", flow.from), addressOf("to", flow.to)];
    if (from.family !== to.family) {
      throw new ExplainError(`from ${flow.from} to ${flow.to}: addresses of two families`, {
        code: "EXPLAIN_FAMILY",
      });
    }
    const port = this.#portOf(from, flow.via);
    let records = this.#send(port, from, to, flow);
    const presumed = this.#presumePod();
    if (presumed >= 0) {
      this.#forget();
      records = this.#send(port, from, to, flow);
    }
    const told = this.#tell(flow, port, to, records);
    const answer = this.#answer(flow, told);
    this.#forget();
    if (presumed >= 0) neighbor.remove(this.node.engine.tables.stations, presumed);
    return answer;
  }

  /** Sends the packet; its trace. */
  #send(port: OfflinePort, src: Ip, dst: Ip, flow: Flow): TraceRecord[] {
    const { node } = this;
    const { macHi, macLo } = node.engine.ports;
    const at = { hi: macHi[port.id], lo: macLo[port.id] };
    const srcMac = port.id === UPLINK_PORT ? STATION : at;
    const dstMac = port.id === UPLINK_PORT ? at : node.nextMac(port, src, dst);
    this.#nowMs += FLOW_MS;
    const { protocol, port: dstPort } = flow;
    node.send(port.id, probeFrame({ srcMac, dstMac, src, dst, protocol, dstPort }), this.#nowMs);
    for (const each of node.ports) while (each.station.takeStored() !== undefined); // where it went is in the trace
    if (node.engine.lastError !== "") {
      throw new ExplainError(`internal error, please report: ${node.engine.lastError}`, {
        code: "EXPLAIN_INTERNAL",
      });
    }
    return this.#take();
  }

  #take(): TraceRecord[] {
    const { topology, config } = this.node.messages;
    const route = (index: number): string | undefined => {
      const { kind, gw3 = 0, prefixLen } = topology?.routes[index] ?? {};
      const isMadeUp =
        kind === RouteKind.GATEWAY && prefixLen === 0 && STATION_IPS.some(({ w3 }) => w3 === gw3);
      return isMadeUp ? "by the default route" : routeText(topology, index);
    };
    const portName = (id: number): string => this.node.ports[id]?.info.name ?? `port ${id}`;
    const names = { ...planeNames(this.node.messages, this.node.graph, portName), route };
    const list: TraceRecord[] = [];
    for (let body = ring.peek(this.#records); body >= 0; body = ring.peek(this.#records)) {
      list.push(readTraceRecord(this.#records, body, config.nodeName, names));
      ring.consume(this.#records, body);
    }
    return list.filter(({ stage }) => stage !== "send-icmp-error");
  }

  /** A pod of this node that the objects do not tell of is taken for being there. Its slot, or -1. */
  #presumePod(): number {
    const { tables: t } = this.node.engine;
    const { strangers } = this.node;
    const pkt = t.scratch.outer;
    if (pkt.dropReason !== DropReason.NEIGHBOR_FAILED || strangers === undefined || this.#isComplete)
      return -1;
    const [w0, w1, w2, w3] = (pkt.nat !== 0 ? pkt.to : pkt.key).subarray(4, 8);
    const { macHi, macLo } = this.node.engine.ports;
    neighbor.addPermanent(t.stations, w0, w1, w2, w3, macHi[strangers.id], macLo[strangers.id], strangers.id);
    return neighbor.find(t.stations, w0, w1, w2, w3);
  }

  /** Where the packet comes in: as told, else by whose address its source is. */
  #portOf(from: Ip, via: Via | undefined): OfflinePort {
    const { node } = this;
    const owner = isLoopback(from) ? node.ports[HOST_PORT] : node.portOf(formatIp(from));
    const pod = node.strangers as OfflinePort;
    if (via !== undefined && owner.info.kind !== via) {
      return via === "pod" ? pod : node.ports[via === "host" ? HOST_PORT : UPLINK_PORT];
    }
    if (via !== undefined || owner.id !== UPLINK_PORT) return owner;
    return this.#isLocalPod(from) ? pod : owner;
  }

  /** By the node's range; where that is not known, by the cluster's. */
  #isLocalPod(from: Ip): boolean {
    const { config, topology } = this.node.messages;
    const ranges = topology?.own.podCidrs.filter(({ family }) => family === from.family) ?? [];
    if (ranges.length > 0) return ranges.some((range) => contains(range, from));
    return config.proxy.clusterCidrs.some((range) => contains(range, from));
  }

  #tell(flow: Flow, port: OfflinePort, to: Ip, records: TraceRecord[]): Told {
    const { engine: e, messages } = this.node;
    const pkt = e.tables.scratch.outer;
    const { settings } = messages.services;
    const { proxy } = messages.config;
    const toNode = isLoopback(to) || localAddresses.has(e.tables.addresses.local, to.w0, to.w1, to.w2, to.w3);
    const endsAtNode = pkt.route >= 0 && e.tables.routes.kind[pkt.route] === RouteKind.LOCAL;
    const check = toNode && flow.protocol === "TCP" ? this.#healthChecks.get(flow.port) : undefined;
    return {
      mode: settings.mode,
      from: formatIp(addressOf("from", flow.from)),
      to: formatIp(to),
      port: flow.port,
      protocol: flow.protocol,
      family: to.family,
      isOwn: port.id === HOST_PORT,
      toNode,
      endsAtNode,
      claim: this.#claim(flow),
      detector: this.#detector(to),
      masqueradeAll: settings.masqueradeAll,
      masqueradeMark: 2 ** proxy.masqueradeBit,
      servesNodePorts: settings.nodePortIps[to.family]?.some((address) => sameIp(address, to)) ?? true,
      servesAll: settings.nodePortIps[to.family] === null,
      servesLoopback: settings.localhostNodePorts,
      endpointComments: facts.countEndpoints(this.node.graph, to.family) <= facts.LARGE_CLUSTER_ENDPOINTS,
      serviceCidrs: facts.serviceCidrs(this.node.graph, messages.config, to.family),
      healthCheckOf: settings.mode === "iptables" ? check : undefined,
      isKept: records.some(({ clientKept }) => clientKept === true),
      records,
      policies: this.#policyVerdicts(flow, records),
    };
  }

  /** Of the packet as a whole, wherever its ends are. What a service refuses, no policy is asked about. */
  #policyVerdicts(flow: Flow, records: readonly TraceRecord[]): EndVerdict[] {
    const pkt = this.node.engine.tables.scratch.outer;
    if (this.#policies.isEmpty || !records.some(({ stage }) => stage === "route")) return [];
    const [s0, s1, s2, s3, w0, w1, w2, w3] = pkt.nat !== 0 ? pkt.to : pkt.key;
    const isHere = pkt.route < 0 || this.node.engine.tables.routes.kind[pkt.route] === RouteKind.PODS;
    return this.#policies.decide({
      from: addressOf("from", flow.from),
      ...(!isHere && { seenAs: { w0: s0, w1: s1, w2: s2, w3: s3 } }),
      to: { w0, w1, w2, w3 },
      proto: pkt.proto,
      port: (pkt.nat !== 0 ? pkt.to : pkt.key)[8] & 0xffff,
      family: pkt.family as 4 | 6,
      isDirect: pkt.nat === 0,
    });
  }

  #claim(flow: Flow): Claim | undefined {
    const t = this.node.engine.tables;
    const [s, pkt] = [t.services, t.scratch.outer];
    const f = pkt.frontend;
    if (f < 0) return undefined;
    const service = this.node.messages.services.nameOf(s.service[f]) ?? "";
    const object = this.node.graph.services.get(service.split(":")[0]);
    const isChosen = services.actionOf(s, f, pkt.sourceClass) === Action.DNAT;
    const slots = isChosen ? choiceOf(s, f, pkt.sourceClass) : [];
    const isMarked = pkt.nat !== 0 && pkt.masquerade === Masquerade.HOST_PORT;
    const markedSource = isMarked ? this.#markedSource(addressOf("from", flow.from)) : "";
    const chosen = pkt.endpoint < 0 ? "" : endpointText(s, pkt.endpoint);
    const words = [0, 1, 2, 3].map((i) => s.addr[f * 4 + i]);
    const at = { w0: words[0], w1: words[1], w2: words[2], w3: words[3] };
    const isHostPort = s.kind[f] === FrontendKind.HOST_PORT;
    return {
      service,
      protocol: flow.protocol,
      kind: s.kind[f],
      anyAddress:
        words.every((word) => word === 0) || (isHostPort ? sameIp(at, LOOPBACK[4]) : isLoopback(at)),
      source: SOURCES[pkt.sourceClass],
      hasRanges: s.rangeAt[f] !== 0,
      range: s.rangeAt[f] === 0 ? undefined : facts.rangeOf(object, flow.from),
      ranges: facts.sourceRanges(
        object,
        this.node.messages.services.settings,
        addressOf("to", flow.to).family,
      ),
      internalLocal: object?.spec.internalTrafficPolicy === "Local",
      externalLocal: object?.spec.externalTrafficPolicy === "Local",
      endpoints: slots.map((slot) => endpointText(s, slot)),
      chosen,
      weight: pkt.endpoint < 0 ? 1 : s.schedule.weight[pkt.endpoint],
      masquerade:
        isChosen &&
        (markedSource !== "" || services.masquerades(s, f, pkt.sourceClass) || isFromVip(t, pkt.key)),
      markedSource,
      hostPorts: isHostPort ? facts.hostPortsBeside(this.node.graph, service, flow.protocol) : [],
      affinitySec: s.affinitySec[f],
      scheduler: SCHEDULER_NAMES[s.schedule.kind[f]],
    };
  }

  /** The range by which portmap's rules know who would not get the answer. */
  #markedSource(from: Ip): string {
    const ranges = this.node.messages.topology?.own.podCidrs ?? [];
    const range = ranges.find((each) => contains(each, from));
    return range === undefined ? `${formatIp(from)}/${from.family === 4 ? 32 : 128}` : formatCidr(range);
  }

  #detector(to: Ip): string {
    const { proxy } = this.node.messages.config;
    if (proxy.detectLocalMode === "BridgeInterface") return `-i ${proxy.bridgeInterface}`;
    if (proxy.detectLocalMode === "InterfaceNamePrefix") return `-i ${proxy.interfaceNamePrefix}+`;
    const range = this.node.messages.services.settings.podSources.find(({ family }) => family === to.family);
    return range === undefined ? "" : `-s ${formatCidr(range)}`;
  }

  #answer(flow: Flow, told: Told): Explanation {
    const { dropReason, icmpRequest } = this.node.engine.tables.scratch.outer;
    const { claim, from } = told;
    const allowed = told.policies.every(({ action }) => action !== "deny");
    const verdict = verdictOf(dropReason, icmpRequest, claim, !allowed);
    // One of the endpoints may be the sender itself: then the source is rewritten when that one is drawn.
    const isHairpin = claim?.endpoints.some((endpoint) => parseEndpoint(endpoint) === from) === true;
    const isChosen = verdict === "dnat";
    return {
      from: flow.from,
      to: flow.to,
      port: flow.port,
      protocol: flow.protocol,
      verdict,
      reason: explainReason(told, dropReason),
      endpoints: isChosen ? [...(claim?.endpoints ?? [])].sort() : [],
      masquerade: isChosen && !told.isKept && (claim?.masquerade === true || isHairpin),
      allowed,
      policies: [...new Set(told.policies.flatMap(({ policies }) => policies))].sort(),
      steps: explainSteps(told),
    };
  }

  /** Takes back what the packet left in the tables. */
  #forget(): void {
    const { conntrack: ct, services: s, affinity: remembered, scratch } = this.node.engine.tables;
    const { outer } = scratch;
    if (outer.ctSlot >= 0) conntrack.remove(ct, outer.ctSlot);
    outer.ctSlot = -1;
    if (outer.frontend >= 0) resetRow(s.schedule, outer.frontend);
    setSeed(ct, 1);
    affinity.clear(remembered);
    if (outer.frontend >= 0) s.schedule.last[s.schedule.row[outer.frontend]] = -1;
  }
}

function addressOf(what: string, text: string): Ip {
  const address = parseIp(text);
  if (address !== null) return address;
  throw new ExplainError(`${what} ${JSON.stringify(text)}: not an IP address`, { code: "EXPLAIN_ADDRESS" });
}

/** Whatever leaves for the fabric goes to the one station there. */
function viaStation(message: PlaneMessage): PlaneMessage {
  if (message.type !== "routes") return message;
  const routes = message.routes.map((route) => {
    if (route.kind !== RouteKind.ONLINK && route.kind !== RouteKind.GATEWAY) return route;
    const [{ w0, w1, w2, w3 }] = STATION_IPS.filter(({ family }) => family === route.family);
    return { ...route, kind: RouteKind.GATEWAY, gw0: w0, gw1: w1, gw2: w2, gw3: w3 };
  });
  return { ...message, routes };
}

function endpointText(s: services.Services, slot: number): string {
  const [w0, w1, w2, w3] = s.epAddr.subarray(slot * 4, slot * 4 + 4);
  return formatIpPort({ w0, w1, w2, w3 }, s.epPort[slot]);
}

function parseEndpoint(text: string): string {
  return text.slice(0, text.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}
