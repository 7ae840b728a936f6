// Processes by identity, not by number alone: a pid with the start time of its process is never somebody else's.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Environment variable that every process of a lab carries, "<lab>/<what>": how they are found after a crash. */
export const PROCESS_MARK = "PODWIRE_LAB_PROCESS";

export interface ProcessId {
  pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  startTicks: number;
}

export function identify(pid: number): ProcessId | undefined {
  const fields = statFields(pid);
  return fields === undefined ? undefined : { pid, startTicks: Number(fields[19]) };
}

/** Alive, and the same process as when the id was taken. A zombie is dead. */
export function isAlive(id: ProcessId): boolean {
  const fields = statFields(id.pid);
  return (
    fields !== undefined && fields[0] !== "Z" && fields[0] !== "X" && Number(fields[19]) === id.startTicks
  );
}

/** Sends a signal to the process, or to its whole group; false when it is gone. */
export function signal(id: ProcessId, name: NodeJS.Signals, group = false): boolean {
  if (!isAlive(id) && !group) return false;
  try {
    process.kill(group ? -id.pid : id.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** SIGTERM, then SIGKILL after `graceMs`; resolves when all are gone (or unkillable for 2 s). */
export async function terminate(ids: ProcessId[], graceMs: number): Promise<void> {
  for (const id of ids) signal(id, "SIGTERM");
  if (await allGone(ids, graceMs)) return;
  for (const id of ids) signal(id, "SIGKILL");
  await allGone(ids, 2000);
}

async function allGone(ids: ProcessId[], withinMs: number): Promise<boolean> {
  const until = Date.now() + withinMs;
  for (;;) {
    if (!ids.some(isAlive)) return true;
    if (Date.now() >= until) return false;
    await sleep(10);
  }
}

/** Every process that carries the mark of this lab; this process is left out. */
export function markedProcesses(lab: string): ProcessId[] {
  const mark = `\0${PROCESS_MARK}=${lab}/`;
  const found: ProcessId[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!`\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(mark)) continue;
    } catch {
      continue; // gone meanwhile, or not ours to read
    }
    const id = identify(pid);
    if (id !== undefined && isAlive(id)) found.push(id);
  }
  return found;
}

/** Fields of /proc/PID/stat from the third (state) on: the second may hold spaces and brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
