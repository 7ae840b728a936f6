// The evaluator, podwire's plane and Calico's rules agree on every cell, and each of them notices an error in another.
import t from "tap";
import { CalicoSide } from "./calico-side.ts";
import type { Named } from "./cluster.ts";
import { podwirePlane } from "./plane-side.ts";
import { PLANTED_PLANES } from "./planted.ts";
import {
  calicoRules,
  differenceText,
  judgeSides,
  type SeedCells,
  type SideMaker,
  seedCells,
} from "./policy-judge.ts";

const CELLS = 100; // of each state of a cluster
const SEEDS = 80; // until an error has to be found

const known: SeedCells[] = [];

/** The evaluator's answers are the same for every side. */
function cellsOf(seed: number): SeedCells {
  known[seed] ??= seedCells(seed, CELLS);
  return known[seed];
}

function differencesOf(make: SideMaker, seeds: number): string[] {
  return Array.from({ length: seeds }, (_, i) => judgeSides(cellsOf(i + 1), [make])).flatMap(
    ({ differences }) => differences.map(differenceText),
  );
}

/** Whether a side that has an error is found out, by the first seed that shows it. */
function isFound(make: SideMaker): boolean {
  return Array.from({ length: SEEDS }, (_, i) => i + 1).some(
    (seed) => judgeSides(cellsOf(seed), [make]).differences.length > 0,
  );
}

t.test("no cell of thirty random clusters differs, before and after a change", async (t) => {
  t.same(differencesOf(calicoRules, 30), []);
});

t.test(
  "no cell of thirty random clusters differs at podwire's plane, before and after a change",
  async (t) => {
    t.same(differencesOf(podwirePlane, 30), []);
  },
);

t.test("errors in rules are found", async (t) => {
  const planted: readonly [string, (rules: string) => string][] = [
    ["what no policy accepts is not dropped", (rules) => rules.replace(/^.*End of tier default.*\n/gm, "")],
    [
      "a tier is left by Pass, and asked again",
      (rules) => rules.replace(/(-j MARK --set-xmark) 0x20000\/0x20000/g, "$1 0x0/0x20000"),
    ],
    ["the source is looked for among destinations", (rules) => rules.replace(/(0s:\S+) src/g, "$1 dst")],
    [
      "exceptions of a block are forgotten",
      (rules) => rules.replace(/^.* -[sd] \S+ .*--set-xmark 0x0\/0x80000\n/gm, ""),
    ],
    [
      "the last port of a range is left out",
      (rules) => rules.replace(/(dports \d+):(\d+)/g, (_, a, b) => `${a}:${Number(b) - 1}`),
    ],
    ["a namespace's profile accepts nothing", (rules) => rules.replace(/^-A cali-pri-kns\S+ .*\n/gm, "")],
  ];
  for (const [what, edit] of planted) {
    const side: SideMaker = (objects) => {
      const made = new CalicoSide(objects, edit);
      return { name: "planted", allows: (cell) => made.allows(cell) };
    };
    t.ok(isFound(side), what);
  }
});

t.test("a plane that takes policies for other ones is found", async (t) => {
  for (const [what, make] of Object.entries(PLANTED_PLANES)) t.ok(isFound(make), what);
});

t.test("rules for other objects are found", async (t) => {
  const without: readonly [string, (object: Named) => boolean][] = [
    ["a policy of the cluster is missing", ({ metadata }) => metadata.name !== "cnp-0"],
    ["a policy is missing", ({ metadata }) => metadata.name !== "np-0"],
  ];
  for (const [what, keep] of without) {
    t.ok(
      isFound((objects) => calicoRules(objects.filter(keep))),
      what,
    );
  }
  const stale: SideMaker = (objects, before) => calicoRules(before ?? objects);
  t.ok(isFound(stale), "a change is not seen");
});
