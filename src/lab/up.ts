// `lab up`: from nothing, from half a lab that a crash left, or from a whole one, to a whole one.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type ManifestText, parseManifests } from "../kube/manifest/manifest.ts";
import { savedApi } from "./api/credentials.ts";
import { tearDown } from "./down.ts";
import { LabError } from "./errors.ts";
import { type LabCall, labCall } from "./lab-call.ts";
import type { LabStatus } from "./lab-status.ts";
import { ownNamespaces } from "./net/namespace.ts";
import { makeStaticNetwork } from "./net/static-network.ts";
import { checkPreconditions } from "./preconditions.ts";
import { lastLine } from "./process/managed-process.ts";
import { identify, isAlive, PROCESS_MARK, type ProcessId } from "./process/process-table.ts";
import {
  type LabPaths,
  labPaths,
  makeStateDir,
  readJson,
  readTopology,
  writeAtomically,
} from "./state-dir.ts";
import type { Topology } from "./topology.ts";

export interface UpOptions {
  topology: Topology;
  manifests: ManifestText[];
  /** The command line's main program, which the lab process and the agents are run with. */
  program: string;
  /** How long to wait until every node and pod is ready; 0: not at all. */
  timeoutMs: number;
  graceMaxMs?: number;
  progress(text: string): void;
  /** Whole lines about the manifests, said before anything is waited for. */
  note(text: string): void;
}

export interface UpResult {
  created: boolean;
  /** The file for kubectl; undefined: the lab serves no Kubernetes API. */
  kubeconfig: string | undefined;
  status: LabStatus;
}

const LAB_START_MS = 15_000;
const API_START_MS = 5000;
const POLL_MS = 30;
/** Of hundreds of pods a status is work for the process that starts them: it is asked for a fifth of the time at most. */
const POLL_SHARE = 4;
const POLL_MOST_MS = 250;
const NONE_STUCK = { stuck: [] as string[] };
/** An agent or container that has failed this often in a row will not come up by waiting. */
const HOPELESS_RESTARTS = 3;

export async function bringUp(options: UpOptions): Promise<UpResult> {
  const { topology: t } = options;
  const paths = labPaths(t.lab);
  const before = readTopology(paths);
  if (before !== undefined && JSON.stringify(before) !== JSON.stringify(t)) throw otherLab(before, t);
  if (before === undefined && ownNamespaces(t.lab).length > 0) {
    throw new LabError(
      "LAB_NAME_IN_USE",
      `lab up: lab name "${t.lab}" is in use: network namespaces ${ownNamespaces(t.lab)[0]} … exist: ` +
        `remove what is left with podwire lab down --lab ${t.lab}, or choose another name`,
    );
  }
  parseManifests(options.manifests, { carries: true }); // refused before anything is made
  await checkPreconditions(t);
  await makeStateDir(t.lab);
  const unlock = lock(paths);
  try {
    await writeAtomically(paths.topology, JSON.stringify(t));
    await make(options, paths).catch(async (error: unknown) => {
      if (before === undefined) await tearDown(t.lab, 0, () => {}); // half a lab is of no use to anyone
      throw error;
    });
    const status = await waitUntilReady(options, paths);
    return { created: before === undefined, kubeconfig: await kubeconfigOf(paths), status };
  } finally {
    unlock();
  }
}

/** It is written while the agents start: most likely long ago. */
async function kubeconfigOf({ kubeconfig }: LabPaths): Promise<string | undefined> {
  const until = Date.now() + API_START_MS;
  while (!existsSync(kubeconfig) && Date.now() < until) await sleep(POLL_MS);
  return existsSync(kubeconfig) ? kubeconfig : undefined;
}

async function make(options: UpOptions, paths: LabPaths): Promise<void> {
  const { topology: t, progress } = options;
  progress(`lab ${t.lab}: namespaces, links and addresses`);
  // While ip(8) is at work; what hinders it, the lab process says.
  const credentials = savedApi(t, paths).catch(() => {});
  const made = await makeStaticNetwork(t).finally(() => credentials);
  await startOrRepair(options, paths, made);
  if (options.manifests.length === 0) return;
  progress(`lab ${t.lab}: applying manifests`);
  const body = { manifests: options.manifests };
  const { notes } = await labCall<{ notes: string[] }>(paths, { method: "POST", path: "/apply", body });
  for (const line of notes) options.note(line);
}

async function startOrRepair(options: UpOptions, paths: LabPaths, made: string[]): Promise<void> {
  const running = readJson<ProcessId>(paths.pid);
  if (running !== undefined && isAlive(running)) {
    options.progress(`lab ${options.topology.lab}: repairing`);
    await labCall(paths, { method: "POST", path: "/repair", body: { made } });
    return;
  }
  options.progress(`lab ${options.topology.lab}: starting the lab process`);
  await startLabProcess(options, paths);
}

async function startLabProcess(options: UpOptions, paths: LabPaths): Promise<void> {
  const { lab } = options.topology;
  rmSync(paths.socket, { force: true });
  const log = openSync(paths.log, "a");
  const grace = options.graceMaxMs === undefined ? [] : ["--grace-period", String(options.graceMaxMs / 1000)];
  const child = spawn(process.execPath, [options.program, "lab", "run", "--lab", lab, ...grace], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
    env: { ...process.env, [PROCESS_MARK]: `${lab}/lab` },
  });
  closeSync(log);
  let ended = false;
  child.on("exit", () => (ended = true));
  child.on("error", () => (ended = true));
  child.unref();
  if (child.pid !== undefined) writeFileSync(paths.pid, JSON.stringify(identify(child.pid)));
  const until = Date.now() + LAB_START_MS;
  while (!ended && Date.now() < until) {
    if ((await tryStatus(paths)) !== undefined) return;
    await sleep(POLL_MS);
  }
  const why = ended ? lastLine(paths.log) : `no answer within ${LAB_START_MS / 1000} s`;
  throw new LabError("LAB_START", `lab up: the lab process did not start: ${why} (log: ${paths.log})`);
}

async function waitUntilReady(options: UpOptions, paths: LabPaths): Promise<LabStatus> {
  const until = Date.now() + options.timeoutMs;
  for (;;) {
    const asked = performance.now();
    // A lab process of an older version does not know which are stuck.
    const status = { ...NONE_STUCK, ...(await labCall<LabStatus>(paths, { path: "/status" })) };
    const answeredMs = performance.now();
    if (status.ready || options.timeoutMs === 0 || isSettled(status)) return status;
    const curable = status.problems.filter((line) => !status.stuck.includes(line));
    options.progress(`lab ${status.lab}: waiting: ${curable[0]}${more(curable)}`);
    if (isHopeless(status) || Date.now() > until) {
      throw new LabError(
        "LAB_NOT_READY",
        `lab up: ${curable[0]}${more(status.problems)}: ` +
          `see podwire lab status --lab ${status.lab} and ${paths.dir}`,
      );
    }
    await sleep(Math.min(POLL_MOST_MS, Math.max(POLL_MS, POLL_SHARE * (answeredMs - asked))));
  }
}

/** What is not right will not be by waiting: as after kubectl apply, the objects are there, and the caller is told. */
function isSettled({ problems, stuck }: LabStatus): boolean {
  return problems.length > 0 && problems.every((line) => stuck.includes(line));
}

function isHopeless(status: LabStatus): boolean {
  const failing = (x: { restarts: number; state: string }): boolean =>
    x.restarts >= HOPELESS_RESTARTS && x.state === "NotReady";
  return status.nodes.some(failing);
}

function more(problems: string[]): string {
  return problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
}

async function tryStatus(paths: LabPaths): Promise<LabStatus | undefined> {
  try {
    return await labCall<LabStatus>(paths, { path: "/status", timeoutMs: 2000 } satisfies LabCall);
  } catch {
    return undefined;
  }
}

function otherLab(before: Topology, now: Topology): LabError {
  const list = (t: Topology): string => JSON.stringify([t.nodes, t.clients]);
  const what = list(before) === list(now) ? "other settings" : "other nodes";
  return new LabError(
    "LAB_NAME_IN_USE",
    `lab up: a lab named "${now.lab}" is running with ${what}: ` +
      `podwire lab down --lab ${now.lab} first, or give this one another name with --lab`,
  );
}

/** One `lab up` of a lab at a time; a lock whose process is gone counts for nothing. */
function lock(paths: LabPaths): () => void {
  const file = `${paths.dir}/up.lock`;
  const mine = JSON.stringify(identify(process.pid));
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = readJson<ProcessId>(file);
    if (holder !== undefined && isAlive(holder)) {
      throw new LabError(
        "LAB_BUSY",
        `lab up: another lab up of this lab is at work (pid ${holder.pid}): wait for it`,
      );
    }
    rmSync(file, { force: true });
  }
}
