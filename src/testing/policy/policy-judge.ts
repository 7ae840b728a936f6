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

/** `perState`: how many cells of each state, drawn; 0 is all of them. */
export function judgeSeed(seed: number, makers: readonly SideMaker[], perState: number): Verdict {
  const before = randomCluster(seed);
  const after = laterCluster(before, seed);
  const first = judgeState(
    before,
    makers.map((make) => make(before.objects)),
    perState,
    false,
  );
  const sides = makers.map((make) => make(after.objects, before.objects));
  const second = judgeState(after, sides, perState, true);
  return {
    cells: first.cells + second.cells,
    differences: [...first.differences, ...second.differences],
  };
}

function judgeState(
  state: RandomCluster,
  sides: readonly Side[],
  perState: number,
  isAfterChange: boolean,
): Verdict {
  const cluster = clusterOf(state.objects);
  const cells = perState === 0 ? allCells(state) : someCells(state, perState);
  const differences = cells.flatMap((cell) => {
    const answer = evaluate(cluster, cell);
    const others = sides.filter((side) => {
      const allowed = side.allows(cell);
      return allowed !== undefined && allowed !== (side.share?.(cell, answer) ?? answer.allowed);
    });
    return others.map((side): Difference => ({ cell, side: side.name, isAfterChange, answer }));
  });
  return { cells: cells.length, differences };
}

export function differenceText({ cell, side, isAfterChange, answer }: Difference): string {
  const word = (allowed: boolean): string => (allowed ? "allowed" : "denied");
  return [
    `  ${cellText(cell)}${isAfterChange ? ", after the change" : ""}`,
    `    evaluator: ${word(answer.allowed)}: egress: ${answer.egress.why}; ingress: ${answer.ingress.why}`,
    `    ${side}: otherwise`,
  ].join("\n");
}
