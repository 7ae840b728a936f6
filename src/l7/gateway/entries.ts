// Matches of routes, in the order in which the Gateway API has them win: the exact path, then patterns, then the longest
// prefix; a method, more headers, more query parameters; then the older route, the name, the place in it.
import { RE2JS } from "re2js";
import type { GrpcMatch, HttpMatch, ValueMatch } from "../../kube/gateway/gateway-objects.ts";
import { PathMap } from "../match/path-map.ts";
import { headerOf, type Seen } from "../request.ts";
import type { RouteRule } from "./route-rule.ts";

interface Value {
  readonly name: string;
  readonly value: string;
  /** Undefined: the value itself. */
  readonly pattern: RE2JS | undefined;
}

export interface Entry {
  readonly rule: RouteRule;
  readonly kind: "exact" | "pattern" | "prefix";
  /** Without a slash at the end where it is a prefix. */
  readonly path: string;
  readonly pattern: RE2JS | undefined;
  readonly method: string;
  readonly headers: readonly Value[];
  readonly query: readonly Value[];
  /** Among all: who is older comes first. */
  readonly order: number;
}

const NONE: readonly never[] = [];

/** A pattern that cannot be read: its match never holds. */
export class BadPattern extends Error {}

export function httpEntry(rule: RouteRule, match: HttpMatch, order: number): Entry {
  const { path, headers = [], queryParams = [], method = "" } = match;
  const kind = path.type === "Exact" ? "exact" : path.type === "PathPrefix" ? "prefix" : "pattern";
  return {
    rule,
    kind,
    path: kind === "prefix" ? path.value.replace(/\/+$/, "") : path.value,
    method,
    headers: readValues(headers, true),
    query: readValues(queryParams, false),
    pattern: kind === "pattern" ? compiled(path.value) : undefined,
    order,
  };
}

/** A gRPC method is the path /SERVICE/METHOD. */
export function grpcEntry(rule: RouteRule, { method, headers = [] }: GrpcMatch, order: number): Entry {
  const { service = "", method: name = "", type = "Exact" } = method ?? {};
  const shared = { rule, order, method: "", query: NONE, headers: readValues(headers, true) };
  if (service + name === "") return { ...shared, kind: "prefix", path: "", pattern: undefined };
  if (type === "Exact" && service !== "" && name !== "")
    return { ...shared, kind: "exact", path: `/${service}/${name}`, pattern: undefined };
  if (type === "Exact" && service !== "")
    return { ...shared, kind: "prefix", path: `/${service}`, pattern: undefined };
  const [before, after] = type === "Exact" ? ["", RE2JS.quote(name)] : [service, name];
  const path = `/${before || "[^/]+"}/${after || "[^/]+"}`;
  return { ...shared, kind: "pattern", path, pattern: compiled(path) };
}

/** Of several of one name the first counts. All that have none share one list, which is then at hand. */
function readValues(values: readonly ValueMatch[], isHeader: boolean): readonly Value[] {
  if (values.length === 0) return NONE;
  const key = ({ name }: ValueMatch): string => (isHeader ? name.toLowerCase() : name);
  const isFirst = (each: ValueMatch, i: number): boolean =>
    values.findIndex((other) => key(other) === key(each)) === i;
  return values.filter(isFirst).map(readValue);
}

function readValue({ name, value, type }: ValueMatch): Value {
  return { name, value, pattern: type === "RegularExpression" ? compiled(value) : undefined };
}

function compiled(text: string): RE2JS {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    throw new BadPattern(`${JSON.stringify(text)} is no pattern of RE2: ${(error as Error).message}`);
  }
}

function precedes(a: Entry, b: Entry): number {
  return (
    Number(b.method !== "") - Number(a.method !== "") ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length ||
    a.order - b.order
  );
}

/** Those of one hostname. */
export class HostEntries {
  readonly #exact = new Map<string, Entry[]>();
  readonly #prefixes = new PathMap<Entry[]>();
  #patterns: Entry[] = [];

  add(entry: Entry): void {
    const { kind, path } = entry;
    if (kind === "pattern") {
      this.#patterns = [...this.#patterns, entry].sort(
        (a, b) => b.path.length - a.path.length || precedes(a, b),
      );
      return;
    }
    let list = kind === "exact" ? this.#exact.get(path) : this.#prefixes.at("prefix", path || "/", () => []);
    if (list === undefined) this.#exact.set(path, (list = []));
    list.push(entry);
    list.sort(precedes);
  }

  find(seen: Seen): Entry | undefined {
    const { path = "" } = seen;
    const first = (list: readonly Entry[]): Entry | undefined => list.find((entry) => holds(entry, seen));
    return (
      first(this.#exact.get(path) ?? []) ??
      this.#patterns.find((entry) => entry.pattern?.matches(path) === true && holds(entry, seen)) ??
      this.#prefixes.find(path, first)
    );
  }
}

/** All but the path. */
function holds({ method, headers, query }: Entry, seen: Seen): boolean {
  const { request } = seen;
  if (method !== "" && method !== request.method) return false;
  for (const each of headers) {
    const value = headerOf(request.headers, each.name.toLowerCase());
    if (value === undefined || !isValue(each, value)) return false;
  }
  if (query.length === 0) return true;
  const given = new URLSearchParams(seen.query);
  return query.every((each) => {
    const value = given.get(each.name);
    return value !== null && isValue(each, value);
  });
}

function isValue({ value, pattern }: Value, given: string): boolean {
  return pattern === undefined ? value === given : pattern.matches(given);
}

export function matchText({ rule, kind, path, method, headers, query }: Entry): string {
  const names = { exact: "Exact", prefix: "PathPrefix", pattern: "RegularExpression" };
  const parts = [
    `${names[kind]} ${path || "/"}`,
    ...(method === "" ? [] : [`method ${method}`]),
    ...headers.map(({ name, value }) => `header ${name}: ${value}`),
    ...query.map(({ name, value }) => `query ${name}=${value}`),
  ];
  return `${parts.join(", ")}: ${rule.title}`;
}
