// The packets of a scenario: from everybody to everything that a Service might have, and to what none has.
import type { Scenario } from "./scenario.ts";

export type Entry = "pod" | "node" | "uplink";

export interface Flow {
  readonly from: string;
  /** Where it comes in; "node": the node itself sends it. */
  readonly entry: Entry;
  readonly to: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

const UNUSED_PORT = 4711;

export function flowsOf(s: Scenario): Flow[] {
  const flows: Flow[] = [];
  for (const { from, entry } of sources(s)) {
    for (const target of targets(s)) {
      if (target.to !== from) flows.push({ from, entry, ...target });
    }
  }
  return flows;
}

export function flowText({ from, entry, to, port, protocol }: Flow): string {
  return `${from} (${entry}) to ${to} port ${port}/${protocol}`;
}

function sources({ world, seed }: Scenario): Pick<Flow, "from" | "entry">[] {
  const { pods, remotePods, neighbors, nodeIp, gateway, outside } = world;
  return [
    { from: pods[0], entry: "pod" },
    { from: pods[1 + (seed & 1)], entry: "pod" },
    { from: nodeIp, entry: "node" },
    { from: gateway, entry: "node" },
    { from: remotePods[0], entry: "uplink" },
    { from: neighbors[0], entry: "uplink" },
    { from: outside(seed & 63), entry: "uplink" },
  ];
}

type Target = Pick<Flow, "to" | "port" | "protocol">;

function targets({ services, world }: Scenario): Target[] {
  const list: Target[] = [];
  for (const { spec, status } of services) {
    const vips = (status.loadBalancer?.ingress ?? []).flatMap((ingress) => ingress.ip ?? []);
    for (const { port, nodePort, protocol = "TCP" } of spec.ports ?? []) {
      const kind = protocol as Flow["protocol"];
      for (const to of [spec.clusterIP ?? "", ...(spec.externalIPs ?? []), ...vips]) {
        list.push({ to, port, protocol: kind });
      }
      if (nodePort === undefined) continue;
      for (const to of [world.nodeIp, world.secondIp, world.gateway, world.remoteNodeIp]) {
        list.push({ to, port: nodePort, protocol: kind });
      }
    }
    list.push({ to: spec.clusterIP ?? "", port: UNUSED_PORT, protocol: "TCP" });
    if (spec.healthCheckNodePort !== undefined) {
      list.push({ to: world.nodeIp, port: spec.healthCheckNodePort, protocol: "TCP" });
    }
  }
  list.push({ to: world.clusterIp(100), port: 80, protocol: "TCP" });
  list.push({ to: world.pods[3], port: 8080, protocol: "UDP" });
  list.push({ to: world.nodeIp, port: UNUSED_PORT, protocol: "TCP" });
  return list;
}
