// Two runs beside each other. What a machine does drifts from hour to hour, so podwire's figures are compared by what
// they are of the kernel's in the same run; only where a run has no kernel, as they are. Pure.
import { formatMachine, type Machine } from "./machine.ts";
import type { Report } from "./report.ts";
import { median, type Row, roundRatios, toRows } from "./sample.ts";
import { alignColumns } from "./table.ts";

export type Verdict = "better" | "worse" | "same" | "too few rounds";

export interface Change {
  name: string;
  unit: string;
  a: number;
  b: number;
  /** Of the kernel, in the same run; undefined: one of them has none. */
  ratioA?: number | undefined;
  ratioB?: number | undefined;
  /** What b is of a, by the ratios where both have them. */
  change: number;
  verdict: Verdict;
}

/** Rounds below which chance has as much to say as any change. */
const ROUNDS_LEAST = 3;

const nameOf = (row: Row): string => [row.measure, row.path, row.target, row.variant].join("/");

export function compareReports(
  a: Report,
  b: Report,
): { changes: Change[]; onlyA: string[]; onlyB: string[] } {
  const rowsOf = (report: Report) =>
    new Map(
      toRows(report.samples)
        .filter((row) => row.bySubject.podwire !== undefined)
        .map((row) => [nameOf(row), row]),
    );
  const [rowsA, rowsB] = [rowsOf(a), rowsOf(b)];
  const both = [...rowsA.keys()].filter((name) => rowsB.has(name));
  return {
    changes: both.map((name) => compareRows(name, rowsA.get(name)!, rowsB.get(name)!)),
    onlyA: [...rowsA.keys()].filter((name) => !rowsB.has(name)),
    onlyB: [...rowsB.keys()].filter((name) => !rowsA.has(name)),
  };
}

function compareRows(name: string, a: Row, b: Row): Change {
  const mineA = a.bySubject.podwire!;
  const mineB = b.bySubject.podwire!;
  const ratiosA = roundRatios(mineA, a.bySubject.kernel);
  const ratiosB = roundRatios(mineB, b.bySubject.kernel);
  const hasRatios = ratiosA.length > 0 && ratiosB.length > 0;
  const [roundsA, roundsB] = hasRatios ? [ratiosA, ratiosB] : [mineA.rounds, mineB.rounds];
  return {
    ...{ name, unit: mineB.unit, a: mineA.value, b: mineB.value },
    ...(hasRatios ? { ratioA: median(ratiosA), ratioB: median(ratiosB) } : {}),
    change: median(roundsA) > 0 ? median(roundsB) / median(roundsA) : Number.NaN,
    verdict: judge(roundsA, roundsB),
  };
}

/** A change is one when the middle halves of the rounds do not meet. */
function judge(a: readonly number[], b: readonly number[]): Verdict {
  if (a.length < ROUNDS_LEAST || b.length < ROUNDS_LEAST) return "too few rounds";
  const [lowA, highA] = middleHalf(a);
  const [lowB, highB] = middleHalf(b);
  if (lowB > highA) return "better";
  return highB < lowA ? "worse" : "same";
}

function middleHalf(values: readonly number[]): [number, number] {
  const sorted = values.toSorted((x, y) => x - y);
  const skip = Math.floor(sorted.length / 4);
  return [sorted[skip], sorted[sorted.length - 1 - skip]];
}

const MATTERS = ["cpu", "cores", "kernel", "node"] as const satisfies readonly (keyof Machine)[];

export function formatComparison(a: Report, b: Report, [nameA, nameB]: readonly [string, string]): string {
  const { changes, onlyA, onlyB } = compareReports(a, b);
  const fixed = (value: number | undefined) => (value === undefined ? "-" : value.toFixed(2));
  const lines = [
    ["CASE", "A", "B", "UNIT", "A/KERNEL", "B/KERNEL", "B/A", "VERDICT"],
    ...changes.map((c) => {
      const digits = c.unit === "Gbit/s" ? 2 : 0;
      const values = [c.a.toFixed(digits), c.b.toFixed(digits), c.unit];
      return [c.name, ...values, fixed(c.ratioA), fixed(c.ratioB), fixed(c.change), c.verdict];
    }),
  ];
  const differ = MATTERS.filter((what) => a.machine[what] !== b.machine[what]);
  return [
    `A: ${nameA}, ${a.made}: ${formatMachine(a.machine)}`,
    `B: ${nameB}, ${b.made}: ${formatMachine(b.machine)}`,
    ...(differ.length > 0
      ? [`The machines differ (${differ.join(", ")}): only what stands beside a kernel compares.`]
      : []),
    "",
    changes.length > 0 ? alignColumns(lines) : "Nothing was measured of podwire in both.",
    ...onlyA.map((name) => `only in A: ${name}`),
    ...onlyB.map((name) => `only in B: ${name}`),
  ].join("\n");
}
