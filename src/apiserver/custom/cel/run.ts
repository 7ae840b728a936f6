// What a function of expressions does: of its arguments' values, in their order, a value. It throws a Fault where there
// is none.
import type { Value } from "./value.ts";

export type Run = (...args: never[]) => Value;
