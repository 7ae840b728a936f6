// The benchmark: podwire, the kernel and a C copy loop stand side by side for the whole run and are
// measured in turn, so that a machine that is busy or slow is so for all of them. Ratios are what is
// compared; absolute figures drift. Two runs are compared, and made into a page, from what --json wrote.
import { writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { compareReports, formatComparison } from "./figures/compare.ts";
import { describeMachine, formatMachine } from "./figures/machine.ts";
import { formatProfiles, formatSteps, writePage } from "./figures/page.ts";
import { type Profile, REPORT_VERSION, type Report, readReport } from "./figures/report.ts";
import { brokenFloors, type Sample, toRows } from "./figures/sample.ts";
import { formatCosts, formatTable } from "./figures/table.ts";
import { CASES, caseName } from "./network/cases.ts";
import { markChildren, readCpu, shareBetween, takeUsualNice } from "./network/cpu-account.ts";
import { type Bench, measureCase, serve } from "./network/run-cases.ts";
import { type Options, parseOptions } from "./options.ts";
import { brokenPolicy, formatPolicy, measurePolicy, type PolicyFigure } from "./policy/policy-figures.ts";
import { cpuProfileCases, prepareCpuProfiles } from "./profile/cpu-prof.ts";
import { PROFILED, prepareProfiles, profileCases } from "./profile/profile.ts";
import { buildPrograms } from "./programs.ts";
import { brokenScale, formatScale, measureScale, type ScaleRow } from "./scale/scale.ts";
import { BenchError, undoAll } from "./shell.ts";
import { brokenStart, formatStart, measureStart, type StartFigure } from "./start/start.ts";
import { makeSubjects } from "./subject/make-subjects.ts";
import { SUBJECTS } from "./subject/subject.ts";

const progress = (text: string) => process.stderr.write(`bench: ${text}\n`);

interface Measured {
  samples: Sample[];
  profiles: Profile[];
  steps: Profile[];
  start: StartFigure[];
  scale: ScaleRow[];
  policy: PolicyFigure[];
}
const measured: Measured = { samples: [], profiles: [], steps: [], start: [], scale: [], policy: [] };

/** Writes the file of --json, if there is to be one: of a run that was cut short, what had been measured until then. */
let keep = async (): Promise<void> => {};

async function measureNetwork(options: Options): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new BenchError("the benchmark makes network namespaces: run it as root");
  const isNicer = takeUsualNice();
  if (isNicer !== "") progress(isNicer);
  const programs = await buildPrograms();
  if (options.profile) await prepareProfiles();
  const folder = options.cpuProf ? await prepareCpuProfiles() : "";
  const profiled = CASES.filter((c) => PROFILED.includes(caseName(c)));
  const isProfiled = options.profile || options.cpuProf;
  const subjects = await makeSubjects(
    {
      names: SUBJECTS.filter((name) => !options.skip.includes(name)),
      paths: [...options.cases, ...(isProfiled ? profiled : [])].map((c) => c.path),
      against: options.against,
      copyLoop: programs["copy-loop"],
      hasOvs: options.peers.includes("ovs"),
    },
    progress,
  );
  const bench: Bench = { effort: options, subjects, programs, servers: new Map(), progress };
  for (const subject of subjects) await serve(bench, subject);
  for (const c of options.cases) measured.samples.push(...(await measureCase(bench, c)));
  if (options.profile) measured.profiles = await profileCases(bench, profiled);
  if (options.cpuProf) measured.steps = await cpuProfileCases(bench, profiled, folder);
}

async function runBench(options: Options): Promise<number> {
  if (options.list) {
    const names = [...options.cases.map(caseName), ...options.alone];
    process.stdout.write(`${names.join("\n")}\n`);
    return 0;
  }
  if (options.compare) return compareFiles(options.files[0], options.files[1], options.check);
  if (options.report !== undefined) {
    const written = await writePage(options.report, options.files);
    process.stdout.write(`${written.join("\n")}\n`);
    return 0;
  }
  return measureAll(options);
}

async function compareFiles(fileA: string, fileB: string, isStrict: boolean): Promise<number> {
  const [a, b] = [await readReport(fileA), await readReport(fileB)];
  process.stdout.write(`${formatComparison(a, b, [fileA, fileB])}\n`);
  return isStrict && compareReports(a, b).changes.some((change) => change.verdict === "worse") ? 3 : 0;
}

async function measureAll(options: Options): Promise<number> {
  const load = loadavg()[0];
  if (load > cpus().length / 2)
    progress(
      `this machine is busy (load ${load.toFixed(1)}): whatever needs two cores at once will look slow`,
    );
  markChildren();
  const before = readCpu();
  const share = (): ReturnType<typeof shareBetween> => shareBetween(before, readCpu(), cpus().length, load);
  keep = async () => {
    if (options.json === undefined || Object.values(measured).every((some) => some.length === 0)) return;
    await writeFile(options.json, `${JSON.stringify(reportOf(options, share()), null, 2)}\n`);
  };
  if (options.cases.length > 0 || options.profile || options.cpuProf) await measureNetwork(options);
  const meanwhile = share();
  const rows = toRows(measured.samples);
  if (rows.length > 0) process.stdout.write(`${formatTable(rows)}\n\n${formatCosts(rows)}\n`);
  if (measured.profiles.length > 0) process.stdout.write(`\n${formatProfiles(measured.profiles)}\n`);
  if (measured.steps.length > 0) process.stdout.write(`\n${formatSteps(measured.steps)}\n`);
  await measureAlone(options);
  const report = reportOf(options, meanwhile);
  process.stdout.write(`\n${formatMachine(report.machine)}\n`);
  for (const line of report.broken) process.stdout.write(`below the promise: ${line}\n`);
  return options.check && report.broken.length > 0 ? 3 : 0;
}

/** Last and alone: the subjects of the others run until the end, but idle. */
async function measureAlone({ alone, check }: Options): Promise<void> {
  if (alone.includes("start")) {
    measured.start = await measureStart(check, progress);
    process.stdout.write(`${formatStart(measured.start)}\n`);
  }
  if (alone.includes("scale")) {
    measured.scale = await measureScale(check, progress);
    process.stdout.write(`${formatScale(measured.scale)}\n`);
  }
  if (alone.includes("policy")) {
    measured.policy = await measurePolicy(check, progress);
    process.stdout.write(`${formatPolicy(measured.policy)}\n`);
  }
}

function reportOf(options: Options, meanwhile: ReturnType<typeof shareBetween>): Report {
  const { seconds, rounds, streamRounds, udpRate } = options;
  const rows = toRows(measured.samples);
  const broken = [
    ...brokenFloors(rows),
    ...brokenStart(measured.start),
    ...brokenScale(measured.scale),
    ...brokenPolicy(measured.policy),
  ];
  return {
    version: REPORT_VERSION,
    made: new Date().toISOString(),
    machine: describeMachine(meanwhile),
    effort: { seconds, rounds, streamRounds, udpRate },
    ...{ ...measured, rows, broken },
  };
}

async function finish(status: number): Promise<never> {
  let ended = status;
  try {
    await keep();
  } catch (error) {
    process.stderr.write(`bench: --json: ${(error as Error).message}\n`);
    ended = 1;
  }
  await undoAll();
  process.exit(ended);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void finish(1));
let status = 1;
try {
  status = await runBench(parseOptions(process.argv));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
}
await finish(status);
