// explain --http over an example of everything that Ingresses, their annotations and Gateways' routes may say of a request:
// what it prints of each is told, so that the whole list can be read in this test's output.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { CommandLine } from "../../testing/command-line.ts";
import { type IngressText, ingress, type PathText, served } from "../../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../testing/l7/random-gateway.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-explain-rows-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

/** What is said, of which objects, as words of the command line; and a line of the answer, or several. */
interface Row {
  readonly name: string;
  readonly objects: readonly object[];
  readonly words: readonly string[];
  readonly wanted: readonly RegExp[];
}

const SERVICES = ["a", "b", "c"].flatMap((name) => served(name));
let files = 0;

function written(text: string, end: string): string {
  const path = join(directory, `${++files}${end}`);
  writeFileSync(path, text);
  return path;
}

function check(t: Test, { name, objects, words, wanted }: Row): void {
  const file = written(
    [...SERVICES, ...objects].map((each) => JSON.stringify(each)).join("\n---\n"),
    ".yaml",
  );
  const { stdout, stderr } = podwire.run(["explain", "-f", file, ...words]);
  const lines = stdout.trimEnd().split("\n");
  for (const each of wanted) {
    const line = lines.find((one) => each.test(one)) ?? stderr.split("\n").find((one) => each.test(one));
    t.ok(line !== undefined, `${name}: ${String(each)}`, { stdout, stderr });
    if (line !== undefined) t.comment(`${name}: ${words.slice(1).join(" ")}: ${line.trim()}`);
  }
}

const http = (url: string, ...more: string[]): string[] => ["--http", "GET", url, ...more];
const A = "http://a.example/";
const toA = /^FORWARD to shop\/a:80 /;
const toB = /^FORWARD to shop\/b:80 /;
const toC = /^FORWARD to shop\/c:80 /;

const at = (hosts: Record<string, readonly PathText[]>, more: IngressText = {}): object =>
  ingress({ hosts, ...more });
const root = (path: string, to: string, type = "Prefix"): PathText => ({ path, to, type });
const annotated = (annotations: Record<string, string>, more: IngressText = {}): object =>
  ingress({ hosts: { "a.example": [root("/", "a")] }, annotations, ...more });

const two = at({ "a.example": [root("/x", "a", "Exact"), root("/x", "b"), root("/x/y", "c")] });
const RESOURCE = {
  ...{ apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "r", namespace: "shop" } },
  spec: { defaultBackend: { resource: { apiGroup: "storage.example", kind: "Bucket", name: "b" } } },
};
const canary = (annotations: Record<string, string>): object[] => [
  annotated({}),
  ingress({
    ...{ name: "later", hosts: { "a.example": [root("/", "b")] } },
    annotations: { canary: "true", ...annotations },
  }),
];
const HEADERS = {
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "told", namespace: "shop" } },
  data: { "X-Told": "yes" },
};
const PATTERN = "/p(/|$)(.*)";
const TLS = { tls: [{ hosts: ["a.example"], secretName: "gone" }] };
const CORS = { "enable-cors": "true", "cors-allow-origin": "https://a.test", "cors-max-age": "5" };
const from = (client: string): string[] => http(A, "--client", client);

type Given = readonly [
  name: string,
  objects: readonly object[],
  words: readonly string[],
  ...wanted: RegExp[],
];

const INGRESS: readonly Given[] = [
  ["Exact", [two], http(`${A}x`), toA],
  ["Prefix, by element", [two], http(`${A}x/`), toB],
  ["Prefix, not within one", [two], http(`${A}xy`), /^404: no rule for host a\.example and path \/xy$/],
  ["ImplementationSpecific", [at({ "": [root("/x", "a", "ImplementationSpecific")] })], http(`${A}xy`), toA],
  ["precedence", [two], http(`${A}x/y/z`), toC],
  ["a host with a star", [at({ "*.example": [root("/", "a")], "": [root("/", "b")] })], http(A), toA],
  [
    "one label only",
    [at({ "*.example": [root("/", "a")], "": [root("/", "b")] })],
    http("http://a.b.example/"),
    toB,
  ],
  ["default backend", [ingress({ defaultTo: "c" })], http(A), toC],
  ["a port by name", [at({ "": [root("/", "a:http")] })], http(A), toA],
  ["a port that is not there", [at({ "": [root("/", "a:81")] })], http(A), /^503: /],
  ["a resource", [RESOURCE], http(A), /^503: .*Bucket\.storage\.example b: only Services are served$/],
  ["another's class", [annotated({}, { className: "other" })], http(A), /^404: /, /note: .*other/],
  [
    "rewrite-target",
    [
      annotated(
        { "rewrite-target": "/$2" },
        { hosts: { "": [root(PATTERN, "a", "ImplementationSpecific")] } },
      ),
    ],
    http(`${A}p/q?r=s`),
    /\/p\/q\?r=s becomes \/q\?r=s$/,
    toA,
  ],
  [
    "use-regex",
    [annotated({ "use-regex": "true" }, { hosts: { "": [root("/[ab]+$", "a", "ImplementationSpecific")] } })],
    http(`${A}abba`),
    toA,
  ],
  ["ssl-redirect", [annotated({}, TLS)], http(`${A}x`), /^308 → https:\/\/a\.example\/x: ssl-redirect/],
  ["ssl-redirect: false", [annotated({ "ssl-redirect": "false" }, TLS)], http(A), toA],
  [
    "force-ssl-redirect",
    [annotated({ "force-ssl-redirect": "true" })],
    http(A),
    /^308 → https:\/\/a\.example\/: force/,
  ],
  [
    "ACME's challenge",
    [annotated({ "force-ssl-redirect": "true" })],
    http(`${A}.well-known/acme-challenge/x`),
    toA,
  ],
  [
    "permanent-redirect",
    [annotated({ "permanent-redirect": "https://b.example$request_uri" })],
    http(`${A}x`),
    /^301 → https:\/\/b\.example\/x: /,
  ],
  [
    "permanent-redirect-code",
    [annotated({ "permanent-redirect": "https://b.example", "permanent-redirect-code": "308" })],
    http(A),
    /^308 → https:\/\/b\.example: /,
  ],
  [
    "temporal-redirect",
    [annotated({ "temporal-redirect": "https://b.example" })],
    http(A),
    /^302 → https:\/\/b\.example: /,
  ],
  ["app-root", [annotated({ "app-root": "/home" })], http(A), /^302 → http:\/\/a\.example\/home: app-root/],
  ["server-alias", [annotated({ "server-alias": "b.example" })], http("http://b.example/"), toA],
  [
    "from-to-www-redirect",
    [annotated({ "from-to-www-redirect": "true" })],
    http("http://www.a.example/x"),
    /^308 → http:\/\/a\.example\/x: /,
  ],
  [
    "proxy-body-size",
    [annotated({ "proxy-body-size": "1k" })],
    http(A, "-H", "Content-Length: 1025"),
    /^413: .*proxy-body-size, 1024 bytes$/,
  ],
  [
    "timeouts",
    [annotated({ "proxy-connect-timeout": "1", "proxy-send-timeout": "2", "proxy-read-timeout": "3" })],
    http(A),
    /connect 1 s; send 2 s; read 3 s/,
  ],
  ["backend-protocol", [annotated({ "backend-protocol": "GRPC" })], http(A), /^ {2}= grpc; /],
  ["upstream-vhost", [annotated({ "upstream-vhost": "in.example" })], http(A), /> Host: in\.example$/],
  [
    "enable-cors: a preflight",
    [annotated(CORS)],
    ["--http", "OPTIONS", A, "-H", "Origin: https://a.test"],
    /< Access-Control-Max-Age: 5$/,
    /^204: /,
  ],
  [
    "enable-cors: an answer",
    [annotated(CORS)],
    http(A, "-H", "Origin: https://a.test"),
    /< Access-Control-Allow-Origin: https:\/\/a\.test$/,
  ],
  [
    "whitelist-source-range",
    [annotated({ "whitelist-source-range": "192.0.2.0/24" })],
    from("198.51.100.1"),
    /^403: 198\.51\.100\.1 is not in whitelist/,
  ],
  [
    "denylist-source-range",
    [annotated({ "denylist-source-range": "192.0.2.0/24" })],
    from("192.0.2.1"),
    /^403: 192\.0\.2\.1 is in denylist/,
  ],
  [
    "limit-rps",
    [annotated({ "limit-rps": "10" })],
    http(A),
    /10 requests a second, 50 at once above that; what is more gets 503$/,
  ],
  [
    "limit-connections",
    [annotated({ "limit-connections": "2" })],
    http(A),
    /of one client 2 connections; what is more gets 503$/,
  ],
  [
    "canary-weight",
    canary({ "canary-weight": "25" }),
    http(A),
    /^FORWARD to shop\/a:80 \(75 %\), shop\/b:80 \(25 %\) by/,
  ],
  ["canary-by-header", canary({ "canary-by-header": "X-C" }), http(A, "-H", "X-C: always"), toB],
  [
    "canary-by-header-value",
    canary({ "canary-by-header": "X-C", "canary-by-header-value": "me" }),
    http(A, "-H", "X-C: me"),
    toB,
  ],
  ["canary-by-cookie", canary({ "canary-by-cookie": "c" }), http(A, "-H", "Cookie: c=always"), toB],
  [
    "affinity",
    [annotated({ affinity: "cookie", "session-cookie-name": "S", "session-cookie-max-age": "60" })],
    http(A),
    /= cookie S: Path=\/; Max-Age=60; HttpOnly$/,
  ],
  [
    "auth-url",
    [annotated({ "auth-url": "http://auth.example/", "auth-signin": "http://in.example/" })],
    http(A),
    /auth +GET http:\/\/auth\.example\/ is asked first/,
    /= who is not let on is sent to http:\/\/in\.example\//,
  ],
  ["custom-headers", [HEADERS, annotated({ "custom-headers": "shop/told" })], http(A), /< X-Told: yes$/],
  [
    "default-backend",
    [...served("d", 0), annotated({ "default-backend": "b" }, { hosts: { "": [root("/", "d")] } })],
    http(A),
    /shop\/d:80 has no endpoint that is ready: default-backend b$/,
    toB,
  ],
  [
    "mirror-target",
    [annotated({ "mirror-target": "http://copies.example$request_uri" })],
    http(A),
    /= copies to http:\/\/copies\.example\$request_uri, with bodies$/,
  ],
  [
    "an unknown annotation",
    [annotated({ "made-up": "1" })],
    http(A),
    toA,
    /note: .*made-up is not known here and does nothing/,
  ],
  [
    "one that would keep somebody out",
    [annotated({ "auth-type": "basic" })],
    http(A),
    /^503: .*auth-type is not carried out here$/,
  ],
];

const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const ref = (name: string, more: object = {}): object => ({ name, port: 80, ...more });
const ruled = (...rules: object[]): object[] => [gateway([HTTP]), httpRoute("r", { rules })];
const matched = (match: object, name: string): object => ({ matches: [match], backendRefs: [ref(name)] });
const path = (type: string, value: string): object => ({ path: { type, value } });
const filtered = (...filters: object[]): object[] =>
  ruled({ ...matched(path("PathPrefix", "/x"), "a"), filters });
const redirected = (requestRedirect: object): object[] =>
  ruled({ matches: [path("PathPrefix", "/x")], filters: [{ type: "RequestRedirect", requestRedirect }] });
const said = (more: object): object[] => ruled({ backendRefs: [ref("a")], ...more });
const kind = (name: string, version: string, spec: object, metadata: object = {}): object => ({
  ...{ apiVersion: `${GATEWAY_GROUP}/${version}`, kind: name },
  ...{ metadata: { name: "o", namespace: "shop", ...metadata }, spec },
});
const over = (appProtocol: string): object[] => {
  const [service, slice] = served("p") as { spec: { ports: object[] }; ports: object[] }[];
  return [
    { ...service, spec: { ...service.spec, ports: [{ ...service.spec.ports[0], appProtocol }] } },
    { ...slice, ports: [{ ...slice.ports[0], appProtocol }] },
    ...ruled({ backendRefs: [ref("p")] }),
  ];
};
const PATHS = ruled(
  matched(path("Exact", "/x"), "a"),
  matched(path("PathPrefix", "/x"), "b"),
  matched(path("RegularExpression", "/[yz]+"), "c"),
);
const age = (day: number): object => ({ creationTimestamp: `2026-01-0${day}T00:00:00Z` });
const TIES = [
  gateway([HTTP]),
  httpRoute("r1", { rules: [matched(path("PathPrefix", "/"), "a")] }, age(2)),
  httpRoute("r2", { rules: [matched(path("PathPrefix", "/"), "b")] }, age(1)),
];
const ISOLATED = [
  gateway([
    { ...HTTP, hostname: "*.example" },
    { ...HTTP, name: "own", hostname: "a.example" },
  ]),
  httpRoute("r", { parentRefs: [{ name: "gw", sectionName: "http" }], rules: [{ backendRefs: [ref("a")] }] }),
];
const MET = [
  gateway([{ ...HTTP, hostname: "*.example" }]),
  httpRoute("r", { hostnames: ["a.example", "a.test"], rules: [{ backendRefs: [ref("a")] }] }),
];
const FAR = [...served("far", 2, "other"), ...ruled({ backendRefs: [ref("far", { namespace: "other" })] })];
const GRANT = kind(
  ...(["ReferenceGrant", "v1beta1"] as const),
  {
    from: [{ group: GATEWAY_GROUP, kind: "HTTPRoute", namespace: "shop" }],
    to: [{ group: "", kind: "Service" }],
  },
  { namespace: "other" },
);
const MODIFIED = { set: [{ name: "X-A", value: "1" }], add: [{ name: "X-B", value: "2" }], remove: ["X-C"] };
const ALLOWED = { allowOrigins: ["https://a.test"], allowMethods: ["PUT"] };
const POLICY = kind("BackendTLSPolicy", "v1", {
  targetRefs: [{ group: "", kind: "Service", name: "a" }],
  validation: { hostname: "a.internal", wellKnownCACertificates: "System" },
});
const GRPC = kind("GRPCRoute", "v1", {
  parentRefs: [{ name: "gw" }],
  rules: [{ matches: [{ method: { service: "shop.Cart", method: "Add" } }], backendRefs: [ref("a")] }],
});

const ROUTES: readonly Given[] = [
  ["path: Exact", PATHS, http(`${A}x`), toA],
  ["path: PathPrefix", PATHS, http(`${A}x/y`), toB],
  ["path: RegularExpression", PATHS, http(`${A}yz`), toC],
  ["headers", ruled(matched({ headers: [{ name: "X-A", value: "1" }] }, "a")), http(A, "-H", "x-a: 1"), toA],
  ["queryParams", ruled(matched({ queryParams: [{ name: "q", value: "1" }] }, "a")), http(`${A}?q=1`), toA],
  ["method", ruled(matched({ method: "PUT" }, "a")), ["--http", "PUT", A], toA],
  [
    "precedence: more headers",
    ruled(matched({}, "a"), matched({ headers: [{ name: "X-A", value: "1" }] }, "b")),
    http(A, "-H", "X-A: 1"),
    toB,
  ],
  ["ties: the older route", TIES, http(A), toB],
  [
    "RequestHeaderModifier",
    filtered({ type: "RequestHeaderModifier", requestHeaderModifier: MODIFIED }),
    http(`${A}x`),
    /> X-A: 1$/,
    /> X-B: 2$/,
  ],
  [
    "ResponseHeaderModifier",
    filtered({ type: "ResponseHeaderModifier", responseHeaderModifier: MODIFIED }),
    http(`${A}x`),
    /< X-A: 1$/,
    /< without X-C$/,
  ],
  [
    "RequestRedirect",
    redirected({ scheme: "https", hostname: "b.example", port: 8443, statusCode: 301 }),
    http(`${A}x`),
    /^301 → https:\/\/b\.example:8443\/x: /,
  ],
  [
    "URLRewrite: path",
    filtered({
      type: "URLRewrite",
      urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/n" } },
    }),
    http(`${A}x/y?z`),
    /\/x\/y\?z becomes \/n\/y\?z$/,
  ],
  [
    "URLRewrite: hostname",
    filtered({ type: "URLRewrite", urlRewrite: { hostname: "in.example" } }),
    http(`${A}x`),
    /Host becomes in\.example$/,
  ],
  [
    "RequestMirror",
    filtered({ type: "RequestMirror", requestMirror: { backendRef: ref("b"), percent: 10 } }),
    http(`${A}x`),
    /mirror +of 10 % a copy goes to shop\/b:80$/,
  ],
  [
    "CORS",
    filtered({ type: "CORS", cors: ALLOWED }),
    [
      "--http",
      "OPTIONS",
      `${A}x`,
      "-H",
      "Origin: https://a.test",
      "-H",
      "Access-Control-Request-Method: PUT",
    ],
    /< Access-Control-Allow-Methods: PUT$/,
    /^204: /,
  ],
  [
    "another filter",
    filtered({ type: "ExtensionRef", extensionRef: { group: "x.example", kind: "B", name: "c" } }),
    http(`${A}x`),
    /^500: a filter of type ExtensionRef is not carried out here/,
  ],
  [
    "weights",
    ruled({ backendRefs: [ref("a", { weight: 3 }), ref("b")] }),
    http(A),
    /^FORWARD to shop\/a:80 \(75 %\), shop\/b:80 \(25 %\) by/,
  ],
  [
    "an invalid backend's share",
    ruled({ backendRefs: [ref("a", { weight: 9 }), ref("gone")] }),
    http(A),
    /10 % fail: there is no Service shop\/gone$/,
    /500 \(10 %\)/,
  ],
  [
    "timeouts",
    said({ timeouts: { request: "10s", backendRequest: "1500ms" } }),
    http(A),
    /request 10 s; try 1\.5 s/,
  ],
  [
    "retry",
    said({ retry: { codes: [503], attempts: 2, backoff: "100ms" } }),
    http(A),
    /3 tries on error, http_503 0\.1 s apart$/,
  ],
  [
    "sessionPersistence: Cookie",
    said({
      sessionPersistence: {
        sessionName: "s",
        absoluteTimeout: "1h",
        cookieConfig: { lifetimeType: "Permanent" },
      },
    }),
    http(A),
    /= cookie s: Path=\/; Max-Age=3600; /,
  ],
  [
    "sessionPersistence: Header",
    said({ sessionPersistence: { sessionName: "X-S", type: "Header", idleTimeout: "5m" } }),
    http(A),
    /= header X-S; ends when idle for 300 s$/,
  ],
  ["hostnames that meet", MET, http(A), toA],
  ["hostnames that do not", MET, http("http://a.test/"), /^404: /],
  ["listeners' isolation", ISOLATED, http(A), /^404: no route at Gateway shop\/gw listener own /],
  [
    "another namespace, no grant",
    FAR,
    http(A),
    /^500: no ReferenceGrant in other lets HTTPRoutes of shop use Service far/,
  ],
  ["another namespace, granted", [...FAR, GRANT], http(A), /^FORWARD to other\/far:80 /],
  [
    "BackendTLSPolicy",
    [...said({}), POLICY],
    http(A),
    /= TLS to shop\/a:80 as a\.internal, signed by whom the machine trusts$/,
  ],
  ["appProtocol: h2c", over("kubernetes.io/h2c"), http(A), /^ {2}= h2c; /],
  ["appProtocol: ws", over("kubernetes.io/ws"), http(A), /^ {2}= ws; /],
  ["GRPCRoute", [gateway([HTTP]), GRPC], ["--http", "POST", `${A}shop.Cart/Add`], /^ {2}= grpc; /, toA],
];

const rowOf = ([name, objects, words, ...wanted]: Given): Row => ({ name, objects, words, wanted });

t.test("Ingresses and their annotations", async (t) => {
  for (const each of INGRESS) check(t, rowOf(each));
});

t.test("routes of the Gateway API", async (t) => {
  for (const each of ROUTES) check(t, rowOf(each));
});

t.test("TLS: certificates of Secrets, misdirected requests, what passes through", async (t) => {
  const { serverCert, serverKey } = await makeCredentials("rows", ["a.example", "b.example"], []);
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const secret = {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "c", namespace: "shop" } },
    ...{ type: "kubernetes.io/tls", data: { "tls.crt": base64(serverCert), "tls.key": base64(serverKey) } },
  };
  const https = (name: string, hostname: string): object => ({
    ...{ name, hostname, port: 443, protocol: "HTTPS" },
    tls: { certificateRefs: [{ name: "c" }] },
  });
  const passed = {
    name: "t",
    hostname: "t.example",
    port: 443,
    protocol: "TLS",
    tls: { mode: "Passthrough" },
  };
  const tls = kind("TLSRoute", "v1alpha2", {
    parentRefs: [{ name: "gw" }],
    ...{ hostnames: ["t.example"], rules: [{ backendRefs: [ref("b")] }] },
  });
  const routes = [
    ...[secret, gateway([https("a", "a.example"), https("b", "b.example"), passed])],
    ...[httpRoute("r", { rules: [{ backendRefs: [ref("a")] }] }), tls],
  ];
  const misdirected = { scheme: "https", host: "b.example", path: "/", sni: "a.example" };
  const asked = ["--http", written(`${JSON.stringify(misdirected)}\n`, ".jsonl")];
  const own = annotated({}, { tls: [{ hosts: ["a.example"], secretName: "c" }] });
  const rows: readonly Given[] = [
    [
      "tls of an Ingress",
      [secret, own],
      http("https://a.example/"),
      /the certificate of Secret shop\/c$/,
      toA,
    ],
    ["tls of a listener", routes, http("https://a.example/"), /the certificate of Secret shop\/c$/, toA],
    ["misdirected", routes, asked, /421.*TLS asked for a\.example, and host b\.example is of /],
    [
      "TLSRoute, passed through",
      routes,
      http("https://t.example/"),
      /^FORWARD TLS as it comes, to shop\/b:80 by TLSRoute/,
    ],
  ];
  for (const each of rows) check(t, rowOf(each));
});
