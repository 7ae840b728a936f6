// An expression with its macros written out as cel-go's parser writes them: what is counted is what they stand for.
import type { Overload } from "../overloads.ts";
import { BOOL, type CelType, DYN, INT, listOf, mapOf } from "../type.ts";

interface Typed {
  readonly type: CelType;
}

export interface Literal extends Typed {
  readonly kind: "literal";
  /** Letters of a text, bytes of bytes; of all else one. */
  readonly size: number;
  /** Of a number. */
  readonly number?: bigint | undefined;
}

export interface Ident extends Typed {
  readonly kind: "ident";
  readonly name: string;
}

export interface Select extends Typed {
  readonly kind: "select";
  readonly operand: Expr;
  readonly field: string;
}

/** has(…): `operand` is whose field is asked for. */
export interface Has extends Typed {
  readonly kind: "has";
  readonly operand: Expr;
}

export interface Call extends Typed {
  readonly kind: "call";
  readonly name: string;
  /** Those that its arguments may turn out to need. */
  readonly overloads: readonly Signature[];
  readonly target?: Expr | undefined;
  readonly args: readonly Expr[];
}

export type Signature = Pick<Overload, "args">;

export interface ListMade extends Typed {
  readonly kind: "list";
  readonly items: readonly Expr[];
}

export interface MapMade extends Typed {
  readonly kind: "map";
  readonly entries: readonly (readonly [Expr, Expr])[];
}

/** Goes through `range` with one variable, or two, and makes something of it step by step. */
export interface Fold extends Typed {
  readonly kind: "fold";
  readonly range: Expr;
  readonly variables: readonly string[];
  readonly made: Expr;
  readonly condition: Expr;
  readonly step: Expr;
  readonly result: Expr;
}

/** A name for a value. */
export interface Bind extends Typed {
  readonly kind: "bind";
  readonly name: string;
  readonly value: Expr;
  readonly result: Expr;
}

export type Expr = Literal | Ident | Select | Has | Call | ListMade | MapMade | Fold | Bind;

/** The name of what a fold makes: no expression can have it. */
export const MADE = "@result";

export const literal = (type: CelType, size = 1, number?: bigint): Literal => ({
  ...{ kind: "literal", type, size, number },
});
const made = (type: CelType): Ident => ({ kind: "ident", name: MADE, type });
const listMade = (items: readonly Expr[], of: CelType): ListMade => ({
  kind: "list",
  items,
  type: listOf(of),
});

export function call(name: string, type: CelType, args: readonly Expr[], target?: Expr): Call {
  const types = [...(target === undefined ? [] : [target]), ...args].map((arg) => arg.type);
  return { kind: "call", name, type, args, target, overloads: [{ args: types }] };
}

const either = (asked: Expr, yes: Expr, no: Expr): Call => call("_?_:_", yes.type, [asked, yes, no]);

interface Loop {
  readonly range: Expr;
  readonly variables: readonly string[];
}

/** all() and exists(). */
export function quantified(loop: Loop, isAll: boolean, test: Expr): Fold {
  const so = made(BOOL);
  const goes = isAll ? so : call("!_", BOOL, [made(BOOL)]);
  return {
    ...{ kind: "fold", type: BOOL, ...loop, made: literal(BOOL) },
    condition: call("@not_strictly_false", BOOL, [goes]),
    step: call(isAll ? "_&&_" : "_||_", BOOL, [so, test]),
    result: made(BOOL),
  };
}

export function exactlyOne(loop: Loop, test: Expr): Fold {
  const one = literal(INT, 1, 1n);
  return {
    ...{ kind: "fold", type: BOOL, ...loop, made: literal(INT, 1, 0n), condition: literal(BOOL) },
    step: either(test, call("_+_", INT, [made(INT), one]), made(INT)),
    result: call("_==_", BOOL, [made(INT), one]),
  };
}

/** filter(), map() and transformList(). */
export function listed(loop: Loop, test: Expr | undefined, item: Expr): Fold {
  const type = listOf(item.type);
  const longer = call("_+_", type, [made(type), listMade([item], item.type)]);
  return {
    ...{ kind: "fold", type, ...loop, made: listMade([], item.type), condition: literal(BOOL) },
    step: test === undefined ? longer : either(test, longer, made(type)),
    result: made(type),
  };
}

/** transformMap(): by the first variable; transformMapEntry(): `value` is an entry itself. */
export function mapped(loop: Loop, test: Expr | undefined, value: Expr, isEntry: boolean): Fold {
  const type = isEntry ? value.type : mapOf(DYN, value.type);
  const key: Ident = { kind: "ident", name: loop.variables[0], type: DYN };
  const more = call("cel.@mapInsert", type, [made(type), ...(isEntry ? [] : [key]), value]);
  return {
    ...{ kind: "fold", type, ...loop, made: { kind: "map", type, entries: [] }, condition: literal(BOOL) },
    step: test === undefined ? more : either(test, more, made(type)),
    result: made(type),
  };
}

/** sortBy(): of the list and of the keys that are made of its items. */
export function sorted(range: Expr, variable: string, key: Expr): Bind {
  const input: Ident = { kind: "ident", name: "@__sortBy_input__", type: range.type };
  const by = listed({ range: input, variables: [variable] }, undefined, key);
  const order = call("@sortByAssociatedKeys", range.type, [by], { ...input });
  return { kind: "bind", type: range.type, name: input.name, value: range, result: order };
}

/** optMap() and optFlatMap(). */
export function ofOptional(
  target: Expr,
  copy: Expr,
  variable: { readonly name: string; readonly type: CelType },
  made: Expr,
  type: CelType,
  isFlat: boolean,
): Call {
  const value = call("value", variable.type, [], copy);
  const bound: Bind = { kind: "bind", type: made.type, name: variable.name, value, result: made };
  const yes = isFlat ? bound : call("optional.of", type, [bound]);
  return either(call("hasValue", BOOL, [], target), yes, call("optional.none", type, []));
}
