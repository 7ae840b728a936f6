// Allocation and de-optimisation of a hot subject, measured in a fresh process: nothing else on its heap, no
// coverage counters in its code, and V8 flags of its own.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface HotRun {
  /** Compiled module (URL) and the name of its CreateHotSubject. */
  readonly module: URL;
  readonly create: string;
  readonly units: number;
  readonly warmUnits?: number;
}

interface Report {
  readonly units: number;
  readonly heapBytes: number;
  readonly bufferBytes: number;
  readonly collections: number;
  readonly logBytes: number;
}

export interface Allocation {
  readonly bytesPerUnit: number;
  readonly units: number;
}

export interface Deopt {
  /** "file:line:column", the innermost inlined function first. */
  readonly location: string;
  readonly kind: string;
  readonly reason: string;
}

const CHILD = join(import.meta.dirname, "hot-child.js");
// Room for all that a subject may leave behind in one run: a collection in between would hide it.
const NEW_SPACE_MB = 256;

/**
 * Bytes that one unit leaves on the heap and in array buffers, after warm-up. Throws when the collector ran.
 */
export function measureAlloc(run: HotRun): Allocation {
  return allocation(runChild(ALLOC_FLAGS, run));
}

/** De-optimisations after warm-up in code whose location matches. */
export function findDeopts(run: HotRun, files: RegExp): Deopt[] {
  return withLog((flags, log, read) => read(runChild(flags, run, log))).filter((deopt) => isOf(files, deopt));
}

/** Both in one process: warming up takes most of the time. */
export function measureHot(run: HotRun, files: RegExp): Allocation & { readonly deopts: Deopt[] } {
  return withLog((flags, log, read) => {
    const report = runChild([...ALLOC_FLAGS, ...flags], run, log);
    return { ...allocation(report), deopts: read(report).filter((deopt) => isOf(files, deopt)) };
  });
}

const ALLOC_FLAGS = [
  "--expose-gc",
  `--min-semi-space-size=${NEW_SPACE_MB}`,
  `--max-semi-space-size=${NEW_SPACE_MB}`,
];

function allocation({ collections, units, heapBytes, bufferBytes }: Report): Allocation {
  if (collections > 0) {
    throw new Error(`the collector ran ${collections} times: more than ${NEW_SPACE_MB} MiB were allocated`);
  }
  return { units, bytesPerUnit: (heapBytes + bufferBytes) / units };
}

const isOf = (files: RegExp, { location }: Deopt): boolean => files.test(location);

/** With the flags for a log of V8's, its place, and a reader of what it tells after the warm-up. */
function withLog<T>(use: (flags: string[], log: string, read: (report: Report) => Deopt[]) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "podwire-deopt-"));
  const log = join(folder, "v8.log");
  try {
    return use(["--log-deopt", `--logfile=${log}`, "--no-logfile-per-isolate"], log, ({ logBytes }) =>
      parseDeopts(readFileSync(log).subarray(logBytes).toString("utf8")),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Lines of V8's log: code-deopt,time,size,code,inlining,offset,kind,location,reason */
export function parseDeopts(log: string): Deopt[] {
  const deopts: Deopt[] = [];
  for (const line of log.split("\n")) {
    const match = /^code-deopt,(?:[^,]*,){5}([^,]*),(.*),([^,]*)$/.exec(line);
    if (match !== null) deopts.push({ kind: match[1], location: match[2], reason: match[3] });
  }
  return deopts;
}

// V8 optimizes in the background; on a busy machine that would be over long after the warm-up, or never.
const DETERMINISTIC = ["--no-concurrent-recompilation"];

function runChild(flags: readonly string[], run: HotRun, v8Log?: string): Report {
  const { NODE_V8_COVERAGE: _coverage, NODE_OPTIONS: _options, ...env } = process.env;
  const numbers = [String(run.warmUnits ?? 200_000), String(run.units)];
  const args = [
    ...DETERMINISTIC,
    ...flags,
    CHILD,
    run.module.href,
    run.create,
    ...numbers,
    ...(v8Log === undefined ? [] : [v8Log]),
  ];
  const child = spawnSync(process.execPath, args, { encoding: "utf8", env, timeout: 240_000 });
  const line = child.stdout.split("\n").findLast((candidate) => candidate.startsWith("{"));
  if (child.status !== 0 || line === undefined) {
    throw new Error(
      `${run.create} failed (${child.status ?? child.signal}): ${child.stderr || child.stdout}`,
    );
  }
  return JSON.parse(line) as Report;
}
