// Connections of a kernel node that lead nowhere since its rules changed: UDP has no end that conntrack could see, so
// whoever goes on sending keeps the entry alive. kube-proxy deletes those of Services whose endpoint no longer serves
// (pkg/proxy/conntrack), portmap those of a host port when a pod gets it. They are deleted here when the pod goes, too:
// its address may be another pod's next.
import { formatIp, formatIpPort, type IpFamily, ip } from "../../base/ip.ts";
import type { EndpointSlice, KubeObject, Service } from "../../kube/objects.ts";
import { endpointsOf } from "../../kubeproxy/endpoint-view.ts";
import { hostPortForwards } from "../../kubeproxy/host-ports.ts";
import { type ServicePortView, servicePorts } from "../../kubeproxy/service-view.ts";
import { command, tryCommand } from "../process/command.ts";
import type { NodePlan } from "../topology.ts";

const SERVICE_NAME = "kubernetes.io/service-name";

/** Who is served by UDP at a node. */
export interface UdpServed {
  /** "address:port", or "*:port" of a node port → "address:port" of every endpoint that serves. */
  readonly services: ReadonlyMap<string, ReadonlySet<string>>;
  /** Host port → by what: its pods, their addresses. */
  readonly hostPorts: ReadonlyMap<number, string>;
}

export const NOBODY_SERVED: UdpServed = { services: new Map(), hostPorts: new Map() };

export function udpServed(node: NodePlan, objects: readonly KubeObject[], family: IpFamily): UdpServed {
  const hostPorts = new Map<number, string>();
  for (const { pod, protocol, port, hostIP, to } of hostPortForwards({
    objects,
    nodeName: node.name,
    family,
  })) {
    if (protocol === "udp") hostPorts.set(port, `${hostPorts.get(port) ?? ""} ${pod} ${hostIP} ${to}`);
  }
  return { services: udpServices(node, objects, family), hostPorts };
}

function udpServices(
  node: NodePlan,
  objects: readonly KubeObject[],
  family: IpFamily,
): Map<string, ReadonlySet<string>> {
  const place = { nodeName: node.name, zone: "" };
  const services = objects.filter((each): each is Service => each.kind === "Service");
  const slices = objects.filter((each): each is EndpointSlice => each.kind === "EndpointSlice");
  const served = new Map<string, ReadonlySet<string>>();
  for (const view of servicePorts(services, slices, family, place)) {
    if (view.protocol !== "udp") continue;
    const { namespace, service, port } = view.name;
    const own = slices.filter(
      ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME] === service,
    );
    const serving = endpointsOf(own, port, "UDP", family, place).filter((endpoint) => endpoint.serving);
    const texts = new Set(serving.map(({ text }) => text));
    for (const at of frontends(view)) served.set(at, texts);
  }
  return served;
}

function frontends({ clusterIp, externalIps, loadBalancerIps, port, nodePort }: ServicePortView): string[] {
  const at = [clusterIp, ...externalIps, ...loadBalancerIps].map((text) => formatIpPort(ip(text), port));
  return nodePort === 0 ? at : [...at, `*:${nodePort}`];
}

/** Deletes them, in the network namespace `netns`. To be called when the rules for `now` are in force. */
export async function deleteStaleConnections(
  netns: string,
  family: IpFamily,
  before: UdpServed,
  now: UdpServed,
): Promise<void> {
  const anyUdp = [before, now].some(({ services, hostPorts }) => services.size + hostPorts.size > 0);
  if (!anyUdp) return;
  const inside = ["netns", "exec", netns, "conntrack"];
  const udp = ["-f", `ipv${family}`, "-p", "udp"];
  const listing = await command("ip", [...inside, "-L", ...udp]);
  for (const words of staleConnections(listing, before, now)) {
    await tryCommand("ip", [...inside, "-D", ...udp, ...words]); // it may have ended meanwhile
  }
}

/** conntrack(8)'s words for each stale entry of `conntrack -L -p udp`. */
export function staleConnections(listing: string, before: UdpServed, now: UdpServed): string[][] {
  const changed = new Set(
    [...before.hostPorts.keys(), ...now.hostPorts.keys()].filter(
      (port) => before.hostPorts.get(port) !== now.hostPorts.get(port),
    ),
  );
  return listing.split("\n").flatMap((line) => {
    const values = [...line.matchAll(/\b(?:src|dst|sport|dport)=(\S+)/g)].map((match) => match[1] as string);
    const [src, dst, sport, dport, replySrc, , replySport] = values;
    if (replySrc === undefined || dst === undefined) return [];
    const at = [formatIpPort(ip(dst), Number(dport)), `*:${dport}`];
    const isService = (served: UdpServed): boolean => at.some((each) => served.services.has(each));
    const serving = at.map((each) => now.services.get(each)).find((each) => each !== undefined);
    const endpoint = formatIpPort(ip(replySrc), Number(replySport));
    const isStale =
      changed.has(Number(dport)) ||
      ((isService(before) || isService(now)) && serving?.has(endpoint) !== true);
    if (!isStale) return [];
    return [
      [
        "--orig-src",
        src as string,
        "--orig-dst",
        formatIp(ip(dst)),
        "--sport",
        sport as string,
        "--dport",
        dport as string,
      ],
    ];
  });
}
