// Sets of fields, as trees: what a manager of fields has, and what two objects differ in. Sets are values: nothing here
// changes one that it was given.
import type { Json, JsonObject, Schema, Typed } from "../schema/schema.ts";
import { isObject, member } from "../schema/schema.ts";
import { atomOf, type TypeRef, typeRef } from "./atom.ts";
import { elementText, fieldElement, inOrder, type PathElement, readElement } from "./path-element.ts";

/** A step: whether what it leads to belongs to the set itself, and what below it does. */
export interface Node {
  readonly isMember: boolean;
  readonly below: FieldSet;
}
export type FieldSet = ReadonlyMap<PathElement, Node>;
export type Path = readonly PathElement[];
type Growing = Map<PathElement, { isMember: boolean; below: Growing }>;

export const EMPTY: FieldSet = new Map();
/** A path that ends here. */
export const LEAF: Node = { isMember: true, below: EMPTY };

const isNothing = ({ isMember, below }: Node): boolean => !isMember && below.size === 0;

/**
 * Sets of leaves alone, by the names of their fields: the thousand items of a list have the same fields, and one set for
 * all of them. Very many kinds of items are none: then it begins anew.
 */
let leaves = new Map<string, Node>();
const LEAF_SETS_MAX = 1000;
const LEAVES_MAX = 32;

/** A node that is a member with these fields below it, each of them a leaf. */
export function nodeOfLeaves(names: readonly string[]): Node {
  if (names.length > LEAVES_MAX) return { isMember: true, below: leavesOf(names) };
  const key = names.join("\n");
  let node = leaves.get(key);
  if (node === undefined) {
    node = { isMember: true, below: leavesOf(names) };
    if (leaves.size >= LEAF_SETS_MAX) leaves = new Map();
    leaves.set(key, node);
  }
  return node;
}

function leavesOf(names: readonly string[]): FieldSet {
  return new Map(names.map((name) => [fieldElement(name), LEAF]));
}

/** Of paths. */
export function setOf(...paths: readonly Path[]): FieldSet {
  const root: Growing = new Map();
  for (const path of paths) {
    let at = root;
    for (const [i, element] of path.entries()) {
      let node = at.get(element);
      if (node === undefined) at.set(element, (node = { isMember: false, below: new Map() }));
      if (i === path.length - 1) node.isMember = true;
      at = node.below;
    }
  }
  return root;
}

/** With these instead of what was there. The same where nothing is another: sets of big objects share their parts. */
function changed(node: Node, isMember: boolean, below: FieldSet): Node {
  return node.isMember === isMember && node.below === below ? node : { isMember, below };
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0 || a === b) return a.size === 0 ? b : a;
  let made: Map<PathElement, Node> | undefined;
  for (const [element, y] of b) {
    const x = a.get(element);
    const node = x === undefined ? y : changed(x, x.isMember || y.isMember, union(x.below, y.below));
    if (node === x) continue;
    made ??= new Map(a);
    made.set(element, node);
  }
  return made ?? a;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  if (a.size === 0 || b.size === 0) return EMPTY;
  const made = new Map<PathElement, Node>();
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const [element, x] of few) {
    const y = many.get(element);
    if (y === undefined) continue;
    const node = { isMember: x.isMember && y.isMember, below: intersection(x.below, y.below) };
    if (!isNothing(node)) made.set(element, node);
  }
  return made;
}

/** `a`, where both have a step with what `decide` leaves of it. */
function reduced(a: FieldSet, b: FieldSet, decide: (a: Node, b: Node) => Node): FieldSet {
  if (a.size === 0 || b.size === 0) return a;
  let made: Map<PathElement, Node> | undefined;
  for (const element of (a.size < b.size ? a : b).keys()) {
    const [x, y] = [a.get(element), b.get(element)];
    if (x === undefined || y === undefined) continue;
    const node = decide(x, y);
    if (node === x) continue;
    made ??= new Map(a);
    if (isNothing(node)) made.delete(element);
    else made.set(element, node);
  }
  return made ?? a;
}

/** What is in `a` and not in `b`, each path by itself: what lies below a path of `b` stays. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return reduced(a, b, (x, y) => changed(x, x.isMember && !y.isMember, difference(x.below, y.below)));
}

/** The same without what lies below a path of `b`. */
export function without(a: FieldSet, b: FieldSet): FieldSet {
  return reduced(a, b, (x, y) =>
    y.isMember ? { isMember: false, below: EMPTY } : changed(x, x.isMember, without(x.below, y.below)),
  );
}

export const has = (set: FieldSet, element: PathElement): boolean => set.get(element)?.isMember === true;
export const below = (set: FieldSet, element: PathElement): FieldSet => set.get(element)?.below ?? EMPTY;

/** Every path, in the order of kube-apiserver: of each level its members, then what lies below. */
export function* paths(set: FieldSet, prefix: Path = []): Generator<Path> {
  const elements = inOrder(set.keys());
  for (const element of elements) if (has(set, element)) yield [...prefix, element];
  for (const element of elements) yield* paths(below(set, element), [...prefix, element]);
}

export const pathText = (path: Path): string => path.map(elementText).join("");

/** What was written and read before: of an object that changes most managers stay as they are. */
const texts = new WeakMap<FieldSet, JsonObject>();
const sets = new WeakMap<object, FieldSet>();

/** As `fieldsV1` has it: "." is the step itself, where something lies below it as well. Nobody may change it. */
export function toFieldsV1(set: FieldSet): JsonObject {
  let known = texts.get(set);
  if (known === undefined) {
    known = written(set);
    texts.set(set, known);
    sets.set(known, set);
  }
  return known;
}

/** Of a leaf; many have one. */
const ITSELF: JsonObject = Object.freeze({});
/** Of nodes that many items have. */
const nodeTexts = new WeakMap<Node, JsonObject>();

function written(set: FieldSet): JsonObject {
  const made: JsonObject = {};
  let last: Node = LEAF;
  let text = ITSELF;
  for (const element of inOrder(set.keys())) {
    const node = set.get(element) as Node;
    if (node !== last) {
      last = node;
      text = node === LEAF ? ITSELF : (nodeTexts.get(node) ?? nodeText(node));
    }
    made[element] = text;
  }
  return made;
}

function nodeText(node: Node): JsonObject {
  const { isMember, below } = node;
  if (below.size === 0) return ITSELF;
  const inner = written(below);
  if (!isMember) return inner;
  const text = { ".": ITSELF, ...inner };
  if (below.size <= LEAVES_MAX) nodeTexts.set(node, text);
  return text;
}

/** What `fieldsV1` says; undefined where it is none. `fields` is never changed. */
export function fromFieldsV1(fields: Json | undefined): FieldSet | undefined {
  if (!isObject(fields)) return undefined;
  let known = sets.get(fields);
  if (known !== undefined) return known;
  known = read(fields);
  if (known !== undefined) sets.set(fields, known);
  return known;
}

function read(fields: Json | undefined): FieldSet | undefined {
  if (!isObject(fields)) return undefined;
  const made = new Map<PathElement, Node>();
  for (const key of Object.keys(fields)) {
    if (key === ".") continue;
    const value = fields[key];
    const element = readElement(key);
    const inner = read(value);
    if (element === undefined || inner === undefined) return undefined;
    const isLeaf = inner.size === 0;
    made.set(element, isLeaf ? LEAF : { isMember: Object.hasOwn(value as JsonObject, "."), below: inner });
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
