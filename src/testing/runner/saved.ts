// Files that failed and passed when they ran again. Once is a machine that was busy; twice in a row is a fault that hides
// there. What was saved outlives the run in a file that git does not know: build/saved-tests.json, or $TEST_SAVED.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type FileResult, type RunOptions, runFiles } from "./run-files.ts";

/** More files than this are no accident: they do not run again. */
export const MOST_SAVED = 3;

export class SavedList {
  readonly path: string;
  readonly #names: Set<string>;

  constructor(path: string) {
    this.path = path;
    this.#names = new Set(readNames(path));
  }

  /** True when the last run in which this file ran saved it too. */
  has(file: string): boolean {
    return this.#names.has(file);
  }

  /** After a run: these ran, these of them were saved. A file that did not run keeps its mark. */
  update(ran: readonly string[], saved: readonly string[]): void {
    for (const file of ran) this.#names.delete(file);
    for (const file of saved) this.#names.add(file);
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      writeFileSync(this.path, `${JSON.stringify([...this.#names].sort())}\n`);
    } catch (error) {
      console.error(`${this.path} is not kept: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function readNames(path: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return []; // the first run, or one that was cut off while writing
  }
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}

/** Runs files, with TEST_AGAIN=1 as `runTwice` does; says who was saved twice in a row. */
export async function runSaving(
  files: readonly string[],
  options: RunOptions,
): Promise<{ results: FileResult[]; saved: string[] }> {
  if (process.env.TEST_AGAIN !== "1") return { results: await runFiles(files, options), saved: [] };
  const list = new SavedList(process.env.TEST_SAVED || "build/saved-tests.json");
  const { results, saved, twice } = await runTwice(files, options, list);
  for (const file of twice) {
    console.log(`not ok - ${file}: passed only when run again, as the last time it ran: it is to be mended`);
  }
  return { results, saved };
}

/** Runs files; what failed runs once more, alone, when it is little. Who is saved twice in a row has failed. */
export async function runTwice(
  files: readonly string[],
  options: RunOptions,
  list: SavedList,
): Promise<{ results: FileResult[]; saved: string[]; twice: string[] }> {
  const first = await runFiles(files, options);
  const failed = first.filter((result) => result.failed > 0).map(({ file }) => file);
  if (options.stop?.aborted) return { results: first, saved: [], twice: [] };
  const second = failed.length > MOST_SAVED ? [] : await runFiles(failed, { ...options, jobs: 1 });
  const saved = second.filter((result) => result.failed === 0).map(({ file }) => file);
  const twice = saved.filter((file) => list.has(file));
  const results = first.map((result) => {
    const again = second.find(({ file }) => file === result.file);
    if (again === undefined || again.failed > 0) return result;
    const seconds = result.seconds + again.seconds;
    const cpuSeconds = result.cpuSeconds + again.cpuSeconds;
    return { ...again, seconds, cpuSeconds, failed: twice.includes(again.file) ? 1 : 0 };
  });
  list.update(files, saved);
  return { results, saved, twice };
}
