// Expressions checked and made into functions, as cel-go does it with Kubernetes' environment: what it refuses to compile
// is refused in its words. Names of functions are resolved by the types of their arguments; where those are not known
// before a value is there (x-kubernetes-int-or-string), when it is.
import type { Code, Context, Frame, Local } from "./code.ts";
import type { Declared } from "./estimate/declared.ts";
import { costAtMost } from "./estimate/estimator.ts";
import type { Notes } from "./estimate/notes.ts";
import { writtenOut } from "./estimate/write-out.ts";
import { macroOf } from "./macros.ts";
import { type Candidate, candidatesOf, choose, isFunction } from "./overloads.ts";
import { compileSelect } from "./select.ts";
import { type CompileError, errorAt, type Node, parse, placeOf } from "./syntax.ts";
import {
  BOOL,
  bind,
  type CelType,
  DYN,
  joined,
  listOf,
  mapOf,
  signatureOf,
  TYPE,
  typeNamed,
} from "./type.ts";
import { Fault, kindOf, noSuchOverload, TypeName, Uint, type Value } from "./value.ts";

export interface Expression extends Code {
  readonly used: ReadonlySet<string>;
}

export interface Counted extends Expression {
  /** What it costs at most, whatever it is asked of. */
  readonly cost: number;
}

/** `sizes`: how large self and oldSelf may be. Throws a CompileError. */
export function compile(
  text: string,
  variables: Readonly<Record<string, CelType>>,
  sizes: Declared,
): Counted {
  const node = parse(text);
  const notes: Notes = { types: new Map(), calls: new Map() };
  const compiler = new Compiler(text, variables, notes);
  const { type, run } = compiler.code(node);
  return { type, run, used: compiler.used, cost: costAtMost(writtenOut(node, notes, text), sizes) };
}

const TYPE_NAMES = new Set([
  "int",
  "uint",
  "double",
  "bool",
  "string",
  "bytes",
  "list",
  "map",
  "null_type",
  "type",
]);
const OPERATORS = new Set(["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in", "[]"]);

class Compiler implements Context {
  readonly used = new Set<string>();
  readonly #text: string;
  readonly #variables: Readonly<Record<string, CelType>>;
  readonly #locals: Local[] = [];
  readonly #notes: Notes;
  /** In how many calls of format() this is: its arguments may be of different types, however deep they stand. */
  #formats = 0;

  constructor(text: string, variables: Readonly<Record<string, CelType>>, notes: Notes) {
    this.#text = text;
    this.#variables = variables;
    this.#notes = notes;
  }

  error(node: Node, what: string): CompileError {
    return errorAt(this.#text, placeOf(node, this.#text), what);
  }

  /** Compiles with variables that a macro brings; `slots` says where their values go. */
  within(locals: readonly Local[], node: Node): { code: Code; slots: number[] } {
    const slots = locals.map((_, i) => this.#locals.length + i);
    this.#locals.push(...locals);
    const code = this.code(node);
    this.#locals.length -= locals.length;
    return { code, slots };
  }

  code(node: Node): Code {
    const made = this.#code(node);
    this.#notes.types.set(node, made.type);
    return made;
  }

  #code(node: Node): Code {
    const { op, args } = node;
    switch (op) {
      case "value":
        return literal(args);
      case "id":
        return this.#identifier(node, args as string);
      case ".":
      case ".?":
        return this.#qualifiedType(node) ?? compileSelect(node, this);
      case "list":
        return this.#list(args as Node[]);
      case "map":
        return this.#map(args as [Node, Node][]);
      case "?:":
        return this.#conditional(node);
      case "||":
      case "&&":
        return this.#logical(node, op === "||");
      case "!_":
      case "-_":
        return this.#call(node, op, [this.code(args as Node)], false);
      case "[?]":
        return this.#call(node, "_[?_]", this.#all(args as Node[]), false);
      case "call":
      case "rcall":
        return this.#named(node);
      default:
        if (!OPERATORS.has(op)) throw this.error(node, `unsupported operation ${op}`);
        return this.#call(
          node,
          op === "in" ? "@in" : op === "[]" ? "_[_]" : `_${op}_`,
          this.#all(args as Node[]),
          false,
        );
    }
  }

  #all(nodes: readonly Node[]): Code[] {
    return nodes.map((node) => this.code(node));
  }

  #identifier(node: Node, name: string): Code {
    for (let i = this.#locals.length - 1; i >= 0; i--) {
      const local = this.#locals[i];
      if (local.name === name) return { type: local.type, run: ({ slots }) => slots[i] };
    }
    if (Object.hasOwn(this.#variables, name)) {
      this.used.add(name);
      return { type: this.#variables[name], run: ({ variables }) => variables[name] };
    }
    if (TYPE_NAMES.has(name)) return constant(TYPE, new TypeName(name));
    throw this.error(node, `undeclared reference to '${name}' (in container '')`);
  }

  #qualifiedType({ args }: Node): Code | undefined {
    const [inner, name] = args as [Node, string];
    if (inner.op !== "." || (name !== "Timestamp" && name !== "Duration")) return undefined;
    const [outer, middle] = inner.args as [Node, string];
    const isGoogle = outer.op === "id" && outer.args === "google" && middle === "protobuf";
    return isGoogle ? constant(TYPE, new TypeName(`google.protobuf.${name}`)) : undefined;
  }

  #list(nodes: readonly Node[]): Code {
    const items = this.#all(nodes);
    const type = items.length === 0 ? typeNamed("T") : this.#common(nodes, items);
    return {
      type: listOf(type),
      run: (frame) => {
        frame.meter.spend(10);
        return items.map((item) => item.run(frame));
      },
    };
  }

  #map(entries: readonly (readonly [Node, Node])[]): Code {
    const [keyNodes, valueNodes] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
    const [keys, values] = [this.#all(keyNodes), this.#all(valueNodes)];
    const isEmpty = entries.length === 0;
    const type = isEmpty
      ? mapOf(typeNamed("K"), typeNamed("V"))
      : mapOf(this.#common(keyNodes, keys), this.#common(valueNodes, values));
    const run = (frame: Frame): Value => {
      frame.meter.spend(30);
      return new Map(keys.map((key, i) => [key.run(frame), values[i].run(frame)]));
    };
    return { type, run };
  }

  /** Of what stands in one list or map: it has one type. */
  #common(nodes: readonly Node[], codes: readonly Code[]): CelType {
    let type = codes[0].type;
    for (const [i, code] of codes.entries()) {
      const both = joined(type, code.type) ?? (this.#formats > 0 ? DYN : undefined);
      if (both === undefined)
        throw this.error(nodes[i], `expected type '${type.name}' but found '${code.type.name}'`);
      type = both;
    }
    return type;
  }

  #conditional(node: Node): Code {
    const codes = this.#all(node.args as Node[]);
    const [asked, yes, no] = codes;
    const type = joined(yes.type, no.type);
    if (!isBool(asked.type) || type === undefined) {
      const signature = signatureOf([asked.type, yes.type, no.type], false);
      throw this.error(node, `found no matching overload for '_?_:_' applied to '${signature}'`);
    }
    const run = (frame: Frame): Value => {
      const answer = asked.run(frame);
      if (typeof answer !== "boolean") throw noSuchOverload();
      return answer ? yes.run(frame) : no.run(frame);
    };
    return { type, run };
  }

  /** One side may fail where the other one decides. */
  #logical(node: Node, decisive: boolean): Code {
    const nodes = node.args as Node[];
    const [left, right] = this.#all(nodes);
    for (const [i, { type }] of [left, right].entries())
      if (!isBool(type)) throw this.error(nodes[i], `expected type 'bool' but found '${type.name}'`);
    const run = (frame: Frame): Value => {
      const first = attempt(left, frame);
      if (first === decisive) return decisive;
      const second = attempt(right, frame);
      if (second === decisive) return decisive;
      if (first instanceof Fault) throw first;
      if (second instanceof Fault) throw second;
      return !decisive;
    };
    return { type: BOOL, run };
  }

  /** A macro, a function, one with a name of several parts (ip.isCanonical), or one of a value. */
  #named(node: Node): Code {
    const isMember = node.op === "rcall";
    const [name, ...rest] = node.args as [string, ...unknown[]];
    const receiver = isMember ? (rest[0] as Node) : undefined;
    const nodes = rest[rest.length - 1] as Node[];
    const qualified = receiver?.op === "id" ? `${receiver.args as string}.${name}` : undefined;
    const isLocal = receiver?.op === "id" && this.#isVariable(receiver.args as string);
    if (qualified !== undefined && !isLocal && isFunction(qualified, false))
      return this.#call(node, qualified, this.#all(nodes), false);
    const macro = macroOf(name, receiver, nodes);
    if (macro !== undefined) return macro({ node, receiver, args: nodes, context: this });
    if (!isFunction(name, isMember)) {
      if (receiver !== undefined) this.code(receiver); // what is wrong there is told first
      throw this.error(node, `undeclared reference to '${name}' (in container '')`);
    }
    const given = receiver === undefined ? nodes : [receiver, ...nodes];
    this.#formats += name === "format" ? 1 : 0;
    const args = this.#all(given);
    this.#formats -= name === "format" ? 1 : 0;
    return this.#call(node, name, args, isMember);
  }

  #isVariable(name: string): boolean {
    return Object.hasOwn(this.#variables, name) || this.#locals.some((local) => local.name === name);
  }

  #call(node: Node, name: string, args: readonly Code[], isMember: boolean): Code {
    const types = args.map(({ type }) => type);
    const found = candidatesOf(name, isMember, types);
    this.#notes.calls.set(node, { name, isMember, overloads: found.map(({ overload }) => overload) });
    if (found.length === 0) {
      const signature = signatureOf(types, isMember);
      throw this.error(node, `found no matching overload for '${name}' applied to '${signature}'`);
    }
    return call(found, args);
  }
}

const isBool = ({ kind }: CelType): boolean => kind === "bool" || kind === "dyn";

const constant = (type: CelType, value: Value): Code => ({ type, run: () => value });

function literal(value: unknown): Code {
  // The library has a class of its own for what ends with u.
  const isUint = typeof value === "object" && value !== null && !(value instanceof Uint8Array);
  const made = isUint ? new Uint(BigInt((value as { valueOf(): bigint }).valueOf())) : value;
  return constant(typeNamed(kindOf(made)), made);
}

function attempt(code: Code, frame: Frame): Value {
  try {
    const value = code.run(frame);
    return typeof value === "boolean" ? value : noSuchOverload();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

function call(found: readonly Candidate[], args: readonly Code[]): Code {
  const [{ overload: first, bound }, ...others] = found;
  const type = bind(first.result, bound);
  const isOne = others.every(({ overload, bound }) => bind(overload.result, bound).name === type.name);
  const isSure = found.length === 1 && args.every((arg) => isKnown(arg.type));
  const overloads = found.map(({ overload }) => overload);
  const run = (frame: Frame): Value => {
    const values = args.map((arg) => arg.run(frame));
    const chosen = isSure ? first : choose(overloads, values);
    if (chosen === undefined) throw noSuchOverload();
    return chosen.run(values, frame.meter);
  };
  return { type: isOne ? type : DYN, run };
}

/** Whether values of it are what it says: a list of anything may hold anything, and the list is one all the same. */
const isKnown = ({ kind }: CelType): boolean => kind !== "dyn" && !/^[A-Z]/.test(kind);
