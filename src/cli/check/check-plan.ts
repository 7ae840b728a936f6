// Which ways a connectivity test goes: from one pod of each node, and from the node, to what there is of each kind.
// Objects in, rows out, in the order in which they are shown; nothing is sent here.
import { isIP } from "node:net";
import type { EndpointSlice, KubeObject, Node, Pod, Service } from "../../kube/objects.ts";
import { keyOf } from "../../kube/objects.ts";

/** A pod that packets can be sent from. */
export interface Sender {
  /** namespace/name */
  readonly pod: string;
  /** Bytes of its largest packet. */
  readonly mtu: number;
}

/** What fits to another node, as the agent knows it: less than a pod's packet where the tunnel is IPv6's. */
export interface WayTo {
  readonly node: string;
  readonly family: 4 | 6;
  /** Bytes of the largest packet. */
  readonly mtu: number;
}

/** A node whose agent can be asked to send. */
export interface SendingNode {
  readonly name: string;
  readonly pods: readonly Sender[];
  readonly ways: readonly WayTo[];
}

export interface CheckWorld {
  readonly senders: readonly SendingNode[];
  readonly objects: readonly KubeObject[];
  /** Outside the cluster. */
  readonly world: readonly { readonly name: string; readonly address: string; readonly port?: number }[];
  /** The name that DNS is asked for. */
  readonly dnsName: string;
}

/** agent: one that does not answer, so nothing could be sent. */
export type CheckKind =
  | "agent"
  | "pod"
  | "MTU"
  | "service"
  | "endpoint"
  | "node port"
  | "node"
  | "world"
  | "DNS";

/** One packet to send, and whom it is for. */
export interface CheckRow {
  readonly check: CheckKind;
  /** pod/NAMESPACE/NAME or node/NAME */
  readonly from: string;
  /** The node that sends. */
  readonly node: string;
  readonly to: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly protocol: "TCP" | "UDP" | "ICMP";
  readonly port?: number;
  /** Of the whole packet. */
  readonly bytes?: number;
  /** Asked of a DNS server. */
  readonly question?: string;
  /** Of a Service: where its packets are led. */
  readonly endpointPorts?: readonly number[];
}

export interface CheckFilter {
  /** pod/NAMESPACE/NAME, node/NAME; undefined: all. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

type Target = Pick<
  CheckRow,
  "check" | "to" | "address" | "protocol" | "port" | "bytes" | "question" | "endpointPorts"
>;

/** As many Services as are asked of each sender, and no more: a cluster has thousands. */
export const SERVICES_MOST = 50;
const DNS_PORT = 53;
const SERVICE_NAME = "kubernetes.io/service-name";

/** `left`: Services that are more than are asked. */
export function checkPlan(world: CheckWorld, filter: CheckFilter): { rows: CheckRow[]; left: number } {
  const services = ofKind<Service>(world.objects, "Service").filter(isServed);
  const isOne = filter.to?.startsWith("svc/") === true;
  const asked = isOne ? services : services.slice(0, SERVICES_MOST);
  const rows = world.senders.flatMap((node) => rowsFrom(node, world, asked, filter.from));
  const wanted = rows.filter(({ from, to }) => isNamed(from, filter.from) && isNamed(to, filter.to));
  return { rows: wanted, left: services.length - asked.length };
}

/** A service may be named without its port. */
function isNamed(name: string, wanted: string | undefined): boolean {
  return wanted === undefined || name === wanted || name.startsWith(`${wanted}:`);
}

function rowsFrom(
  node: SendingNode,
  world: CheckWorld,
  services: readonly Service[],
  from: string | undefined,
): CheckRow[] {
  const pods = usablePods(world.objects);
  const sender = from === undefined ? node.pods[0] : node.pods.find(({ pod }) => `pod/${pod}` === from);
  const own = pods.find((pod) => keyOf(pod) === sender?.pod);
  const targets = podTargets(pods, sender, node);
  const others = [
    ...services.flatMap((service) => serviceTargets(service, world.objects, node.name)),
    ...nodeTargets(world.objects),
    ...world.world.map(worldTarget),
    ...dnsTargets(world),
  ];
  const ofPod =
    own === undefined
      ? []
      : rowsOf(`pod/${keyOf(own)}`, node.name, addressesOf(own), [...targets, ...others]);
  const self = `node/${node.name}`;
  const nodes = ofKind<Node>(world.objects, "Node").filter(({ metadata }) => metadata.name === node.name);
  const addresses = nodes.flatMap(nodeAddressesOf);
  const forNode = others.filter(
    ({ check }) => check !== "node" && check !== "node port" && check !== "world",
  );
  const isPod = ({ check }: Target): boolean => check === "pod";
  return [
    ...ofPod,
    ...rowsOf(self, node.name, addresses, [...podTargets(pods, undefined, node).filter(isPod), ...forNode]),
  ];
}

/** Those whose family the sender has too. */
function rowsOf(from: string, node: string, own: readonly string[], targets: readonly Target[]): CheckRow[] {
  const families = new Set(own.map((address) => isIP(address)));
  return targets
    .filter(({ address, to }) => families.has(isIP(address)) && to !== from)
    .map((target) => ({ from, node, family: isIP(target.address) as 4 | 6, ...target }));
}

/** One pod of each node; of the sender's own node another one than itself. */
function podTargets(pods: readonly Pod[], sender: Sender | undefined, from: SendingNode): Target[] {
  const seen = new Set<string>();
  return pods.flatMap((pod): Target[] => {
    const { nodeName = "" } = pod.spec;
    if (seen.has(nodeName) || keyOf(pod) === sender?.pod) return [];
    seen.add(nodeName);
    const port = pod.spec.containers.flatMap(({ ports = [] }) => ports).find(isTcp)?.containerPort;
    const to = `pod/${keyOf(pod)}`;
    return addressesOf(pod).flatMap((address): Target[] => {
      const ping: Target = { check: "pod", to, address, protocol: "ICMP" };
      const way = from.ways.find(({ node, family }) => node === nodeName && family === isIP(address));
      const bytes = Math.min(sender?.mtu ?? 0, way?.mtu ?? Infinity);
      const whole = { ...ping, check: "MTU" as const, bytes };
      const tcp: Target[] = port === undefined ? [] : [{ check: "pod", to, address, protocol: "TCP", port }];
      return [ping, ...tcp, ...(nodeName === from.name || sender === undefined ? [] : [whole])];
    });
  });
}

function serviceTargets(service: Service, objects: readonly KubeObject[], own: string): Target[] {
  const { clusterIP, clusterIPs = [], ports = [] } = service.spec;
  const endpointPorts = endpointPortsOf(service, objects);
  const name = `svc/${keyOf(service)}`;
  const tcp = ports.filter(isTcp);
  if (clusterIP === "None") return endpointTargets(name, service, objects);
  const addresses = clusterIPs.length > 0 ? clusterIPs : [clusterIP ?? ""];
  const to = (port: number): string => (tcp.length === 1 ? name : `${name}:${port}`);
  const inside = addresses
    .filter((address) => isIP(address) !== 0)
    .flatMap((address) =>
      tcp.map(
        ({ port }): Target => ({
          check: "service",
          to: to(port),
          address,
          protocol: "TCP",
          port,
          endpointPorts,
        }),
      ),
    );
  const nodes = ofKind<Node>(objects, "Node");
  const other = nodes.find(({ metadata }) => metadata.name !== own);
  const outside = [
    ...nodes.filter(({ metadata }) => metadata.name === own),
    ...(other ? [other] : []),
  ].flatMap((node) =>
    nodeAddressesOf(node).flatMap((address) =>
      tcp.flatMap(({ port, nodePort }): Target[] =>
        nodePort === undefined
          ? []
          : [{ check: "node port", to: to(port), address, protocol: "TCP", port: nodePort, endpointPorts }],
      ),
    ),
  );
  return [...inside, ...outside];
}

function slicesOf(
  { metadata: { namespace, name } }: Service,
  objects: readonly KubeObject[],
): EndpointSlice[] {
  return ofKind<EndpointSlice>(objects, "EndpointSlice").filter(
    ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME] === name,
  );
}

function endpointPortsOf(service: Service, objects: readonly KubeObject[]): number[] {
  const ports = slicesOf(service, objects).flatMap(({ ports: each }) => each ?? []);
  return [...new Set(ports.flatMap(({ port }) => port ?? []))];
}

/** Of a Service without an address of its own its endpoints are asked. */
function endpointTargets(name: string, service: Service, objects: readonly KubeObject[]): Target[] {
  return slicesOf(service, objects).flatMap(({ endpoints, ports }) =>
    endpoints
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses: [address] }) =>
        (ports ?? [])
          .filter(isTcp)
          .flatMap(({ port }): Target[] =>
            port === undefined || address === undefined
              ? []
              : [{ check: "endpoint", to: name, address, protocol: "TCP", port }],
          ),
      ),
  );
}

function nodeTargets(objects: readonly KubeObject[]): Target[] {
  return ofKind<Node>(objects, "Node").flatMap((node) =>
    nodeAddressesOf(node).map(
      (address): Target => ({ check: "node", to: `node/${node.metadata.name}`, address, protocol: "ICMP" }),
    ),
  );
}

function worldTarget({ name, address, port }: CheckWorld["world"][number]): Target {
  const at = port === undefined ? ({ protocol: "ICMP" } as const) : ({ protocol: "TCP", port } as const);
  return { check: "world", to: name, address, ...at };
}

function dnsTargets({ objects, dnsName }: CheckWorld): Target[] {
  const dns = ofKind<Service>(objects, "Service").find(
    (service) => keyOf(service) === "kube-system/kube-dns",
  );
  const { clusterIP = "", clusterIPs = [clusterIP] } = dns?.spec ?? {};
  return clusterIPs
    .filter((address) => isIP(address) !== 0)
    .map((address): Target => {
      const to = "svc/kube-system/kube-dns";
      return { check: "DNS", to, address, protocol: "UDP", port: DNS_PORT, question: dnsName };
    });
}

const isTcp = ({ protocol = "TCP" }: { protocol?: string }): boolean => protocol === "TCP";

const isServed = ({ spec }: Service): boolean =>
  spec.type !== "ExternalName" && (spec.ports ?? []).some(isTcp);

function ofKind<T extends KubeObject>(objects: readonly KubeObject[], kind: string): T[] {
  const found = objects.filter((object) => object.kind === kind) as T[];
  return found.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Running, with an address of its own. */
function usablePods(objects: readonly KubeObject[]): Pod[] {
  return ofKind<Pod>(objects, "Pod").filter(
    ({ metadata, spec, status }) =>
      spec.hostNetwork !== true && status.phase === "Running" && metadata.deletionTimestamp === undefined,
  );
}

function addressesOf({ status }: Pod): string[] {
  return (status.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
}

function nodeAddressesOf({ status }: Node): string[] {
  return (status.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address);
}
