// Lists in a strategic merge patch: which items are the same, and in which order they stand in the end.
import { isObject, type Json, type JsonObject, member } from "../schema/schema.ts";
import { goText } from "./go-text.ts";
import { internal, type Refused, unprocessable } from "./refused.ts";

const DIRECTIVE = "$patch";

/** What a list holds: maps, known by this key, or other values, known by themselves. */
export interface Items {
  readonly key: string;
  readonly kind: string;
}

export const noMergeKey = (item: JsonObject, key: string): Refused =>
  internal(`map: ${goText(item)} does not contain declared merge key: ${key}`);

/** "map" or another; all items of both are of one kind. */
export function kindOfItems(...lists: readonly (readonly Json[])[]): string {
  const kinds = new Set(lists.flat().map(kindOf));
  const [kind] = kinds;
  if (kind === undefined) throw internal("no elements in any of the given slices");
  if (kinds.has("list")) throw unprocessable("lists of lists are not supported");
  if (kinds.size > 1) throw internal(`list element types are not identical: ${goText(lists as Json)}`);
  return kind;
}

const kindOf = (value: Json): string =>
  Array.isArray(value) ? "list" : isObject(value) ? "map" : value === null ? "null" : typeof value;

const identity = (item: Json, { key, kind }: Items): Json | undefined =>
  kind === "map" ? (isObject(item) ? member(item, key) : undefined) : item;

/** Where the first item that is the same stands; -1: nowhere. Lists may have many thousands. */
function placesIn(list: readonly Json[], items: Items): (item: Json) => number {
  const places = new Map<Json | undefined, number>();
  for (const [i, one] of list.entries()) {
    const id = identity(one, items);
    if (!places.has(id)) places.set(id, i);
  }
  return (item) => places.get(identity(item, items)) ?? -1;
}

/** Items of `merged` that `order` names, as they stand there; those between that only the server has stay in place. */
export function inOrderOf(
  merged: readonly Json[],
  order: readonly Json[],
  server: readonly Json[],
  items: Items,
): Json[] {
  if (items.kind === "map") {
    for (const item of [...merged, ...order, ...server]) {
      if (!isObject(item) || !Object.hasOwn(item, items.key)) throw noMergeKey(item as JsonObject, items.key);
    }
  }
  const [ordered, served] = [placesIn(order, items), placesIn(server, items)];
  const by = (place: (item: Json) => number) => (a: Json, b: Json) => place(a) - place(b);
  const named = merged.filter((item) => ordered(item) >= 0).sort(by(ordered));
  const others = merged.filter((item) => ordered(item) < 0).sort(by(served));
  const made: Json[] = [];
  let [i, j] = [0, 0];
  while (i < others.length || j < named.length) {
    if (i >= others.length) made.push(named[j++]);
    else if (j >= named.length) made.push(others[i++]);
    else {
      const [other, own] = [served(others[i]), served(named[j])];
      if (other >= 0 && own >= 0 && other < own) made.push(others[i++]);
      else made.push(named[j++]);
    }
  }
  return made;
}

export function deleteMatching(list: readonly JsonObject[], key: string, value: Json): JsonObject[] {
  return list.filter((item) => member(item, key) !== value);
}

/** The items of a patch have to be named by its order, in the same order. */
export function checkOrder(patch: readonly Json[], order: readonly Json[], key: string): void {
  const plain = patch.filter((item) => !isObject(item) || !Object.hasOwn(item, DIRECTIVE));
  if (order.length === 0 || plain.length === 0) return;
  const items: Items = { key, kind: key === "" ? "" : "map" };
  let at = 0;
  for (const item of order) {
    if (at === plain.length) return;
    for (const one of [plain[at], item]) {
      if (key !== "" && (!isObject(one) || !Object.hasOwn(one, key)))
        throw noMergeKey(one as JsonObject, key);
    }
    if (identity(plain[at], items) === identity(item, items)) at++;
  }
  if (at < plain.length) {
    throw internal(
      `The order in patch list:\n${goText(patch)}\n ` +
        `doesn't match $setElementOrder list:\n${goText(order)}\n`,
    );
  }
}

/** Undefined for a map that says what to do with itself: where nothing was there is nothing to do. */
export function withoutDirectives(value: Json): Json | undefined {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, DIRECTIVE)) return undefined;
  const kept = Object.entries(value).map(([name, child]) => [name, withoutDirectives(child)] as const);
  return Object.fromEntries(kept.filter(([, child]) => child !== undefined)) as JsonObject;
}
