// Which lab a command speaks to, and how: by its socket. For what only a lab can do; commands that read nodes ask
// nodes/open-nodes, which knows others too.
import { existsSync } from "node:fs";
import { AGENT_SOCKET } from "../config/agent-socket.ts";
import { labPaths, labsWithState, readTopology } from "../lab/state-dir.ts";
import type { Topology } from "../lab/topology.ts";
import { type Call, callJson } from "./client.ts";
import { DEFAULT_LAB, type Globals } from "./context.ts";
import { CliError, usageError } from "./errors.ts";

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
  if (flags.agent !== undefined) throw usageError(`--agent ${flags.agent}: ${OF_LABS}`);
  const name = chooseLab(flags.lab, labsWithState());
  const paths = labPaths(name);
  const topology = readTopology(paths);
  if (topology === undefined) {
    if (flags.lab === undefined && labsWithState().length === 0 && existsSync(AGENT_SOCKET))
      throw new CliError(`no lab is running (podwire lab up starts one), and ${OF_THE_AGENT}`);
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

const OF_LABS =
  "this command works on labs: an agent takes its objects from the source in its configuration, change them there";
const OF_THE_AGENT =
  `the agent at ${AGENT_SOCKET} takes its objects from the source in its configuration: ` +
  "change them there";
