// The benchmark: podwire, the kernel and a C copy loop stand side by side for the whole run and are
// measured in turn, so that a machine that is busy or slow is so for all of them. Ratios are what is
// compared; absolute figures drift.
import { writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { brokenFloors, type Sample, toRows } from "./figures/sample.ts";
import { formatCosts, formatTable } from "./figures/table.ts";
import { caseName } from "./network/cases.ts";
import { markChildren } from "./network/cpu-account.ts";
import { type Bench, measureCase, serve } from "./network/run-cases.ts";
import { type Options, parseOptions } from "./options.ts";
import { brokenPolicy, formatPolicy, measurePolicy } from "./policy/policy-figures.ts";
import { buildPrograms } from "./programs.ts";
import { brokenScale, formatScale, measureScale } from "./scale/scale.ts";
import { BenchError, undoAll } from "./shell.ts";
import { makeSubjects } from "./subject/make-subjects.ts";
import { SUBJECTS } from "./subject/subject.ts";

const progress = (text: string) => process.stderr.write(`bench: ${text}\n`);

async function measureNetwork(options: Options): Promise<Sample[]> {
  if (process.getuid?.() !== 0)
    throw new BenchError("the benchmark makes network namespaces: run it as root");
  markChildren();
  const programs = await buildPrograms();
  const subjects = await makeSubjects(
    {
      names: SUBJECTS.filter((name) => !options.skip.includes(name)),
      paths: options.cases.map((c) => c.path),
      against: options.against,
      copyLoop: programs["copy-loop"],
    },
    progress,
  );
  const bench: Bench = { effort: options, subjects, programs, servers: new Map(), progress };
  for (const subject of subjects) await serve(bench, subject);
  const samples: Sample[] = [];
  for (const c of options.cases) samples.push(...(await measureCase(bench, c)));
  return samples;
}

async function runBench(options: Options): Promise<number> {
  if (options.list) {
    const names = [...options.cases.map(caseName), ...options.alone];
    process.stdout.write(`${names.join("\n")}\n`);
    return 0;
  }
  const load = loadavg()[0];
  if (load > cpus().length / 2)
    progress(
      `this machine is busy (load ${load.toFixed(1)}): whatever needs two cores at once will look slow`,
    );
  const samples = options.cases.length > 0 ? await measureNetwork(options) : [];
  const rows = toRows(samples);
  if (rows.length > 0) process.stdout.write(`${formatTable(rows)}\n\n${formatCosts(rows)}\n`);
  // Last and alone: the subjects of the others run until the end, but idle.
  const scale = options.alone.includes("scale") ? await measureScale(options.check, progress) : [];
  if (scale.length > 0) process.stdout.write(`${formatScale(scale)}\n`);
  const policy = options.alone.includes("policy") ? await measurePolicy(options.check, progress) : [];
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
  status = await runBench(parseOptions(process.argv));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
} finally {
  await undoAll();
}
process.exit(status);
