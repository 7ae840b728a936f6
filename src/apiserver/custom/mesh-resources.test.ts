// AuthorizationPolicies in an API server where nobody has installed their definition.
import t from "tap";
import { ServedCluster } from "../../testing/api-server/served-cluster.ts";
import { meshResources } from "./mesh-resources.ts";
import { structuralProblems } from "./structural.ts";

const GROUP = "/apis/security.istio.io";
const AT = `${GROUP}/v1/namespaces/default/authorizationpolicies`;
const served = new ServedCluster();
t.teardown(() => served.api.close());
const call = served.call.bind(served);
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };

t.test("they are served in both versions, with a schema that a definition could have", async (t) => {
  const spec = { action: "DENY", rules: [{ from: [{ source: { namespaces: ["other"] } }] }] };
  t.equal(call(`POST ${AT}`, { metadata: { name: "a" }, spec }).code, 201);
  t.match(call(`GET ${GROUP}/v1beta1/namespaces/default/authorizationpolicies/a`).body, {
    ...{ apiVersion: "security.istio.io/v1beta1", kind: "AuthorizationPolicy", spec },
  });
  for (const { version, custom } of meshResources())
    t.same(structuralProblems((custom?.schema ?? {}) as never, "AuthorizationPolicy"), [], version);
  const { body } = call(`GET ${AT}`, undefined, TABLE);
  t.same(
    body.columnDefinitions.map(({ name }: { name: string }) => name),
    ["Name", "Action", "Age"],
  );
  t.same(body.rows[0].cells.slice(0, 2), ["a", "DENY"]);
  t.match(call(`GET ${GROUP}/v1`).body.resources[0], {
    ...{ name: "authorizationpolicies", kind: "AuthorizationPolicy", namespaced: true, shortNames: ["ap"] },
  });
});

t.test("what the proxies would not judge by is refused", async (t) => {
  const spec = { rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }] };
  t.match(call(`POST ${AT}`, { metadata: { name: "b" }, spec }), {
    code: 422,
    body: {
      message:
        'AuthorizationPolicy.security.istio.io "b" is invalid: spec.rules[0].from[0].source.requestPrincipals: ' +
        "Forbidden: podwire's proxies do not judge by it: leave it out",
    },
  });
  t.match(call(`POST ${AT}?fieldValidation=Strict`, { metadata: { name: "b" }, spec: { rulez: [] } }), {
    code: 400,
    body: { message: /unknown field "spec.rulez"/ },
  });
});
