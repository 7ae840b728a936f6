// Endurance: a lab under mixed load for minutes (a paced stream, a thousand new connections a second,
// pings), and what became of it: errors, memory, garbage collections in the agents, round-trip times.
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { type Collections, percentile, readGcLog } from "./gc-log.ts";
import { type CpuTimes, hadIdleCores, readCpuTimes, sharesBetween } from "./idle-cores.ts";
import { startServers } from "./network/measure.ts";
import { buildPrograms } from "./programs.ts";
import { BenchError, onExit, run, sleep, undoAll } from "./shell.ts";
import { makePodwireSubject } from "./subject/podwire-subject.ts";
import { IPERF_PORT, inNetns, ROUND_TRIP_PORT, type Route } from "./subject/subject.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const LAB = "pwb-soak";
const CONNECTIONS_PER_SEC = 1000;
const STREAM_RATE = "300M"; // leaves the cores idle time: a full one would measure the scheduler
const PING_PATHS = ["same-node", "overlay"] as const;
const PING_INTERVAL_SEC = 0.05;
const SETTLE_MS = 3000; // what starting made is collected by then
const SAMPLE_EVERY_MS = 5000;
const CPU_SAMPLE_EVERY_MS = 250;
const LIMITS = { pauseMs: 5, pingP99Ms: 2, memoryGrowthMb: 16, lostPingPercent: 0 };

interface Options {
  minutes: number;
}

interface Agent {
  node: string;
  pid: number;
  memoryMb: number[];
  /** Of its threads, before the load. */
  before: Map<string, Turns>;
  /** Characters of its log before the load. */
  logStart: number;
}

const progress = (text: string) => process.stderr.write(`soak: ${text}\n`);

async function agents(podwire: string): Promise<Agent[]> {
  const status = JSON.parse(await run([podwire, "--lab", LAB, "lab", "status", "-o", "json"]));
  return Promise.all(
    status.nodes.map(async (node: { name: string; pid: number }) => {
      const logStart = (await readFile(logFile(node.name), "utf8")).length;
      return { node: node.name, pid: node.pid, memoryMb: [], before: await turnsOf(node.pid), logStart };
    }),
  );
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** What a thread has had of the processors so far. */
interface Turns {
  ranMs: number;
  /** Ready to run, and waiting for a processor. */
  waitedMs: number;
}

/** By thread (Linux Documentation/scheduler/sched-stats.rst). */
async function turnsOf(pid: number): Promise<Map<string, Turns>> {
  const turns = new Map<string, Turns>();
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
    const [ranMs, waitedMs] = text.split(" ").map((ns) => Number(ns) / 1e6);
    turns.set(thread, { ranMs, waitedMs });
  }
  return turns;
}

/** What the data-plane thread, which is the one that ran most, had since `before`. */
async function turnsSince({ pid, before }: Agent): Promise<Turns> {
  let most: Turns = { ranMs: 0, waitedMs: 0 };
  for (const [thread, now] of await turnsOf(pid)) {
    const then = before.get(thread) ?? { ranMs: 0, waitedMs: 0 };
    const ranMs = now.ranMs - then.ranMs;
    if (ranMs > most.ranMs) most = { ranMs, waitedMs: now.waitedMs - then.waitedMs };
  }
  return most;
}

interface Loads {
  stream: Promise<string>;
  connections: Promise<string>[];
  pings: Promise<string>[];
}

function startLoads(routes: Route[], roundTrip: string, seconds: number): Loads {
  const timeoutMs = (seconds + 60) * 1000;
  const route = (path: string, target: string) => routes.find((r) => r.path === path && r.target === target)!;
  const far = route("overlay", "service");
  const stream = ["iperf3", "-c", far.address, "-p", String(IPERF_PORT), "-b", STREAM_RATE, "-J"];
  const services = [route("same-node", "service"), far];
  const rate = String(CONNECTIONS_PER_SEC / services.length);
  // ping keeps no exact pace: so many are sent in the time, and its closing line counts every one of them.
  const count = String(Math.floor(seconds / (PING_INTERVAL_SEC * 1.25)));
  return {
    stream: run(inNetns(far.clientNetns, ...stream, "-t", String(seconds)), { timeoutMs, mayFail: true }),
    connections: services.map((r) =>
      run([roundTrip, r.clientNetns, "crr", r.address, String(ROUND_TRIP_PORT), String(seconds), rate], {
        timeoutMs,
      }),
    ),
    pings: PING_PATHS.map((path) => route(path, "pod")).map((r) =>
      run(
        inNetns(
          r.clientNetns,
          "ping",
          "-n",
          "-D",
          "-i",
          String(PING_INTERVAL_SEC),
          "-c",
          count,
          "-W",
          "2",
          r.address,
        ),
        {
          timeoutMs,
          mayFail: true,
        },
      ),
    ),
  };
}

/** All pings are judged; those around which cores were idle are told beside them, to see where slow ones come from. */
function judgePings(path: number, text: string, cpu: readonly CpuTimes[]): string[] {
  const name = `pings ${PING_PATHS[path]}`;
  const all = [...text.matchAll(/^\[([\d.]+)\].* time=([\d.]+) ms/gm)].map(([, at, ms]) => ({
    at: Number(at) * 1000,
    ms: Number(ms),
  }));
  const idle = all.filter(({ at }) => hadIdleCores(cpu, at)).map(({ ms }) => ms);
  const lost = Number(/([\d.]+)% packet loss/.exec(text)?.[1] ?? 100);
  const times = all.map(({ ms }) => ms);
  const p99 = percentile(times, 0.99);
  const told = (ms: number[]) => `p50 ${percentile(ms, 0.5)} ms, p99 ${percentile(ms, 0.99)} ms`;
  progress(`${name}: ${all.length} answered, ${told(times)}, ${lost} % lost`);
  if (idle.length > 0) progress(`${name}: ${idle.length} of them while cores were idle: ${told(idle)}`);
  const broken: string[] = [];
  if (lost > LIMITS.lostPingPercent) broken.push(`${name}: ${lost} % lost`);
  if (!(p99 < LIMITS.pingP99Ms)) broken.push(`${name}: 99th percentile ${p99} ms`);
  return broken;
}

/** Reads what the loads said; one line for each thing that is not as promised. */
async function judgeLoads(loads: Loads, cpu: readonly CpuTimes[]): Promise<string[]> {
  const broken: string[] = [];
  const stream = JSON.parse(await loads.stream);
  if (stream.error !== undefined) broken.push(`stream: ${stream.error}`);
  else {
    const stalls = stream.intervals.filter((i: { sum: { bytes: number } }) => i.sum.bytes === 0).length;
    progress(
      `stream: ${(stream.end.sum_received.bits_per_second / 1e6).toFixed(0)} Mbit/s, ${stalls} stalls`,
    );
    if (stalls > 0) broken.push(`stream: ${stalls} seconds without a byte`);
  }
  for (const each of loads.connections) {
    const { perSec, p99Us, errors } = JSON.parse(await each);
    progress(`connections: ${perSec}/s, p99 ${p99Us} µs, ${errors} errors`);
    if (errors > 0) broken.push(`connections: ${errors} errors`);
    if (perSec < (0.95 * CONNECTIONS_PER_SEC) / loads.connections.length)
      broken.push(`connections: only ${perSec}/s`);
  }
  for (const [i, each] of loads.pings.entries()) broken.push(...judgePings(i, await each, cpu));
  return broken;
}

const logFile = (node: string) => `/run/podwire/labs/${LAB}/agents/${node}.log`;

/** What the worker collected while the load was on: what it did before belongs to the start. */
async function workerCollections(agent: Agent): Promise<Collections[]> {
  const log = await readFile(logFile(agent.node), "utf8");
  const [main] = readGcLog(log);
  if (main === undefined) throw new BenchError(`${agent.node}: no garbage collection was traced`);
  return readGcLog(log.slice(agent.logStart)).filter(({ isolate }) => isolate !== main.isolate);
}

async function judgeAgents(list: Agent[], seconds: number): Promise<string[]> {
  const broken: string[] = [];
  for (const agent of list) {
    const { node, memoryMb } = agent;
    const percent = (ms: number) => (ms / (10 * seconds)).toFixed(1);
    const { ranMs, waitedMs } = await turnsSince(agent);
    progress(
      `${node}: its data plane ran ${percent(ranMs)} % of the time, waited ${percent(waitedMs)} % to run`,
    );
    // The first fifth fills caches and compiled code; after it memory must stand still.
    const settled = memoryMb.slice(Math.floor(memoryMb.length / 5));
    const growth = settled[settled.length - 1] - settled[0];
    const end = settled[settled.length - 1].toFixed(0);
    progress(`${node}: memory ${memoryMb[0].toFixed(0)} → ${end} MB, ${growth.toFixed(1)} since settled`);
    if (growth > LIMITS.memoryGrowthMb) broken.push(`${node}: memory grew by ${growth.toFixed(1)} MB`);
    const workers = await workerCollections(agent);
    if (workers.length === 0) progress(`${node}: the worker collected nothing`);
    for (const worker of workers) {
      progress(`${node}: worker collected ${worker.count} times, longest ${worker.maxPauseMs} ms`);
      if (worker.maxPauseMs > LIMITS.pauseMs)
        broken.push(`${node}: the worker stood still for ${worker.maxPauseMs} ms`);
    }
  }
  return broken;
}

async function soak(options: Options): Promise<number> {
  if (process.getuid?.() !== 0)
    throw new BenchError("the soak test makes network namespaces: run it as root");
  const programs = await buildPrograms();
  const work = await mkdtemp(join(tmpdir(), "podwire-soak-"));
  onExit(() => rm(work, { recursive: true, force: true }));
  process.env.NODE_OPTIONS = `--require=${join(ROOT, "src", "bench", "gc-trace.cjs")}`;
  const podwire = join(ROOT, "podwire");
  const subject = await makePodwireSubject(podwire, work, { subject: "podwire", lab: LAB });
  for (const netns of new Set(subject.routes.map((r) => r.serverNetns)))
    await startServers(netns, programs["round-trip"]);
  const seconds = Math.round(options.minutes * 60);
  await sleep(SETTLE_MS);
  const list = await agents(podwire);
  const cpu: CpuTimes[] = [];
  const sampleCpu = () => cpu.push(readCpuTimes(readFileSync("/proc/stat", "utf8"), Date.now()));
  const sampler = setInterval(sampleCpu, CPU_SAMPLE_EVERY_MS);
  const loads = startLoads(subject.routes, programs["round-trip"], seconds);
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    await sleep(Math.min(SAMPLE_EVERY_MS, Math.max(0, end - Date.now())));
    for (const agent of list) agent.memoryMb.push(await residentMb(agent.pid));
    const memory = list.map((a) => `${a.node} ${a.memoryMb[a.memoryMb.length - 1].toFixed(0)} MB`).join(", ");
    progress(`${Math.max(0, Math.round((end - Date.now()) / 1000))} s left, ${memory}`);
  }
  clearInterval(sampler);
  const { idle, stolen } = sharesBetween(cpu[0], cpu[cpu.length - 1]);
  progress(
    `machine: idle ${(100 * idle).toFixed(1)} %, taken by the hypervisor ${(100 * stolen).toFixed(1)} %`,
  );
  const broken = [...(await judgeLoads(loads, cpu)), ...(await judgeAgents(list, seconds))];
  for (const line of broken) process.stdout.write(`broken: ${line}\n`);
  process.stdout.write(broken.length === 0 ? `${options.minutes} minutes: all as promised\n` : "");
  return broken.length === 0 ? 0 : 3;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => void undoAll().then(() => process.exit(1)));
let status = 1;
try {
  const options = new Command("soak")
    .description("Puts a lab of two nodes under mixed load and watches its agents.")
    .option("--minutes <n>", "how long", Number, 10)
    .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Options>();
  status = await soak(options);
} catch (error) {
  process.stderr.write(`soak: ${(error as Error).message}\n`);
} finally {
  await undoAll();
}
process.exit(status);
