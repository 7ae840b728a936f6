// What explain asks about: objects of files, as a cluster holds them (then nothing is allocated or filled in) or as its
// controllers would make them of manifests, or those of nodes that run here; and who a word like pod/web-1 or svc/api:80
// means among them.

import { type Cidr, cidr, contains, type IpFamily, parseIp } from "../../base/ip.ts";
import { PROBE_PROTOCOLS, type ProbeProtocol } from "../../base/probe-protocols.ts";
import { isFinished } from "../../cluster/controller/scheduler.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { defaultProxyConfig, type ProxyConfig } from "../../config/proxy.ts";
import { readProxyFile } from "../../config/read-config.ts";
import { externalIpWarnings } from "../../kube/external-ips.ts";
import { warningLines } from "../../kube/fields/warnings.ts";
import { hostPortsOf } from "../../kube/host-ports.ts";
import { WORKLOADS } from "../../kube/kinds.ts";
import { type Manifest, type ManifestText, parseManifests } from "../../kube/manifest/manifest.ts";
import { withMirroredSlices } from "../../kube/mirrored-slices.ts";
import type { KubeObject, Node, Pod, Service } from "../../kube/objects.ts";
import { keyOf } from "../../kube/objects.ts";
import type { PassedOver } from "../../kube/passed-over.ts";
import { offlineConfig } from "../../offline/offline-config.ts";
import { type Globals, note, noteOnce } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { clusterObjects, type OfflineCluster } from "./offline-cluster.ts";

export interface World {
  readonly objects: KubeObject[];
  readonly previous: KubeObject[];
  /** Stations outside the cluster, by name. */
  readonly clients: ReadonlyMap<string, string>;
  /** There is nothing but these objects. */
  readonly isComplete: boolean;
  /** Nodes whose decisions can be asked for. */
  readonly nodes: readonly string[];
  /** Who a node is. Asked once the node is known. */
  config(node: string): Promise<AgentConfig>;
}

export interface WorldOptions {
  /** undefined: those of the nodes that run here. */
  readonly objects?: KubeObject[] | undefined;
  readonly previous?: KubeObject[] | undefined;
  /** A KubeProxyConfiguration. */
  readonly config?: ManifestText | undefined;
}

/** Pods' addresses, where neither configuration nor nodes say. */
const CLUSTER_CIDR = "10.244.0.0/16";

export async function openWorld(flags: Globals, options: WorldOptions): Promise<World> {
  return options.objects === undefined ? liveWorld(flags, options) : fileWorld(options.objects, options);
}

function fileWorld(objects: KubeObject[], options: WorldOptions): World {
  const { previous = [], config } = options;
  const proxy = config === undefined ? defaultProxy(objects) : readProxyFile(config, "", noteOnce);
  const nodes = objects.filter((object) => object.kind === "Node").map((node) => node.metadata.name);
  return {
    objects,
    previous,
    clients: new Map(),
    isComplete: false,
    nodes,
    config: async (node) => offlineConfig(node, proxy, proxy.clusterCidrs),
  };
}

/** Of manifests that a cluster's controllers have made objects of. */
export function clusterWorld({ config, objects }: Pick<OfflineCluster, "config" | "objects">): World {
  const nodes = objects.filter(({ kind }) => kind === "Node").map(({ metadata }) => metadata.name);
  return {
    ...{ objects, previous: [], clients: new Map(), isComplete: false, nodes },
    config: async (nodeName) => ({ ...config, nodeName }),
  };
}

async function liveWorld(flags: Globals, options: WorldOptions): Promise<World> {
  const all = await openNodes(flags);
  const proxy =
    options.config === undefined ? undefined : readProxyFile(options.config, CLUSTER_CIDR, noteOnce);
  return {
    objects: await clusterObjects(all),
    previous: options.previous ?? [],
    clients: new Map(all.clients.map(({ name, address }) => [name, address])),
    isComplete: true,
    nodes: all.nodes.filter(({ kind }) => kind === "podwire").map(({ name }) => name),
    config: async (node) => {
      const config = await all.config(node);
      return proxy === undefined ? config : { ...config, proxy };
    },
  };
}

/** As an API server would give them back, Endpoints mirrored; what is no business of the network's is `passed`. */
export function rawObjects(
  texts: readonly ManifestText[],
  passed: PassedOver,
  look: (manifests: readonly Manifest[]) => void = () => {},
): KubeObject[] {
  const manifests = parseManifests(texts, { passed });
  look(manifests);
  noteOnce(warningLines(manifests, "node"));
  const objects = manifests.map(({ object }) => object);
  noteOnce(
    externalIpWarnings(
      objects,
      objects.filter(({ kind }) => kind === "Node"),
    ),
  );
  return withMirroredSlices(objects);
}

/** Without a word on the cluster's range: podwire's own, or where the nodes' ranges lie elsewhere, those. */
function defaultProxy(objects: readonly KubeObject[]): ProxyConfig {
  const proxy = defaultProxyConfig(CLUSTER_CIDR);
  const nodes = objects.filter((object): object is Node => object.kind === "Node");
  const ranges: Cidr[] = nodes.flatMap(({ spec }) => (spec.podCIDRs ?? []).map(cidr));
  const isUsual = ranges.every((range) => proxy.clusterCidrs.some((usual) => contains(usual, range)));
  return isUsual ? proxy : { ...proxy, clusterCidrs: ranges };
}

/** Says what a proxy passes over although somebody may count on it. */
export function noteIgnored({ objects, isComplete }: Pick<World, "objects" | "isComplete">): void {
  for (const object of objects) {
    if (WORKLOADS.includes(object.kind) && !objects.some((each) => each.kind === "Pod"))
      note(`note: ${nameOf(object)}: has no part in this: give its Pods and slices`);
    if (object.kind === "Pod" && !isComplete) noteHostPorts(object as Pod); // a lab's pod waits, and says why
    if (object.kind !== "Service") continue;
    const { clusterIP = "", type } = (object as Service).spec;
    if (clusterIP === "" && type !== "ExternalName") {
      note(`note: ${nameOf(object)}: has no clusterIP yet, so no rules: nothing is allocated here`);
    }
  }
}

/** Without an address nobody can be led to a pod. */
function noteHostPorts(pod: Pod): void {
  const { spec, status } = pod;
  const isServed = (status.podIPs ?? []).length > 0 || isFinished(pod) || spec.hostNetwork === true;
  const ports = isServed ? [] : hostPortsOf(spec).map((port) => `${port.hostPort}/${port.protocol}`);
  if (ports.length === 0) return;
  const what = `host port${ports.length === 1 ? "" : "s"} ${ports.join(", ")}`;
  note(`note: ${nameOf(pod)}: has no address yet (status.podIPs), so no ${what}: nothing is allocated here`);
}

function nameOf(object: KubeObject): string {
  return `${object.kind} ${keyOf(object)}`;
}

/** One end of a packet, before its family is known. */
export interface End {
  /** As it was asked for. */
  readonly name: string;
  readonly addresses: readonly string[];
  /** The node that it is on. */
  readonly node?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol?: ProbeProtocol | undefined;
  /** All that a Service has. */
  readonly ports?: NonNullable<Service["spec"]["ports"]>;
}

/** An address, pod/NAME, node/NAME, client/NAME, and where packets go to also svc/NAME[:PORT]. */
export function findEnd(world: World, flag: string, word: string, namespace: string): End {
  if (parseIp(word) !== null) return { name: word, addresses: [word] };
  const [, end, port] = (flag === "--to" && /^(.+):(\d+)$/.exec(word)) || [];
  if (end !== undefined && (parseIp(end) !== null || /^(?:no|nodes?|po|pods?|client)\//.test(end)))
    throw usageError(
      `${flag} ${word}: the port of what is no service goes behind --port: --to ${end} --port ${port}`,
    );
  const match = /^(pod|po|pods|svc|service|services|node|no|nodes|client)\/(.+)$/.exec(word);
  const kinds =
    flag === "--to"
      ? "pod/NAME, svc/NAME[:PORT], node/NAME, client/NAME"
      : "pod/NAME, node/NAME, client/NAME";
  if (match === null || (flag === "--from" && match[1].startsWith("s"))) {
    throw usageError(`${flag} ${word}: use an address, ${kinds}`);
  }
  const [, kind, rest] = match;
  if (kind === "client") return clientEnd(world, flag, rest);
  if (kind.startsWith("n")) return nodeEnd(world, flag, rest);
  return kind.startsWith("p")
    ? podEnd(world, flag, rest, namespace)
    : serviceEnd(world, flag, rest, namespace);
}

function clientEnd(world: World, flag: string, name: string): End {
  const address = world.clients.get(name);
  if (address !== undefined) return { name: `client/${name}`, addresses: [address] };
  throw new CliError(`${flag} client/${name}: not there: ${listed([...world.clients.keys()])}`);
}

function nodeEnd(world: World, flag: string, name: string): End {
  const nodes = world.objects.filter((object): object is Node => object.kind === "Node");
  const node = nodes.find((each) => each.metadata.name === name);
  const known = nodes.map((each) => each.metadata.name);
  if (node === undefined) throw new CliError(`${flag} node/${name}: not there: ${listed(known)}`);
  const addresses = (node.status.addresses ?? []).filter(({ type }) => type === "InternalIP");
  return withAddresses(flag, {
    name: `node/${name}`,
    addresses: addresses.map(({ address }) => address),
    node: name,
  });
}

function podEnd(world: World, flag: string, word: string, namespace: string): End {
  const key = word.includes("/") ? word : `${namespace}/${word}`;
  const pods = world.objects.filter((object): object is Pod => object.kind === "Pod");
  const pod = pods.find((each) => keyOf(each) === key);
  if (pod === undefined) {
    const near = pods.filter((each) => each.metadata.namespace === key.split("/")[0]);
    throw new CliError(`${flag} pod ${key}: not there: ${listed(near.map((each) => each.metadata.name))}`);
  }
  const addresses = (pod.status.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
  return withAddresses(flag, { name: `pod/${word}`, addresses, node: pod.spec.nodeName });
}

function serviceEnd(world: World, flag: string, word: string, namespace: string): End {
  const [name, wanted] = word.split(":", 2);
  const key = name.includes("/") ? name : `${namespace}/${name}`;
  const all = world.objects.filter((object): object is Service => object.kind === "Service");
  const service = all.find((each) => keyOf(each) === key);
  if (service === undefined) {
    const near = all.filter((each) => each.metadata.namespace === key.split("/")[0]);
    throw new CliError(`${flag} svc ${key}: not there: ${listed(near.map((each) => each.metadata.name))}`);
  }
  const { clusterIP = "", clusterIPs = [], ports = [] } = service.spec;
  const addresses = (clusterIPs.length > 0 ? clusterIPs : [clusterIP]).filter(
    (text) => parseIp(text) !== null,
  );
  if (addresses.length === 0) {
    const waits = clusterIP === "" && service.spec.type !== "ExternalName";
    const why = waits
      ? "no clusterIP yet: say one in its manifest"
      : "no address (headless or ExternalName): name a pod";
    throw new CliError(`${flag} svc ${key}: has ${why}`);
  }
  const texts = ports.map((port) =>
    port.name === undefined ? `${port.port}` : `${port.port} (${port.name})`,
  );
  const byName = ports.find((port) => port.name === wanted || `${port.port}` === wanted);
  if (wanted !== undefined && byName === undefined && !/^\d+$/.test(wanted)) {
    throw new CliError(`${flag} svc/${word}: no such port: it has ${texts.join(", ")}`);
  }
  const only = wanted === undefined && ports.length === 1 ? ports[0] : byName;
  const port = only?.port ?? (wanted === undefined ? undefined : Number(wanted));
  return {
    name: `svc/${word}`,
    addresses,
    port,
    protocol: only?.protocol as ProbeProtocol | undefined,
    ports,
  };
}

/** The node that an address belongs to, itself or by one of its pods. */
export function ownerOf(world: World, address: string): string | undefined {
  for (const object of world.objects) {
    if (object.kind === "Pod") {
      const { spec, status } = object as Pod;
      if (status.podIPs?.some(({ ip }) => ip === address)) return spec.nodeName;
    } else if (object.kind === "Node") {
      const { metadata, status } = object as Node;
      if (status.addresses?.some((each) => each.address === address)) return metadata.name;
    }
  }
  return undefined;
}

function withAddresses(flag: string, end: End): End {
  if (end.addresses.length > 0) return end;
  throw new CliError(`${flag} ${end.name}: has no address yet`);
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return names.length === 0 ? "there is none" : `there is ${shown}${names.length > 10 ? ", …" : ""}`;
}

/** Addresses of one family, the receiver's first one that the sender has too. */
export function sameFamily(from: End, to: End): [from: string, to: string] {
  const familyOf = (text: string): IpFamily | undefined => parseIp(text)?.family;
  for (const address of to.addresses) {
    const own = from.addresses.find((each) => familyOf(each) === familyOf(address));
    if (own !== undefined) return [own, address];
  }
  throw usageError(`${from.name} and ${to.name} have no addresses of one family`);
}

export function protocolOf(text: unknown): ProbeProtocol | undefined {
  const upper = String(text).toUpperCase();
  return PROBE_PROTOCOLS.find((each) => each === upper);
}
