// Reports of runs that never were.
import type { Machine } from "../../bench/figures/machine.ts";
import { REPORT_VERSION, type Report } from "../../bench/figures/report.ts";
import { median, type Sample, toRows } from "../../bench/figures/sample.ts";

export function figuresOf(
  subject: Sample["subject"],
  rounds: number[],
  over: Partial<Sample> = {},
): Sample[] {
  const what = {
    measure: "tcp",
    path: "overlay",
    target: "pod",
    variant: "forward",
    unit: "Gbit/s",
  } as const;
  return [{ ...what, subject, value: median(rounds), rounds, ...over }];
}

export function reportOf(samples: Sample[], over: Partial<Machine> = {}): Report {
  const machine: Machine = {
    ...{ cpu: "Z80", cores: 2, memoryMb: 4096, kernel: "6.18.0", distribution: "Debian", node: "v20.19.0" },
    ...{ isVirtual: true, idleDriver: "haltpoll", load: 0.1, othersCores: 0, stealPercent: 0 },
    ...over,
  };
  return {
    ...{ version: REPORT_VERSION, made: "2026-01-02T03:04:05Z", machine },
    effort: { seconds: 10, rounds: 5, streamRounds: 5, udpRate: "500M" },
    ...{ samples, rows: toRows(samples), profiles: [], scale: [], policy: [], broken: [] },
  };
}
