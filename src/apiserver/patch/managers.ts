// Who has which fields of an object: `metadata.managedFields`, read and written.
import type { Json, JsonObject } from "../schema/schema.ts";
import { isObject } from "../schema/schema.ts";
import { type FieldSet, fromFieldsV1, toFieldsV1, union } from "./field-set.ts";

export type Operation = "Apply" | "Update";

/** Whoever changes an object: one that applies is the same in every version. */
export interface Author {
  readonly manager: string;
  readonly operation: Operation;
  readonly apiVersion: string;
  /** "" for the object itself. */
  readonly subresource: string;
}

export interface Manager extends Author {
  /** Of its last change, as RFC 3339. */
  readonly time?: string;
  readonly fields: FieldSet;
}

/** By the author's identity. */
export type Managers = ReadonlyMap<string, Manager>;

const UPDATERS_MAX = 10;
const ANCIENT = "ancient-changes";

export function identityOf({ manager, operation, apiVersion, subresource }: Author): string {
  return JSON.stringify([manager, operation, operation === "Apply" ? "" : apiVersion, subresource]);
}

/** Undefined where the list is none: whoever asked goes on without. */
export function readManagers(given: Json | undefined): Managers | undefined {
  const found = new Map<string, Manager>();
  if (given === undefined || given === null) return found;
  if (!Array.isArray(given)) return undefined;
  for (const entry of given) {
    const manager = readManager(entry);
    if (manager === undefined) return undefined;
    found.set(identityOf(manager), manager);
  }
  return found;
}

function readManager(entry: Json): Manager | undefined {
  if (!isObject(entry)) return undefined;
  const { manager = "", operation, apiVersion, subresource = "", time, fieldsType, fieldsV1 = {} } = entry;
  if (operation !== "Apply" && operation !== "Update") return undefined;
  if (typeof apiVersion !== "string" || apiVersion === "" || fieldsType !== "FieldsV1") return undefined;
  const fields = fromFieldsV1(fieldsV1);
  if (fields === undefined || typeof manager !== "string" || typeof subresource !== "string")
    return undefined;
  const base = { manager, operation, apiVersion, subresource, fields } as const;
  return typeof time === "string" ? { ...base, time } : base;
}

/** An empty list or one of a single empty entry: the user wants to begin anew. */
export function isReset(given: Json | undefined): boolean {
  if (!Array.isArray(given)) return false;
  if (given.length !== 1) return given.length === 0;
  return isObject(given[0]) && Object.keys(given[0]).length === 0;
}

/** Who applies first, then by time and name. Undefined for nobody. */
export function writeManagers(managers: Managers): Json[] | undefined {
  if (managers.size === 0) return undefined;
  return [...managers.values()].sort(inOrder).map(written);
}

function inOrder(a: Manager, b: Manager): number {
  const text = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0);
  return (
    text(a.operation, b.operation) ||
    secondsOf(a) - secondsOf(b) ||
    text(a.manager, b.manager) ||
    text(a.apiVersion, b.apiVersion) ||
    text(a.subresource, b.subresource)
  );
}

const secondsOf = ({ time }: Manager): number =>
  time === undefined ? 0 : Math.floor(Date.parse(time) / 1000) || 0;

function written({ manager, operation, apiVersion, time, fields, subresource }: Manager): JsonObject {
  return {
    ...(manager === "" ? {} : { manager }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: "FieldsV1",
    fieldsV1: toFieldsV1(fields),
    ...(subresource === "" ? {} : { subresource }),
  };
}

/** The oldest that update share an entry of their version, where there are more than ten. */
export function capUpdaters(managers: Managers): Managers {
  const updaters = [...managers].filter(([, { operation }]) => operation === "Update");
  let count = updaters.length;
  if (count <= UPDATERS_MAX) return managers;
  updaters.sort(([a, x], [b, y]) => secondsOf(x) - secondsOf(y) || (a < b ? -1 : 1));
  const made = new Map(managers);
  const first = new Map<string, string>();
  for (const [identity, manager] of updaters) {
    if (count <= UPDATERS_MAX) break;
    const { apiVersion } = manager;
    const before = first.get(apiVersion);
    if (before === undefined) {
      first.set(apiVersion, identity);
      continue;
    }
    const bucket: Author = { manager: ANCIENT, operation: "Update", apiVersion, subresource: "" };
    const key = identityOf(bucket);
    const old = made.get(key) ?? made.get(before);
    if (!made.has(key)) made.delete(before);
    const fields = old === undefined ? manager.fields : union(manager.fields, old.fields);
    made.delete(identity);
    made.set(key, { ...manager, ...bucket, fields });
    count--;
  }
  return made;
}
