// What can be measured, each under a name of its own: measure/path/target/variant. Whoever wants some of them gives words
// of these names; what such a word means, and what is no such word, is decided here. Pure.
import type { Measure, Sample } from "../figures/sample.ts";
import type { Path, Target } from "../subject/subject.ts";

export interface Case extends Pick<Sample, "measure" | "path" | "target" | "variant" | "unit"> {
  /** What of its kind: of iperf3 `-R`; how many flows and senders; whose count is taken. */
  reverse?: boolean;
  flows?: number;
  senders?: number;
  read?: "device" | "socket" | "gro";
}

/** What needs no network: a process a part. */
export const ALONE = ["scale", "policy"] as const;
export type Alone = (typeof ALONE)[number];

const PATHS: readonly Path[] = ["same-node", "overlay"];
const TARGETS: readonly Target[] = ["pod", "service"];
const DIRECTIONS = [
  { variant: "forward", reverse: false },
  { variant: "reverse", reverse: true },
];
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
  ...streams("udp"),
  ...packets(),
  ...sockets(),
  ...latencies(),
];

/** Words that stand for several measures. */
const GROUPS: Readonly<Record<string, readonly Measure[]>> = { latency: ["rr", "crr"] };

function streams(measure: "tcp" | "udp"): Case[] {
  return PATHS.flatMap((path) =>
    TARGETS.flatMap((target) => DIRECTIONS.map((way) => ({ measure, path, target, unit: "Gbit/s", ...way }))),
  );
}

function packets(): Case[] {
  const what = { measure: "pps", target: "service", unit: "kpps", read: "device" } as const;
  return PATHS.flatMap((path) => LOADS.map((load) => ({ ...what, path, ...load })));
}

function sockets(): Case[] {
  const what = { measure: "udp-socket", target: "service", unit: "kpps" } as const;
  return PATHS.flatMap((path) =>
    SOCKETS.flatMap(({ prefix, read }) =>
      LOADS.map((load) => ({ ...what, path, ...load, read, variant: `${prefix}-${load.variant}` })),
    ),
  );
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
 * ("pps", "overlay/1-flow", "tcp/overlay/pod/reverse"). Empty: it names what needs no network. A text: what is wrong.
 */
export function casesOf(word: string): readonly Case[] | string {
  if ((ALONE as readonly string[]).includes(word)) return [];
  const parts = word.split("/");
  const unknown = parts.find((part) => !CASES.some((c) => wordsOf(c).has(part)));
  if (unknown !== undefined)
    return `no case is called "${unknown}": --list shows all, scale and policy apart`;
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
