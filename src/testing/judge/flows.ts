// The packets of a scenario: from everybody to everything that a Service might have, and to what none has.
import type { Service } from "../../kube/objects.ts";
import { hostPortsIn } from "./host-ports.ts";
import type { Scenario } from "./scenario.ts";
import { ofFamily, type World } from "./world.ts";

export type Entry = "pod" | "node" | "uplink";

export interface Flow {
  readonly from: string;
  /** Where it comes in; "node": the node itself sends it. */
  readonly entry: Entry;
  readonly to: string;
  /** 0 for a ping. */
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP" | "ICMP";
  /** tcpdump's letters; a SYN where left out. */
  readonly flags?: string;
  /** Of TCP; the packet's number and 0 where left out. */
  readonly seq?: number;
  readonly ack?: number;
  /** The service port it is for, where it may have affinity. */
  readonly affine?: string;
}

const UNUSED_PORT = 4711;
const UNUSED_NODE_PORT = 31_999;

export function flowsOf(s: Scenario): Flow[] {
  const flows: Flow[] = [];
  for (const { from, entry } of sources(s)) {
    // Services last: of two flows that are alike the later stays, and these know of their affinity.
    for (const target of [...hostPortTargets(s), ...targets(s)]) {
      if (target.to !== from || entry === "node") flows.push({ from, entry, ...target });
    }
  }
  const all = [...flows, ...vipFlows(s), ...loopbackFlows(s)];
  return [...new Map(all.map((flow) => [flowText(flow), flow])).values()];
}

/** Where a VIP with source ranges is bound to the node, the node speaks to it from it. */
function vipFlows({ services, world }: Scenario): Flow[] {
  const ranged = services.filter(({ spec }) => spec.loadBalancerSourceRanges !== undefined);
  return ranged.flatMap((service) => {
    const { port, protocol = "TCP" } = (service.spec.ports ?? [])[0];
    const flow = { entry: "node" as const, port, protocol: protocol as Flow["protocol"] };
    return vipsOf(service, world).map((vip) => ({ ...flow, from: vip, to: vip }));
  });
}

/** The node's own programs at its loopback, with a port of the node-port range that nobody has. */
function loopbackFlows(s: Scenario): Flow[] {
  const { services, world, mode } = s;
  // From ::1 no pod takes a packet: host ports there are a known difference, also those that are a node port's number.
  const held = hostPortKinds(s);
  const isLeft = (port: number, protocol: string): boolean =>
    world.family === 6 && held.some((kind) => kind.port === port && kind.protocol === protocol);
  const hostPorts = world.family === 4 ? held : [];
  const places = world.family === 4 ? ["127.0.0.1", "127.0.0.5"] : ["::1"];
  const ports = services
    .flatMap(({ spec }) => spec.ports ?? [])
    .filter(({ nodePort = 0, protocol = "TCP" }) => nodePort !== 0 && !isLeft(nodePort, protocol))
    .map(({ nodePort = 0, protocol = "TCP" }) => ({
      port: nodePort,
      protocol: protocol as Flow["protocol"],
    }));
  const all = [...ports, ...hostPorts];
  const from = places[0];
  return places.flatMap((to) => [
    ...all.map((port) => ({ from, entry: "node" as const, to, ...port })),
    {
      from,
      entry: "node" as const,
      to,
      port: UNUSED_NODE_PORT,
      protocol: mode === "iptables" ? "TCP" : "UDP",
    },
  ]);
}

export function flowText({ from, entry, to, port, protocol, flags }: Flow): string {
  return `${from} (${entry}) to ${to} port ${port}/${protocol}${flags === undefined ? "" : ` [${flags}]`}`;
}

function sources({ world, seed }: Scenario): Pick<Flow, "from" | "entry">[] {
  const { pods, remotePods, neighbors, nodeIp, gateway, outside } = world;
  return [
    { from: pods[0], entry: "pod" },
    { from: pods[1 + (seed & 1)], entry: "pod" },
    { from: nodeIp, entry: "node" },
    { from: gateway, entry: "node" },
    { from: outside(64), entry: "node" }, // as a router's, or bound with IP_TRANSPARENT
    { from: remotePods[0], entry: "uplink" },
    { from: neighbors[0], entry: "uplink" },
    { from: outside(seed & 63), entry: "uplink" },
  ];
}

/** Segments out of the blue: the middle of a connection, its end, an answer that nobody asked for. */
const STRAY_SEGMENTS = [".", "R", "F.", "S."];

/** The number and protocol of each host port. */
function hostPortKinds(s: Scenario): Pick<Flow, "port" | "protocol">[] {
  return hostPortsIn(s).map(({ hostPort, protocol }) => ({
    port: hostPort,
    protocol: protocol as Flow["protocol"],
  }));
}

/** Host ports, at every address of the node and at another's; TCP where only UDP is served. */
function hostPortTargets(s: Scenario): Target[] {
  const { nodeIp, secondIp, gateway, remoteNodeIp } = s.world;
  const kinds = hostPortKinds(s);
  const places = [nodeIp, secondIp, gateway, remoteNodeIp];
  return [...kinds, ...kinds.slice(0, 1).map((kind) => ({ ...kind, protocol: "TCP" as const }))].flatMap(
    (kind) => places.map((to) => ({ to, ...kind })),
  );
}

type Target = Pick<Flow, "to" | "port" | "protocol" | "flags" | "affine">;

function targets({ services, world }: Scenario): Target[] {
  const list: Target[] = [];
  for (const service of services) {
    const { spec } = service;
    const vips = vipsOf(service, world);
    const [clusterIp] = ofFamily(world, spec.clusterIPs ?? []);
    const externalIps = ofFamily(world, spec.externalIPs ?? []);
    for (const { port, nodePort, protocol = "TCP" } of spec.ports ?? []) {
      const kind = {
        protocol: protocol as Flow["protocol"],
        ...(spec.sessionAffinity === "ClientIP" && { affine: `${service.metadata.name} ${protocol}` }),
      };
      for (const to of [clusterIp, ...externalIps, ...vips]) {
        list.push({ to, port, ...kind });
      }
      if (nodePort === undefined) continue;
      for (const to of [world.nodeIp, world.secondIp, world.gateway, world.remoteNodeIp]) {
        list.push({ to, port: nodePort, ...kind });
      }
    }
    list.push({ to: clusterIp, port: UNUSED_PORT, protocol: "TCP" });
    if (spec.healthCheckNodePort !== undefined) {
      list.push({ to: world.nodeIp, port: spec.healthCheckNodePort, protocol: "TCP" });
    }
  }
  for (const flags of STRAY_SEGMENTS) {
    for (const to of [world.clusterIp(0), world.externalIp(0)])
      list.push({ to, port: 80, protocol: "TCP", flags });
    list.push({ to: world.nodeIp, port: 30_000, protocol: "TCP", flags });
  }
  for (const to of [world.clusterIp(0), world.clusterIp(100), world.loadBalancerIp(0)]) {
    list.push({ to, port: 0, protocol: "ICMP" });
  }
  list.push({ to: world.clusterIp(100), port: 80, protocol: "TCP" });
  list.push({ to: world.pods[3], port: 8080, protocol: "UDP" });
  list.push({ to: world.nodeIp, port: UNUSED_PORT, protocol: "TCP" });
  return list;
}

function vipsOf({ status }: Service, world: World): string[] {
  return ofFamily(
    world,
    (status.loadBalancer?.ingress ?? []).flatMap((ingress) => ingress.ip ?? []),
  );
}
