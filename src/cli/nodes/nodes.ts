// Nodes that one can ask: who is there, how to reach each agent, which objects they follow. A lab and the agent of a
// machine are such (lab-nodes, agent-nodes); what a command does with them is the same.
import type { AgentConfig } from "../../config/agent.ts";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import { type Call, callJson } from "../client.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import type { RunningLab } from "../running-lab.ts";

/** A node whose tables can be asked for. */
export interface NodeAt {
  name: string;
  /** podwire: ask its agent. kernel: a plain Linux namespace, look at its tables there. */
  kind: "podwire" | "kernel";
  /** Of its agent. */
  socket: string;
  /** Path of the network namespace of its own stack. */
  netns: string;
}

/** A machine that is known by its addresses, whether or not it can be asked. */
export interface Host {
  name: string;
  address: string;
  /** "": there is no tunnel. */
  vtepAddress: string;
}

export interface PodPlace {
  namespace: string;
  name: string;
  node: string;
  ip: string;
}

export interface Client {
  name: string;
  address: string;
  /** Path of its network namespace. */
  netns: string;
}

export interface Nodes {
  /** As messages call it: "lab default", "the agent of node1". */
  readonly label: string;
  /** Who can be asked, never empty. */
  readonly nodes: readonly NodeAt[];
  /** Every node that the objects or the plan name. */
  readonly hosts: readonly Host[];
  /** Stations outside the cluster. */
  readonly clients: readonly Client[];
  /** UDP port of the overlay, where there is one. */
  readonly vxlanPort: number | undefined;
  /** Where these are a lab's. */
  readonly lab?: RunningLab;
  /** Its Kubernetes API. */
  readonly api?: ApiClient;
  /** Objects of a kind, by any of kubectl's words for it; without a namespace those of all. */
  list(word: string, namespace?: string): Promise<KindList>;
  pods(): Promise<PodPlace[]>;
  /** The configuration of a node's agent. */
  config(node: string): Promise<AgentConfig>;
  /** How a program gets to a container's files, and the variables it has there. Absent: the nodes are not a lab's. */
  container?(pod: Pod, container: string): { words: readonly string[]; env: Record<string, string> };
  /** Path of the network namespace that a pod is in; an error when it is nowhere, or not to be reached from here. */
  podNetns(pod: Pod): string;
}

/** Objects of one kind, and what it is called. */
export interface KindList {
  kind: string;
  plural: string;
  namespaced: boolean;
  apiVersion: string;
  items: KubeObject[];
}

/** Whoever has objects: a lab, a cluster, an agent. */
export type ObjectHolder = Pick<Nodes, "list">;

/** One call to one agent. */
export function askAgent<T>(node: NodeAt, path: string, method: Call["method"] = "GET"): Promise<T> {
  return callJson<T>(node.socket, `the agent of ${node.name}`, { path, method });
}

/** The nodes to ask: the one of --node, or all. */
export function chooseNodes({ label, nodes }: Nodes, wanted: string | undefined): readonly NodeAt[] {
  if (wanted === undefined) return nodes;
  const name = wanted.replace(/^node\//, "");
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) {
    const names = nodes.map((candidate) => candidate.name).join(", ");
    throw usageError(`--node ${wanted}: ${label} has no such node: use one of ${names}`);
  }
  return [node];
}

/** Only nodes with an agent; a kernel node asked for by name is an error, otherwise it is left out. */
export function chooseAgents(all: Nodes, wanted: string | undefined, verb: string): NodeAt[] {
  const agents = chooseNodes(all, wanted).filter((node) => node.kind === "podwire");
  if (agents.length > 0) return agents;
  const who = wanted === undefined ? `${all.label} has kernel nodes only` : `node ${wanted} is a kernel node`;
  throw new CliError(`podwire ${verb}: ${who}: its packets do not pass a podwire agent`);
}

export type Workload =
  | { kind: "pod"; namespace: string; name: string; node: string; ip: string }
  | { kind: "node"; name: string; node: string; ip: string }
  | { kind: "client"; name: string; node: undefined; ip: string };

/**
 * Who a word means: pod/NAME, NAME, NAMESPACE/NAME, node/NAME, client/NAME. Undefined when it is nobody; an
 * error when the word says what it is and there is no such thing.
 */
export async function findWorkload(
  all: Nodes,
  word: string,
  namespace = "default",
): Promise<Workload | undefined> {
  const [kind, rest] = splitKind(word);
  if (kind === "node" || kind === "client") {
    const place = (kind === "node" ? all.hosts : all.clients).find((candidate) => candidate.name === rest);
    if (place === undefined) throw new CliError(`${all.label} has no ${kind} ${rest}`, Exit.FAILED);
    const node = kind === "node" ? rest : undefined;
    return { kind, name: rest, node, ip: place.address } as Workload;
  }
  if (!NAME.test(rest)) return undefined;
  const [podNamespace, name] = rest.includes("/") ? rest.split("/") : [namespace, rest];
  const pod = (await all.pods()).find((each) => each.namespace === podNamespace && each.name === name);
  if (pod !== undefined) return { kind: "pod", namespace: podNamespace, name, node: pod.node, ip: pod.ip };
  if (kind === "pod") throw new CliError(`pod ${podNamespace}/${name} not found in ${all.label}`);
  return undefined;
}

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/;

function splitKind(word: string): [string | undefined, string] {
  const match = /^(pod|pods|po|node|nodes|client)\/(.+)$/.exec(word);
  if (match === null) return [undefined, word];
  const kind = match[1].startsWith("po") ? "pod" : match[1].startsWith("node") ? "node" : "client";
  return [kind, match[2]];
}

/** The namespace of a node's own stack: only where its agent, or its lab, is on this machine. */
export function nodeNetns({ label, nodes }: Nodes, name: string): string {
  const node = nodes.find((each) => each.name === name);
  if (node !== undefined) return node.netns;
  const there = nodes.map((each) => each.name).join(", ");
  throw new CliError(`node/${name}: ${label} reaches the network of its own node only: there is ${there}`);
}
