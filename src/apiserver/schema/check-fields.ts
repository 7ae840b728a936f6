// An object against its type, as kube-apiserver reads a request: fields that the type does not have, and values of
// another kind than theirs, in the words of Go's decoder. What a list or a map holds is looked at as well.
import { TOLD_MAX } from "./duplicate-fields.ts";
import {
  isObject,
  type Json,
  type JsonObject,
  member,
  type Resolve,
  type Schema,
  type Typed,
} from "./schema.ts";

export interface FieldCheck {
  /** The object without the fields that its type does not have; the same object where there are none. */
  readonly known: JsonObject;
  /** `spec.replica`, each once, in the order in which they stand. */
  readonly unknown: readonly string[];
  /** Why it cannot be read at all. */
  readonly wrong: string | undefined;
}

const INT_OR_STRING = "int-or-string";
const QUANTITY = "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_MAX: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };
/** Go's names of what a field is. */
const GO_TYPES: Readonly<Record<string, string>> = {
  "integer/int32": "int32",
  "integer/int64": "int64",
  "number/double": "float64",
  "boolean/": "bool",
  "string/": "string",
  "string/byte": "[]uint8",
};

export function checkFields(object: JsonObject, typed: Typed): FieldCheck {
  const walker = new Walker(typed.resolve);
  const known = walker.value(object, typed.schema, "", "") as JsonObject;
  return { known, unknown: walker.unknown, wrong: walker.wrong };
}

class Walker {
  readonly unknown: string[] = [];
  wrong: string | undefined;
  readonly #resolve: Resolve;

  constructor(resolve: Resolve) {
    this.#resolve = resolve;
  }

  /** The value without what its type does not know. `within` is Go's name of the structure that has the field. */
  value(value: Json, given: Schema, path: string, within: string): Json {
    if (value === null) return value;
    const schema = this.#resolve(given);
    if (given.$ref === QUANTITY || schema.format === INT_OR_STRING || schema["x-kubernetes-int-or-string"]) {
      if (typeof value === "object") this.#refuse(value, path, within, "intstr.IntOrString");
      return value;
    }
    switch (schema.type) {
      case "object":
        return this.#object(value, schema, path, nameOf(given) ?? within);
      case "array":
        return this.#array(value, schema, path, within);
      case undefined:
        return value;
      default:
        this.#scalar(value, schema, path, within);
        return value;
    }
  }

  #object(value: Json, schema: Schema, path: string, within: string): Json {
    const { properties, additionalProperties: more } = schema;
    if (!isObject(value)) {
      this.#refuse(value, path, within, properties === undefined ? "map" : within);
      return value;
    }
    if (properties === undefined && typeof more !== "object") return value;
    let made: JsonObject | undefined;
    for (const [name, child] of Object.entries(value)) {
      const at = path === "" ? name : `${path}.${name}`;
      const type = member(properties, name) ?? (typeof more === "object" ? more : undefined);
      if (type === undefined) {
        if (schema["x-kubernetes-preserve-unknown-fields"] || more === true) continue;
        if (this.unknown.length < TOLD_MAX) this.unknown.push(at);
        made ??= { ...value };
        delete made[name];
        continue;
      }
      const kept = this.value(child, type, at, within);
      if (kept !== child) (made ??= { ...value })[name] = kept;
    }
    return made ?? value;
  }

  #array(value: Json, { items = {} }: Schema, path: string, within: string): Json {
    if (!Array.isArray(value)) {
      this.#refuse(value, path, within, `[]${nameOf(items) ?? goTypeOf(this.#resolve(items))}`);
      return value;
    }
    let isSame = true;
    const kept = value.map((item, i) => {
      const one = this.value(item, items, `${path}[${i}]`, within);
      isSame &&= one === item;
      return one;
    });
    return isSame ? value : kept;
  }

  #scalar(value: Json, schema: Schema, path: string, within: string): void {
    const type = schema.type === "integer" ? "number" : schema.type;
    if (typeof value !== type) this.#refuse(value, path, within, goTypeOf(schema));
    else if (schema.type === "integer") {
      const max = INT_MAX[schema.format ?? "int64"] ?? Number.MAX_VALUE;
      const number = value as number;
      if (!Number.isInteger(number) || number >= max || number < -max) {
        this.#refuse(value, path, within, goTypeOf(schema), ` ${number}`);
      }
    }
  }

  #refuse(value: Json, path: string, within: string, type: string, which = ""): void {
    const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    const field = within === "" ? path : `${within}.${path.replaceAll(/\[\d+\]/g, "")}`;
    this.wrong ??= `json: cannot unmarshal ${kind}${which} into Go struct field ${field} of type ${type}`;
  }
}

/** "io.k8s.api.apps.v1.DeploymentSpec": its last word is Go's name. */
const nameOf = ({ $ref }: Schema): string | undefined => $ref?.slice($ref.lastIndexOf(".") + 1);

const goTypeOf = ({ type = "", format = "" }: Schema): string =>
  GO_TYPES[`${type}/${format}`] ?? (format === "date-time" ? "time.Time" : type);
