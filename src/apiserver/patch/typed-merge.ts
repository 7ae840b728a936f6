// Server-side apply's way to put one object over another, and what it refuses to read: as structured-merge-diff.
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member, type Resolve, type Typed } from "../schema/schema.ts";
import { type Atom, atomOf, type ListAtom, type MapAtom, type TypeRef, typeRef } from "./atom.ts";
import { goText } from "./go-text.ts";
import { itemElement } from "./list-items.ts";
import { elementText, fieldElement, type PathElement } from "./path-element.ts";
import { deduce, typeOfField } from "./typed-value.ts";

/** `right` over `left`, list by list and field by field as their types say. */
export function mergeTyped(left: JsonObject, right: JsonObject, typed: Typed): JsonObject {
  const made = merged(left, right, typeRef(typed.schema), typed.resolve);
  return isObject(made) ? made : {};
}

type Side = Json | undefined;

function merged(left: Side, right: Side, ref: TypeRef | undefined, resolve: Resolve): Side {
  if (ref === undefined) return right ?? left;
  const atom = deduce(atomOf(ref, resolve), right === undefined ? left : right);
  if (atom.map !== undefined) return mergedMaps(left, right, atom.map, resolve);
  if (atom.scalar !== undefined || atom.list === undefined) return right === undefined ? left : right;
  return mergedLists(left, right, atom.list, resolve);
}

function mergedMaps(left: Side, right: Side, map: MapAtom, resolve: Resolve): Side {
  const a = isObject(left) ? left : {};
  const b = isObject(right) ? right : {};
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  if (map.isAtomic || names.size === 0) return right === undefined ? left : right;
  const made: JsonObject = {};
  for (const name of names) {
    const value = merged(member(a, name), member(b, name), typeOfField(map, name), resolve);
    if (value !== undefined) made[name] = value;
  }
  return Object.keys(made).length === 0 ? undefined : made;
}

interface Indexed {
  readonly elements: readonly PathElement[];
  readonly items: readonly Json[];
  readonly found: ReadonlyMap<PathElement, Json>;
}

/** An item that is there twice is none to merge with. */
function indexed(list: ListAtom, value: Side, resolve: Resolve): Indexed {
  const elements: PathElement[] = [];
  const items: Json[] = [];
  const found = new Map<PathElement, Json>();
  for (const item of Array.isArray(value) ? value : []) {
    const known = itemElement(list, item, resolve);
    if ("problem" in known) continue;
    found.set(known.element, found.has(known.element) ? null : item);
    elements.push(known.element);
    items.push(item);
  }
  return { elements, items, found };
}

/** In the order of `right`, what `left` alone has in between where it stood. */
function mergedLists(left: Side, right: Side, list: ListAtom, resolve: Resolve): Side {
  if (right !== undefined && deepEqual(left, right)) return right;
  const [before, after] = [indexed(list, left, resolve), indexed(list, right, resolve)];
  const [lefts, rights] = [before.elements, after.elements];
  if (list.isAtomic || lefts.length + rights.length === 0) return right === undefined ? left : right;
  const shared = rights.filter((element) => before.found.has(element)).values();
  const put = new Set<PathElement>();
  const out: Json[] = [];
  const add = (a: Side, b: Side): void => {
    const item = merged(a, b, list.item, resolve);
    if (item !== undefined) out.push(item);
  };
  const addRight = (element: PathElement): void => {
    put.add(element);
    add(before.found.get(element), after.found.get(element));
  };
  let next = shared.next().value;
  let [l, r] = [0, 0];
  while (l < lefts.length || r < rights.length) {
    if (l < lefts.length && r < rights.length) {
      if (lefts[l] === rights[r]) {
        addRight(lefts[l]);
        l++;
        r++;
        next = shared.next().value;
        continue;
      }
      if (after.found.has(lefts[l]) && next !== undefined && next !== lefts[l]) {
        l++;
        continue;
      }
    }
    if (l < lefts.length) {
      if (!after.found.has(lefts[l])) {
        add(before.items[l++], undefined);
        continue;
      }
      if (put.has(lefts[l])) l++;
    }
    if (r < rights.length) {
      addRight(rights[r]);
      if (next !== undefined && next === rights[r]) next = shared.next().value;
      r++;
    }
  }
  return out.length === 0 ? undefined : out;
}

/** What of an object does not fit its type, each as "PATH: what". Only what is applied may have no item twice. */
export function typeProblems(value: JsonObject, typed: Typed): string[] {
  const found: string[] = [];
  check(value, typeRef(typed.schema), typed.resolve, "", found);
  return found;
}

function check(value: Json, ref: TypeRef, resolve: Resolve, path: string, found: string[]): void {
  const say = (text: string): unknown => found.push(path === "" ? text : `${path}: ${text}`);
  const atom = deduce(atomOf(ref, resolve), value);
  if (atom.map !== undefined) {
    if (isObject(value)) checkMap(value, atom.map, resolve, path, found);
    else if (value !== null) say(`expected map, got &{${goText(value)}}`);
  } else if (atom.scalar !== undefined) {
    const problem = scalarProblem(value, atom.scalar);
    if (problem !== undefined) say(problem);
  } else if (atom.list !== undefined) {
    if (Array.isArray(value)) checkList(value, atom, resolve, path, found);
    else if (value !== null) say(`expected list, got &{${goText(value)}}`);
  }
}

function checkMap(value: JsonObject, map: MapAtom, resolve: Resolve, path: string, found: string[]): void {
  for (const [name, child] of Object.entries(value)) {
    const at = `${path}${elementText(fieldElement(name))}`;
    const type = typeOfField(map, name);
    if (type !== undefined) check(child, type, resolve, at, found);
    else found.push(`${at}: field not declared in schema`);
  }
}

function checkList(
  value: readonly Json[],
  { list }: Atom,
  resolve: Resolve,
  path: string,
  found: string[],
): void {
  if (list === undefined) return;
  const seen = new Set<PathElement>();
  for (const [i, item] of value.entries()) {
    let at = `${path}[${i}]`;
    if (!list.isAtomic) {
      const known = itemElement(list, item, resolve);
      if ("problem" in known) {
        found.push(`${path}: element ${i}: ${known.problem}`);
        return;
      }
      at = `${path}${elementText(known.element)}`;
      if (seen.has(known.element)) {
        found.push(`${path}: duplicate entries for key ${elementText(known.element)}`);
      }
      seen.add(known.element);
    }
    check(item, list.item, resolve, at, found);
  }
}

function scalarProblem(value: Json, scalar: string): string | undefined {
  if (value === null) return undefined;
  switch (scalar) {
    case "number":
      return typeof value === "number"
        ? undefined
        : `expected numeric (int or float), got ${goTypeOf(value)}`;
    case "string":
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goText(value)}}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got &{${goText(value)}}`;
    default:
      return typeof value !== "object" ? undefined : `expected any scalar, got &{${goText(value)}}`;
  }
}

const goTypeOf = (value: Json): string => {
  if (Array.isArray(value)) return "[]interface {}";
  if (isObject(value)) return "map[string]interface {}";
  return typeof value === "boolean" ? "bool" : "string";
};
