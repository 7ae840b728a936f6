// The start benchmark: what people wait for. `lab up` of two nodes until all is ready, commands that ask a running lab,
// and an agent from its start until a pod's packet arrives at another pod. Wall-clock time; what misses a promise is
// tried three times.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { BenchError, onExit, run, sleep } from "../shell.ts";
import { type PodFacts, podsByName, SERVICE_B, writeLab } from "../subject/podwire-subject.ts";
import { TCP_PORTS } from "../subject/subject.ts";

const PODWIRE = resolve(import.meta.dirname, "../../../../podwire");
const LAB = "pwbs";
const AGENT = `/run/podwire/labs/${LAB}/agents/node1.pid`;
const [UP_ROUNDS, COMMAND_ROUNDS, AGENT_ROUNDS, TRIES] = [5, 9, 5, 3];
const PING_SEC = 0.002;
const PROMISED = { upMs: 1500, agentMs: 500, commandMs: 150 };
const EXPLAIN = `explain --from pod/a --to ${SERVICE_B} --port ${TCP_PORTS[0]}`;
const COMMANDS = ["get pods", EXPLAIN, "show counters", "status"];

export interface StartFigure {
  readonly what: string;
  readonly medianMs: number;
  readonly longestMs: number;
  /** Of the median. */
  readonly promisedMs: number;
}

/** All of them; with `check`, those that miss a promise again, and the best counts. */
export async function measureStart(check: boolean, progress: (text: string) => void): Promise<StartFigure[]> {
  if (process.getuid?.() !== 0) throw new BenchError("start: a lab has network namespaces: run it as root");
  const work = await mkdtemp(join(tmpdir(), "podwire-bench-"));
  onExit(() => rm(work, { recursive: true, force: true }));
  onExit(down);
  const file = await writeLab(work, LAB);
  const parts = [
    () => measureUp(file, progress),
    () => measureCommands(progress),
    () => measureAgent(progress),
  ];
  const figures: StartFigure[] = [];
  for (const part of parts) {
    let found = await part();
    for (let n = 1; check && n < TRIES && brokenStart(found).length > 0; n++)
      found = better(found, await part());
    figures.push(...found);
  }
  await down();
  return figures;
}

function better(found: StartFigure[], again: StartFigure[]): StartFigure[] {
  return found.map((one, i) => (again[i].medianMs < one.medianMs ? again[i] : one));
}

const down = async (): Promise<void> =>
  void (await run([PODWIRE, "lab", "down", "--lab", LAB], { mayFail: true }));

/** Leaves the last lab standing. */
async function measureUp(file: string, progress: (text: string) => void): Promise<StartFigure[]> {
  const times: number[] = [];
  for (let i = 0; i < UP_ROUNDS; i++) {
    await down();
    times.push(await timed([PODWIRE, "lab", "up", "-f", file]));
    progress(`start: lab up: ${times[i].toFixed(0)} ms`);
  }
  return [figure("lab up, two nodes and three pods", times, PROMISED.upMs)];
}

async function measureCommands(progress: (text: string) => void): Promise<StartFigure[]> {
  const figures: StartFigure[] = [];
  for (const words of COMMANDS) {
    const times: number[] = [];
    for (let i = 0; i < COMMAND_ROUNDS; i++)
      times.push(await timed([PODWIRE, ...words.split(" "), "--lab", LAB]));
    figures.push(figure(`podwire ${words}`, times, PROMISED.commandMs));
    progress(`start: ${words}: ${figures.at(-1)!.medianMs.toFixed(0)} ms`);
  }
  return figures;
}

async function timed(command: string[]): Promise<number> {
  const began = performance.now();
  await run(command);
  return performance.now() - began;
}

/** The agent is killed, its lab starts it again; pod a goes on asking pod b, whose kernel answers through the agent. */
async function measureAgent(progress: (text: string) => void): Promise<StartFigure[]> {
  const pods = await podsByName(LAB, (...args) => run([PODWIRE, "--lab", LAB, ...args]));
  const [a, b] = [pods.get("a")!, pods.get("b")!];
  await keepNeighbor(a, b);
  await keepNeighbor(b, a);
  const times: number[] = [];
  for (let i = 0; i < AGENT_ROUNDS; i++) {
    times.push(await restart(a.netns, b.address));
    progress(`start: agent to first packet: ${times[i].toFixed(0)} ms`);
  }
  return [figure("agent, exec to a pod's packet at another", times, PROMISED.agentMs)];
}

/** Otherwise the pods' kernels forget each other while their devices have no carrier, and ask once a second. */
async function keepNeighbor(pod: PodFacts, other: PodFacts): Promise<void> {
  const links = await run(["nsenter", `--net=${other.netns}`, "ip", "-j", "link", "show", "eth0"]);
  const entry = [other.address, "lladdr", JSON.parse(links)[0].address, "dev", "eth0", "nud", "permanent"];
  await run(["nsenter", `--net=${pod.netns}`, "ip", "neigh", "replace", ...entry]);
}

async function restart(netns: string, address: string): Promise<number> {
  const before = await agentPid();
  process.kill(before.pid, "SIGKILL");
  const ping = spawn("nsenter", [`--net=${netns}`, "ping", "-n", "-D", "-i", String(PING_SEC), address]);
  try {
    let text = "";
    ping.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    for (let tries = 0; tries < 600; tries++) {
      await sleep(25);
      const { pid, startedAtMs } = await agentPid();
      const arrived = pid === before.pid ? undefined : firstAnswer(text, startedAtMs);
      if (arrived !== undefined) return arrived - startedAtMs;
    }
    throw new BenchError("start: no packet passed within 15 s of the agent's end");
  } finally {
    ping.kill("SIGKILL");
  }
}

/** Of what `ping -D` printed: when the first answer after `sinceMs` came, ms since 1970. */
export function firstAnswer(text: string, sinceMs: number): number | undefined {
  const times = [...text.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from/gm)].map((m) => Number(m[1]) * 1000);
  return times.find((at) => at > sinceMs);
}

async function agentPid(): Promise<{ pid: number; startedAtMs: number }> {
  return JSON.parse(await readFile(AGENT, "utf8"));
}

function figure(what: string, times: number[], promisedMs: number): StartFigure {
  const sorted = times.toSorted((x, y) => x - y);
  return { what, medianMs: sorted[sorted.length >> 1], longestMs: sorted.at(-1)!, promisedMs };
}

/** One sentence for every promise that these break. */
export function brokenStart(figures: readonly StartFigure[]): string[] {
  return figures
    .filter((one) => one.medianMs > one.promisedMs)
    .map((one) => `start ${one.what}, ms: ${one.medianMs.toFixed(0)}, promised ${one.promisedMs}`);
}

export function formatStart(figures: readonly StartFigure[]): string {
  const lines = figures.map((one) => [one.what, one.medianMs.toFixed(0), one.longestMs.toFixed(0)]);
  const rows = [["START", "MEDIAN", "LONGEST"], ...lines];
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i].length)));
  return rows
    .map(([what, ...ms]) => [what.padEnd(widths[0]), ...ms.map((cell, i) => cell.padStart(widths[i + 1]))])
    .map((row) => row.join("  "))
    .join("\n");
}
