// What a Gateway and its HTTPRoutes say of a request, by the book and slowly: every match of every route is scored by all
// that the specification compares, and the best one is taken. It shares no code with src/l7; patterns are JavaScript's.
import type {
  BackendRef,
  Gateway,
  HttpMatch,
  HttpRoute,
  HttpRule,
  Listener,
  ReferenceGrant,
} from "../../kube/gateway/gateway-objects.ts";
import type { KubeObject, Service } from "../../kube/objects.ts";
import type { HttpRequest } from "../../l7/request.ts";

interface Candidate {
  readonly route: HttpRoute;
  readonly rule: HttpRule;
  readonly match: HttpMatch;
  readonly score: readonly number[];
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;
const KINDS = ["PathPrefix", "RegularExpression", "Exact"];

export class GatewayBook {
  readonly #objects: readonly KubeObject[];
  readonly #gateway: Gateway;
  /** The oldest first. */
  readonly #routes: HttpRoute[];

  constructor(objects: readonly KubeObject[]) {
    const time = (each: KubeObject): string => each.metadata.creationTimestamp ?? "";
    this.#objects = objects;
    this.#gateway = objects.find(({ kind }) => kind === "Gateway") as Gateway;
    this.#routes = objects
      .filter((each): each is HttpRoute => each.kind === "HTTPRoute")
      .sort((a, b) => (time(a) === time(b) ? (keyOf(a) < keyOf(b) ? -1 : 1) : time(a) < time(b) ? -1 : 1));
  }

  answer(request: HttpRequest): string {
    const host = (request.host ?? "").toLowerCase().replace(/:\d+$/, "");
    const path = request.target.split("?")[0];
    const query = request.target.slice(path.length);
    const listener = this.#listenerFor(host, request.port ?? 80);
    if (listener === undefined) return "404";
    const all = this.#routes.flatMap((route, age) =>
      this.#candidates(route, age, listener, host, path, request),
    );
    const best = all.reduce<Candidate | undefined>(
      (a, b) => (a === undefined || isMore(b.score, a.score) ? b : a),
      undefined,
    );
    return best === undefined ? "404" : this.#apply(best, listener, request, path, query);
  }

  #listenerFor(host: string, port: number): Listener | undefined {
    const fitting = this.#gateway.spec.listeners.filter(
      (each) => each.port === port && covers(each.hostname ?? "", host),
    );
    return fitting.sort((a, b) => weightOf(b.hostname ?? "") - weightOf(a.hostname ?? ""))[0];
  }

  #candidates(
    route: HttpRoute,
    age: number,
    listener: Listener,
    host: string,
    path: string,
    request: HttpRequest,
  ): Candidate[] {
    if (!this.#isAttached(route, listener)) return [];
    const hostnames = (route.spec.hostnames ?? []).length === 0 ? [""] : (route.spec.hostnames as string[]);
    const best = Math.max(-1, ...hostnames.filter((each) => covers(each, host)).map(weightOf));
    if (best < 0) return [];
    return route.spec.rules.flatMap((rule, i) =>
      rule.matches.flatMap((match, j) => {
        if (!isMatch(match, path, request)) return [];
        const { type, value } = match.path;
        const length = type === "PathPrefix" ? value.replace(/\/+$/, "").length : value.length;
        const counts = [
          Number(match.method !== undefined),
          (match.headers ?? []).length,
          (match.queryParams ?? []).length,
        ];
        return [{ route, rule, match, score: [best, KINDS.indexOf(type), length, ...counts, -age, -i, -j] }];
      }),
    );
  }

  #isAttached(route: HttpRoute, listener: Listener): boolean {
    const parent = (route.spec.parentRefs ?? []).find(
      ({ name, sectionName, port }) =>
        name === this.#gateway.metadata.name &&
        (sectionName === undefined || sectionName === listener.name) &&
        (port === undefined || port === listener.port),
    );
    const isAllowed =
      listener.allowedRoutes.namespaces.from === "All" ||
      route.metadata.namespace === this.#gateway.metadata.namespace;
    return parent !== undefined && isAllowed;
  }

  #apply(
    { route, rule, match }: Candidate,
    { port }: Listener,
    r: HttpRequest,
    path: string,
    query: string,
  ): string {
    const { filters = [] } = rule;
    const redirect = filters.find(({ type }) => type === "RequestRedirect")?.requestRedirect;
    const rewrite = filters.find(({ type }) => type === "URLRewrite")?.urlRewrite;
    const changed = (
      modifier: { type: string; replaceFullPath?: string; replacePrefixMatch?: string } | undefined,
    ): string => {
      if (modifier === undefined) return path;
      if (modifier.type === "ReplaceFullPath") return modifier.replaceFullPath as string;
      const rest = path.slice(match.path.value.replace(/\/$/, "").length).replace(/^\//, "");
      const start = (modifier.replacePrefixMatch as string).replace(/\/$/, "");
      const isBare = path.length <= match.path.value.replace(/\/$/, "").length;
      return isBare ? start || "/" : `${start}/${rest}`;
    };
    if (redirect !== undefined) {
      const scheme = redirect.scheme ?? r.scheme;
      const usual = scheme === "https" ? 443 : 80;
      const number = redirect.port ?? (redirect.scheme === undefined ? port : usual);
      const name = redirect.hostname ?? (r.host ?? "").toLowerCase().replace(/:\d+$/, "");
      const shown = number === usual ? "" : `:${number}`;
      return `${redirect.statusCode} ${scheme}://${name}${shown}${changed(redirect.path)}${query}`;
    }
    return this.#forward(route, rule, `${changed(rewrite?.path)}${query}`, rewrite?.hostname ?? r.host ?? "");
  }

  #forward(route: HttpRoute, { backendRefs = [] }: HttpRule, target: string, host: string): string {
    const total = backendRefs.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return "500";
    const all = backendRefs
      .filter(({ weight }) => weight > 0)
      .map((ref) => ({ name: this.#served(route, ref), share: ref.weight / total }));
    if (all.every(({ name }) => /^\d+$/.test(name))) {
      return [...all].sort((a, b) => b.share - a.share)[0].name;
    }
    const words = all.map(({ name, share }) =>
      all.length === 1 ? name : `${name}×${Number(share.toFixed(4))}`,
    );
    return `${words.join(" ")} ${target} ${host}`;
  }

  #served(route: HttpRoute, ref: BackendRef): string {
    const namespace = ref.namespace ?? (route.metadata.namespace as string);
    const isOwn = namespace === route.metadata.namespace;
    const isGranted = this.#objects.some(
      (each) =>
        each.kind === "ReferenceGrant" &&
        each.metadata.namespace === namespace &&
        (each as ReferenceGrant).spec.from.some(
          (from) => from.namespace === route.metadata.namespace && from.kind === "HTTPRoute",
        ) &&
        (each as ReferenceGrant).spec.to.some(
          (to) => to.kind === "Service" && (to.name ?? ref.name) === ref.name,
        ),
    );
    const service = this.#objects.find(
      (each) => each.kind === "Service" && keyOf(each) === `${namespace}/${ref.name}`,
    );
    const port = (service as Service | undefined)?.spec.ports?.find((each) => each.port === ref.port);
    if (ref.kind !== "Service" || !(isOwn || isGranted) || port === undefined) return "500";
    const hasEndpoints = this.#objects.some(
      (each) =>
        each.kind === "EndpointSlice" &&
        each.metadata.namespace === namespace &&
        each.metadata.labels?.["kubernetes.io/service-name"] === ref.name &&
        (each as unknown as { endpoints: unknown[] }).endpoints.length > 0,
    );
    return hasEndpoints ? `${namespace}/${ref.name}:${ref.port}` : "503";
  }
}

function covers(hostname: string, host: string): boolean {
  if (hostname === "") return true;
  const own = hostname.split(".");
  const given = host.split(".");
  if (own[0] !== "*") return hostname === host;
  return given.length >= own.length && given.slice(-own.length + 1).join(".") === own.slice(1).join(".");
}

/** Names before wildcards, then the longer. */
function weightOf(hostname: string): number {
  return hostname === "" ? 0 : hostname.startsWith("*") ? hostname.length : 1000 + hostname.length;
}

function isMatch(
  { path: own, method, headers = [], queryParams = [] }: HttpMatch,
  path: string,
  r: HttpRequest,
): boolean {
  const { type, value } = own;
  const elements = value.split("/").filter((each) => each !== "");
  const isPath =
    type === "Exact"
      ? path === value
      : type === "PathPrefix"
        ? elements.every((each, i) => each === path.split("/")[i + 1])
        : new RegExp(`^(?:${value})$`).test(path);
  const query = new Map([...new URLSearchParams(r.target.split("?")[1] ?? "")].reverse()); // the first one counts
  const is = (given: string | undefined, each: { type: string; value: string }): boolean =>
    given !== undefined &&
    (each.type === "Exact" ? given === each.value : new RegExp(`^(?:${each.value})$`).test(given));
  return (
    isPath &&
    (method === undefined || method === r.method) &&
    headers.every((each) =>
      is(r.headers.find(({ name }) => name.toLowerCase() === each.name.toLowerCase())?.value, each),
    ) &&
    queryParams.every((each) => is(query.get(each.name), each))
  );
}

function isMore(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((each, at) => each !== b[at]);
  return i >= 0 && a[i] > b[i];
}
