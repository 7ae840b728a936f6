// The Gateway API's kinds in an API server where nobody has installed their definitions.
import t from "tap";
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { ServedCluster } from "../../testing/api-server/served-cluster.ts";
import { gatewayResources } from "./gateway-resources.ts";
import { structuralProblems } from "./structural.ts";

const GROUP = "gateway.networking.k8s.io";
const AT = `/apis/${GROUP}`;
const ROUTES = `${AT}/v1/namespaces/default/httproutes`;
const GATEWAYS = `${AT}/v1/namespaces/default/gateways`;
const APPLY = { type: "application/apply-patch+yaml" };

function serve(t: { teardown(end: () => void): void }): ServedCluster["call"] {
  const served = new ServedCluster();
  t.teardown(() => served.api.close());
  return served.call.bind(served);
}

const gateway = (...listeners: object[]): object => ({
  metadata: { name: "web" },
  spec: { gatewayClassName: "podwire", listeners },
});
const HTTP = { name: "http", port: 80, protocol: "HTTP" };

t.test("every kind is served in every version, and has a schema that a definition could have", async (t) => {
  const call = serve(t);
  for (const { kind, plural, apiVersion, formerVersions = [] } of GATEWAY_KINDS)
    for (const each of [apiVersion, ...formerVersions]) {
      const { code, body } = call(`GET /apis/${each}/${plural}`);
      t.match({ code, body }, { code: 200, body: { kind: `${kind}List`, apiVersion: each, items: [] } });
    }
  for (const { kind, version, custom } of gatewayResources())
    t.same(structuralProblems((custom?.schema ?? {}) as never, kind), [], `${kind} ${version}`);
  const { body } = call(`GET ${AT}/v1`);
  const route = (body.resources as { name: string }[]).find(({ name }) => name === "httproutes");
  t.match(route, { kind: "HTTPRoute", namespaced: true, categories: ["gateway-api"] });
  t.notOk((route as { shortNames?: unknown }).shortNames, "the singular is no short name");
  t.ok(body.resources.some(({ name }: { name: string }) => name === "gateways/status"));
  const documents = call(`GET /openapi/v3/apis/${GROUP}/v1`).body;
  const fields = documents.components.schemas["io.k8s.networking.gateway.v1.Gateway"].properties;
  t.match(fields.spec.properties.listeners.items.properties.port, { type: "integer" });
});

t.test("objects get what the definitions fill in, in every version the same object", async (t) => {
  const call = serve(t);
  t.equal(call(`POST ${GATEWAYS}`, gateway(HTTP)).code, 201);
  const filled = { allowedRoutes: { namespaces: { from: "Same" } } };
  t.match(call(`GET ${AT}/v1beta1/namespaces/default/gateways/web`).body, {
    apiVersion: `${GROUP}/v1beta1`,
    kind: "Gateway",
    spec: { listeners: [filled] },
  });
  const mirror = { type: "RequestMirror", requestMirror: { backendRef: { name: "b", port: 80 } } };
  const spec = { rules: [{ filters: [mirror], backendRefs: [{ name: "a", port: 80 }] }] };
  const { body } = call(`POST ${ROUTES}`, { metadata: { name: "r" }, spec });
  t.match(body.spec.rules, [
    {
      matches: [{ path: { type: "PathPrefix", value: "/" } }],
      backendRefs: [{ group: "", kind: "Service", name: "a", port: 80, weight: 1 }],
    },
  ]);
  t.same(body.spec.rules[0].filters[0].requestMirror.backendRef, {
    ...{ name: "b", port: 80, group: "", kind: "Service" },
  });
});

t.test("what the definitions refuse is refused, by create, update and patch", async (t) => {
  const call = serve(t);
  const refused = (what: string, body: unknown, options?: object) => {
    const { code, body: status } = call(what, body, options);
    return `${code} ${status.message}`;
  };
  t.equal(
    refused(`POST ${GATEWAYS}`, gateway({ ...HTTP, port: 70_000 })),
    `422 Gateway.${GROUP} "web" is invalid: spec.listeners[0].port: Invalid value: 70000: ` +
      "must be between 1 and 65535, inclusive",
  );
  t.match(
    refused(`POST ${GATEWAYS}`, gateway({ ...HTTP, port: "80" })),
    /port in body must be of type integer/,
  );
  t.match(refused(`POST ${GATEWAYS}`, gateway(HTTP, HTTP)), /spec\.listeners\[1\]: Duplicate value/);
  t.match(refused(`POST ${GATEWAYS}`, { metadata: { name: "a" } }), /spec: Required value/);
  t.match(
    refused(`POST ${GATEWAYS}?fieldValidation=Strict`, gateway({ ...HTTP, prot: 1 })),
    /^400 .*unknown field "spec\.listeners\[0\]\.prot"/,
  );
  const odd = call(`POST ${GATEWAYS}?fieldValidation=Warn`, gateway({ ...HTTP, prot: 1 }));
  t.same(odd.warnings, ['unknown field "spec.listeners[0].prot"']);
  t.notOk("prot" in odd.body.spec.listeners[0]);
  const merge = { type: "application/merge-patch+json" };
  t.match(
    refused(`PATCH ${GATEWAYS}/web`, { spec: { gatewayClassName: "" } }, merge),
    /^422 .*spec\.gatewayClassName: Required value/,
  );
  t.match(refused(`PUT ${GATEWAYS}/web`, { ...odd.body, spec: {} }), /^422 /);
});

t.test(
  "status is a part of its own, and lists of it are merged by what their items are called",
  async (t) => {
    const call = serve(t);
    call(`POST ${GATEWAYS}`, { ...gateway(HTTP), status: { addresses: [{ value: "192.0.2.1" }] } });
    t.notOk(call(`GET ${GATEWAYS}/web`).body.status, "whoever makes it does not write it");
    const condition = (type: string, status: string) => ({
      ...{ type, status, reason: "R", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" },
    });
    const write = (manager: string, status: object): number =>
      call(
        `PATCH ${GATEWAYS}/web/status?fieldManager=${manager}`,
        { apiVersion: `${GROUP}/v1`, kind: "Gateway", metadata: { name: "web" }, status },
        APPLY,
      ).code;
    t.equal(write("a", { conditions: [condition("Accepted", "True")] }), 200);
    const addresses = [{ type: "IPAddress", value: "192.168.50.240" }];
    t.equal(write("b", { addresses, conditions: [condition("Programmed", "True")] }), 200);
    const { status, metadata } = call(`GET ${GATEWAYS}/web`).body;
    t.same(
      status.conditions.map(({ type }: { type: string }) => type),
      ["Accepted", "Programmed"],
    );
    t.equal(metadata.generation, 1, "nothing was asked for anew");
    const table = call(`GET ${GATEWAYS}`, undefined, {
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    });
    t.same(
      table.body.columnDefinitions.map(({ name }: { name: string }) => name),
      ["Name", "Class", "Address", "Programmed", "Age"],
    );
    t.same(table.body.rows[0].cells.slice(0, 4), ["web", "podwire", "192.168.50.240", "True"]);
  },
);

t.test("definitions that somebody installs change nothing, and take nothing away when they go", async (t) => {
  const call = serve(t);
  const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const version = (name: string, storage: boolean) => ({
    ...{ name, storage, served: true },
    schema: { openAPIV3Schema: { type: "object" } },
  });
  const definition = {
    metadata: { name: `gateways.${GROUP}` },
    spec: {
      ...{ group: GROUP, scope: "Namespaced", names: { kind: "Gateway", plural: "gateways" } },
      versions: [version("v1", true), version("v2", false)],
    },
  };
  t.equal(call(`POST ${DEFINITIONS}`, definition).code, 201);
  t.match(call(`POST ${GATEWAYS}`, { metadata: { name: "a" } }), { code: 422 }, "podwire's own checks stay");
  t.equal(call(`POST ${GATEWAYS}`, gateway(HTTP)).code, 201);
  const other = call(`GET ${AT}/v2/namespaces/default/gateways/web`);
  t.match(
    other,
    { code: 200, body: { spec: { listeners: [HTTP] } } },
    "another version has the same objects",
  );
  t.equal(call(`DELETE ${DEFINITIONS}/gateways.${GROUP}`).code, 200);
  t.equal(call(`GET ${AT}/v2/gateways`).code, 404);
  t.equal(call(`GET ${GATEWAYS}`).code, 200);
});
