// What an API server answers instead of an object: a Status, in the words of Kubernetes (apimachinery, api/errors).
import type { FieldProblem } from "../kube/manifest/field-problems.ts";
import { formatPath } from "../kube/manifest/field-problems.ts";

export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, string>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** Of a resource, what errors name it by. */
export interface ErrorResource {
  readonly group: string;
  /** deployments */
  readonly plural: string;
  /** Deployment */
  readonly kind: string;
}

export class StatusError extends Error {
  readonly status: Status;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    const filled = details === undefined ? {} : { details };
    const head = { kind: "Status", apiVersion: "v1", metadata: {} } as const;
    this.status = { ...head, status: "Failure", message, reason, ...filled, code };
  }
}

/** deployments.apps */
function qualified({ group, plural }: ErrorResource): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function detailsOf({ group, plural }: ErrorResource, name: string): StatusDetails {
  return { name, ...(group === "" ? {} : { group }), kind: plural };
}

export function notFound(resource: ErrorResource, name: string): StatusError {
  const message = `${qualified(resource)} "${name}" not found`;
  return new StatusError(404, "NotFound", message, detailsOf(resource, name));
}

/** Of a path that nothing is served at. */
export function noSuchPath(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource", {});
}

export function alreadyExists(resource: ErrorResource, name: string): StatusError {
  const message = `${qualified(resource)} "${name}" already exists`;
  return new StatusError(409, "AlreadyExists", message, detailsOf(resource, name));
}

export function conflict(resource: ErrorResource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new StatusError(409, "Conflict", message, detailsOf(resource, name));
}

export function forbidden(resource: ErrorResource, name: string, why: string): StatusError {
  const message = `${qualified(resource)} "${name}" is forbidden: ${why}`;
  return new StatusError(403, "Forbidden", message, detailsOf(resource, name));
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

export function methodNotAllowed(): StatusError {
  const message = "the server does not allow this method on the requested resource";
  return new StatusError(405, "MethodNotAllowed", message, {});
}

export function notAcceptable(): StatusError {
  const message = "only the following media types are accepted: application/json";
  return new StatusError(406, "NotAcceptable", message);
}

export function unsupportedType(types: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${types.join(", ")}`;
  return new StatusError(415, "UnsupportedMediaType", message);
}

export function tooLarge(maxBytes: number): StatusError {
  const message = `Request entity too large: limit is ${maxBytes}`;
  return new StatusError(413, "RequestEntityTooLarge", message);
}

/** A resourceVersion, or a page of a list, whose history is gone. */
export function expired(message: string): StatusError {
  return new StatusError(410, "Expired", message);
}

/** A resourceVersion that is not there yet. */
export function tooNew(asked: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`;
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  return new StatusError(504, "Timeout", message, { causes, retryAfterSeconds: 1 });
}

export function tooManyRequests(message: string, cause: StatusCause): StatusError {
  return new StatusError(429, "TooManyRequests", message, { causes: [cause] });
}

export function invalid(
  resource: ErrorResource,
  name: string,
  problems: readonly FieldProblem[],
): StatusError {
  return refused(resource, name, problems.map(causeOf));
}

/** Of one field. */
export function invalidField(
  resource: ErrorResource,
  name: string,
  field: string,
  detail: string,
): StatusError {
  return refused(resource, name, [{ reason: "FieldValueInvalid", message: detail, field }]);
}

function refused(resource: ErrorResource, name: string, causes: readonly StatusCause[]): StatusError {
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  const why = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const { group, kind } = resource;
  const title = group === "" ? kind : `${kind}.${group}`;
  const details = { ...detailsOf(resource, name), kind, causes };
  return new StatusError(422, "Invalid", `${title} "${name}" is invalid: ${why}`, details);
}

const REASONS: Readonly<Record<string, string>> = {
  "Required value": "FieldValueRequired",
  "Invalid value": "FieldValueInvalid",
  "Unsupported value": "FieldValueNotSupported",
  "Duplicate value": "FieldValueDuplicate",
  "Not found": "FieldValueNotFound",
  "Too many": "FieldValueTooMany",
  "Too long": "FieldValueTooLong",
  Forbidden: "FieldValueForbidden",
};

/** `spec.ports[0].port: Invalid value: 0: must be …` taken apart again. */
function causeOf({ path, message }: FieldProblem): StatusCause {
  for (const [word, reason] of Object.entries(REASONS)) {
    const at = message.indexOf(`: ${word}`);
    if (at > 0) return { reason, message: message.slice(at + 2), field: message.slice(0, at) };
  }
  return { reason: "FieldValueInvalid", message, field: formatPath(path) || "<nil>" };
}

/** Of a deletion: the object is gone. */
export function success(resource: ErrorResource, name: string, uid: string | undefined): Status {
  const details = { ...detailsOf(resource, name), ...(uid === undefined ? {} : { uid }) };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}
