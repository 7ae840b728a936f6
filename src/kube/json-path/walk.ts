// What a template of kubectl's JSONPath finds in a value. Ranges are counters over the row of its actions, as kubectl has
// them: an action that begins a range is followed by those behind it once for each thing found, up to the next end.
import { GoNumber, goText, isComposite } from "./go-text.ts";
import type { PathNode } from "./parse.ts";

type Value = unknown;

/** Why a path leads nowhere, and what was in hand there: a filter that asks for existence takes that for an answer. */
export class WalkFault extends Error {
  readonly partial: readonly Value[];

  constructor(message: string, partial: readonly Value[]) {
    super(message);
    this.partial = partial;
  }
}

/** What stands for the item of a range over nothing, whose actions are passed by. */
const NOTHING = Symbol("nothing");

/**
 * Of each action (and text) what it found, in order. `most`: so many values are looked at; a path may go through an
 * object again for each thing that it found. Throws WalkFault.
 */
export function findResults(root: readonly PathNode[], data: Value, most: number): Value[][] {
  return new Walk(root, most).find(0, data);
}

type ArrayNode = Extract<PathNode, { kind: "array" }>;
type FilterNode = Extract<PathNode, { kind: "filter" }>;

class Walk {
  readonly #root: readonly PathNode[];
  #left: number;
  #begun = 0;
  #inside = 0;
  #ended = 0;
  #lastEnd = -1;

  constructor(root: readonly PathNode[], most: number) {
    this.#root = root;
    this.#left = most;
  }

  #spend(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new WalkFault("it goes through too many values", []);
  }

  find(first: number, data: Value): Value[][] {
    const all: Value[][] = [];
    for (let i = first; i < this.#root.length; i++) {
      const found = this.#walk([data], this.#root[i]);
      if (this.#ended > 0 && this.#ended <= this.#inside) {
        this.#ended--;
        this.#lastEnd = i;
        break;
      }
      if (this.#begun === 0) {
        all.push(found);
        continue;
      }
      this.#begun--;
      this.#inside++;
      for (const each of found) for (const list of this.find(i + 1, each ?? NOTHING)) all.push(list);
      if (found.length === 0) this.find(i + 1, NOTHING);
      this.#inside--;
      if (this.#lastEnd > i) i = this.#lastEnd;
    }
    return all;
  }

  #list(nodes: readonly PathNode[], input: Value[]): Value[] {
    let now = input;
    for (const node of nodes) now = this.#walk(now, node);
    return now;
  }

  #walk(input: Value[], node: PathNode): Value[] {
    this.#spend(input.length);
    switch (node.kind) {
      case "list":
        return this.#list(node.nodes, input);
      case "text":
        return [node.text];
      case "literal":
        return input.map(() => node.value);
      case "word":
        return this.#word(input, node.name);
      case "field":
        return input.flatMap((value) => field(value, node.name));
      case "wildcard":
        return input.flatMap((value) => this.#children(value));
      case "recursive":
        return this.#descend(input);
      case "array":
        return elements(input, node);
      case "union":
        return this.#union(input, node.lists);
      case "filter":
        return input.flatMap((value) => this.#filter(input, value, node));
    }
  }

  /** Of a text its bytes. */
  #children(value: Value): Value[] {
    if (typeof value === "string") {
      this.#spend(value.length);
      return [...Buffer.from(value)].map((byte) => new GoNumber("uint", byte));
    }
    return isComposite(value) ? Object.values(value).filter((each) => each !== undefined) : [];
  }

  /** Everything that has something in it: a number has not, a text has if it is not empty. */
  #descend(input: readonly Value[]): Value[] {
    return input.flatMap((value) => {
      this.#spend(1);
      if (typeof value === "string") return value === "" ? [] : [value];
      const inner = this.#children(value);
      return inner.length === 0 ? [] : [value, ...this.#descend(inner)];
    });
  }

  #word(input: Value[], name: string): Value[] {
    if (name === "range") {
      this.#begun++;
      return input;
    }
    if (name !== "end") throw new WalkFault(`unrecognized identifier ${name}`, input);
    if (this.#inside === 0) throw new WalkFault("not in range, nothing to end", []);
    this.#ended++;
    return [];
  }

  #union(input: Value[], lists: readonly (readonly PathNode[])[]): Value[] {
    try {
      return lists.flatMap((nodes) => this.#list(nodes, input));
    } catch (error) {
      throw error instanceof WalkFault ? new WalkFault(error.message, input) : error;
    }
  }

  #filter(input: Value[], value: Value, node: FilterNode): Value[] {
    if (!Array.isArray(value)) {
      const what = value === NOTHING ? "<invalid reflect.Value>" : goText(value);
      throw new WalkFault(`${what} is not array or slice and cannot be filtered`, input);
    }
    if (node.operator === "exists") return value.filter((item) => this.#exists(item, node.left));
    return value.filter((item) => {
      const left = this.#operand(input, item, node.left);
      if (left.length === 0) return false;
      const right = this.#operand(input, item, node.right);
      return right.length > 0 && compare(left[0], node.operator, right[0]);
    });
  }

  #exists(item: Value, nodes: readonly PathNode[]): boolean {
    try {
      return this.#list(nodes, [item]).length > 0;
    } catch (error) {
      if (error instanceof WalkFault) return error.partial.length > 0;
      throw error;
    }
  }

  #operand(input: Value[], item: Value, nodes: readonly PathNode[]): Value[] {
    let found: Value[];
    try {
      found = this.#list(nodes, [item]);
    } catch (error) {
      throw error instanceof WalkFault ? new WalkFault(error.message, input) : error;
    }
    if (found.length > 1) throw new WalkFault("can only compare one element at a time", input);
    return found;
  }
}

function field(value: Value, name: string): Value[] {
  if (!isComposite(value) || Array.isArray(value) || !Object.hasOwn(value, name)) return [];
  const found = (value as Record<string, Value>)[name];
  return found === undefined ? [] : [found];
}

function elements(input: Value[], { from, to, step }: ArrayNode): Value[] {
  const result: Value[] = [];
  for (const value of input) {
    if (value === null || value === NOTHING) continue;
    if (!Array.isArray(value)) throw new WalkFault(`${typeName(value)} is not array or slice`, input);
    const { length } = value;
    let start = from.value ?? 0;
    if (start < 0) start += length;
    let end = to.value ?? length;
    if (end < 0 || (end === 0 && to.derived === true)) end += length;
    if (start === end) return result;
    const outside = start >= length || start < 0 ? start : end > length || end < 0 ? end - 1 : undefined;
    if (outside !== undefined)
      throw new WalkFault(`array index out of bounds: index ${outside}, length ${length}`, input);
    if (start > end)
      throw new WalkFault(`starting index ${start} is greater than ending index ${end}`, input);
    const stride = step.value ?? 1;
    if (stride <= 0) throw new WalkFault("step must be > 0", input);
    for (let i = start; i < end; i += stride) result.push(value[i]);
  }
  return result;
}

function typeName(value: Value): string {
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "object" && !(value instanceof GoNumber)) return "map[string]interface {}";
  return { int: "int64", float: "float64", uint: "uint8", string: "", bool: "" }[kindOf(value) ?? "int"];
}

type Kind = "int" | "float" | "uint" | "string" | "bool";

function kindOf(value: Value): Kind | undefined {
  if (value instanceof GoNumber) return value.kind;
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "string") return "string";
  return typeof value === "boolean" ? "bool" : undefined;
}

function compare(a: Value, operator: string, b: Value): boolean {
  switch (operator) {
    case "==":
      return order(a, b, true) === 0;
    case "!=":
      return order(a, b, true) !== 0;
    case "<":
      return order(a, b, false) < 0;
    case "<=":
      return order(a, b, false) <= 0;
    case ">":
      return order(a, b, false) > 0;
    case ">=":
      return order(a, b, false) >= 0;
    default:
      throw new WalkFault(`unrecognized filter operator ${operator}`, []);
  }
}

/** Numbers with a fraction and those without are nothing that Go would compare. */
function order(a: Value, b: Value, isEquality: boolean): number {
  const [x, y] = [kindOf(a), kindOf(b)];
  if (x === undefined || y === undefined) throw new WalkFault("invalid type for comparison", []);
  if (x !== y && !(isInteger(x) && isInteger(y)))
    throw new WalkFault("incompatible types for comparison", []);
  if (x === "bool" && !isEquality) throw new WalkFault("invalid type for comparison", []);
  if (typeof a === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  return numberOf(a) - numberOf(b);
}

function isInteger(kind: Kind): boolean {
  return kind === "int" || kind === "uint";
}

function numberOf(value: Value): number {
  return value instanceof GoNumber ? value.value : Number(value);
}
