// What structured-merge-diff does with a value and its type: which fields it has, in which two differ, a value without
// some of its fields. Values are never changed; what comes back shares parts with what was given.
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member, type Resolve, type Typed } from "../schema/schema.ts";
import { type Atom, atomOf, type ListAtom, type MapAtom, type TypeRef, typeRef } from "./atom.ts";
import { below, type FieldSet, has, type Path, SetMaker } from "./field-set.ts";
import { itemElement, itemsByElement } from "./list-items.ts";
import { fieldElement } from "./path-element.ts";

/** The fields of an object. */
export function fieldSetOf(value: JsonObject, typed: Typed): FieldSet {
  const maker = new SetMaker();
  addFields(maker, [], value, typeRef(typed.schema), typed.resolve);
  return maker.set;
}

/** Of an atom that may be more than one thing, what this value makes of it. */
export function deduce(atom: Atom, value: Json | undefined): Atom {
  if (value === undefined || value === null) return atom;
  if (Array.isArray(value)) return atom.list === undefined ? atom : { list: atom.list };
  if (isObject(value)) return atom.map === undefined ? atom : { map: atom.map };
  return atom.scalar === undefined ? atom : { scalar: atom.scalar };
}

export const typeOfField = (map: MapAtom, name: string): TypeRef | undefined => {
  const field = member(map.fields, name);
  return field === undefined ? map.rest : typeRef(field, map.preserves);
};

const isEmptyMap = (value: Json): boolean => isObject(value) && Object.keys(value).length === 0;

function addFields(maker: SetMaker, path: Path, value: Json, ref: TypeRef | undefined, resolve: Resolve) {
  if (ref === undefined) return;
  const { map, scalar, list } = deduce(atomOf(ref, resolve), value);
  if (map !== undefined) {
    if (map.isAtomic) maker.insert(path);
    else if (isObject(value)) addMembers(maker, path, value, map, resolve);
  } else if (scalar !== undefined) maker.insert(path);
  else if (list?.isAtomic) maker.insert(path);
  else if (list !== undefined && Array.isArray(value)) {
    for (const [element, same] of itemsByElement(list, value, resolve)) {
      const at = [...path, element];
      if (same.length === 1) addFields(maker, at, same[0], list.item, resolve);
      maker.insert(at);
    }
  }
}

function addMembers(maker: SetMaker, path: Path, value: JsonObject, map: MapAtom, resolve: Resolve): void {
  for (const [name, child] of Object.entries(value)) {
    const at = [...path, fieldElement(name)];
    addFields(maker, at, child, typeOfField(map, name), resolve);
    if (child === null || isEmptyMap(child) || !Object.hasOwn(map.fields, name)) maker.insert(at);
  }
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** In which fields `right` is another than `left`. */
export function compare(left: JsonObject, right: JsonObject, typed: Typed): Comparison {
  const comparer = new Comparer(typed.resolve);
  comparer.compare([], left, right, typeRef(typed.schema));
  return { added: comparer.added.set, modified: comparer.modified.set, removed: comparer.removed.set };
}

class Comparer {
  readonly added = new SetMaker();
  readonly modified = new SetMaker();
  readonly removed = new SetMaker();
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** One of both is there. */
  compare(path: Path, left: Json | undefined, right: Json | undefined, ref: TypeRef | undefined): void {
    if (ref === undefined || left === right) return;
    const atom = atomOf(ref, this.#resolve);
    const ofLeft = deduce(atom, left);
    const ofRight = deduce(atom, right);
    let isLeaf = false;
    if (right === undefined) isLeaf = this.#byAtom(path, left, right, ofLeft);
    else {
      const kind = (one: Atom): unknown => one.map ?? one.scalar ?? one.list;
      if (left !== undefined && kind(ofLeft) !== kind(ofRight)) this.#byAtom(path, left, right, ofLeft);
      isLeaf = this.#byAtom(path, left, right, ofRight);
    }
    if (isLeaf) return;
    if (left === undefined) this.added.insert(path);
    else if (right === undefined) this.removed.insert(path);
  }

  /** Whether it was looked at as one piece. */
  #byAtom(path: Path, left: Json | undefined, right: Json | undefined, atom: Atom): boolean {
    if (atom.map !== undefined) return this.#maps(path, left, right, atom.map);
    if (atom.scalar !== undefined || atom.list === undefined) return this.#leaf(path, left, right);
    return this.#lists(path, left, right, atom.list);
  }

  #leaf(path: Path, left: Json | undefined, right: Json | undefined): true {
    if (left === undefined) this.added.insert(path);
    else if (right === undefined) this.removed.insert(path);
    else if (!deepEqual(left, right)) this.modified.insert(path);
    return true;
  }

  #maps(path: Path, left: Json | undefined, right: Json | undefined, map: MapAtom): boolean {
    const a = isObject(left) ? left : {};
    const b = isObject(right) ? right : {};
    const names = new Set([...Object.keys(a), ...Object.keys(b)]);
    if (map.isAtomic || names.size === 0) return this.#leaf(path, left, right);
    for (const name of names) {
      const type = typeOfField(map, name);
      this.compare([...path, fieldElement(name)], member(a, name), member(b, name), type);
    }
    return false;
  }

  #lists(path: Path, left: Json | undefined, right: Json | undefined, list: ListAtom): boolean {
    const before = Array.isArray(left) ? left : [];
    const after = Array.isArray(right) ? right : [];
    if (list.isAtomic || before.length + after.length === 0) return this.#leaf(path, left, right);
    const a = itemsByElement(list, before, this.#resolve);
    const b = itemsByElement(list, after, this.#resolve);
    for (const element of new Set([...a.keys(), ...b.keys()])) {
      const at = [...path, element];
      const [was = [], is = []] = [a.get(element), b.get(element)];
      if (was.length <= 1 && is.length <= 1) this.compare(at, was[0], is[0], list.item);
      else if (was.length > 1 && is.length > 1) {
        if (!deepEqual(was, is)) this.modified.insert(at);
      } else if (was.length > 1) {
        if (is.length > 0) this.compare(at, undefined, is[0], list.item);
        this.removed.insert(at);
      } else {
        if (was.length > 0) this.compare(at, was[0], undefined, list.item);
        this.added.insert(at);
      }
    }
    return false;
  }
}

/** The object without these fields, and without what they alone held. */
export function removeFields(value: JsonObject, fields: FieldSet, typed: Typed): JsonObject {
  const left = removed(value, fields, typeRef(typed.schema), typed.resolve);
  return isObject(left) ? left : {};
}

/** Undefined where nothing is left. */
function removed(value: Json, fields: FieldSet, ref: TypeRef | undefined, resolve: Resolve): Json {
  if (ref === undefined) return value;
  const { map, scalar, list } = deduce(atomOf(ref, resolve), value);
  if (map !== undefined) {
    if (!isObject(value) || map.isAtomic) return null;
    const kept: JsonObject = {};
    for (const [name, child] of Object.entries(value)) {
      const element = fieldElement(name);
      if (has(fields, element)) continue;
      const inner = below(fields, element);
      kept[name] = inner.size === 0 ? child : removed(child, inner, typeOfField(map, name), resolve);
    }
    return Object.keys(kept).length === 0 ? null : kept;
  }
  if (scalar !== undefined || list === undefined) return value;
  if (!Array.isArray(value) || list.isAtomic) return null;
  const kept: Json[] = [];
  for (const item of value) {
    const known = itemElement(list, item, resolve);
    const element = "element" in known ? known.element : "";
    if (has(fields, element)) continue;
    const inner = below(fields, element);
    kept.push(inner.size === 0 ? item : removed(item, inner, list.item, resolve));
  }
  return kept.length === 0 ? null : kept;
}
