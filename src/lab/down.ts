// `lab down`: nothing of the lab is left, whatever state it was in. It asks the lab process to end things in order,
// and then looks for itself: by pid files, by the mark in the environment, by what lives in the namespaces.
import { existsSync, readFileSync } from "node:fs";
import { LabError } from "./errors.ts";
import { labCall } from "./lab-call.ts";
import * as names from "./net/names.ts";
import { deleteNamespaces, ownNamespaces, processesIn } from "./net/namespace.ts";
import { removeAccountPlace } from "./pod/volume/mounts.ts";
import { tryCommand } from "./process/command.ts";
import { removeMemoryGroups } from "./process/memory-group.ts";
import { identify, isAlive, markedProcesses, type ProcessId, terminate } from "./process/process-table.ts";
import { labPaths, labsWithState, readJson, removeStateDir } from "./state-dir.ts";

export interface DownResult {
  lab: string;
  namespaces: number;
  processes: number;
}

const ORDERLY_MS = 10_000;
const GRACE_MS = 500;

export async function tearDown(
  lab: string,
  podGraceMs: number,
  progress: (text: string) => void,
): Promise<DownResult> {
  names.checkLabName(lab);
  const paths = labPaths(lab);
  const marked = markedProcesses(lab).length;
  const labProcess = readJson<ProcessId>(paths.pid);
  if (labProcess !== undefined && isAlive(labProcess)) {
    progress(`lab ${lab}: stopping pods and agents`);
    const call = {
      method: "POST",
      path: "/down",
      body: { graceMs: podGraceMs },
      timeoutMs: ORDERLY_MS + podGraceMs,
    } as const;
    await labCall(paths, call).catch(() => {}); // what it cannot do any more is done below
  }
  const namespaces = ownNamespaces(lab);
  progress(`lab ${lab}: removing ${namespaces.length} namespaces`);
  await killEverything(lab, namespaces);
  await deleteNamespaces(namespaces);
  await removeMemoryGroups(lab);
  await unmountBelow(paths.dir);
  await removeStateDir(lab);
  if (knownLabs().length === 0) removeAccountPlace();
  const left = ownNamespaces(lab);
  if (left.length > 0 || existsSync(paths.dir)) {
    throw new LabError("LAB_DOWN", `lab down: ${left[0] ?? paths.dir} could not be removed: try again`);
  }
  return { lab, namespaces: namespaces.length, processes: marked };
}

/** Volumes in memory. */
async function unmountBelow(dir: string): Promise<void> {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${dir}/`));
  for (const point of points.reverse()) await tryCommand("umount", ["-l", point]);
}

/** Twice, since what was just being started may have escaped the first look. */
async function killEverything(lab: string, namespaces: string[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const inside = (await Promise.all(namespaces.map(processesIn))).flat();
    const ids = [...inside.map(identify).filter((id) => id !== undefined), ...markedProcesses(lab)];
    const others = ids.filter((id) => id.pid !== process.pid);
    if (others.length === 0) return;
    await terminate(others, GRACE_MS);
  }
}

/** Labs that exist in any form: state, or namespaces that a crash left. */
export function knownLabs(): string[] {
  const fromNamespaces = ownNamespaces().map((name) => names.parseNetns(name)!.lab);
  return [...new Set([...labsWithState(), ...fromNamespaces])].sort();
}
