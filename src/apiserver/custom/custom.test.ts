// Custom resources: which definitions are taken, what of an object is kept, filled in and refused.
import t from "tap";
import type { JsonObject, Schema } from "../schema/schema.ts";
import { definitionProblems, readVersion } from "./definition.ts";
import { prune, withDefaults } from "./prune.ts";
import { customScale, withReplicas } from "./scale.ts";
import { structuralProblems } from "./structural.ts";
import { schemaProblems } from "./validate.ts";
import { compareVersions } from "./version-order.ts";

const AT = "spec.versions[0].schema.openAPIV3Schema";
const plain = { type: "object", properties: { spec: { type: "object" } } };
const crd = (version: object, more: object = {}): JsonObject =>
  ({
    ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
    metadata: { name: "crontabs.stable.example.com" },
    spec: {
      ...{ group: "stable.example.com", scope: "Namespaced", names: { plural: "crontabs", kind: "CronTab" } },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: plain }, ...version }],
      ...more,
    },
  }) as unknown as JsonObject;

t.test("a version of a definition is read, and one without a schema takes anything", async (t) => {
  const scale = { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n" };
  const version = {
    name: "v1",
    schema: { openAPIV3Schema: plain },
    subresources: { scale },
    deprecated: true,
  };
  t.match(readVersion(version as unknown as JsonObject, "example.com", "X"), {
    ...{ scale, schema: plain, deprecation: "example.com/v1 X is deprecated" },
  });
  t.equal(readVersion({ name: "v1" }, "g", "X").schema["x-kubernetes-preserve-unknown-fields"], true);
  const sorted = ["v1alpha1", "v10", "v2", "later", "v1", "v1beta2"].sort(compareVersions);
  t.same(sorted, ["v10", "v2", "v1", "v1beta2", "v1alpha1", "later"]);
});

t.test("numbers of pods are where a definition says", async (t) => {
  const paths = {
    specReplicasPath: ".spec.a.n",
    statusReplicasPath: ".status.n",
    labelSelectorPath: ".status.s",
  };
  const object = { spec: { a: { n: 2, m: 1 } }, status: { n: 1, s: "app=x" } };
  t.same(customScale(object, paths), { spec: 2, status: 1, selector: "app=x" });
  t.same(withReplicas(object, paths, 5), { ...object, spec: { a: { n: 5, m: 1 } } });
  t.same(withReplicas({}, paths, 5), { spec: { a: { n: 5 } } });
});

t.test("a definition that objects could not be held to is refused, each problem by its field", async (t) => {
  const cases: [JsonObject, string][] = [
    [crd({ schema: {} }), `${AT}: Required value`],
    [
      crd({ subresources: { scale: { specReplicasPath: ".x", statusReplicasPath: ".status.n" } } }),
      'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".x": should be a json path under .spec',
    ],
    [
      crd({}, { preserveUnknownFields: true }),
      "spec.preserveUnknownFields: Invalid value: true: must be false",
    ],
    [
      crd({}, { conversion: { strategy: "Webhook" } }),
      'spec.conversion.strategy: Invalid value: "Webhook": podwire has no webhooks: make it None',
    ],
  ];
  const odd: [object, RegExp][] = [
    [{ type: "text" }, /type must be equal to one of/],
    [{ type: "string", maxLength: -1 }, /maxLength must be >= 0/],
    [{ type: "number", multipleOf: 0 }, /multipleOf must be > 0/],
    [{ type: "array", uniqueItems: true, items: { type: "string" } }, /uniqueItems: Forbidden/],
    [{ type: "string", pattern: "(?=a)" }, /pattern: Invalid value/],
  ];
  for (const [a, want] of odd) {
    const schema = { openAPIV3Schema: { type: "object", properties: { a } } };
    t.match(definitionProblems(crd({ schema })), [want]);
    t.same(schemaProblems({ a: 1 }, { type: "object", properties: { a } } as Schema).length < 2, true);
  }
  const holes = { openAPIV3Schema: { type: "object", properties: { a: null } } };
  t.equal(definitionProblems(crd({ schema: holes })).length, 1);
  t.same(definitionProblems(crd({})), []);
  for (const [object, want] of cases)
    t.ok(
      definitionProblems(object).some((one) => one.startsWith(want)),
      want,
    );
});

t.test("a schema has to be structural", async (t) => {
  const root = (properties: object, more: object = {}): JsonObject =>
    ({ type: "object", properties, ...more }) as unknown as JsonObject;
  const cases: [string, JsonObject, string[]][] = [
    [
      "nothing is wrong",
      root({ a: { type: "string" }, b: { type: "array", items: { type: "integer" } } }),
      [],
    ],
    [
      "no type at the root",
      { properties: {} },
      [`${AT}.type: Required value: must not be empty at the root`],
    ],
    [
      "a field without a type",
      root({ a: {} }),
      [`${AT}.properties[a].type: Required value: must not be empty for specified object fields`],
    ],
    [
      "an array without items",
      root({ a: { type: "array" } }),
      [`${AT}.properties[a].items: Required value: must be specified`],
    ],
    [
      "an alternative with a type",
      root({
        a: {
          type: "object",
          properties: { b: { type: "string" } },
          oneOf: [{ properties: { b: { type: "string" } } }],
        },
      }),
      [`${AT}.properties[a].oneOf[0].properties[b].type: Forbidden: must be empty to be structural`],
    ],
    [
      "an alternative about a field that is not there",
      root({ a: { type: "object", anyOf: [{ properties: { c: {} } }] } }),
      [
        `${AT}.properties[a].properties[c]: Required value: because it is defined in ` +
          `${AT}.properties[a].anyOf[0].properties[c]`,
      ],
    ],
    [
      "int or string",
      root({ a: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] } }),
      [],
    ],
    ["anything", root({ a: { "x-kubernetes-preserve-unknown-fields": true } }), []],
    [
      "metadata",
      root({ metadata: { type: "object", properties: { labels: { type: "object" } } } }),
      [
        `${AT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, ` +
          "but metadata is implicitly specified",
      ],
    ],
    [
      "free at the root",
      root({}, { additionalProperties: { type: "string" } }),
      [`${AT}.additionalProperties: Forbidden: must not be used at the root`],
    ],
  ];
  for (const [name, schema, want] of cases) t.same(structuralProblems(schema, AT), want, name);
});

t.test("unknown fields go, and defaults come in", async (t) => {
  const schema: Schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: {
          size: { type: "integer", default: 3 },
          mode: { type: "string", default: "a", nullable: true },
          text: { type: "string" },
          inner: { type: "object", default: {}, properties: { on: { type: "boolean", default: true } } },
          free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
          items: {
            type: "array",
            items: { type: "object", properties: { n: { type: "string", default: "x" } } },
          },
          map: {
            type: "object",
            additionalProperties: { type: "object", properties: { k: { type: "string" } } },
          },
          template: {
            type: "object",
            "x-kubernetes-embedded-resource": true,
            properties: { spec: { type: "object" } },
          },
        },
      },
    },
  };
  const meta = { apiVersion: "x/v1", kind: "X", metadata: { name: "a", annotations: { b: "c" } } };
  const template = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: {}, status: {} };
  const spec = {
    size: null,
    mode: null,
    text: null,
    gone: 1,
    free: { a: { b: 1 } },
    items: [{ x: 1 }, { n: "y" }],
    map: { a: { k: "1", z: 1 }, b: null, c: {} },
    template,
  };
  const { object, unknown } = prune({ ...meta, spec, other: 1 } as unknown as JsonObject, schema);
  t.same(unknown, ["spec.gone", "spec.items[0].x", "spec.map.a.z", "spec.template.status", "other"]);
  t.same(withDefaults(object, schema), {
    ...meta,
    spec: {
      size: 3,
      mode: null,
      inner: { on: true },
      free: { a: { b: 1 } },
      items: [{ n: "x" }, { n: "y" }],
      map: { a: { k: "1" }, c: {} },
      template: { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: {} },
    },
  });
});

t.test("values are held to the schema, in the words of an API server", async (t) => {
  const spec = (one: object): Schema =>
    ({ type: "object", properties: { spec: { type: "object", properties: { a: one } } } }) as Schema;
  const at = "spec.a";
  const cases: [object, unknown, string[]][] = [
    [{ type: "integer" }, 1, []],
    [
      { type: "integer" },
      "x",
      ['spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"'],
    ],
    [
      { type: "string" },
      1,
      ['spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer"'],
    ],
    [{ type: "string", nullable: true }, null, []],
    [
      { type: "integer", minimum: 1 },
      0,
      [`${at}: Invalid value: 0: ${at} in body should be greater than or equal to 1`],
    ],
    [
      { type: "integer", minimum: 1, exclusiveMinimum: true },
      1,
      [`${at}: Invalid value: 1: ${at} in body should be greater than 1`],
    ],
    [
      { type: "integer", maximum: 1 },
      2,
      [`${at}: Invalid value: 2: ${at} in body should be less than or equal to 1`],
    ],
    [
      { type: "string", pattern: "^a+$" },
      "b",
      [`${at}: Invalid value: "b": ${at} in body should match '^a+$'`],
    ],
    [{ type: "string", pattern: "(?i)^a$" }, "A", []],
    [
      { type: "string", enum: ["x", "y"] },
      "z",
      [`${at}: Unsupported value: "z": supported values: "x", "y"`],
    ],
    [{ type: "string", maxLength: 2 }, "abc", [`${at}: Too long: may not be more than 2 bytes`]],
    [
      { type: "string", format: "date-time" },
      "x",
      [`${at}: Invalid value: "x": ${at} in body must be of type date-time: "x"`],
    ],
    [{ type: "string", format: "nobody-knows" }, "x", []],
    [
      { type: "array", maxItems: 1, items: { type: "string" } },
      ["a", "b"],
      [`${at}: Too many: 2: must have at most 1 item`],
    ],
    [
      { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
      ["a", "b", "a"],
      [`${at}[2]: Duplicate value: "a"`],
    ],
    [
      {
        ...{ type: "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n", "p"] },
        items: { type: "object", properties: { n: { type: "string" }, p: { type: "string", default: "t" } } },
      },
      [{ n: "a" }, { n: "a", p: "t" }],
      [`${at}[1]: Duplicate value: {"n":"a","p":"t"}`],
    ],
    [{ type: "object", required: ["b"] }, {}, ["spec.a.b: Required value"]],
    [
      { type: "object", additionalProperties: { type: "integer" } },
      { 0: "x" },
      ['spec.a.0: Invalid value: "string": spec.a.0 in body must be of type integer: "string"'],
    ],
    [
      { "x-kubernetes-int-or-string": true },
      true,
      ['spec.a: Invalid value: "boolean": spec.a in body must be of type integer,string: "boolean"'],
    ],
    [{ "x-kubernetes-int-or-string": true }, "50%", []],
    [
      { type: "object", oneOf: [{ required: ["b"] }, { required: ["c"] }] },
      {},
      [`${at}: Invalid value: "": "spec.a" must validate one and only one schema (oneOf). Found none valid`],
    ],
    [
      { type: "object", not: { required: ["b"] } },
      { b: 1 },
      [`${at}: Invalid value: "": "spec.a" must not validate the schema (not)`],
    ],
  ];
  for (const [schema, a, want] of cases) {
    t.same(schemaProblems({ spec: { a } } as JsonObject, spec(schema)), want, JSON.stringify([schema, a]));
  }
});

t.test("no pattern and no format keeps the process busy", async (t) => {
  const of = (one: object): Schema => ({ type: "object", properties: { a: one } }) as Schema;
  const beganAt = process.cpuUsage().user;
  const long = { a: `${"a".repeat(2000)}!` };
  t.match(schemaProblems(long, of({ type: "string", pattern: "^(a+)+$" })), [
    /should match '\^\(a\+\)\+\$'$/,
  ]);
  const digits = { a: "1".repeat(200_000) };
  t.match(schemaProblems(digits, of({ type: "string", format: "duration" })), [/must be of type duration/]);
  t.ok(process.cpuUsage(undefined).user - beganAt < 5e6, "seconds");
  t.match(schemaProblems({ a: "é" }, of({ type: "string", pattern: "^[[:alpha:]]$" })), [/should match/]);
  t.same(schemaProblems({ a: "A" }, of({ type: "string", pattern: "(?i)^[[:lower:]]$" })), []);
  const many = { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" };
  t.equal(schemaProblems({ a: Array.from({ length: 1000 }, () => 1) } as JsonObject, of(many)).length, 200);
});

t.test("definitions with many versions and fields are judged at once", async (t) => {
  const names = Array.from({ length: 20_000 }, (_, i) => `p${i}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  const anyOf = [{ properties: Object.fromEntries(names.map((name) => [name, { minLength: 1 }])) }];
  const before = process.cpuUsage().user;
  t.same(structuralProblems({ type: "object", properties, anyOf } as unknown as JsonObject, AT), []);
  const versions = names
    .slice(0, 1000)
    .map((_, i) => ({ name: `v${i}`, schema: { openAPIV3Schema: plain } }));
  t.same(definitionProblems(crd({}, { versions })), []);
  t.ok(process.cpuUsage().user - before < 4e6);
});
