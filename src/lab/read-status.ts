// Status of a lab from outside: its process answers, or its state directory tells what a dead one left running.
import { LabError } from "./errors.ts";
import { labCall } from "./lab-call.ts";
import type { LabStatus, NodeReport } from "./lab-status.ts";
import { isAlive, markedProcesses, type ProcessId } from "./process/process-table.ts";
import { labPaths, readJson, readTopology } from "./state-dir.ts";
import type { Topology } from "./topology.ts";

export async function readStatus(lab: string): Promise<LabStatus | undefined> {
  const paths = labPaths(lab);
  const topology = readTopology(paths);
  if (topology === undefined) return undefined;
  try {
    const found = await labCall<Partial<LabStatus>>(paths, { path: "/status", timeoutMs: 5000 });
    return { ...deadStatus(topology), problems: [], ...found }; // a lab of another version may tell less
  } catch (error) {
    if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === "EACCES")
      throw new LabError("LAB_DENIED", `lab ${lab}: ${paths.socket}: permission denied: run as root`);
    return deadStatus(topology);
  }
}

function deadStatus(t: Topology): LabStatus {
  const paths = labPaths(t.lab);
  const left = markedProcesses(t.lab).length;
  const nodes = t.nodes.map((node): NodeReport => {
    const agent = readJson<ProcessId>(`${paths.agents}/${node.name}.pid`);
    const alive = agent !== undefined && isAlive(agent);
    const unknown = node.agent === "kernel" || alive;
    return {
      name: node.name,
      address: node.address,
      podCIDR: node.podCidr,
      agent: node.agent,
      state: unknown ? "Unknown" : "NotReady",
      pid: alive ? agent.pid : null,
      restarts: 0,
      reason: node.agent === "kernel" ? "" : alive ? "running, but nobody looks after it" : "agent is gone",
    };
  });
  return {
    lab: t.lab,
    state: "dead",
    pid: null,
    startedAt: null,
    ready: false,
    nodes,
    pods: [],
    clients: t.clients.map(({ name, address }) => ({ name, address })),
    problems: [
      `lab process: it is gone, ${left} processes of the lab are still running: ` +
        `podwire lab up --lab ${t.lab} takes them over, podwire lab down --lab ${t.lab} removes all`,
    ],
    stuck: [],
  };
}

/** Of a lab whose state directory is gone. */
export function leftovers(lab: string): LabStatus {
  const problems = [`lab ${lab}: its plan is lost: podwire lab down --lab ${lab} removes what is left`];
  return {
    lab,
    state: "dead",
    pid: null,
    startedAt: null,
    ready: false,
    nodes: [],
    pods: [],
    clients: [],
    problems,
    stuck: [],
  };
}
