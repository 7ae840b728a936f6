// A request's URL taken apart: /apis/apps/v1/namespaces/shop/deployments/web/scale?…
import { badRequest } from "./status.ts";

export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** status, scale …; what is behind it (of a proxy) with its slashes. */
  readonly subresource: string | undefined;
}

export interface Selectors {
  readonly labelSelector: string;
  readonly fieldSelector: string;
}

export interface ListOptions extends Selectors {
  /** 0: all. */
  readonly limit: number;
  readonly continue: string;
  /** "": the newest; "0": any. */
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
}

export interface WatchOptions extends ListOptions {
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents: boolean;
  /** 0: the server's choice. */
  readonly timeoutSeconds: number;
}

export type Query = URLSearchParams;

/** Path and query of a request, the path without "." and ".." in it. Throws a StatusError. */
export function urlOf(text: string): URL {
  try {
    return new URL(text.replace(/^\/+/, "/"), "https://kubernetes");
  } catch {
    throw badRequest("the URL of the request cannot be read");
  }
}

/** The parts of a path, decoded. Throws a StatusError where a part is no text. */
export function splitPath(pathname: string): string[] {
  return pathname
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        throw badRequest(`invalid URL escape ${JSON.stringify(part)}`);
      }
    });
}

/** Undefined: not a resource's path (/version, /apis/apps/v1 …). */
export function resourcePath(parts: readonly string[]): ResourcePath | undefined {
  const isCore = parts[0] === "api";
  if (!isCore && parts[0] !== "apis") return undefined;
  const [group, version] = isCore ? ["", parts[1]] : [parts[1], parts[2]];
  const rest = parts.slice(isCore ? 2 : 3);
  if (rest.length === 0) return undefined;
  // /namespaces/shop/pods is about pods, /namespaces/shop and /namespaces/shop/status about the namespace.
  const isInside = rest[0] === "namespaces" && rest.length > 2 && !NAMESPACE_PARTS.includes(rest[2]);
  const [namespace, own] = isInside ? [rest[1], rest.slice(2)] : [undefined, rest];
  const [plural, name, ...sub] = own;
  return {
    group,
    version,
    plural,
    namespace,
    name,
    subresource: sub.length === 0 ? undefined : sub.join("/"),
  };
}

const NAMESPACE_PARTS: readonly string[] = ["status", "finalize"];

export function listOptions(query: Query): ListOptions {
  return {
    labelSelector: query.get("labelSelector") ?? "",
    fieldSelector: query.get("fieldSelector") ?? "",
    limit: countOf(query, "limit"),
    continue: query.get("continue") ?? "",
    resourceVersion: query.get("resourceVersion") ?? "",
    resourceVersionMatch: query.get("resourceVersionMatch") ?? "",
  };
}

export function watchOptions(query: Query): WatchOptions {
  return {
    ...listOptions(query),
    allowBookmarks: flagOf(query, "allowWatchBookmarks"),
    sendInitialEvents: flagOf(query, "sendInitialEvents"),
    timeoutSeconds: countOf(query, "timeoutSeconds"),
  };
}

/** As Go's conversion of a query: "", "0" and "false" are no. */
export function flagOf(query: Query, name: string): boolean {
  const text = query.get(name);
  return text !== null && text !== "0" && text.toLowerCase() !== "false";
}

export function isDryRun(query: Query, given?: readonly unknown[]): boolean {
  const asked = [...query.getAll("dryRun"), ...(given ?? [])];
  const wrong = asked.find((each) => each !== "All");
  if (wrong !== undefined) throw badRequest(`invalid dryRun value ${JSON.stringify(wrong)}: supported: All`);
  return asked.length > 0;
}

function countOf(query: Query, name: string): number {
  const text = query.get(name) ?? "";
  if (text === "") return 0;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`${name}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}
