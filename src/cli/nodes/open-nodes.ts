// Whom a command asks: the lab or agent that the command line names; else the lab that runs here; else the agent of
// this machine.
import { existsSync } from "node:fs";
import { AGENT_SOCKET } from "../../config/agent-socket.ts";
import { isAlive, type ProcessId } from "../../lab/process/process-table.ts";
import { labPaths, labsWithState, readJson } from "../../lab/state-dir.ts";
import type { Globals } from "../context.ts";
import { CliError } from "../errors.ts";
import { chooseLab, runningLab } from "../running-lab.ts";
import { labNodes } from "./lab-nodes.ts";
import type { Nodes } from "./nodes.ts";

/** What is on this machine, as far as the choice depends on it. */
export interface Here {
  /** Labs that have left or leave a trace. */
  readonly labs: readonly string[];
  isRunning(lab: string): boolean;
  readonly hasAgent: boolean;
}

export type Choice = { readonly lab: string } | { readonly agent: string };

/** Undefined: there is nobody. */
export function choosePlace({ lab, agent }: Pick<Globals, "lab" | "agent">, here: Here): Choice | undefined {
  if (lab !== undefined) return { lab };
  if (agent !== undefined) return { agent };
  const usual = chooseLab(undefined, [...here.labs]);
  const isThere = here.labs.includes(usual);
  if (isThere && (here.isRunning(usual) || !here.hasAgent)) return { lab: usual };
  if (here.hasAgent) return { agent: AGENT_SOCKET };
  // Several labs, none of them called default: which one, the lab's own error says.
  return here.labs.length > 0 ? { lab: usual } : undefined;
}

function lookAround(socket = AGENT_SOCKET): Here {
  const isRunning = (lab: string): boolean => {
    const pid = readJson<ProcessId>(labPaths(lab).pid);
    return pid !== undefined && isAlive(pid);
  };
  return { labs: labsWithState(), isRunning, hasAgent: existsSync(socket) };
}

export async function openNodes(flags: Globals): Promise<Nodes> {
  const choice = choosePlace(flags, lookAround());
  if (choice === undefined) throw nobody();
  if ("lab" in choice) return labNodes(runningLab(flags));
  const { agentNodes } = await import("./agent-nodes.ts"); // it reads configurations, which takes a while to load
  return agentNodes(choice.agent);
}

export const NOBODY = "NOBODY_TO_ASK";

export function nobody(): CliError {
  const message =
    `no lab runs here, and no agent at ${AGENT_SOCKET}: ` +
    "podwire lab up makes a lab, podwire agent --config FILE starts an agent, --agent SOCKET names another";
  return new CliError(message, 1, NOBODY);
}
