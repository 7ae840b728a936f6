// Which lab a command speaks to, and how: by its socket, or its agents' sockets.
import { agentSocket, labPaths, labsWithState, readTopology } from "../lab/state-dir.ts";
import type { NodePlan, Topology } from "../lab/topology.ts";
import { type Call, callJson } from "./client.ts";
import { DEFAULT_LAB, type Globals } from "./context.ts";
import { CliError } from "./errors.ts";

/** The lab asked for; without a word the one called "default", or the only one there is. */
export function chooseLab(wanted: string | undefined, known: string[]): string {
  if (wanted !== undefined) return wanted;
  return known.length === 1 && !known.includes(DEFAULT_LAB) ? known[0] : DEFAULT_LAB;
}

export interface RunningLab {
  name: string;
  topology: Topology;
  call<T>(call: Call): Promise<T>;
}

/** Fails with one line when there is no such lab; that its process runs is found out by the first call. */
export function runningLab(flags: Globals): RunningLab {
  const name = chooseLab(flags.lab, labsWithState());
  const paths = labPaths(name);
  const topology = readTopology(paths);
  if (topology === undefined) {
    const others = labsWithState();
    const hint =
      others.length === 0 || flags.lab !== undefined ? "" : `, --lab chooses among ${others.join(", ")}`;
    throw new CliError(`lab ${name}: not running: podwire lab up --lab ${name} starts it${hint}`);
  }
  const call = async <T>(what: Call): Promise<T> => {
    try {
      return await callJson<T>(paths.socket, `lab ${name}`, what);
    } catch (error) {
      if ((error as { code?: string }).code !== "CLI_NOT_RUNNING") throw error;
      throw new CliError(`lab ${name}: its process is gone: podwire lab up --lab ${name} starts it again`);
    }
  };
  return { name, topology, call };
}

export interface AgentAt {
  node: string;
  socket: string;
}

/** The agents of the lab, or the one of --node. Kernel nodes have none. */
export function agentsOf(lab: RunningLab, node?: string): AgentAt[] {
  const nodes = lab.topology.nodes.filter((each) => node === undefined || each.name === node);
  if (nodes.length === 0)
    throw new CliError(`node "${node}": not in lab ${lab.name}: ${nodeNames(lab.topology.nodes)}`);
  const agents = nodes.filter((each) => each.agent === "podwire");
  if (agents.length === 0)
    throw new CliError(`node "${node ?? nodes[0].name}": has agent: kernel: nothing to ask`);
  return agents.map((each) => ({ node: each.name, socket: agentSocket(lab.name, each.name) }));
}

/** One call to one agent. */
export function callAgent<T>(agent: AgentAt, call: Call): Promise<T> {
  return callJson<T>(agent.socket, `agent of ${agent.node}`, call);
}

function nodeNames(nodes: NodePlan[]): string {
  return `it has ${nodes.map((each) => each.name).join(", ")}`;
}
