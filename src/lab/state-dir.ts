// /run/podwire/labs/<lab>/: all that a lab keeps outside its namespaces. It lives in /run on purpose: like the
// namespaces it is gone after a reboot.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Topology } from "./topology.ts";

const ROOT = "/run/podwire";
const LABS = `${ROOT}/labs`;

export interface LabPaths {
  dir: string;
  /** The plan this lab was made from. */
  topology: string;
  /** Objects with their allocations, so that addresses are stable over restarts of the lab process. */
  state: string;
  socket: string;
  /** The Kubernetes API's port, certificates and keys. */
  api: string;
  /** The mesh's authority: its certificate and key. */
  mesh: string;
  /** Where programs of this machine ask it. */
  apiSocket: string;
  /** How clients reach it. */
  kubeconfig: string;
  /** Where its DNS pod asks the machine's resolvers. */
  dns: string;
  /** Its DNS pod's configuration. */
  dnsConfig: string;
  pid: string;
  log: string;
  agents: string;
  pods: string;
}

export function labPaths(lab: string): LabPaths {
  const dir = `${LABS}/${lab}`;
  return {
    dir,
    topology: `${dir}/topology.json`,
    state: `${dir}/state.json`,
    socket: `${dir}/lab.sock`,
    api: `${dir}/api.json`,
    mesh: `${dir}/mesh.json`,
    apiSocket: `${dir}/api.sock`,
    kubeconfig: `${dir}/kubeconfig`,
    dns: `${dir}/dns.sock`,
    dnsConfig: `${dir}/dns.yaml`,
    pid: `${dir}/lab.pid`,
    log: `${dir}/lab.log`,
    agents: `${dir}/agents`,
    pods: `${dir}/pods`,
  };
}

const FILE_NAME_MAX = 255;
/** Secrets lie below it as files, whose own modes are what pods ask for: as kubelet has its folder of pods. */
const PODS_MODE = 0o750;

/** Where a pod's files are. Both names may be 253 bytes long, the directory's 255. */
export function podDirectory(paths: LabPaths, namespace: string, name: string): string {
  const whole = `${namespace}_${name}`;
  if (whole.length <= FILE_NAME_MAX) return `${paths.pods}/${whole}`;
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 16);
  return `${paths.pods}/${whole.slice(0, FILE_NAME_MAX - hash.length - 1)}_${hash}`;
}

export function agentSocket(lab: string, node: string): string {
  return `${labPaths(lab).agents}/${node}.sock`;
}

/** How a node's agent reaches the lab's Kubernetes API. */
export function agentKubeconfig(paths: LabPaths, node: string): string {
  return `${paths.agents}/${node}.kubeconfig`;
}

export async function makeStateDir(lab: string): Promise<LabPaths> {
  const paths = labPaths(lab);
  await mkdir(paths.agents, { recursive: true, mode: 0o755 });
  await mkdir(paths.pods, { recursive: true });
  await chmod(paths.pods, PODS_MODE); // one of an earlier lab process, too
  return paths;
}

export async function removeStateDir(lab: string): Promise<void> {
  await rm(labPaths(lab).dir, { recursive: true, force: true });
  for (const dir of [LABS, ROOT]) await rmdir(dir).catch(() => {}); // other labs, or other things, may be in there
}

export function labsWithState(): string[] {
  return existsSync(LABS) ? readdirSync(LABS).sort() : [];
}

/** Replaces a file in one step: a reader, and a lab that is killed, see the old text or the new. */
export async function writeAtomically(path: string, text: string, mode = 0o666): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(temporary, text, { mode });
  await rename(temporary, path);
}

/** The same with what nobody else may read: keys and tokens. */
export function writePrivately(path: string, text: string): Promise<void> {
  return writeAtomically(path, text, 0o600);
}

/** An object of a file. Missing, half-written by a crash, or anything else than an object: undefined. */
export function readJson<T>(path: string): T | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof value === "object" && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

/** The plan a lab was made from; undefined as well when what is there is none. */
export function readTopology(paths: LabPaths): Topology | undefined {
  const found = readJson<Partial<Topology>>(paths.topology);
  const isOne =
    typeof found?.lab === "string" && isListOfObjects(found.nodes) && isListOfObjects(found.clients);
  return isOne ? (found as Topology) : undefined;
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === "object" && each !== null);
}
