// Patches as requests: what is stored, who has it, what is answered.
import t from "tap";
import { ServedCluster } from "../testing/api-server/served-cluster.ts";

const served = new ServedCluster();
t.teardown(() => served.api.close());
const call = served.call.bind(served);
const MAPS = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const APPLY = { type: "application/apply-patch+yaml" };
const STRATEGIC = { type: "application/strategic-merge-patch+json" };
const JSON_PATCH = { type: "application/json-patch+json" };
const map = (data: object) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data });
const apply = (data: object, query: string) => call(`PATCH ${MAPS}/a?${query}`, map(data), APPLY);
const deployment = {
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "a", image: "x", env: [{ name: "X", value: "1" }] }] },
    },
  },
};

t.test("what is applied is made, kept and taken away, with its managers", async (t) => {
  t.match(call(`PATCH ${MAPS}/a`, map({}), APPLY), {
    code: 422,
    body: { message: /fieldManager: Required value/ },
  });
  const made = apply({ x: "1" }, "fieldManager=one");
  t.match(made, { code: 201, body: { data: { x: "1" } } });
  const [manager] = made.body.metadata.managedFields;
  t.match(manager, { manager: "one", operation: "Apply", fieldsV1: { "f:data": { "f:x": {} } } });
  t.match(manager.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const again = apply({ x: "1" }, "fieldManager=one");
  t.equal(again.body.metadata.resourceVersion, made.body.metadata.resourceVersion, "nothing changed");
  const shared = apply({ x: "1" }, "fieldManager=two");
  t.equal(shared.body.metadata.managedFields.length, 2, "who applies the same has it as well");
  t.match(apply({ x: "2" }, "fieldManager=two"), {
    code: 409,
    body: {
      reason: "Conflict",
      message: 'Apply failed with 1 conflict: conflict with "one": .data.x',
      details: { causes: [{ reason: "FieldManagerConflict", field: ".data.x" }] },
    },
  });
  t.match(apply({ x: "2" }, "fieldManager=two&force=true&dryRun=All"), {
    code: 200,
    body: { data: { x: "2" } },
  });
  t.same(call(`GET ${MAPS}/a`).body.data, { x: "1" }, "rehearsed alone");
  t.match(apply({ x: "2" }, "fieldManager=two&force=true"), { code: 200, body: { data: { x: "2" } } });
  t.equal(apply({}, "fieldManager=two").body.data, undefined);
});

t.test("who updates is known by his program, and who applies is asked by nobody else's", async (t) => {
  const made = call(`POST ${DEPLOYMENTS}`, deployment, { agent: "kubectl/v1.35.0 (linux/amd64)" });
  t.match(made.body.metadata.managedFields, [
    { manager: "kubectl", operation: "Update", apiVersion: "apps/v1" },
  ]);
  const spec = made.body.metadata.managedFields[0].fieldsV1["f:spec"];
  t.ok(spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"a"}']["f:image"]);
  t.notOk("." in spec, "a structure that is always there is nobody's");
  const env = [{ name: "Y", value: "2" }];
  const patch = { spec: { template: { spec: { containers: [{ name: "a", env }] } } } };
  const patched = call(`PATCH ${DEPLOYMENTS}/web`, patch, STRATEGIC);
  const names = patched.body.spec.template.spec.containers[0].env.map(({ name }: { name: string }) => name);
  t.same(names.sort(), ["X", "Y"]);
  const scale = call(`PATCH ${DEPLOYMENTS}/web/scale?fieldManager=me`, { spec: { replicas: 3 } }, STRATEGIC);
  t.equal(scale.body.spec.replicas, 3);
  const { managedFields } = call(`GET ${DEPLOYMENTS}/web`).body.metadata;
  t.match(
    managedFields.find(({ manager }: { manager: string }) => manager === "me"),
    { subresource: "scale", fieldsV1: { "f:spec": { "f:replicas": {} } } },
  );
  t.match(call(`PATCH ${DEPLOYMENTS}/web`, [{ op: "test", path: "/spec/replicas", value: 1 }], JSON_PATCH), {
    code: 422,
    body: { details: { causes: [{ message: "testing value /spec/replicas failed: test failed" }] } },
  });
  t.match(call(`PATCH ${DEPLOYMENTS}/web`, "{", STRATEGIC), { code: 400, body: { reason: "BadRequest" } });
  t.match(call(`PATCH ${DEPLOYMENTS}/other`, {}, STRATEGIC), { code: 404 });
});

t.test("fields that nobody knows, and those that are there twice", async (t) => {
  const odd = (text: string, validation: string) => call(`POST ${MAPS}?fieldValidation=${validation}`, text);
  const text = '{"metadata":{"name":"odd"},"data":{"a":"1","a":"2"},"datas":{}}';
  t.match(odd(text, "Strict"), {
    code: 400,
    body: {
      message:
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ' +
        'unknown field "datas", duplicate field "data.a"',
    },
  });
  const warned = odd(text, "Warn");
  t.same(warned.warnings, ['unknown field "datas"', 'duplicate field "data.a"']);
  t.same([warned.body.data, warned.body.datas], [{ a: "2" }, undefined]);
  t.same(odd(text.replace("odd", "odder"), "Ignore").warnings, []);
  t.match(odd(text, "Perhaps"), { code: 400, body: { message: /fieldValidation: Unsupported value/ } });
  const wrong = '{"metadata":{"name":"w"},"data":{"a":1}}';
  t.match(odd(wrong, "Ignore"), {
    code: 400,
    body: { message: /cannot unmarshal number/ },
  });
  const patch = '{"data":{"b":"1","b":"2"},"more":1}';
  const type = { type: "application/merge-patch+json" };
  t.match(call(`PATCH ${MAPS}/odd?fieldValidation=Strict`, patch, type), {
    code: 422,
    body: { message: /strict decoding error: duplicate field "data.b", unknown field "more"/ },
  });
});

t.test("documents are served in the forms that clients ask for", async (t) => {
  const index = call("GET /openapi/v3").body.paths;
  const apps = call(`GET ${index["apis/apps/v1"].serverRelativeURL}`).body;
  t.ok(apps.components.schemas["io.k8s.api.apps.v1.Deployment"]);
  t.ok(apps.paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].patch);
  t.equal(call("GET /openapi/v2").body.swagger, "2.0");
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const answer = served.ask("GET /openapi/v2", undefined, { accept });
  t.match(answer, { type: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" });
  t.equal(call("GET /openapi/v3/apis/nobody/v1").code, 404);
});

const CRONTABS = "/apis/stable.example.com/v1/namespaces/default/crontabs";
const crd = (spec: object, more: object = {}) => ({
  metadata: { name: "crontabs.stable.example.com" },
  spec: {
    ...{ group: "stable.example.com", scope: "Namespaced" },
    names: { kind: "CronTab", plural: "crontabs" },
    versions: [
      {
        ...{ name: "v1", served: true, storage: true },
        schema: { openAPIV3Schema: { type: "object", properties: { spec, status: { type: "object" } } } },
        subresources: { scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.size" } },
        ...more,
      },
    ],
  },
});

t.test("custom resources are held to their schema, and merged by it", async (t) => {
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  t.match(call(`POST ${crds}`, crd({ properties: {} })), {
    code: 422,
    body: {
      message: /openAPIV3Schema\.properties\[spec\]\.type: Required value: must not be empty for specified/,
    },
  });
  const items = {
    type: "object",
    properties: { name: { type: "string" }, at: { type: "string", pattern: "^\\d+$" } },
  };
  const lists = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] };
  const jobs = { type: "array", items: { ...items, required: ["name"] }, ...lists };
  const size = { type: "integer", minimum: 1, default: 2 };
  const rules = { "x-kubernetes-validations": [{ rule: "self.size < 9" }] };
  const made = call(`POST ${crds}`, crd({ type: "object", properties: { jobs, size }, ...rules }));
  t.equal(made.code, 201);
  t.same(made.warnings, []);

  const post = (spec: object, name: string) => call(`POST ${CRONTABS}`, { metadata: { name }, spec });
  const one = post({ jobs: [{ name: "a", at: "5" }], other: 1 }, "one");
  t.match(one, { code: 201, warnings: ['unknown field "spec.other"'], body: { spec: { size: 2 } } });
  t.notOk("other" in one.body.spec);
  const many = post({ size: 9 }, "many");
  t.match(many, { code: 422, body: { message: /spec: Invalid value: failed rule: self\.size < 9$/ } });
  const wrong = post({ size: 0, jobs: [{ name: "a", at: "x" }, { name: "a" }, {}] }, "wrong");
  t.match(wrong, { code: 422, body: { reason: "Invalid" } });
  const causes = wrong.body.details.causes.map(
    ({ field, message }: Record<string, string>) => `${field}: ${message}`,
  );
  t.same(causes.sort(), [
    '<nil>: Invalid value: "null": some validation rules were not checked because the object was invalid; ' +
      "correct the existing errors to complete validation",
    "spec.jobs[0].at: Invalid value: \"x\": spec.jobs[0].at in body should match '^\\d+$'",
    'spec.jobs[1]: Duplicate value: {"name":"a"}',
    "spec.jobs[2].name: Required value",
    "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
  ]);
  const applied = (spec: object, manager: string) => {
    const object = { apiVersion: "stable.example.com/v1", kind: "CronTab", metadata: { name: "two" }, spec };
    return call(`PATCH ${CRONTABS}/two?fieldManager=${manager}`, object, APPLY);
  };
  t.equal(applied({ jobs: [{ name: "a", at: "1" }] }, "me").code, 201);
  const both = applied({ jobs: [{ name: "b" }] }, "you");
  t.same(both.body.spec.jobs, [{ name: "a", at: "1" }, { name: "b" }]);
  t.match(applied({ jobs: [{ name: "a", at: "2" }] }, "you"), {
    code: 409,
    body: { message: 'Apply failed with 1 conflict: conflict with "me": .spec.jobs[name="a"].at' },
  });
  t.match(applied({ sizes: 1 }, "me"), {
    code: 500,
    body: { message: /.spec.sizes: field not declared in schema/ },
  });
  t.match(call(`PATCH ${CRONTABS}/two`, {}, STRATEGIC), { code: 415 });

  t.match(call(`GET ${CRONTABS}/two/scale`).body, {
    kind: "Scale",
    spec: { replicas: 2 },
    status: { replicas: 0 },
  });
  const scaled = call(
    `PATCH ${CRONTABS}/two/scale`,
    { spec: { replicas: 4 } },
    { type: "application/merge-patch+json" },
  );
  t.equal(scaled.body.spec.replicas, 4);
  t.equal(call(`GET ${CRONTABS}/two`).body.spec.size, 4);
  const { paths } = call("GET /openapi/v3").body;
  const document = call(`GET ${paths["apis/stable.example.com/v1"].serverRelativeURL}`).body;
  t.ok(document.components.schemas["com.example.stable.v1.CronTab"].properties.spec.properties.jobs);
  const asTable = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  t.match(call(`GET ${CRONTABS}/two/scale`, undefined, asTable).body, {
    columnDefinitions: [
      { name: "Name" },
      { name: "Desired" },
      { name: "Available" },
      { name: "Age", type: "date" },
    ],
    rows: [{ cells: ["two", 4, 0, String] }],
  });
  t.match(call(`DELETE ${crds}/crontabs.stable.example.com`), { code: 200 });
  t.notOk("apis/stable.example.com/v1" in call("GET /openapi/v3").body.paths);
});

t.test("custom resources are held to their rules, and what changes to those about it", async (t) => {
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const size = { type: "integer", minimum: 1 };
  const rules = (...all: object[]) => ({
    type: "object",
    properties: { size },
    "x-kubernetes-validations": all,
  });
  t.match(call(`POST ${crds}`, crd(rules({ rule: "self.sise < 9" }))), {
    code: 422,
    body: {
      details: {
        causes: [{ field: /x-kubernetes-validations\[0\]\.rule$/, message: /undefined field 'sise'/ }],
      },
    },
  });
  const grows = {
    rule: "self.size >= oldSelf.size",
    message: "may not shrink",
    reason: "FieldValueForbidden",
  };
  t.equal(call(`POST ${crds}`, crd(rules({ rule: "self.size < 9" }, grows))).code, 201);
  const sent = (method: string, spec: object, name = "a") =>
    call(`${method} ${CRONTABS}${method === "POST" ? "" : `/${name}`}`, {
      ...{ apiVersion: "stable.example.com/v1", kind: "CronTab", metadata: { name }, spec },
    });
  t.match(sent("POST", { size: 9 }), {
    code: 422,
    body: { message: /: spec: Invalid value: failed rule: self\.size < 9$/ },
  });
  t.equal(sent("POST", { size: 5 }).code, 201);
  t.match(sent("PUT", { size: 4 }), {
    code: 422,
    body: {
      details: {
        causes: [{ reason: "FieldValueForbidden", field: "spec", message: "Forbidden: may not shrink" }],
      },
    },
  });
  t.equal(sent("PUT", { size: 6 }).code, 200);
  t.match(call(`PATCH ${CRONTABS}/a`, { spec: { size: 5 } }, { type: "application/merge-patch+json" }), {
    code: 422,
  });
  const other = crd(rules());
  const named = {
    ...other,
    metadata: { name: "tabs.stable.example.com" },
    spec: { ...(other as { spec: object }).spec, names: { plural: "tabs", kind: "CronTab" } },
  };
  t.match(call(`POST ${crds}`, named).body.status.conditions, [
    { type: "NamesAccepted", status: "False", reason: "ListKindConflict" },
    { type: "Established", status: "False" },
  ]);
  t.equal(call("GET /apis/stable.example.com/v1/namespaces/default/tabs").code, 404, "not served");
  call(`DELETE ${crds}/crontabs.stable.example.com`);
  t.equal(
    call("GET /apis/stable.example.com/v1/namespaces/default/tabs").code,
    200,
    "now that the names are free",
  );
  call(`DELETE ${crds}/tabs.stable.example.com`);
});

t.test(
  "a Deployment's pod is as one that was posted: its labels change, its spec is no other one",
  async (t) => {
    const pods = "/api/v1/namespaces/default/pods";
    const template = { metadata: { labels: { app: "many" } }, spec: deployment.spec.template.spec };
    const spec = { selector: { matchLabels: { app: "many" } }, template };
    call(`POST ${DEPLOYMENTS}`, { metadata: { name: "many" }, spec });
    const [made] = call(`GET ${pods}?labelSelector=app=many`).body.items;
    t.same(made.spec.securityContext, {});
    const label = (x: string) =>
      call(`PATCH ${pods}/${made.metadata.name}`, { metadata: { labels: { x } } }, STRATEGIC);
    const labelled = label("y");
    t.match(labelled, { code: 200, body: { metadata: { labels: { x: "y" }, generation: 1 } } });
    const { securityContext: _, ...older } = labelled.body.spec;
    served.cluster.update({ ...labelled.body, spec: older });
    t.match(
      label("z"),
      { code: 200, body: { metadata: { labels: { x: "z" } } } },
      "of an older podwire's lab",
    );
  },
);
