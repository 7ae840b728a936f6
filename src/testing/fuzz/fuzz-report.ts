// What a hostile run found, in words: how fast, what became of the frames, and the table of drops.
import type { HostileReport } from "./fuzz-hostile.ts";

const MB = 2 ** 20;

export function hostileText(r: HostileReport): string[] {
  const { fates } = r;
  const list = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([name, n]) => `${name} ${n}`)
      .join(", ");
  const grown = (m: { before: number; after: number }): string =>
    `${(m.before / MB).toFixed(1)} MB → ${(m.after / MB).toFixed(1)} MB`;
  return [
    `${r.frames} frames in ${r.seconds.toFixed(1)} s: ${Math.round(r.frames / r.seconds)} frames/s; ` +
      `the slowest batch of 64 took ${r.slowestBatchMs.toFixed(1)} ms`,
    `frames: ${list(r.kinds)}`,
    `${r.frames} in = ${list({ ...fates })}; ${r.sent} frames sent`,
    `kept: ${list(r.keptWhy)}`,
    ...dropTable(r.drops),
    `${r.inspected} good frames among them: what they became was right in every length and checksum`,
    `heap ${grown(r.heapBytes)}, resident ${grown(r.rssBytes)}`,
  ];
}

function dropTable(drops: HostileReport["drops"]): string[] {
  const line = (reason: string, frames: number | string, all: number | string): string =>
    `  ${reason.padEnd(28)} ${`${frames}`.padStart(12)} ${`${all}`.padStart(12)}`;
  const sum = (of: (d: HostileReport["drops"][number]) => number): number =>
    drops.reduce((n, d) => n + of(d), 0);
  return [
    line("DROP REASON", "FRAMES", "ALL"),
    ...drops.map((d) => line(d.reason, d.frames, d.all)),
    line(
      "",
      sum((d) => d.frames),
      sum((d) => d.all),
    ),
  ];
}
