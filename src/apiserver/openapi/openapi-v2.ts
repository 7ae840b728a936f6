// OpenAPI v2: one document of everything, which kubectl before 1.27 explains and validates by.
import { definition, definitionNames, definitionOf } from "../schema/definitions.ts";
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";
import { customName, INFO, kindOf, PATCH_PARAMETERS, pathsOf, type Served } from "./served.ts";

/** Of a custom resource's schema, what this version can say. */
const KEPT = ["type", "format", "description", "required", "default", "pattern"];
const KEPT_NUMBERS = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"];

export function openApiV2(served: readonly Served[]): JsonObject {
  const definitions: JsonObject = {};
  const paths: JsonObject = {};
  for (const name of definitionNames()) definitions[name] = definition(name) as unknown as Json;
  for (const one of served) {
    const name = customName(one);
    if (one.custom !== undefined) definitions[name] = simplified(one.custom as unknown as JsonObject);
    const apiVersion = one.group === "" ? one.version : `${one.group}/${one.version}`;
    const $ref = `#/definitions/${one.custom === undefined ? definitionOf(apiVersion, one.kind) : name}`;
    const [, path] = pathsOf(one);
    paths[path] = {
      get: operation(one, "get", [], $ref),
      patch: operation(one, "patch", PATCH_PARAMETERS, $ref),
    };
  }
  return { swagger: "2.0", info: INFO, paths, definitions };
}

function operation(one: Served, action: string, parameters: readonly string[], $ref: string): JsonObject {
  return {
    parameters: parameters.map((name) => ({ name, in: "query", type: "string", uniqueItems: true })),
    responses: { 200: { description: "OK", ...($ref.endsWith("undefined") ? {} : { schema: { $ref } }) } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": kindOf(one),
  };
}

/** Old clients read no alternatives, and refuse what a schema lets through by not saying anything about it. */
function simplified(schema: JsonObject): JsonObject {
  if (typeof schema.$ref === "string") return { $ref: schema.$ref };
  const made: JsonObject = {};
  for (const name of [...KEPT, ...KEPT_NUMBERS]) {
    if (Object.hasOwn(schema, name)) made[name] = schema[name];
  }
  for (const [name, value] of Object.entries(schema)) if (name.startsWith("x-")) made[name] = value;
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (schema.nullable === true || schema["x-kubernetes-int-or-string"] === true) return withoutType(made);
  if (isObject(schema.items)) made.items = simplified(schema.items);
  else if (schema.type === "array") return withoutType(made);
  const { properties, additionalProperties: more } = schema;
  if (isObject(properties) && !isOpen) {
    const all = Object.entries(properties).map(
      ([name, one]) => [name, simplified(one as JsonObject)] as const,
    );
    made.properties = Object.fromEntries(all);
  }
  if (isOpen) delete made.required;
  if (isObject(more)) made.additionalProperties = simplified(more);
  return made;
}

function withoutType({ type: _type, required: _required, ...rest }: JsonObject): JsonObject {
  return rest;
}
