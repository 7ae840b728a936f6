// Objects without a lab: manifests as they are, with what a cluster's controllers and kubelets would add, or
// the objects of nodes that run here. For verbs that ask what a node would do: neither root nor a kernel is needed.
import type { Command } from "commander";
import { Cluster } from "../../cluster/cluster.ts";
import { type AgentConfig, agentConfig } from "../../config/agent.ts";
import { readProxyFile } from "../../config/read-config.ts";
import { externalIpWarnings } from "../../kube/external-ips.ts";
import { warningLines } from "../../kube/fields/warnings.ts";
import { goArchitecture } from "../../kube/kubelet-labels.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import {
  type Manifest,
  type ManifestText,
  manifestOf,
  parseManifests,
} from "../../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Node, type Pod, type Service } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { type Globals, note, noteOnce } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import type { Nodes, ObjectHolder } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { listObjects } from "../objects/workload.ts";

export interface OfflineCluster {
  config: AgentConfig;
  /** Defaulted, addresses allocated, pods ready. */
  objects: KubeObject[];
  /** Pods of the manifests that have no address there: the ones they have here were made up. */
  addressless: string[];
}

export interface OfflineOptions {
  /** Of manifests; undefined: the objects of the nodes that run here. */
  texts?: readonly ManifestText[] | undefined;
  node?: string | undefined;
  /** A KubeProxyConfiguration. */
  proxyConfig?: ManifestText | undefined;
  /** The caller says himself what is passed over. */
  isQuiet?: boolean;
}

const CLUSTER_RANGES = { 4: "10.244.0.0/16", 6: "fd00:10:244::/56" };
const SERVICE_RANGES = { 4: "10.96.0.0/12", 6: "fd00:10:96::/112" };
export const DEFAULT_NODES: readonly string[] = ["node1", "node2"];
const FIRST_NODE_ADDRESS = 11;
/** Whoever is out there is reached: a default route, as nodes have. */
const DEFAULT_GATEWAY = "169.254.0.1,fe80::1";
const KINDS = [
  "Namespace",
  "Node",
  "ServiceCIDR",
  "Service",
  "EndpointSlice",
  "Pod",
  "NetworkPolicy",
  "ClusterNetworkPolicy",
];

/** Objects of files and those that an agent follows are two things. */
export function refuseAgentAndFiles(command: Command, files: readonly string[] | undefined): void {
  const { agent } = command.optsWithGlobals() as { agent?: string };
  if (agent !== undefined && files !== undefined)
    throw usageError(`-f ${files[0]} and --agent ${agent}: two sources of objects: leave one of them out`);
}

export async function offlineCluster(flags: Globals, options: OfflineOptions): Promise<OfflineCluster> {
  if (options.texts === undefined) return fromNodes(await openNodes(flags), options);
  const { objects, ranges, addressless } = clusterOf(options.texts, [], options.isQuiet);
  const node = chooseNode(objects, options.node);
  const proxy =
    options.proxyConfig === undefined
      ? undefined
      : readProxyFile(options.proxyConfig, ranges.clusterCidr, noteOnce);
  const config = configOf(node, ranges);
  return { config: proxy === undefined ? config : { ...config, proxy }, objects, addressless };
}

async function fromNodes(all: Nodes, options: OfflineOptions): Promise<OfflineCluster> {
  const agents = all.nodes.filter(({ kind }) => kind === "podwire").map(({ name }) => name);
  const node = options.node ?? agents[0];
  if (node === undefined) throw usageError(`${all.label} has no agent`);
  return { config: await all.config(node), objects: await clusterObjects(all), addressless: [] };
}

/** Of whoever holds them: all that decides about packets. */
export async function clusterObjects(
  holder: ObjectHolder,
  more: readonly string[] = [],
): Promise<KubeObject[]> {
  const lists = await Promise.all([...KINDS, ...more].map((kind) => listObjects(holder, kind)));
  return lists.flatMap((list) => list.items);
}

/**
 * What the objects become in a cluster of these nodes (two, where the manifests name none) once every pod is
 * ready.
 */
function clusterOf(
  texts: readonly ManifestText[],
  later: readonly ManifestText[] = [],
  isQuiet = false,
): Omit<OfflineCluster, "config"> & { ranges: Ranges; cluster: Cluster } {
  const passed = new PassedOver();
  const manifests = parseManifests(texts, { passed });
  const ranges = rangesOf([...manifests, ...parseManifests(later)].map(({ object }) => object));
  const cluster = new Cluster({
    ...ranges,
    nowMs: () => Date.now(),
    architecture: goArchitecture(process.arch),
    onFailedCreate: ({ object, message }) =>
      noteOnce([`warning: ${object.kind} "${object.metadata.name}": ${message}`]),
  });
  if (!manifests.some((manifest) => manifest.object.kind === "Node")) {
    cluster.applyManifests(DEFAULT_NODES.map((name, index) => manifestOf(nodeObject(name, index), "node")));
  }
  const objects = applied(cluster, manifests);
  if (!isQuiet) for (const line of passed.notes()) note(line);
  const told = new Set(
    manifests.filter(({ object }) => hasAddress(object)).map(({ object }) => keyOf(object)),
  );
  const addressless = (cluster.list("Pod") as Pod[])
    .filter(({ spec }) => spec.hostNetwork !== true)
    .map(keyOf)
    .filter((key) => !told.has(key));
  return { cluster, objects, ranges, addressless };
}

/** Objects of files in a cluster, and what they are when more is applied to it. */
export function clusterChange(
  texts: readonly ManifestText[],
  next: readonly ManifestText[],
): { before: KubeObject[]; after: KubeObject[] } {
  const passed = new PassedOver();
  const manifests = parseManifests(next, { passed });
  const { cluster, objects } = clusterOf(texts, next);
  for (const line of passed.notes()) note(line);
  return { before: objects, after: applied(cluster, manifests) };
}

/** Applies manifests, makes every pod ready, and answers the objects that there are then. */
function applied(cluster: Cluster, manifests: readonly Manifest[]): KubeObject[] {
  noteOnce(warningLines(manifests, "node"));
  const namespaces = unnamedNamespaces(manifests, cluster);
  cluster.applyManifests(namespaces.map((name) => manifestOf(namespaceObject(name), "namespace")));
  cluster.applyManifests(manifests, { isDump: true, warn: (text) => noteOnce([`Warning: ${text}`]) });
  noteOnce(externalIpWarnings(cluster.list("Service"), cluster.list("Node")));
  for (const pod of cluster.list("Pod") as Pod[]) cluster.update(ready(pod));
  const isGoing = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined;
  return KINDS.flatMap((kind) => cluster.list(kind).filter((object) => kind !== "Pod" || !isGoing(object)));
}

/** Charts and dumps name namespaces that others have made: these are there as well. */
function unnamedNamespaces(manifests: readonly Manifest[], cluster: Cluster): string[] {
  const made = manifests.map(({ object }) => object).concat(cluster.list("Namespace"));
  const known = new Set(made.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata.name));
  const asked = new Set(manifests.flatMap(({ object }) => object.metadata.namespace ?? []));
  return [...asked].filter((name) => !known.has(name));
}

function namespaceObject(name: string): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}

function hasAddress(object: KubeObject): boolean {
  return object.kind === "Pod" && ((object as Pod).status.podIPs?.length ?? 0) > 0;
}

interface Ranges {
  readonly clusterCidr: string;
  readonly serviceCidr: string;
}

/** A cluster of the families that its nodes and Services have; of IPv4 where neither says. */
function rangesOf(objects: readonly KubeObject[]): Ranges {
  const texts = objects.flatMap((object) => {
    if (object.kind === "Node") return (object as Node).spec?.podCIDRs ?? [];
    return object.kind === "Service" ? ((object as Service).spec.clusterIPs ?? []) : [];
  });
  const asked = objects.flatMap((object) =>
    object.kind === "Service" ? ((object as Service).spec.ipFamilies ?? []) : [],
  );
  const hasSix = texts.some((text) => text.includes(":")) || asked.includes("IPv6");
  const hasFour = texts.some((text) => text.includes(".")) || asked.includes("IPv4") || !hasSix;
  const families = [...(hasFour ? [4 as const] : []), ...(hasSix ? [6 as const] : [])];
  const of = (by: Record<4 | 6, string>): string => families.map((family) => by[family]).join(",");
  return { clusterCidr: of(CLUSTER_RANGES), serviceCidr: of(SERVICE_RANGES) };
}

function nodeObject(name: string, index: number): object {
  const address = `192.168.50.${FIRST_NODE_ADDRESS + index}`;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    spec: {},
    status: {
      addresses: [
        { type: "InternalIP", address },
        { type: "Hostname", address: name },
      ],
    },
  };
}

/** A manifest's own word on its pod's conditions stands; the others are taken for running. */
function ready(pod: Pod): Pod {
  if (pod.status.conditions?.some((condition) => condition.type === "Ready")) return pod;
  const conditions = [...(pod.status.conditions ?? []), { type: "Ready", status: "True" }];
  return { ...pod, status: { ...pod.status, phase: pod.status.phase ?? "Running", conditions } };
}

function chooseNode(objects: readonly KubeObject[], wanted: string | undefined): string {
  const names = objects.filter((object) => object.kind === "Node").map((object) => object.metadata.name);
  const node = wanted ?? names[0];
  if (node !== undefined && names.includes(node)) return node;
  throw usageError(`--node ${wanted}: there is no such Node: use one of ${names.join(", ")}`);
}

function configOf(nodeName: string, ranges: Ranges): AgentConfig {
  const problems = new FieldProblems();
  const config = agentConfig(
    {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "AgentConfiguration",
      nodeName,
      clusterCIDR: ranges.clusterCidr,
      serviceCIDR: ranges.serviceCidr,
      uplink: { interface: "eth0", gateway: DEFAULT_GATEWAY },
      host: { interface: "host0" },
      socket: "/nonexistent",
      source: { files: [] },
    },
    problems,
  );
  if (config !== undefined) return config;
  throw new CliError(`offline node: ${JSON.stringify(problems.list)}`); // our own text: a bug
}
