// Matches, filters and times of routes, as the definitions of HTTPRoute and GRPCRoute fill them in and refuse them.
import type {
  BackendRef,
  HeaderModifier,
  HttpMatch,
  HttpRule,
  PathModifier,
  RouteFilter,
} from "../../gateway/gateway-objects.ts";
import type { FieldPath, FieldProblems } from "../../manifest/field-problems.ts";
import * as names from "../names.ts";

const PATH_TYPES = ["Exact", "PathPrefix", "RegularExpression"];
const VALUE_TYPES = ["Exact", "RegularExpression"];
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const REDIRECTS = [301, 302, 303, 307, 308];
const TOKEN = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;
const DURATION = /^(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}$/;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const MATCHES_MAX = 64;
const LIST_MAX = 16;
const PATH_MAX = 1024;

/** Type of a filter → the field that has to be there. */
const FIELDS: Readonly<Record<string, keyof RouteFilter>> = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  CORS: "cors",
  ExtensionRef: "extensionRef" as keyof RouteFilter,
  ExternalAuth: "externalAuth" as keyof RouteFilter,
};

export function validateMatches(matches: readonly HttpMatch[], at: FieldPath, p: FieldProblems): void {
  if (matches.length > MATCHES_MAX) p.tooMany(at, matches.length, MATCHES_MAX);
  for (const [i, { path, headers = [], queryParams = [], method }] of matches.entries()) {
    const here = [...at, i];
    const { type, value } = path;
    if (!PATH_TYPES.includes(type)) p.unsupported([...here, "path", "type"], type, PATH_TYPES);
    else if (type !== "RegularExpression") validatePath(value, [...here, "path"], p);
    if (method !== undefined && !METHODS.includes(method))
      p.unsupported([...here, "method"], method, METHODS);
    for (const [field, list] of Object.entries({ headers, queryParams })) {
      if (list.length > LIST_MAX) p.tooMany([...here, field], list.length, LIST_MAX);
      for (const [j, each] of list.entries()) {
        const where = [...here, field, j];
        if (!TOKEN.test(each.name ?? ""))
          p.invalid([...where, "name"], each.name ?? "", "should be a header's name");
        if ((each.value ?? "") === "") p.required([...where, "value"]);
        if (!VALUE_TYPES.includes(each.type)) p.unsupported([...where, "type"], each.type, VALUE_TYPES);
      }
    }
  }
}

function validatePath(value: string, at: FieldPath, p: FieldProblems): void {
  if (!value.startsWith("/"))
    p.invalid(
      at,
      "object",
      "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
    );
  for (const part of ["//", "/./", "/../", "%2f", "%2F", "#"])
    if (value.includes(part))
      p.invalid(at, "object", `must not contain '${part}' when type one of ['Exact', 'PathPrefix']`);
  for (const part of ["/..", "/."])
    if (value.endsWith(part))
      p.invalid(at, "object", `must not end with '${part}' when type one of ['Exact', 'PathPrefix']`);
  if (value.length > PATH_MAX)
    p.add([...at, "value"], `value: Too long: may not be more than ${PATH_MAX} bytes`);
}

type CheckBackend = (ref: BackendRef, at: FieldPath, p: FieldProblems) => void;

export function validateFilters(
  filters: readonly RouteFilter[],
  at: FieldPath,
  checkBackend: CheckBackend,
  p: FieldProblems,
): void {
  if (filters.length > LIST_MAX) p.tooMany(at, filters.length, LIST_MAX);
  const types = filters.map(({ type }) => type);
  if (types.includes("RequestRedirect") && types.includes("URLRewrite"))
    p.invalid(
      at,
      "array",
      "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
    );
  for (const type of [
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "URLRewrite",
    "CORS",
  ])
    if (types.filter((each) => each === type).length > 1)
      p.invalid(at, "array", `${type} filter cannot be repeated`);
  for (const [i, filter] of filters.entries()) validateFilter(filter, [...at, i], checkBackend, p);
}

function validateFilter(
  filter: RouteFilter,
  at: FieldPath,
  checkBackend: CheckBackend,
  p: FieldProblems,
): void {
  const field = FIELDS[filter.type ?? ""];
  if (field === undefined) {
    p.oneOf([...at, "type"], filter.type, Object.keys(FIELDS));
    return;
  }
  for (const [type, other] of Object.entries(FIELDS)) {
    const isThere = filter[other] !== undefined;
    if (other === field && !isThere)
      p.invalid(at, "object", `filter.${other} must be specified for ${type} filter.type`);
    if (other !== field && isThere)
      p.invalid(at, "object", `filter.${other} must be nil if the filter.type is not ${type}`);
  }
  const { requestHeaderModifier, responseHeaderModifier, requestRedirect, urlRewrite, requestMirror, cors } =
    filter;
  validateHeaders(requestHeaderModifier, [...at, "requestHeaderModifier"], p);
  validateHeaders(responseHeaderModifier, [...at, "responseHeaderModifier"], p);
  if (requestRedirect !== undefined) {
    requestRedirect.statusCode ??= 302;
    const { statusCode, scheme, port, path } = requestRedirect;
    const where = [...at, "requestRedirect"];
    if (!REDIRECTS.includes(statusCode))
      p.unsupportedOf([...where, "statusCode"], statusCode, REDIRECTS.map(String));
    if (scheme !== undefined && !["http", "https"].includes(scheme))
      p.unsupported([...where, "scheme"], scheme, ["http", "https"]);
    if (port !== undefined) names.checkPort(p, [...where, "port"], port);
    validateModifier(path, [...where, "path"], p);
  }
  validateModifier(urlRewrite?.path, [...at, "urlRewrite", "path"], p);
  if (requestMirror !== undefined) {
    requestMirror.backendRef ??= {} as BackendRef;
    checkBackend(requestMirror.backendRef, [...at, "requestMirror", "backendRef"], p);
    delete (requestMirror.backendRef as Partial<BackendRef>).weight; // it is no share of anything
    if (requestMirror.percent !== undefined && requestMirror.fraction !== undefined)
      p.invalid(
        [...at, "requestMirror"],
        "object",
        "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
      );
  }
  if (cors !== undefined) cors.maxAge ??= 5;
}

function validateHeaders(modifier: HeaderModifier | undefined, at: FieldPath, p: FieldProblems): void {
  const { set = [], add = [], remove = [] } = modifier ?? {};
  for (const [field, list] of Object.entries({ set, add })) {
    if (list.length > LIST_MAX) p.tooMany([...at, field], list.length, LIST_MAX);
    for (const [i, { name = "", value = "" }] of list.entries()) {
      if (!TOKEN.test(name)) p.invalid([...at, field, i, "name"], name, "should be a header's name");
      if (value === "" || /[\r\n\0]/.test(value))
        p.invalid([...at, field, i, "value"], value, "should be a header's value");
    }
  }
  if (remove.length > LIST_MAX) p.tooMany([...at, "remove"], remove.length, LIST_MAX);
}

function validateModifier(path: PathModifier | undefined, at: FieldPath, p: FieldProblems): void {
  if (path === undefined) return;
  const { type, replaceFullPath, replacePrefixMatch } = path;
  if (type !== "ReplaceFullPath" && type !== "ReplacePrefixMatch") {
    p.oneOf([...at, "type"], type, ["ReplaceFullPath", "ReplacePrefixMatch"]);
    return;
  }
  for (const [own, value] of Object.entries({
    ReplaceFullPath: replaceFullPath,
    ReplacePrefixMatch: replacePrefixMatch,
  })) {
    const field = own[0].toLowerCase() + own.slice(1);
    if (own === type && value === undefined)
      p.invalid(at, "object", `${field} must be specified when type is set to '${own}'`);
    if (own !== type && value !== undefined)
      p.invalid(at, "object", `type must be '${own}' when ${field} is set`);
  }
}

export function validateRuleTimes(
  { timeouts, retry, sessionPersistence }: HttpRule,
  at: FieldPath,
  p: FieldProblems,
): void {
  const { sessionName, absoluteTimeout, idleTimeout } = sessionPersistence ?? {};
  if (sessionName !== undefined && !TOKEN.test(sessionName))
    p.invalid(
      [...at, "sessionPersistence", "sessionName"],
      sessionName,
      "should be a cookie's or header's name",
    );
  const times: [string[], string | undefined][] = [
    [["timeouts", "request"], timeouts?.request],
    [["timeouts", "backendRequest"], timeouts?.backendRequest],
    [["retry", "backoff"], retry?.backoff],
    [["sessionPersistence", "absoluteTimeout"], absoluteTimeout],
    [["sessionPersistence", "idleTimeout"], idleTimeout],
  ];
  for (const [path, text] of times)
    if (text !== undefined && !DURATION.test(text))
      p.invalid([...at, ...path], text, `should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'`);
  const [whole, one] = [timeouts?.request, timeouts?.backendRequest].map((text) => durationSec(text));
  if (whole !== undefined && one !== undefined && whole > 0 && one > whole)
    p.invalid([...at, "timeouts"], "object", "backendRequest timeout cannot be longer than request timeout");
}

/** Seconds of "1h30m", "500ms"; undefined: no text, or none that can be read. */
export function durationSec(text: string | undefined): number | undefined {
  if (text === undefined || !DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/([0-9]+)(h|ms|m|s)/g)) ms += Number(count) * UNIT_MS[unit];
  return ms / 1000;
}
