// In which fields two objects differ, as structured-merge-diff compares them.
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member, type Resolve, type Typed } from "../schema/schema.ts";
import { type Atom, atomOf, type ListAtom, type MapAtom, type TypeRef, typeRef } from "./atom.ts";
import { EMPTY, type FieldSet, LEAF, type Node } from "./field-set.ts";
import { itemsByElement } from "./list-items.ts";
import { fieldElement, type PathElement } from "./path-element.ts";
import { deduce, typeOfField, wholeOf } from "./typed-value.ts";

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** In which fields `right` is another than `left`. */
export function compare(left: JsonObject, right: JsonObject, typed: Typed): Comparison {
  const comparer = new Comparer(typed.resolve);
  comparer.compare(comparer.root, left, right, typeRef(typed.schema));
  return {
    added: comparer.setOf(ADDED),
    modified: comparer.setOf(MODIFIED),
    removed: comparer.setOf(REMOVED),
  };
}

const ADDED = 1;
const MODIFIED = 2;
const REMOVED = 4;

/** Where something differs, or something below it. */
interface Spot {
  marks: number;
  /** With all that is in it: what is there on one side alone. */
  added: Node | undefined;
  removed: Node | undefined;
  below: Map<PathElement, Spot> | undefined;
}

const newSpot = (): Spot => ({ marks: 0, added: undefined, removed: undefined, below: undefined });

/** On the way to a value. Nearly all values are the same on both sides: what names one is made where it is not. */
interface Step {
  readonly from: Step | undefined;
  /** A field's name, or an item's element. */
  readonly name: string;
  readonly isField: boolean;
  spot: Spot | undefined;
}

function spotAt(step: Step): Spot {
  if (step.spot !== undefined) return step.spot;
  const parent = spotAt(step.from as Step);
  const element = step.isField ? fieldElement(step.name) : step.name;
  parent.below ??= new Map();
  let spot = parent.below.get(element);
  if (spot === undefined) parent.below.set(element, (spot = newSpot()));
  step.spot = spot;
  return spot;
}

function marked(spot: Spot, mark: number): FieldSet {
  const made = new Map<PathElement, Node>();
  for (const [element, inner] of spot.below ?? []) {
    const whole = mark === ADDED ? inner.added : mark === REMOVED ? inner.removed : undefined;
    if (whole !== undefined) {
      made.set(element, whole);
      continue;
    }
    const isMember = (inner.marks & mark) !== 0;
    const below = inner.below === undefined ? EMPTY : marked(inner, mark);
    if (below.size > 0) made.set(element, { isMember, below });
    else if (isMember) made.set(element, LEAF);
  }
  return made;
}

type Side = Json | undefined;

class Comparer {
  readonly root: Step = { from: undefined, name: "", isField: true, spot: newSpot() };
  #marks = 0;
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  setOf(mark: number): FieldSet {
    return (this.#marks & mark) === 0 ? EMPTY : marked(this.root.spot as Spot, mark);
  }

  #mark(step: Step, mark: number): void {
    spotAt(step).marks |= mark;
    this.#marks |= mark;
  }

  /** One of both is there. */
  compare(step: Step, left: Side, right: Side, ref: TypeRef | undefined): void {
    if (ref === undefined || left === right) return;
    if (left === undefined || right === undefined) {
      this.#oneSide(step, left, right, ref);
      return;
    }
    const atom = atomOf(ref, this.#resolve);
    const ofLeft = deduce(atom, left);
    const ofRight = deduce(atom, right);
    if (thing(ofLeft) !== thing(ofRight)) this.#byAtom(step, left, right, ofLeft);
    this.#byAtom(step, left, right, ofRight);
  }

  #oneSide(step: Step, left: Side, right: Side, ref: TypeRef): void {
    const spot = spotAt(step);
    if (right !== undefined) spot.added = wholeOf(right, ref, this.#resolve);
    else if (left !== undefined) spot.removed = wholeOf(left, ref, this.#resolve);
    this.#mark(step, right === undefined ? REMOVED : ADDED);
  }

  #byAtom(step: Step, left: Json, right: Json, atom: Atom): void {
    if (atom.map !== undefined) this.#maps(step, left, right, atom.map);
    else if (atom.scalar !== undefined || atom.list === undefined) this.#leaf(step, left, right);
    else this.#lists(step, left, right, atom.list);
  }

  #leaf(step: Step, left: Json, right: Json): void {
    if (!deepEqual(left, right)) this.#mark(step, MODIFIED);
  }

  #maps(from: Step, left: Json, right: Json, map: MapAtom): void {
    const a = isObject(left) ? left : {};
    const b = isObject(right) ? right : {};
    const names = Object.keys(a);
    for (const name of Object.keys(b)) if (!Object.hasOwn(a, name)) names.push(name);
    if (map.isAtomic || names.length === 0) {
      this.#leaf(from, left, right);
      return;
    }
    for (const name of names) {
      const [was, is] = [member(a, name), member(b, name)];
      if (was === is) continue;
      this.compare({ from, name, isField: true, spot: undefined }, was, is, typeOfField(map, name));
    }
  }

  #lists(from: Step, left: Json, right: Json, list: ListAtom): void {
    const before = Array.isArray(left) ? left : [];
    const after = Array.isArray(right) ? right : [];
    if (list.isAtomic || before.length + after.length === 0) {
      this.#leaf(from, left, right);
      return;
    }
    if (deepEqual(left, right)) return;
    const a = itemsByElement(list, before, this.#resolve);
    const b = itemsByElement(list, after, this.#resolve);
    for (const name of new Set([...a.keys(), ...b.keys()])) {
      const at: Step = { from, name, isField: false, spot: undefined };
      this.#items(at, a.get(name) ?? [], b.get(name) ?? [], list);
    }
  }

  /** Those of one element: where there are several of it they are one piece. */
  #items(at: Step, was: readonly Json[], is: readonly Json[], list: ListAtom): void {
    if (was.length <= 1 && is.length <= 1) this.compare(at, was[0], is[0], list.item);
    else if (was.length > 1 && is.length > 1) {
      if (!deepEqual(was, is)) this.#mark(at, MODIFIED);
    } else if (was.length > 1) {
      if (is.length > 0) this.compare(at, undefined, is[0], list.item);
      this.#mark(at, REMOVED);
    } else {
      if (was.length > 0) this.compare(at, was[0], undefined, list.item);
      this.#mark(at, ADDED);
    }
  }
}

const thing = (one: Atom): unknown => one.map ?? one.scalar ?? one.list;
