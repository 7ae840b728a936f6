// One step of a path to a field, in the text that managedFields have for it: "f:name" a field, `k:{"name":"a"}` the item
// of a list with these keys, `v:"a"` the item of a set, "i:0" an index. Two steps are the same when their texts are.
import type { Json, JsonObject } from "../schema/schema.ts";

export type PathElement = string;

const RANK = "fkvi";
/** Go escapes them in JSON text, so that it may stand in HTML. */
const ESCAPED: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

const TO_ESCAPE = /[<>&\u2028\u2029]/;
const escaped = (text: string): string =>
  TO_ESCAPE.test(text) ? text.replace(/[<>&\u2028\u2029]/g, (char) => ESCAPED[char]) : text;
const text = (value: Json): string => escaped(JSON.stringify(value));

export const fieldElement = (name: string): PathElement => `f:${name}`;
export const valueElement = (value: Json): PathElement => `v:${text(value)}`;

/** Of the item whose keys are these; in whatever order they are given. */
export function keyElement(keys: Readonly<Record<string, Json>>): PathElement {
  const names = Object.keys(keys).sort();
  return `k:{${names.map((name) => `${text(name)}:${text(keys[name])}`).join(",")}}`;
}

/** The same of one key. */
export const oneKeyElement = (name: string, value: Json): PathElement => `k:{${text(name)}:${text(value)}}`;

/** The element that this text means, as it is written here; undefined for what is none. */
export function readElement(given: string): PathElement | undefined {
  try {
    const value = given.slice(2);
    if (given.startsWith("f:")) return given;
    if (given.startsWith("i:")) return /^-?\d+$/.test(value) ? given : undefined;
    if (given.startsWith("v:")) return valueElement(JSON.parse(value) as Json);
    return given.startsWith("k:") ? keyElement(JSON.parse(value) as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** As messages about a conflict write it: `.spec`, `[name="a"]`, `[="a"]`. */
export function elementText(element: PathElement): string {
  const value = element.slice(2);
  if (element.startsWith("f:")) return `.${value}`;
  if (element.startsWith("i:")) return `[${value}]`;
  if (element.startsWith("v:")) return `[=${JSON.stringify(JSON.parse(value))}]`;
  const keys = Object.entries(JSON.parse(value) as JsonObject);
  return `[${keys.map(([name, key]) => `${name}=${JSON.stringify(key)}`).join(",")}]`;
}

/** As they are written: fields, then keys, values and indices, each by what they hold. */
export function inOrder(elements: Iterable<PathElement>): PathElement[] {
  const byRank: PathElement[][] = [[], [], [], []];
  for (const element of elements) byRank[RANK.indexOf(element[0])].push(element);
  const [fields, keys, values, indices] = byRank;
  fields.sort();
  indices.sort((a, b) => Number(a.slice(2)) - Number(b.slice(2)));
  const sorted = [sortedBy(keys, compareKeys), sortedBy(values, compareValues)];
  return [...fields, ...sorted.flat(), ...indices];
}

/** By what stands behind "k:" or "v:", which is read once each. */
function sortedBy<T>(elements: readonly PathElement[], compare: (a: T, b: T) => number): PathElement[] {
  if (elements.length < 2) return [...elements];
  const read = elements.map((element) => ({ element, value: JSON.parse(element.slice(2)) as T }));
  return read.sort((a, b) => compare(a.value, b.value)).map(({ element }) => element);
}

function compareKeys(a: JsonObject, b: JsonObject): number {
  const left = Object.entries(a);
  const right = Object.entries(b);
  for (const [i, [name, value]] of left.entries()) {
    if (i >= right.length) return 1;
    const order = compareText(name, right[i][0]) || compareValues(value, right[i][1]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function compareValues(a: Json, b: Json): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  return compareText(JSON.stringify(a), JSON.stringify(b));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
