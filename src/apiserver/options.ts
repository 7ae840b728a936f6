// What a request says of how it is to be done: read with care, since anything may stand there.
import { isDryRun, type Query } from "./request.ts";
import { badRequest, invalidField } from "./status.ts";
import type { DeleteOptions } from "./writes.ts";

const GRACE_MAX = 2 ** 31;

/** Without members where it is no map. */
export function mapOf(body: unknown): Record<string, unknown> {
  return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
}

const OPTIONS_OF: Readonly<Record<string, string>> = { POST: "Create", PUT: "Update", PATCH: "Patch" };
const MANAGER_BYTES_MAX = 128;

/** Throws a StatusError: objects keep the names of their managers. */
export function checkManager(method: string, name: string): void {
  const [isLong, isOdd] = [Buffer.byteLength(name) > MANAGER_BYTES_MAX, !/^[\P{C}]*$/u.test(name)];
  if ((!isLong && !isOdd) || !Object.hasOwn(OPTIONS_OF, method)) return;
  const kind = `${OPTIONS_OF[method]}Options`;
  const detail = isLong
    ? `Too long: may not be more than ${MANAGER_BYTES_MAX} bytes`
    : `Invalid value: ${JSON.stringify(name)}: should only contain printable characters`;
  throw invalidField({ group: "meta.k8s.io", plural: kind.toLowerCase(), kind }, "", "fieldManager", detail);
}

/** Options of a body, and of the query where it has none. Throws a StatusError. */
export function deletion(body: unknown, query: Query): { options: DeleteOptions; isDryRun: boolean } {
  const given = mapOf(body);
  const { dryRun, orphanDependents } = given;
  const text = query.get("gracePeriodSeconds");
  const grace = given.gracePeriodSeconds ?? (text === null ? undefined : Number(text));
  if (
    grace !== undefined &&
    !(Number.isInteger(grace) && (grace as number) >= 0 && (grace as number) <= GRACE_MAX)
  )
    throw badRequest(
      `gracePeriodSeconds: Invalid value: ${JSON.stringify(grace)}: must be a number, 0 or more`,
    );
  if (dryRun != null && !Array.isArray(dryRun)) throw badRequest("dryRun: must be a list");
  if (orphanDependents != null && typeof orphanDependents !== "boolean")
    throw badRequest("orphanDependents: must be true or false");
  const options = {
    propagationPolicy: String(given.propagationPolicy ?? query.get("propagationPolicy") ?? ""),
    preconditions: preconditionsOf(given.preconditions),
    ...(orphanDependents == null ? {} : { orphanDependents }),
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace as number }),
  };
  return { options, isDryRun: isDryRun(query, dryRun ?? []) };
}

function preconditionsOf(given: unknown): { uid?: string; resourceVersion?: string } {
  const isMap = typeof given === "object" && !Array.isArray(given);
  if (given !== undefined && !isMap) throw badRequest("preconditions: must be a map");
  const { uid, resourceVersion } = mapOf(given);
  for (const [name, value] of Object.entries({ uid, resourceVersion }))
    if (value != null && typeof value !== "string") throw badRequest(`preconditions.${name}: must be a text`);
  return {
    ...(uid == null ? {} : { uid: uid as string }),
    ...(resourceVersion == null ? {} : { resourceVersion: resourceVersion as string }),
  };
}
