// kubectl's JSONPath: text with {actions} in it. An action is a path, "text", {range PATH} … {end}. Missing fields are
// empty, as kubectl has it. testdata/json-path.json holds what kubectl itself printed.
import { PodwireError } from "../base/errors.ts";

type Value = unknown;
type Step = (at: readonly Value[], root: Value) => Value[];
type Part =
  | { kind: "text"; text: string }
  | { kind: "path"; steps: Step[] }
  | { kind: "range"; steps: Step[]; body: Part[] };

export type Template = readonly Part[];

/** Whoever gave the path is told: status 2 of a command. */
class JsonPathError extends PodwireError {
  readonly exitCode = 2;

  constructor(message: string) {
    super(message, { code: "JSONPATH" });
  }
}

const IDENTIFIER = /^(?:\\.|[^\s.[\]{}()'"@$,:*?|<>=!&])+/;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

export function parseTemplate(text: string): Template {
  const reader = new Reader(text);
  const { parts, ended } = readParts(reader);
  if (ended) throw new JsonPathError(`jsonpath ${text}: not in range, nothing to end`);
  return parts;
}

/** What a template prints of a value. */
export function execute(template: Template, root: Value): string {
  return render(template, root, root);
}

/** A path without the braces: .metadata.name, metadata.name or {.metadata.name}, for --sort-by and custom columns. */
export function parsePath(text: string): (root: Value) => Value[] {
  const bare = text.replace(/^\{(.*)\}$/s, "$1").trim();
  const full = /^[.[$@]/.test(bare) ? bare : `.${bare}`;
  const reader = new Reader(full);
  const steps = readSteps(reader);
  if (!reader.done) throw reader.fail(`unrecognized character in action: '${reader.rest[0]}'`);
  return (root) => walk(steps, [root], root);
}

class Reader {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get rest(): string {
    return this.text.slice(this.at);
  }

  get done(): boolean {
    return this.at >= this.text.length;
  }

  /** What the pattern (anchored) finds, or undefined. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.rest);
    if (match === null) return undefined;
    this.at += match[0].length;
    return match;
  }

  fail(why: string): Error {
    return new JsonPathError(`jsonpath ${this.text}: ${why}`);
  }
}

/** Up to the end of the text, or of the range that has begun. A range need not be ended, as with kubectl. */
function readParts(reader: Reader): { parts: Part[]; ended: boolean } {
  const parts: Part[] = [];
  while (!reader.done) {
    const text = reader.take(/^[^{]+/s);
    if (text !== undefined) parts.push({ kind: "text", text: text[0] });
    if (reader.take(/^\{/) === undefined) continue;
    for (;;) {
      reader.take(/^\s+/);
      if (reader.take(/^\}/) !== undefined) break;
      if (reader.done) throw reader.fail("unclosed action");
      if (reader.take(/^end\b/) !== undefined) {
        reader.take(/^\s*\}/);
        return { parts, ended: true };
      }
      if (reader.take(/^range\s+/) !== undefined) {
        const steps = readSteps(reader);
        if (reader.take(/^\s*\}/) === undefined) throw reader.fail("unclosed action");
        const body = readParts(reader);
        parts.push({ kind: "range", steps, body: body.parts });
        break;
      }
      parts.push(readAction(reader));
    }
    if (reader.text[reader.at - 2] === "{") parts.push({ kind: "path", steps: [] }); // {} is the whole
  }
  return { parts, ended: false };
}

function readAction(reader: Reader): Part {
  const quoted = reader.take(/^"((?:\\.|[^"\\])*)"|^'((?:\\.|[^'\\])*)'/s);
  if (quoted !== undefined) return { kind: "text", text: unescaped(quoted[1] ?? quoted[2]) };
  const literal = reader.take(/^(true|false|-?\d+(\.\d+)?)(?![\w.])/);
  if (literal !== undefined) return { kind: "text", text: literal[0] };
  const steps = readSteps(reader);
  if (steps.length > 0 || reader.take(/^[$@]/) !== undefined) return { kind: "path", steps };
  const word = reader.take(IDENTIFIER)?.[0];
  if (word !== undefined && /^\w/.test(word)) throw reader.fail(`unrecognized identifier ${word}`);
  throw reader.fail(`unrecognized character in action: '${word?.[0] ?? reader.rest[0]}'`);
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

function readSteps(reader: Reader): Step[] {
  const steps: Step[] = [];
  if (reader.take(/^\$/) !== undefined) steps.push((_, root) => [root]);
  else if (reader.take(/^@/) !== undefined) steps.push((at) => [...at]);
  for (;;) {
    if (reader.take(/^\.\./) !== undefined) steps.push(descend);
    else if (reader.take(/^\.(?=\[)/) !== undefined) continue;
    else if (reader.take(/^\.\*/) !== undefined) steps.push(children);
    else if (/^\.(?=[^\s}\])])/.test(reader.rest)) {
      reader.at++;
      const name = reader.take(IDENTIFIER);
      if (name === undefined) throw reader.fail(`unrecognized character in action: '${reader.rest[0]}'`);
      steps.push(field(unescaped(name[0])));
    } else if (reader.take(/^\[/) !== undefined) steps.push(readBracket(reader));
    else if (steps.at(-1) === descend) {
      const name = reader.take(IDENTIFIER);
      if (name === undefined) return steps;
      steps.push(field(unescaped(name[0])));
    } else return steps;
  }
}

/** What stands in brackets: names, numbers, slices, a union of them, or a filter. */
function readBracket(reader: Reader): Step {
  if (reader.take(/^\?\(/) !== undefined) {
    const filter = readFilter(reader);
    if (reader.take(/^\s*\)\s*\]/) === undefined) throw reader.fail("unterminated filter");
    return filter;
  }
  const items: Step[] = [];
  for (;;) {
    reader.take(/^\s+/);
    const quoted = reader.take(/^'((?:\\.|[^'\\])*)'|^"((?:\\.|[^"\\])*)"/s);
    if (quoted !== undefined) items.push(field(unescaped(quoted[1] ?? quoted[2])));
    else if (reader.take(/^\*/) !== undefined) items.push(children);
    else items.push(readIndex(reader));
    reader.take(/^\s+/);
    if (reader.take(/^\]/) !== undefined) break;
    if (reader.take(/^,/) === undefined) throw reader.fail("unterminated array");
  }
  return items.length === 1 ? items[0] : (at, root) => items.flatMap((item) => item(at, root));
}

function readIndex(reader: Reader): Step {
  const word = reader.take(/^[^\],]+/)?.[0] ?? "";
  const match = /^(-?\d+)?(?:(:)(-?\d+)?(?::(-?\d+)?)?)?$/.exec(word.trim());
  if (match === null || word.trim() === "") throw reader.fail(`invalid array index ${word}`);
  const [, from, colon, to, step] = match;
  const fail = (why: string): Error => reader.fail(why);
  if (colon === undefined) return (at) => at.flatMap((value) => element(value, Number(from), fail));
  return (at) => at.flatMap((value) => slice(value, from, to, Number(step ?? 1), fail));
}

function element(value: Value, index: number, fail: (why: string) => Error): Value[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw fail(`${typeof value} is not array or slice`);
  const at = index < 0 ? index + value.length : index;
  if (at < 0 || at >= value.length)
    throw fail(`array index out of bounds: index ${at}, length ${value.length}`);
  return [value[at]];
}

function slice(
  value: Value,
  from: string | undefined,
  to: string | undefined,
  step: number,
  fail: (why: string) => Error,
): Value[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw fail(`${typeof value} is not array or slice`);
  const edge = (text: string | undefined, otherwise: number): number => {
    const number = text === undefined ? otherwise : Number(text);
    return number < 0 ? number + value.length : number;
  };
  const [start, end] = [edge(from, 0), Math.min(edge(to, value.length), value.length)];
  if (start > end) throw fail(`starting index ${start} is greater than ending index ${end}`);
  if (step <= 0) throw fail("step must be > 0");
  return value.slice(Math.max(0, start), end).filter((_, i) => i % step === 0);
}

const isObject = (value: Value): value is Record<string, Value> =>
  typeof value === "object" && value !== null;

function field(name: string): Step {
  return (at) =>
    at.flatMap((value) =>
      isObject(value) && !Array.isArray(value) && Object.hasOwn(value, name) && value[name] !== undefined
        ? [value[name]]
        : [],
    );
}

function children(at: readonly Value[]): Value[] {
  return at.flatMap((value) => (isObject(value) ? Object.values(value) : []));
}

function descend(at: readonly Value[]): Value[] {
  return at.flatMap((value) => (isObject(value) ? [value, ...descend(Object.values(value))] : []));
}

function readFilter(reader: Reader): Step {
  const left = readOperand(reader);
  const operator = reader.take(/^\s*(==|!=|<=|>=|<|>)\s*/)?.[1];
  const wrong = /^\s*[|&]/.exec(reader.rest);
  if (wrong !== null) throw reader.fail(`unrecognized character in action: '${wrong[0].trim()}'`);
  if (operator === undefined) return (at, root) => items(at).filter((item) => left(item, root).length > 0);
  const right = readOperand(reader);
  if (/^\s*[|&]/.test(reader.rest))
    throw reader.fail(
      `unrecognized character in action: '${reader.rest.trim()[0]}': one comparison a filter`,
    );
  return (at, root) =>
    items(at).filter((item) => {
      const [a, b] = [left(item, root), right(item, root)];
      if (a.length === 0 || b.length === 0) return false;
      if (a.length > 1 || b.length > 1) throw reader.fail("can only compare one element at a time");
      return compare(a[0], operator, b[0]);
    });
}

const items = (at: readonly Value[]): Value[] =>
  at.flatMap((value) => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []));

function readOperand(reader: Reader): (item: Value, root: Value) => Value[] {
  reader.take(/^\s+/);
  const quoted = reader.take(/^"((?:\\.|[^"\\])*)"|^'((?:\\.|[^'\\])*)'/s);
  if (quoted !== undefined) return () => [unescaped(quoted[1] ?? quoted[2])];
  const literal = reader.take(/^(true|false|-?\d+(?:\.\d+)?)/);
  if (literal !== undefined) return () => [JSON.parse(literal[0])];
  const steps = readSteps(reader);
  if (steps.length === 0) throw reader.fail("unterminated filter");
  return (item, root) => walk(steps, [item], root);
}

function compare(a: Value, operator: string, b: Value): boolean {
  if (operator === "==") return a === b;
  if (operator === "!=") return a !== b;
  if (typeof a !== typeof b || (typeof a !== "string" && typeof a !== "number")) return false;
  const order = a === b ? 0 : a < (b as typeof a) ? -1 : 1;
  if (order === 0) return operator.endsWith("=");
  return operator.startsWith("<") === order < 0;
}

function walk(steps: readonly Step[], from: readonly Value[], root: Value): Value[] {
  let at = [...from];
  for (const step of steps) at = step(at, root);
  return at;
}

function render(parts: readonly Part[], at: Value, root: Value): string {
  return parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      const found = walk(part.steps, [at], root);
      if (part.kind === "path") return found.map(valueText).join(" ");
      return found.map((each) => render(part.body, each, root)).join("");
    })
    .join("");
}

/** Maps and lists as JSON with sorted keys, everything else as it is. */
export function valueText(value: Value): string {
  if (value === null || value === undefined) return "";
  return isObject(value) ? JSON.stringify(sorted(value)) : String(value);
}

function sorted(value: Value): Value {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
