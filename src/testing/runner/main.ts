// scripts/unit-test.mjs: test files as one names them, of one kind or of some subjects; the last line is
// "N passed, N failed".
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../tidy/source-tree.ts";
import { keepSeconds, slowestFirst } from "./pace.ts";
import { addToReport, readReport, reportText } from "./report.ts";
import { type FileResult, quotesOf, skipReasons } from "./run-files.ts";
import { MOST_SAVED, runSaving } from "./saved.ts";
import { stopOnSignals } from "./stop-on-signals.ts";
import { filesOf, mayShare, needsMachine, SUBJECTS } from "./subjects.ts";

const USAGE = `usage: node scripts/unit-test.mjs [--native | --cluster | --apart] [--only SUBJECT,…] [FILE.test.ts…]

Runs compiled tests: those beside the code, or with --native those of native-test, which need root and a kernel.
Files beside the code run one after another in a process for each core, but for a few (runner/subjects.ts); a file that
is alone, or needs a kernel, has a process of its own. Native tests run two side by side; those that need quiet come
last, one after the other. Those of native-test/cluster need a control plane as well: scripts/test-cluster runs
them with --cluster.

  --apart          each file in a process of its own
  --only SUBJECT   the files of this subject alone; --list names the subjects
  --jobs N         files side by side (default: one a core, at most 4; with --native at most 2)
  --timeout N      seconds for a file (default 120; with --native 600)
  --report FILE    adds what each file took to this file
  --summary FILE   runs nothing: prints the slowest files of such a report, and those that had to run again
  --list           the subjects and their files

With TEST_AGAIN=1 up to ${MOST_SAVED} files that failed run once more, alone. What passes then is named at the end, and
fails the run when the same file was saved the last time it ran.`;

const OPTIONS = {
  native: { type: "boolean" },
  cluster: { type: "boolean" },
  apart: { type: "boolean" },
  only: { type: "string", multiple: true },
  jobs: { type: "string" },
  timeout: { type: "string" },
  report: { type: "string" },
  summary: { type: "string" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parse>["values"];
const parse = (args: string[]) => parseArgs({ args, options: OPTIONS, allowPositionals: true });

const root = projectRoot();
const SECONDS = "build/test-seconds.json";
const compiled = (file: string): string => join("build", file.replace(/\.ts$/, ".js"));

/** All test files of a folder. Sources are listed, not build/: a test whose source is gone must not run on. */
export function listTests(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => join(folder, file))
    .sort();
}

function refuse(message: string): number {
  console.error(`unit-test: ${message}`);
  return 2;
}

export async function main(args: string[]): Promise<number> {
  process.chdir(root);
  let values: Values;
  let named: string[];
  try {
    ({ values, positionals: named } = parse(args));
  } catch (error) {
    return refuse(String(error instanceof Error ? error.message : error));
  }
  const subjects = (values.only ?? []).flatMap((words) => words.split(","));
  const unknown = subjects.find((subject) => !Object.hasOwn(SUBJECTS, subject));
  if (unknown !== undefined) return refuse(`no subject ${unknown}: --list names them`);
  for (const [option, value] of [
    ["jobs", values.jobs],
    ["timeout", values.timeout],
  ] as const) {
    if (value !== undefined && !/^[1-9]\d{0,5}$/.test(value))
      return refuse(`--${option} ${value}: not a number`);
  }
  if (values.help || values.list || values.summary !== undefined) {
    for (const line of values.help
      ? [USAGE]
      : values.list
        ? listing()
        : reportText(readReport(values.summary!)))
      console.log(line);
    return 0;
  }
  let files = named.length > 0 ? named.map(sourceOf) : testsOf(values);
  if (subjects.length > 0) {
    const wanted = new Set(subjects.flatMap((subject) => filesOf(subject, files)));
    files = files.filter((file) => wanted.has(file));
  }
  if (named.length > 0 && files.length === 0) return refuse("none of these files is of that subject");
  const gone = files.find((file) => !existsSync(file));
  if (gone !== undefined) return refuse(`${gone}: no such file`);
  const other = files.find((file) => !file.endsWith(".test.ts"));
  if (other !== undefined) return refuse(`${other}: not a test: they end in .test.ts`);
  const missing = files.find((file) => !existsSync(compiled(file)));
  if (missing !== undefined) return refuse(`${compiled(missing)} is not there: npm run build`);
  // Whoever names files wants to know the line; a whole run wants to be short.
  return runAll(files, values, named.length > 0 || subjects.length > 0);
}

const CLUSTER = join("native-test", "cluster");

function testsOf({ native, cluster }: Values): string[] {
  if (cluster) return listTests(CLUSTER);
  return native ? listTests("native-test").filter((file) => !file.startsWith(CLUSTER)) : listTests("src");
}

/** A file as one names it: the source or what is built of it, from anywhere. */
const sourceOf = (file: string): string =>
  relative(root, resolve(file))
    .replace(/^build\//, "")
    .replace(/\.js$/, ".ts");

function listing(): string[] {
  const [unit, native] = [listTests("src"), listTests("native-test")];
  return Object.entries(SUBJECTS).flatMap(([subject, { what }]) => [
    `${subject}: ${what}`,
    ...[...filesOf(subject, unit), ...filesOf(subject, native)].map((file) => `  ${file}`),
  ]);
}

async function runAll(files: readonly string[], values: Values, hasSourceMaps: boolean): Promise<number> {
  const isNative = values.native || values.cluster;
  const most = values.cluster ? 1 : values.native ? 2 : 4;
  const jobs = Number(values.jobs ?? Math.min(most, availableParallelism()));
  const timeoutSeconds = Number(values.timeout ?? (isNative ? 600 : 120));
  console.log(`TAP version 14\n1..${files.length}`);
  let number = 0;
  const isAlone = files.length === 1;
  const onResult = (result: FileResult): void => printResult(result, ++number, isAlone);
  const onOutput = (text: string): void => void process.stdout.write(text);
  const stop = stopOnSignals();
  const options = {
    jobs,
    stop,
    timeoutSeconds,
    compiled,
    hasSourceMaps,
    ...(isNative || values.apart || isAlone ? {} : { mayShare }),
    ...(values.native ? { needsMachine } : {}),
    onResult,
    ...(isAlone ? { onOutput } : {}),
  };
  const { results, saved } = await runSaving(jobs > 1 ? slowestFirst(files, SECONDS) : files, options);
  if (stop.aborted) {
    console.log("# stopped by a signal");
    return stop.reason as number;
  }
  keepSeconds(results, SECONDS);
  if (values.report !== undefined) addToReport(values.report, results, saved);
  const sum = (field: "passed" | "failed" | "skipped"): number =>
    results.reduce((total, result) => total + result[field], 0);
  const skipped = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
  console.log(`${sum("passed")} passed, ${sum("failed")} failed${skipped}`);
  return sum("failed") === 0 ? 0 : 1;
}

function printResult(result: FileResult, number: number, isShown: boolean): void {
  const { file, passed, failed, skipped, seconds, cpuSeconds, output } = result;
  const why = skipReasons(output).join("; ");
  const left = skipped > 0 ? `, ${skipped} skipped${why === "" ? "" : ` (${why})`}` : "";
  const counts = `${passed} passed, ${failed} failed${left}`;
  if (failed > 0 && !isShown) console.log(output.trimEnd().replaceAll(/^/gm, "    "));
  if (!isShown) for (const line of quotesOf(output)) console.log(`# ${line}`);
  const took = `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`;
  console.log(`${failed > 0 ? "not " : ""}ok ${number} - ${compiled(file)} # ${counts}, ${took}`);
}
