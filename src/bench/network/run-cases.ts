// Measures cases, each by all subjects in turn, round by round, so that a machine that is busy or slow is so for all.
import type { ChildProcess } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { type Measure, median, type Sample, turned } from "../figures/sample.ts";
import type { Program } from "../programs.ts";
import { sleep, stop } from "../shell.ts";
import { dropDiscardTraffic, nextHopMac, type Route, type Subject } from "../subject/subject.ts";
import { type Case, caseName } from "./cases.ts";
import { readCpu, shareBetween } from "./cpu-account.ts";
import * as measure from "./measure.ts";
import { searchRate } from "./search-rate.ts";

/** How long and how often. */
export interface Effort {
  seconds: number;
  rounds: number;
  streamRounds: number;
  udpRate: string;
}

export interface Bench {
  effort: Effort;
  subjects: readonly Subject[];
  programs: Readonly<Record<Program, string>>;
  servers: Map<Subject, ChildProcess[]>;
  progress: (text: string) => void;
}

const PACKETS_SEC = 2;
const LATENCY_SEC_MAX = 5;
/** Of a cold subject, and of the same subject warm. */
const COLD_SEC = 2;
const WARM_UP_SEC = 3;
const BURSTS_PER_SEC = 100_000; // frames
const TRIAL_SEC = 0.5;
const SEARCH_STEPS = 7; // to a hundredth of the rate at which it begins
const SEARCHES_MAX = 3; // a quarter of a minute each
const LOSS_FREE_PERCENT = 0.01;
/** podwire keeps idle cores awake for so long after it was busy, which would be to the next subject's good. */
const CORES_SLEEP_MS = 1200;
const SHORT: readonly Measure[] = ["pps", "udp-socket", "burst"];

/** Gets a subject ready to be measured: receivers, and what they shall not see. */
export async function serve(bench: Bench, subject: Subject): Promise<void> {
  await dropDiscardTraffic(subject);
  const namespaces = [...new Set(subject.routes.map((r) => r.serverNetns))];
  const started: ChildProcess[] = [];
  for (const netns of namespaces)
    started.push(...(await measure.startServers(netns, bench.programs["round-trip"])));
  bench.servers.set(subject, started);
}

/** The samples of one case, of each subject that has such a route. Each round begins with another subject. */
export async function measureCase(bench: Bench, c: Case): Promise<Sample[]> {
  const { rounds, streamRounds } = bench.effort;
  const isShort = SHORT.includes(c.measure) && c.temperature === undefined;
  const most = c.measure === "loss-free" ? Math.min(SEARCHES_MAX, streamRounds) : streamRounds;
  const found = new Map<Subject, measure.Result[]>();
  const find = (subject: Subject) => subject.routes.find((r) => r.path === c.path && r.target === c.target);
  for (let round = 0; round < (isShort ? rounds : most); round++) {
    for (const subject of turned(bench.subjects, round)) {
      if (find(subject) === undefined) continue;
      if (c.temperature === "cold") await renew(bench, subject);
      const result = await measureOnce(bench, c, find(subject)!);
      found.set(subject, [...(found.get(subject) ?? []), result]);
      const value = result.value.toFixed(c.unit === "Gbit/s" ? 2 : 0);
      bench.progress(`${caseName(c)}: ${subject.name} ${value} ${c.unit}`);
    }
  }
  return [...found].map(([subject, results]) => sampleOf(c, subject, results));
}

async function renew(bench: Bench, subject: Subject): Promise<void> {
  if (subject.renew === undefined) return;
  for (const child of bench.servers.get(subject) ?? []) await stop(child);
  await subject.renew();
  await serve(bench, subject);
}

/** Of several rounds the median; other figures are those of the round in the middle, what they cost is a median too. */
function sampleOf(c: Case, subject: Subject, results: readonly measure.Result[]): Sample {
  const values = results.map((result) => result.value);
  const {
    count: _,
    bytes: __,
    ...middle
  } = results.toSorted((a, b) => a.value - b.value)[results.length >> 1];
  const stalls = results.reduce((sum, result) => sum + (result.stalls ?? 0), 0);
  const { measure, path, target, variant, unit } = c;
  const sample: Sample = {
    ...{ measure, path, target, variant, unit, subject: subject.name, rounds: values },
    ...middle,
    ...(middle.stalls === undefined ? {} : { stalls }),
    value: median(values),
  };
  for (const name of ["cpuUsEach", "cpuMsPerGb", "othersCores", "stealPercent", "load"] as const) {
    const each = results.map((result) => result[name]).filter((value) => value !== undefined);
    if (each.length > 0) sample[name] = median(each);
  }
  return sample;
}

export async function measureOnce(bench: Bench, c: Case, route: Route): Promise<measure.Result> {
  const { effort, programs } = bench;
  switch (c.measure) {
    case "tcp":
    case "udp": {
      const { streams = 1, reverse = false, temperature } = c;
      const seconds = temperature === undefined ? effort.seconds : COLD_SEC;
      const stream = (length: number) => {
        const what = { seconds: length, reverse, streams };
        return c.measure === "tcp"
          ? measure.tcpStream(route, what)
          : measure.udpStream(route, what, effort.udpRate);
      };
      if (temperature === "warm") await stream(WARM_UP_SEC);
      return accounted(() => stream(seconds));
    }
    case "pps":
    case "udp-socket":
    case "burst":
      return measureFrames(bench, c, route);
    case "loss-free":
      return lossFreeRate(bench, c, route);
    case "rr":
    case "crr": {
      const { measure: mode } = c;
      await sleep(CORES_SLEEP_MS);
      const wake = await measure.wakeUps(programs["wake-up"]);
      const seconds = Math.min(effort.seconds, LATENCY_SEC_MAX);
      const result = await accounted(() => measure.roundTrips(route, programs["round-trip"], mode, seconds));
      return { ...result, ...wake };
    }
  }
}

const framesOf = (c: Case): measure.Frames => {
  const { flows = 1, senders = 1, frame = 64, read = "device", burst } = c;
  const pace = burst === undefined ? { rate: 0, burst: 64 } : { rate: BURSTS_PER_SEC, burst };
  return { flows, senders, frame, read, seconds: PACKETS_SEC, ...pace };
};

async function measureFrames(bench: Bench, c: Case, route: Route): Promise<measure.Result> {
  const mac = await nextHopMac(route);
  const generator = bench.programs["packet-gen"];
  const frames = framesOf(c);
  if (c.temperature === "warm")
    await measure.sendFrames(route, mac, generator, { ...frames, seconds: WARM_UP_SEC });
  return accounted(() => measure.sendFrames(route, mac, generator, frames));
}

/** kpps that a socket reads of what was sent evenly, without losing one in ten thousand. */
async function lossFreeRate(bench: Bench, c: Case, route: Route): Promise<measure.Result> {
  const mac = await nextHopMac(route);
  const generator = bench.programs["packet-gen"];
  const trial = (rate: number) =>
    measure.sendFrames(route, mac, generator, { ...framesOf(c), seconds: TRIAL_SEC, rate, burst: 16 });
  const most = (await trial(0)).value * 1000 * 2;
  let best: measure.Result = { value: 0, lossPercent: 0 };
  const rate = await searchRate(most, SEARCH_STEPS, async (tried) => {
    const result = await accounted(() => trial(Math.max(1, tried)));
    const isFree = (result.lossPercent ?? 100) <= LOSS_FREE_PERCENT;
    if (isFree && result.value > best.value) best = result;
    return isFree;
  });
  return { ...best, value: Math.min(rate / 1000, best.value) };
}

/** Adds what the whole subject took of the processors, and what else they did. */
async function accounted(work: () => Promise<measure.Result>): Promise<measure.Result> {
  const load = loadavg()[0];
  const before = readCpu();
  const result = await work();
  const { cpuUs, ...meanwhile } = shareBetween(before, readCpu(), cpus().length, load);
  const { count = 0, bytes = 0 } = result;
  return {
    ...result,
    ...meanwhile,
    ...(count > 0 ? { cpuUsEach: cpuUs / count } : {}),
    ...(bytes > 0 ? { cpuMsPerGb: cpuUs / 1000 / (bytes / 1e9) } : {}),
  };
}
