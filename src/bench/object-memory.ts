/**
 * The memory that a cluster's objects take in a real agent which follows an API server: one agent whose server has
 * nothing but nodes, and one whose server has them. A network namespace, an uplink to nowhere. scripts/agent-memory
 * --objects is the command.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PODWIRE } from "../testing/lab/lab.ts";
import { type Running, run, start } from "../testing/lab/process.ts";
import { asInstalled } from "./programs.ts";
import { type Load, NODE } from "./scale/api-objects.ts";
import { BenchError, onExit } from "./shell.ts";

/** So long after it has written the objects to disk an agent has given back what that took, on a busy machine, too. */
const SETTLE_MS = 30_000;
const LONG_MS = 120_000;
const LOOK_MS = 50;
const STATE = "objects.gz";
const NOTHING: Load = { services: 0, endpoints: 0, pods: 0 };

export interface Memory {
  /** Until all objects were in the plane, from the agent's start. */
  readonly seconds: number;
  /** MiB: resident, at most, and live on the heap of the thread that keeps the objects. */
  readonly resident: number;
  readonly most: number;
  readonly heap: number;
}

export interface ObjectMemory {
  readonly before: Memory;
  readonly after: Memory;
}

/** Leaves what it made to `undoAll`. */
export async function measureObjectMemory(load: Load): Promise<ObjectMemory> {
  const namespace = `pw-object-memory-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), "podwire-object-memory-"));
  onExit(() => rmSync(folder, { recursive: true }));
  const ip = (...words: string[]): unknown => execFileSync("ip", words);
  ip("netns", "add", namespace);
  onExit(() => void ip("netns", "del", namespace));
  const inside = (words: string): unknown => ip("-n", namespace, ...words.split(" "));
  inside("link add eth1 type veth peer name nowhere");
  inside("tuntap add dev host0 mode tap vnet_hdr");
  for (const device of ["lo", "eth1", "nowhere", "host0"]) inside(`link set ${device} up`);
  const before = await measureAgent(NOTHING, namespace, folder);
  return { before, after: await measureAgent(load, namespace, folder) };
}

async function measureAgent(load: Load, namespace: string, folder: string): Promise<Memory> {
  const numbers = [load.services, load.endpoints, load.pods].map(String);
  const program = asInstalled("bench/scale/api-server-main.js");
  const server = await started([process.execPath, program, ...numbers], /listens on \d+/);
  const port = /listens on (\d+)/.exec(server.output())?.[1];
  const state = join(folder, STATE);
  rmSync(state, { force: true }); // of another cluster
  const config = join(folder, "agent.json");
  writeFileSync(config, JSON.stringify(configOf(`http://127.0.0.1:${port}`, namespace, folder)));
  const beganMs = performance.now();
  const agent = await started([PODWIRE, "agent", "--config", config], /data plane running/);
  await until(async () => (await metric(namespace, `podwire_objects{kind="pods"}`)) >= load.pods);
  await until(async () => (await metric(namespace, "podwire_service_ports")) >= load.services);
  const seconds = (performance.now() - beganMs) / 1000;
  // It writes ten seconds after the first change, and once more if there were others meanwhile.
  await until(async () => Date.now() - writtenMs(state) > SETTLE_MS);
  const memory = residentOf(agent);
  const heap = (await metric(namespace, "nodejs_heap_size_used_bytes")) / 2 ** 20;
  await agent.stop();
  await server.stop("SIGKILL");
  return { seconds, heap, ...memory };
}

async function started(command: readonly string[], ready: RegExp): Promise<Running> {
  const running = await start(command, ready, LONG_MS);
  onExit(() => running.stop("SIGKILL"));
  return running;
}

function configOf(server: string, netns: string, folder: string): object {
  const kubeconfig = join(folder, "kubeconfig.json");
  const names = { "current-context": "x", contexts: [{ name: "x", context: { cluster: "x", user: "x" } }] };
  const parts = { clusters: [{ name: "x", cluster: { server } }], users: [{ name: "x", user: {} }] };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: "v1", kind: "Config", ...names, ...parts }));
  return {
    ...{ apiVersion: "podwire.dev/v1alpha1", kind: "AgentConfiguration", nodeName: NODE },
    ...{ clusterCIDR: "10.128.0.0/9", serviceCIDR: "10.96.0.0/12" },
    // Without node ports nothing is asked of host0, which nobody gives addresses here: the agent would try each second.
    ...{ uplink: { interface: "eth1" }, host: { interface: "host0" }, nodePortRange: "none" },
    ...{ netns: `/run/netns/${netns}`, socket: join(folder, "agent.sock") },
    source: { kubernetes: { kubeconfig, stateFile: join(folder, STATE) } },
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + LONG_MS; performance.now() < end; await sleep(LOOK_MS))
    if (await holds()) return;
  throw new BenchError(`the agent has not its objects after ${LONG_MS / 1000} s`);
}

/** When a file was written; now, if it was not. */
function writtenMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
}

/** NaN: the agent does not say it. */
async function metric(namespace: string, name: string): Promise<number> {
  const page = "http://127.0.0.1:10249/metrics";
  const { stdout } = await run(["ip", "netns", "exec", namespace, "curl", "-s", page]);
  const line = stdout.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1));
}

function residentOf({ child }: Running): { resident: number; most: number } {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { resident: mib("VmRSS"), most: mib("VmHWM") };
}
