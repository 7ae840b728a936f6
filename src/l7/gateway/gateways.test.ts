// What Gateways and routes mean, row by row: listeners, attachment, statuses, matches, filters, backends.
import t from "tap";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { objectsOf, served } from "../../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import { Evaluator } from "../evaluator.ts";
import { explanationJson } from "../explanation.ts";
import { readRequest } from "../request.ts";

interface Told {
  [field: string]: unknown;
  backend?: string;
  status?: number;
  location?: string;
  upstreamHeaders?: Record<string, string>;
}

const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const SERVICES = ["a", "b", "c"].flatMap((name) => served(name));
const to = (name: string, more: object = {}): object => ({ name, port: 80, ...more });
const rule = (path: string, name: string, more: object = {}): object => ({
  matches: [{ path: { type: "PathPrefix", value: path } }],
  backendRefs: [to(name)],
  ...more,
});

class World {
  readonly evaluator: Evaluator;
  constructor(...objects: object[]) {
    this.evaluator = new Evaluator(objectsOf(...SERVICES, ...objects));
  }

  ask(url: string, fields: Record<string, unknown> = {}): Told {
    const [, scheme, host, path] = /^(\w+):\/\/([^/]*)(.*)$/.exec(url) as RegExpExecArray;
    const request = readRequest({ scheme, path: path || "/", ...(host !== "" && { host }), ...fields });
    return explanationJson(request, this.evaluator.explain(request)) as Told;
  }

  short(url: string, fields: Record<string, unknown> = {}): string {
    const { backend, status, location } = this.ask(url, fields);
    if (backend !== undefined) return backend.replace(/^shop\/(.*):80$/, "$1");
    return location === undefined ? String(status) : `${status} ${location}`;
  }

  /** "Accepted=False(NoMatchingParent)" … of a route's first parent, or of an object. */
  conditions(object: string, listener?: string): string[] {
    const status = this.evaluator.statuses.find((each) => each.object === object);
    const all =
      listener === undefined
        ? (status?.conditions ?? status?.parents?.[0]?.conditions ?? [])
        : (status?.listeners?.find(({ name }) => name === listener)?.conditions ?? []);
    return all.map(({ type, status: is, reason }) => `${type}=${is}(${reason})`);
  }

  attached(listener: string): number | undefined {
    const [{ listeners = [] }] = this.evaluator.statuses.filter(({ object }) => object === "Gateway shop/gw");
    return listeners.find(({ name }) => name === listener)?.attachedRoutes;
  }
}

t.test(
  "matches: the exact path, a pattern, the longest prefix; method, headers, query; then age and place",
  async (t) => {
    const match = (m: object, name: string): object => ({ matches: [m], backendRefs: [to(name)] });
    const world = new World(
      gateway([HTTP]),
      httpRoute("one", {
        rules: [
          rule("/", "a"),
          rule("/long", "b"),
          match({ path: { type: "Exact", value: "/long" } }, "c"),
          match({ path: { type: "RegularExpression", value: "/l[o]n." } }, "a"),
          match({ path: { value: "/m" }, method: "POST" }, "b"),
          match(
            {
              path: { value: "/m" },
              headers: [
                { name: "x", value: "1" },
                { name: "y", value: "1" },
              ],
            },
            "c",
          ),
          match({ path: { value: "/q" }, queryParams: [{ name: "a", value: "1" }] }, "b"),
        ],
      }),
      httpRoute("two", { rules: [rule("/", "b"), rule("/q", "c")] }),
    );
    t.equal(world.short("http://h/"), "a", "the first by name");
    t.equal(world.short("http://h/long"), "c");
    t.equal(world.short("http://h/lonx"), "a");
    t.equal(world.short("http://h/long/x"), "b");
    t.equal(world.short("http://h/longer"), "a", "by element");
    const both = { headers: { X: "1", Y: "1" } };
    t.equal(world.short("http://h/m", { method: "POST", ...both }), "b", "a method before headers");
    t.equal(world.short("http://h/m", both), "c");
    t.equal(world.short("http://h/q?a=1"), "b");
    t.equal(world.short("http://h/q?a=2&a=1"), "c", "the first of several values");
    t.equal(world.ask("http://h/long").rule, "HTTPRoute shop/one rules[2]");
  },
);

t.test("listeners: the most telling hostname has a request alone; stars stand for many labels", async (t) => {
  const of = (name: string, hostname?: string): object => ({ ...HTTP, name, ...(hostname && { hostname }) });
  const world = new World(
    gateway([of("every"), of("wild", "*.example"), of("exact", "a.example")]),
    httpRoute("every", { parentRefs: [{ name: "gw", sectionName: "every" }], rules: [rule("/every", "a")] }),
    httpRoute("wild", { parentRefs: [{ name: "gw", sectionName: "wild" }], rules: [rule("/wild", "b")] }),
    httpRoute("exact", { parentRefs: [{ name: "gw", sectionName: "exact" }], rules: [rule("/exact", "c")] }),
  );
  const found = (host: string): string[] =>
    ["every", "wild", "exact"].map((path) => world.short(`http://${host}/${path}`));
  t.same(found("a.example"), ["404", "404", "c"]);
  t.same(found("x.y.example"), ["404", "b", "404"]);
  t.same(found("example"), ["a", "404", "404"]);
  t.same([world.attached("every"), world.attached("wild")], [1, 1]);
});

t.test(
  "attachment: listeners by name and port, namespaces, kinds, hostnames; each refusal has its reason",
  async (t) => {
    const all = { allowedRoutes: { namespaces: { from: "All" } } };
    const some = {
      allowedRoutes: { namespaces: { from: "Selector", selector: { matchLabels: { web: "yes" } } } },
    };
    const world = new World(
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "good", labels: { web: "yes" } } },
      gateway([
        { ...HTTP, hostname: "a.example" },
        { name: "all", port: 81, protocol: "HTTP", ...all },
        { name: "some", port: 82, protocol: "HTTP", ...some },
        { name: "grpc", port: 83, protocol: "HTTP", allowedRoutes: { kinds: [{ kind: "GRPCRoute" }] } },
      ]),
      httpRoute("nowhere", { parentRefs: [{ name: "gw", sectionName: "no" }], rules: [rule("/", "a")] }),
      httpRoute("host", {
        parentRefs: [{ name: "gw", sectionName: "http" }],
        hostnames: ["b.example"],
        rules: [rule("/", "a")],
      }),
      httpRoute("kind", { parentRefs: [{ name: "gw", port: 83 }], rules: [rule("/", "a")] }),
      httpRoute(
        "far",
        { parentRefs: [{ name: "gw", namespace: "shop", port: 80 }], rules: [] },
        { namespace: "far" },
      ),
      httpRoute(
        "near",
        { parentRefs: [{ name: "gw", namespace: "shop", port: 81 }], rules: [] },
        { namespace: "far" },
      ),
      httpRoute(
        "good",
        { parentRefs: [{ name: "gw", namespace: "shop", port: 82 }], rules: [] },
        { namespace: "good" },
      ),
      httpRoute(
        "bad",
        { parentRefs: [{ name: "gw", namespace: "shop", port: 82 }], rules: [] },
        { namespace: "bad" },
      ),
    );
    const accepted = (name: string): string => world.conditions(`HTTPRoute ${name}`)[0];
    t.equal(accepted("shop/nowhere"), "Accepted=False(NoMatchingParent)");
    t.equal(accepted("shop/host"), "Accepted=False(NoMatchingListenerHostname)");
    t.equal(accepted("shop/kind"), "Accepted=False(NotAllowedByListeners)");
    t.equal(accepted("far/far"), "Accepted=False(NotAllowedByListeners)");
    t.equal(accepted("far/near"), "Accepted=True(Accepted)");
    t.equal(accepted("good/good"), "Accepted=True(Accepted)");
    t.equal(accepted("bad/bad"), "Accepted=False(NotAllowedByListeners)");
    t.match(
      world.evaluator.notes.join("\n"),
      /HTTPRoute shop\/kind: Accepted is False at Gateway gw: NotAllowedByListeners: listener grpc/,
    );
  },
);

t.test(
  "listeners that cannot serve: conflicts, protocols, kinds, certificates; the others go on",
  async (t) => {
    const tls = (name: string, more: object = {}): object => ({
      tls: { certificateRefs: [{ name, ...more }] },
    });
    const one = await makeCredentials("l7", ["a.example"], []);
    const secret = (name: string, crt: string): object => ({
      ...{
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name, namespace: "shop" },
        type: "kubernetes.io/tls",
      },
      stringData: { "tls.crt": crt, "tls.key": one.serverKey },
    });
    const world = new World(
      secret("good", one.serverCert),
      secret("bad", "nothing"),
      gateway([
        HTTP,
        { name: "good", port: 443, protocol: "HTTPS", ...tls("good") },
        { name: "bad", port: 444, protocol: "HTTPS", ...tls("bad") },
        { name: "gone", port: 445, protocol: "HTTPS", ...tls("gone") },
        { name: "far", port: 446, protocol: "HTTPS", ...tls("good", { namespace: "far" }) },
        { name: "sctp", port: 53, protocol: "example.com/SCTP" },
        {
          name: "kinds",
          port: 85,
          protocol: "HTTP",
          allowedRoutes: { kinds: [{ kind: "TCPRoute" }, { kind: "HTTPRoute" }] },
        },
        { name: "x", port: 90, protocol: "HTTP" },
        { name: "y", port: 90, protocol: "HTTPS", hostname: "z", ...tls("good") },
      ]),
      httpRoute("all", { rules: [rule("/", "a")] }),
    );
    const of = (listener: string): string[] => world.conditions("Gateway shop/gw", listener);
    t.same(of("good"), [
      "Accepted=True(Accepted)",
      "ResolvedRefs=True(ResolvedRefs)",
      "Programmed=True(Programmed)",
      "Conflicted=False(NoConflicts)",
    ]);
    t.match(of("bad"), { 1: "ResolvedRefs=False(InvalidCertificateRef)", 2: "Programmed=False(Invalid)" });
    t.match(of("gone"), { 1: "ResolvedRefs=False(InvalidCertificateRef)" });
    t.match(of("far"), { 1: "ResolvedRefs=False(RefNotPermitted)" });
    t.match(of("sctp"), { 0: "Accepted=False(UnsupportedProtocol)" });
    t.match(of("kinds"), { 1: "ResolvedRefs=False(InvalidRouteKinds)" });
    t.match(of("x"), { 0: "Accepted=False(ProtocolConflict)", 3: "Conflicted=True(ProtocolConflict)" });
    t.match(of("y"), { 3: "Conflicted=True(ProtocolConflict)" });
    t.same(world.conditions("Gateway shop/gw"), [
      "Accepted=True(ListenersNotValid)",
      "Programmed=True(Programmed)",
    ]);
    t.match(world.ask("https://a.example/"), { backend: "shop/a:80", cert: "shop/good" });
    t.match(world.ask("https://a.example/", { port: 444 }), { status: 404 });
    t.equal(world.short("http://a.example/"), "a");
  },
);

/** "c", for a.example. */
async function tlsSecret(): Promise<object> {
  const { serverCert, serverKey } = await makeCredentials("l7", ["a.example"], []);
  return {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "c", namespace: "shop" } },
    ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": serverCert, "tls.key": serverKey } },
  };
}

t.test(
  "TLS: by name; a Host of another listener's is misdirected, of nobody's not found; TLSRoutes pass through",
  async (t) => {
    const secret = await tlsSecret();
    const https = (name: string, hostname: string): object => ({
      ...{ name, hostname, port: 443, protocol: "HTTPS" },
      tls: { certificateRefs: [{ name: "c" }] },
    });
    const world = new World(
      secret,
      gateway([
        https("a", "a.example"),
        https("b", "*.b.example"),
        { name: "tls", hostname: "t.example", port: 443, protocol: "TLS", tls: { mode: "Passthrough" } },
      ]),
      httpRoute("all", { rules: [rule("/", "a")] }),
      {
        ...{
          apiVersion: `${GATEWAY_GROUP}/v1alpha2`,
          kind: "TLSRoute",
          metadata: { name: "t", namespace: "shop" },
        },
        spec: { parentRefs: [{ name: "gw" }], hostnames: ["t.example"], rules: [{ backendRefs: [to("b")] }] },
      },
    );
    t.equal(world.short("https://a.example/"), "a");
    t.equal(world.short("https://a.example/", { sni: "x.b.example" }), "421");
    t.equal(world.short("https://other/", { sni: "a.example" }), "404");
    t.match(world.ask("https://other/"), { status: 404, reason: /no handshake/ });
    t.match(world.ask("https://t.example/"), {
      backend: "shop/b:80",
      protocol: "tls",
      rule: "TLSRoute shop/t rules[0]",
    });
  },
);

t.test(
  "backends: shares by weight, 500 for what leads nowhere, 503 for what nobody serves, grants",
  async (t) => {
    const refs = (...backendRefs: object[]): World =>
      new World(
        ...served("d", 2, "far"),
        ...served("empty", 0),
        gateway([HTTP]),
        httpRoute("r", { rules: [{ backendRefs }] }),
      );
    t.same(refs(to("a", { weight: 3 }), to("gone", { weight: 1 })).ask("http://h/").distribution, [
      { backend: "shop/a:80", share: 0.75 },
      { status: 500, share: 0.25 },
    ]);
    t.match(refs(to("gone")).ask("http://h/"), { status: 500, reason: /there is no Service shop\/gone/ });
    t.equal(refs().short("http://h/"), "500");
    t.equal(refs(to("a", { weight: 0 })).short("http://h/"), "500");
    t.equal(refs(to("empty")).short("http://h/"), "503");
    const far = to("d", { namespace: "far" });
    const grant = (name?: string): object => ({
      ...{
        apiVersion: `${GATEWAY_GROUP}/v1beta1`,
        kind: "ReferenceGrant",
        metadata: { name: "g", namespace: "far" },
      },
      spec: {
        from: [{ group: GATEWAY_GROUP, kind: "HTTPRoute", namespace: "shop" }],
        to: [{ group: "", kind: "Service", ...(name !== undefined && { name }) }],
      },
    });
    const withGrant = (...grants: object[]): World =>
      new World(
        ...served("d", 2, "far"),
        gateway([HTTP]),
        httpRoute("r", { rules: [{ backendRefs: [far] }] }),
        ...grants,
      );
    t.equal(withGrant().short("http://h/"), "500");
    t.match(withGrant().conditions("HTTPRoute shop/r"), { 1: "ResolvedRefs=False(RefNotPermitted)" });
    t.equal(withGrant(grant()).short("http://h/"), "far/d:80");
    t.equal(withGrant(grant("e")).short("http://h/"), "500");
    const bucket = refs({ group: "x.y", kind: "Bucket", name: "b" });
    t.match(bucket.conditions("HTTPRoute shop/r"), { 1: "ResolvedRefs=False(InvalidKind)" });
  },
);

const filtered = (...filters: object[]): World =>
  new World(
    gateway([HTTP, { name: "alt", port: 8080, protocol: "HTTP" }]),
    httpRoute("r", { rules: [{ filters, backendRefs: [to("a")] }] }),
  );

t.test("redirects: scheme, host, port, path; the listener's port where the scheme stays", async (t) => {
  const redirect = (requestRedirect: object, prefix = "/"): World =>
    new World(
      gateway([HTTP, { name: "alt", port: 8080, protocol: "HTTP" }]),
      httpRoute("r", {
        rules: [
          { matches: [{ path: { value: prefix } }], filters: [{ type: "RequestRedirect", requestRedirect }] },
        ],
      }),
    );
  t.equal(redirect({ scheme: "https" }).short("http://h:8080/p?q=1", { port: 8080 }), "302 https://h/p?q=1");
  t.equal(
    redirect({ hostname: "n", statusCode: 301 }).short("http://h/p", { port: 8080 }),
    "301 http://n:8080/p",
  );
  t.equal(redirect({ hostname: "n" }).short("http://h/p"), "302 http://n/p");
  t.equal(redirect({ port: 8443, scheme: "https" }).short("http://h/"), "302 https://h:8443/");
  const prefix = { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } };
  t.equal(redirect(prefix, "/old").short("http://h/old/x"), "302 http://h/new/x");
  t.equal(redirect(prefix, "/old").short("http://h/old"), "302 http://h/new");
  const root = { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } };
  t.equal(redirect(root, "/old/").short("http://h/old"), "302 http://h/");
  t.equal(
    redirect({ path: { type: "ReplaceFullPath", replaceFullPath: "/f" } }).short("http://h/p?q"),
    "302 http://h/f?q",
  );
});

t.test(
  "rewrites and headers: path, host, set, add, remove, on the way there and back, by backend",
  async (t) => {
    const world = filtered(
      {
        type: "URLRewrite",
        urlRewrite: { hostname: "in", path: { type: "ReplaceFullPath", replaceFullPath: "/f" } },
      },
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: {
          set: [{ name: "X-Set", value: "new" }],
          add: [{ name: "X-Add", value: "2" }],
          remove: ["X-Gone"],
        },
      },
      {
        type: "ResponseHeaderModifier",
        responseHeaderModifier: { add: [{ name: "X-Back", value: "1" }], remove: ["Server"] },
      },
    );
    const told = world.ask("http://h/p?q=1", { headers: { "x-set": "old", "X-Add": "1", "x-gone": "x" } });
    t.match(told, {
      rewrittenPath: "/f?q=1",
      rewrittenHost: "in",
      responseHeaders: { "X-Back": "1" },
      removedResponseHeaders: ["Server"],
    });
    t.match(told.upstreamHeaders, { "X-Set": "new", "X-Add": "1, 2", Host: "in" });
    t.notOk("x-gone" in (told.upstreamHeaders ?? {}));
    const byBackend = new World(
      gateway([HTTP]),
      httpRoute("r", {
        rules: [
          {
            backendRefs: [
              to("a", {
                filters: [
                  {
                    type: "RequestHeaderModifier",
                    requestHeaderModifier: { set: [{ name: "X-To", value: "a" }] },
                  },
                ],
              }),
            ],
          },
        ],
      }),
    );
    t.match(byBackend.ask("http://h/").upstreamHeaders, { "X-To": "a" });
    const unknown = filtered({ type: "ExtensionRef", extensionRef: { group: "x", kind: "Y", name: "z" } });
    t.match(unknown.ask("http://h/"), {
      status: 500,
      reason: /a filter of type ExtensionRef is not carried out here/,
    });
  },
);

t.test("a filter of a backendRef that nobody carries out is not left out: its share fails", async (t) => {
  const full = { path: { type: "ReplaceFullPath", replaceFullPath: "/x" } };
  for (const [type, field, value] of [
    ["URLRewrite", "urlRewrite", full],
    ["RequestMirror", "requestMirror", { backendRef: to("c") }],
    ["CORS", "cors", { allowOrigins: ["*"] }],
  ] as const) {
    const backendRefs = [to("a", { weight: 3 }), to("b", { weight: 1, filters: [{ type, [field]: value }] })];
    const told = new World(gateway([HTTP]), httpRoute("r", { rules: [{ backendRefs }] })).ask("http://h/");
    t.match(told, { distribution: [{ backend: "shop/a:80", share: 0.75 }, { status: 500 }] }, type);
  }
});

t.test("CORS, mirrors, times, tries, sessions", async (t) => {
  const cors = { allowOrigins: ["https://*.example"], allowMethods: ["GET"], allowCredentials: true };
  const asked = { headers: { Origin: "https://a.example", "Access-Control-Request-Method": "GET" } };
  const world = filtered({ type: "CORS", cors });
  t.match(world.ask("http://h/", { method: "OPTIONS", ...asked }), {
    status: 204,
    responseHeaders: {
      "Access-Control-Allow-Origin": "https://a.example",
      "Access-Control-Allow-Methods": "GET",
      "Access-Control-Max-Age": "5",
    },
  });
  t.match(world.ask("http://h/", asked), {
    backend: "shop/a:80",
    responseHeaders: { "Access-Control-Allow-Credentials": "true" },
  });
  t.equal(world.ask("http://h/", { headers: { Origin: "https://b" } }).responseHeaders, undefined);
  const more = new World(
    gateway([HTTP]),
    httpRoute("r", {
      rules: [
        {
          filters: [{ type: "RequestMirror", requestMirror: { backendRef: to("b"), percent: 10 } }],
          timeouts: { request: "10s", backendRequest: "1500ms" },
          retry: { codes: [503], attempts: 2, backoff: "100ms" },
          sessionPersistence: { sessionName: "s" },
          backendRefs: [to("a")],
        },
      ],
    }),
  );
  t.match(more.ask("http://h/"), {
    mirrors: [{ target: "shop/b:80", share: 0.1 }],
    timeouts: { requestSec: 10, trySec: 1.5 },
    retries: { on: ["error", "http_503"], tries: 3, backoffSec: 0.1 },
    affinity: { cookie: "s" },
  });
});

t.test(
  "gRPC: services and methods are paths; TLS to backends by policy; protocols by appProtocol",
  async (t) => {
    const grpc = {
      ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "GRPCRoute", metadata: { name: "g", namespace: "shop" } },
      spec: {
        parentRefs: [{ name: "gw" }],
        rules: [
          { matches: [{ method: { service: "shop.Cart" } }], backendRefs: [to("a")] },
          { matches: [{ method: { service: "shop.Cart", method: "Add" } }], backendRefs: [to("b")] },
          { matches: [{ method: { method: "Ping" } }], backendRefs: [to("c")] },
        ],
      },
    };
    const policy = (ca: string): object => ({
      ...{
        apiVersion: `${GATEWAY_GROUP}/v1`,
        kind: "BackendTLSPolicy",
        metadata: { name: "p", namespace: "shop" },
      },
      spec: {
        targetRefs: [{ group: "", kind: "Service", name: "c" }],
        validation: {
          hostname: "c.internal",
          caCertificateRefs: [{ group: "", kind: "ConfigMap", name: ca }],
        },
      },
    });
    const ca = {
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ca", namespace: "shop" } },
      data: { "ca.crt": (await makeCredentials("l7", [], [])).ca },
    };
    const world = new World(gateway([HTTP]), grpc, policy("ca"), ca);
    t.equal(world.short("http://h/shop.Cart/Get"), "a");
    t.equal(world.short("http://h/shop.Cart/Add"), "b");
    t.match(world.ask("http://h/x.Y/Ping"), {
      backend: "shop/c:80",
      protocol: "grpcs",
      backendTls: { hostname: "c.internal", authorities: ["shop/ca"] },
    });
    t.equal(world.ask("http://h/shop.Cart/Get").protocol, "grpc");
    t.match(new World(gateway([HTTP]), grpc, policy("gone")).ask("http://h/x.Y/Ping"), {
      status: 503,
      reason: /there is no ca\.crt in ConfigMap shop\/gone/,
    });
    const rubbish = { ...ca, data: { "ca.crt": ca.data["ca.crt"].replace("MII", "AAA") } };
    t.match(new World(gateway([HTTP]), grpc, policy("ca"), rubbish).ask("http://h/x.Y/Ping"), {
      status: 503,
      reason: /number 1 in ca\.crt of ConfigMap shop\/ca is no certificate/,
    });
  },
);

t.test("which Gateway: by name, by class; a request without one finds whoever has a route", async (t) => {
  const other = { ...gateway([HTTP]), metadata: { name: "other", namespace: "infra" } };
  const route = httpRoute(
    "o",
    { parentRefs: [{ name: "other", namespace: "infra" }], rules: [rule("/", "b")] },
    { namespace: "infra" },
  );
  const grant = httpRoute("r", { hostnames: ["a.example"], rules: [rule("/", "a")] });
  const infra = served("b", 2, "infra");
  const world = new World(gateway([HTTP]), other, route, grant, ...infra);
  t.equal(world.ask("http://a.example/").backend, "infra/b:80", "the first by namespace");
  t.equal(world.short("http://a.example/", { gateway: "gw" }), "a");
  t.equal(world.short("http://a.example/", { gateway: "infra/other" }), "infra/b:80");
  t.match(world.ask("http://x/", { gateway: "none" }), { status: 404, reason: /no Gateway none/ });
  const cls = (name: string, controllerName: string): object => ({
    ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "GatewayClass", metadata: { name } },
    spec: { controllerName },
  });
  const ours = new World(cls("podwire", "podwire.dev/gateway"), gateway([HTTP]), grant);
  t.equal(ours.short("http://a.example/"), "a");
  const theirs = new World(cls("mine", "podwire.dev/gateway"), gateway([HTTP]), grant);
  t.equal(theirs.short("http://a.example/"), "404", "podwire is asked for by another class");
  t.match(
    theirs.evaluator.notes.join("\n"),
    /Gateway shop\/gw: its class podwire is not podwire\.dev\/gateway's/,
  );
});

t.test(
  "fields that nothing here acts on are told; who asks for client certificates is not served",
  async (t) => {
    const secret = await tlsSecret();
    const https = (tls: object = {}): object => ({
      ...{ name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "c" }], ...tls } },
    });
    const withSpec = (own: object, more: object): object => {
      const { spec, ...rest } = own as { spec: object };
      return { ...rest, spec: { ...spec, ...more } };
    };
    const route = httpRoute("r", { rules: [rule("/", "a")] });
    const told = new World(
      secret,
      withSpec(gateway([HTTP, https({ options: { "example.com/a": "b" } })]), {
        ...{
          addresses: [{ value: "192.0.2.1" }],
          infrastructure: { labels: { a: "b" } },
          defaultScope: "All",
        },
      }),
      withSpec(route, { useDefaultGateways: "All" }),
    );
    t.same(told.evaluator.notes, [
      "Gateway shop/gw: spec.defaultScope does nothing here",
      "Gateway shop/gw: spec.listeners[*].tls.options does nothing here",
      "HTTPRoute shop/r: spec.useDefaultGateways does nothing here",
    ]);
    t.equal(told.short("https://a.example/"), "a");
    const refused =
      /Gateway shop\/gw listener https: Accepted is False: UnsupportedValue: client certificates/;
    for (const own of [
      gateway([HTTP, https({ frontendValidation: {} })]),
      withSpec(gateway([HTTP, https()]), { tls: { frontend: { default: {} } } }),
    ]) {
      const world = new World(secret, own, route);
      t.match(world.evaluator.notes.join("\n"), refused);
      t.equal(world.short("https://a.example/"), "404");
      t.equal(world.short("http://a.example/"), "a");
    }
  },
);

const gatewayClass = (spec: object = {}): object => ({
  ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "GatewayClass", metadata: { name: "podwire" } },
  spec: { controllerName: "podwire.dev/gateway", ...spec },
});
const withSpec = (own: object, more: object): object => {
  const { spec, ...rest } = own as { spec: object };
  return { ...rest, spec: { ...spec, ...more } };
};

t.test("a Gateway that asks for what nothing here does is not accepted, and serves nobody", async (t) => {
  const parametersRef = { group: "", kind: "ConfigMap", name: "x" };
  const route = httpRoute("r", { rules: [rule("/", "a")] });
  const cases: [why: string, cls: object, more: object][] = [
    ["InvalidParameters", gatewayClass(), { infrastructure: { parametersRef } }],
    ["InvalidParameters", gatewayClass({ parametersRef }), {}],
    ["UnsupportedAddress", gatewayClass(), { addresses: [{ type: "Hostname", value: "a.example" }] }],
  ];
  for (const [why, cls, more] of cases) {
    const world = new World(cls, withSpec(gateway([HTTP]), more), route);
    t.same(world.conditions("Gateway shop/gw"), [`Accepted=False(${why})`, "Programmed=False(Invalid)"]);
    t.same(world.conditions("Gateway shop/gw", "http"), [
      "Accepted=True(Accepted)",
      "ResolvedRefs=True(ResolvedRefs)",
      "Programmed=False(Invalid)",
      "Conflicted=False(NoConflicts)",
    ]);
    t.equal(world.short("http://h/"), "404");
    t.match(world.evaluator.notes.join("\n"), new RegExp(`Gateway shop/gw: Accepted is False: ${why}: `));
  }
  t.same(new World(gatewayClass({ parametersRef })).conditions("GatewayClass podwire"), [
    "Accepted=False(InvalidParameters)",
  ]);
  const fine = { addresses: [{ value: "192.0.2.1" }, {}], infrastructure: { labels: { a: "b" } } };
  const world = new World(gatewayClass(), withSpec(gateway([HTTP]), fine), route);
  t.same(world.conditions("Gateway shop/gw"), ["Accepted=True(Accepted)", "Programmed=True(Programmed)"]);
});

t.test(
  "a policy for backends says at each Gateway whether it is heeded: the older one has a port",
  async (t) => {
    const policy = (
      name: string,
      target: object,
      caCertificateRefs: object[],
      at = "2026-01-01T00:00:00Z",
    ): object => ({
      ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "BackendTLSPolicy" },
      metadata: { name, namespace: "shop", creationTimestamp: at },
      spec: {
        targetRefs: [{ group: "", kind: "Service", ...target }],
        validation: { hostname: "a.internal", caCertificateRefs },
      },
    });
    const ref = (name: string, kind = "ConfigMap") => ({ group: "", kind, name });
    const ca = {
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "ca", namespace: "shop" } },
      data: { "ca.crt": (await makeCredentials("l7", [], [])).ca },
    };
    const other = { ...gateway([HTTP]), metadata: { name: "other", namespace: "shop" } };
    const world = new World(
      ...[gateway([HTTP]), other, ca],
      httpRoute("r", { parentRefs: [{ name: "gw" }, { name: "other" }], rules: [rule("/", "a")] }),
      httpRoute("s", { rules: [rule("/b", "b", { backendRefs: [to("b"), to("lonely")] })] }),
      policy("late", { name: "a" }, [ref("ca")], "2026-01-02T00:00:00Z"),
      policy("early", { name: "a" }, [ref("ca")]),
      policy("port", { name: "a", sectionName: "http" }, [ref("ca")], "2026-01-03T00:00:00Z"),
      policy("none", { name: "b" }, [ref("gone"), ref("ca", "Secret")]),
      policy("half", { name: "lonely" }, [ref("ca"), ref("gone")]),
      policy("unused", { name: "c" }, [ref("ca")]),
      // Nobody serves it, and its policy is heeded all the same.
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "lonely", namespace: "shop" },
        spec: { ports: [{ port: 80 }] },
      },
    );
    const said = (name: string): string[] =>
      (
        world.evaluator.statuses.find(({ object }) => object === `BackendTLSPolicy shop/${name}`)
          ?.ancestors ?? []
      ).map(
        ({ ancestorRef, conditions }) =>
          `${ancestorRef.name}: ${conditions.map(({ status, reason }) => `${status} ${reason}`).join(", ")}`,
      );
    t.same(said("early"), [
      "gw: True Accepted, True ResolvedRefs",
      "other: True Accepted, True ResolvedRefs",
    ]);
    t.same(said("late")[0], "gw: False Conflicted, True ResolvedRefs");
    t.same(said("port")[0], "gw: True Accepted, True ResolvedRefs", "for one port alone");
    t.same(said("none"), ["gw: False NoValidCACertificate, False InvalidCACertificateRef"]);
    t.same(said("half"), ["gw: True Accepted, False InvalidCACertificateRef"]);
    t.same(said("unused"), []);
    t.match(
      world.evaluator.notes.join("\n"),
      /BackendTLSPolicy shop\/late: Accepted is False at Gateway gw: Conflicted: /,
    );
  },
);
