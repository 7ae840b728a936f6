// The object that a request brings: what an API server refuses of its form is refused, defaults are filled in.
import { isMap } from "../base/is-map.ts";
import { applyDefaults } from "../kube/defaults.ts";
import { standardizeAddresses } from "../kube/fields/addresses.ts";
import { decode, decodeCarried, decodeCustom, isTyped } from "../kube/manifest/decode.ts";
import { type FieldProblem, FieldProblems } from "../kube/manifest/field-problems.ts";
import type { KubeObject } from "../kube/objects.ts";
import { validateObject } from "../kube/validate/object.ts";
import { definitionProblems } from "./custom/definition.ts";
import { checkProblems, readCustom } from "./custom/read.ts";
import { checkRules } from "./custom/rule-check.ts";
import { schemaProblems } from "./custom/validate.ts";
import { apiVersionOf, type Resource } from "./resource.ts";
import { checkFields } from "./schema/check-fields.ts";
import { builtIn } from "./schema/definitions.ts";
import { TOLD_MAX } from "./schema/duplicate-fields.ts";
import type { JsonObject } from "./schema/schema.ts";
import { badRequest, invalid } from "./status.ts";

export interface ReadOptions {
  /** Of the URL. */
  readonly namespace: string | undefined;
  /** Of the URL; undefined: the object brings its own. */
  readonly name: string | undefined;
  /** What becomes of fields that nobody knows: Strict, Warn or Ignore. */
  readonly fieldValidation: string;
  /** Fields that the request has twice. */
  readonly duplicates?: readonly string[];
  warn(text: string): void;
}

type Fields = Record<string, unknown>;

/** Throws a StatusError. `value` is nobody else's. */
export function readObject(value: unknown, resource: Resource, options: ReadOptions): KubeObject {
  const given = headed(value, resource, options);
  const { info } = resource;
  const object = info === undefined ? given : decoded(given, resource, options);
  if (info === undefined) return object;
  standardizeAddresses(object, (field, text) => options.warn(`${field}: ${text}`));
  applyDefaults(object, resource.namespaced, options.namespace ?? "default");
  return object;
}

/** What is checked besides the object itself. */
export interface CheckOptions {
  /** What it replaces. */
  readonly old?: KubeObject | undefined;
  warn(text: string): void;
}

/** Throws a StatusError that names every problem. */
export function checkObject(object: KubeObject, resource: Resource, options: CheckOptions): void {
  if (resource.info === undefined) return;
  const found = new FieldProblems();
  validateObject(object, resource.info, found);
  for (const message of schemaTold(object, resource, options)) found.add([], message);
  if (found.any) throw invalid(resource, object.metadata.name ?? "", found.list);
}

function schemaTold(object: KubeObject, resource: Resource, { old, warn }: CheckOptions): string[] {
  const { custom, kind } = resource;
  const json = (of: KubeObject): JsonObject =>
    (resource.convert?.fromStored(of) ?? of) as unknown as JsonObject;
  if (custom === undefined) {
    if (kind !== "CustomResourceDefinition") return [];
    return definitionProblems(json(object), old === undefined ? undefined : json(old));
  }
  const problems = schemaProblems(json(object), custom.schema);
  if (problems.length === 0) problems.push(...checkProblems(json(object), custom));
  if (!problems.some((problem) => BLOCKING.test(problem))) {
    const rules = checkRules(json(object), old === undefined ? undefined : json(old), custom.schema);
    for (const text of rules.warnings) warn(text);
    return [...problems, ...rules.problems];
  }
  return custom.hasRules ? [...problems, UNCHECKED] : problems;
}

/** What makes an object such that rules about it mean little. */
const BLOCKING = /: (?:Required value|Unsupported value|Too long|Too many)|in body must be of type /;
const UNCHECKED =
  '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; ' +
  "correct the existing errors to complete validation";

/** With version, kind, namespace and name as the URL has them, in the store's version. */
function headed(value: unknown, resource: Resource, { namespace, name }: ReadOptions): KubeObject {
  if (!isMap(value)) throw badRequest(`the object provided is not a map but ${wordFor(value)}`);
  const version = apiVersionOf(resource);
  const { apiVersion = version, kind = resource.kind, metadata = {} } = value as Fields;
  if (kind !== resource.kind || apiVersion !== version) {
    const [data, expected] = [`${apiVersion}, Kind=${kind}`, `${version}, Kind=${resource.kind}`];
    throw badRequest(
      `the API version in the data (${data}) does not match the expected API version (${expected})`,
    );
  }
  if (!isMap(metadata)) throw badRequest(`metadata: expected a map, got ${wordFor(metadata)}`);
  const own = { ...metadata } as Fields;
  if (resource.namespaced && namespace !== undefined) {
    if ((own.namespace ?? "") !== "" && own.namespace !== namespace)
      throw badRequest(
        "the namespace of the provided object does not match the namespace sent on the request",
      );
    own.namespace = namespace;
  }
  if (name !== undefined) {
    if ((own.name ?? "") !== "" && own.name !== name)
      throw badRequest(`the name of the object (${own.name}) does not match the name on the URL (${name})`);
    own.name = name;
  }
  const object = {
    ...value,
    apiVersion: version,
    kind: resource.kind,
    metadata: own,
  } as unknown as KubeObject;
  return resource.convert === undefined ? object : resource.convert.toStored(object);
}

function decoded(given: KubeObject, resource: Resource, options: ReadOptions): KubeObject {
  const { fieldValidation, duplicates = [], warn } = options;
  const { object, unknown, wrong } = decodedFields(given, resource);
  const what = `${resource.kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}`;
  if (wrong.length > 0) throw badRequest(`${what}: ${wrong.join(", ")}`);
  const twice = duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`);
  const odd = [...unknown, ...twice].slice(0, TOLD_MAX);
  if (odd.length > 0 && fieldValidation === "Strict")
    throw badRequest(`${what}: strict decoding error: ${odd.join(", ")}`);
  if (fieldValidation !== "Ignore") for (const message of odd) warn(message);
  const { deprecation } = resource.custom ?? {};
  if (deprecation !== undefined) warn(deprecation);
  return object;
}

interface Decoded {
  readonly object: KubeObject;
  readonly unknown: readonly string[];
  readonly wrong: readonly string[];
}

function decodedFields(given: KubeObject, { info, kind: own, custom }: Resource): Decoded {
  if (custom !== undefined) {
    const { object, unknown, wrong } = readCustom(given as unknown as JsonObject, custom);
    const told = unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
    return {
      object: object as unknown as KubeObject,
      unknown: told,
      wrong: wrong === undefined ? [] : [wrong],
    };
  }
  const kind = info?.kind ?? own;
  const typed = isTyped(kind) ? undefined : builtIn(given.apiVersion, kind);
  const found = new FieldProblems();
  if (typed !== undefined) {
    // Of a kind that is only stored, the API's own description says what its fields are.
    const { known, unknown, wrong } = checkFields(given as unknown as JsonObject, typed);
    const object = decodeCarried(known, kind, found) as KubeObject;
    const wrongs = [...(wrong === undefined ? [] : [wrong]), ...found.list.map(({ message }) => message)];
    return { object, unknown: unknown.map((path) => `unknown field ${JSON.stringify(path)}`), wrong: wrongs };
  }
  const read = !isTyped(kind) ? decodeCarried : info?.custom === true ? decodeCustom : decode;
  const object = read(given, kind, found) as KubeObject;
  const isUnknown = ({ atKey, message }: FieldProblem): boolean =>
    atKey && message.startsWith("unknown field");
  const texts = (problems: readonly FieldProblem[]): string[] => problems.map(({ message }) => message);
  return {
    object,
    unknown: texts(found.list.filter(isUnknown)),
    wrong: texts(found.list.filter((problem) => !isUnknown(problem))),
  };
}

function wordFor(value: unknown): string {
  return Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
}
