// Server-side apply, and what ordinary updates note of who changed which field. Pure: the time is a parameter, objects
// are never changed.
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type JsonObject, type Typed } from "../schema/schema.ts";
import { withZeroValues } from "../schema/zero-values.ts";
import { compare } from "./compare-values.ts";
import { type Conflict, conflictError, conflictsOf } from "./conflicts.ts";
import {
  difference,
  EMPTY,
  type FieldSet,
  intersection,
  setOf,
  union,
  withNamedFields,
  without,
} from "./field-set.ts";
import { allowedByLastApplied, KUBECTL, withLastApplied } from "./last-applied.ts";
import {
  type Author,
  capUpdaters,
  identityOf,
  isReset,
  type Manager,
  type Managers,
  readManagers,
  writeManagers,
} from "./managers.ts";
import { withoutNulls } from "./merge-patch.ts";
import { badRequest, internal } from "./refused.ts";
import { mergeTyped, typeProblems } from "./typed-merge.ts";
import { fieldSetOf, removeFields } from "./typed-value.ts";

export interface Change extends Author {
  readonly typed: Typed;
  /** Fields that nobody gets by this request: `status` of an object, `spec` by its status. */
  readonly ignored: FieldSet;
  /** RFC 3339, in seconds. */
  readonly now: string;
}

/** Of the object itself: they name it, or are the server's. */
const STRIPPED = setOf(
  ["f:apiVersion"],
  ["f:kind"],
  ["f:metadata"],
  ...["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"].map(
    (name) => ["f:metadata", `f:${name}`],
  ),
  ["f:metadata", "f:managedFields"],
  ["f:metadata", "f:resourceVersion"],
);
const BEFORE_FIRST_APPLY = "before-first-apply";

/** What a request cannot get: `status` belongs to its own subresource, and the rest to the object. */
export function ignoredBy(subresource: string, hasStatus: boolean): FieldSet {
  if (subresource === "status") return setOf(["f:spec"]);
  return subresource === "" && hasStatus ? setOf(["f:status"]) : EMPTY;
}

const metadataOf = (object: JsonObject): JsonObject => (isObject(object.metadata) ? object.metadata : {});

/** Without managedFields. */
export function bare(object: JsonObject): JsonObject {
  const { managedFields, ...metadata } = metadataOf(object);
  return managedFields === undefined ? object : { ...object, metadata };
}

function withManagers(object: JsonObject, managers: Managers): JsonObject {
  const list = writeManagers(managers);
  const { metadata } = bare(object);
  return list === undefined
    ? bare(object)
    : { ...object, metadata: { ...(metadata as JsonObject), managedFields: list } };
}

/** `next` with its managedFields, after it was made of `live`, which is undefined for an object that is new. */
export function afterUpdate(live: JsonObject | undefined, next: JsonObject, change: Change): JsonObject {
  const managers = managersFor(live, next, change.subresource);
  // What was made before anybody kept count stays without a count, until somebody applies.
  if (managers.size === 0 && live !== undefined) return bare(next);
  return withManagers(next, updated(live ?? {}, next, managers, change));
}

function managersFor(live: JsonObject | undefined, next: JsonObject, subresource: string): Managers {
  const ofLive = readManagers(metadataOf(live ?? {}).managedFields) ?? new Map();
  const { managedFields } = metadataOf(next);
  if (subresource !== "") return ofLive;
  if (isReset(managedFields)) return new Map();
  if (deepEqual(managedFields, metadataOf(live ?? {}).managedFields)) return ofLive; // as it was read before
  const ofNext = readManagers(managedFields);
  return ofNext === undefined || ofNext.size === 0 ? ofLive : ofNext;
}

/** Others lose what was changed; who changed it gets that. */
function updated(live: JsonObject, next: JsonObject, managers: Managers, change: Change): Managers {
  const whole = (object: JsonObject): JsonObject => withZeroValues(bare(object), change.typed);
  const found = compared(whole(live), whole(next), change);
  const touched = union(found.added, found.modified);
  const lost = union(touched, found.removed);
  const made = new Map<string, Manager>();
  for (const [identity, manager] of managers) {
    const fields = difference(manager.fields, lost);
    if (fields.size > 0) made.set(identity, { ...manager, fields });
  }
  const own = difference(without(touched, change.ignored), STRIPPED);
  if (own.size > 0) {
    const identity = identityOf(change);
    const fields = union(own, made.get(identity)?.fields ?? EMPTY);
    made.set(identity, { ...authorOf(change), time: change.now, fields });
  }
  return capUpdaters(made);
}

const authorOf = ({ manager, operation, apiVersion, subresource }: Author): Author => ({
  ...{ manager, operation, apiVersion, subresource },
});

function compared(live: JsonObject, next: JsonObject, { typed, ignored }: Change) {
  const { added, modified, removed } = compare(live, next, typed);
  const filtered = (set: FieldSet): FieldSet => without(set, ignored);
  return { added: filtered(added), modified: filtered(modified), removed: filtered(removed) };
}

/**
 * What applying `config` makes of `live`, undefined for an object that is new. Throws Refused: a conflict (409), or what
 * the type does not have (500, as kube-apiserver answers).
 */
export function apply(
  live: JsonObject | undefined,
  config: JsonObject,
  change: Change,
  isForced: boolean,
): JsonObject {
  checkConfig(config, change);
  const before = live ?? {};
  let managers = readManagers(metadataOf(before).managedFields);
  if (managers === undefined) throw internal("failed to decode managed fields: they are none of FieldsV1");
  if (managers.size === 0 && live !== undefined) {
    const first: Change = { ...change, manager: BEFORE_FIRST_APPLY, operation: "Update" };
    managers = updated({}, live, managers, first);
  }
  let attempt = attempted(bare(before), config, managers, change, isForced);
  if ("conflicts" in attempt) {
    const { conflicts } = attempt;
    const left = change.manager === KUBECTL ? allowedByLastApplied(before, conflicts, change) : conflicts;
    if (left.length > 0) throw conflictError(left);
    attempt = attempted(bare(before), config, managers, change, true);
    if ("conflicts" in attempt) throw conflictError(attempt.conflicts);
  }
  const { object } = attempt;
  const told = change.manager === KUBECTL ? withLastApplied(object, config) : object;
  return withManagers(told, attempt.managers);
}

function checkConfig(config: JsonObject, { typed, apiVersion }: Change): void {
  const { namespace = "", name = "", managedFields } = metadataOf(config);
  if (config.apiVersion !== apiVersion) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${config.apiVersion}, ` +
        `expected: ${apiVersion}`,
    );
  }
  if (managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
  const problems = typeProblems(config, typed);
  if (problems.length === 0) return;
  const group = apiVersion.includes("/") ? "" : "/";
  const what = `${namespace}/${name}; ${group}${apiVersion}, Kind=${config.kind}`;
  const text =
    problems.length === 1 ? problems[0] : ["errors:", ...problems.map((one) => `  ${one}`)].join("\n");
  throw internal(`failed to create typed patch object (${what}): ${text}`);
}

type Attempt =
  | { readonly conflicts: readonly Conflict[] }
  | { readonly object: JsonObject; readonly managers: Managers };

function attempted(
  live: JsonObject,
  config: JsonObject,
  managers: Managers,
  change: Change,
  isForced: boolean,
): Attempt {
  const { typed, ignored } = change;
  const identity = identityOf(change);
  const last = managers.get(identity);
  const fields = without(fieldSetOf(config, typed), ignored);
  const own: Manager = {
    ...authorOf(change),
    ...(last?.time === undefined ? {} : { time: last.time }),
    fields,
  };
  const all = new Map(managers).set(identity, own);
  const merged = mergeTyped(live, config, typed);
  const hasLess = last !== undefined && difference(last.fields, fields).size > 0;
  const next = hasLess ? pruned(merged, last.fields, all, typed) : merged;
  const found = compared(live, next, change);
  const touched = union(found.added, found.modified);
  const made = new Map<string, Manager>();
  const conflicts: Conflict[] = [];
  for (const [other, manager] of all) {
    if (other === identity) continue;
    conflicts.push(...conflictsOf(manager, intersection(manager.fields, touched)));
    const left = difference(manager.fields, union(touched, found.removed));
    if (left.size > 0) made.set(other, { ...manager, fields: left });
  }
  if (!isForced && conflicts.length > 0) return { conflicts };
  const object = withoutNulls(next) as JsonObject;
  const isSame = deepEqual(object, live);
  const kept = difference(fields, STRIPPED);
  if (kept.size > 0) made.set(identity, { ...own, fields: kept, ...(isSame ? {} : { time: change.now }) });
  return { object: isSame ? live : object, managers: made };
}

/** Without what the applier had and does not want any more, where nobody else has it. */
function pruned(merged: JsonObject, last: FieldSet, managers: Managers, typed: Typed): JsonObject {
  const named = (set: FieldSet): FieldSet => withNamedFields(set, typed);
  const ofMerged = named(fieldSetOf(merged, typed));
  const first = removeFields(merged, named(last), typed);
  let owned: FieldSet = EMPTY;
  for (const { fields } of managers.values()) owned = union(owned, fields);
  const kept = union(named(fieldSetOf(first, typed)), named(owned));
  const second = removeFields(merged, difference(ofMerged, kept), typed);
  const gone = difference(ofMerged, named(fieldSetOf(second, typed)));
  return removeFields(merged, intersection(gone, named(last)), typed);
}
