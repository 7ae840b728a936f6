// What a function of expressions does: its arguments' values, in their order, to a value; throws a Fault where there is none.
import type { Value } from "./value.ts";

export type Run = (...args: never[]) => Value;
