// An expression that has been checked: its type, and how it comes to a value.
import type { CompileError, Node } from "./syntax.ts";
import type { CelType } from "./type.ts";
import type { Value } from "./value.ts";

/** What an evaluation may still cost: about one for every call, select and step. Throws Exhausted. */
export interface Meter {
  spend(cost: number): void;
}

/** While an expression is evaluated. */
export interface Frame {
  readonly variables: Readonly<Record<string, Value>>;
  /** Of variables that macros bring. */
  readonly slots: Value[];
  readonly meter: Meter;
}

export interface Code {
  readonly type: CelType;
  /** Throws a Fault where there is no value. */
  run(frame: Frame): Value;
}

export interface Local {
  readonly name: string;
  readonly type: CelType;
}

/** What makes code of the parts of an expression. */
export interface Context {
  error(node: Node, what: string): CompileError;
  code(node: Node): Code;
  /** With variables besides; `slots` says where their values go. */
  within(locals: readonly Local[], node: Node): { readonly code: Code; readonly slots: readonly number[] };
}
