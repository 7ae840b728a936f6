// The functions that expressions may call: Kubernetes' environment of CEL (apiserver, pkg/cel/environment), each overload
// with the types of its arguments.
import type { Meter } from "./code.ts";
import { costOf } from "./cost.ts";
import { CONVERSIONS } from "./function/conversions.ts";
import { FORMATS } from "./function/formats.ts";
import { LISTS } from "./function/lists.ts";
import { NETWORK } from "./function/network.ts";
import { OPERATORS } from "./function/operators.ts";
import { QUANTITIES } from "./function/quantities.ts";
import { SEMVER } from "./function/semver.ts";
import { STRINGS } from "./function/strings.ts";
import { TIMES } from "./function/times.ts";
import { URLS } from "./function/urls.ts";
import type { Run } from "./run.ts";
import { type Bound, type CelType, fits, typeNamed } from "./type.ts";
import { kindOf, type Value } from "./value.ts";

export interface Overload {
  readonly args: readonly CelType[];
  readonly result: CelType;
  run(args: readonly Value[], meter: Meter): Value;
}

export interface Candidate {
  readonly overload: Overload;
  readonly bound: Bound;
}

let all: Map<string, Overload[]> | undefined;

/** By name; those of a value begin with a dot. Made when the first expression is compiled. */
function table(): Map<string, Overload[]> {
  if (all !== undefined) return all;
  all = new Map();
  const parts = [OPERATORS, CONVERSIONS, STRINGS, LISTS, TIMES, NETWORK, URLS, QUANTITIES, SEMVER, FORMATS];
  for (const part of parts) for (const [signature, run] of Object.entries(part)) add(all, signature, run);
  return all;
}

/** "string.startsWith(string): bool", "size(list<A>): int"; a name in quotes may have dots: "'optional.of'(A): …". */
function add(to: Map<string, Overload[]>, signature: string, run: Run): void {
  const [, receiver, quoted, name, args, result] =
    /^(?:([^'(]+)\.)?(?:'([^']+)'|([^.('][^(]*))\((.*)\): (.+)$/.exec(signature) ?? [];
  const types = [...(receiver === undefined ? [] : [receiver]), ...split(args)];
  const own = quoted ?? name;
  const key = `${receiver === undefined ? "" : "."}${own}`;
  const overload = { args: types.map(typeNamed), result: typeNamed(result), run: metered(own, run) };
  const known = to.get(key);
  if (known === undefined) to.set(key, [overload]);
  else known.push(overload);
}

function metered(name: string, run: Run): Overload["run"] {
  const plain = run as (...args: readonly Value[]) => Value;
  return (args, meter) => {
    meter.spend(costOf(name, args));
    return plain(...args);
  };
}

const split = (args: string): string[] => (args === "" ? [] : args.split(/, (?![^<]*>)/));

export function isFunction(name: string, isMember: boolean): boolean {
  return table().has(isMember ? `.${name}` : name);
}

/** Those that take such arguments. */
export function candidatesOf(name: string, isMember: boolean, types: readonly CelType[]): Candidate[] {
  const found: Candidate[] = [];
  for (const overload of table().get(isMember ? `.${name}` : name) ?? []) {
    if (overload.args.length !== types.length) continue;
    const bound: Bound = new Map();
    if (overload.args.every((arg, i) => fits(arg, types[i], bound))) found.push({ overload, bound });
  }
  return found;
}

/** The first one that takes these values. */
export function choose(overloads: readonly Overload[], values: readonly Value[]): Overload | undefined {
  return overloads.find(({ args }) => args.every((arg, i) => isOf(arg, values[i])));
}

function isOf({ kind }: CelType, value: Value): boolean {
  return kind === "dyn" || /^[A-Z]/.test(kind) || kind === kindOf(value);
}
