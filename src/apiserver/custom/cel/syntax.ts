// The text of an expression taken apart, and where in it something is wrong, said as cel-go says it.
import { Environment, ParseError } from "@marcbachmann/cel-js";

/** As the library has them; what stands in `args` depends on the operation. */
export interface Node {
  readonly op: string;
  readonly args: unknown;
  /** Offsets of its text. */
  readonly start: number;
  readonly end: number;
}

/** An expression that means nothing: "ERROR: <input>:LINE:COLUMN: WHAT", and the line below it. */
export class CompileError extends Error {}

let parser: Environment | undefined;

/** Throws a CompileError. */
export function parse(text: string): Node {
  parser ??= new Environment({ enableOptionalTypes: true });
  try {
    return parser.parse(text).ast as unknown as Node;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const { summary } = error as unknown as { readonly summary?: string };
    throw errorAt(text, error.range?.start ?? 0, `Syntax error: ${summary ?? "not an expression"}`);
  }
}

export function errorAt(text: string, offset: number, what: string): CompileError {
  const before = text.slice(0, offset).split("\n");
  const line = text.split("\n")[before.length - 1];
  const column = [...before[before.length - 1]].length;
  const below = `\n | ${line}\n | ${".".repeat(column)}^`;
  return new CompileError(`ERROR: <input>:${before.length}:${column + 1}: ${what}${below}`);
}

/** Where cel-go says that an operation is: at its sign, its dot or its parenthesis. */
export function placeOf(node: Node, text: string): number {
  const { op, args, start } = node;
  const after = (of: Node, sign: string): number => Math.max(text.indexOf(sign, of.end), start);
  if (op === "call") return after({ ...node, end: start }, "(");
  if (op === "rcall") return after(withEnd(node, nameAfter(node, text)), "(");
  if (op === "[]" || op === "[?]") return after((args as Node[])[0], "[");
  if (op === "." || op === ".?") return after((args as Node[])[0], ".");
  if (op === "?:") return after((args as Node[])[0], "?");
  if (Array.isArray(args) && args.length === 2 && op !== "list" && op !== "map")
    return after(args[0] as Node, op);
  return start;
}

const withEnd = (node: Node, end: number): Node => ({ ...node, end });

function nameAfter({ args }: Node, text: string): number {
  const [name, receiver] = args as [string, Node];
  return text.indexOf(name, receiver.end);
}

/** Of "!!a" or "--a": how many signs there are, and what stands behind them; "!(!a)" is two times one. */
export function operandOf(node: Node, text: string): { readonly count: number; readonly operand: Node } {
  let [count, operand, isOpened] = [0, node, false];
  for (; operand.op === node.op && !isOpened; count++) {
    const inner = operand.args as Node;
    isOpened = text.slice(operand.start, inner.start + 1).includes("(");
    operand = inner;
  }
  return { count, operand };
}
