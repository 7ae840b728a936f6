// Measures cases, each by all subjects in turn, round by round, so that a machine that is busy or slow is so for all.
import { type Measure, median, type Sample, turned } from "../figures/sample.ts";
import type { Program } from "../programs.ts";
import type { Route, Subject } from "../subject/subject.ts";
import { type Case, caseName } from "./cases.ts";
import { roundTrips, smallFrames, tcpStream, udpStream } from "./measure.ts";

/** How long and how often. */
export interface Effort {
  seconds: number;
  rounds: number;
  streamRounds: number;
  udpRate: string;
}

export interface Bench {
  effort: Effort;
  subjects: readonly Subject[];
  programs: Readonly<Record<Program, string>>;
  progress: (text: string) => void;
}

type Result = Partial<Sample> & { value: number };

const PACKETS_SEC = 2;
const LATENCY_SEC_MAX = 5;
const SHORT: readonly Measure[] = ["pps", "udp-socket"];

/** The samples of one case, of each subject that has such a route. Each round begins with another subject. */
export async function measureCase(bench: Bench, c: Case): Promise<Sample[]> {
  const { rounds, streamRounds } = bench.effort;
  const found = new Map<Subject, Result[]>();
  for (let round = 0; round < (SHORT.includes(c.measure) ? rounds : streamRounds); round++) {
    for (const subject of turned(bench.subjects, round)) {
      const route = subject.routes.find((r) => r.path === c.path && r.target === c.target);
      if (route === undefined) continue;
      const result = await measureOnce(bench, c, route);
      found.set(subject, [...(found.get(subject) ?? []), result]);
      const value = result.value.toFixed(c.unit === "Gbit/s" ? 2 : 0);
      bench.progress(`${caseName(c)}: ${subject.name} ${value} ${c.unit}`);
    }
  }
  return [...found].map(([subject, results]) => sampleOf(c, subject, results));
}

/** Of several rounds the median, with the remarks of the round in the middle. */
function sampleOf(c: Case, subject: Subject, results: readonly Result[]): Sample {
  const values = results.map((result) => result.value);
  const middle = results.toSorted((a, b) => a.value - b.value)[results.length >> 1];
  const stalls = results.reduce((sum, result) => sum + (result.stalls ?? 0), 0);
  const { measure, path, target, variant, unit } = c;
  return {
    ...{ measure, path, target, variant, unit, subject: subject.name, rounds: values },
    ...middle,
    ...(middle.stalls === undefined ? {} : { stalls }),
    value: median(values),
  };
}

async function measureOnce(bench: Bench, c: Case, route: Route): Promise<Result> {
  const { seconds, udpRate } = bench.effort;
  switch (c.measure) {
    case "tcp":
      return tcpStream(route, seconds, c.reverse === true);
    case "udp":
      return udpStream(route, seconds, c.reverse === true, udpRate);
    case "pps":
    case "udp-socket": {
      const { flows = 1, senders = 1, read = "device" } = c;
      const load = { flows, senders, read, seconds: PACKETS_SEC };
      return smallFrames(route, bench.programs["packet-gen"], load);
    }
    case "rr":
    case "crr":
      return roundTrips(route, bench.programs["round-trip"], c.measure, Math.min(seconds, LATENCY_SEC_MAX));
  }
}
