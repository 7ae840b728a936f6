// What a call of an expression costs: one, and what it has to read. Of a text that is a tenth of its length; of lists and
// maps what is in them, where the function looks at all of it.
import { Fields, isSet, type Value } from "./value.ts";

type List = readonly Value[];
type Cost = (...args: never[]) => number;

const textCost = (text: string): number => Math.ceil(text.length / 10);

/** More than any expression may cost. Lists may share parts, and are endless by that: nobody counts further. */
const COUNTED_MAX = 2_000_000;

function itemsCost(list: List): number {
  let sum = 0;
  for (const one of list) {
    sum += wholeCost(one);
    if (sum > COUNTED_MAX) break;
  }
  return sum;
}

/** Of holding a value against another one. The items of sets are held each against each. */
function wholeCost(value: Value): number {
  if (typeof value === "string") return 1 + textCost(value);
  if (Array.isArray(value)) return 1 + (isSet(value) ? value.length : 1) * itemsCost(value);
  if (value instanceof Map) return 1 + itemsCost([...value.values()]);
  return value instanceof Fields ? 1 + itemsCost([...value.values.values()]) : 1;
}

function equality(a: Value, b: Value): number {
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return 0;
  return wholeCost(a) + wholeCost(b);
}

const ofFirst: Cost = (list: Value) => (Array.isArray(list) ? itemsCost(list) : 0);
const pairs = (a: List, b: List): number => a.length * itemsCost(b) + b.length * itemsCost(a);

const READERS = [
  ...["flatten", "indexOf", "isSorted", "join", "lastIndexOf"],
  ...["max", "min", "reverse", "slice", "sort", "sum"],
];

const COSTS: Readonly<Record<string, Cost>> = {
  "_==_": equality,
  "_!=_": equality,
  "_+_": (a: Value, b: Value) => {
    if (!Array.isArray(a) || !Array.isArray(b)) return 0;
    return isSet(a) ? pairs(a, b) : a.length + b.length;
  },
  "@in": (_: Value, all: Value) => (all instanceof Map ? 0 : itemsCost(all as List)),
  distinct: (list: List) => pairs(list, list),
  "lists.range": (count: bigint) => Math.max(0, Number(count)) / 10,
  "sets.contains": pairs,
  "sets.equivalent": pairs,
  "sets.intersects": pairs,
  ...Object.fromEntries(READERS.map((name) => [name, ofFirst])),
};

export function costOf(name: string, args: readonly Value[]): number {
  let cost = 1;
  for (const arg of args) if (typeof arg === "string") cost += textCost(arg);
  const more = Object.hasOwn(COSTS, name)
    ? (COSTS[name] as (...args: readonly Value[]) => number)
    : undefined;
  return cost + (more?.(...args) ?? 0);
}
