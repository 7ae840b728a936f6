// Where the time goes under a load: perf samples the whole machine while it runs, and tells JavaScript's functions by the
// map that V8 writes for it (node --perf-basic-prof).
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Profile } from "../figures/report.ts";
import { type Case, caseName } from "../network/cases.ts";
import { type Bench, measureOnce } from "../network/run-cases.ts";
import { BenchError, onExit, run } from "../shell.ts";
import { profileOf } from "./perf-text.ts";

/** The four that are looked at: a stream and small frames, on a node and over the tunnel. */
export const PROFILED = [
  "tcp/same-node/pod/forward",
  "tcp/overlay/pod/forward",
  "pps/same-node/service/1-flow",
  "pps/overlay/service/1-flow",
];
const PERF_SEC = 3;
/** Of a load before perf begins. */
const SETTLE = "1";
const MAPS = "/tmp"; // perf looks nowhere else
/** What V8 writes then, and where: maps, and logs in each process's folder; an agent's is the root. */
const LEFT: readonly [folder: string, name: RegExp][] = [
  [MAPS, /^perf-\d+\.map$/],
  [process.cwd(), /^isolate-0x[0-9a-f]+-\d+-v8\.log$/],
  ["/", /^isolate-0x[0-9a-f]+-\d+-v8\.log$/],
];

/** Before agents are started: they write the names of what V8 compiles. The files go with the benchmark. */
export async function prepareProfiles(): Promise<void> {
  await run(["perf", "--version"]).catch((cause) => {
    throw new BenchError("--profile: perf is missing: apt-get install linux-perf", { cause });
  });
  const before = new Set(await left());
  onExit(async () => {
    for (const file of await left()) if (!before.has(file)) await rm(file, { force: true });
  });
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ""} --perf-basic-prof`.trim();
}

async function left(): Promise<string[]> {
  const found: string[] = [];
  for (const [folder, pattern] of LEFT) {
    const names = (await readdir(folder)).filter((name) => pattern.test(name));
    found.push(...names.map((name) => join(folder, name)));
  }
  return found;
}

/** Of podwire, and of another checkout of it where there is one, under each of these loads. */
export async function profileCases(bench: Bench, cases: readonly Case[]): Promise<Profile[]> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-bench-perf-"));
  onExit(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "perf.data");
  const record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-a", "-o", file];
  const report = ["perf", "report", "-q", "-i", file, "--stdio", "--no-children"];
  const fields = ["-F", "overhead,comm,dso,sym", "-t", "|"];
  const profiles: Profile[] = [];
  for (const c of cases) {
    for (const subject of bench.subjects.filter((s) => s.name === "podwire" || s.name === "before")) {
      const route = subject.routes.find((r) => r.path === c.path && r.target === c.target);
      if (route === undefined) continue;
      bench.progress(`profile of ${caseName(c)}: ${subject.name}`);
      const script = 'sleep "$0"; exec "$@"';
      const perf = run(["sh", "-c", script, SETTLE, ...record, "--", "sleep", String(PERF_SEC)]);
      const effort = { ...bench.effort, seconds: PERF_SEC + 2 };
      // Small frames are sent for two seconds at a time.
      for (let sent = 0; sent < (c.measure === "tcp" ? 1 : 2); sent++)
        await measureOnce({ ...bench, effort }, c, route);
      await perf;
      profiles.push(profileOf(caseName(c), subject.name, await run([...report, ...fields])));
    }
  }
  return profiles;
}
