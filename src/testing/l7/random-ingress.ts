// Random Ingresses, and requests that come close to their rules: from a seed, so that a difference can be had again.
import type { KubeObject } from "../../kube/objects.ts";
import { type HttpRequest, readRequest } from "../../l7/request.ts";
import { Prng } from "../prng.ts";
import { ingress, objectsOf, type PathText, served } from "./objects.ts";

const HOSTS = ["", "a.example", "b.a.example", "*.example", "*.a.example", "c.example"];
const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/.well-known/acme-challenge/x"];
const PATTERNS = ["/a(/|$)(.*)", "/[ab]/(b)", "/a/.+", "/b"];
const TYPES = ["Exact", "Prefix", "ImplementationSpecific"];
const SERVICES = ["one", "two", "three", "empty", "gone"];
const ASKED_HOSTS = [
  "a.example",
  "A.Example:80",
  "b.a.example",
  "x.a.example",
  "y.example",
  "c.example.",
  "alias.test",
  "www.a.example",
  "other",
  "",
];
const ASKED_PATHS = [
  "",
  "a",
  "a/",
  "a/b",
  "ab",
  "a/b/c",
  "a//b",
  "%61/b",
  "a/../b",
  "a/./b/",
  "A/B",
  "b",
  "abc",
  "../a",
  "%2",
  "a%2Fb",
  ".well-known/acme-challenge/x",
];
const ANNOTATIONS: readonly (readonly [string, readonly string[]])[] = [
  ["ssl-redirect", ["false", "true"]],
  ["force-ssl-redirect", ["true", "false"]],
  ["rewrite-target", ["/", "/new/$2", "/$1"]],
  ["use-regex", ["true"]],
  ["app-root", ["/home"]],
  ["permanent-redirect", ["https://new.example/"]],
];
/** What changes no path: each is as often as those above together. */
const MORE: readonly (readonly [string, readonly string[]])[] = [
  ["permanent-redirect", ["https://new.example$request_uri"]],
  ["permanent-redirect-code", ["308"]],
  ["temporal-redirect", ["https://now.example/"]],
  ["temporal-redirect-code", ["307"]],
  ["from-to-www-redirect", ["true"]],
  ["server-alias", ["alias.test", "a.example"]],
  ["proxy-body-size", ["1k", "0"]],
  ["enable-cors", ["true"]],
  ["cors-allow-origin", ["https://a.test", "https://*.test", "*"]],
  ["cors-expose-headers", ["X-One"]],
  ["cors-allow-credentials", ["false"]],
  ["whitelist-source-range", ["127.0.0.0/8", "192.0.2.0/24,127.0.0.1", "192.0.2.0/24", "nobody"]],
  ["denylist-source-range", ["127.0.0.1", "192.0.2.0/24"]],
  ["default-backend", ["two", "empty"]],
  ["upstream-vhost", ["in.example"]],
  ["x-forwarded-prefix", ["/before"]],
  ["custom-headers", ["shop/told", "gone"]],
  ["affinity", ["cookie"]],
  ["session-cookie-name", ["S"]],
  ["limit-rps", ["1000"]],
  ["limit-connections", ["1000"]],
  ["proxy-read-timeout", ["20"]],
  ["proxy-next-upstream-tries", ["1"]],
  ["auth-type", ["basic"]],
];
const TOLD = {
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "told", namespace: "shop" } },
  data: { "X-Told": "yes", Server: "none" },
};
const CANARY: readonly (readonly [string, readonly string[]])[] = [
  ["canary-weight", ["0", "25", "100"]],
  ["canary-by-header", ["x-canary"]],
  ["canary-by-header-value", ["yes"]],
  ["canary-by-cookie", ["canary"]],
];

const CANARY_MORE: typeof CANARY = [
  ...CANARY,
  ["canary-by-header-pattern", ["^(yes|no)$"]],
  ["canary-weight-total", ["50", "200"]],
];

export interface RandomRouting {
  readonly objects: KubeObject[];
  readonly requests: HttpRequest[];
}

/** `says`: of annotations those that the book of rules has, or all that requests alone can tell. */
export function randomRouting(seed: number, requests: number, says: "book" | "all" = "book"): RandomRouting {
  const random = new Prng(seed);
  const known: Hosts[] = [];
  const ingresses = Array.from({ length: 1 + random.below(5) }, (_, i) =>
    randomIngress(random, i, known, says),
  );
  const services = ["one", "two", "three", "empty"].flatMap((name) => served(name, name === "empty" ? 0 : 2));
  return {
    objects: objectsOf(...services, ...ingresses, TOLD),
    requests: Array.from({ length: requests }, () => randomRequest(random)),
  };
}

type Hosts = Readonly<Record<string, readonly PathText[]>>;

/** A canary is most often one of an Ingress before it. */
function randomIngress(random: Prng, index: number, known: Hosts[], says: "book" | "all"): object {
  const isCanary = random.below(4) === 0;
  const hosts: Record<string, readonly PathText[]> = {};
  for (let i = random.below(3); i >= 0; i--) {
    hosts[random.pick(HOSTS)] = Array.from({ length: 1 + random.below(3) }, () => randomPath(random));
  }
  if (isCanary && known.length > 0) {
    for (const [host, paths] of Object.entries(random.pick(known)))
      hosts[host] = paths.map((each) => ({ ...each, to: random.pick(SERVICES) }));
  } else if (!isCanary) known.push(hosts);
  const annotations: Record<string, string> = {};
  for (const [name, values] of isCanary ? (says === "all" ? CANARY_MORE : CANARY) : ANNOTATIONS)
    if (random.below(isCanary ? 2 : 7) === 0 || name === "canary-weight")
      annotations[name] = random.pick(values);
  if (!isCanary && says === "all")
    for (const [name, values] of MORE) if (random.below(9) === 0) annotations[name] = random.pick(values);
  if (isCanary) annotations.canary = "true";
  const names = Object.keys(hosts).filter((each) => each !== "");
  const hasRules = isCanary || random.below(10) > 0;
  const hasDefault = !hasRules || (!isCanary && random.below(3) === 0);
  return ingress({
    ...{ name: `i${random.below(100)}-${index}`, annotations },
    hosts: hasRules ? hosts : {},
    ...(random.below(3) === 0 && { created: `2026-01-0${1 + random.below(3)}T00:00:00Z` }),
    ...(random.below(3) === 0 &&
      names.length > 0 && { tls: [{ hosts: [random.pick(names)], secretName: "x" }] }),
    ...(hasDefault && { defaultTo: random.pick(SERVICES) }),
  });
}

function randomPath(random: Prng): PathText {
  const isPattern = random.below(6) === 0;
  return {
    path: random.pick(isPattern ? PATTERNS : PATHS),
    type: isPattern ? "ImplementationSpecific" : random.pick(TYPES),
    to: `${random.pick(SERVICES)}${random.pick(["", "", ":http", ":81"])}`,
  };
}

function randomRequest(random: Prng): HttpRequest {
  const host = random.pick(ASKED_HOSTS);
  const headers: Record<string, string> = {};
  if (random.below(3) === 0) headers["X-Canary"] = random.pick(["always", "never", "yes", "no"]);
  if (random.below(3) === 0) headers.Cookie = `a=b; canary=${random.pick(["always", "never", "perhaps"])}`;
  if (random.below(3) === 0)
    headers.Origin = random.pick(["https://a.test", "https://b.a.test", "http://other"]);
  const method = random.pick(["GET", "POST", "POST", "OPTIONS"]);
  if (method === "OPTIONS") headers["Access-Control-Request-Method"] = "PUT";
  if (method === "POST") headers["Content-Length"] = random.pick(["0", "5", "2000"]);
  return readRequest({
    ...{ method, scheme: random.pick(["http", "http", "https"]), headers },
    path: `/${random.pick(ASKED_PATHS)}${random.pick(["", "", "?q=1"])}`,
    ...(host !== "" && { host }),
  });
}
