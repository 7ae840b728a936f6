// Macros: what goes through lists and maps with variables of its own, has(), and the two of optional values.
import type { Code, Context, Frame, Local } from "./code.ts";
import { compare } from "./function/operators.ts";
import { compileHas } from "./select.ts";
import type { Node } from "./syntax.ts";
import { BOOL, type CelType, DYN, INT, listOf, mapOf, optionalOf } from "./type.ts";
import { Fault, NONE, noSuchOverload, Optional, type Value } from "./value.ts";

interface Use {
  readonly node: Node;
  readonly receiver: Node | undefined;
  readonly args: readonly Node[];
  readonly context: Context;
}

type Macro = (use: Use) => Code;

/** Undefined: it is none. */
export function macroOf(name: string, receiver: Node | undefined, args: readonly Node[]): Macro | undefined {
  if (receiver === undefined) return name === "has" && args.length === 1 ? has : undefined;
  return MACROS[`${name}/${args.length}`];
}

function has({ node, args, context }: Use): Code {
  const [field] = args;
  if (field.op !== "." && field.op !== ".?") throw context.error(field, "invalid argument to has() macro");
  return compileHas(field, context, node);
}

/** One step: where the variables' values go, and what is computed of them. */
interface Loop {
  readonly range: Code;
  readonly locals: readonly Local[];
  readonly element: CelType;
}

/** Of a list the items, of a map the keys; with two variables the index or key as well. */
function loopOf({ receiver, args, context }: Use, variables: number): Loop {
  const range = context.code(receiver as Node);
  const { kind } = range.type;
  if (kind !== "list" && kind !== "map" && kind !== "dyn") {
    const what = `expression of type '${range.type.name}' cannot be range of a comprehension`;
    throw context.error(receiver as Node, `${what} (must be list, map, or dynamic)`);
  }
  const names = args.slice(0, variables).map((node) => {
    if (node.op !== "id") throw context.error(node, "argument must be a simple name");
    return node.args as string;
  });
  const [first = DYN, second = DYN] = range.type.args;
  const types = variables === 1 ? [first] : kind === "list" ? [INT, first] : [first, second];
  const locals = names.map((name, i) => ({ name, type: types[i] }));
  return { range, locals, element: first };
}

/** The values of the variables, step by step. */
function* stepsOf(value: Value, variables: number, frame: Frame): Generator<readonly Value[]> {
  if (Array.isArray(value)) {
    for (const [i, item] of (value as Value[]).entries()) {
      frame.meter.spend(1);
      yield variables === 1 ? [item] : [BigInt(i), item];
    }
  } else if (value instanceof Map) {
    for (const [key, item] of value as Map<Value, Value>) {
      frame.meter.spend(1);
      yield variables === 1 ? [key] : [key, item];
    }
  } else throw noSuchOverload();
}

interface Body {
  readonly code: Code;
  readonly slots: readonly number[];
}

function inLoop(body: Body, values: readonly Value[], frame: Frame): Value {
  for (const [i, slot] of body.slots.entries()) frame.slots[slot] = values[i];
  return body.code.run(frame);
}

function predicate(loop: Loop, node: Node, context: Context): Body {
  const body = context.within(loop.locals, node);
  const { type } = body.code;
  if (type.kind !== "bool" && type.kind !== "dyn")
    throw context.error(node, `expected type 'bool' but found '${type.name}'`);
  return body;
}

const asBool = (value: Value): boolean => {
  if (typeof value !== "boolean") throw noSuchOverload();
  return value;
};

/** What one item cannot say, another one may decide. */
function quantified(variables: number, decisive: boolean): Macro {
  return (use) => {
    const loop = loopOf(use, variables);
    const body = predicate(loop, use.args[variables], use.context);
    const run = (frame: Frame): Value => {
      let fault: Fault | undefined;
      for (const values of stepsOf(loop.range.run(frame), variables, frame)) {
        try {
          if (asBool(inLoop(body, values, frame)) === decisive) return decisive;
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          fault ??= error;
        }
      }
      if (fault !== undefined) throw fault;
      return !decisive;
    };
    return { type: BOOL, run };
  };
}

function exactlyOne(variables: number): Macro {
  return (use) => {
    const loop = loopOf(use, variables);
    const body = predicate(loop, use.args[variables], use.context);
    const run = (frame: Frame): Value => {
      let count = 0;
      for (const values of stepsOf(loop.range.run(frame), variables, frame))
        if (asBool(inLoop(body, values, frame))) count++;
      return count === 1;
    };
    return { type: BOOL, run };
  };
}

const filter: Macro = (use) => {
  const loop = loopOf(use, 1);
  const body = predicate(loop, use.args[1], use.context);
  const run = (frame: Frame): Value => {
    const made: Value[] = [];
    for (const values of stepsOf(loop.range.run(frame), 1, frame))
      if (asBool(inLoop(body, values, frame))) made.push(values[0]);
    return made;
  };
  return { type: listOf(loop.element), run };
};

/** map() and transformList(), with or without a filter. */
function mapped(variables: number, isFiltered: boolean): Macro {
  return (use) => {
    const loop = loopOf(use, variables);
    const filtered = isFiltered ? predicate(loop, use.args[variables], use.context) : undefined;
    const body = use.context.within(loop.locals, use.args[variables + (isFiltered ? 1 : 0)]);
    const run = (frame: Frame): Value => {
      const made: Value[] = [];
      for (const values of stepsOf(loop.range.run(frame), variables, frame)) {
        if (filtered !== undefined && !asBool(inLoop(filtered, values, frame))) continue;
        made.push(inLoop(body, values, frame));
      }
      return made;
    };
    return { type: listOf(body.code.type), run };
  };
}

/** transformMap(): other values; transformMapEntry(): other entries, each a map of one. */
function mapOfLoop(isFiltered: boolean, isEntry: boolean): Macro {
  return (use) => {
    const loop = loopOf(use, 2);
    const filtered = isFiltered ? predicate(loop, use.args[2], use.context) : undefined;
    const body = use.context.within(loop.locals, use.args[isFiltered ? 3 : 2]);
    const run = (frame: Frame): Value => {
      const made = new Map<Value, Value>();
      for (const values of stepsOf(loop.range.run(frame), 2, frame)) {
        if (filtered !== undefined && !asBool(inLoop(filtered, values, frame))) continue;
        const value = inLoop(body, values, frame);
        if (!isEntry) made.set(values[0], value);
        else for (const [key, each] of entriesOf(value)) putOnce(made, key, each);
      }
      return made;
    };
    return { type: isEntry ? body.code.type : mapOf(loop.locals[0].type, body.code.type), run };
  };
}

function entriesOf(value: Value): Map<Value, Value> {
  if (!(value instanceof Map)) throw noSuchOverload();
  return value;
}

function putOnce(map: Map<Value, Value>, key: Value, value: Value): void {
  if (map.has(key)) throw new Fault(`insert failed: key ${String(key)} already exists`);
  map.set(key, value);
}

/** list.sortBy(e, key of e) */
const sortBy: Macro = (use) => {
  const loop = loopOf(use, 1);
  const body = use.context.within(loop.locals, use.args[1]);
  const run = (frame: Frame): Value => {
    const keyed: { key: Value; values: readonly Value[] }[] = [];
    for (const values of stepsOf(loop.range.run(frame), 1, frame))
      keyed.push({ key: inLoop(body, values, frame), values });
    return keyed.sort((a, b) => compare(a.key, b.key)).map(({ values }) => values[0]);
  };
  return { type: listOf(loop.element), run };
};

/** optMap(): with a value of what is there; optFlatMap(): with what that makes of it. */
function ofOptional(isFlat: boolean): Macro {
  return ({ receiver, args, context }) => {
    const target = context.code(receiver as Node);
    const isDyn = target.type.kind === "dyn";
    if (target.type.kind !== "optional" && !isDyn)
      throw context.error(
        receiver as Node,
        `expected type 'optional_type(dyn)' but found '${target.type.name}'`,
      );
    if (args[0].op !== "id") throw context.error(args[0], "argument must be a simple name");
    const local = { name: args[0].args as string, type: isDyn ? DYN : target.type.args[0] };
    const body = context.within([local], args[1]);
    const run = (frame: Frame): Value => {
      const optional = target.run(frame);
      if (!(optional instanceof Optional)) throw noSuchOverload();
      if (optional.value === undefined) return NONE;
      const made = inLoop(body, [optional.value], frame);
      return isFlat ? made : new Optional(made);
    };
    return { type: isFlat ? body.code.type : optionalOf(body.code.type), run };
  };
}

const MACROS: Readonly<Record<string, Macro>> = {
  "all/2": quantified(1, false),
  "all/3": quantified(2, false),
  "exists/2": quantified(1, true),
  "exists/3": quantified(2, true),
  "exists_one/2": exactlyOne(1),
  "existsOne/3": exactlyOne(2),
  "filter/2": filter,
  "map/2": mapped(1, false),
  "map/3": mapped(1, true),
  "transformList/3": mapped(2, false),
  "transformList/4": mapped(2, true),
  "transformMap/3": mapOfLoop(false, false),
  "transformMap/4": mapOfLoop(true, false),
  "transformMapEntry/3": mapOfLoop(false, true),
  "transformMapEntry/4": mapOfLoop(true, true),
  "sortBy/2": sortBy,
  "optMap/2": ofOptional(false),
  "optFlatMap/2": ofOptional(true),
};
