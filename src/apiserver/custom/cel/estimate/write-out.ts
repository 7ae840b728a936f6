// From an expression that has been checked to what is counted: which functions its calls mean is known by then, and its
// macros are written out.
import { type Node, operandOf } from "../syntax.ts";
import { BOOL, type CelType, DYN, optionalOf, STRING } from "../type.ts";
import {
  call,
  type Expr,
  exactlyOne,
  type Ident,
  type Literal,
  listed,
  literal,
  mapped,
  ofOptional,
  quantified,
  sorted,
} from "./expression.ts";
import type { Notes } from "./notes.ts";

/** `notes`: what was found out when the expression was checked; `text`: the expression itself. */
export function writtenOut(root: Node, notes: Notes, text: string): Expr {
  return new Writer(notes, text).expr(root);
}

type Macro = (receiver: Node, args: readonly Node[], writer: Writer) => Expr;

const nameOf = (node: Node): string => node.args as string;

class Writer {
  readonly #notes: Notes;
  readonly #text: string;

  constructor(notes: Notes, text: string) {
    this.#notes = notes;
    this.#text = text;
  }

  type(node: Node): CelType {
    return this.#notes.types.get(node) ?? DYN;
  }

  expr(node: Node): Expr {
    const { op, args } = node;
    const type = this.type(node);
    switch (op) {
      case "value":
        return literalOf(args, type);
      case "id":
        return { kind: "ident", name: nameOf(node), type };
      case ".":
        return this.#field(args as [Node, string], type);
      case ".?": {
        const [inner, field] = args as [Node, string];
        return call("_?._", type, [this.expr(inner), literal(STRING, field.length)]);
      }
      case "list":
        return { kind: "list", type, items: this.#all(args as Node[]) };
      case "map":
        return { kind: "map", type, entries: this.#entries(args as [Node, Node][]) };
      case "?:":
        return call("_?_:_", type, this.#all(args as Node[]));
      case "||":
      case "&&":
        return call(`_${op}_`, BOOL, this.#all(args as Node[]));
      case "!_":
      case "-_":
        return this.#signed(node, type);
      default:
        return this.#call(node, type);
    }
  }

  #all(nodes: readonly Node[]): Expr[] {
    return nodes.map((node) => this.expr(node));
  }

  #entries(entries: readonly (readonly [Node, Node])[]): (readonly [Expr, Expr])[] {
    return entries.map(([key, value]) => [this.expr(key), this.expr(value)]);
  }

  #field([inner, field]: [Node, string], type: CelType): Expr {
    // Of a type's name of several parts nobody has looked at the first ones.
    if (!this.#notes.types.has(inner)) return { kind: "ident", name: `google.protobuf.${field}`, type };
    return { kind: "select", type, operand: this.expr(inner), field };
  }

  /** Two signs are none, and that of a number belongs to it. */
  #signed(node: Node, type: CelType): Expr {
    const { count, operand } = operandOf(node, this.#text);
    const inner = this.expr(operand);
    const isNumber = operand.op === "value" && node.op === "-_" && count === 1;
    if (isNumber && inner.kind === "literal")
      return { ...inner, number: inner.number === undefined ? undefined : -inner.number };
    return count % 2 === 0 ? inner : call(node.op, type, [inner]);
  }

  #call(node: Node, type: CelType): Expr {
    const noted = this.#notes.calls.get(node);
    const { receiver, nodes } = partsOf(node);
    if (noted !== undefined) {
      const { name, isMember, overloads } = noted;
      const target = isMember && receiver !== undefined ? this.expr(receiver) : undefined;
      return { ...call(name, type, this.#all(nodes), target), overloads };
    }
    const [name] = node.args as [string];
    if (receiver === undefined) {
      const [inner] = nodes[0].args as [Node, string];
      return { kind: "has", type: BOOL, operand: this.expr(inner) };
    }
    return MACROS[`${name}/${nodes.length}`](receiver, nodes, this);
  }
}

function partsOf({ op, args }: Node): { receiver: Node | undefined; nodes: readonly Node[] } {
  if (op !== "call" && op !== "rcall") return { receiver: undefined, nodes: args as Node[] };
  const rest = (args as unknown[]).slice(1);
  return { receiver: op === "rcall" ? (rest[0] as Node) : undefined, nodes: rest[rest.length - 1] as Node[] };
}

function literalOf(value: unknown, type: CelType): Literal {
  if (typeof value === "string") return literal(type, [...value].length);
  if (value instanceof Uint8Array) return literal(type, value.length);
  return literal(type, 1, typeof value === "bigint" ? value : undefined);
}

/** Of one variable the items or keys, of two the indices or keys too. */
function loopOf(receiver: Node, names: readonly Node[], writer: Writer) {
  return { range: writer.expr(receiver), variables: names.map(nameOf) };
}

const all =
  (isAll: boolean, count: number): Macro =>
  (receiver, args, writer) =>
    quantified(loopOf(receiver, args.slice(0, count), writer), isAll, writer.expr(args[count]));

const one =
  (count: number): Macro =>
  (receiver, args, writer) =>
    exactlyOne(loopOf(receiver, args.slice(0, count), writer), writer.expr(args[count]));

const filter: Macro = (receiver, [variable, test], writer) => {
  const loop = loopOf(receiver, [variable], writer);
  const item: Ident = { kind: "ident", name: nameOf(variable), type: loop.range.type.args[0] ?? DYN };
  return listed(loop, writer.expr(test), item);
};

const list =
  (count: number, isFiltered: boolean): Macro =>
  (receiver, args, writer) => {
    const loop = loopOf(receiver, args.slice(0, count), writer);
    const rest = args.slice(count).map((node) => writer.expr(node));
    return isFiltered ? listed(loop, rest[0], rest[1]) : listed(loop, undefined, rest[0]);
  };

const map =
  (isFiltered: boolean, isEntry: boolean): Macro =>
  (receiver, args, writer) => {
    const loop = loopOf(receiver, args.slice(0, 2), writer);
    const rest = args.slice(2).map((node) => writer.expr(node));
    return isFiltered ? mapped(loop, rest[0], rest[1], isEntry) : mapped(loop, undefined, rest[0], isEntry);
  };

const sortBy: Macro = (receiver, [variable, key], writer) =>
  sorted(writer.expr(receiver), nameOf(variable), writer.expr(key));

const optional =
  (isFlat: boolean): Macro =>
  (receiver, [variable, body], writer) => {
    const [of = DYN] = writer.type(receiver).args;
    const made = writer.expr(body);
    const type = isFlat ? made.type : optionalOf(made.type);
    const local = { name: nameOf(variable), type: of };
    return ofOptional(writer.expr(receiver), writer.expr(receiver), local, made, type, isFlat);
  };

const MACROS: Readonly<Record<string, Macro>> = {
  "all/2": all(true, 1),
  "all/3": all(true, 2),
  "exists/2": all(false, 1),
  "exists/3": all(false, 2),
  "exists_one/2": one(1),
  "existsOne/3": one(2),
  "filter/2": filter,
  "map/2": list(1, false),
  "map/3": list(1, true),
  "transformList/3": list(2, false),
  "transformList/4": list(2, true),
  "transformMap/3": map(false, false),
  "transformMap/4": map(true, false),
  "transformMapEntry/3": map(false, true),
  "transformMapEntry/4": map(true, true),
  "sortBy/2": sortBy,
  "optMap/2": optional(false),
  "optFlatMap/2": optional(true),
};
