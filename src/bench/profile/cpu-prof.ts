// Which steps the agents' JavaScript spends its time in: V8 samples their data-plane threads from start to end
// (cpu-prof.cjs), and what it saw while a load ran is taken out of that.
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Profile } from "../figures/report.ts";
import { type Case, caseName } from "../network/cases.ts";
import { type Bench, measureOnce } from "../network/run-cases.ts";
import { onExit } from "../shell.ts";
import type { Subject } from "../subject/subject.ts";
import { type CpuProfile, type FindSource, stageShares } from "./stage-shares.ts";

const PRELOADED = resolve(import.meta.dirname, "../../../../src/bench/profile/cpu-prof.cjs");
const LOAD_SEC = 5;
/** Of a load, before and after what is looked at. */
const SETTLE_US = 1_000_000;
const END_US = 200_000;

const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** Before agents are started. Returns the folder that they will write to. */
export async function prepareCpuProfiles(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-bench-cpu-"));
  onExit(() => rm(folder, { recursive: true, force: true }));
  process.env.PODWIRE_BENCH_PROFILES = folder;
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --require=${PRELOADED}`.trim();
  return folder;
}

/** Of podwire, and of another checkout of it where there is one, under each of these loads; both are gone afterwards. */
export async function cpuProfileCases(
  bench: Bench,
  cases: readonly Case[],
  folder: string,
): Promise<Profile[]> {
  const subjects = bench.subjects.filter((s) => s.name === "podwire" || s.name === "before");
  const loads: { load: string; subject: Subject; fromUs: number; toUs: number }[] = [];
  for (const c of cases) {
    for (const subject of subjects) {
      const route = subject.routes.find((r) => r.path === c.path && r.target === c.target);
      if (route === undefined) continue;
      bench.progress(`steps of ${caseName(c)}: ${subject.name}`);
      const fromUs = monotonicUs() + SETTLE_US;
      const effort = { ...bench.effort, seconds: LOAD_SEC };
      // Small frames are sent for two seconds at a time.
      for (let sent = 0; sent < (c.measure === "tcp" ? 1 : 2); sent++)
        await measureOnce({ ...bench, effort }, c, route);
      loads.push({ load: caseName(c), subject, fromUs, toUs: monotonicUs() - END_US });
    }
  }
  const written = new Map<Subject, CpuProfile[]>();
  for (const subject of subjects) {
    const before = new Set(await readdir(folder));
    await subject.remove?.();
    const files = (await readdir(folder)).filter((name) => !before.has(name));
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
    written.set(
      subject,
      texts.map((text) => JSON.parse(text).profile),
    );
  }
  const findSource = createSourceFinder();
  return loads.map(({ load, subject, ...during }) =>
    stageShares(load, subject.name, written.get(subject) ?? [], during, findSource),
  );
}

/** By the path of a module, or by the map that lies beside a bundle: what has none is nobody's. */
function createSourceFinder(): FindSource {
  const maps = new Map<string, SourceMap | undefined>();
  return ({ url, lineNumber, columnNumber }) => {
    if (!url.endsWith(".bundle.js")) return moduleOf(url);
    if (!maps.has(url)) maps.set(url, readMap(fileURLToPath(`${url}.map`)));
    const entry = maps.get(url)?.findEntry(lineNumber, columnNumber);
    return moduleOf(entry !== undefined && "originalSource" in entry ? entry.originalSource : "");
  };
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}

const moduleOf = (path: string): string => /(?:^|\/)src\/(.+)\.[jt]s$/.exec(path)?.[1] ?? "";
