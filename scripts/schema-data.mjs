// The part of scripts/schema-data that reads OpenAPI documents; src/apiserver/schema/definitions.ts reads what it writes.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "src/apiserver/schema/kubernetes.jsonl";
/** Kinds of these groups are written, and what they refer to. */
const GROUPS = [
  ...["v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "policy/v1"],
  ...["admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"].map(
    k8s,
  ),
  ...["certificates", "coordination", "discovery", "events", "networking", "node", "rbac.authorization"].map(
    k8s,
  ),
  ...["scheduling", "storage"].map(k8s),
];
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/** In every group, and written for "v1" alone. */
const EVERYWHERE = [`${META}DeleteOptions`, `${META}WatchEvent`];
const LETTERS = { "string:": "s", "integer:int32": "i", "integer:int64": "l", "number:double": "n" };
const MORE = { "boolean:": "b", "string:byte": "y", "string:date-time": "d", "string:int-or-string": "x" };

function k8s(group) {
  return `${group}.k8s.io/v1`;
}

const [folder, option] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const all = read("swagger.json").definitions;
const defaults = readDefaults();
const kinds = Object.keys(all).filter((name) => versions(name).some((one) => GROUPS.includes(one)));
const wanted = [...reach(kinds)].sort();
const indexOf = new Map(wanted.map((name, i) => [name, i]));
const lines = wanted.map((name) => JSON.stringify([name, ...definition(name)]));
const text = `${lines.join("\n")}\n`;
if (option === "--check") {
  if (readFileSync(FILE, "utf8") !== text) {
    console.error(`schema-data: ${FILE} is not what the module makes: run scripts/schema-data`);
    process.exitCode = 1;
  }
} else writeFileSync(FILE, text);

function versions(name) {
  const kinds = all[name]["x-kubernetes-group-version-kind"] ?? [];
  return kinds.map(({ group, version }) => (group === "" ? version : `${group}/${version}`));
}

/** By definition and field, as the documents of version 3 have them. */
function readDefaults() {
  const found = {};
  for (const file of readdirSync(join(folder, "v3")).sort()) {
    for (const [name, schema] of Object.entries(read(`v3/${file}`).components?.schemas ?? {})) {
      for (const [field, { default: value }] of Object.entries(schema.properties ?? {})) {
        // "{}" says that a structure is always there, as Go has it.
        if (value !== undefined && JSON.stringify(value).length < 99) (found[name] ??= {})[field] = value;
      }
    }
  }
  return found;
}

function reach(names, seen = new Set()) {
  for (const name of names) {
    if (seen.has(name)) continue;
    seen.add(name);
    reach(references(all[name]), seen);
  }
  return seen;
}

function references(schema) {
  if (typeof schema !== "object" || schema === null) return [];
  if (typeof schema.$ref === "string") return [refersTo(schema)];
  return Object.values(schema).flatMap(references);
}

function refersTo(schema) {
  return schema.$ref.replace("#/definitions/", "");
}

/** What stands on a line after the name: fields, and of what the definition itself is. */
function definition(name) {
  const schema = all[name];
  const required = schema.required ?? [];
  const fields = Object.entries(schema.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const written = fields.map(([field, type]) => {
    const marks = required.includes(field) ? ["!"] : [];
    const value = defaults[name]?.[field];
    return [
      field,
      [code(type), ...marks, ...merging(type), ...(value === undefined ? [] : [`=${JSON.stringify(value)}`])],
    ];
  });
  const self = {};
  if (schema.properties === undefined) self.is = schema.type === undefined ? "*" : code(schema);
  if (schema["x-kubernetes-map-type"] !== undefined) self.map = schema["x-kubernetes-map-type"];
  const kinds = (schema["x-kubernetes-group-version-kind"] ?? []).filter(
    ({ group, version }) =>
      GROUPS.includes(group === "" ? version : `${group}/${version}`) &&
      (!EVERYWHERE.includes(name) || group === ""),
  );
  if (kinds.length > 0) self.kinds = kinds.map(({ group, version, kind }) => `${group}/${version}/${kind}`);
  const packed = Object.fromEntries(written.map(([field, words]) => [field, words.join("|")]));
  return Object.keys(self).length > 0 ? [packed, self] : [packed];
}

/** A type: a letter, "#N" for the definition of line N, "[" before what a list holds, "{" before what a map does. */
function code(schema) {
  if (schema.$ref !== undefined) return `#${indexOf.get(refersTo(schema))}`;
  if (schema.type === "array") return `[${code(schema.items)}`;
  if (schema.type === "object") {
    return schema.additionalProperties === undefined ? "o" : `{${code(schema.additionalProperties)}`;
  }
  if (schema.type === undefined) return "*";
  const key = `${schema.type}:${schema.format ?? ""}`;
  const letter = LETTERS[key] ?? MORE[key];
  if (letter === undefined) throw new Error(`no letter for ${key}`);
  return letter;
}

function merging(schema) {
  const words = [];
  const take = (letter, name) => {
    const value = schema[`x-kubernetes-${name}`];
    if (value !== undefined) words.push(`${letter}:${Array.isArray(value) ? value.join() : value}`);
  };
  take("t", "list-type");
  take("k", "list-map-keys");
  take("m", "map-type");
  take("p", "patch-strategy");
  take("q", "patch-merge-key");
  return words;
}
