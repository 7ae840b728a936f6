// kubectl's JSONPath, as its own library reads it: json-path/ has the grammar and the walk. Missing fields are empty, as
// kubectl has it. testdata/json-path.json holds what kubectl itself printed, and native-test/kubectl asks it anew.
import { PodwireError } from "../base/errors.ts";
import { GoNumber, goJson, printedText } from "./json-path/go-text.ts";
import { type PathNode, parseNodes } from "./json-path/parse.ts";
import { findResults, WalkFault } from "./json-path/walk.ts";

export interface Template {
  readonly text: string;
  readonly nodes: readonly PathNode[];
}

/** Status 2 of a command: whoever gave the path is told; 1: the path is one, and does not fit what was found. */
class JsonPathError extends PodwireError {
  readonly exitCode: number;

  constructor(text: string, why: string, exitCode = 2) {
    super(`jsonpath ${text}: ${why}`.replaceAll("\n", "\\n"), { code: "JSONPATH" });
    this.exitCode = exitCode;
  }
}

export function parseTemplate(text: string): Template {
  return { text, nodes: parseNodes(text, (why) => new JsonPathError(text, why)) };
}

/** What a template prints of a value. */
export function execute(template: Template, root: unknown): string {
  return results(template, root)
    .map((found) => found.map(printedText).join(" "))
    .join("");
}

/** What it finds, each action's as a list of JSON. */
export function executeAsJson(template: Template, root: unknown): string {
  return results(template, root)
    .map((found) => `${goJson(found, 4)}\n`)
    .join("");
}

const RELAXED = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/;

/**
 * A path as --sort-by and custom columns have it: .metadata.name, metadata.name or {.metadata.name}. It fails where more
 * than `most` values are looked at.
 */
export function parsePath(text: string, most = Number.POSITIVE_INFINITY): (root: unknown) => unknown[] {
  const match = RELAXED.exec(text.trim());
  if (match === null)
    throw new JsonPathError(
      text,
      "expected a path such as name1.name2, .name1.name2, {name1.name2} or {.name1.name2}",
    );
  const spec = (match[1] ?? match[2]).replace(/^[$@]\.?/, "");
  const template = parseTemplate(`{${spec.startsWith("[") || spec === "" ? "" : "."}${spec}}`);
  return (root) => results(template, root, most).flat().map(plain);
}

function results({ text, nodes }: Template, root: unknown, most = Number.POSITIVE_INFINITY): unknown[][] {
  try {
    return findResults(nodes, root, most);
  } catch (error) {
    throw error instanceof WalkFault ? new JsonPathError(text, error.message, 1) : error;
  }
}

function plain(value: unknown): unknown {
  return value instanceof GoNumber ? value.value : value;
}

/** Maps and lists as JSON with sorted keys, nothing as "", everything else as it is. */
export function valueText(value: unknown): string {
  return value === null || value === undefined ? "" : printedText(value);
}
