// OpenAPI v3: an index, and a document for each group and version, as kubectl explains and validates by.
import { createHash } from "node:crypto";
import { definition, definitionOf } from "../schema/definitions.ts";
import { isObject, type Json, type JsonObject, type Schema } from "../schema/schema.ts";
import { customName, groupPath, INFO, kindOf, PATCH_PARAMETERS, pathsOf, type Served } from "./served.ts";

const FROM = "#/definitions/";
const TO = "#/components/schemas/";

/** The document of "apis/apps/v1"; undefined where nothing is served. */
export function openApiV3(path: string, served: readonly Served[]): JsonObject | undefined {
  const own = served.filter((one) => groupPath(one) === path);
  if (own.length === 0) return undefined;
  const schemas: JsonObject = {};
  const paths: JsonObject = {};
  for (const one of own) {
    const name = nameOf(one);
    if (one.custom !== undefined) addCustom(schemas, name, one.custom);
    else add(schemas, name);
    const [list, item] = pathsOf(one);
    const operation = operationOf(one, name);
    paths[list] = { get: operation("list", []), post: operation("post", PATCH_PARAMETERS) };
    paths[item] = {
      ...{ get: operation("get", []), put: operation("put", PATCH_PARAMETERS) },
      ...{ delete: operation("delete", []), patch: operation("patch", PATCH_PARAMETERS) },
    };
  }
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { openapi: "3.0.0", info: INFO, paths, components: { schemas: sorted } };
}

/** What there is, each with a hash by which clients keep it. */
export function openApiV3Index(served: readonly Served[]): JsonObject {
  const groups = new Map<string, Served[]>();
  for (const one of served) groups.set(groupPath(one), [...(groups.get(groupPath(one)) ?? []), one]);
  const entries = [...groups].map(([path, own]) => {
    const hash = createHash("sha256").update(JSON.stringify(own)).digest("hex").toUpperCase();
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
  });
  return { paths: Object.fromEntries(entries) };
}

function nameOf(one: Served): string {
  const apiVersion = one.group === "" ? one.version : `${one.group}/${one.version}`;
  return one.custom === undefined ? (definitionOf(apiVersion, one.kind) ?? customName(one)) : customName(one);
}

const operationOf =
  (one: Served, name: string) =>
  (action: string, parameters: readonly string[]): JsonObject => ({
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": kindOf(one),
    parameters: parameters.map((parameter) => ({
      ...{ name: parameter, in: "query", schema: { type: "string", uniqueItems: true } },
    })),
    responses: {
      200: { description: "OK", content: { "application/json": { schema: { $ref: `${TO}${name}` } } } },
    },
  });

/** A definition and all that it refers to. */
function add(schemas: JsonObject, name: string): void {
  if (Object.hasOwn(schemas, name)) return;
  const found = definition(name);
  if (found === undefined) return;
  schemas[name] = true;
  schemas[name] = translated(found as unknown as Json, schemas);
}

function addCustom(schemas: JsonObject, name: string, schema: Schema): void {
  schemas[name] = translated(schema as unknown as Json, schemas);
}

function translated(value: Json, schemas: JsonObject): Json {
  if (Array.isArray(value)) return value.map((one) => translated(one, schemas));
  if (!isObject(value)) return value;
  if (typeof value.$ref === "string") {
    const name = value.$ref.slice(FROM.length);
    add(schemas, name);
    const { $ref: _from, ...rest } = value;
    // Beside a reference nothing else counts, so that what a field says of itself stands around it.
    return Object.keys(rest).length === 0 ? { $ref: TO + name } : { ...rest, allOf: [{ $ref: TO + name }] };
  }
  if (value.format === "int-or-string") {
    const { type: _type, format, ...rest } = value;
    return { ...rest, format, oneOf: [{ type: "integer" }, { type: "string" }] };
  }
  const entries = Object.entries(value).map(([name, one]) => [name, translated(one, schemas)] as const);
  return Object.fromEntries(entries);
}
