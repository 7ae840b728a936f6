// The table of field names against the published types: a field that is missing here would be refused wrongly.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import t from "tap";
import { KUBERNETES_TYPES } from "./kubernetes-types.ts";

const require = createRequire(import.meta.url);
const root = require.resolve("kubernetes-types/package.json").replace(/package\.json$/, "");

function interfacesOf(group: string): Map<string, string[]> {
  const text = readFileSync(`${root}${group}.d.ts`, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const found = new Map<string, string[]>();
  for (const [, name, body] of text.matchAll(/export interface (\w+)[^{]*\{([\s\S]*?)\n\}/g)) {
    found.set(
      name,
      [...body.matchAll(/^ {4}"?([$\w-]+)"?\??:/gm)].map(([, field]) => field),
    );
  }
  return found;
}

const known = ["core/v1", "apps/v1", "batch/v1", "networking/v1", "meta/v1", "discovery/v1"].map(
  interfacesOf,
);

t.test("every published field of a type we know is known", async (t) => {
  let compared = 0;
  for (const [name, fields] of KUBERNETES_TYPES) {
    const candidates = known.flatMap((group) => group.get(name) ?? []);
    for (const field of candidates) t.ok(fields.has(field), `${name}.${field}`);
    compared += candidates.length;
  }
  t.ok(compared > 700, `${compared} fields`);
});

t.test("every type that a field names is defined", async (t) => {
  for (const [name, fields] of KUBERNETES_TYPES) {
    for (const [field, type] of fields) {
      const inner = type.replaceAll(/[[\]{}]/g, "");
      t.ok(/^([sibxqt]|any)$/.test(inner) || KUBERNETES_TYPES.has(inner), `${name}.${field}: ${type}`);
    }
  }
});
