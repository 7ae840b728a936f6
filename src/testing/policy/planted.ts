// Errors planted into the plane's reading of policies, for the judges to find: it compiles other objects than the
// evaluator and the kernel are asked about.
import type { Named } from "./cluster.ts";
import { podwirePlane } from "./plane-side.ts";
import type { SideMaker } from "./policy-judge.ts";

type Edit = (text: string) => string;

const SWAPPED: Readonly<Record<string, string>> = {
  ...{ ingress: "egress", egress: "ingress", from: "to", to: "from" },
  ...{ Ingress: "Egress", Egress: "Ingress" },
};

const EDITS: Readonly<Record<string, Edit>> = {
  "exceptions of a block are ignored": (text) => text.replace(/,"except":\[[^\]]*\]/g, ""),
  "a range ends one port later": (text) =>
    text.replace(/("endPort"|"end"):(\d+)/g, (_, key, end) => `${key}:${Math.min(Number(end) + 1, 65_535)}`),
  "directions of a NetworkPolicy are swapped": (text) =>
    text.includes('"kind":"NetworkPolicy"')
      ? text.replace(/"(ingress|egress|from|to|Ingress|Egress)"/g, (_, word) => `"${SWAPPED[word]}"`)
      : text,
  "Pass allows": (text) => text.replaceAll('"action":"Pass"', '"action":"Accept"'),
  "NotIn asks for the key": (text) => text.replaceAll('"operator":"NotIn"', '"operator":"In"'),
  "all policies have one tier": (text) => text.replaceAll('"tier":"Baseline"', '"tier":"Admin"'),
};

/** By what is wrong with it. */
export const PLANTED_PLANES: Readonly<Record<string, SideMaker>> = Object.fromEntries(
  Object.entries(EDITS).map(([what, edit]) => [what, planeThatReads(edit)]),
);

function planeThatReads(edit: Edit): SideMaker {
  const edited = new WeakMap<readonly Named[], readonly Named[]>();
  const read = (objects: readonly Named[]): readonly Named[] => {
    const found = edited.get(objects) ?? objects.map((object) => JSON.parse(edit(JSON.stringify(object))));
    edited.set(objects, found);
    return found;
  };
  return (objects, before) => podwirePlane(read(objects), before && read(before));
}
