// Requests and what is answered, in the words of an API server.
import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { ServedCluster } from "../testing/api-server/served-cluster.ts";

const served = new ServedCluster();
t.teardown(() => served.api.close());
const call = served.call.bind(served);
const PODS = "/api/v1/namespaces/default/pods";
const MAPS = "/api/v1/namespaces/default/configmaps";
const MERGE = { type: "application/merge-patch+json" };

const map = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
const pod = (name: string, labels = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels },
  spec: { containers: [{ name: "a", image: "a" }] },
});
const deployment = (name: string, replicas = 1) => ({
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: pod("x").spec },
  },
});

t.test("create, get, update, patch, delete", async (t) => {
  const made = call(`POST ${MAPS}`, map("a", { data: { k: "1" } }));
  t.equal(made.code, 201);
  t.match(made.body, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "default" } });
  t.match(made.body.metadata, { uid: /^[-0-9a-f]{36}$/, resourceVersion: /^\d+$/, creationTimestamp: /Z$/ });
  t.match(call(`POST ${MAPS}`, map("a")), { code: 409, body: { reason: "AlreadyExists" } });
  const next = { ...made.body, data: { k: "2" } };
  const updated = call(`PUT ${MAPS}/a`, next);
  t.match(updated, { code: 200, body: { data: { k: "2" }, metadata: { uid: made.body.metadata.uid } } });
  t.match(call(`PUT ${MAPS}/a`, next), {
    code: 409,
    body: {
      reason: "Conflict",
      message:
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
        "please apply your changes to the latest version and try again",
    },
  });
  t.match(call(`PUT ${MAPS}/b`, map("b")), { code: 404, body: { message: 'configmaps "b" not found' } });
  const patched = call(`PATCH ${MAPS}/a`, { data: { k: null, l: "3" } }, MERGE);
  t.same(patched.body.data, { l: "3" });
  t.same(call(`GET ${MAPS}/a`).body, patched.body);
  const wrong = { preconditions: { uid: "other" } };
  t.match(call(`DELETE ${MAPS}/a`, wrong), { code: 409, body: { message: /UID in precondition: other/ } });
  t.match(call(`DELETE ${MAPS}/a`), {
    code: 200,
    body: { kind: "Status", status: "Success", details: { name: "a" } },
  });
  t.match(call(`GET ${MAPS}/a`), {
    code: 404,
    body: { reason: "NotFound", details: { name: "a", kind: "configmaps" } },
  });
});

const REFUSED: [string, unknown, number, string][] = [
  [
    `POST ${MAPS}`,
    map("A"),
    422,
    'ConfigMap "A" is invalid: metadata.name: Invalid value: "A": a lowercase RFC',
  ],
  [`POST ${MAPS}`, [1], 400, "the object provided is not a map but a list"],
  [`POST ${MAPS}`, "{", 400, "the body of the request is no JSON"],
  [
    `POST ${MAPS}`,
    { kind: "Secret", metadata: { name: "a" } },
    400,
    "does not match the expected API version",
  ],
  [
    `POST ${MAPS}`,
    map("a", { data: { k: 1 } }),
    400,
    'ConfigMap in version "v1" cannot be handled as a ConfigMap',
  ],
  [
    `POST ${MAPS}?fieldValidation=Strict`,
    map("a", { dta: {} }),
    400,
    'strict decoding error: unknown field "dta"',
  ],
  [`POST ${MAPS}`, { metadata: { name: "a", namespace: "b" } }, 400, "does not match the namespace sent"],
  [`POST ${MAPS}?dryRun=Some`, map("a"), 400, 'invalid dryRun value "Some"'],
  ["POST /api/v1/namespaces/none/configmaps", map("a"), 404, 'namespaces "none" not found'],
  ["POST /api/v1/configmaps", map("a"), 405, "does not allow this method"],
  ["GET /api/v1/frobs", undefined, 404, "could not find the requested resource"],
  ["GET /apis/apps/v2/deployments", undefined, 404, "could not find the requested resource"],
  ["GET /api/v1/namespaces/a/nodes/b", undefined, 404, "could not find the requested resource"],
  ["GET /%zz", undefined, 400, 'invalid URL escape "%zz"'],
  [`GET ${PODS}?limit=x`, undefined, 400, 'limit: strconv.ParseInt: parsing "x"'],
  [`GET ${PODS}?labelSelector=a%20b`, undefined, 400, "unable to parse requirement"],
  [`GET ${PODS}?fieldSelector=spec.foo%3Da`, undefined, 400, "field label not supported: spec.foo"],
  [`GET ${PODS}?resourceVersion=9999999`, undefined, 504, "Too large resource version: 9999999"],
  [`GET ${PODS}?resourceVersionMatch=Exact`, undefined, 422, "forbidden unless resourceVersion is provided"],
  [`GET ${PODS}?continue=abc`, undefined, 400, "continue key is not valid"],
  [`GET ${PODS}/a/frob`, undefined, 404, "could not find the requested resource"],
  [`PATCH ${MAPS}/kube`, {}, 415, "unknown format"],
  ["DELETE /api/v1/namespaces/default", undefined, 403, "this namespace may not be deleted"],
];

t.test("what is wrong is told with its code", async (t) => {
  for (const [what, body, code, message] of REFUSED) {
    const answer = call(what, body);
    t.equal(answer.code, code, what);
    t.ok(String(answer.body.message).includes(message), `${what}: ${answer.body.message}`);
  }
});

const nested = (levels: number, value: unknown = 1): unknown =>
  levels === 0 ? value : { a: nested(levels - 1, value) };

t.test("what is nested too deeply is refused: the process would not outlive it", async (t) => {
  const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
  const list = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  call(`POST ${MAPS}`, map("deep"));
  const apply = { type: "application/apply-patch+yaml" };
  const at = `PATCH ${MAPS}/deep`;
  const head = '"apiVersion":"v1","kind":"ConfigMap"';
  const block = Array.from({ length: 2000 }, (_, i) => `${" ".repeat(i)}a:\n`).join("");
  const answers = [
    call(`POST ${MAPS}`, `{"metadata":{"name":"x"},"data":${deep}}`),
    call("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"spec":${list}}`),
    call(at, `{"data":${deep}}`, MERGE),
    call(at, `{"data":${list}}`, { type: "application/strategic-merge-patch+json" }),
    call(at, `[{"op":"add","path":"/data","value":${list}}]`, { type: "application/json-patch+json" }),
    call(`${at}?fieldManager=m`, `{${head},"data":${list}}`, apply),
    call(`${at}?fieldManager=m`, `apiVersion: v1\nkind: ConfigMap\ndata: ${list}\n`, apply),
    call(`${at}?fieldManager=m`, block, apply),
    call(`${at}?fieldManager=m`, `${"- ".repeat(2000)}a\n`, apply),
  ];
  for (const { code, body } of answers) t.match([code, body.message], [400, /nested deeper than 500 levels/]);
  const long = call(`POST ${MAPS}`, { metadata: { name: "x" }, ["n".repeat(20_000)]: 1 });
  t.match([long.code, long.body.message], [400, /longer than 16384/]);
  t.match(call(`POST ${MAPS}`, { metadata: { name: "y" }, other: nested(400) }), { code: 201 });
});

t.test("what is applied is YAML, whole, and does not hold itself", async (t) => {
  const apply = { type: "application/apply-patch+yaml" };
  const at = `PATCH ${MAPS}/yaml?fieldManager=m`;
  const head = "apiVersion: v1\nkind: ConfigMap\n";
  t.match(call(at, `${head}data: {a: b\n`, apply), { code: 400, body: { message: /^error decoding patch/ } });
  t.match(call(at, `${head}---\na: b\n`, apply), { code: 400 });
  t.match(call(at, `${head}data: &a { a: *a }\n`, apply), { code: 400, body: { message: /nested deeper/ } });
  t.match(call(at, `${head}data: { a: b }\n`, apply), { code: 201, body: { data: { a: "b" } } });
});

t.test("of many fields that nobody knows the first ones are told", async (t) => {
  const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 1]));
  t.equal(call(`POST ${MAPS}`, { metadata: { name: "many" }, ...fields }).warnings.length, 100);
});

t.test("options of what is deleted are read with care", async (t) => {
  const at = `DELETE ${MAPS}/options`;
  call(`POST ${MAPS}`, map("options"));
  const wrong: [object, RegExp][] = [
    [{ preconditions: 5 }, /preconditions: must be a map/],
    [{ preconditions: { uid: 5 } }, /preconditions.uid: must be a text/],
    [{ dryRun: 5 }, /dryRun: must be a list/],
    [{ orphanDependents: "x" }, /orphanDependents: must be true or false/],
    [{ gracePeriodSeconds: 1e300 }, /gracePeriodSeconds: Invalid value/],
  ];
  for (const [body, message] of wrong) t.match(call(at, body), { code: 400, body: { message } });
  t.equal(call(at, { preconditions: null, dryRun: null, gracePeriodSeconds: null }).code, 200);
  call(`POST ${PODS}`, pod("evicted"));
  const eviction = `POST ${PODS}/evicted/eviction`;
  t.equal(call(eviction, { deleteOptions: { gracePeriodSeconds: "x" } }).code, 400);
  t.equal(call(eviction, { deleteOptions: { dryRun: ["All"] } }).code, 201);
  t.notOk(call(`GET ${PODS}/evicted`).body.metadata.deletionTimestamp, "not really");
  t.equal(call(eviction, { deleteOptions: null }).code, 201);
  call(`DELETE ${PODS}/evicted`, { gracePeriodSeconds: 0 });
});

t.test("managers have names of a length, and a scale is applied in its own version", async (t) => {
  for (const name of ["m".repeat(129), "a%0ab"]) {
    const { code, body } = call(`POST ${MAPS}?fieldManager=${name}`, map("m"));
    t.match([code, body.message], [422, /^CreateOptions.* fieldManager: (?:Too long|Invalid value)/]);
  }
  call("POST /apis/apps/v1/namespaces/default/deployments", deployment("applied"));
  const body = { apiVersion: "autoscaling/v1", kind: "Scale", spec: { replicas: 2 } };
  const scale = "/apis/apps/v1/namespaces/default/deployments/applied/scale?fieldManager=m&force=true";
  const answer = call(`PATCH ${scale}`, body, { type: "application/apply-patch+yaml" });
  t.match(answer, { code: 200, body: { kind: "Scale", spec: { replicas: 2 } } });
  call("DELETE /apis/apps/v1/namespaces/default/deployments/applied");
});

t.test("causes name the fields", async (t) => {
  const spec = { ports: [{ port: 0 }, { port: 70000 }] };
  const { code, body } = call("POST /api/v1/namespaces/default/services", map("a", { spec }));
  t.equal(code, 422);
  const fields = body.details.causes.map(
    (each: { field: string; reason: string }) => `${each.field} ${each.reason}`,
  );
  t.ok(fields.includes("spec.ports[0].port FieldValueInvalid"), fields.join());
  t.ok(fields.includes("spec.ports[1].port FieldValueInvalid"), fields.join());
  t.match(body.message, /^Service "a" is invalid: \[spec\.ports/);
});

t.test("unknown fields are dropped with a warning, or without a word", async (t) => {
  const warned = call(`POST ${MAPS}`, map("w", { dta: {} }));
  t.same(warned.warnings, ['unknown field "dta"']);
  t.notOk("dta" in warned.body);
  t.same(call(`POST ${MAPS}?fieldValidation=Ignore`, map("i", { dta: {} })).warnings, []);
});

t.test("selectors", async (t) => {
  for (const [name, env] of Object.entries({ s1: "a", s2: "b", s3: "c" }))
    call(`POST ${MAPS}`, { metadata: { name, labels: { env, n: name.slice(1) } } });
  const names = (selector: string): string => {
    const { body } = call(`GET ${MAPS}?${selector.replaceAll(" ", "%20")}`);
    return body.items.map(({ metadata }: KubeObject) => metadata.name).join(" ");
  };
  t.equal(names("labelSelector=env"), "s1 s2 s3");
  t.equal(names("labelSelector=env=a"), "s1");
  t.equal(names("labelSelector=env,env!=a"), "s2 s3");
  t.equal(names("labelSelector=env in (a,c)"), "s1 s3");
  t.equal(names("labelSelector=env,env notin (a,c)"), "s2");
  t.equal(names("labelSelector=n>1,n<3"), "s2");
  t.notMatch(names("labelSelector=!env"), /s1/);
  t.equal(names("fieldSelector=metadata.name=s2"), "s2");
  t.notMatch(names("fieldSelector=metadata.name!=s2"), /s2/);
});

t.test("pages show one moment", async (t) => {
  const all = call(`GET ${MAPS}`).body;
  const first = call(`GET ${MAPS}?limit=2`).body;
  t.equal(first.metadata.remainingItemCount, all.items.length - 2);
  call(`POST ${MAPS}`, map("zz-late"));
  const rest = call(`GET ${MAPS}?limit=500&continue=${first.metadata.continue}`).body;
  t.same([...first.items, ...rest.items], all.items);
  t.equal(rest.metadata.resourceVersion, first.metadata.resourceVersion);
  t.notOk("continue" in rest.metadata);
  t.match(call(`GET ${MAPS}?continue=${first.metadata.continue}`), {
    code: 410,
    body: { reason: "Expired" },
  });
});

t.test("generateName, dry run", async (t) => {
  const one = call(`POST ${MAPS}?dryRun=All`, { metadata: { generateName: "g-" } });
  t.match(one.body.metadata.name, /^g-[a-z0-9]{5}$/);
  t.equal(call(`GET ${MAPS}/${one.body.metadata.name}`).code, 404);
  const two = call(`POST ${MAPS}`, { metadata: { generateName: "g-" } });
  const three = call(`POST ${MAPS}`, { metadata: { generateName: "g-" } });
  t.not(two.body.metadata.name, three.body.metadata.name);
});

t.test("a dry run changes what is asked for, and tells nothing that controllers would do then", (t) => {
  const path = "/apis/apps/v1/namespaces/default/deployments";
  call(`POST ${path}`, deployment("dry"));
  const was = call(`GET ${path}/dry`).body;
  const { body } = call(`PATCH ${path}/dry?dryRun=All`, { spec: { replicas: 5 } }, MERGE);
  t.equal(body.spec.replicas, 5);
  t.equal(body.metadata.generation, 2);
  t.same(body.status, was.status);
  t.equal(body.metadata.resourceVersion, was.metadata.resourceVersion);
  t.notOk("resourceVersion" in call(`POST ${path}?dryRun=All`, deployment("new")).body.metadata);
  t.same(call(`GET ${path}/dry`).body, was);
  t.end();
});

t.test("what its author should know of an object is a warning, once it has come to be so", (t) => {
  const noting = new ServedCluster(undefined, ({ metadata }) => Object.keys(metadata.labels ?? {}));
  t.teardown(() => noting.api.close());
  const labelled = (labels: object) => ({ metadata: { name: "a", labels } });
  t.same(noting.call(`POST ${MAPS}`, labelled({ x: "1" })).warnings, ["x"]);
  t.same(noting.call(`PATCH ${MAPS}/a`, labelled({ x: "2", y: "1" }), MERGE).warnings, ["y"]);
  t.same(noting.call(`PATCH ${MAPS}/a`, { data: { k: "1" } }, MERGE).warnings, []);
  t.end();
});

t.test("status is its own part", async (t) => {
  const path = "/apis/apps/v1/namespaces/default/deployments";
  const made = call(`POST ${path}`, { ...deployment("own"), status: { replicas: 9 } });
  t.equal(made.code, 201, JSON.stringify(made.body));
  t.not(made.body.status?.replicas, 9);
  const { body } = call(`GET ${path}/own`);
  const ingress = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
  const defaultBackend = { service: { name: "s", port: { number: 80 } } };
  call(`POST ${ingress}`, { metadata: { name: "i" }, spec: { defaultBackend, rules: [] } });
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  const put = call(`PUT ${ingress}/i/status`, {
    metadata: { name: "i" },
    spec: { rules: [{ host: "x" }] },
    status,
  });
  t.match(put.body, { status, spec: { rules: [] } });
  t.same(put.body.spec.rules, []);
  t.match(call(`PATCH ${ingress}/i`, { status: null, spec: { rules: [{ host: "y" }] } }, MERGE).body, {
    status,
  });
  t.equal(body.kind, "Deployment");
  const said = { metadata: { annotations: { "x.org/y": "1" } }, spec: { unschedulable: true } };
  const node = call("PATCH /api/v1/nodes/node2/status", said, MERGE).body;
  t.match(node.metadata.annotations, { "x.org/y": "1" }, "a Node's comes with annotations");
  t.equal(node.spec.unschedulable, undefined);
});

t.test("scale", async (t) => {
  const path = "/apis/apps/v1/namespaces/default/deployments";
  call(`POST ${path}`, deployment("sc", 1));
  const before = call(`GET ${path}/sc/scale`).body;
  t.match(before, {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    spec: { replicas: 1 },
    status: { selector: "app=sc" },
  });
  t.match(call(`PUT ${path}/sc/scale`, { ...before, spec: { replicas: 3 } }).body, { spec: { replicas: 3 } });
  t.match(call(`PATCH ${path}/sc/scale`, { spec: { replicas: 2 } }, MERGE).body, { spec: { replicas: 2 } });
  t.equal(call(`GET ${path}/sc`).body.spec.replicas, 2);
  const { items } = call(`GET ${PODS}?labelSelector=app%3Dsc`).body;
  const going = items.filter(({ metadata }: KubeObject) => metadata.deletionTimestamp !== undefined);
  t.same([items.length, going.length], [3, 1]);
  const asTable = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  t.match(served.call(`GET ${path}/sc/scale`, undefined, asTable).body, {
    columnDefinitions: [{ name: "Name" }, { name: "Desired" }, { name: "Available" }, { name: "Age" }],
    rows: [{ cells: ["sc", Number, Number, String] }],
  });
  t.match(call(`PUT ${path}/sc/scale`, { spec: { replicas: -1 } }), { code: 422 });
  t.equal(call(`PUT ${path}/sc/scale`, before).code, 409, "an old resourceVersion");
});

t.test("a pod ends gracefully, or at once; eviction asks its budgets", async (t) => {
  call(`POST ${PODS}`, pod("p", { app: "b" }));
  const going = call(`DELETE ${PODS}/p`, { gracePeriodSeconds: 20 });
  t.match(going.body, { kind: "Pod", metadata: { deletionGracePeriodSeconds: 20, deletionTimestamp: /Z$/ } });
  t.match(call(`DELETE ${PODS}/p?gracePeriodSeconds=0`).body, { kind: "Status", status: "Success" });
  call(`POST ${PODS}`, pod("q", { app: "b" }));
  const ready = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
  call(`PATCH ${PODS}/q/status`, { status: ready }, MERGE);
  call("POST /apis/policy/v1/namespaces/default/poddisruptionbudgets", {
    ...{ metadata: { name: "b" }, spec: { minAvailable: 1, selector: { matchLabels: { app: "b" } } } },
  });
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "q" } };
  t.match(call(`POST ${PODS}/q/eviction`, eviction), {
    code: 429,
    body: { reason: "TooManyRequests", details: { causes: [{ message: /needs 1 healthy pods and has 1/ }] } },
  });
  const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  const evicted = (name: string) =>
    call(`POST ${PODS}/${name}/eviction`, { ...eviction, metadata: { name } }).code;
  call(`POST ${PODS}`, pod("u", { app: "b" }));
  call(`PATCH ${PODS}/u/status`, { status: { phase: "Running" } }, MERGE);
  call(`PATCH ${budgets}/b`, { spec: { minAvailable: 2 } }, MERGE);
  t.equal(evicted("u"), 429, "not ready, and too few are");
  call(`PATCH ${budgets}/b`, { spec: { unhealthyPodEvictionPolicy: "AlwaysAllow" } }, MERGE);
  t.equal(evicted("u"), 201);
  t.equal(evicted("q"), 429, "a ready one is not spared");
  call(`DELETE ${budgets}/b`);
  for (const deleteOptions of [{ dryRun: ["All"] }, { dryRun: ["All"], gracePeriodSeconds: 0 }])
    t.equal(call(`POST ${PODS}/q/eviction`, { ...eviction, deleteOptions }).code, 201);
  t.notOk(call(`GET ${PODS}/q`).body.metadata.deletionTimestamp, "kubectl drain --dry-run=server");
  t.equal(
    call(`POST ${PODS}/q/eviction`, { ...eviction, deleteOptions: { gracePeriodSeconds: -1 } }).code,
    400,
  );
  t.equal(evicted("q"), 201);
  t.match(call(`GET ${PODS}/q`).body.status.conditions, [
    { type: "Ready" },
    { type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" },
  ]);
});

t.test("addresses in a pod's status: one of each family, and hostIP the first of its node's", async (t) => {
  call(`POST ${PODS}`, pod("ips"));
  const own = call(`GET ${PODS}/ips`).body.status;
  const patch = (status: object) => call(`PATCH ${PODS}/ips/status`, { status }, MERGE);
  const causes = (status: object): string[] => {
    const { code, body } = patch(status);
    t.equal(code, 422);
    return body.details.causes.map(({ field }: { field: string }) => field);
  };
  t.same(causes({ podIPs: [own.podIPs[0], { ip: "10.244.2.200" }] }), ["status.podIPs"]);
  const hosts = own.hostIPs;
  t.same(causes({ hostIP: "192.168.50.99" }), ["status.hostIPs[0].ip"]);
  t.same(causes({ hostIP: "node1", hostIPs: [{ ip: "node1" }] }), ["status.hostIPs[0].ip"]);
  t.same(causes({ hostIPs: [...hosts, { ip: "192.168.50.99" }] }), ["status.hostIPs"]);
  t.match(patch(own), { code: 200, body: { status: { podIP: own.podIP, hostIPs: hosts } } });
});

t.test("collections are deleted by selector", async (t) => {
  for (const name of ["c1", "c2"]) call(`POST ${MAPS}`, { metadata: { name, labels: { of: "c" } } });
  t.equal(call(`DELETE ${MAPS}?labelSelector=of%3Dc&dryRun=All`).body.items.length, 2);
  t.equal(call(`DELETE ${MAPS}?labelSelector=of%3Dc`).body.items.length, 2);
  t.equal(call(`GET ${MAPS}?labelSelector=of%3Dc`).body.items.length, 0);
});

t.test("discovery, plain and aggregated, says the same", async (t) => {
  const groups = call("GET /apis").body.groups.map(({ name }: { name: string }) => name);
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
  const all = call("GET /apis", undefined, { accept }).body.items;
  t.same(
    all.map(({ metadata }: KubeObject) => metadata.name),
    groups,
  );
  const apps = all.find(({ metadata }: KubeObject) => metadata.name === "apps");
  const aggregated = apps.versions[0].resources.map(({ resource }: { resource: string }) => resource);
  const plain = call("GET /apis/apps/v1").body.resources.map(({ name }: { name: string }) => name);
  t.same(
    plain.filter((name: string) => !name.includes("/")),
    aggregated,
  );
  t.ok(plain.includes("deployments/scale"));
  t.match(call("GET /api").body, { versions: ["v1"] });
  const core = call("GET /api/v1").body.resources;
  t.match(
    core.find(({ name }: { name: string }) => name === "pods"),
    { shortNames: ["po"], categories: ["all"] },
  );
  t.match(call("GET /version").body, { major: "1" });
  for (const path of ["/healthz", "/livez", "/readyz", "/readyz/ping"])
    t.equal(call(`GET ${path}`).body, "ok");
});

t.test("reviews: who, and yes", async (t) => {
  const at = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  t.match(call(at, { spec: { resourceAttributes: {} } }), { code: 201, body: { status: { allowed: true } } });
  const who = call("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", {});
  t.match(who.body.status.userInfo, { username: "kubernetes-admin" });
});

t.test("a token is bound to what is there, and to nothing else", async (t) => {
  const here = "/api/v1/namespaces/default";
  for (const name of ["robot-b", "other-b"]) call(`POST ${here}/serviceaccounts`, { metadata: { name } });
  const spec = { serviceAccountName: "robot-b", containers: [{ name: "c", image: "i" }] };
  const pod = call(`POST ${here}/pods`, { metadata: { name: "bound" }, spec }).body;
  const secret = call(`POST ${here}/secrets`, { metadata: { name: "bound" } }).body;
  const node = call("POST /api/v1/nodes", { metadata: { name: "bound" } }).body;
  const ask = (boundObjectRef: object, account = "robot-b", more: object = {}) =>
    call(`POST ${here}/serviceaccounts/${account}/token`, { ...more, spec: { boundObjectRef } });
  const of = (kind: string, more: object = {}): object => ({
    kind,
    apiVersion: "v1",
    name: "bound",
    ...more,
  });
  const uid = "00000000-0000-4000-8000-000000000000";
  const refused: [string, { code: number; body: { message: string } }, number, string | RegExp][] = [
    ["a pod that is not there", ask(of("Pod", { name: "b" })), 404, 'pods "b" not found'],
    ["a Secret that is not there", ask(of("Secret", { name: "b" })), 404, 'secrets "b" not found'],
    ["a node that is not there", ask(of("Node", { name: "b" })), 404, 'nodes "b" not found'],
    ["another pod of the name", ask(of("Pod", { uid })), 409, /on Pod "bound": the UID in the bound object/],
    ["another Secret of the name", ask(of("Secret", { uid })), 409, /on Secret "bound": the UID/],
    [
      "a pod of another account",
      ask(of("Pod"), "other-b"),
      400,
      /serviceaccount "other-b" to pod running with/,
    ],
    ["another kind", ask(of("ConfigMap")), 400, "cannot bind token to object of type /v1, Kind=ConfigMap"],
    ["another group", ask(of("Pod", { apiVersion: "a/v1" })), 400, /object of type a\/v1, Kind=Pod/],
    ["no text", ask(of("Pod", { name: 5 })), 400, /boundObjectRef: must be a map of texts/],
    [
      "another name",
      ask(of("Pod"), "robot-b", { metadata: { name: "x" } }),
      422,
      /must match the service acc/,
    ],
  ];
  for (const [what, { code, body }, wanted, message] of refused) {
    t.equal(code, wanted, what);
    t.match(body.message, message, what);
  }
  const short = call(`POST ${here}/serviceaccounts/robot-b/token`, { spec: { expirationSeconds: 599 } });
  t.match(short, { code: 422, body: { message: /599: may not specify a duration less than 10 minutes$/ } });
  const uidOf = (kind: string, key: string): string | undefined =>
    served.cluster.get(kind, key)?.metadata.uid;
  const isTaken = (token: string): boolean => served.tokens.userOf(token, uidOf) !== undefined;
  const bindings: [object, string][] = [
    [of("Secret", { uid: secret.metadata.uid }), `${here}/secrets/bound`],
    [of("Pod", { uid: pod.metadata.uid }), `${here}/pods/bound?gracePeriodSeconds=0`],
    [of("Node", { uid: node.metadata.uid }), "/api/v1/nodes/bound"],
  ];
  for (const [reference, path] of bindings) {
    const { code, body } = ask(reference);
    t.equal(code, 201);
    t.match(body.metadata, { name: "robot-b", namespace: "default" });
    t.ok(isTaken(body.status.token));
    call(`DELETE ${path}`);
    t.notOk(isTaken(body.status.token), `without ${path}`);
  }
});

t.test("tokens of service accounts", async (t) => {
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  call(`POST ${accounts}`, { metadata: { name: "robot" } });
  const { code, body } = call(`POST ${accounts}/robot/token`, { spec: { expirationSeconds: 900 } });
  t.equal(code, 201);
  const uidOf = (kind: string, key: string): string | undefined =>
    served.cluster.get(kind, key)?.metadata.uid;
  const userOf = (token: string): unknown => served.tokens.userOf(token, uidOf);
  t.match(userOf(body.status.token), { username: "system:serviceaccount:default:robot" });
  t.equal(userOf(`${body.status.token}x`), undefined);
  const [head, claims] = body.status.token.split(".");
  t.equal(userOf(`${head}.${claims}.`), undefined);
  t.equal(userOf("nobody"), undefined);
  for (const spec of [
    { expirationSeconds: "x" },
    { audiences: 5 },
    { audiences: [5] },
    { boundObjectRef: 5 },
  ])
    t.match(call(`POST ${accounts}/robot/token`, { spec }), { code: 400, body: { message: /TokenRequest/ } });
  t.equal(call(`POST ${accounts}/robot/token`, { spec: null }).code, 201);
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  const spec = { serviceAccountName: "robot", containers: [{ name: "c", image: "i" }] };
  const pod = call("POST /api/v1/namespaces/default/pods", { metadata: { name: "tokened" }, spec }).body;
  const boundObjectRef = { kind: "Pod", name: "tokened", uid: pod.metadata.uid };
  const bound = call(`POST ${accounts}/robot/token`, { spec: { boundObjectRef, expirationSeconds: 3607 } });
  const { iat, exp, "kubernetes.io": of } = claimsOf(bound.body.status.token);
  t.equal(exp - iat, 365 * 24 * 3600, "such a one as kubelet asks for is extended");
  t.equal(of.warnafter - iat, 3607);
  t.equal(Date.parse(bound.body.status.expirationTimestamp) / 1000 - iat, 3607);
  t.ok(userOf(bound.body.status.token));
  call("DELETE /api/v1/namespaces/default/pods/tokened", { gracePeriodSeconds: 0 });
  t.equal(userOf(bound.body.status.token), undefined, "its pod is gone");
  const last = call(`POST ${accounts}/robot/token`, { spec: { expirationSeconds: 3607 } }).body.status;
  const { iat: from, exp: to } = claimsOf(last.token);
  t.equal(to - from, 3607, "one that no pod ends is not");
  call(`DELETE ${accounts}/robot`);
  t.equal(userOf(body.status.token), undefined, "its account is gone");
  call(`POST ${accounts}`, { metadata: { name: "robot" } });
  t.equal(userOf(body.status.token), undefined, "another one of the same name");
});

t.test("new pods run as a service account, which has to be there", async (t) => {
  const pods = "/api/v1/namespaces/default/pods";
  const spec = { containers: [{ name: "c", image: "i" }] };
  const { code, body } = call(`POST ${pods}?fieldManager=me`, { metadata: { name: "accounted" }, spec });
  t.equal(code, 201);
  t.equal(body.spec.serviceAccountName, "default");
  t.match(body.spec.volumes, [{ name: /^kube-api-access-/ }]);
  t.notMatch(JSON.stringify(body.metadata.managedFields), /serviceAccount|volume/);
  const nobody = { metadata: { name: "nobody" }, spec: { ...spec, serviceAccountName: "none" } };
  t.match(call(`POST ${pods}`, nobody), {
    code: 403,
    body: {
      message:
        'pods "nobody" is forbidden: error looking up service account default/none: serviceaccount "none" not found',
    },
  });
  const apply = { apiVersion: "v1", kind: "Pod", metadata: { name: "applied" }, spec };
  const type = { type: "application/apply-patch+yaml" };
  for (const wanted of [201, 200]) {
    const applied = call(`PATCH ${pods}/applied?fieldManager=me`, apply, type);
    t.equal(applied.code, wanted);
    t.equal(applied.body.spec.containers[0].volumeMounts.length, 1);
  }
});

t.test("events in both versions", async (t) => {
  const at = "/apis/events.k8s.io/v1/namespaces/default/events";
  const made = call(`POST ${at}`, {
    metadata: { name: "e" },
    note: "said",
    regarding: { kind: "Pod", name: "p" },
  });
  t.match(made.body, { apiVersion: "events.k8s.io/v1", note: "said" }, JSON.stringify(made.body));
  const core = call("GET /api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp").body.items;
  t.match(
    core.find(({ metadata }: KubeObject) => metadata.name === "e"),
    { message: "said" },
  );
});

t.test("metadata alone, where it is asked for", async (t) => {
  const accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  call(`POST ${MAPS}`, map("meta", { data: { a: "b" } }));
  const one = call(`GET ${MAPS}/meta`, undefined, { accept }).body;
  t.equal(one.kind, "PartialObjectMetadata");
  t.notOk("data" in one);
  t.match(call(`GET ${MAPS}/meta`, undefined, { accept: "application/vnd.kubernetes.protobuf" }), {
    code: 406,
  });
});

const GROUP = "gateway.example.org";
const FREE = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
const definition = {
  metadata: { name: `services.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: { kind: "Service", plural: "services", shortNames: ["gsvc"] },
    versions: [
      { name: "v1", served: true, storage: true, subresources: { status: {} }, schema: FREE },
      { name: "v1beta1", served: true, storage: false, schema: FREE },
    ],
  },
};

t.test("custom resources come with their definition, and go with it", async (t) => {
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const at = (version: string): string => `/apis/${GROUP}/${version}/namespaces/default/services`;
  t.equal(call(`GET ${at("v1")}`).code, 404);
  t.match(call(`POST ${crds}`, { ...definition, metadata: { name: "other" } }), { code: 422 });
  const made = call(`POST ${crds}`, definition);
  t.match(made.body.status.conditions, [{ type: "NamesAccepted" }, { type: "Established", status: "True" }]);
  const spec = { any: { thing: [1] } };
  const one = call(`POST ${at("v1")}`, { metadata: { name: "a" }, spec, status: { x: 1 } });
  t.match(one, { code: 201, body: { apiVersion: `${GROUP}/v1`, kind: "Service", spec } });
  t.notOk("status" in one.body);
  t.match(call(`GET ${at("v1beta1")}/a`).body, { apiVersion: `${GROUP}/v1beta1`, kind: "Service", spec });
  t.match(call(`GET ${at("v1")}`).body, { kind: "ServiceList", items: [{ kind: "Service" }] });
  t.match(call(`POST ${at("v1")}`, { metadata: { name: "A" } }), { code: 422 });
  t.equal(
    call("GET /api/v1/namespaces/default/services/a").code,
    404,
    "and nobody takes it for one of the API's",
  );
  const resources = call(`GET /apis/${GROUP}/v1`).body.resources;
  t.match(resources, [{ name: "services", shortNames: ["gsvc"] }, { name: "services/status" }]);
  call(`POST ${MAPS}`, {
    metadata: { name: "owned", ownerReferences: [{ ...one.body, ...one.body.metadata }] },
  });
  t.equal(call(`PATCH ${at("v1")}/a/status`, { status: { y: 2 } }, MERGE).body.status.y, 2);
  const table = served.call(`GET ${at("v1")}`, undefined, {
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
  });
  t.match(table.body.columnDefinitions, [{ name: "Name" }, { name: "Age" }], "and no table of the API's");
  t.match(call(`DELETE ${crds}/services.${GROUP}`), { code: 200 });
  t.equal(call(`GET ${at("v1")}`).code, 404);
  t.notOk(
    served.cluster.store.kinds
      .flatMap((kind) => served.cluster.list(kind))
      .some(({ kind }) => /example/.test(kind)),
  );
});

t.test("no definition takes the place of what is built in", async (t) => {
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const own = {
    metadata: { name: "deployments.apps" },
    spec: {
      ...{ group: "apps", scope: "Cluster", names: { plural: "deployments", kind: "Deployment" } },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } },
      ],
    },
  };
  t.equal(call(`POST ${crds}`, own).code, 201);
  t.equal(call("GET /apis/apps/v1/namespaces/default/deployments").code, 200);
  call(`DELETE ${crds}/deployments.apps`);
  t.equal(call("GET /apis/apps/v1/namespaces/default/deployments").code, 200);
});

t.test("autoscalers in both versions", async (t) => {
  const at = (version: string) => `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers`;
  const spec = {
    scaleTargetRef: { kind: "Deployment", name: "d" },
    maxReplicas: 3,
    targetCPUUtilizationPercentage: 80,
  };
  t.match(call(`POST ${at("v1")}`, { metadata: { name: "h" }, spec }), { code: 201, body: { spec } });
  const memory = {
    type: "Resource",
    resource: { name: "memory", target: { type: "AverageValue", averageValue: "1Gi" } },
  };
  const metric = { name: "rate", selector: { matchLabels: { a: "b" } } };
  const queue = { type: "External", external: { metric, target: { type: "Value", value: "30" } } };
  const behavior = {
    scaleDown: { stabilizationWindowSeconds: 60, policies: [{ type: "Pods", value: 4, periodSeconds: 60 }] },
  };
  const v2 = { ...spec, targetCPUUtilizationPercentage: undefined, metrics: [memory, queue], behavior };
  call(`POST ${at("v2")}`, { metadata: { name: "both", annotations: { own: "x" } }, spec: v2 });
  const first = call(`GET ${at("v1")}/both`).body;
  t.match(JSON.parse(first.metadata.annotations["autoscaling.alpha.kubernetes.io/metrics"]), [
    { type: "Resource", resource: { name: "memory", targetAverageValue: "1Gi" } },
    { type: "External", external: { metricName: "rate", targetValue: "30" } },
  ]);
  t.equal(call(`PUT ${at("v1")}/both`, { ...first, spec: { ...first.spec, maxReplicas: 9 } }).code, 200);
  const second = call(`GET ${at("v2")}/both`).body;
  t.match(second.spec, { maxReplicas: 9, behavior, metrics: [memory, queue] }, "nothing of it is lost");
  t.same(second.metadata.annotations, { own: "x" });
  const metrics = [{ type: "Resource", resource: { name: "cpu", target: { averageUtilization: 80 } } }];
  t.match(call(`GET ${at("v2")}/h`).body.spec, { maxReplicas: 3, metrics });
});

t.test("generation counts what is asked for, and controllers say how far they are", async (t) => {
  const path = "/apis/apps/v1/namespaces/default/deployments";
  const seen = (): unknown[] => {
    const { metadata, status } = call(`GET ${path}/gen`).body;
    return [metadata.generation, status.observedGeneration];
  };
  call(`POST ${path}`, deployment("gen", 1));
  t.same(seen(), [1, 1]);
  call(`PATCH ${path}/gen`, { metadata: { labels: { a: "b" } } }, MERGE);
  t.same(seen(), [1, 1]);
  call(`PATCH ${path}/gen`, { spec: { replicas: 2 } }, MERGE);
  t.same(seen(), [2, 2]);
  t.notOk("generation" in call(`POST ${MAPS}`, map("gen")).body.metadata);
});
