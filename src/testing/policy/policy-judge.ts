// The evaluator against whoever else has an opinion on the same cells of the same random clusters, before and after a
// change.
import { CalicoSide } from "./calico-side.ts";
import { allCells, cellText, someCells } from "./cells.ts";
import { clusterOf, type Named } from "./cluster.ts";
import { type Answer, type Cell, evaluate } from "./evaluator.ts";
import { laterCluster, type RandomCluster, randomCluster } from "./random-cluster.ts";

/** Whoever says which connections pass. */
export interface Side {
  readonly name: string;
  /** Undefined: it has no say. */
  allows(cell: Cell): boolean | undefined;
  /** What of an answer is its business; all of it where left out. */
  share?(cell: Cell, answer: Answer): boolean;
}

/** A side for a cluster; `before` is what it was before the change, where there was one. */
export type SideMaker = (objects: readonly Named[], before?: readonly Named[]) => Side;

export interface Difference {
  readonly cell: Cell;
  /** The other side's name. */
  readonly side: string;
  readonly isAfterChange: boolean;
  readonly answer: Answer;
}

export interface Verdict {
  readonly cells: number;
  readonly differences: readonly Difference[];
}

/** Calico's rules for the same objects, read without a kernel. */
export const calicoRules: SideMaker = (objects) => {
  const side = new CalicoSide(objects);
  return { name: "Calico's rules", allows: (cell) => side.allows(cell) };
};

/** A cell, and what the evaluator says of it. */
interface Judged {
  readonly cell: Cell;
  readonly answer: Answer;
}

/** What a seed asks, before and after its change: whoever is judged by it. */
export interface SeedCells {
  readonly before: RandomCluster;
  readonly after: RandomCluster;
  readonly first: readonly Judged[];
  readonly second: readonly Judged[];
}

/** `perState`: how many cells of each state, drawn; 0 is all of them. */
export function seedCells(seed: number, perState: number): SeedCells {
  const before = randomCluster(seed);
  const after = laterCluster(before, seed);
  return { before, after, first: judgedCells(before, perState), second: judgedCells(after, perState) };
}

function judgedCells(state: RandomCluster, perState: number): Judged[] {
  const cluster = clusterOf(state.objects);
  const cells = perState === 0 ? allCells(state) : someCells(state, perState);
  return cells.map((cell) => ({ cell, answer: evaluate(cluster, cell) }));
}

export function judgeSeed(seed: number, makers: readonly SideMaker[], perState: number): Verdict {
  return judgeSides(seedCells(seed, perState), makers);
}

export function judgeSides(
  { before, after, first, second }: SeedCells,
  makers: readonly SideMaker[],
): Verdict {
  const early = makers.map((make) => make(before.objects));
  const differences = differencesOf(first, early, false);
  const late = makers.map((make) => make(after.objects, before.objects));
  return {
    cells: first.length + second.length,
    differences: [...differences, ...differencesOf(second, late, true)],
  };
}

function differencesOf(
  judged: readonly Judged[],
  sides: readonly Side[],
  isAfterChange: boolean,
): Difference[] {
  return judged.flatMap(({ cell, answer }) => {
    const others = sides.filter((side) => {
      const allowed = side.allows(cell);
      return allowed !== undefined && allowed !== (side.share?.(cell, answer) ?? answer.allowed);
    });
    return others.map((side): Difference => ({ cell, side: side.name, isAfterChange, answer }));
  });
}

export function differenceText({ cell, side, isAfterChange, answer }: Difference): string {
  const word = (allowed: boolean): string => (allowed ? "allowed" : "denied");
  return [
    `  ${cellText(cell)}${isAfterChange ? ", after the change" : ""}`,
    `    evaluator: ${word(answer.allowed)}: egress: ${answer.egress.why}; ingress: ${answer.ingress.why}`,
    `    ${side}: otherwise`,
  ].join("\n");
}
