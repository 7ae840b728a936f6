// Fields of objects and entries of maps: "a.b", "a.?b", "has(a.b)".
import type { Code, Context } from "./code.ts";
import type { Node } from "./syntax.ts";
import { BOOL, type CelType, DYN, optionalOf } from "./type.ts";
import { Fault, Fields, NONE, noSuchOverload, Optional, type Value } from "./value.ts";

/** Of a node "." or ".?". */
export function compileSelect(node: Node, context: Context): Code {
  const [inner, name] = node.args as [Node, string];
  const of = context.code(inner);
  const isOptional = node.op === ".?" || of.type.kind === "optional";
  const type = fieldType(of.type, name, node, context);
  if (!isOptional) {
    const run: Code["run"] = (frame) => {
      frame.meter.spend(1);
      const value = fieldOf(of.run(frame), name);
      if (value === undefined) throw new Fault(`no such key: ${name}`);
      return value;
    };
    return { type, run };
  }
  const run: Code["run"] = (frame) => {
    frame.meter.spend(1);
    const value = inOptional(of.run(frame), name);
    return value === undefined ? NONE : new Optional(value);
  };
  return { type: optionalOf(type), run };
}

/** Whether the field is there. `at`: where it is asked, for errors. */
export function compileHas(node: Node, context: Context, at: Node): Code {
  const [inner, name] = node.args as [Node, string];
  const of = context.code(inner);
  fieldType(of.type, name, at, context);
  return { type: BOOL, run: (frame) => inOptional(of.run(frame), name) !== undefined };
}

function fieldType(of: CelType, name: string, node: Node, context: Context): CelType {
  switch (of.kind) {
    case "object": {
      const type = of.fields?.get(name);
      if (type === undefined) throw context.error(node, `undefined field '${name}'`);
      return type;
    }
    case "map":
      return of.args[1];
    case "optional":
      return fieldType(of.args[0], name, node, context);
    case "dyn":
      return DYN;
    default:
      throw context.error(node, `type '${of.name}' does not support field selection`);
  }
}

function inOptional(value: Value, name: string): Value | undefined {
  if (!(value instanceof Optional)) return fieldOf(value, name);
  return value.value === undefined ? undefined : fieldOf(value.value, name);
}

function fieldOf(value: Value, name: string): Value | undefined {
  if (value instanceof Fields) return value.values.get(name);
  if (value instanceof Map) return value.get(name) as Value | undefined;
  throw noSuchOverload();
}
