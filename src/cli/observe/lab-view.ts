// What the verbs that look at packets know of a lab: its nodes and how to ask them, and who WORKLOAD words
// mean.
import { isIP } from "node:net";
import type { EndpointSlice, Service } from "../../kube/objects.ts";
import type { LabStatus, PodReport } from "../../lab/lab-status.ts";
import { agentSocket } from "../../lab/state-dir.ts";
import type { NodePlan } from "../../lab/topology.ts";
import type { Call } from "../client.ts";
import type { Globals } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { listObjects } from "../objects/workload.ts";
import { callAgent, type RunningLab, runningLab } from "../running-lab.ts";
import type { Place } from "./flow-expression.ts";

export interface LabNode {
  name: string;
  /** podwire: ask its agent. kernel: a plain Linux namespace, look at its tables there. */
  kind: "podwire" | "kernel";
  netns: string;
  socket: string;
  address: string;
  gateway: string;
  vtepAddress: string;
}

export interface LabView {
  name: string;
  nodes: LabNode[];
  clients: { name: string; address: string; netns: string }[];
  /** UDP port of the overlay, where there is one. */
  vxlanPort: number | undefined;
  /** These two ask the lab process; so only when a word needs it. */
  pods(): Promise<PodReport[]>;
  /** Where packets to a service go: its addresses, and its endpoints with their ports. */
  servicePlaces(name: string, namespace: string): Promise<Place[]>;
}

/** The lab of --lab; its process is only asked when a word needs it. */
export function openLab(options: Globals): LabView {
  const lab = runningLab(options);
  const pods = async (): Promise<PodReport[]> => (await lab.call<LabStatus>({ path: "/status" })).pods;
  const { nodes, clients, overlay } = lab.topology;
  const vxlanPort = overlay.type === "vxlan" ? overlay.port : undefined;
  return {
    name: lab.name,
    nodes: nodes.map((node) => labNode(lab.name, node)),
    clients,
    vxlanPort,
    pods,
    servicePlaces: (service, namespace) => servicePlaces(lab, service, namespace),
  };
}

async function servicePlaces(lab: RunningLab, name: string, namespace: string): Promise<Place[]> {
  const service = (await listObjects(lab, "services", namespace)).items.find(
    (each) => each.metadata.name === name,
  );
  if (service === undefined) throw new CliError(`service ${namespace}/${name} not found in lab ${lab.name}`);
  const { clusterIP, clusterIPs = [], externalIPs = [] } = (service as Service).spec;
  const addresses = new Set([clusterIP, ...clusterIPs, ...externalIPs]);
  const places: Place[] = [...addresses].flatMap((address) => {
    return address === undefined || isIP(address) === 0 ? [] : [{ address }];
  });
  const slices = (await listObjects(lab, "endpointslices", namespace)).items as EndpointSlice[];
  for (const slice of slices.filter(
    (each) => each.metadata.labels?.["kubernetes.io/service-name"] === name,
  )) {
    for (const address of slice.endpoints.flatMap((endpoint) => endpoint.addresses)) {
      for (const { port } of slice.ports) places.push(port === undefined ? { address } : { address, port });
    }
  }
  return places;
}

/** The nodes to ask: the one of --node, or all. */
export function chooseNodes(lab: LabView, wanted: string | undefined): LabNode[] {
  if (wanted === undefined) return lab.nodes;
  const name = wanted.replace(/^node\//, "");
  const node = lab.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) {
    const names = lab.nodes.map((candidate) => candidate.name).join(", ");
    throw usageError(`--node ${wanted}: lab ${lab.name} has no such node: use one of ${names}`);
  }
  return [node];
}

/** Only nodes with an agent; a kernel node asked for by name is an error, otherwise it is left out. */
export function chooseAgents(lab: LabView, wanted: string | undefined, verb: string): LabNode[] {
  const agents = chooseNodes(lab, wanted).filter((node) => node.kind === "podwire");
  if (agents.length > 0) return agents;
  const who =
    wanted === undefined ? `lab ${lab.name} has kernel nodes only` : `node ${wanted} is a kernel node`;
  throw new CliError(`podwire ${verb}: ${who}: its packets do not pass a podwire agent`);
}

/** GET or DELETE on an agent's API. */
export function askAgent<T>(node: LabNode, path: string, method: Call["method"] = "GET"): Promise<T> {
  return callAgent<T>({ node: node.name, socket: node.socket }, { path, method });
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
  lab: LabView,
  word: string,
  namespace = "default",
): Promise<Workload | undefined> {
  const [kind, rest] = splitKind(word);
  if (kind === "node" || kind === "client") {
    const place = (kind === "node" ? lab.nodes : lab.clients).find((candidate) => candidate.name === rest);
    if (place === undefined) throw new CliError(`lab ${lab.name} has no ${kind} ${rest}`, Exit.FAILED);
    const node = kind === "node" ? rest : undefined;
    return { kind, name: rest, node, ip: place.address } as Workload;
  }
  if (!NAME.test(rest)) return undefined;
  const [podNamespace, name] = rest.includes("/") ? rest.split("/") : [namespace, rest];
  const pod = (await lab.pods()).find((each) => each.namespace === podNamespace && each.name === name);
  if (pod !== undefined) return { kind: "pod", namespace: podNamespace, name, node: pod.node, ip: pod.ip };
  if (kind === "pod") throw new CliError(`pod ${podNamespace}/${name} not found in lab ${lab.name}`);
  return undefined;
}

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/;

function splitKind(word: string): [string | undefined, string] {
  const match = /^(pod|pods|po|node|nodes|client)\/(.+)$/.exec(word);
  if (match === null) return [undefined, word];
  const kind = match[1].startsWith("po") ? "pod" : match[1].startsWith("node") ? "node" : "client";
  return [kind, match[2]];
}

function labNode(lab: string, node: NodePlan): LabNode {
  const { name, agent, netns, address, gateway, vtepAddress } = node;
  return { name, kind: agent, netns, socket: agentSocket(lab, name), address, gateway, vtepAddress };
}
