// What Ingresses and their annotations mean, row by row.
import t from "tap";
import { type IngressText, ingress, objectsOf, served } from "../../testing/l7/objects.ts";
import { Evaluator } from "../evaluator.ts";
import { explanationJson } from "../explanation.ts";
import { readRequest } from "../request.ts";

interface Told {
  [field: string]: unknown;
  backend?: string;
  status?: number;
  location?: string;
  rewrittenPath?: string;
  upstreamHeaders?: Record<string, string>;
  responseHeaders?: Record<string, string>;
  distribution?: { backend?: string; status?: number; share: number }[];
  reason: string;
  steps: { step: string; text: string }[];
}

const SERVICES = ["a", "b", "c", "d"].flatMap((name) => served(name));

class World {
  readonly evaluator: Evaluator;
  constructor(ingresses: readonly (IngressText | object)[], more: readonly object[] = []) {
    const all = ingresses.map((each) => ("kind" in each ? each : ingress(each as IngressText)));
    this.evaluator = new Evaluator(objectsOf(...SERVICES, ...more, ...all));
  }

  ask(url: string, fields: Record<string, unknown> = {}): Told {
    const [, scheme, host, path] = /^(\w+):\/\/([^/]*)(.*)$/.exec(url) as RegExpExecArray;
    const request = readRequest({
      method: "GET",
      scheme,
      path: path || "/",
      ...(host !== "" && { host }),
      ...fields,
    });
    return explanationJson(request, this.evaluator.explain(request)) as Told;
  }

  /** "a", "404", "308 https://…": in short. */
  short(url: string, fields: Record<string, unknown> = {}): string {
    const { backend, status, location } = this.ask(url, fields);
    if (backend !== undefined) return backend.replace(/^shop\/(.*):80$/, "$1");
    return location === undefined ? String(status) : `${status} ${location}`;
  }
}

t.test("the table of the API's own documentation: Exact, Prefix by element, trailing slashes", async (t) => {
  const rows: [type: string, path: string, asked: string, isMatch: boolean][] = [
    ["Prefix", "/", "/anything/at/all", true],
    ["Exact", "/foo", "/foo", true],
    ["Exact", "/foo", "/bar", false],
    ["Exact", "/foo", "/foo/", false],
    ["Exact", "/foo/", "/foo", false],
    ["Prefix", "/foo", "/foo", true],
    ["Prefix", "/foo", "/foo/", true],
    ["Prefix", "/foo/", "/foo", true],
    ["Prefix", "/foo/", "/foo/", true],
    ["Prefix", "/aaa/bb", "/aaa/bbb", false],
    ["Prefix", "/aaa/bbb", "/aaa/bbb", true],
    ["Prefix", "/aaa/bbb/", "/aaa/bbb", true],
    ["Prefix", "/aaa/bbb", "/aaa/bbb/", true],
    ["Prefix", "/aaa/bbb", "/aaa/bbb/ccc", true],
    ["Prefix", "/aaa/bbb", "/aaa/bbbxyz", false],
    ["Prefix", "/aaa", "/Aaa", false],
    ["ImplementationSpecific", "/foo", "/foobar", true],
    ["ImplementationSpecific", "/foo", "/fo", false],
  ];
  for (const [type, path, asked, isMatch] of rows) {
    const world = new World([{ hosts: { "x.example": [{ path, type, to: "a" }] } }]);
    t.equal(world.short(`http://x.example${asked}`), isMatch ? "a" : "404", `${type} ${path}: ${asked}`);
  }
});

t.test("precedence: the longest path, Exact before Prefix, the older before the younger", async (t) => {
  const world = new World([
    {
      hosts: {
        "x.example": [
          { path: "/", to: "a" },
          { path: "/foo", to: "b" },
          { path: "/foo", type: "Exact", to: "c" },
          { path: "/foo/bar", to: "d" },
        ],
      },
      created: "2026-01-02T00:00:00Z",
    },
    {
      name: "late",
      hosts: {
        "x.example": [
          { path: "/foo", to: "d" },
          { path: "/late", to: "d" },
        ],
      },
      created: "2026-01-03T00:00:00Z",
    },
  ]);
  t.equal(world.short("http://x.example/foo"), "c");
  t.equal(world.short("http://x.example/foo/"), "b");
  t.equal(world.short("http://x.example/foo/bar/1"), "d");
  t.equal(world.short("http://x.example/fo"), "a");
  t.equal(world.short("http://x.example/late"), "d");
  t.match(world.evaluator.notes, [
    /late rules\[0\]\.http\.paths\[0\]: \/foo of host x\.example is Ingress shop\/web/,
  ]);
  t.equal(world.ask("http://x.example/foo").rule, "Ingress shop/web rules[0].http.paths[2]");
});

t.test(
  "hosts: exact before wildcard before none, a star is one label, ports and case do not count",
  async (t) => {
    const world = new World([
      {
        hosts: {
          "": [{ path: "/", to: "a" }],
          "*.example": [{ path: "/", to: "b" }],
          "x.example": [{ path: "/p", to: "c" }],
        },
      },
    ]);
    t.equal(world.short("http://X.Example:8080/p"), "c");
    t.equal(world.short("http://x.example./p"), "c");
    t.equal(world.short("http://x.example/q"), "404", "who has the host has it alone");
    t.equal(world.short("http://y.example/q"), "b");
    t.equal(world.short("http://z.y.example/q"), "a");
    t.equal(world.short("http://example/q"), "a");
    t.equal(world.short("http:///q"), "a", "no Host at all");
    t.equal(world.short("http://y.example/../q"), "400");
  },
);

t.test("default backends: of a host's Ingress, and of one without rules for all the rest", async (t) => {
  const world = new World([
    { name: "one", hosts: { "x.example": [{ path: "/p", to: "a" }] }, defaultTo: "b" },
    { name: "rest", defaultTo: "c:http" },
  ]);
  t.equal(world.short("http://x.example/q"), "b");
  t.equal(world.ask("http://x.example/q").rule, "Ingress shop/one defaultBackend");
  t.equal(world.short("http://other/"), "c");
});

t.test(
  "ports by name and number; what has no endpoints, no port or no Service is 503 and says why",
  async (t) => {
    const world = new World(
      [
        {
          hosts: {
            "": [
              { path: "/name", to: "a:http" },
              { path: "/number", to: "a:80" },
              { path: "/noport", to: "a:81" },
              { path: "/noname", to: "a:web" },
              { path: "/nobody", to: "empty" },
              { path: "/nothing", to: "gone" },
              { path: "/out", to: "out:443" },
            ],
          },
        },
      ],
      [
        ...served("empty", 0),
        {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: "out", namespace: "shop" },
          spec: { type: "ExternalName", externalName: "api.example.org" },
        },
      ],
    );
    t.equal(world.ask("http://h/name").backend, "shop/a:80");
    t.equal(world.ask("http://h/number").backend, "shop/a:80");
    t.match(world.ask("http://h/noport"), {
      status: 503,
      reason: "Service shop/a has no port 81: it has 80 (http)",
    });
    t.match(world.ask("http://h/noname"), { status: 503, reason: /no port web/ });
    t.match(world.ask("http://h/nobody"), {
      status: 503,
      reason: "shop/empty:80 has no endpoint that is ready",
    });
    t.match(world.ask("http://h/nothing"), { status: 503, reason: "there is no Service shop/gone" });
    t.match(world.ask("http://h/out"), { backend: "shop/out:443", endpoints: ["api.example.org:443"] });
  },
);

t.test("a resource for a backend is refused, with the reason", async (t) => {
  const rule = {
    path: "/",
    pathType: "Prefix",
    backend: { resource: { apiGroup: "k8s.example.com", kind: "Bucket", name: "icons" } },
  };
  const world = new World([
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "r", namespace: "shop" },
      spec: { rules: [{ http: { paths: [rule] } }] },
    },
  ]);
  t.match(world.ask("http://h/"), {
    status: 503,
    reason: /its backend is a resource, Bucket\.k8s\.example\.com icons: only Services/,
  });
});

t.test("classes: by name, by annotation, the default, and those of others", async (t) => {
  const cls = (name: string, controller: string, isDefault = false): object => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: { name, annotations: { "ingressclass.kubernetes.io/is-default-class": String(isDefault) } },
    spec: { controller },
  });
  const own = { hosts: { "": [{ path: "/", to: "a" }] } };
  const status = (text: IngressText, ...classes: object[]): string =>
    new World([text, ...classes]).short("http://h/");
  t.equal(status(own), "a", "no class, and no classes");
  t.equal(status(own, cls("traefik", "traefik.io/ingress-controller", true)), "404");
  t.equal(status(own, cls("web", "k8s.io/ingress-nginx")), "404", "no default");
  t.equal(status(own, cls("web", "k8s.io/ingress-nginx", true)), "a");
  t.equal(status({ ...own, className: "nginx" }), "a");
  t.equal(status({ ...own, className: "podwire" }), "a");
  t.equal(status({ ...own, className: "haproxy" }), "404");
  t.equal(status({ ...own, className: "web" }, cls("web", "podwire.dev/ingress")), "a");
  const { notes } = new World([{ ...own, className: "haproxy" }]).evaluator;
  t.match(notes, ["Ingress shop/web: there is no IngressClass haproxy: not served here"]);
  const old = ingress(own) as { metadata: { annotations: Record<string, string> } };
  old.metadata.annotations["kubernetes.io/ingress.class"] = "haproxy";
  t.equal(new World([old]).short("http://h/"), "404");
  old.metadata.annotations["kubernetes.io/ingress.class"] = "nginx";
  t.equal(new World([old]).short("http://h/"), "a");
});

const at = (
  annotations: Record<string, string>,
  path = "/",
  type = "Prefix",
  more: object = {},
): IngressText => ({
  hosts: { "x.example": [{ path, type, to: "a" }] },
  annotations,
  ...more,
});

t.test("ssl-redirect: where the host has TLS, or forced; never for ACME's challenges", async (t) => {
  const tls = { tls: [{ hosts: ["x.example"], secretName: "cert" }] };
  const world = (annotations: Record<string, string>, more: object = {}): World =>
    new World([at(annotations, "/", "Prefix", more)]);
  t.equal(world({}).short("http://x.example/p?q=1"), "a");
  t.equal(world({}, tls).short("http://x.example:80/p?q=1"), "308 https://x.example/p?q=1");
  t.equal(world({}, tls).short("https://x.example/p"), "a");
  t.equal(world({ "ssl-redirect": "false" }, tls).short("http://x.example/p"), "a");
  t.equal(world({ "force-ssl-redirect": "true" }).short("http://x.example/p"), "308 https://x.example/p");
  t.equal(world({}, tls).short("http://x.example/.well-known/acme-challenge/token"), "a");
});

t.test(
  "rewrite-target: captures, the whole path, the query stays; paths become patterns for the whole host",
  async (t) => {
    const world = new World([
      at({ "rewrite-target": "/$2" }, "/something(/|$)(.*)", "ImplementationSpecific"),
      { name: "other", hosts: { "x.example": [{ path: "/Other", to: "b" }] } },
    ]);
    t.equal(world.ask("http://x.example/something/new?x=1").rewrittenPath, "/new?x=1");
    t.equal(world.ask("http://x.example/something").rewrittenPath, "/");
    t.equal(world.ask("http://x.example/SOMETHING/%C3%BC%20b").rewrittenPath, "/%C3%BC%20b");
    t.equal(
      world.ask("http://x.example/something/%252e%252e/%252Fa").rewrittenPath,
      "/%252e%252e/%252Fa",
      "decoded once, by who gets it",
    );
    t.equal(world.short("http://x.example/somethingelse"), "404");
    t.equal(world.short("http://x.example/OTHER/1"), "b", "patterns see no case");
    t.equal(world.ask("http://x.example/other").rewrittenPath, undefined);
    const whole = new World([at({ "rewrite-target": "/" }, "/app")]);
    t.equal(whole.ask("http://x.example/app/deep/path?a=b").rewrittenPath, "/?a=b");
    const query = new World([at({ "rewrite-target": "/get?id=$1" }, "/item/(.+)", "ImplementationSpecific")]);
    t.equal(query.ask("http://x.example/item/7?b=2").rewrittenPath, "/get?id=7&b=2");
    const out = new World([
      at({ "rewrite-target": "https://other.example/$1" }, "/go/(.*)", "ImplementationSpecific"),
    ]);
    t.equal(out.short("http://x.example/go/there"), "302 https://other.example/there");
  },
);

t.test(
  "use-regex: the longest pattern first, whatever the order; one that RE2 cannot read matches nothing",
  async (t) => {
    const hosts = {
      "x.example": [
        { path: "/foo/.+", type: "ImplementationSpecific", to: "a" },
        { path: "/foo/bar/[a-z]{3}", type: "ImplementationSpecific", to: "b" },
        { path: "/(?=x)", type: "ImplementationSpecific", to: "c" },
      ],
    };
    const world = new World([{ hosts, annotations: { "use-regex": "true" } }]);
    t.equal(world.short("http://x.example/foo/bar/bar"), "b");
    t.equal(world.short("http://x.example/foo/bar/7"), "a");
    t.match(world.evaluator.notes, [/"\^\/\(\?=x\)" is no pattern of RE2/]);
  },
);

t.test("redirects: permanent, temporal, with codes and variables, app-root, from-to-www", async (t) => {
  const one = (annotations: Record<string, string>): World => new World([at(annotations)]);
  t.equal(
    one({ "permanent-redirect": "https://n.example" }).short("http://x.example/p"),
    "301 https://n.example",
  );
  t.equal(
    one({ "permanent-redirect": "https://n.example$request_uri", "permanent-redirect-code": "308" }).short(
      "http://x.example/p?q",
    ),
    "308 https://n.example/p?q",
  );
  t.equal(
    one({ "temporal-redirect": "https://t.example", "permanent-redirect": "https://n.example" }).short(
      "http://x.example/p",
    ),
    "302 https://t.example",
  );
  t.equal(one({ "app-root": "/app" }).short("http://x.example/"), "302 http://x.example/app");
  t.equal(one({ "app-root": "/app" }).short("http://x.example/p"), "a");
  t.equal(
    one({ "from-to-www-redirect": "true" }).short("https://www.x.example/p?q=1"),
    "308 https://x.example/p?q=1",
  );
  t.equal(one({ "from-to-www-redirect": "true" }).short("http://x.example/p"), "a");
});

t.test("server-alias, unless the name is a host of its own", async (t) => {
  const world = new World([
    at({ "server-alias": "y.example, z.example" }),
    { name: "z", hosts: { "z.example": [{ path: "/", to: "b" }] } },
  ]);
  t.equal(world.short("http://y.example/"), "a");
  t.equal(world.short("http://z.example/"), "b");
  t.match(world.evaluator.notes, [/server-alias z\.example is a host of its own/]);
});

t.test("source ranges: allowed, denied, and what is not known is in none", async (t) => {
  const allow = new World([at({ "whitelist-source-range": "10.0.0.0/8,2001:db8::/32, 192.0.2.7" })]);
  for (const client of ["10.1.2.3", "2001:db8::1", "192.0.2.7"])
    t.equal(allow.short("http://x.example/", { client }), "a", client);
  for (const client of ["192.0.2.8", "2001:db9::1", undefined])
    t.equal(allow.short("http://x.example/", { client }), "403", String(client));
  const deny = new World([at({ "denylist-source-range": "10.0.0.0/8" })]);
  t.equal(deny.short("http://x.example/", { client: "10.1.2.3" }), "403");
  t.equal(deny.short("http://x.example/"), "a");
  const unread = new World([at({ "denylist-source-range": "10.0.0.0/8, 192.0.2.x" })]);
  for (const client of ["10.1.2.3", "192.0.2.7", "2001:db8::1"])
    t.equal(unread.short("http://x.example/", { client }), "403", `kept out: ${client}`);
  const wrong = new World([at({ "allowlist-source-range": "everybody" })]);
  t.equal(
    wrong.short("http://x.example/", { client: "10.0.0.1" }),
    "403",
    "a list that cannot be read lets nobody in",
  );
  t.match(wrong.evaluator.notes, [/"everybody" is not a range of addresses/]);
});

t.test("canary: by header, then cookie, then weight", async (t) => {
  const canary = (annotations: Record<string, string>): World =>
    new World([
      at({}),
      {
        name: "next",
        hosts: { "x.example": [{ path: "/", to: "b" }] },
        annotations: { canary: "true", ...annotations },
      },
    ]);
  const shares = (world: World, headers: Record<string, string> = {}): unknown =>
    world.ask("http://x.example/", { headers }).distribution?.map(({ backend, share }) => [backend, share]);
  const [A, B] = ["shop/a:80", "shop/b:80"];
  t.same(shares(canary({ "canary-weight": "20" })), [
    [A, 0.8],
    [B, 0.2],
  ]);
  t.same(shares(canary({ "canary-weight": "20", "canary-weight-total": "1000" })), [
    [A, 0.98],
    [B, 0.02],
  ]);
  t.same(shares(canary({})), [[A, 1]]);
  const header = { "canary-by-header": "X-Canary", "canary-by-cookie": "next", "canary-weight": "50" };
  t.same(shares(canary(header), { "x-canary": "always" }), [[B, 1]]);
  t.same(shares(canary(header), { "x-canary": "never", cookie: "next=always" }), [[A, 1]]);
  t.same(shares(canary(header), { "x-canary": "maybe", cookie: "a=b; next=always" }), [[B, 1]]);
  t.same(shares(canary(header), { cookie: "next=never" }), [[A, 1]]);
  t.same(shares(canary(header)), [
    [A, 0.5],
    [B, 0.5],
  ]);
  const value = { "canary-by-header": "region", "canary-by-header-value": "eu", "canary-weight": "10" };
  t.same(shares(canary(value), { region: "eu" }), [[B, 1]]);
  t.same(shares(canary(value), { region: "always" }), [
    [A, 0.9],
    [B, 0.1],
  ]);
  const pattern = { "canary-by-header": "region", "canary-by-header-pattern": "^eu-" };
  t.same(shares(canary(pattern), { region: "eu-1" }), [[B, 1]]);
  t.same(shares(canary(pattern), { region: "us-1" }), [[A, 1]]);
  const alone = new World([
    { hosts: { "x.example": [{ path: "/", to: "b" }] }, annotations: { canary: "true" } },
  ]);
  t.equal(alone.short("http://x.example/"), "404");
  t.match(alone.evaluator.notes, [/a canary of nothing/]);
});

t.test("CORS: preflights are answered, answers get headers, other origins neither", async (t) => {
  const every = new World([at({ "enable-cors": "true" })]);
  t.match(every.ask("http://x.example/", { method: "OPTIONS" }), {
    status: 204,
    responseHeaders: {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Allow-Methods": "GET, PUT, POST, DELETE, PATCH, OPTIONS",
      "Access-Control-Max-Age": "1728000",
    },
  });
  const one = new World([
    at({
      "enable-cors": "true",
      "cors-allow-origin": "https://*.shop.example, http://a.b",
      "cors-allow-credentials": "false",
    }),
  ]);
  const asked = (origin: string, method = "GET"): Told =>
    one.ask("http://x.example/", { method, headers: { Origin: origin } });
  t.same(asked("https://www.shop.example").responseHeaders, {
    "Access-Control-Allow-Origin": "https://www.shop.example",
  });
  t.equal(asked("http://a.b", "OPTIONS").status, 204);
  t.equal(asked("https://a.www.shop.example").responseHeaders, undefined);
  t.equal(asked("http://www.shop.example", "OPTIONS").backend, "shop/a:80", "not ours to answer");
});

t.test("headers: the backend is told who asked, and nothing that the client made up", async (t) => {
  const world = new World(
    [at({ "upstream-vhost": "inner.example", "x-forwarded-prefix": "/api", "custom-headers": "extra" })],
    [
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "extra", namespace: "shop" },
        data: { "X-Frame-Options": "DENY" },
      },
    ],
  );
  const told = world.ask("https://x.example/p", {
    client: "192.0.2.1",
    headers: { "X-Forwarded-For": "1.1.1.1", "x-real-ip": "2.2.2.2", Accept: "*/*" },
  });
  t.equal(told.rewrittenHost, "inner.example");
  t.same(told.upstreamHeaders, {
    Accept: "*/*",
    Host: "inner.example",
    "X-Real-IP": "192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": "x.example",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Scheme": "https",
    "X-Scheme": "https",
    "X-Original-Forwarded-For": "1.1.1.1",
    "X-Forwarded-Prefix": "/api",
  });
  t.same(told.responseHeaders, { "X-Frame-Options": "DENY" });
});

t.test("sizes, times, tries, protocols, limits, cookies, mirrors, somebody who is asked first", async (t) => {
  const told = new World([
    at({
      ...{ "proxy-body-size": "8m", "proxy-connect-timeout": "3", "proxy-read-timeout": "120" },
      ...{
        "proxy-next-upstream": "error http_503",
        "proxy-next-upstream-tries": "2",
        "backend-protocol": "grpcs",
      },
      ...{ "limit-rps": "5", "limit-connections": "3", affinity: "cookie", "session-cookie-name": "route" },
      ...{ "mirror-target": "https://mirror.example$request_uri", "auth-url": "http://auth.shop/check" },
    }),
  ]).ask("http://x.example/");
  t.match(told, {
    ...{ backend: "shop/a:80", protocol: "grpcs", bodyMaxBytes: 8 * 1024 * 1024 },
    timeouts: { connectSec: 3, sendSec: 60, readSec: 120 },
    retries: { on: ["error", "http_503"], tries: 2 },
    limits: { perSec: 5, burst: 25, connections: 3, status: 503 },
    affinity: { cookie: "route", path: "/" },
    mirrors: [{ target: "https://mirror.example$request_uri" }],
    auth: { url: "http://auth.shop/check", method: "GET" },
  });
  const small = new World([at({ "proxy-body-size": "1k" })]);
  t.equal(small.short("http://x.example/", { headers: { "Content-Length": "1025" } }), "413");
  t.equal(small.short("http://x.example/", { headers: { "Content-Length": "1024" } }), "a");
  t.equal(
    new World([at({ "proxy-body-size": "0" })]).short("http://x.example/", {
      headers: { "Content-Length": "99999999" },
    }),
    "a",
  );
});

t.test(
  "default-backend serves where nobody does; service-upstream goes to the Service's address",
  async (t) => {
    const hosts = { "x.example": [{ path: "/", to: "empty" }] };
    const world = new World([{ hosts, annotations: { "default-backend": "b" } }], served("empty", 0));
    t.equal(world.short("http://x.example/"), "b");
    t.match(new World([at({ "service-upstream": "true" })]).ask("http://x.example/").endpoints, [
      /^10\.96\.0\.\d+:80$/,
    ]);
  },
);

t.test("unknown annotations are told once; what would keep somebody out keeps everybody out", async (t) => {
  const world = new World([at({ "made-up": "1", "auth-type": "basic", "ssl-redirect": "perhaps" })]);
  t.same(world.evaluator.notes, [
    'Ingress shop/web: nginx.ingress.kubernetes.io/ssl-redirect "perhaps": use true or false',
    "Ingress shop/web: nginx.ingress.kubernetes.io/auth-type is not carried out here, so that every request is refused with 503",
    "Ingress shop/web: nginx.ingress.kubernetes.io/made-up is not known here and does nothing",
  ]);
  t.match(world.ask("http://x.example/"), { status: 503, reason: /auth-type is not carried out here/ });
  t.equal(new World([at({ "enable-modsecurity": "false" })]).short("http://x.example/"), "a");
});

t.test(
  "what would begin another header is told and left out; who asks somebody lets nobody in then",
  async (t) => {
    const split = (name: string): Record<string, string> => ({ [name]: "a\r\nX-B: c" });
    for (const name of [
      "upstream-vhost",
      "x-forwarded-prefix",
      "permanent-redirect",
      "session-cookie-name",
    ]) {
      const world = new World([at(split(name))]);
      t.match(world.evaluator.notes[0], new RegExp(`${name} "a.r.nX-B: c" has more than one line`));
      t.notMatch(JSON.stringify(world.ask("http://x.example/")), /X-B/, name);
    }
    t.equal(new World([at({ "auth-url": "http://a.example/\nb" })]).short("http://x.example/"), "503");
    const rewriting = new World([at({ "rewrite-target": "/a b\u00e9" })]);
    t.equal(rewriting.ask("http://x.example/").rewrittenPath, "/a%20b%C3%A9");
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "h", namespace: "shop" } };
    const custom = new World(
      [at({ "custom-headers": "h" })],
      [{ ...map, data: { A: "1\n", B: "2\r\nC: 3", "D.E": "4" } }],
    );
    t.same(custom.ask("http://x.example/").responseHeaders, { A: "1", "D.E": "4" });
  },
);

t.test("what an annotation may say, and nobody here does, is told", async (t) => {
  const others = { "proxy-next-upstream": "error invalid_header", "session-cookie-samesite": "Some" };
  t.same(new World([at({ ...others, "mirror-target": "nowhere" })]).evaluator.notes, [
    'Ingress shop/web: nginx.ingress.kubernetes.io/proxy-next-upstream "invalid_header" does nothing here',
    'Ingress shop/web: nginx.ingress.kubernetes.io/session-cookie-samesite "Some": use Strict, Lax, None',
    'Ingress shop/web: nginx.ingress.kubernetes.io/mirror-target "nowhere" is not an address that begins with http:// or https://',
  ]);
  const modes = { "affinity-mode": "persistent", "affinity-canary-behavior": "legacy" };
  t.same(new World([at(modes)]).evaluator.notes, [
    'Ingress shop/web: nginx.ingress.kubernetes.io/affinity-mode "persistent": use balanced',
    'Ingress shop/web: nginx.ingress.kubernetes.io/affinity-canary-behavior "legacy": use sticky',
  ]);
});
