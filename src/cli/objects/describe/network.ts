// Services, what stands behind them, and policies.
import type { EndpointSlice, Endpoints, NetworkPolicy, Service } from "../../../kube/objects.ts";
import { head, joinHostPort, mapText, marks, selectorText, zone } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

const SHOWN = 3;

export function serviceLines(w: TabWriter, service: Service, slices: readonly EndpointSlice[]): void {
  const { spec, status } = service;
  head(w, service);
  marks(w, service);
  w.line(0, `Selector:\t${mapText(spec.selector)}`);
  w.line(0, `Type:\t${spec.type}`);
  if (spec.ipFamilyPolicy !== undefined) w.line(0, `IP Family Policy:\t${spec.ipFamilyPolicy}`);
  w.line(0, `IP Families:\t${spec.ipFamilies?.join(",") || "<none>"}`);
  w.line(0, `IP:\t${spec.clusterIP ?? spec.clusterIPs?.[0] ?? ""}`);
  w.line(0, `IPs:\t${spec.clusterIPs?.join(",") || "<none>"}`);
  if ((spec.externalIPs ?? []).length > 0) w.line(0, `External IPs:\t${spec.externalIPs?.join(",")}`);
  if (spec.loadBalancerIP) w.line(0, `Desired LoadBalancer IP:\t${spec.loadBalancerIP}`);
  if (spec.externalName) w.line(0, `External Name:\t${spec.externalName}`);
  const ingress = (status.loadBalancer?.ingress ?? []) as {
    ip?: string;
    ipMode?: string;
    hostname?: string;
  }[];
  const addresses = ingress.map(({ ip, ipMode, hostname }) =>
    ip ? `${ip}${ipMode === undefined ? "" : ` (${ipMode})`}` : (hostname ?? ""),
  );
  if (addresses.length > 0) w.line(0, `LoadBalancer Ingress:\t${addresses.join(", ")}`);
  for (const { name = "", port, protocol = "TCP", targetPort, nodePort } of spec.ports ?? []) {
    const title = name === "" ? "<unset>" : name;
    w.line(0, `Port:\t${title}\t${port}/${protocol}`);
    w.line(0, `TargetPort:\t${targetPort ?? port}/${protocol}`);
    if (nodePort) w.line(0, `NodePort:\t${title}\t${nodePort}/${protocol}`);
    w.line(0, `Endpoints:\t${endpointsText(slices, name)}`);
  }
  w.line(0, `Session Affinity:\t${spec.sessionAffinity ?? "None"}`);
  if (spec.externalTrafficPolicy) w.line(0, `External Traffic Policy:\t${spec.externalTrafficPolicy}`);
  if (spec.internalTrafficPolicy) w.line(0, `Internal Traffic Policy:\t${spec.internalTrafficPolicy}`);
  if (spec.healthCheckNodePort) w.line(0, `HealthCheck NodePort:\t${spec.healthCheckNodePort}`);
  const ranges = spec.loadBalancerSourceRanges ?? [];
  if (ranges.length > 0) w.line(0, `LoadBalancer Source Ranges:\t${ranges.join(",")}`);
}

/** Ready addresses of one port, three of them. */
export function endpointsText(slices: readonly EndpointSlice[], portName: string): string {
  if (slices.length === 0) return "<none>";
  const all = slices.flatMap(({ ports, endpoints }) => {
    const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
    if (ports.length === 0) return ready.map(({ addresses }) => addresses[0]);
    const own = ports.filter(({ name = "" }) => name === portName);
    return own.flatMap(({ port }) => ready.map(({ addresses }) => joinHostPort(addresses[0], port ?? 0)));
  });
  const shown = all.slice(0, SHOWN).join(",");
  return all.length > SHOWN ? `${shown} + ${all.length - SHOWN} more...` : shown;
}

export function sliceLines(w: TabWriter, slice: EndpointSlice): void {
  head(w, slice);
  marks(w, slice);
  w.line(0, `AddressType:\t${slice.addressType}`);
  if (slice.ports.length === 0) w.line(0, "Ports: <unset>");
  else {
    w.line(0, "Ports:");
    w.line(1, "Name\tPort\tProtocol");
    w.line(1, "----\t----\t--------");
    for (const { name, port, protocol = "TCP" } of slice.ports)
      w.line(1, `${name || "<unset>"}\t${port ?? "<unset>"}\t${protocol}`);
  }
  if (slice.endpoints.length === 0) w.line(0, "Endpoints: <none>");
  else w.line(0, "Endpoints:");
  for (const { addresses, conditions, hostname, targetRef, nodeName, zone: where } of slice.endpoints) {
    w.line(1, `- Addresses:\t${addresses.join(", ") || "<none>"}`);
    w.line(2, "Conditions:");
    w.line(3, `Ready:\t${conditions?.ready ?? "<unset>"}`);
    w.line(2, `Hostname:\t${hostname ?? "<unset>"}`);
    if (targetRef !== undefined) w.line(2, `TargetRef:\t${targetRef.kind}/${targetRef.name}`);
    w.line(2, `NodeName:\t${nodeName ?? "<unset>"}`);
    w.line(2, `Zone:\t${where ?? "<unset>"}`);
  }
}

export function endpointsLines(w: TabWriter, object: Endpoints): void {
  head(w, object);
  marks(w, object);
  w.line(0, "Subsets:");
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of object.subsets ?? []) {
    w.line(1, `Addresses:\t${addresses.map(({ ip }) => ip).join(",") || "<none>"}`);
    w.line(1, `NotReadyAddresses:\t${notReadyAddresses.map(({ ip }) => ip).join(",") || "<none>"}`);
    if (ports.length > 0) {
      w.line(1, "Ports:");
      w.line(2, "Name\tPort\tProtocol");
      w.line(2, "----\t----\t--------");
    }
    for (const { name, port, protocol = "TCP" } of ports)
      w.line(2, `${name || "<unset>"}\t${port}\t${protocol}`);
    w.line(0, "");
  }
}

export function policyLines(w: TabWriter, policy: NetworkPolicy): void {
  const { spec, metadata } = policy;
  head(w, policy);
  w.line(0, `Created on:\t${goTime(metadata.creationTimestamp)}`);
  marks(w, policy);
  w.line(0, "Spec:");
  const chosen = selectorText(spec.podSelector);
  const all = "<none> (Allowing the specific traffic to all pods in this namespace)";
  w.line(1, `PodSelector:     ${chosen === "" ? all : chosen}`);
  const types = spec.policyTypes ?? [];
  for (const [type, rules] of [
    ["Ingress", (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))],
    ["Egress", (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }))],
  ] as const) {
    const word = type.toLowerCase();
    w.line(1, types.includes(type) ? `Allowing ${word} traffic:` : `Not affecting ${word} traffic`);
    if (types.includes(type)) ruleLines(w, word, rules);
  }
  w.line(1, `Policy Types: ${types.join(", ") || "<none>"}`);
}

type Peer = NonNullable<NonNullable<NetworkPolicy["spec"]["ingress"]>[number]["from"]>[number];
interface Rule {
  peers?: Peer[] | undefined;
  ports?: { port?: number | string; endPort?: number; protocol?: string }[] | undefined;
}

function ruleLines(w: TabWriter, word: string, rules: readonly Rule[]): void {
  if (rules.length === 0) w.line(2, `<none> (Selected pods are isolated for ${word} connectivity)`);
  const [way, end] = word === "ingress" ? ["From", "source"] : ["To", "destination"];
  for (const [i, { peers = [], ports = [] }] of rules.entries()) {
    if (i > 0) w.line(2, "----------");
    if (ports.length === 0) w.line(2, "To Port: <any> (traffic allowed to all ports)");
    for (const { port = "<nil>", endPort, protocol = "TCP" } of ports) {
      const isRange = endPort !== undefined;
      w.line(2, isRange ? `To Port Range: ${port}-${endPort}/${protocol}` : `To Port: ${port}/${protocol}`);
    }
    if (peers.length === 0) w.line(2, `${way}: <any> (traffic not restricted by ${end})`);
    for (const peer of peers) {
      w.line(2, `${way}:`);
      peerLines(w, peer);
    }
  }
}

function peerLines(w: TabWriter, { podSelector, namespaceSelector, ipBlock }: Peer): void {
  if (namespaceSelector !== undefined)
    w.line(3, `NamespaceSelector: ${selectorText(namespaceSelector) || "<none>"}`);
  if (podSelector !== undefined) w.line(3, `PodSelector: ${selectorText(podSelector) || "<none>"}`);
  if (podSelector !== undefined || namespaceSelector !== undefined || ipBlock === undefined) return;
  w.line(3, "IPBlock:");
  w.line(4, `CIDR: ${ipBlock.cidr}`);
  w.line(4, `Except: ${ipBlock.except?.join(", ") ?? ""}`);
}

/** 2006-01-02 15:04:05 +0000 UTC */
function goTime(timestamp: string | undefined): string {
  if (timestamp === undefined) return "<nil>";
  const t = new Date(timestamp);
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  const name = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" })
    .formatToParts(t)
    .find(({ type }) => type === "timeZoneName")?.value;
  return `${date} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())} ${zone(t)} ${name}`;
}
