// What OpenAPI documents say of a resource that is served, built in or defined by a user.
import type { GroupVersionKind, JsonObject, Schema } from "../schema/schema.ts";

export interface Served extends GroupVersionKind {
  readonly plural: string;
  readonly namespaced: boolean;
  /** Of a custom resource; a built-in kind has a definition of its own. */
  readonly custom?: Schema;
}

/** "apis/apps/v1", "api/v1". */
export const groupPath = ({ group, version }: { group: string; version: string }): string =>
  group === "" ? `api/${version}` : `apis/${group}/${version}`;

/** A definition's name: a group's words the other way round. */
export const customName = ({ group, version, kind }: GroupVersionKind): string =>
  [...group.split(".").reverse(), version, kind].join(".");

/** Paths of a resource: its list, and one of it. */
export function pathsOf({ plural, namespaced, ...gv }: Served): [string, string] {
  const list = `/${groupPath(gv)}${namespaced ? "/namespaces/{namespace}" : ""}/${plural}`;
  return [list, `${list}/{name}`];
}

/** Parameters of a PATCH: clients look whether a server has them. */
export const PATCH_PARAMETERS = ["dryRun", "fieldManager", "fieldValidation", "force"];

export const kindOf = ({ group, version, kind }: Served): JsonObject => ({ group, version, kind });

export const INFO = { title: "Kubernetes", version: "unversioned" };
