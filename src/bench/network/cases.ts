// What can be measured, each under a name of its own: measure/path/target/variant. Whoever wants some of them gives words
// of these names; what such a word means, and what is no such word, is decided here. Pure.
import type { Measure, Sample } from "../figures/sample.ts";
import type { Path, Target } from "../subject/subject.ts";

export interface Case extends Pick<Sample, "measure" | "path" | "target" | "variant" | "unit"> {
  /** iperf3: `-R`, and `-P`. */
  reverse?: boolean;
  streams?: number;
  /** Frames: how they are sent, and whose count is taken. */
  flows?: number;
  senders?: number;
  frame?: 64 | "imix";
  burst?: number;
  read?: "device" | "socket" | "gro";
  /** cold: by a subject that has just been started. warm: after three seconds of the same. */
  temperature?: "cold" | "warm";
}

/** What is measured apart from the cases, each by itself. */
export const ALONE = ["start", "scale", "policy"] as const;
export type Alone = (typeof ALONE)[number];

const PATHS: readonly Path[] = ["same-node", "overlay"];
const TARGETS: readonly Target[] = ["pod", "service"];
const DIRECTIONS = [
  { variant: "forward", reverse: false },
  { variant: "reverse", reverse: true },
];
const TEMPERATURES = [
  { variant: "cold", temperature: "cold" },
  { variant: "warm", temperature: "warm" },
] as const;
const LOADS = [
  { variant: "1-flow", flows: 1, senders: 1 },
  { variant: "1000-flows", flows: 1000, senders: 1 },
  { variant: "2-senders", flows: 1, senders: 2 },
];
const SOCKETS = [
  { prefix: "plain", read: "socket" },
  { prefix: "gro", read: "gro" },
] as const;

/** All cases, in the order in which they are measured. */
export const CASES: readonly Case[] = [
  ...streams("tcp"),
  ...toServices({ measure: "tcp", unit: "Gbit/s" }, [{ variant: "4-streams", streams: 4 }, ...TEMPERATURES]),
  ...streams("udp"),
  ...toServices({ measure: "pps", unit: "kpps", read: "device" }, [
    ...LOADS,
    { variant: "imix", frame: "imix" },
    ...TEMPERATURES,
  ]),
  ...toServices(
    { measure: "udp-socket", unit: "kpps" },
    SOCKETS.flatMap(({ prefix, read }) =>
      LOADS.map((load) => ({ ...load, read, variant: `${prefix}-${load.variant}` })),
    ),
  ),
  ...toServices({ measure: "burst", unit: "kpps", read: "device" }, [
    { variant: "256-frames", burst: 256 },
    { variant: "1000-frames", burst: 1000 },
  ]),
  ...toServices({ measure: "loss-free", unit: "kpps", read: "socket" }, [
    { variant: "64-byte", frame: 64 },
    { variant: "imix", frame: "imix" },
  ]),
  ...latencies(),
];

/** Words that stand for several measures. */
const GROUPS: Readonly<Record<string, readonly Measure[]>> = { latency: ["rr", "crr"] };

function streams(measure: "tcp" | "udp"): Case[] {
  return PATHS.flatMap((path) =>
    TARGETS.flatMap((target) => DIRECTIONS.map((way) => ({ measure, path, target, unit: "Gbit/s", ...way }))),
  );
}

type Kind = Pick<Case, "measure" | "unit"> & Partial<Case>;

function toServices(kind: Kind, each: readonly (Pick<Case, "variant"> & Partial<Case>)[]): Case[] {
  return PATHS.flatMap((path) => each.map((one) => ({ ...kind, path, target: "service", ...one })));
}

function latencies(): Case[] {
  const kinds = [
    { measure: "rr", variant: "request", unit: "1/s" },
    { measure: "crr", variant: "connect+request", unit: "1/s" },
  ] as const;
  return PATHS.flatMap((path) =>
    TARGETS.flatMap((target) => kinds.map((kind) => ({ ...kind, path, target }))),
  );
}

export const caseName = (c: Pick<Case, "measure" | "path" | "target" | "variant">): string =>
  [c.measure, c.path, c.target, c.variant].join("/");

function wordsOf(c: Case): Set<string> {
  const groups = Object.keys(GROUPS).filter((group) => GROUPS[group].includes(c.measure));
  return new Set([c.measure, c.path, c.target, c.variant, ...groups]);
}

/**
 * The cases that one word of `--only` names: words of a case's name, divided by slashes, in any order and number
 * ("pps", "overlay/1-flow", "tcp/overlay/pod/reverse"). Empty: it names what is measured apart. A text: what is wrong.
 */
export function casesOf(word: string): readonly Case[] | string {
  if ((ALONE as readonly string[]).includes(word)) return [];
  const parts = word.split("/");
  const unknown = parts.find((part) => !CASES.some((c) => wordsOf(c).has(part)));
  if (unknown !== undefined)
    return `no case is called "${unknown}": --list shows all, start, scale and policy apart`;
  const found = CASES.filter((c) => parts.every((part) => wordsOf(c).has(part)));
  return found.length > 0 ? found : `no case has all of "${word}" in its name: --list shows them`;
}

/** What is to be measured of the words of `--only`, in the usual order; none: everything. */
export function selectCases(
  words: readonly string[],
  paths: readonly Path[],
): { cases: Case[]; alone: Alone[] } {
  const wanted = new Set<Case>(words.flatMap((word) => casesOf(word) as Case[]));
  const cases = CASES.filter((c) => paths.includes(c.path) && (words.length === 0 || wanted.has(c)));
  const alone = ALONE.filter((word) => words.length === 0 || words.includes(word));
  return { cases, alone };
}
