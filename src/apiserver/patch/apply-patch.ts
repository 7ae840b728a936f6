// PATCH: what a body of one of the four kinds makes of an object. What comes after (defaults, checks, storing, and who
// changed what by an ordinary patch: `afterUpdate`) is the handlers'.
import { checkFields } from "../schema/check-fields.ts";
import { duplicateFields } from "../schema/duplicate-fields.ts";
import { nestingProblem } from "../schema/nesting.ts";
import { isObject, type Json, type JsonObject } from "../schema/schema.ts";
import { apply, type Change } from "./field-manager.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch, withoutNulls } from "./merge-patch.ts";
import { badRequest, Refused } from "./refused.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";
import { readYaml } from "./yaml-body.ts";

export const APPLY = "application/apply-patch+yaml";
const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const BUILT_IN_TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY];
const MANAGER_BYTES_MAX = 128;

export type FieldValidation = "Ignore" | "Warn" | "Strict";

export interface PatchRequest {
  /** The content type, without parameters. */
  readonly type: string;
  readonly body: string;
  /** Undefined: there is no such object, which only server-side apply can make. */
  readonly live: JsonObject | undefined;
  readonly isCustom: boolean;
  readonly isForced: boolean;
  readonly validation: FieldValidation;
  /** Who does it, by which version of the kind. */
  readonly change: Change;
}

export interface Patched {
  readonly object: JsonObject;
  /** For Warning headers. */
  readonly warnings: readonly string[];
}

/** Throws Refused for a content type that is none of a patch. */
export function checkPatchType(type: string, isCustom: boolean): void {
  const types = isCustom ? BUILT_IN_TYPES.filter((one) => one !== STRATEGIC) : BUILT_IN_TYPES;
  if (!types.includes(type)) {
    const message = "the body of the request was in an unknown format - accepted media types include: ";
    throw new Refused(415, "UnsupportedMediaType", message + types.join(", "));
  }
}

/** Throws Refused. An object that is not there is the caller's to tell. */
export function applyPatch(request: PatchRequest): Patched {
  const { type, isCustom, live = {} } = request;
  checkPatchType(type, isCustom);
  if (type === APPLY) return applied(request);
  const patch = readJson(request.body);
  const problems = duplicateFields(request.body).map((path) => `duplicate field "${path}"`);
  if (type === JSON_PATCH) {
    return read(
      applyJsonPatch(live, patch),
      request,
      problems.map((problem) => `json patch ${problem}`),
    );
  }
  if (!isObject(patch)) throw badRequest("error decoding patch: a patch has to be an object");
  const { typed } = request.change;
  const made =
    type === STRATEGIC ? applyStrategicMergePatch(live, patch, typed) : applyMergePatch(live, patch);
  return read(made, request, problems);
}

function readJson(body: string): Json {
  let patch: Json;
  try {
    patch = JSON.parse(body) as Json;
  } catch (error) {
    throw badRequest(`error decoding patch: ${(error as Error).message}`);
  }
  const why = nestingProblem(patch);
  if (why !== undefined) throw badRequest(`error decoding patch: ${why}`);
  return patch;
}

/** As the decoder takes it: fields that the type has, and no null. */
function read(object: JsonObject, request: PatchRequest, problems: readonly string[]): Patched {
  const { validation, isCustom, change } = request;
  const why = nestingProblem(object); // a patch may make more of an object than it has itself
  if (why !== undefined) throw badRequest(`what the patch makes is not taken: ${why}`);
  const found = checkFields(object, change.typed);
  const refuse = (why: string): Refused =>
    new Refused(422, "Invalid", ` "" is invalid: patch: Invalid value: ${quoted(object)}: ${why}`);
  if (found.wrong !== undefined) throw refuse(found.wrong);
  const all = [...problems, ...found.unknown.map((path) => `unknown field "${path}"`)];
  if (validation === "Strict" && all.length > 0) throw refuse(`strict decoding error: ${all.join(", ")}`);
  const known = isCustom ? found.known : (withoutNulls(found.known) as JsonObject);
  return { object: known, warnings: validation === "Warn" ? all : [] };
}

const quoted = (object: JsonObject): string => JSON.stringify(JSON.stringify(object));

function applied(request: PatchRequest): Patched {
  const { body, live, change, isForced, validation } = request;
  const config = readYaml(body, false);
  const object = apply(live, config, change, isForced);
  const warnings: string[] = [];
  if (validation !== "Ignore") {
    const problems = duplicatesOf(body);
    if (problems.length > 0 && validation === "Strict") {
      throw badRequest(`error strict decoding patch: ${problems.join(", ")}`);
    }
    warnings.push(...problems);
  }
  return { object, warnings };
}

function duplicatesOf(body: string): string[] {
  if (body.trimStart().startsWith("{")) {
    try {
      JSON.parse(body);
      return duplicateFields(body).map((path) => `duplicate field "${path}"`);
    } catch {
      // YAML that begins as JSON does.
    }
  }
  try {
    readYaml(body, true);
    return [];
  } catch (error) {
    return [(error as Error).message.replace("error decoding patch: ", "")];
  }
}

/** Who changes something: as he says, or the first word of his program's name. */
export function managerName(fieldManager: string | null | undefined, userAgent: string | undefined): string {
  if (fieldManager !== null && fieldManager !== undefined && fieldManager !== "") return fieldManager;
  const [name] = (userAgent ?? "").split("/");
  const printable = [...name].filter((char) => char >= " " && char !== "\u007f").join("");
  return Buffer.from(printable).subarray(0, MANAGER_BYTES_MAX).toString() || "unknown";
}
