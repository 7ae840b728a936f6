// What is known of the kinds of Kubernetes, and how an object is read by it.
import t from "tap";
import { KINDS } from "../../kube/kinds.ts";
import { checkFields } from "./check-fields.ts";
import { builtIn, definition, definitionNames, resolveBuiltIn } from "./definitions.ts";
import { duplicateFields } from "./duplicate-fields.ts";
import type { JsonObject, Schema, Typed } from "./schema.ts";
import { withZeroValues } from "./zero-values.ts";

const typeOf = (apiVersion: string, kind: string): Typed => builtIn(apiVersion, kind) as Typed;
const at = (typed: Typed, path: string): Schema => {
  let schema = typed.schema;
  for (const name of path.split(".")) {
    schema = resolveBuiltIn(schema);
    schema = name === "[]" ? (schema.items as Schema) : (schema.properties?.[name] as Schema);
  }
  return schema;
};

t.test("kinds are found by version and kind, with what their fields are", async (t) => {
  const deployment = typeOf("apps/v1", "Deployment");
  t.same(deployment.schema["x-kubernetes-group-version-kind"], [
    { group: "apps", version: "v1", kind: "Deployment" },
  ]);
  t.same(at(deployment, "spec.replicas"), { type: "integer", format: "int32" });
  t.match(at(deployment, "spec.template.spec.containers"), {
    type: "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "x-kubernetes-patch-strategy": "merge",
    "x-kubernetes-patch-merge-key": "name",
  });
  const ports = at(deployment, "spec.template.spec.containers.[].ports");
  t.same(ports["x-kubernetes-list-map-keys"], ["containerPort", "protocol"]);
  t.equal(at(deployment, "spec.template.spec.containers.[].ports.[].protocol").default, "TCP");
  t.same(at(deployment, "spec.template.spec.nodeSelector"), {
    type: "object",
    additionalProperties: { type: "string" },
    "x-kubernetes-map-type": "atomic",
  });
  t.ok(resolveBuiltIn(deployment.schema.properties?.spec as Schema).required?.includes("selector"));
  t.equal(builtIn("apps/v1", "Nothing"), undefined);
  t.equal(builtIn("apps/v2", "Deployment"), undefined);
});

t.test("every built-in kind that podwire reads is known, and every reference leads somewhere", async (t) => {
  for (const { kind, apiVersion, stored, custom } of KINDS) {
    if (stored && custom !== true) t.ok(builtIn(apiVersion, kind), `${apiVersion} ${kind}`);
  }
  const missing = new Set<string>();
  const follow = (schema: Schema): void => {
    if (schema.$ref !== undefined && definition(schema.$ref.slice(14)) === undefined)
      missing.add(schema.$ref);
    for (const one of Object.values(schema.properties ?? {})) follow(one);
    if (schema.items !== undefined) follow(schema.items);
    if (typeof schema.additionalProperties === "object") follow(schema.additionalProperties);
  };
  for (const name of definitionNames()) follow(definition(name) as Schema);
  t.same([...missing], []);
  t.ok(definitionNames().length > 400);
});

t.test("fields that a type does not have are named, and taken out", async (t) => {
  const container = { name: "a", image: "x", imagePolicy: "Always", resources: { limits: { cpu: 1 } } };
  const object = {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d", labels: { any: "thing" } } },
    spec: { replica: 1, template: { spec: { containers: [container] } } },
  } as unknown as JsonObject;
  const found = checkFields(object, typeOf("apps/v1", "Deployment"));
  t.same(found.unknown, ["spec.replica", "spec.template.spec.containers[0].imagePolicy"]);
  t.equal(found.wrong, undefined);
  const spec = found.known.spec as JsonObject;
  t.notOk("replica" in spec);
  t.match(spec, { template: { spec: { containers: [{ name: "a", image: "x" }] } } });
  t.ok("replica" in (object.spec as JsonObject), "the object itself stays as it was");
  const { replica: _replica, ...rest } = object.spec as JsonObject;
  const right = { ...object, spec: { ...rest, template: {} } };
  t.equal(checkFields(right, typeOf("apps/v1", "Deployment")).known, right);
});

t.test("values of another kind than theirs are refused in Go's words", async (t) => {
  const d = (spec: unknown): JsonObject => ({ spec }) as JsonObject;
  const cases: [unknown, string][] = [
    [
      { replicas: "1" },
      "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      { replicas: 1.5 },
      "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [
      { paused: 1 },
      "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool",
    ],
    [
      { template: { spec: { containers: {} } } },
      "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []Container",
    ],
  ];
  for (const [spec, want] of cases) {
    t.equal(checkFields(d(spec), typeOf("apps/v1", "Deployment")).wrong, want);
  }
  const service = {
    spec: {
      ports: [
        { port: 80, targetPort: "http" },
        { port: 81, targetPort: 8 },
      ],
    },
  };
  t.equal(checkFields(service, typeOf("v1", "Service")).wrong, undefined, "int or string");
});

t.test("names that an object has twice are found, wherever they stand", async (t) => {
  const cases: [string, string[]][] = [
    ['{"a":1,"b":{"c":1}}', []],
    ['{"a":1,"a":2}', ["a"]],
    ['{"a":{"b":1,"c":{"b":2},"b":3},"d":"a"}', ["a.b"]],
    ['{"a":[{"b":1,"b":2},{"b":1}],"c":[1,2]}', ["a[0].b"]],
    ['{ "a" : [ {}, [ { "x" : 1 , "x" : 1 } ] ] }', ["a[1][0].x"]],
    ['{"a\\"b":1,"a\\"b":1,"s":"\\"a\\":1,\\"a\\":2"}', ['a"b']],
    ['{"m":{"n":1},"d":{"a":1,"a":2}}', ["d.a"]],
    ['{"x":{"y":1},"z":{"y":1},"x":2}', ["x"]],
  ];
  for (const [text, want] of cases) t.same(duplicateFields(text), want, text);
  const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
  t.same(duplicateFields(deep), [], "however deep");
});

t.test("structures that are no pointers in Go are always there", async (t) => {
  const whole = withZeroValues({}, typeOf("apps/v1", "Deployment"));
  t.match(whole, { metadata: {}, status: {}, spec: { selector: null, strategy: {} } });
  t.match(whole, { spec: { template: { spec: { containers: null } } } });
});
