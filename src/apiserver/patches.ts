// What a PATCH makes of an object, and who has which of its fields after any request: patch/ works it out, in the words
// of a Status.
import type { KubeObject } from "../kube/objects.ts";
import { customTyped } from "./custom/read.ts";
import { APPLY, applyPatch, checkPatchType, type FieldValidation } from "./patch/apply-patch.ts";
import { afterUpdate, type Change, ignoredBy } from "./patch/field-manager.ts";
import { Refused } from "./patch/refused.ts";
import { apiVersionOf, type Resource } from "./resource.ts";
import { builtIn } from "./schema/definitions.ts";
import type { JsonObject, Schema, Typed } from "./schema/schema.ts";
import { StatusError } from "./status.ts";

/** Who asks, and how. */
export interface Author {
  readonly resource: Resource;
  /** Of the query, or of the client's own name. */
  readonly manager: string;
  /** Takes fields from others that apply. */
  readonly isForced: boolean;
  readonly fieldValidation: string;
  warn(text: string): void;
}

export interface Patch {
  /** The content type. */
  readonly type: string;
  readonly body: string;
  readonly subresource: string;
}

export const isApply = (type: string): boolean => type === APPLY;

const NOBODY_KNOWS: Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const UNKNOWN: Typed = { schema: NOBODY_KNOWS, resolve: (schema) => schema };

/** The type of a resource's objects; of one that nobody has described, anything. */
function typedOf(resource: Resource): Typed {
  if (resource.custom !== undefined) return customTyped(resource.custom);
  return builtIn(apiVersionOf(resource), resource.kind) ?? UNKNOWN;
}

const isCustom = (resource: Resource): boolean =>
  resource.custom !== undefined || typedOf(resource) === UNKNOWN;

/** Throws a StatusError for a content type that is none of a patch of such objects. */
export function checkPatch(type: string, resource: Resource): void {
  try {
    checkPatchType(type, isCustom(resource));
  } catch (error) {
    throw asStatus(error);
  }
}

/** `live` is undefined where there is no such object, which only one that is applied may make. Throws a StatusError. */
export function patched(live: KubeObject | undefined, patch: Patch, author: Author): unknown {
  const { type, body, subresource } = patch;
  const { resource, isForced } = author;
  const validation = author.fieldValidation as FieldValidation;
  const isScale = subresource === "scale";
  const apiVersion = isScale ? "autoscaling/v1" : apiVersionOf(resource);
  const typed = isScale ? (builtIn("autoscaling/v1", "Scale") as Typed) : typedOf(resource);
  const change = changeOf(author, apiVersion, isApply(type) ? "Apply" : "Update", subresource, typed);
  try {
    const request = { type, body, live: live as unknown as JsonObject | undefined };
    const made = applyPatch({
      ...request,
      isCustom: isCustom(resource) && !isScale,
      isForced,
      validation,
      change,
    });
    for (const warning of made.warnings) author.warn(warning);
    return made.object;
  } catch (error) {
    throw asStatus(error);
  }
}

/** `next` with who has what of it, after an ordinary request. */
export function withManagers(
  old: KubeObject | undefined,
  next: KubeObject,
  author: Author,
  subresource: string,
): KubeObject {
  const { resource } = author;
  // What is stored may be of another version than what is asked for.
  const typed = resource.custom === undefined ? builtIn(next.apiVersion, next.kind) : typedOf(resource);
  const change = changeOf(author, apiVersionOf(resource), "Update", subresource, typed ?? UNKNOWN);
  const live = old as unknown as JsonObject | undefined;
  return afterUpdate(live, next as unknown as JsonObject, change) as unknown as KubeObject;
}

function changeOf(
  { resource, manager }: Author,
  apiVersion: string,
  operation: Change["operation"],
  subresource: string,
  typed: Typed,
): Change {
  const ignored = ignoredBy(subresource, resource.subresources.includes("status"));
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  return { manager, operation, apiVersion, subresource, typed, ignored, now };
}

function asStatus(error: unknown): unknown {
  if (!(error instanceof Refused)) return error;
  const { status, reason, message, causes } = error;
  return new StatusError(status, reason, message, causes.length > 0 ? { causes } : {});
}
