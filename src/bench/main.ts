// The benchmark: podwire, the kernel and a C copy loop stand side by side for the whole run and are
// measured in turn, so that a machine that is busy or slow is so for all of them. Ratios are what is
// compared; absolute figures drift.
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { makeCopyLoopSubject } from "./copy-loop-subject.ts";
import { makeKernelSubject } from "./kernel-subject.ts";
import { roundTrips, smallFrames, startServers, tcpStream, udpStream } from "./measure.ts";
import { makePodwireSubject } from "./podwire-subject.ts";
import { brokenPolicy, formatPolicy, measurePolicy } from "./policy/policy-figures.ts";
import { buildPrograms, type Program } from "./programs.ts";
import { brokenFloors, formatTable, median, type Sample, toRows, turned } from "./sample.ts";
import { brokenScale, formatScale, measureScale, type ScaleRow } from "./scale/scale.ts";
import { BenchError, onExit, undoAll } from "./shell.ts";
import { dropDiscardTraffic, type Path, type Route, type Subject, type Target } from "./subject.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
/** What needs no network: a process a part. */
const ALONE = ["scale", "policy"] as const;
type Only = "tcp" | "udp" | "pps" | "latency" | (typeof ALONE)[number];
const KINDS: readonly Only[] = ["tcp", "udp", "pps", "latency", ...ALONE];

interface Options {
  seconds: number;
  rounds: number;
  streamRounds: number;
  against?: string;
  only: Only[];
  path: Path[];
  udpRate: string;
  skip: string[];
  json?: string;
  check: boolean;
}

interface Bench {
  options: Options;
  subjects: Subject[];
  programs: Record<Program, string>;
  samples: Sample[];
}

const CASES: { path: Path; target: Target }[] = [
  { path: "same-node", target: "pod" },
  { path: "same-node", target: "service" },
  { path: "overlay", target: "pod" },
  { path: "overlay", target: "service" },
];

const wantedCases = (bench: Bench) => CASES.filter(({ path }) => bench.options.path.includes(path));
const progress = (text: string) => process.stderr.write(`bench: ${text}\n`);

function parseOptions(): Options {
  const atLeastOne = (text: string) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1)
      throw new InvalidArgumentError("It must be a whole number above 0.");
    return value;
  };
  const oneOf = (name: string, words: string[]) => (text: string) => {
    const list = text.split(",");
    const bad = list.find((word) => !words.includes(word));
    if (bad !== undefined) throw new InvalidArgumentError(`${name}: ${bad} is none of ${words.join(", ")}.`);
    return list;
  };
  const raw = new Command("bench")
    .description("Measures podwire beside the kernel and a C copy loop in one run.")
    .option("--seconds <n>", "length of one throughput or latency measurement", atLeastOne, 10)
    .option("--rounds <n>", "alternating rounds of the packet-rate measurement (2 s each)", atLeastOne, 5)
    .option("--stream-rounds <n>", "alternating rounds of the throughput measurements", atLeastOne, 1)
    .option("--against <checkout>", "another, built checkout of podwire, measured beside this one")
    .option("--only <kinds>", `of ${KINDS.join(",")}`, oneOf("only", [...KINDS]))
    .option("--path <paths>", "of same-node,overlay", oneOf("path", ["same-node", "overlay"]))
    .option("--udp-rate <rate>", "what iperf3 offers over UDP", "500M")
    .option(
      "--skip <subjects>",
      "of podwire,kernel,c-loop",
      oneOf("skip", ["podwire", "kernel", "c-loop"]),
      [],
    )
    .addOption(new Option("--skip-kernel", "the same as --skip kernel"))
    .option("--json <file>", "write every figure there too")
    .option("--check", "exit status 3 when a promised ratio does not hold", false)
    .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2))
    .parse()
    .opts();
  if (raw.skipKernel) raw.skip = [...raw.skip, "kernel"];
  const all = { only: KINDS, path: ["same-node", "overlay"] };
  return { ...all, ...raw } as unknown as Options;
}

async function makeSubjects(options: Options, copyLoop: string): Promise<Subject[]> {
  const subjects: Subject[] = [];
  const wanted = (name: string) => !options.skip.includes(name);
  const checkouts = [
    ...(wanted("podwire") ? [{ subject: "podwire", lab: "pwb", root: ROOT } as const] : []),
    ...(options.against === undefined
      ? []
      : [{ subject: "before", lab: "pwb0", root: resolve(options.against) } as const]),
  ];
  for (const { root, ...names } of checkouts) {
    progress(`${names.subject}: lab up`);
    const work = await mkdtemp(join(tmpdir(), "podwire-bench-"));
    onExit(() => rm(work, { recursive: true, force: true }));
    const podwire = join(root, "podwire");
    await access(join(root, "build/src/cli/main.js")).catch(() => {
      throw new BenchError(`${root}: no built checkout of podwire: run npm ci && npm run build there`);
    });
    subjects.push(await makePodwireSubject(podwire, work, names));
  }
  if (wanted("kernel")) {
    progress("kernel: bridge, iptables and VXLAN between two namespaces");
    subjects.push(await makeKernelSubject());
  }
  if (wanted("c-loop")) {
    progress("c-loop: two TAPs");
    subjects.push(await makeCopyLoopSubject(copyLoop));
  }
  return subjects;
}

/**
 * Calls `measure` for every subject that has such a route, once a round, and keeps the sample with what identifies it: of
 * several rounds the median, with that round's remarks. Each round begins with another subject.
 */
async function forEachSubject(
  bench: Bench,
  path: Path,
  target: Target,
  what: Pick<Sample, "measure" | "variant" | "unit">,
  measure: (route: Route) => Promise<Partial<Sample> & { value: number }>,
  rounds = 1,
): Promise<void> {
  const found = new Map<Subject, (Partial<Sample> & { value: number })[]>();
  for (let round = 0; round < rounds; round++) {
    for (const subject of turned(bench.subjects, round)) {
      const route = subject.routes.find((r) => r.path === path && r.target === target);
      if (route === undefined) continue;
      const result = await measure(route);
      found.set(subject, [...(found.get(subject) ?? []), result]);
      const title = `${what.measure} ${path} ${target} ${what.variant}`;
      progress(`${title}: ${subject.name} ${result.value.toFixed(2)} ${what.unit}`);
    }
  }
  for (const [subject, results] of found) {
    const values = results.map((result) => result.value);
    const sorted = results.toSorted((a, b) => a.value - b.value);
    const stalls = results.reduce((sum, result) => sum + (result.stalls ?? 0), 0);
    const common = { ...what, path, target, subject: subject.name, rounds: values };
    const middle = sorted[sorted.length >> 1];
    const any = middle.stalls === undefined ? {} : { stalls };
    bench.samples.push({ ...common, ...middle, ...any, value: median(values) });
  }
}

async function measureStreams(bench: Bench, measure: "tcp" | "udp"): Promise<void> {
  const { seconds, udpRate, streamRounds } = bench.options;
  for (const { path, target } of wantedCases(bench)) {
    for (const variant of ["forward", "reverse"]) {
      const reverse = variant === "reverse";
      const stream = async (route: Route) => {
        const { gbitPerSec, ...rest } = await (measure === "tcp"
          ? tcpStream(route, seconds, reverse)
          : udpStream(route, seconds, reverse, udpRate));
        return { value: gbitPerSec, ...rest };
      };
      const what = { measure, variant, unit: "Gbit/s" } as const;
      await forEachSubject(bench, path, target, what, stream, streamRounds);
    }
  }
}

/** Packets per second, round by round: every subject once a round, so that drift meets all of them. */
async function measurePackets(bench: Bench): Promise<void> {
  const variants = [
    { variant: "1 flow", flows: 1, senders: 1 },
    { variant: "1000 flows", flows: 1000, senders: 1 },
    { variant: "2 senders", flows: 1, senders: 2 },
  ];
  for (const path of bench.options.path) {
    for (const { variant, flows, senders } of variants) {
      const rounds = new Map<Subject, number[]>();
      for (let round = 0; round < bench.options.rounds; round++) {
        for (const subject of turned(bench.subjects, round)) {
          const route = subject.routes.find((r) => r.path === path && r.target === "service");
          // The kernel's path runs on the sending core; the others have a core of their own for it.
          if (route === undefined || (senders > 1 && subject.name !== "kernel")) continue;
          const kpps = await smallFrames(route, bench.programs["packet-gen"], flows, 2, senders);
          rounds.set(subject, [...(rounds.get(subject) ?? []), kpps]);
        }
      }
      for (const [subject, values] of rounds) {
        const value = median(values);
        progress(`pps ${path} service ${variant}: ${subject.name} ${value.toFixed(0)} kpps`);
        const what = { measure: "pps", path, target: "service", variant, unit: "kpps" } as const;
        bench.samples.push({ ...what, subject: subject.name, value, rounds: values });
      }
    }
  }
}

async function measureLatency(bench: Bench): Promise<void> {
  const seconds = Math.min(bench.options.seconds, 5);
  for (const { path, target } of wantedCases(bench)) {
    for (const mode of ["rr", "crr"] as const) {
      const variant = mode === "rr" ? "request" : "connect+request";
      await forEachSubject(bench, path, target, { measure: mode, variant, unit: "1/s" }, async (route) => {
        const { perSec, p50Us, p99Us } = await roundTrips(route, bench.programs["round-trip"], mode, seconds);
        return { value: perSec, p50Us, p99Us };
      });
    }
  }
}

async function measureNetwork(options: Options): Promise<Sample[]> {
  if (process.getuid?.() !== 0)
    throw new BenchError("the benchmark makes network namespaces: run it as root");
  const programs = await buildPrograms();
  const subjects = await makeSubjects(options, programs["copy-loop"]);
  const bench: Bench = { options, subjects, programs, samples: [] };
  for (const subject of subjects) {
    await dropDiscardTraffic(subject);
    for (const netns of new Set(subject.routes.map((r) => r.serverNetns)))
      await startServers(netns, programs["round-trip"]);
  }
  for (const kind of options.only) {
    if (kind === "tcp" || kind === "udp") await measureStreams(bench, kind);
    if (kind === "pps") await measurePackets(bench);
    if (kind === "latency") await measureLatency(bench);
  }
  return bench.samples;
}

async function runBench(options: Options): Promise<number> {
  const load = loadavg()[0];
  if (load > cpus().length / 2)
    progress(
      `this machine is busy (load ${load.toFixed(1)}): whatever needs two cores at once will look slow`,
    );
  const isNetwork = options.only.some((kind) => !(ALONE as readonly Only[]).includes(kind));
  const samples = isNetwork ? await measureNetwork(options) : [];
  const rows = toRows(samples);
  if (isNetwork) process.stdout.write(`${formatTable(rows)}\n`);
  // Last and alone: the subjects of the others run until the end, but idle.
  const scale: ScaleRow[] = options.only.includes("scale") ? await measureScale(options.check, progress) : [];
  if (scale.length > 0) process.stdout.write(`${formatScale(scale)}\n`);
  const policy = options.only.includes("policy") ? await measurePolicy(options.check, progress) : [];
  if (policy.length > 0) process.stdout.write(`${formatPolicy(policy)}\n`);
  const broken = [...brokenFloors(rows), ...brokenScale(scale), ...brokenPolicy(policy)];
  const machine = {
    cpu: cpus()[0].model,
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    load,
  };
  const { seconds, rounds } = options;
  const report = { machine, seconds, rounds, samples, rows, scale, policy, broken };
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  for (const line of broken) process.stdout.write(`below the promise: ${line}\n`);
  return options.check && broken.length > 0 ? 3 : 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => void undoAll().then(() => process.exit(1)));
}
let status = 1;
try {
  status = await runBench(parseOptions());
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
} finally {
  await undoAll();
}
process.exit(status);
