// Sets of fields, as trees: what a manager of fields has, and what two objects differ in. Sets are values: nothing here
// changes one that it was given, but for `insert`, with which they are made.
import type { Json, JsonObject, Schema, Typed } from "../schema/schema.ts";
import { isObject, member } from "../schema/schema.ts";
import { atomOf, type TypeRef, typeRef } from "./atom.ts";
import { compareElements, elementText, type PathElement, readElement } from "./path-element.ts";

/** A step: whether what it leads to belongs to the set itself, and what below it does. */
export interface Node {
  readonly isMember: boolean;
  readonly below: FieldSet;
}
export type FieldSet = ReadonlyMap<PathElement, Node>;
export type Path = readonly PathElement[];
type Growing = Map<PathElement, { isMember: boolean; below: Growing }>;

export const EMPTY: FieldSet = new Map();
const NOTHING: Node = { isMember: false, below: EMPTY };

/** A set to begin with, and to put paths into. */
export class SetMaker {
  readonly #root: Growing = new Map();

  insert(path: Path): void {
    let at = this.#root;
    for (const [i, element] of path.entries()) {
      let node = at.get(element);
      if (node === undefined) at.set(element, (node = { isMember: false, below: new Map() }));
      if (i === path.length - 1) node.isMember = true;
      at = node.below;
    }
  }

  get set(): FieldSet {
    return this.#root;
  }
}

/** Of paths. */
export function setOf(...paths: readonly Path[]): FieldSet {
  const maker = new SetMaker();
  for (const path of paths) maker.insert(path);
  return maker.set;
}

/** Nothing but what `decide` makes of each step that one of both has. */
function combine(a: FieldSet, b: FieldSet, decide: (a: Node, b: Node) => Node): FieldSet {
  const made = new Map<PathElement, Node>();
  for (const element of new Set([...a.keys(), ...b.keys()])) {
    const node = decide(a.get(element) ?? NOTHING, b.get(element) ?? NOTHING);
    if (node.isMember || node.below.size > 0) made.set(element, node);
  }
  return made;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a.size === 0 ? b : a;
  return combine(a, b, (x, y) => ({ isMember: x.isMember || y.isMember, below: union(x.below, y.below) }));
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return EMPTY;
  return combine(a, b, (x, y) => ({
    isMember: x.isMember && y.isMember,
    below: intersection(x.below, y.below),
  }));
}

/** What is in `a` and not in `b`, each path by itself: what lies below a path of `b` stays. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  return combine(a, b, (x, y) => ({
    isMember: x.isMember && !y.isMember,
    below: difference(x.below, y.below),
  }));
}

/** The same without what lies below a path of `b`. */
export function without(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  return combine(a, b, (x, y) => (y.isMember ? NOTHING : { ...x, below: without(x.below, y.below) }));
}

export const has = (set: FieldSet, element: PathElement): boolean => set.get(element)?.isMember === true;
export const below = (set: FieldSet, element: PathElement): FieldSet => set.get(element)?.below ?? EMPTY;

/** Every path, in the order of kube-apiserver: of each level its members, then what lies below. */
export function* paths(set: FieldSet, prefix: Path = []): Generator<Path> {
  const elements = [...set.keys()].sort(compareElements);
  for (const element of elements) if (has(set, element)) yield [...prefix, element];
  for (const element of elements) yield* paths(below(set, element), [...prefix, element]);
}

export const pathText = (path: Path): string => path.map(elementText).join("");

/** As `fieldsV1` has it: "." is the step itself, where something lies below it as well. */
export function toFieldsV1(set: FieldSet): JsonObject {
  const made: JsonObject = {};
  for (const element of [...set.keys()].sort(compareElements)) {
    const node = set.get(element) as Node;
    const inner = toFieldsV1(node.below);
    made[element] = node.isMember && node.below.size > 0 ? { ".": {}, ...inner } : inner;
  }
  return made;
}

/** What `fieldsV1` says; undefined where it is none. */
export function fromFieldsV1(fields: Json | undefined): FieldSet | undefined {
  if (!isObject(fields)) return undefined;
  const made = new Map<PathElement, Node>();
  for (const [key, value] of Object.entries(fields)) {
    if (key === ".") continue;
    const element = readElement(key);
    const inner = fromFieldsV1(value);
    if (element === undefined || inner === undefined) return undefined;
    made.set(element, {
      isMember: inner.size === 0 || Object.hasOwn(value as JsonObject, "."),
      below: inner,
    });
  }
  return made;
}

/**
 * With every field of a structure on the way to a path as a path of its own: they come and go with what they hold.
 */
export function withNamedFields(set: FieldSet, typed: Typed): FieldSet {
  return named(set, typeRef(typed.schema), typed);
}

function named(set: FieldSet, ref: TypeRef | undefined, typed: Typed): FieldSet {
  const atom = ref === undefined ? undefined : atomOf(ref, typed.resolve);
  const made = new Map<PathElement, Node>();
  for (const [element, node] of set) {
    const name = element.startsWith("f:") ? element.slice(2) : undefined;
    const field: Schema | undefined = name === undefined ? undefined : member(atom?.map?.fields, name);
    const isMember = node.isMember || (field !== undefined && node.below.size > 0);
    const next =
      name === undefined
        ? element.startsWith("k:")
          ? atom?.list?.item
          : undefined
        : field === undefined
          ? atom?.map?.rest
          : typeRef(field, atom?.map?.preserves);
    made.set(element, { isMember, below: named(node.below, next, typed) });
  }
  return made;
}
