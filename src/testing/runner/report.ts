// What a run says at its end, over all its parts: which files were slow, and which passed only when they ran again. Parts
// leave their results in one file, a JSON object a line.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { FileResult } from "./run-files.ts";

const SLOWEST = 20;

export interface Entry {
  readonly file: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Failed, and passed when it ran again. */
  readonly isSaved: boolean;
}

export function addToReport(path: string, results: readonly FileResult[], saved: readonly string[]): void {
  const lines = results.map(({ file, seconds, cpuSeconds }): string =>
    JSON.stringify({ file, seconds, cpuSeconds, isSaved: saved.includes(file) } satisfies Entry),
  );
  appendFileSync(path, lines.map((line) => `${line}\n`).join(""));
}

export function readReport(path: string): Entry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Entry);
}

export function reportText(entries: readonly Entry[]): string[] {
  if (entries.length === 0) return [];
  const slowest = [...entries].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
  const total = entries.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  const seconds = (value: number): string => value.toFixed(1).padStart(6);
  return [
    `${entries.length} test files took ${total.toFixed(0)} s of CPU; the slowest:`,
    "seconds  of CPU  file",
    ...slowest.map(
      ({ file, ...entry }) => `${seconds(entry.seconds)}  ${seconds(entry.cpuSeconds)}  ${file}`,
    ),
    ...entries
      .filter(({ isSaved }) => isSaved)
      .map(({ file }) => `FAILED ONCE, passed when run again: ${file}`),
  ];
}
