// The nodes of a running lab: its plan says who there is, its process holds the objects.
import type { Pod } from "../../kube/objects.ts";
import type { LabStatus } from "../../lab/lab-status.ts";
import { netnsPath } from "../../lab/net/names.ts";
import { containerEnvironment, joinWords } from "../../lab/pod/enter/enter.ts";
import { agentSocket, labPaths, podDirectory } from "../../lab/state-dir.ts";
import { listKind } from "../api/list-kind.ts";
import { labApi } from "../api/open-api.ts";
import { CliError, usageError } from "../errors.ts";
import type { RunningLab } from "../running-lab.ts";
import type { Nodes } from "./nodes.ts";

/** The lab process is only asked when a word needs it. */
export function labNodes(lab: RunningLab): Nodes {
  const { nodes, clients, overlay } = lab.topology;
  const api = labApi(lab.name);
  return {
    label: `lab ${lab.name}`,
    lab,
    api,
    nodes: nodes.map(({ name, agent, netns }) => {
      return { name, kind: agent, socket: agentSocket(lab.name, name), netns: netnsPath(netns) };
    }),
    hosts: nodes.map(({ name, address, vtepAddress }) => ({ name, address, vtepAddress })),
    clients: clients.map(({ name, address, netns }) => ({ name, address, netns: netnsPath(netns) })),
    vxlanPort: overlay.type === "vxlan" ? overlay.port : undefined,
    list: (word, namespace) => listKind(api, word, namespace),
    pods: async () => (await lab.call<LabStatus>({ path: "/status" })).pods,
    config: async (node) => {
      const agents = nodes.filter(({ agent }) => agent === "podwire").map(({ name }) => name);
      if (!agents.includes(node)) {
        const names = agents.join(", ");
        throw usageError(`--node ${node}: lab ${lab.name} has no agent there: use one of ${names}`);
      }
      const { readAgentFile } = await import("../../config/read-config.ts");
      const { readOne } = await import("../objects/manifests.ts");
      return readAgentFile(readOne(`${labPaths(lab.name).agents}/${node}.yaml`));
    },
    container: ({ metadata: { namespace = "default", name, annotations } }, container) => {
      const base = `${podDirectory(labPaths(lab.name), namespace, name)}/${container}`;
      const netns = annotations?.["podwire.dev/netns"]?.split("/").at(-1) ?? "";
      return { words: joinWords(base, netns), env: containerEnvironment(base) };
    },
    podNetns: ({ metadata: { annotations, name } }: Pod) => {
      const path = annotations?.["podwire.dev/netns"];
      if (path !== undefined) return netnsPath(path.split("/").at(-1) as string);
      throw new CliError(`pod ${name}: it has no network yet: try again`);
    },
  };
}
