import fc from "fast-check";
import t from "tap";
import { ip } from "../../base/ip.ts";
import type { AuthorizationPolicy, PolicyRule } from "../../kube/mesh/authorization-policy.ts";
import { type BookRequest, bookAllows } from "../../testing/l7/policy-book.ts";
import type { Asked } from "./asked.ts";
import { Authorization } from "./authorization.ts";

type Spec = NonNullable<AuthorizationPolicy["spec"]>;

function policy(name: string, spec?: Spec, namespace = "shop"): AuthorizationPolicy {
  return {
    ...{ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" },
    ...{ metadata: { name, namespace }, ...(spec !== undefined && { spec }) },
  };
}

const WEB = "cluster.local/ns/shop/sa/web";
const BASE: BookRequest = {
  ...{ ip: "10.244.1.2", principal: WEB, namespace: "shop", labels: { app: "api" }, port: 8080 },
  ...{ destinationIp: "10.244.2.3", http: undefined },
};
const GET = { method: "GET", path: "/items/1", host: "api.shop:80" };

function askedOf({
  ip: source,
  principal,
  namespace,
  labels,
  port,
  destinationIp,
  http,
}: BookRequest): Asked {
  const [trustDomain, , ns, , serviceAccount] = principal.split("/");
  return {
    source: {
      ip: ip(source),
      identity: principal === "" ? undefined : { trustDomain, namespace: ns, serviceAccount },
    },
    destination: { namespace, labels, ip: ip(destinationIp), port },
    request: http && { ...http, headers: [] },
  };
}

function judged(policies: readonly AuthorizationPolicy[], asked: BookRequest) {
  return new Authorization(policies).of(asked).judge(askedOf(asked));
}

const allow = (...rules: PolicyRule[]): Spec => ({ rules });
const deny = (...rules: PolicyRule[]): Spec => ({ action: "DENY", rules });
const from = (source: NonNullable<PolicyRule["from"]>[0]["source"]): PolicyRule => ({ from: [{ source }] });
const to = (operation: NonNullable<PolicyRule["to"]>[0]["operation"]): PolicyRule => ({
  to: [{ operation }],
});

const cases: [name: string, want: boolean, spec: Spec | undefined, asked?: Partial<BookRequest>][] = [
  ["a policy without a spec allows nothing", false, undefined],
  ["an ALLOW policy without rules allows nothing", false, {}],
  ["an empty rule allows all", true, allow({})],
  ["an empty rule of DENY denies all", false, deny({})],
  ["a DENY policy without rules denies nothing", true, { action: "DENY" }],
  ["AUDIT decides nothing", true, { action: "AUDIT", rules: [{}] }],
  ["a principal that is named is allowed", true, allow(from({ principals: [WEB] }))],
  ["another is not", false, allow(from({ principals: ["cluster.local/ns/shop/sa/other"] }))],
  ["spiffe:// is no part of a principal", false, allow(from({ principals: [`spiffe://${WEB}`] }))],
  ["* is whoever has an identity", true, allow(from({ principals: ["*"] }))],
  ["* is nobody without one", false, allow(from({ principals: ["*"] })), { principal: "" }],
  [
    "who has no identity is not one of those that are named",
    true,
    deny(from({ principals: [WEB] })),
    { principal: "" },
  ],
  [
    "who has no identity is none of those that are not meant",
    false,
    deny(from({ notPrincipals: [WEB] })),
    { principal: "" },
  ],
  ["a start is enough with * behind it", true, allow(from({ principals: ["cluster.local/ns/shop/*"] }))],
  ["an end is enough with * before it", true, allow(from({ principals: ["*/sa/web"] }))],
  ["a namespace is that of the identity", true, allow(from({ namespaces: ["shop"] }))],
  [
    "a namespace without an identity is none",
    false,
    allow(from({ namespaces: ["shop"] })),
    { principal: "" },
  ],
  ["a service account is of the policy's namespace", true, allow(from({ serviceAccounts: ["web"] }))],
  ["or of the one that is said", false, allow(from({ serviceAccounts: ["other/web"] }))],
  ["an address is in a range", true, allow(from({ ipBlocks: ["10.244.0.0/16"] }))],
  ["or is the one", true, allow(from({ ipBlocks: ["10.244.1.2"] }))],
  ["or is not", false, allow(from({ notIpBlocks: ["10.244.1.0/24"] }))],
  ["fields of a source are all to be met", false, allow(from({ principals: [WEB], namespaces: ["other"] }))],
  [
    "entries of from are one or the other",
    true,
    allow({ from: [{ source: { namespaces: ["x"] } }, { source: { namespaces: ["shop"] } }] }),
  ],
  ["a port is the pod's", true, allow(to({ ports: ["8080"] }))],
  ["another port is another", false, allow(to({ ports: ["80"] }))],
  ["a method is allowed", true, allow(to({ methods: ["GET"] })), { http: GET }],
  ["another is not", false, allow(to({ methods: ["POST"] })), { http: GET }],
  ["a path by its start", true, allow(to({ paths: ["/items/*"] })), { http: GET }],
  ["a host has its port", false, allow(to({ hosts: ["api.shop"] })), { http: GET }],
  ["a host in whatever letters", true, allow(to({ hosts: ["API.shop:*"] })), { http: GET }],
  ["a connection is not allowed by a rule of HTTP", false, allow(to({ methods: ["*"] }))],
  ["nor by one that excludes a method", false, allow(to({ notMethods: ["POST"] }))],
  [
    "a connection is denied by a rule of HTTP as if it said no method",
    false,
    deny(to({ methods: ["POST"], ports: ["8080"] })),
  ],
  ["but at its ports alone", true, deny(to({ methods: ["POST"], ports: ["80"] }))],
  ["when: a principal", true, allow({ when: [{ key: "source.principal", values: [WEB] }] })],
  ["when: not this one", false, allow({ when: [{ key: "source.principal", notValues: [WEB] }] })],
  ["when: a port", true, allow({ when: [{ key: "destination.port", values: ["8080"] }] })],
  ["when: an address", true, allow({ when: [{ key: "destination.ip", values: ["10.244.2.0/24"] }] })],
  [
    "all of when are to be met",
    false,
    allow({
      when: [
        { key: "source.namespace", values: ["shop"] },
        { key: "source.ip", values: ["10.0.0.1"] },
      ],
    }),
  ],
  [
    "another workload's policy means nobody else",
    true,
    { ...deny({}), selector: { matchLabels: { app: "web" } } },
  ],
  ["labels choose", false, { ...deny({}), selector: { matchLabels: { app: "api" } } }],
];

for (const [name, want, spec, more = {}] of cases)
  t.test(name, async (t) => {
    const asked = { ...BASE, ...more };
    t.equal(judged([policy("p", spec)], asked).isAllowed, want);
    t.equal(bookAllows([policy("p", spec)], asked), want, "by the book as well");
  });

t.test("DENY comes before ALLOW, and another namespace's policies mean nobody here", async (t) => {
  const both = [policy("a", allow({})), policy("b", deny(from({ principals: [WEB] })))];
  t.match(judged(both, BASE), { isAllowed: false, reason: "denied by AuthorizationPolicy shop/b rules[0]" });
  t.equal(judged([policy("a", deny({}), "other")], BASE).isAllowed, true);
  t.match(judged([policy("a", allow(from({ namespaces: ["x"] }))), policy("c", {})], BASE), {
    isAllowed: false,
    reason: "allowed by none of AuthorizationPolicy shop/a, AuthorizationPolicy shop/c",
  });
});

t.test("headers are looked at by their names in whatever letters", async (t) => {
  const spec = allow({ when: [{ key: "request.headers[X-Team]", values: ["a*"] }] });
  const policies = new Authorization([policy("p", spec)]).of(BASE);
  const request = { ...GET, headers: [{ name: "x-team", value: "abc" }] };
  t.equal(policies.judge({ ...askedOf(BASE), request }).isAllowed, true);
  t.equal(policies.judge({ ...askedOf(BASE), request: { ...request, headers: [] } }).isAllowed, false);
  t.equal(policies.judge(askedOf(BASE)).isAllowed, false, "a connection has none");
});

t.test("what is audited is told", async (t) => {
  const audit: Spec = {
    action: "AUDIT",
    rules: [from({ namespaces: ["x"] }), from({ namespaces: ["shop"] })],
  };
  t.same(judged([policy("watch", audit)], BASE).audited, ["AuthorizationPolicy shop/watch rules[1]"]);
});

t.test("a policy that cannot be judged by denies to whom it means, and says why", async (t) => {
  const odd = [
    { action: "CUSTOM", rules: [{}] },
    { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] },
    { action: "DENY", rules: [{ when: [{ key: "request.auth.claims[x]", values: ["y"] }] }] },
    { targetRefs: [{ name: "x" }], rules: [{}] },
    { rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/40"] } }] }] },
  ] as unknown as Spec[];
  for (const spec of odd) {
    const authorization = new Authorization([policy("odd", spec), policy("all", allow({}))]);
    const judgement = authorization.of(BASE).judge(askedOf(BASE));
    t.equal(judgement.isAllowed, false, JSON.stringify(spec));
    t.match(judgement.reason, /^AuthorizationPolicy shop\/odd cannot be judged by: /);
    t.equal(authorization.notes.length, 1);
  }
  const refused = new Authorization([], new Map([["shop/bad", "spec.rules: no list"]]));
  t.match(refused.of(BASE).judge(askedOf(BASE)), {
    isAllowed: false,
    reason: /shop\/bad cannot be judged by/,
  });
  t.equal(
    refused.of({ ...BASE, namespace: "other" }).judge(askedOf(BASE)).isAllowed,
    true,
    "but nobody elsewhere",
  );
});

t.test("which ports are asked for requests", async (t) => {
  const of = (spec: Spec) => new Authorization([policy("p", spec)]).of(BASE);
  t.equal(of(allow(to({ ports: ["80"] }))).needsHttp(80), false);
  t.equal(of(allow(to({ ports: ["80"], methods: ["GET"] }))).needsHttp(80), true);
  t.equal(of(allow(to({ ports: ["80"], methods: ["GET"] }))).needsHttp(81), false);
  t.equal(
    of(allow({ ...to({ ports: ["80"] }), when: [{ key: "request.headers[a]", values: ["b"] }] })).needsHttp(
      80,
    ),
    true,
  );
  t.equal(of(deny(to({ notPaths: ["/x"] }))).needsHttp(9), true);
});

const some = <T>(...values: T[]) => fc.constantFrom(...values);
const list = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 3 });
const principals = some(WEB, "cluster.local/ns/other/sa/web", "cluster.local/ns/shop/*", "*/sa/web", "*");
const blocks = some("10.244.0.0/16", "10.244.1.2", "10.244.1.0/24", "0.0.0.0/0", "192.168.0.0/16");
const ports = some("80", "8080");
const source = fc.record(
  {
    ...{ principals: list(principals), notPrincipals: list(principals) },
    ...{ namespaces: list(some("shop", "oth*", "*")), notNamespaces: list(some("shop", "other")) },
    ...{ serviceAccounts: list(some("web", "other/web")), notServiceAccounts: list(some("web", "shop/api")) },
    ...{ ipBlocks: list(blocks), notIpBlocks: list(blocks) },
  },
  { requiredKeys: [] },
);
const paths = some("/", "/items/*", "*/1", "*", "/admin");
const operation = fc.record(
  {
    ...{ ports: list(ports), notPorts: list(ports), methods: list(some("GET", "POST", "*")) },
    ...{ notMethods: list(some("GET", "P*")), paths: list(paths), notPaths: list(paths) },
    ...{ hosts: list(some("api.shop:80", "API.*", "*:80")), notHosts: list(some("api.shop", "*")) },
  },
  { requiredKeys: [] },
);
const condition = fc.oneof(
  fc.record({ key: some("source.principal"), values: list(principals) }),
  fc.record({ key: some("source.ip", "destination.ip"), values: list(blocks), notValues: list(blocks) }),
  fc.record({ key: some("destination.port"), notValues: list(ports) }),
);
const rule = fc.record(
  {
    from: list(fc.record({ source })),
    to: list(fc.record({ operation })),
    when: list(condition),
  },
  { requiredKeys: [] },
);
const spec = fc.record(
  {
    action: some("ALLOW", "DENY", "AUDIT"),
    rules: fc.array(rule, { maxLength: 3 }),
    selector: fc.record({ matchLabels: some({ app: "api" }, { app: "web" }) }),
  },
  { requiredKeys: [] },
);
const requests = fc.record({
  ...{
    ip: some("10.244.1.2", "10.244.9.9", "192.168.1.1"),
    principal: some("", WEB, "cluster.local/ns/other/sa/web"),
  },
  ...{ namespace: some("shop", "other"), labels: some({ app: "api" }, { app: "web" }), port: some(80, 8080) },
  destinationIp: some("10.244.1.7", "192.168.3.4"),
  http: some(undefined, GET, { method: "POST", path: "/admin", host: "api.shop" }),
});

t.test("the evaluator and the book say the same of whatever is asked", async (t) => {
  const policies = fc.array(fc.tuple(some("shop", "other"), spec), { maxLength: 4 });
  fc.assert(
    fc.property(policies, requests, (specs, asked) => {
      const all = specs.map(([namespace, each], i) => policy(`p${i}`, each as Spec, namespace));
      return judged(all, asked as BookRequest).isAllowed === bookAllows(all, asked as BookRequest);
    }),
    { numRuns: 3000 },
  );
  t.pass("3000 of them");
});
