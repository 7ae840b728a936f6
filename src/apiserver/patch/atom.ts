// What a schema says about merging: is a value one piece, a list whose items are known by keys, a structure. As
// structured-merge-diff, which kube-apiserver merges with, reads OpenAPI.
import type { Resolve, Schema } from "../schema/schema.ts";

/** A schema, and whether fields that it does not name are kept: that goes on to everything below. */
export interface TypeRef {
  readonly schema: Schema;
  readonly preserves: boolean;
}

export interface ListAtom {
  readonly isAtomic: boolean;
  /** None for a set, whose items are known by their values. */
  readonly keys: readonly string[];
  readonly item: TypeRef;
}

export interface MapAtom {
  readonly isAtomic: boolean;
  readonly fields: Readonly<Record<string, Schema>>;
  readonly preserves: boolean;
  /** Of what is not named in `fields`; undefined where nothing else may be. */
  readonly rest: TypeRef | undefined;
}

/** What a value of this type may be; more than one where the type says nothing. */
export interface Atom {
  readonly scalar?: "string" | "number" | "boolean" | "any";
  readonly list?: ListAtom;
  readonly map?: MapAtom;
}

const QUANTITY = "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity";
const RAW_EXTENSION = "#/definitions/io.k8s.apimachinery.pkg.runtime.RawExtension";
/** Anything, whose lists and maps are one piece. */
const UNTYPED: TypeRef = { schema: {}, preserves: false };
/** Anything, whose maps are looked into. */
const DEDUCED: TypeRef = { schema: {}, preserves: true };
const NO_FIELDS = {};
const ANY_LIST: ListAtom = { isAtomic: true, keys: [], item: UNTYPED };
const UNTYPED_ATOM: Atom = {
  scalar: "any",
  list: ANY_LIST,
  map: { isAtomic: true, fields: NO_FIELDS, preserves: false, rest: UNTYPED },
};
const DEDUCED_ATOM: Atom = {
  scalar: "any",
  list: ANY_LIST,
  map: { isAtomic: false, fields: NO_FIELDS, preserves: false, rest: DEDUCED },
};
const EMPTY_SCHEMA: Schema = {};

const plain = new WeakMap<Schema, TypeRef>();
const preserving = new WeakMap<Schema, TypeRef>();
const atoms = new WeakMap<TypeRef, Atom>();

/** The same for the same schema each time, so that what it means is found out once. */
export function typeRef(schema: Schema, preserves = false): TypeRef {
  const known = preserves ? preserving : plain;
  let ref = known.get(schema);
  if (ref === undefined) known.set(schema, (ref = { schema, preserves }));
  return ref;
}

export function atomOf(ref: TypeRef, resolve: Resolve): Atom {
  if (ref === UNTYPED) return UNTYPED_ATOM;
  if (ref === DEDUCED) return DEDUCED_ATOM;
  let atom = atoms.get(ref);
  if (atom === undefined) atoms.set(ref, (atom = make(ref, resolve)));
  return atom;
}

function make({ schema, preserves }: TypeRef, resolve: Resolve): Atom {
  if (schema.$ref === undefined) return ofSchema(schema, preserves);
  if (schema.$ref === QUANTITY) return { scalar: "any" };
  if (schema.$ref === RAW_EXTENSION) return UNTYPED_ATOM;
  const atom = ofSchema(resolve(schema), false);
  const relation = schema["x-kubernetes-map-type"];
  if (relation === undefined || atom.map === undefined) return atom;
  return { ...atom, map: { ...atom.map, isAtomic: relation === "atomic" } };
}

function ofSchema(schema: Schema, inherited: boolean): Atom {
  const preserves = inherited || schema["x-kubernetes-preserve-unknown-fields"] === true;
  switch (schema.type) {
    case "object":
      return { map: mapOf(schema, preserves) };
    case "array":
      return { list: listOf(schema, preserves) };
    case "integer":
    case "number":
      return { scalar: "number" };
    case "boolean":
      return { scalar: "boolean" };
    case "string":
      return { scalar: schema.format === undefined || schema.format === "byte" ? "string" : "any" };
    default:
      return { scalar: "any", list: listOf(schema, preserves), map: mapOf(schema, preserves) };
  }
}

function mapOf(schema: Schema, preserves: boolean): MapAtom {
  const { properties = NO_FIELDS, additionalProperties: more } = schema;
  const isFree =
    more === undefined ? preserves || schema.properties === undefined || isEmpty(properties) : more === true;
  const rest = typeof more === "object" ? typeRef(more, preserves) : isFree ? DEDUCED : undefined;
  return { isAtomic: schema["x-kubernetes-map-type"] === "atomic", fields: properties, preserves, rest };
}

const isEmpty = (object: object): boolean => Object.keys(object).length === 0;

function listOf(schema: Schema, preserves: boolean): ListAtom {
  const item = schema.items === undefined ? UNTYPED : typeRef(schema.items, preserves);
  return { ...relationOf(schema), item };
}

function relationOf(schema: Schema): { isAtomic: boolean; keys: readonly string[] } {
  const type = schema["x-kubernetes-list-type"];
  if (type !== undefined) {
    if (type === "map") return { isAtomic: false, keys: schema["x-kubernetes-list-map-keys"] ?? [] };
    return { isAtomic: type !== "set", keys: [] };
  }
  if (!schema["x-kubernetes-patch-strategy"]?.startsWith("merge")) return { isAtomic: true, keys: [] };
  const key = schema["x-kubernetes-patch-merge-key"];
  return { isAtomic: false, keys: key === undefined ? [] : [key] };
}

/** What an item's key is taken for where the item has none. */
export function keyDefault(list: ListAtom, name: string, resolve: Resolve) {
  const fields = atomOf(list.item, resolve).map?.fields ?? NO_FIELDS;
  return (Object.hasOwn(fields, name) ? (fields as Record<string, Schema>)[name] : EMPTY_SCHEMA).default;
}
