// The one node of a machine whose agent runs by itself: no lab, no supervisor. What it follows it says itself.
import { cidr, formatIp, nthIp } from "../../base/ip.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { readAgentFile } from "../../config/read-config.ts";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import type { KubeObject, Node, Pod } from "../../kube/objects.ts";
import { type Call, callJson, strangeAnswer } from "../client.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import type { Host, KindList, Nodes } from "./nodes.ts";

/** What to do where an agent is missing. */
export const START_AGENT = "systemctl start podwire-agent, or podwire agent --config FILE, starts it";

export async function agentNodes(socket: string): Promise<Nodes> {
  const who = `the agent at ${socket}`;
  const ask = <T>(call: Call): Promise<T> => callJson<T>(socket, who, call);
  const { pid, node: own } = await ask<{ pid: number; node: string }>({ path: "/status" }).catch(
    (error: CliError) => {
      if (error.code !== "CLI_NOT_RUNNING") throw error;
      throw new CliError(`no agent answers at ${socket}: ${START_AGENT}`, Exit.FAILED, error.code, error);
    },
  );
  const text = await ask<ManifestText>({ path: "/config" });
  if (typeof pid !== "number" || typeof text.text !== "string") throw strangeAnswer(who, socket);
  const config = readAgentFile(text, undefined, { told: own });
  const { overlay } = config;
  const netns = config.netns === "" ? namespaceOf(pid) : config.netns;
  const list = async <T extends KubeObject>(kind: string): Promise<T[]> => {
    const { items } = await ask<{ items: T[] }>({ path: `/objects/${kind}` });
    if (!Array.isArray(items)) throw strangeAnswer(who, socket);
    return items;
  };
  const known = await list<Node>("nodes");
  return {
    label: `the agent of ${own}`,
    nodes: [{ name: own, kind: "podwire", socket, netns }],
    hosts: hostsOf(known, config),
    clients: [],
    vxlanPort: overlay.type === "vxlan" ? overlay.port : undefined,
    list: (word, namespace) => {
      const query = namespace === undefined ? "" : `?namespace=${encodeURIComponent(namespace)}`;
      return ask<KindList>({ path: `/objects/${encodeURIComponent(word)}${query}` });
    },
    pods: async () => (await list<Pod>("pods")).map(placeOf),
    config: async (node) => {
      if (node === own) return config;
      throw usageError(`--node ${node}: the agent of ${own} knows its own node only: use --node ${own}`);
    },
    podNetns: (pod) => podNetns(pod, own, netns),
  };
}

/** The agent runs where its node's devices are. */
function namespaceOf(pid: number): string {
  return `/proc/${pid}/ns/net`;
}

function placeOf({ metadata, spec, status }: Pod) {
  const ip = status.podIP ?? status.podIPs?.[0]?.ip ?? "";
  return { namespace: metadata.namespace ?? "", name: metadata.name, node: spec.nodeName ?? "", ip };
}

function hostsOf(nodes: readonly Node[], { overlay }: AgentConfig): Host[] {
  return nodes.map(({ metadata: { name }, spec, status }) => {
    const address = status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "";
    const range = overlay.type === "vxlan" ? spec?.podCIDRs?.[0] : undefined;
    return { name, address, vtepAddress: range === undefined ? "" : formatIp(nthIp(cidr(range), 0)) };
  });
}

function podNetns({ metadata, spec }: Pod, own: string, netns: string): string {
  const who = `pod ${metadata.namespace}/${metadata.name}`;
  if (spec.nodeName !== own) {
    const where = spec.nodeName === undefined ? "is on no node" : `is on ${spec.nodeName}`;
    throw new CliError(`${who}: it ${where}: the agent of ${own} reaches pods of its own node only`);
  }
  if (spec.hostNetwork === true) return netns;
  const path = metadata.annotations?.["podwire.dev/netns"];
  if (path !== undefined && path !== "") return path;
  throw new CliError(`${who}: its object does not say where its network is: annotate podwire.dev/netns`);
}
