// Who stands at the ends of a matrix: pods with addresses of their own, and addresses.
import { type Ip, type IpFamily, nthIp, parseCidr, parseIp } from "../../base/ip.ts";
import { cniAddresses } from "../../compile/node.ts";
import { podAddresses } from "../../compile/policy/holders.ts";
import { nodeAddresses } from "../../compile/proxy-settings.ts";
import { type Container, type KubeObject, keyOf, type Node, type Pod } from "../../kube/objects.ts";

export interface Port {
  readonly port: number;
  /** TCP, UDP, SCTP, ICMP. */
  readonly protocol: string;
}

export interface End {
  /** "namespace/pod", or an address. */
  readonly name: string;
  readonly addresses: readonly Ip[];
  readonly families: readonly IpFamily[];
  readonly pod: Pod | undefined;
  /** What its containers and sidecars say they serve. */
  readonly ports: readonly Port[];
  /** Of a node: what it sends to pods of other nodes comes from one of these. */
  readonly sources?: readonly Ip[];
  /** Its address stands for many. */
  readonly isRange?: boolean;
}

/** Of destinations that say nothing about ports. */
export const USUAL_PORT: Port = { port: 80, protocol: "TCP" };

/** Pods that have addresses of their own, by name. */
export function podEnds(objects: readonly KubeObject[]): End[] {
  const pods = objects.filter((object): object is Pod => object.kind === "Pod");
  const ends = pods.map((pod) => endOf(keyOf(pod), podAddresses(pod), pod));
  return ends.filter(({ addresses }) => addresses.length > 0).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Nodes that have addresses. To pods of other nodes they send, behind an overlay, from the first address of their pod
 * ranges; undefined: nobody knows whether there is one.
 */
export function nodeEnds(objects: readonly KubeObject[], hasOverlay: boolean | undefined): End[] {
  const nodes = objects.filter((object): object is Node => object.kind === "Node");
  return nodes.flatMap((node) => {
    const addresses = nodeAddresses(node);
    if (addresses.length === 0) return [];
    const { podCIDR, podCIDRs = podCIDR === undefined ? [] : [podCIDR] } = node.spec ?? {};
    const tunnel = podCIDRs.flatMap((text) => parseCidr(text) ?? []).map((range) => nthIp(range, 0));
    const sources =
      hasOverlay === true ? tunnel : hasOverlay === false ? addresses : [...addresses, ...tunnel];
    return [{ ...endOf(`node/${node.metadata.name}`, addresses, undefined), sources }];
  });
}

/** What nobody outside can have: addresses of pods and nodes, gateways of pods and ends of tunnels among them. */
export function ownAddresses(objects: readonly KubeObject[]): Ip[] {
  const nodes = objects.filter((object): object is Node => object.kind === "Node");
  return [
    ...podEnds(objects).flatMap(({ addresses }) => addresses),
    ...nodes.flatMap((node) => [...nodeAddresses(node), ...cniAddresses(node, true)]),
  ];
}

export function addressEnd(text: string): End | undefined {
  const address = parseIp(text);
  return address === null ? undefined : endOf(text, [address], undefined);
}

function endOf(name: string, addresses: readonly Ip[], pod: Pod | undefined): End {
  const families = [...new Set(addresses.map(({ family }) => family))].sort();
  return { name, addresses, families, pod, ports: pod === undefined ? [] : portsOf(pod) };
}

function portsOf({ spec }: Pod): Port[] {
  const { containers = [], initContainers = [] } = spec;
  const sidecars = initContainers.filter(
    (container) => (container as { restartPolicy?: string }).restartPolicy === "Always",
  );
  const found = new Map<string, Port>();
  for (const { ports = [] } of [...containers, ...sidecars] as Container[]) {
    for (const { containerPort: port, protocol = "TCP" } of ports)
      found.set(portText({ port, protocol }), { port, protocol });
  }
  return [...found.values()].sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** "80/TCP"; of protocols without ports their name. */
export function portText({ port, protocol }: Port): string {
  return protocol === "ICMP" ? protocol : `${port}/${protocol}`;
}
