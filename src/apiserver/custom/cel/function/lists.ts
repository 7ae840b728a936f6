// Functions of lists: Kubernetes' own, cel-go's extension and its sets.
import type { Run } from "../run.ts";
import { Duration, equal, Fault, NONE, Optional, Uint, type Value } from "../value.ts";
import { compare, int } from "./operators.ts";

type List = readonly Value[];

const COMPARABLE = ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"];

function best(name: string, isBetter: (order: number) => boolean): Run {
  return (list: List) => {
    if (list.length === 0) throw new Fault(`${name} called on empty list`);
    return list.reduce((a, b) => (isBetter(compare(b, a)) ? b : a));
  };
}

const isSorted: Run = (list: List) => list.every((one, i) => i === 0 || compare(list[i - 1], one) <= 0);
const sorted: Run = (list: List) => [...list].sort(compare);

const SUMS: Readonly<Record<string, Run>> = {
  "list<int>.sum(): int": (list: bigint[]) => list.reduce((a, b) => int(a + b), 0n),
  "list<uint>.sum(): uint": (list: Uint[]) =>
    list.reduce((a, b) => new Uint(a.value + b.value), new Uint(0n)),
  "list<double>.sum(): double": (list: number[]) => list.reduce((a, b) => a + b, 0),
  "list<duration>.sum(): duration": (list: Duration[]) =>
    list.reduce((a, b) => new Duration(a.ns + b.ns), new Duration(0n)),
};

function slice(list: List, from: bigint, to: bigint): List {
  if (from < 0n || to < 0n) throw new Fault(`cannot slice(${from}, ${to}), negative indexes not supported`);
  if (from > to)
    throw new Fault(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > BigInt(list.length))
    throw new Fault(`cannot slice(${from}, ${to}), list is length ${list.length}`);
  return list.slice(Number(from), Number(to));
}

function flatten(list: List, depth = 1n): List {
  if (depth < 0n) throw new Fault("level must be non-negative");
  return list.flat(Number(depth));
}

const RANGE_MAX = 1_000_000n;

function range(count: bigint): List {
  if (count > RANGE_MAX) throw new Fault("range is too large");
  return Array.from({ length: Math.max(0, Number(count)) }, (_, i) => BigInt(i));
}

const has = (list: List, value: Value): boolean => list.some((one) => equal(one, value));
const contains = (list: List, wanted: List): boolean => wanted.every((one) => has(list, one));

export const LISTS: Readonly<Record<string, Run>> = {
  ...SUMS,
  ...Object.fromEntries(
    COMPARABLE.flatMap((type): [string, Run][] => [
      [`list<${type}>.min(): ${type}`, best("min", (order) => order < 0)],
      [`list<${type}>.max(): ${type}`, best("max", (order) => order > 0)],
      [`list<${type}>.isSorted(): bool`, isSorted],
      [`list<${type}>.sort(): list<${type}>`, sorted],
    ]),
  ),
  "list<A>.indexOf(A): int": (list: List, value: Value) => BigInt(list.findIndex((one) => equal(one, value))),
  "list<A>.lastIndexOf(A): int": (list: List, value: Value) =>
    BigInt(list.findLastIndex((one) => equal(one, value))),
  "list<A>.slice(int, int): list<A>": slice,
  "list<list<A>>.flatten(): list<A>": (list: List) => flatten(list),
  "list<dyn>.flatten(int): list<dyn>": flatten as Run,
  "list<A>.distinct(): list<A>": (list: List) =>
    list.filter((one, i) => list.findIndex((other) => equal(one, other)) === i),
  "list<A>.reverse(): list<A>": (list: List) => [...list].reverse(),
  "list<A>.first(): optional<A>": (list: List) => (list.length === 0 ? NONE : new Optional(list[0])),
  "list<A>.last(): optional<A>": (list: List) =>
    list.length === 0 ? NONE : new Optional(list[list.length - 1]),
  "'lists.range'(int): list<int>": range,
  "'sets.contains'(list<A>, list<A>): bool": contains,
  "'sets.equivalent'(list<A>, list<A>): bool": (a: List, b: List) => contains(a, b) && contains(b, a),
  "'sets.intersects'(list<A>, list<A>): bool": (a: List, b: List) => b.some((one) => has(a, one)),
};
