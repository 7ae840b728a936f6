// JSON patch (RFC 6902), with the words in which kube-apiserver refuses one.

import jsonpatch, { type Operation } from "fast-json-patch";
import { jsonCopy } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member } from "../schema/schema.ts";
import { badRequest, Refused, unprocessable } from "./refused.ts";

const OPERATIONS_MAX = 10_000;
/** Characters of JSON that the copies of one patch have together. */
const COPIED_MAX = 3 << 20;
const KINDS: readonly string[] = ["add", "remove", "replace", "move", "copy", "test"];

/** The object after these operations. Throws Refused: 400 for what is no patch, 422 for what does not apply. */
export function applyJsonPatch(object: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch)) {
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${kindOf(patch)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (patch.length > OPERATIONS_MAX) {
    const message = `The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${patch.length}`;
    throw new Refused(413, "RequestEntityTooLarge", `Request entity too large: ${message}`);
  }
  let document: Json = jsonCopy(object);
  let copied = 0;
  for (const operation of patch) {
    copied += copiedBy(document, operation);
    if (copied > COPIED_MAX)
      throw unprocessable(`the copies of a patch may have ${COPIED_MAX} bytes, and these have more`);
    document = applyOne(document, operation);
  }
  if (!isObject(document)) throw unprocessable("what a patch makes has to be an object");
  return document;
}

/** A copy of what holds the last one is twice as large, ten of them a thousand times. */
function copiedBy(document: Json, operation: Json): number {
  if (!isObject(operation) || operation.op !== "copy" || typeof operation.from !== "string") return 0;
  const value = valueAt(document, fromTheEnd(document, operation.from));
  return value === undefined ? 0 : JSON.stringify(value).length;
}

const kindOf = (value: Json): string =>
  isObject(value) ? "object" : value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;

function applyOne(document: Json, given: Json): Json {
  if (!isObject(given)) throw badRequest("error decoding patch: an operation has to be an object");
  const { op, path, from } = given;
  if (typeof op !== "string" || !KINDS.includes(op)) {
    throw unprocessable(`Unexpected kind: ${typeof op === "string" ? op : "unknown"}`);
  }
  if (typeof path !== "string") throw unprocessable(`${op} operation failed to decode path: missing value`);
  const isFrom = op === "move" || op === "copy";
  if (isFrom && typeof from !== "string") {
    throw unprocessable(
      `${op} operation failed to decode from: operation, missing from field: missing value`,
    );
  }
  if (op === "move" && from === "" && path !== "")
    throw unprocessable("move operation does not apply: a document cannot be moved into itself");
  // Kubernetes takes "-1" for the last item, and a value that is left out for null.
  const isValued = op === "add" || op === "replace" || op === "test";
  const operation = {
    ...jsonCopy(given),
    op,
    path: fromTheEnd(document, path),
    ...(isFrom ? { from: fromTheEnd(document, String(from)) } : {}),
    ...(isValued && given.value === undefined ? { value: null } : {}),
  };
  // Kubernetes replaces what is not there as well, and copies it: what is not there is null.
  if (isAbsent(document, path)) {
    if (op === "replace") operation.op = "add";
    if (op === "test") {
      if (operation.value === null) return document;
      throw unprocessable(`testing value ${path} failed: test failed`);
    }
  }
  if (op === "copy" && isAbsent(document, String(from))) Object.assign(operation, { op: "add", value: null });
  try {
    return jsonpatch.applyOperation(document, operation as unknown as Operation, true, true).newDocument;
  } catch (error) {
    throw unprocessable(wordsOf(error as Error, document, op, path, String(from)));
  }
}

function wordsOf({ name }: Error, document: Json, op: string, path: string, from: string): string {
  if (name === "TEST_OPERATION_FAILED") return `testing value ${path} failed: test failed`;
  if (name === "OPERATION_FROM_UNRESOLVABLE") {
    if (isContainer(parentOf(document, from)))
      return `error in ${op} for path: '${keyOf(from)}': missing value`;
    return `${op} operation does not apply: doc is missing from path: ${from}: missing value`;
  }
  const parent = parentOf(document, path);
  const key = keyOf(path);
  if (!isContainer(parent)) {
    if (op === "replace")
      return `replace operation does not apply: doc is missing path: ${path}: missing value`;
    if (op === "test") return `test operation does not apply: is missing path: ${path}: missing value`;
    const quoted = isFromKind(op) ? path : `"${path}"`;
    const which = isFromKind(op) ? "destination path" : "path";
    return `${op} operation does not apply: doc is missing ${which}: ${quoted}: missing value`;
  }
  if (op === "replace") return `replace operation does not apply: doc is missing key: ${path}: missing value`;
  const why = Array.isArray(parent)
    ? /^-?\d+$/.test(key)
      ? `Unable to access invalid index: ${key}: invalid index referenced`
      : `value was not a proper array index: '${key}': strconv.Atoi: parsing "${key}": invalid syntax`
    : `Unable to remove nonexistent key: ${key}: missing value`;
  return `error in ${op} for path: '${path}': ${why}`;
}

const isFromKind = (op: string): boolean => op === "move" || op === "copy";
const isContainer = (value: Json | undefined): boolean => Array.isArray(value) || isObject(value);
const unescaped = (part: string): string => part.replaceAll("~1", "/").replaceAll("~0", "~");
const keyOf = (path: string): string => unescaped(path.slice(path.lastIndexOf("/") + 1));

/** Where the last part of a path would lie. */
function parentOf(document: Json, path: string): Json | undefined {
  return valueAt(document, path.slice(0, Math.max(0, path.lastIndexOf("/"))));
}

function valueAt(document: Json, path: string): Json | undefined {
  let at: Json | undefined = document;
  for (const part of path.split("/").slice(1).map(unescaped)) {
    if (Array.isArray(at)) at = at[Number(part)];
    else at = isObject(at) ? member(at, part) : undefined;
  }
  return at;
}

/** Whether a field is not there, of an object that is. */
function isAbsent(document: Json, path: string): boolean {
  const parent = parentOf(document, path);
  return isObject(parent) && !Object.hasOwn(parent, keyOf(path));
}

function fromTheEnd(document: Json, path: string): string {
  const key = keyOf(path);
  if (!/^-\d+$/.test(key)) return path;
  const parent = parentOf(document, path);
  if (!Array.isArray(parent)) return path;
  return `${path.slice(0, path.lastIndexOf("/"))}/${parent.length + Number(key)}`;
}
