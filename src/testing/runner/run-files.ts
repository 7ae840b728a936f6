// Runs test files, each in a process of its own, a few side by side, and tells of each how it went and what it took.
// The files speak TAP. Without the hooks that `tap run` puts in, a process costs a third, and so does every Node process
// that a test starts.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** POSIX leaves the length of /proc's ticks open; Linux has fixed it for programs. */
const TICKS_A_SECOND = 100;
/** tap keeps a file's time itself; this much later its event loop hangs. */
const GRACE_SECONDS = 30;
/** Then a file may still say what it waits for (SIGALRM), before it is killed. */
const LAST_WORDS_MS = 10_000;

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
  /** Called as files end. */
  readonly onResult?: (result: FileResult) => void;
  /** Called with output as it comes: for one file. */
  readonly onOutput?: (text: string) => void;
}

/** The results in the order in which the files ended. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, options);
      results.push(result);
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, worker));
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

function runFile(file: string, options: RunOptions): Promise<FileResult> {
  const { timeoutSeconds, compiled, onOutput } = options;
  const begin = performance.now();
  const flags = options.hasSourceMaps ? ["--enable-source-maps"] : [];
  const child = spawn(process.execPath, [...flags, compiled(file)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TAP: "1", TAP_TIMEOUT: String(timeoutSeconds), ...options.env },
  });
  let output = "";
  let cpuSeconds = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      onOutput?.(text);
    });
  }
  const mostMs = (timeoutSeconds + (options.graceSeconds ?? GRACE_SECONDS)) * 1000;
  const timer = setTimeout(() => child.kill("SIGALRM"), mostMs);
  const hard = setTimeout(() => child.kill("SIGKILL"), mostMs + LAST_WORDS_MS);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => {
      cpuSeconds = cpuSecondsSinceLast();
      clearTimeout(timer);
      clearTimeout(hard);
      // What the file left running may hold its pipes: it does not hold the run.
      setTimeout(() => [child.stdout, child.stderr].map((stream) => stream.destroy()), 2000).unref();
    });
    child.on("close", (status, signal) => {
      const ending = signal === null ? `status ${status}` : `signal ${signal}`;
      if (ending !== "status 0") output += `\n# ended with ${ending}\n`;
      resolve({
        file,
        seconds: (performance.now() - begin) / 1000,
        cpuSeconds,
        ...countsOf(output, ending),
        output,
      });
    });
  });
}

let toldCpuSeconds = 0;

/** Used since the last call by children that have ended, theirs included; 0 where /proc does not tell. */
function cpuSecondsSinceLast(): number {
  let stat: string;
  try {
    stat = readFileSync("/proc/self/stat", "utf8");
  } catch {
    return 0;
  }
  // The second field, the program's name, may hold blanks; cutime and cstime are the 16th and 17th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const used = (Number(fields[13]) + Number(fields[14])) / TICKS_A_SECOND;
  const since = used - toldCpuSeconds;
  toldCpuSeconds = used;
  return since;
}
