// A random Gateway with HTTPRoutes, and requests that come close to their matches: from a seed.
import type { KubeObject } from "../../kube/objects.ts";
import { type HttpRequest, readRequest } from "../../l7/request.ts";
import { Prng } from "../prng.ts";
import { objectsOf, served } from "./objects.ts";

const LISTENERS = ["", "*.example", "a.example", "*.a.example", "b.a.example"];
const HOSTNAMES = ["a.example", "*.example", "b.a.example", "*.a.example", "*.b.a.example", "c.test"];
const HOSTS = [
  "a.example",
  "A.example:8080",
  "b.a.example",
  "c.b.a.example",
  "x.example",
  "c.test",
  "example",
  "",
];
const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/b"];
const ASKED = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/"];
const SERVICES = ["one", "two", "empty", "gone"];
const VALUES = ["1", "2"];

export const GATEWAY_GROUP = "gateway.networking.k8s.io";

export function gateway(listeners: readonly object[], more: object = {}): object {
  return {
    apiVersion: `${GATEWAY_GROUP}/v1`,
    kind: "Gateway",
    metadata: { name: "gw", namespace: "shop", ...more },
    spec: { gatewayClassName: "podwire", listeners },
  };
}

export function httpRoute(name: string, spec: object, metadata: object = {}): object {
  return {
    apiVersion: `${GATEWAY_GROUP}/v1`,
    kind: "HTTPRoute",
    metadata: { name, namespace: "shop", ...metadata },
    spec: { parentRefs: [{ name: "gw", namespace: "shop" }], ...spec },
  };
}

export interface RandomRoutes {
  readonly objects: KubeObject[];
  readonly requests: HttpRequest[];
}

/** `says`: of filters those that the book of rules has, or all that requests alone can tell. */
export function randomRoutes(seed: number, requests: number, says: "book" | "all" = "book"): RandomRoutes {
  const random = new Prng(seed);
  const hostnames = LISTENERS.filter((_, i) => (i === 0 ? random.below(2) === 0 : random.below(3) === 0));
  const used = hostnames.length === 0 ? [""] : hostnames;
  const listeners = used.flatMap((hostname, i) =>
    [80, 8080].slice(0, 1 + random.below(2)).map((port) => ({
      ...{ name: `l${i}-${port}`, port, protocol: "HTTP" },
      ...(hostname !== "" && { hostname }),
      allowedRoutes: { namespaces: { from: random.pick(["All", "All", "Same"]) } },
    })),
  );
  const routes = Array.from({ length: 1 + random.below(6) }, (_, i) =>
    randomRoute(random, i, listeners[0].name, says),
  );
  const grant = {
    apiVersion: `${GATEWAY_GROUP}/v1beta1`,
    kind: "ReferenceGrant",
    metadata: { name: "g", namespace: "other" },
    spec: {
      from: [{ group: GATEWAY_GROUP, kind: "HTTPRoute", namespace: "shop" }],
      to: [{ group: "", kind: "Service", ...(random.below(2) === 0 && { name: "one" }) }],
    },
  };
  const services = ["shop", "other"].flatMap((namespace) =>
    ["one", "two", "empty"].flatMap((name) => served(name, name === "empty" ? 0 : 2, namespace)),
  );
  return {
    objects: objectsOf(...services, gateway(listeners), ...routes, ...(random.below(2) === 0 ? [grant] : [])),
    requests: Array.from({ length: requests }, () => randomRequest(random)),
  };
}

function randomRoute(random: Prng, index: number, listener: string, says: "book" | "all"): object {
  const hostnames = HOSTNAMES.filter(() => random.below(4) === 0);
  const rules = Array.from({ length: 1 + random.below(3) }, () => randomRule(random, says === "all"));
  const parent = { name: random.below(12) === 0 ? "elsewhere" : "gw", namespace: "shop" };
  const section =
    random.below(5) === 0 ? { sectionName: listener } : random.below(5) === 0 ? { port: 8080 } : {};
  return httpRoute(
    `r${random.below(100)}-${index}`,
    { parentRefs: [{ ...parent, ...section }], ...(hostnames.length > 0 && { hostnames }), rules },
    {
      namespace: random.below(5) === 0 ? "other" : "shop",
      ...(random.below(2) === 0 && { creationTimestamp: `2026-01-0${1 + random.below(3)}T00:00:00Z` }),
    },
  );
}

function randomRule(random: Prng, hasMore: boolean): object {
  const isPrefixed = random.below(3) === 0; // the only way in which a prefix may be replaced
  const matches = isPrefixed
    ? [{ path: { type: "PathPrefix", value: random.pick(PATHS) } }]
    : Array.from({ length: random.below(4) }, () => randomMatch(random));
  const path = randomModifier(random, isPrefixed);
  const more = hasMore ? [...randomHeaders(random, "rule"), ...randomOthers(random)] : [];
  const filters = [...randomFilters(random, path), ...more];
  const isRedirect = filters.some((each) => "requestRedirect" in each);
  const refs = Array.from(
    { length: isRedirect ? 0 : random.below(8) === 0 ? 0 : 1 + random.below(3) },
    () => ({
      ...{
        name: random.pick(SERVICES),
        port: random.pick([80, 80, 80, 81]),
        weight: random.pick([0, 1, 1, 3]),
      },
      ...(random.below(4) === 0 && { namespace: "other" }),
      ...(hasMore && random.below(4) === 0 && { filters: randomHeaders(random, "own") }),
      ...(hasMore &&
        random.below(20) === 0 && {
          filters: [{ type: "URLRewrite", urlRewrite: { hostname: "own.example" } }],
        }),
      ...(random.below(20) === 0 && { kind: "Bucket", group: "storage.example" }),
    }),
  );
  return {
    ...(matches.length > 0 && { matches }),
    ...(filters.length > 0 && { filters }),
    ...(random.below(4) === 0 && { timeouts: { request: "20s", backendRequest: "10s" } }),
    ...(random.below(4) === 0 && { retry: { codes: [503], attempts: 2, backoff: "10ms" } }),
    ...(random.below(4) === 0 && {
      sessionPersistence: { sessionName: "s", type: random.pick(["Cookie", "Header"]) },
    }),
    backendRefs: refs,
  };
}

function randomFilters(random: Prng, path: object): object[] {
  const kind = random.below(6);
  if (kind === 0) {
    const requestRedirect = {
      ...(random.below(2) === 0 && { scheme: random.pick(["http", "https"]) }),
      ...(random.below(2) === 0 && { hostname: "new.example" }),
      ...(random.below(3) === 0 && { port: random.pick([80, 443, 8443]) }),
      ...path,
      statusCode: random.pick([301, 302]),
    };
    return [{ type: "RequestRedirect", requestRedirect }];
  }
  if (kind === 1)
    return [
      {
        type: "URLRewrite",
        urlRewrite: { ...path, ...(random.below(2) === 0 && { hostname: "in.example" }) },
      },
    ];
  return [];
}

/** Of the request and of the answer. */
function randomHeaders(random: Prng, whose: string): object[] {
  const modifier = (): object => ({
    ...(random.below(2) === 0 && { set: [{ name: "X-A", value: whose }] }),
    ...(random.below(2) === 0 && { add: [{ name: "X-Added", value: whose }] }),
    ...(random.below(2) === 0 && { remove: [random.pick(["x-b", "x-told"])] }),
  });
  return [
    ...(random.below(3) === 0 ? [{ type: "RequestHeaderModifier", requestHeaderModifier: modifier() }] : []),
    ...(random.below(3) === 0
      ? [{ type: "ResponseHeaderModifier", responseHeaderModifier: modifier() }]
      : []),
  ];
}

function randomOthers(random: Prng): object[] {
  const cors = {
    allowOrigins: random.pick([["*"], ["https://a.test"], ["https://*.test"]]),
    ...(random.below(2) === 0 && { allowMethods: random.pick([["GET", "PUT"], ["*"]]) }),
    ...(random.below(2) === 0 && { allowCredentials: true }),
    ...(random.below(2) === 0 && { exposeHeaders: ["X-One"] }),
  };
  const requestMirror = { backendRef: { name: random.pick(SERVICES), port: 80 }, percent: 50 };
  return [
    ...(random.below(5) === 0 ? [{ type: "CORS", cors }] : []),
    ...(random.below(6) === 0 ? [{ type: "RequestMirror", requestMirror }] : []),
    ...(random.below(25) === 0
      ? [{ type: "ExtensionRef", extensionRef: { group: "a.example", kind: "B", name: "c" } }]
      : []),
  ];
}

function randomModifier(random: Prng, isPrefixed: boolean): object {
  if (random.below(3) === 0) return {};
  if (isPrefixed && random.below(2) === 0)
    return { path: { type: "ReplacePrefixMatch", replacePrefixMatch: random.pick(["/", "/new", "/new/"]) } };
  return { path: { type: "ReplaceFullPath", replaceFullPath: "/whole" } };
}

function randomMatch(random: Prng): object {
  const type = random.pick(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"]);
  const value =
    type === "RegularExpression" ? random.pick(["/a.*", "/[ab]", "/a/(b|c)"]) : random.pick(PATHS);
  const values = (names: readonly string[]): object[] =>
    names
      .filter(() => random.below(4) === 0)
      .map((name) =>
        random.below(4) === 0
          ? { name, type: "RegularExpression", value: "[12]" }
          : { name, value: random.pick(VALUES) },
      );
  const [headers, queryParams] = [values(["X-A", "x-b"]), values(["p", "q"])];
  return {
    ...(random.below(8) > 0 && { path: { type, value } }),
    ...(headers.length > 0 && { headers }),
    ...(queryParams.length > 0 && { queryParams }),
    ...(random.below(4) === 0 && { method: random.pick(["GET", "POST"]) }),
  };
}

function randomRequest(random: Prng): HttpRequest {
  const host = random.pick(HOSTS);
  const headers: Record<string, string> = {};
  for (const name of ["x-a", "X-B"]) if (random.below(2) === 0) headers[name] = random.pick(["1", "2", "3"]);
  if (random.below(3) === 0)
    headers.Origin = random.pick(["https://a.test", "https://b.a.test", "http://other"]);
  const method = random.pick(["GET", "GET", "POST", "OPTIONS"]);
  if (method === "OPTIONS") headers["Access-Control-Request-Method"] = "PUT";
  const query = ["p", "q"]
    .filter(() => random.below(2) === 0)
    .map((name) => `${name}=${random.pick(["1", "2", "3"])}`);
  return readRequest({
    ...{ method, scheme: "http", headers, port: random.pick([80, 80, 8080]) },
    path: `${random.pick(ASKED)}${query.length > 0 ? `?${query.join("&")}` : ""}`,
    ...(host !== "" && { host }),
  });
}
