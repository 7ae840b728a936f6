// Strategic merge patch: as a merge patch, but lists merge by the keys that their types name, and directives say the
// rest: $patch, $retainKeys, $setElementOrder/LIST, $deleteFromPrimitiveList/LIST. As apimachinery's strategicpatch;
// custom resources have no such types, and take none of these.
import {
  isObject,
  type Json,
  type JsonObject,
  member,
  type Resolve,
  type Schema,
  type Typed,
} from "../schema/schema.ts";
import { set, withoutNulls } from "./merge-patch.ts";
import { badRequest, internal } from "./refused.ts";
import {
  checkOrder,
  deleteMatching,
  type Items,
  inOrderOf,
  kindOfItems,
  noMergeKey,
  withoutDirectives,
} from "./strategic-list.ts";

const DIRECTIVE = "$patch";
const RETAIN_KEYS = "$retainKeys";
const ORDER = "$setElementOrder/";
const DELETE = "$deleteFromPrimitiveList/";

/** The object after this patch. Throws Refused: 400 for a directive that is none, 500 where kube-apiserver says so. */
export function applyStrategicMergePatch(object: JsonObject, patch: JsonObject, typed: Typed): JsonObject {
  return new Merge(typed.resolve).maps(object, patch, typed.schema);
}

/** How a field merges: "" a value takes its place. */
interface Strategy {
  readonly schema: Schema;
  readonly strategy: string;
  readonly key: string;
}

class Merge {
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  #strategy(schema: Schema, name: string): Strategy {
    const parent = this.#resolve(schema);
    const more = typeof parent.additionalProperties === "object" ? parent.additionalProperties : {};
    const field: Schema = member(parent.properties, name) ?? more;
    const words = (field["x-kubernetes-patch-strategy"] ?? "").split(",");
    const strategy = words.find((word) => word !== "retainKeys") ?? "";
    return { schema: field, strategy, key: field["x-kubernetes-patch-merge-key"] ?? "" };
  }

  maps(original: JsonObject, given: JsonObject, schema: Schema): JsonObject {
    if (Object.hasOwn(given, DIRECTIVE)) {
      const { [DIRECTIVE]: directive, ...rest } = given;
      if (directive === "replace") return rest;
      if (directive === "delete") return {};
      throw internal(`unknown patch type: ${text(directive)} in map: ${text(given)}`);
    }
    const { [RETAIN_KEYS]: retained, ...patch } = given;
    const made = retained === undefined ? { ...original } : retain(original, patch, retained);
    for (const name of Object.keys(patch)) {
      if (!name.startsWith(ORDER)) continue;
      this.#ordered(made, patch, name.slice(ORDER.length), patch[name], schema);
      delete patch[name];
    }
    for (const [name, value] of Object.entries(patch)) this.#field(made, name, value, schema);
    return made;
  }

  #field(made: JsonObject, given: string, value: Json, schema: Schema): void {
    const isDeletion = given.startsWith(DELETE);
    const name = isDeletion ? given.slice(DELETE.length) : given;
    if (value === null) {
      delete made[name];
      return;
    }
    const old = Object.hasOwn(made, name) ? made[name] : undefined;
    const isSameKind = old !== undefined && kindOf(old) === kindOf(value);
    if (!isSameKind || typeof value !== "object") {
      if (isDeletion) return;
      const kept = withoutDirectives(withoutNulls(value));
      if (kept === undefined) delete made[name];
      else set(made, name, kept);
      return;
    }
    const how = this.#strategy(schema, name);
    if (isObject(value)) {
      set(made, name, how.strategy === "replace" ? value : this.maps(old as JsonObject, value, how.schema));
    } else {
      set(made, name, this.#lists(old as Json[], value as Json[], how, isDeletion));
    }
  }

  /** The list that a $setElementOrder is about; it is done then, and leaves the patch. */
  #ordered(made: JsonObject, patch: JsonObject, name: string, order: Json, schema: Schema): void {
    if (!Array.isArray(order)) throw internal(`expected a []interface {}, but received a ${goType(order)}`);
    const old = member(made, name);
    const wanted = member(patch, name);
    for (const list of [old, wanted]) {
      if (list !== undefined && !Array.isArray(list)) {
        throw internal(`expected a []interface {}, but received a ${goType(list)}`);
      }
    }
    const [before, after] = [old as Json[] | undefined, wanted as Json[] | undefined];
    const how = this.#strategy(schema, name);
    checkOrder(after ?? [], order, how.key);
    if (before === undefined && after === undefined) return;
    let merged: readonly Json[];
    if (after === undefined) merged = before as Json[];
    else if (before === undefined) merged = withoutDirectives(after) as Json[];
    else merged = this.#lists(before, after, how, false);
    const items: Items = { key: how.key, kind: kindOfItems(before ?? [], after ?? []) };
    set(made, name, inOrderOf(merged, order, before ?? [], items));
    delete patch[name];
  }

  #lists(original: readonly Json[], patch: readonly Json[], how: Strategy, isDeletion: boolean): Json[] {
    if (how.strategy !== "merge" && !isDeletion) return [...patch];
    if (original.length === 0 && patch.length === 0) return [];
    const kind = kindOfItems(original, patch);
    if (kind !== "map") {
      const gone = new Set(patch);
      if (isDeletion) return original.filter((item) => !gone.has(item));
      const merged = [...new Set([...original, ...patch])];
      return inOrderOf(merged, patch, original, { key: "", kind });
    }
    if (how.key === "") throw internal("cannot merge lists without merge key for struct");
    const special = this.#special(original as JsonObject[], patch as JsonObject[], how.key);
    const merged = this.#items(special.original, special.patch, how);
    return inOrderOf(merged, special.patch, special.original, { key: how.key, kind });
  }

  /** What directives among the items say, and the items that are none. */
  #special(original: readonly JsonObject[], patch: readonly JsonObject[], key: string) {
    let left = original;
    const plain: JsonObject[] = [];
    let isReplaced = false;
    for (const item of patch) {
      const directive = member(item, DIRECTIVE);
      if (directive === undefined) plain.push(item);
      else if (directive === "delete") {
        if (!Object.hasOwn(item, key)) throw noMergeKey(item, key);
        left = deleteMatching(left, key, item[key]);
      } else if (directive === "replace") isReplaced = true;
      else if (directive === "merge") throw internal("merging lists cannot yet be specified in the patch");
      else throw internal(`unknown patch type: ${text(directive)} in map: ${text(item)}`);
    }
    return isReplaced ? { original: plain, patch: [] } : { original: left, patch: plain };
  }

  #items(original: readonly JsonObject[], patch: readonly JsonObject[], how: Strategy): JsonObject[] {
    const merged = [...original];
    const schema = this.#resolve(how.schema).items ?? {};
    const places = new Map<Json | undefined, number>();
    const note = (one: JsonObject, at: number): void => {
      const key = member(one, how.key);
      if (!places.has(key)) places.set(key, at);
    };
    for (const [at, one] of merged.entries()) note(one, at);
    for (const item of patch) {
      if (!Object.hasOwn(item, how.key)) throw noMergeKey(item, how.key);
      const at = places.get(item[how.key]);
      if (at !== undefined) merged[at] = this.maps(merged[at], item, schema);
      else note(item, merged.push(item) - 1);
    }
    return merged;
  }
}

function retain(original: JsonObject, patch: JsonObject, retained: Json): JsonObject {
  const problem = "invalid patch format of retainKeys";
  if (!Array.isArray(retained)) throw badRequest(problem);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || name.startsWith(ORDER) || name.startsWith(DELETE)) continue;
    if (!retained.includes(name)) throw badRequest(problem);
  }
  return Object.fromEntries(Object.entries(original).filter(([name]) => retained.includes(name)));
}

const kindOf = (value: Json): string =>
  Array.isArray(value) ? "list" : isObject(value) ? "map" : value === null ? "null" : typeof value;
const goType = (value: Json): string =>
  isObject(value) ? "map[string]interface {}" : value === null ? "%!s(<nil>)" : typeof value;
const text = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));
