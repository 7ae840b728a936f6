// Asks the agents what the plane section of a description tells. An agent that does not answer is left out, and told of.
import { matchesSelector, namespaceLabels } from "../../../kube/labels.ts";
import type { ClusterNetworkPolicy, KubeObject, NetworkPolicy, Pod, Service } from "../../../kube/objects.ts";
import { note } from "../../context.ts";
import { askAgent, type NodeAt, type Nodes, type ObjectHolder } from "../../nodes/nodes.ts";
import { listObjects } from "../workload.ts";
import { type PlaneFacts, planeText, policyKey } from "./plane.ts";

const PLANE_KINDS = ["Service", "Pod", "Node", "NetworkPolicy", "ClusterNetworkPolicy"];

/** "" where no agent is asked for the object: a cluster's nodes are not reached from here. */
export async function planeSection(all: Nodes | undefined, object: KubeObject): Promise<string> {
  if (all === undefined || !PLANE_KINDS.includes(object.kind)) return "";
  const agents = all.nodes.filter((node) => node.kind === "podwire" && concerns(object, node.name));
  const answers = await Promise.all(agents.map((agent) => factsOf(agent, object)));
  const facts = answers.filter((each) => each !== undefined);
  const policies = object.kind === "Pod" && facts.length > 0 ? await policiesOf(all, object as Pod) : [];
  return planeText(object, facts, policies);
}

function concerns(object: KubeObject, node: string): boolean {
  if (object.kind === "Node") return object.metadata.name === node;
  return object.kind !== "Pod" || (object as Pod).spec.nodeName === node;
}

async function factsOf(agent: NodeAt, object: KubeObject): Promise<PlaneFacts | undefined> {
  const show = async (table: string): Promise<Record<string, unknown>[]> =>
    (await askAgent<{ items: Record<string, unknown>[] }>(agent, `/show/${table}`)).items;
  const { name: node } = agent;
  try {
    switch (object.kind) {
      case "Service":
        return {
          node,
          ...{ services: await show("services"), drops: await show("drops") },
          connections: await connectionsOf(agent, "dst", (object as Service).spec.clusterIPs ?? []),
        };
      case "Pod": {
        const ips = ((object as Pod).status.podIPs ?? []).map(({ ip = "" }) => ip);
        const isHost = (object as Pod).spec.hostNetwork === true;
        const lists = isHost
          ? []
          : [await connectionsOf(agent, "src", ips), await connectionsOf(agent, "reply-src", ips)];
        return {
          node,
          ...{ ports: await show("ports"), policies: await show("policies") },
          connections: distinct(lists.flat()),
        };
      }
      case "Node":
        return {
          node,
          ...{ ports: await show("ports"), vteps: await show("vteps"), drops: await show("drops") },
          ...{ counters: await show("counters"), table: await askAgent(agent, "/conntrack/count") },
        };
      default:
        return { node, policies: await show("policies") };
    }
  } catch (error) {
    note(`note: the agent of ${node} does not answer: ${(error as Error).message}`);
    return undefined;
  }
}

interface Connection {
  id?: number;
  state?: string;
}

async function connectionsOf(
  agent: NodeAt,
  key: string,
  addresses: readonly string[],
): Promise<Connection[]> {
  const known = addresses.filter((address) => address !== "" && address !== "None");
  const lists = await Promise.all(
    known.map((address) =>
      askAgent<{ items: Connection[] }>(agent, `/conntrack?${key}=${encodeURIComponent(address)}`),
    ),
  );
  return lists.flatMap(({ items }) => items);
}

/** A connection of a pod to itself is found twice. */
function distinct(connections: readonly Connection[]): Connection[] {
  const seen = new Set<number>();
  return connections.filter(({ id }) => {
    if (id === undefined) return true;
    const isNew = !seen.has(id);
    seen.add(id);
    return isNew;
  });
}

/** Keys of the policies that select it. */
async function policiesOf(all: ObjectHolder, pod: Pod): Promise<string[]> {
  const { namespace = "", labels } = pod.metadata;
  const named = (await listObjects(all, "networkpolicies", namespace)).items as NetworkPolicy[];
  const own = named.filter(({ spec }) => matchesSelector(spec.podSelector ?? {}, labels));
  const cluster = (await listObjects(all, "clusternetworkpolicies").catch(() => ({ items: [] }))).items;
  if (cluster.length === 0) return own.map(policyKey).sort();
  const namespaces = (await listObjects(all, "namespaces")).items;
  const around = namespaceLabels(new Map(namespaces.map((each) => [each.metadata.name, each])), namespace);
  const wide = (cluster as ClusterNetworkPolicy[]).filter(({ spec: { subject } }) => {
    if (subject.namespaces !== undefined) return matchesSelector(subject.namespaces, around);
    const { namespaceSelector = {}, podSelector = {} } = subject.pods ?? {};
    return matchesSelector(namespaceSelector, around) && matchesSelector(podSelector, labels);
  });
  return [...wide, ...own].map(policyKey).sort();
}
