// By what an item of a list is known: the values of its keys, or its own.
import { isObject, type Json, type Resolve } from "../schema/schema.ts";
import { keyDefault, type ListAtom } from "./atom.ts";
import { keyElement, oneKeyElement, type PathElement, valueElement } from "./path-element.ts";

/** The step to an item, or why there is none. */
export type ItemElement = { readonly element: PathElement } | { readonly problem: string };

export function itemElement(list: ListAtom, item: Json, resolve: Resolve): ItemElement {
  if (list.keys.length > 0) return keyed(list, item, resolve);
  if (isObject(item)) return { problem: "associative list without keys has an element that's a map type" };
  if (Array.isArray(item)) return { problem: "not supported: associative list with lists as elements" };
  if (item === null)
    return { problem: "associative list without keys has an element that's an explicit null" };
  return { element: valueElement(item) };
}

function keyed(list: ListAtom, item: Json, resolve: Resolve): ItemElement {
  if (item === null) return { problem: "associative list with keys may not have a null element" };
  if (!isObject(item)) return { problem: "associative list with keys may not have non-map elements" };
  if (list.keys.length === 1) {
    const [name] = list.keys;
    if (Object.hasOwn(item, name)) return { element: oneKeyElement(name, item[name]) };
  }
  const keys: Record<string, Json> = {};
  for (const name of list.keys) {
    const value = Object.hasOwn(item, name) ? item[name] : keyDefault(list, name, resolve);
    if (value !== undefined) keys[name] = value;
  }
  if (Object.keys(keys).length > 0) return { element: keyElement(keys) };
  const quoted = list.keys.map((name) => JSON.stringify(name)).join(" ");
  const problem =
    `associative list with keys has an element that omits all key fields [${quoted}] ` +
    "(and doesn't have default values for any key fields)";
  return { problem };
}

/** Items of a list by their steps, those of one step together. Items that have no step are left out. */
export function itemsByElement(
  list: ListAtom,
  items: readonly Json[],
  resolve: Resolve,
): Map<PathElement, Json[]> {
  const found = new Map<PathElement, Json[]>();
  for (const item of items) {
    const known = itemElement(list, item, resolve);
    if ("problem" in known) continue;
    const same = found.get(known.element);
    if (same === undefined) found.set(known.element, [item]);
    else same.push(item);
  }
  return found;
}
