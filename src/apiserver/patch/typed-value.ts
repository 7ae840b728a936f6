// What structured-merge-diff does with a value and its type: which fields it has, in which two differ, a value without
// some of its fields. Values are never changed; what comes back shares parts with what was given.
import { isObject, type Json, type JsonObject, member, type Resolve, type Typed } from "../schema/schema.ts";
import { type Atom, atomOf, type MapAtom, type TypeRef, typeRef } from "./atom.ts";
import { below, EMPTY, type FieldSet, has, LEAF, type Node, nodeOfLeaves } from "./field-set.ts";
import { itemElement, itemsByElement } from "./list-items.ts";
import { fieldElement, type PathElement } from "./path-element.ts";

/** The fields of an object. */
export function fieldSetOf(value: JsonObject, typed: Typed): FieldSet {
  return fieldsOf(value, typeRef(typed.schema), typed.resolve).below;
}

/** Of an atom that may be more than one thing, what this value makes of it. */
export function deduce(atom: Atom, value: Json | undefined): Atom {
  if (value === undefined || value === null) return atom;
  const { map, scalar, list } = atom;
  if ((map ?? list) === undefined || (map ?? scalar) === undefined || (scalar ?? list) === undefined)
    return atom;
  if (Array.isArray(value)) return atom.list === undefined ? atom : { list: atom.list };
  if (isObject(value)) return atom.map === undefined ? atom : { map: atom.map };
  return atom.scalar === undefined ? atom : { scalar: atom.scalar };
}

export const typeOfField = (map: MapAtom, name: string): TypeRef | undefined => {
  const field = member(map.fields, name);
  return field === undefined ? map.rest : typeRef(field, map.preserves);
};

const isEmptyMap = (value: Json): boolean => isObject(value) && Object.keys(value).length === 0;

const NOTHING: Node = { isMember: false, below: EMPTY };

/** Of a value: whether it is a field as a whole, and those below it. */
function fieldsOf(value: Json, ref: TypeRef | undefined, resolve: Resolve): Node {
  if (ref === undefined) return NOTHING;
  const { map, scalar, list } = deduce(atomOf(ref, resolve), value);
  if (map !== undefined) {
    if (map.isAtomic) return LEAF;
    return isObject(value) ? { isMember: false, below: membersOf(value, map, resolve) } : NOTHING;
  }
  if (scalar !== undefined || list?.isAtomic) return LEAF;
  if (list === undefined || !Array.isArray(value)) return NOTHING;
  const made = new Map<PathElement, Node>();
  for (const [element, same] of itemsByElement(list, value, resolve)) {
    const node = same.length === 1 ? fieldsOf(same[0], list.item, resolve) : LEAF;
    made.set(element, asMember(node));
  }
  return { isMember: false, below: made };
}

/** The node with what is below it as a field of its own. */
function asMember(node: Node): Node {
  if (node.isMember) return node;
  return node.below.size === 0 ? LEAF : { isMember: true, below: node.below };
}

function membersOf(value: JsonObject, map: MapAtom, resolve: Resolve): FieldSet {
  const names = Object.keys(value);
  const nodes = names.map((name) => {
    const child = value[name];
    const node = fieldsOf(child, typeOfField(map, name), resolve);
    const isOne = node.isMember || child === null || isEmptyMap(child) || !Object.hasOwn(map.fields, name);
    return isOne ? asMember(node) : node;
  });
  return setOfFields(names, nodes);
}

/** What is nothing is left out. */
function setOfFields(names: readonly string[], nodes: readonly Node[]): FieldSet {
  if (nodes.every((node) => node === LEAF)) return names.length === 0 ? EMPTY : nodeOfLeaves(names).below;
  const made = new Map<PathElement, Node>();
  for (let i = 0; i < names.length; i++)
    if (nodes[i].isMember || nodes[i].below.size > 0) made.set(fieldElement(names[i]), nodes[i]);
  return made;
}

/** The fields of a value that was not there before, or is no more: whatever holds others is one itself. */
export function wholeOf(value: Json, ref: TypeRef | undefined, resolve: Resolve): Node {
  if (ref === undefined) return NOTHING;
  const { map, scalar, list } = deduce(atomOf(ref, resolve), value);
  if (map !== undefined) {
    const names = isObject(value) && !map.isAtomic ? Object.keys(value) : [];
    if (names.length === 0) return LEAF;
    const nodes = names.map((name) => wholeOf((value as JsonObject)[name], typeOfField(map, name), resolve));
    if (nodes.every((node) => node === LEAF)) return nodeOfLeaves(names);
    return { isMember: true, below: setOfFields(names, nodes) };
  }
  if (scalar !== undefined || list === undefined || list.isAtomic) return LEAF;
  if (!Array.isArray(value) || value.length === 0) return LEAF;
  const made = new Map<PathElement, Node>();
  for (const [element, same] of itemsByElement(list, value, resolve))
    made.set(element, same.length === 1 ? asMember(wholeOf(same[0], list.item, resolve)) : LEAF);
  return { isMember: true, below: made };
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
