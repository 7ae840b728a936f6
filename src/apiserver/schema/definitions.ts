// The kinds of Kubernetes as scripts/schema-data wrote them down: one line a definition, read when it is asked for, so
// that nobody pays for a file that he does not need.
import { readFileSync } from "node:fs";
import type { GroupVersionKind, Json, Resolve, Schema, Typed } from "./schema.ts";

/** Both build/src and build/bundle lie as deep below the root as this file's folder. */
const FILE = new URL("../../../../src/apiserver/schema/kubernetes.jsonl", import.meta.url);
const REF = "#/definitions/";
const LETTERS: Readonly<Record<string, Schema>> = {
  s: { type: "string" },
  i: { type: "integer", format: "int32" },
  l: { type: "integer", format: "int64" },
  n: { type: "number", format: "double" },
  b: { type: "boolean" },
  y: { type: "string", format: "byte" },
  d: { type: "string", format: "date-time" },
  x: { type: "string", format: "int-or-string" },
  o: { type: "object" },
  "*": {},
};
const MARKS: Readonly<Record<string, string>> = {
  t: "x-kubernetes-list-type",
  m: "x-kubernetes-map-type",
  p: "x-kubernetes-patch-strategy",
  q: "x-kubernetes-patch-merge-key",
};

type Fields = Readonly<Record<string, string>>;
interface Self {
  readonly is?: string;
  readonly map?: string;
  readonly kinds?: readonly string[];
}

interface File {
  readonly lines: readonly string[];
  readonly names: readonly string[];
  readonly byName: ReadonlyMap<string, number>;
  /** "apps/v1/Deployment", "/v1/Pod" → line. */
  readonly byKind: ReadonlyMap<string, number>;
}

let file: File | undefined;
const read = new Map<number, Schema>();
const resolved = new WeakMap<Schema, Schema>();

function theFile(): File {
  if (file !== undefined) return file;
  const lines = readFileSync(FILE, "utf8").split("\n").slice(0, -1);
  const names = lines.map((line) => line.slice(2, line.indexOf('"', 2)));
  const byKind = new Map<string, number>();
  for (const [i, line] of lines.entries()) {
    if (!line.includes('"kinds":[')) continue;
    for (const kind of (JSON.parse(line) as [string, Fields, Self])[2].kinds ?? []) byKind.set(kind, i);
  }
  file = { lines, names, byKind, byName: new Map(names.map((name, i) => [name, i])) };
  return file;
}

/** Names of all definitions, in order. */
export const definitionNames = (): readonly string[] => theFile().names;

/** By its name, e.g. "io.k8s.api.core.v1.Pod". */
export function definition(name: string): Schema | undefined {
  const index = theFile().byName.get(name);
  return index === undefined ? undefined : definitionAt(index);
}

/** What references between definitions mean. A schema that is no reference means itself. */
export const resolveBuiltIn: Resolve = (schema) => {
  if (schema.$ref === undefined) return schema;
  let found = resolved.get(schema);
  if (found === undefined) {
    found = resolveBuiltIn(definition(schema.$ref.slice(REF.length)) ?? {});
    resolved.set(schema, found);
  }
  return found;
};

/** The schema of a kind, or undefined for one that Kubernetes does not have. */
export function builtIn(apiVersion: string, kind: string): Typed | undefined {
  const group = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  const index = theFile().byKind.get(`${group}/${kind}`);
  return index === undefined ? undefined : { schema: definitionAt(index), resolve: resolveBuiltIn };
}

/** The name of a kind's definition. */
export function definitionOf(apiVersion: string, kind: string): string | undefined {
  const group = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  const index = theFile().byKind.get(`${group}/${kind}`);
  return index === undefined ? undefined : theFile().names[index];
}

function definitionAt(index: number): Schema {
  const known = read.get(index);
  if (known !== undefined) return known;
  const [, fields, self = {}] = JSON.parse(theFile().lines[index]) as [string, Fields, Self?];
  const schema = { ...shapeOf(fields, self), ...kindsOf(self) };
  read.set(index, schema);
  return schema;
}

function shapeOf(fields: Fields, self: Self): Schema {
  if (self.is !== undefined) return typeOf(self.is);
  const required = Object.keys(fields).filter((name) => fields[name].split("|").includes("!"));
  return {
    type: "object",
    properties: Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, fieldOf(text)])),
    ...(required.length === 0 ? {} : { required }),
    ...(self.map === undefined ? {} : { "x-kubernetes-map-type": self.map }),
  };
}

function kindsOf({ kinds }: Self): Schema {
  if (kinds === undefined) return {};
  const one = (text: string): GroupVersionKind => {
    const [group, version, kind] = text.split("/");
    return { group, version, kind };
  };
  return { "x-kubernetes-group-version-kind": kinds.map(one) };
}

/** "[#45|t:map|k:containerPort,protocol|p:merge": a type, then what else is known of the field. */
function fieldOf(text: string): Schema {
  const at = text.indexOf("|");
  if (at < 0) return typeOf(text);
  const more: Record<string, Json> = {};
  for (const [, mark, value] of text.slice(at).matchAll(/\|([a-z=])(?::)?((?:"[^"]*"|[^|"])*)/g)) {
    if (mark === "=") more.default = JSON.parse(value) as Json;
    else if (mark === "k") more["x-kubernetes-list-map-keys"] = value.split(",");
    else more[MARKS[mark]] = value;
  }
  return { ...typeOf(text.slice(0, at)), ...more };
}

function typeOf(code: string): Schema {
  const rest = code.slice(1);
  if (code[0] === "#") return { $ref: REF + theFile().names[Number(rest)] };
  if (code[0] === "[") return { type: "array", items: typeOf(rest) };
  if (code[0] === "{") return { type: "object", additionalProperties: typeOf(rest) };
  return LETTERS[code];
}
