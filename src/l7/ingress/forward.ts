// A request that an Ingress' path lets on: which Service, with which path, host and headers.
import { type Backend, type Backends, isThere, type PortRef } from "../backends.ts";
import {
  answer,
  type Choice,
  type Decision,
  type Forward,
  type HeaderChange,
  type Tell,
} from "../decision.ts";
import { isToken, isValue } from "../header-form.ts";
import { addHeader, clientText, cookieOf, type Header, headerOf, type Seen } from "../request.ts";
import { endpointsText, percent } from "../words.ts";
import { corsChanges } from "./cors.ts";
import { rewritten } from "./rewrite.ts";
import type { Canary, Location, Target } from "./site.ts";

export type CustomHeaders = (configMap: string) => Readonly<Record<string, string>> | undefined;

export interface Forwarding {
  readonly backends: Backends;
  readonly customHeaders: CustomHeaders;
}

const STATUS = { unserved: 503, found: 302 };
const NO_MIRRORS: readonly never[] = [];
const NO_CHANGES: readonly never[] = [];

export function forwardTo(
  location: Location,
  seen: Seen,
  with_: Forwarding,
  tell: Tell | undefined,
): Decision {
  const { settings, rule } = location;
  const { request } = seen;
  const target = rewritten(location, seen);
  if (target !== request.target) {
    if (/^https?:\/\//.test(target))
      return { action: answer(STATUS.found, [], target), reason: `rewrite-target of ${rule} is an address` };
    tell?.("rewrite", `${request.target} becomes ${target}`);
  }
  const choices = plan(location, seen, with_.backends, tell);
  if (tell !== undefined) tellExtras(location, tell);
  if (!location.isServed) {
    const [{ status = STATUS.unserved, why = "" }] = choices;
    return { action: answer(status), reason: why };
  }
  const { affinity } = settings;
  const action: Forward = {
    kind: "forward",
    choices,
    target,
    host: settings.upstreamVhost || (request.host ?? ""),
    headers: requestHeaders(location, seen),
    answerHeaders: answerChanges(location, seen, with_, tell),
    protocol: settings.protocol,
    timeouts: settings.timeouts,
    retries: settings.retries,
    bodyMax: settings.bodyMax,
    limits: settings.limits,
    auth: settings.auth,
    affinity:
      affinity === undefined ? undefined : { ...affinity, path: affinity.path || cookiePath(location) },
    mirrors: settings.mirror === undefined ? NO_MIRRORS : [{ ...settings.mirror, share: 1 }],
  };
  return { rule, action, reason: location.reason };
}

/** A canary's request says itself where it may go; all others of a location go the same way. */
function plan(location: Location, seen: Seen, backends: Backends, tell: Tell | undefined): readonly Choice[] {
  const known = location.epoch === backends.epoch ? location.choices : undefined;
  if (known !== undefined && tell === undefined && location.canary === undefined) return known;
  location.epoch = backends.epoch;
  const choices = shared(choose(location, seen, backends, tell));
  location.choices = choices;
  location.reason = reasonOf(choices, location.rule);
  location.isServed = choices.some(({ backend }) => backend !== undefined);
  return choices;
}

const soles = new WeakMap<Backend, readonly Choice[]>();

/** Rules that all lead to one backend have one list: of thousands each would be somewhere else in memory. */
function shared(choices: readonly Choice[]): readonly Choice[] {
  const [{ backend, why }] = choices;
  if (choices.length > 1 || backend === undefined || why !== undefined) return choices;
  const known = soles.get(backend);
  if (known !== undefined) return known;
  soles.set(backend, choices);
  return choices;
}

function tellExtras({ settings }: Location, tell: Tell): void {
  const { affinity, auth, limits, mirror } = settings;
  if (auth !== undefined)
    tell("auth", `${auth.method} ${auth.url} is asked first: only 2xx lets the request on`);
  if (limits !== undefined) tell("limit", limitText(limits));
  if (affinity !== undefined)
    tell("affinity", `the cookie ${affinity.cookie} brings a client back to its endpoint`);
  if (mirror !== undefined) tell("mirror", `a copy goes to ${mirror.target}`);
}

function answerChanges(
  location: Location,
  seen: Seen,
  with_: Forwarding,
  tell: Tell | undefined,
): readonly HeaderChange[] {
  const { cors, customHeaders } = location.settings;
  if (cors === undefined && customHeaders === "") return NO_CHANGES;
  return [...corsChanges(cors, seen), ...customChanges(location, with_, tell)];
}

function reasonOf(choices: readonly Choice[], rule: string): string {
  const all = choices.map(({ backend, why, share }) => {
    const name = backend?.name ?? why ?? "";
    return choices.length === 1 ? name : `${name} (${percent(share)})`;
  });
  return `to ${all.join(", ")} by ${rule}`;
}

function limitText({ perSec, burst, connections, status }: NonNullable<Forward["limits"]>): string {
  const parts = [
    ...(perSec === undefined
      ? []
      : [`${Number(perSec.toFixed(3))} requests a second, ${burst} at once above that`]),
    ...(connections === undefined ? [] : [`${connections} connections`]),
  ];
  return `of one client ${parts.join(" and ")}; what is more gets ${status}`;
}

/** With a canary two, unless the request itself says which. */
function choose(location: Location, seen: Seen, backends: Backends, tell: Tell | undefined): Choice[] {
  const main = choiceOf(location, location.target, backends, tell);
  const { canary } = location;
  if (canary === undefined) return [main];
  const [share, why] = canaryShare(canary, seen);
  tell?.("canary", `${canary.rule}: ${why}: ${percent(share)} of such requests`);
  const other = choiceOf(location, canary.target, backends, tell);
  if (share <= 0) return [main];
  if (share >= 1) return [{ ...other, why: other.why ?? "the canary" }];
  return [
    { ...main, share: 1 - share },
    { ...other, share, why: other.why ?? "the canary" },
  ];
}

/** Header, then cookie, then weight. */
function canaryShare({ canary, pattern }: Canary, { request }: Seen): [share: number, why: string] {
  const { header, headerValue, headerPattern, cookie, weight, total } = canary;
  const value = header === "" ? undefined : headerOf(request.headers, header);
  if (value !== undefined) {
    if (headerValue !== "") {
      if (value === headerValue) return [1, `header ${header} is ${value}`];
    } else if (headerPattern !== "") {
      if (pattern?.matcher(value).find() === true) return [1, `header ${header} matches ${headerPattern}`];
    } else if (value === "always" || value === "never") {
      return [value === "always" ? 1 : 0, `header ${header} is ${value}`];
    }
  }
  const crumb = cookie === "" ? undefined : cookieOf(request.headers, cookie);
  if (crumb === "always" || crumb === "never")
    return [crumb === "always" ? 1 : 0, `cookie ${cookie} is ${crumb}`];
  return [Math.min(1, weight / total), `weight ${weight} of ${total}`];
}

/** Where nobody serves it, the Service of the annotation default-backend. */
function choiceOf(location: Location, target: Target, backends: Backends, tell: Tell | undefined): Choice {
  if ("refused" in target)
    return { share: 1, status: STATUS.unserved, why: `${location.rule}: ${target.refused}` };
  const { found, why } = served(target.port, backends, location.settings.toService);
  if (found !== undefined) {
    tell?.("backend", `${found.name}: ${endpointText(found, backends)}`);
    return { share: 1, backend: found };
  }
  const { defaultBackend } = location.settings;
  if (defaultBackend === "") return { share: 1, status: STATUS.unserved, why };
  const name = { namespace: location.namespace, name: defaultBackend, port: undefined };
  const instead = served(name, backends, false);
  tell?.("backend", `${why}: default-backend ${defaultBackend}`);
  if (instead.found === undefined) return { share: 1, status: STATUS.unserved, why: instead.why };
  return { share: 1, backend: instead.found, why: "default-backend" };
}

function served(port: PortRef, backends: Backends, toService: boolean): { found?: Backend; why: string } {
  const found = backends.find(port);
  if (!isThere(found)) return { why: found.missing };
  if (toService && found.clusterAddress !== "")
    return { found: { ...found, endpoints: [found.clusterAddress] }, why: "" };
  if (found.endpoints.length === 0) return { why: `${found.name} has no endpoint that is ready` };
  return { found, why: "" };
}

function endpointText({ endpoints }: Backend, backends: Backends): string {
  return backends.areAssumed ? "its endpoints are not among these objects" : endpointsText(endpoints);
}

function cookiePath({ path, pattern, settings }: Location): string {
  return pattern !== undefined && settings.useRegex ? "/" : path;
}

const FORWARDED = "x-forwarded-(?:for|host|port|proto|scheme|prefix)|x-original-forwarded-for|forwarded";
/** "_" in place of "-" is the same name to some (plainName). */
const DROPPED = new RegExp(`^(?:host|proxy|x-real-ip|x-scheme|${FORWARDED})$`.replaceAll("-", "[-_]"), "i");

/** As ingress-nginx tells the backend who asked, and for what; nothing of it is believed from a client. */
function requestHeaders({ settings }: Location, { request }: Seen): Header[] {
  const { scheme, port, host = "" } = request;
  const headers: Header[] = [];
  let given = "";
  for (const each of request.headers) {
    if (!DROPPED.test(each.name)) headers.push(each);
    else if (each.name.toLowerCase() === "x-forwarded-for")
      given += `${given === "" ? "" : ", "}${each.value}`;
  }
  const client = clientText(request.client);
  addHeader(headers, "Host", settings.upstreamVhost || host);
  addHeader(headers, "X-Real-IP", client);
  addHeader(headers, "X-Forwarded-For", client);
  addHeader(headers, "X-Forwarded-Host", host);
  addHeader(
    headers,
    "X-Forwarded-Port",
    port === undefined ? (scheme === "https" ? "443" : "80") : String(port),
  );
  addHeader(headers, "X-Forwarded-Proto", scheme);
  addHeader(headers, "X-Forwarded-Scheme", scheme);
  addHeader(headers, "X-Scheme", scheme);
  addHeader(headers, "X-Original-Forwarded-For", given);
  addHeader(headers, "X-Forwarded-Prefix", settings.forwardedPrefix);
  return headers;
}

function customChanges(
  { settings }: Location,
  { customHeaders }: Forwarding,
  tell: Tell | undefined,
): HeaderChange[] {
  if (settings.customHeaders === "") return [];
  const data = customHeaders(settings.customHeaders);
  if (data === undefined) {
    tell?.("headers", `custom-headers: there is no ConfigMap ${settings.customHeaders}: nothing is added`);
    return [];
  }
  const all = Object.entries(data).map(
    ([name, value]): HeaderChange => ({ what: "set", name, value: value.trim() }),
  );
  const good = all.filter(({ name, value }) => isToken.test(name) && isValue.test(value));
  for (const each of all)
    if (!good.includes(each))
      tell?.("headers", `custom-headers: ${JSON.stringify(each.name)} is no header: left out`);
  return good;
}
