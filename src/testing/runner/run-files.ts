// Runs test files, a few side by side, and tells of each how it went and what it took. The files speak TAP. Each has a
// process of its own, or, where the caller allows it, one that runs many, one after another: a process costs 0.25 s of
// CPU before a file's first line. Without the hooks that `tap run` puts in it costs a third, and so does every Node
// process that a test starts.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SharedProcess } from "./shared-process.ts";
import { endOf, limit, usedByChildren } from "./test-process.ts";

/** tap keeps a file's time itself; this much later its event loop hangs. */
const GRACE_SECONDS = 30;
const END_ON_SIGNAL = pathToFileURL(join(import.meta.dirname, "end-on-signal.js")).href;

export interface FileResult {
  /** As it was named. */
  readonly file: string;
  readonly seconds: number;
  /** Of the process and what it started and waited for; two files that end at the same moment share theirs. */
  readonly cpuSeconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly output: string;
}

export interface RunOptions {
  readonly jobs: number;
  readonly timeoutSeconds: number;
  readonly graceSeconds?: number;
  /** A named file's compiled JavaScript. */
  readonly compiled: (file: string) => string;
  /** Failures name lines of TypeScript; takes 0.06 s of CPU a file. */
  readonly hasSourceMaps?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  /** True for files that may run in a process that runs others, too; without it each has its own. */
  readonly mayShare?: (file: string) => boolean;
  /** True for files beside which no other is to run; they come last. */
  readonly needsMachine?: (file: string) => boolean;
  /** Once it is aborted no other file begins, and those that run are told to end (SIGTERM). */
  readonly stop?: AbortSignal | undefined;
  /** Called as files end. */
  readonly onResult?: (result: FileResult) => void;
  /** Called with output as it comes: for one file. */
  readonly onOutput?: (text: string) => void;
}

/** The results in the order in which the files ended. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const isAlone = options.needsMachine ?? (() => false);
  const waiting = files.filter((file) => !isAlone(file));
  const next = (): string | undefined => (options.stop?.aborted ? undefined : waiting.shift());
  const worker = async (): Promise<void> => {
    const shared = createShared(options);
    for (let file = next(); file !== undefined; file = next()) {
      const result = await (options.mayShare?.(file)
        ? runShared(shared, file, options)
        : runFile(file, options));
      results.push(result);
      options.onResult?.(result);
    }
    shared.close();
  };
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, worker));
  waiting.push(...files.filter(isAlone));
  await worker();
  return results;
}

/** Counts of a file's TAP; one that ends without counting, or badly with nothing failed, has failed. */
export function countsOf(output: string, ending: string): Pick<FileResult, "passed" | "failed" | "skipped"> {
  const summary = output.match(/^# \{ total: .*\}$/gm)?.at(-1);
  const count = (word: string): number =>
    Number(new RegExp(`\\b${word}: (\\d+)`).exec(summary ?? "")?.[1] ?? 0);
  const [passed, failed] = [count("pass"), count("fail")];
  const isBad = summary === undefined || ending !== "status 0";
  return { passed, failed: isBad ? Math.max(1, failed) : failed, skipped: count("skip") + count("todo") };
}

/** Why tests of a file were skipped, each reason once. */
export function skipReasons(output: string): string[] {
  return [...new Set([...output.matchAll(/ # SKIP (.+)$/gm)].map(([, why]) => why.trim()))];
}

/** What a file quotes of others' programs: comments that begin with ">". */
export function quotesOf(output: string): string[] {
  return [...output.matchAll(/^ *# (> .*)$/gm)].map(([, line]) => line.trimEnd());
}

function createShared(options: RunOptions): SharedProcess {
  return new SharedProcess({
    ...limitsOf(options),
    flags: flagsOf(options),
    env: envOf(options),
    stop: options.stop,
    onExit: () => void cpuSecondsSinceLast(), // these were told file by file
  });
}

async function runShared(shared: SharedProcess, file: string, options: RunOptions): Promise<FileResult> {
  const begin = performance.now();
  const { passed, failed, skipped, cpuSeconds, output } = await shared.run(options.compiled(file));
  const seconds = (performance.now() - begin) / 1000;
  return { file, seconds, cpuSeconds, passed, failed, skipped, output };
}

/**
 * A test node's memory is 30 MB, of which it touches little. Without this threshold the C library serves the second node
 * from what the first gave back, and has to clear all of it: 1 s of CPU of 4 in a file with 500 nodes.
 */
const MALLOC_THRESHOLD_BYTES = 500_000;

const envOf = ({ env }: RunOptions): NodeJS.ProcessEnv => ({
  MALLOC_MMAP_THRESHOLD_: String(MALLOC_THRESHOLD_BYTES),
  ...process.env,
  ...env,
});
const flagsOf = (options: RunOptions): string[] => (options.hasSourceMaps ? ["--enable-source-maps"] : []);
const limitsOf = ({ timeoutSeconds, graceSeconds = GRACE_SECONDS }: RunOptions) => ({
  timeoutSeconds,
  graceSeconds,
});

async function runFile(file: string, options: RunOptions): Promise<FileResult> {
  const { timeoutSeconds, compiled, onOutput, stop } = options;
  const begin = performance.now();
  const child = spawn(process.execPath, [...flagsOf(options), "--import", END_ON_SIGNAL, compiled(file)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { TAP: "1", TAP_TIMEOUT: String(timeoutSeconds), ...envOf(options) },
  });
  let output = "";
  let cpuSeconds = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      onOutput?.(text);
    });
  }
  const unlimit = limit(child, { ...limitsOf(options), stop });
  const ending = await endOf(child, () => {
    cpuSeconds = cpuSecondsSinceLast();
    unlimit();
  });
  if (ending !== "status 0") output += `\n# ended with ${ending}\n`;
  const seconds = (performance.now() - begin) / 1000;
  return { file, seconds, cpuSeconds, ...countsOf(output, ending), output };
}

let toldCpuSeconds = 0;

/** Used since the last call by children that have ended, theirs included. */
function cpuSecondsSinceLast(): number {
  const used = usedByChildren();
  const since = used - toldCpuSeconds;
  toldCpuSeconds = used;
  return since;
}
