// Whether the schema of a definition is structural, so that it can be said of each field whether it is there: the rules
// of apiextensions.k8s.io/v1, in the words of its API server.
import { RE2JS } from "re2js";
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member } from "../schema/schema.ts";

type Level = "root" | "item" | "field";

const INT_OR_STRING: Json = [{ type: "integer" }, { type: "string" }];
const NOWHERE: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};
const UNIQUE = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
/** What alternatives may not say: it belongs outside of them. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["type", "must be empty to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["default", "must be undefined to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["nullable", "must be false to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
  ["uniqueItems", UNIQUE],
];
const DEPTH_MAX = 100;

/** Each as "PATH: Word value: why"; none: the schema is structural. */
export function structuralProblems(schema: JsonObject, path: string): string[] {
  const check = new StructuralCheck();
  check.schema(schema, "root", path, 0);
  check.complete(schema, schema, path);
  return [...new Set(check.found)].sort();
}

const childrenOf = (schema: JsonObject): [string, JsonObject][] =>
  isObject(schema.properties)
    ? Object.entries(schema.properties).filter((one): one is [string, JsonObject] => isObject(one[1]))
    : [];
const listOf = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];
const keyed = (path: string, name: string): string => `${path}.properties[${name}]`;

class StructuralCheck {
  readonly found: string[] = [];

  schema(schema: JsonObject, level: Level, path: string, depth: number): void {
    if (depth > DEPTH_MAX) {
      this.found.push(`${path}: Invalid value: nested deeper than ${DEPTH_MAX} levels`);
      return;
    }
    const { type = "", items, additionalProperties: more } = schema;
    if (type === "array" && !isObject(items)) this.#required(`${path}.items`, "must be specified");
    if (isObject(items)) this.schema(items, "item", `${path}.items`, depth + 1);
    for (const [name, child] of childrenOf(schema)) this.schema(child, "field", keyed(path, name), depth + 1);
    if (more !== undefined && level === "root") {
      this.#forbidden(`${path}.additionalProperties`, "must not be used at the root");
    }
    if (isObject(more)) this.schema(more, "field", `${path}.additionalProperties`, depth + 1);
    if (schema.uniqueItems === true) this.#forbidden(`${path}.uniqueItems`, UNIQUE);
    this.#type(schema, type, level, path);
    this.#extensions(schema, path);
    this.#alternatives(schema, path);
    if (level === "root" || schema["x-kubernetes-embedded-resource"] === true)
      this.#metadata(schema, level, path);
  }

  #required(path: string, why: string): void {
    this.found.push(`${path}: Required value: ${why}`);
  }

  #forbidden(path: string, why: string): void {
    this.found.push(`${path}: Forbidden: ${why}`);
  }

  #invalid(path: string, value: Json, why: string): void {
    this.found.push(`${path}: Invalid value: ${JSON.stringify(value)}: ${why}`);
  }

  #type(schema: JsonObject, type: Json, level: Level, path: string): void {
    const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
    const isFree =
      schema["x-kubernetes-int-or-string"] === true ||
      schema["x-kubernetes-preserve-unknown-fields"] === true;
    if (isEmbedded && type !== "object") {
      const why = "must be object if x-kubernetes-embedded-resource is true";
      if (type === "") this.#required(`${path}.type`, why);
      else this.#invalid(`${path}.type`, type, why);
    } else if (type === "" && !isFree) this.#required(`${path}.type`, NOWHERE[level]);
    if (level === "root" && type !== "" && type !== "object") {
      this.#invalid(`${path}.type`, type, "must be object at the root");
    }
  }

  #extensions(schema: JsonObject, path: string): void {
    if (schema["x-kubernetes-int-or-string"] !== true) return;
    for (const name of ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"]) {
      if (schema[name] !== true) continue;
      this.#invalid(`${path}.${name}`, true, "must be false if x-kubernetes-int-or-string is true");
    }
  }

  #metadata(schema: JsonObject, level: Level, path: string): void {
    for (const [name, child] of childrenOf(schema)) {
      const at = keyed(path, name);
      if ((name === "kind" || name === "apiVersion") && child.type !== "string") {
        this.#invalid(`${at}.type`, child.type ?? "", "must be string");
      }
      if (name !== "metadata") continue;
      if (child.type !== "object") this.#invalid(`${at}.type`, child.type ?? "", "must be object");
      const { type: _type, properties = {}, description: _description, ...rest } = child;
      const names = Object.keys(properties as JsonObject);
      const isPlain = names.every((one) => one === "name" || one === "generateName");
      if (level === "root" && (!isPlain || Object.keys(rest).length > 0)) {
        const why =
          "must not specify anything other than name and generateName, but metadata is implicitly specified";
        this.#forbidden(at, why);
      }
    }
  }

  #alternatives(schema: JsonObject, path: string): void {
    const isAny = deepEqual(schema.anyOf, INT_OR_STRING);
    for (const word of ["anyOf", "allOf", "oneOf"] as const) {
      for (const [i, one] of listOf(schema[word]).entries()) {
        if (word === "anyOf" && isAny) continue;
        const skips = word === "allOf" && i === 0 && deepEqual(one.anyOf, INT_OR_STRING);
        this.#nested(one, `${path}.${word}[${i}]`, skips);
      }
    }
    if (isObject(schema.not)) this.#nested(schema.not, `${path}.not`, false);
    if (typeof schema.pattern === "string" && !isPattern(schema.pattern)) {
      this.#invalid(`${path}.pattern`, schema.pattern, "must be a valid regular expression, but isn't");
    }
  }

  #nested(schema: JsonObject, path: string, skipsAny: boolean): void {
    for (const [name, why] of FORBIDDEN) {
      const value = schema[name];
      if (value !== undefined && value !== false && value !== "") this.#forbidden(`${path}.${name}`, why);
    }
    if (isObject(schema.items)) this.#nested(schema.items, `${path}.items`, false);
    for (const [name, child] of childrenOf(schema)) {
      if (name === "metadata")
        this.#forbidden(keyed(path, name), "must not be specified in a nested context");
      this.#nested(child, keyed(path, name), false);
    }
    this.#alternatives(skipsAny ? { ...schema, anyOf: [] } : schema, path);
  }

  /** Whatever an alternative speaks of has to stand outside of it as well. */
  complete(schema: JsonObject, outer: JsonObject, path: string): void {
    for (const word of ["allOf", "anyOf", "oneOf"]) {
      for (const [i, one] of listOf(schema[word]).entries())
        this.#covered(one, outer, `${path}.${word}[${i}]`, path);
    }
    if (isObject(schema.not)) this.#covered(schema.not, outer, `${path}.not`, path);
    for (const [name, child] of childrenOf(outer)) this.complete(child, child, keyed(path, name));
    if (isObject(outer.items)) this.complete(outer.items, outer.items, `${path}.items`);
    const { additionalProperties: more } = outer;
    if (isObject(more)) this.complete(more, more, `${path}.additionalProperties`);
  }

  #covered(nested: JsonObject, outer: JsonObject, path: string, outerPath: string): void {
    for (const [name, child] of childrenOf(nested)) {
      const there = isObject(outer.properties) ? member(outer.properties, name) : undefined;
      const own = isObject(there) ? there : undefined;
      const more = isObject(outer.additionalProperties) ? outer.additionalProperties : undefined;
      if (own === undefined && more === undefined) {
        this.#required(keyed(outerPath, name), `because it is defined in ${keyed(path, name)}`);
      } else this.#covered(child, own ?? more ?? {}, keyed(path, name), keyed(outerPath, name));
    }
    if (isObject(nested.items)) {
      if (!isObject(outer.items)) {
        this.#required(`${outerPath}.items`, `because it is defined in ${path}.items`);
      } else this.#covered(nested.items, outer.items, `${path}.items`, `${outerPath}.items`);
    }
    for (const word of ["allOf", "anyOf", "oneOf"]) {
      for (const [i, one] of listOf(nested[word]).entries()) {
        this.#covered(one, outer, `${path}.${word}[${i}]`, outerPath);
      }
    }
    if (isObject(nested.not)) this.#covered(nested.not, outer, `${path}.not`, outerPath);
  }
}

/** As Go reads one. */
export function isPattern(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
