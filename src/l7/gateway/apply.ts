// A request that a route's rule has matched: filters in their order, then the backends.
import type { CorsFilter, PathModifier, RouteFilter } from "../../kube/gateway/gateway-objects.ts";
import { answer, type Choice, type Decision, type HeaderChange, likeliest, type Tell } from "../decision.ts";
import { encodedPath, plainTarget } from "../match/normal-path.ts";
import { addHeader, clientText, type Header, headerOf, hostName, type Seen } from "../request.ts";
import { endpointsText, percent } from "../words.ts";
import type { Entry } from "./entries.ts";
import { answerChanges, changesOf } from "./header-changes.ts";
import type { RouteRule } from "./route-rule.ts";

const NO_CONTENT = 204;
const FAILED = 500;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };
/** "_" in place of "-" is the same name to some (plainName). */
const OWN = /^(?:host|forwarded|x[-_]forwarded[-_](?:for|host|port|proto)|x[-_]real[-_]ip)$/i;

/** `port`: the listener's. */
export function applyRule(entry: Entry, seen: Seen, port: number, tell: Tell | undefined): Decision {
  const { rule } = entry;
  if (rule.filters.length === 0) return forward(entry, seen, port, undefined, tell);
  const cors = rule.filters.find(({ type }) => type === "CORS")?.cors;
  const preflight = cors === undefined ? undefined : preflightOf(cors, seen, tell);
  if (preflight !== undefined) return { ...preflight, rule: rule.title };
  const redirect = rule.filters.find(({ type }) => type === "RequestRedirect")?.requestRedirect;
  if (redirect !== undefined) {
    const location = locationOf(redirect, entry, seen, port);
    const action = answer(redirect.statusCode, [], location);
    return { rule: rule.title, action, reason: `RequestRedirect of ${rule.title}` };
  }
  return forward(entry, seen, port, cors, tell);
}

function forward(
  entry: Entry,
  seen: Seen,
  port: number,
  cors: CorsFilter | undefined,
  tell: Tell | undefined,
): Decision {
  const { rule } = entry;
  const { request } = seen;
  const rewrite = rule.filters.find(({ type }) => type === "URLRewrite")?.urlRewrite;
  const target =
    rewrite?.path === undefined ? request.target : `${replaced(rewrite.path, entry, seen)}${seen.query}`;
  const host = rewrite?.hostname ?? request.host ?? "";
  if (target !== request.target) tell?.("rewrite", `${request.target} becomes ${target}`);
  if (host !== (request.host ?? "")) tell?.("rewrite", `Host becomes ${host}`);
  const common = changed(baseHeaders(seen, host, port), rule.filters);
  const answers =
    cors === undefined ? rule.answerHeaders : [...rule.answerHeaders, ...corsHeaders(cors, seen).map(asSet)];
  const choices = rule.hasOwnFilters ? withOwnFilters(rule.choices, common, answers) : rule.choices;
  const first = rule.hasOwnFilters ? likeliest(choices) : rule.drawn;
  if (tell !== undefined) tellWhere(rule, tell);
  if (first === undefined) {
    const [{ status = FAILED, why = "" }] = [...choices].sort((a, b) => b.share - a.share);
    return { rule: rule.title, action: answer(status), reason: `${why} (${rule.title})` };
  }
  const { timeouts, retries, affinity, mirrors } = rule;
  return {
    rule: rule.title,
    action: {
      kind: "forward",
      choices,
      target,
      host,
      headers: rule.hasOwnFilters ? (first.headers ?? common) : common,
      answerHeaders: rule.hasOwnFilters ? (first.answerHeaders ?? answers) : answers,
      protocol: rule.protocol,
      timeouts,
      retries,
      bodyMax: 0,
      affinity,
      mirrors,
    },
    reason: rule.reason,
  };
}

function withOwnFilters(
  choices: RouteRule["choices"],
  common: readonly Header[],
  answers: readonly HeaderChange[],
): Choice[] {
  return choices.map(({ filters, ...choice }) =>
    filters.length === 0
      ? choice
      : {
          ...choice,
          headers: changed(common, filters),
          answerHeaders: [...answers, ...answerChanges(filters)],
        },
  );
}

function tellWhere({ choices, mirrors }: RouteRule, tell: Tell): void {
  for (const { backend, why, share } of choices)
    tell(
      "backend",
      backend === undefined
        ? `${percent(share)} fail: ${why}`
        : `${backend.name}: ${endpointsText(backend.endpoints)}`,
    );
  for (const { target, share } of mirrors)
    tell(
      "mirror",
      share === 1 ? `a copy goes to ${target}` : `of ${percent(share)} a copy goes to ${target}`,
    );
}

/** The proxy's own come last, whatever a client says under their names. */
function baseHeaders({ request }: Seen, host: string, port: number): Header[] {
  const client = clientText(request.client);
  const headers: Header[] = [];
  for (const each of request.headers) if (!OWN.test(each.name)) headers.push(each);
  addHeader(headers, "Host", host);
  addHeader(headers, "X-Real-IP", client);
  addHeader(headers, "X-Forwarded-For", client);
  addHeader(headers, "X-Forwarded-Host", request.host ?? "");
  addHeader(headers, "X-Forwarded-Port", String(port));
  addHeader(headers, "X-Forwarded-Proto", request.scheme);
  return headers;
}

function changed(headers: readonly Header[], filters: readonly RouteFilter[]): readonly Header[] {
  if (filters.length === 0) return headers;
  let list = [...headers];
  for (const { requestHeaderModifier } of filters) {
    for (const { what, name, value } of changesOf(requestHeaderModifier)) {
      const isIt = (each: Header): boolean => each.name.toLowerCase() === name.toLowerCase();
      if (what === "add") list.push({ name, value });
      else list = [...list.filter((each) => !isIt(each)), ...(what === "set" ? [{ name, value }] : [])];
    }
  }
  return list;
}

type Redirect = NonNullable<RouteFilter["requestRedirect"]>;

function locationOf(redirect: Redirect, entry: Entry, seen: Seen, port: number): string {
  const { request, query } = seen;
  const scheme = redirect.scheme ?? request.scheme;
  const host = redirect.hostname ?? hostName(request.host ?? "");
  const number = redirect.port ?? (redirect.scheme === undefined ? port : DEFAULT_PORTS[scheme]);
  const shown = number === DEFAULT_PORTS[scheme] ? "" : `:${number}`;
  const path =
    redirect.path === undefined ? request.target.split("?", 1)[0] : replaced(redirect.path, entry, seen);
  return `${scheme}://${host}${shown}${path}${query}`;
}

function replaced(modifier: PathModifier, { kind, path: prefix }: Entry, { path = "/" }: Seen): string {
  if (modifier.type === "ReplaceFullPath") return plainTarget(modifier.replaceFullPath || "/");
  if (kind !== "prefix") return encodedPath(path);
  const rest = path.slice(prefix.length); // "" or from a slash on
  const start = plainTarget(modifier.replacePrefixMatch ?? "").replace(/\/+$/, "");
  return `${start}${encodedPath(rest)}` || "/";
}

function preflightOf(cors: CorsFilter, seen: Seen, tell: Tell | undefined): Decision | undefined {
  const { request } = seen;
  const isPreflight =
    request.method === "OPTIONS" && headerOf(request.headers, "access-control-request-method") !== undefined;
  if (!isPreflight) return undefined;
  const headers = corsHeaders(cors, seen);
  if (headers.length === 0) tell?.("cors", "the origin is not one that is let in: no header says so");
  const asked = headerOf(request.headers, "access-control-request-headers") ?? "";
  const method = headerOf(request.headers, "access-control-request-method") ?? "";
  const { allowMethods = [], allowHeaders = [], maxAge } = cors;
  const list = (allowed: readonly string[], echo: string): string =>
    allowed.includes("*") ? echo : allowed.join(", ");
  const more: [string, string][] = [
    ["Access-Control-Allow-Methods", list(allowMethods, method)],
    ["Access-Control-Allow-Headers", list(allowHeaders, asked)],
    ["Access-Control-Max-Age", String(maxAge)],
  ];
  const told = headers.length === 0 ? [] : more.filter(([, value]) => value !== "");
  return {
    action: answer(NO_CONTENT, [...headers, ...told.map(([name, value]) => ({ name, value }))]),
    reason: "a preflight, answered by the CORS filter",
  };
}

function corsHeaders(
  { allowOrigins = [], allowCredentials, exposeHeaders = [] }: CorsFilter,
  { request }: Seen,
): Header[] {
  const origin = headerOf(request.headers, "origin");
  if (origin === undefined || !allowOrigins.some((each) => isOrigin(each, origin))) return [];
  return [
    {
      name: "Access-Control-Allow-Origin",
      value: allowOrigins.includes("*") && allowCredentials !== true ? "*" : origin,
    },
    ...(allowCredentials === true ? [{ name: "Access-Control-Allow-Credentials", value: "true" }] : []),
    ...(exposeHeaders.length === 0
      ? []
      : [{ name: "Access-Control-Expose-Headers", value: exposeHeaders.join(", ") }]),
  ];
}

/** https://*.example.com is every https origin below example.com. */
function isOrigin(allowed: string, origin: string): boolean {
  if (allowed === "*" || allowed.toLowerCase() === origin.toLowerCase()) return true;
  const [scheme, rest] = allowed.toLowerCase().split("://*", 2);
  return (
    rest !== undefined &&
    origin.toLowerCase().startsWith(`${scheme}://`) &&
    origin.toLowerCase().endsWith(rest)
  );
}

function asSet(header: Header): HeaderChange {
  return { ...header, what: "set" };
}
