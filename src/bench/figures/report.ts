// A run as a file: written with --json, read by --compare and --report.
import { readFile } from "node:fs/promises";
import { BenchError } from "../shell.ts";
import type { Machine } from "./machine.ts";
import { type Row, type Sample, toRows } from "./sample.ts";

/** Raised when what is in a file changes its meaning. */
export const REPORT_VERSION = 2;

/** What a load spends its time on: shares of the samples in per cent, and the functions that come first. */
export interface Profile {
  /** measure/path/target/variant. */
  load: string;
  subject: string;
  parts: { name: string; percent: number }[];
  functions: { name: string; percent: number }[];
}

export interface Report {
  version: typeof REPORT_VERSION;
  /** Date and time, ISO 8601. */
  made: string;
  machine: Machine;
  effort: { seconds: number; rounds: number; streamRounds: number; udpRate: string };
  samples: Sample[];
  rows: Row[];
  profiles: Profile[];
  /** Of the agents' data-plane threads, by V8: whose their time is, and the steps of a packet's way. */
  steps?: Profile[];
  start?: unknown[]; // reports of before have none
  scale: unknown[];
  policy: unknown[];
  broken: string[];
}

export async function readReport(file: string): Promise<Report> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new BenchError(`${file}: ${(cause as NodeJS.ErrnoException).code}: no such report to read`, {
      cause,
    });
  }
  return parseReport(text, file);
}

/** file: its name, for what is wrong. */
export function parseReport(text: string, file: string): Report {
  let report: Partial<Report> | null;
  try {
    report = JSON.parse(text);
  } catch (cause) {
    throw new BenchError(`${file}: no JSON: give a file that scripts/bench --json wrote`, { cause });
  }
  if (report === null || typeof report !== "object" || !Array.isArray(report.samples))
    throw new BenchError(`${file}: no report of the benchmark: give a file that scripts/bench --json wrote`);
  if (report.version !== REPORT_VERSION)
    throw new BenchError(
      `${file}: a report of version ${report.version ?? 1}, and this is ${REPORT_VERSION}: measure again with --json`,
    );
  if (report.machine === undefined || !report.samples.every(isSample))
    throw new BenchError(`${file}: a report that is not whole: measure again with --json`);
  return report as Report;
}

function isSample(sample: Partial<Sample> | null): boolean {
  if (sample === null || typeof sample !== "object") return false;
  const { measure, path, target, variant, subject, unit, value, rounds } = sample;
  const isNamed = [measure, path, target, variant, subject, unit].every((word) => typeof word === "string");
  return isNamed && typeof value === "number" && Array.isArray(rounds);
}

/** Several runs as one: of what two of them measured the later one's word counts, for all subjects of a case. */
export function mergeReports(reports: readonly Report[]): Report {
  const last = reports[reports.length - 1];
  const byCase = new Map<string, Sample[]>();
  for (const { samples } of reports) {
    const mine = new Map<string, Sample[]>();
    for (const sample of samples) {
      const name = [sample.measure, sample.path, sample.target, sample.variant].join("/");
      mine.set(name, [...(mine.get(name) ?? []), sample]);
    }
    for (const [name, each] of mine) byCase.set(name, each);
  }
  const samples = [...byCase.values()].flat();
  const [profiles, steps] = (["profiles", "steps"] as const).map(
    (kind) =>
      new Map(reports.flatMap((r) => (r[kind] ?? []).map((p) => [`${p.load} ${p.subject}`, p] as const))),
  );
  return {
    ...last,
    ...{ samples, rows: toRows(samples), profiles: [...profiles.values()], steps: [...steps.values()] },
  };
}
