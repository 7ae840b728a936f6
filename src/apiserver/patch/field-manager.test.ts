// Server-side apply and managedFields, by examples and by laws that hold whatever is applied.
import fc from "fast-check";
import t from "tap";
import { builtIn } from "../schema/definitions.ts";
import type { Json, JsonObject, Typed } from "../schema/schema.ts";
import { compare } from "./compare-values.ts";
import { afterUpdate, apply, bare, type Change, ignoredBy } from "./field-manager.ts";
import { difference, EMPTY, intersection, paths, pathText, toFieldsV1, union } from "./field-set.ts";
import { readManagers, writeManagers } from "./managers.ts";
import type { Refused } from "./refused.ts";
import { fieldSetOf, removeFields } from "./typed-value.ts";

const deployment = builtIn("apps/v1", "Deployment") as Typed;
const configMap = builtIn("v1", "ConfigMap") as Typed;
const change = (manager: string, more: Partial<Change> = {}): Change => ({
  ...{ manager, operation: "Apply", apiVersion: "v1", subresource: "", typed: configMap },
  ...{ ignored: EMPTY, now: "2026-11-30T12:00:00Z" },
  ...more,
});
const update = (manager: string, more: Partial<Change> = {}) =>
  change(manager, { operation: "Update", ...more });
const map = (data: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  ...{
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "m", namespace: "default", ...metadata },
    data,
  },
});
const managersOf = (object: JsonObject): JsonObject[] =>
  ((object.metadata as JsonObject).managedFields ?? []) as JsonObject[];
const fieldsOf = (object: JsonObject, name: string): Json | undefined =>
  managersOf(object).find(({ manager }) => manager === name)?.fieldsV1;

const refusal = (run: () => unknown): Partial<Refused> => {
  try {
    run();
  } catch (error) {
    const { status, message, reason, causes } = error as Refused;
    return { status, message, reason, causes };
  }
  return { status: 200 };
};

t.test("what is applied is the applier's, and a second applier has what he applies", async (t) => {
  const one = apply(undefined, map({ a: "1", b: "1" }), change("one"), false);
  t.same(fieldsOf(one, "one"), { "f:data": { "f:a": {}, "f:b": {} } });
  const two = apply(one, map({ b: "1", c: "2" }), change("two"), false);
  t.same(two.data, { a: "1", b: "1", c: "2" });
  t.same(fieldsOf(two, "two"), { "f:data": { "f:b": {}, "f:c": {} } });
  t.same(fieldsOf(two, "one"), { "f:data": { "f:a": {}, "f:b": {} } });
});

t.test("what an applier leaves out goes, where nobody else has it", async (t) => {
  const one = apply(undefined, map({ a: "1", b: "1" }), change("one"), false);
  const two = apply(one, map({ b: "1" }), change("two"), false);
  const three = apply(two, map({}), change("one"), false);
  t.same(three.data, { b: "1" });
  const four = apply(
    three,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m" } },
    change("two"),
    false,
  );
  t.equal(four.data, undefined);
  t.same(
    managersOf(four).map(({ manager }) => manager),
    ["one"],
  );
});

t.test("two that want another value are in conflict, until one of them has it his way", async (t) => {
  const one = apply(undefined, map({ a: "1", b: "1" }), change("one"), false);
  const refused = refusal(() => apply(one, map({ a: "2" }), change("two"), false));
  t.match(refused, { status: 409, reason: "Conflict" });
  t.equal(refused.message, 'Apply failed with 1 conflict: conflict with "one": .data.a');
  t.same(refused.causes, [
    { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".data.a" },
  ]);
  const forced = apply(one, map({ a: "2" }), change("two"), true);
  t.same(forced.data, { a: "2", b: "1" });
  t.same(fieldsOf(forced, "one"), { "f:data": { "f:b": {} } });
  const both = afterUpdate(forced, map({ a: "3", b: "3" }), update("edit"));
  t.match(
    refusal(() => apply(both, map({ a: "1", b: "1" }), change("one"), false)),
    {
      message: 'Apply failed with 2 conflicts: conflicts with "edit" using v1:\n- .data.a\n- .data.b',
    },
  );
});

t.test("an update takes what it changes from whoever had it", async (t) => {
  const one = apply(undefined, map({ a: "1", b: "1" }), change("one"), false);
  const next = { ...one, data: { a: "1", b: "2", c: "3" } };
  const two = afterUpdate(one, next, update("edit", { now: "2026-11-30T13:00:00Z" }));
  t.same(fieldsOf(two, "one"), { "f:data": { "f:a": {} } });
  t.same(managersOf(two)[1], {
    ...{ manager: "edit", operation: "Update", apiVersion: "v1", time: "2026-11-30T13:00:00Z" },
    ...{ fieldsType: "FieldsV1", fieldsV1: { "f:data": { "f:b": {}, "f:c": {} } } },
  });
  t.same(afterUpdate(two, two, update("other")), two, "and one that changes nothing has nothing");
  const reset = afterUpdate(two, map({ a: "1" }, { managedFields: [{}] }), update("edit"));
  t.same(managersOf(reset), [], "an empty entry begins anew");
});

t.test("an object from before the first apply has its fields from before", async (t) => {
  const applied = apply(map({ a: "1" }), map({ b: "2" }), change("one"), false);
  t.same(
    managersOf(applied).map(({ manager, operation }) => [manager, operation]),
    [
      ["one", "Apply"],
      ["before-first-apply", "Update"],
    ],
  );
});

t.test("kubectl has no conflict with what it applied before by its own means", async (t) => {
  const last = JSON.stringify(map({ a: "1" }));
  const annotations = { "kubectl.kubernetes.io/last-applied-configuration": last };
  const live = afterUpdate(undefined, map({ a: "1" }, { annotations }), update("kubectl-client-side-apply"));
  const next = apply(live, map({ a: "2" }), change("kubectl"), false);
  t.same(next.data, { a: "2" });
  const told = (next.metadata as JsonObject).annotations as JsonObject;
  t.match(told["kubectl.kubernetes.io/last-applied-configuration"], /"data":\{"a":"2"\}.*\n$/);
  t.match(
    refusal(() => apply(live, map({ a: "2" }), change("other"), false)),
    { status: 409 },
  );
  const edited = afterUpdate(live, { ...live, data: { a: "9" } }, update("edit"));
  t.match(
    refusal(() => apply(edited, map({ a: "2" }), change("kubectl"), false)),
    { status: 409 },
  );
});

t.test("items of lists are known by their keys, their defaults too", async (t) => {
  const spec = (containers: Json): JsonObject => ({
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" } },
    spec: { template: { spec: { containers } } },
  });
  const by = (manager: string): Change => change(manager, { typed: deployment, apiVersion: "apps/v1" });
  const one = apply(
    undefined,
    spec([{ name: "a", image: "x", ports: [{ containerPort: 80 }] }]),
    by("one"),
    false,
  );
  t.same(fieldsOf(one, "one"), {
    "f:spec": {
      "f:template": {
        "f:spec": {
          "f:containers": {
            'k:{"name":"a"}': {
              ".": {},
              "f:image": {},
              "f:name": {},
              "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
            },
          },
        },
      },
    },
  });
  const two = apply(one, spec([{ name: "b", image: "y" }]), by("two"), false);
  const names = (object: JsonObject): unknown =>
    (
      (object as { spec?: { template?: { spec?: { containers?: JsonObject[] } } } }).spec?.template?.spec
        ?.containers ?? []
    ).map(({ name }) => name);
  t.same(names(two), ["a", "b"]);
  t.same(names(apply(two, spec([]), by("one"), false)), ["b"]);
});

t.test("what the type does not have is refused, and what cannot be an item", async (t) => {
  const d = (spec: JsonObject): JsonObject => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d" },
    spec,
  });
  const by = change("one", { typed: deployment, apiVersion: "apps/v1" });
  const container = { name: "a", image: "x" };
  const cases: [JsonObject, RegExp][] = [
    [
      { replica: 1 },
      /^failed to create typed patch object \(\/d; apps\/v1, Kind=Deployment\): .spec.replica: field not declared/,
    ],
    [{ replicas: "1" }, /.spec.replicas: expected numeric \(int or float\), got string/],
    [
      { template: { spec: { containers: [null] } } },
      /.spec.template.spec.containers: element 0: associative list with keys may not have a null element/,
    ],
    [
      { template: { spec: { containers: [container, container] } } },
      /.spec.template.spec.containers: duplicate entries for key \[name="a"\]/,
    ],
  ];
  for (const [spec, message] of cases) {
    t.match(
      refusal(() => apply(undefined, d(spec), by, false)),
      { status: 500, message },
    );
  }
  t.match(
    refusal(() => apply(undefined, map({}, { managedFields: [] }), change("one"), false)),
    { status: 400 },
  );
  t.match(
    refusal(() => apply(undefined, { ...map({}), apiVersion: "v2" }, change("one"), false)),
    { status: 400 },
  );
});

t.test("the status has managers of its own", async (t) => {
  const ignored = ignoredBy("", true);
  const typed = deployment;
  const live = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" }, spec: { replicas: 1 } };
  const made = afterUpdate(
    undefined,
    { ...live, status: { replicas: 9 } },
    update("one", { typed, ignored }),
  );
  t.same(fieldsOf(made, "one"), { "f:spec": { "f:replicas": {} } });
  const status = update("controller", { typed, subresource: "status", ignored: ignoredBy("status", true) });
  const told = afterUpdate(made, { ...made, status: { replicas: 1 } }, status);
  t.match(managersOf(told), [
    { manager: "controller", subresource: "status", fieldsV1: { "f:status": { "f:replicas": {} } } },
    { manager: "one" },
  ]);
});

t.test("more than ten that update share the oldest entries", async (t) => {
  let object = map({});
  for (let i = 0; i < 14; i++) {
    const next = { ...object, data: { ...(object.data as JsonObject), [`k${i}`]: "1" } };
    const now = `2026-11-30T12:00:${String(i).padStart(2, "0")}Z`;
    object = afterUpdate(i === 0 ? undefined : object, next, update(`m${i}`, { now }));
  }
  const managers = managersOf(object);
  t.equal(managers.length, 10);
  t.match(managers[0], { manager: "ancient-changes" });
  t.equal(Object.keys((managers[0].fieldsV1 as JsonObject)["f:data"] as JsonObject).length, 6);
});

// --- laws
const NAMES = ["a", "b", "c"];
const text = fc.constantFrom("1", "2");
const env = fc.uniqueArray(fc.record({ name: fc.constantFrom("X", "Y"), value: text }), {
  selector: ({ name }) => name,
  minLength: 1,
});
const ports = fc.uniqueArray(
  fc.record(
    { containerPort: fc.constantFrom(80, 81), protocol: fc.constantFrom("TCP", "UDP"), name: text },
    { requiredKeys: ["containerPort", "protocol"] },
  ),
  { selector: ({ containerPort, protocol }) => `${containerPort}${protocol}`, minLength: 1 },
);
const container = fc.record(
  {
    name: fc.constantFrom(...NAMES),
    image: text,
    env,
    ports,
    args: fc.array(text, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["name"] },
);
const some = fc.record(
  {
    replicas: fc.constantFrom(1, 2),
    containers: fc.uniqueArray(container, { selector: ({ name }) => name, minLength: 1, maxLength: 3 }),
    nodeSelector: fc.dictionary(fc.constantFrom(...NAMES), text, { minKeys: 1 }),
    labels: fc.dictionary(fc.constantFrom(...NAMES), text, { minKeys: 1 }),
    finalizers: fc.uniqueArray(fc.constantFrom("f/a", "f/b", "f/c"), { minLength: 1 }),
  },
  { requiredKeys: [] },
);
/** Only what is there: Go tells an empty list from none no better than a list of structures does. */
const given = (fields: Record<string, unknown>): JsonObject =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && JSON.stringify(value) !== "{}"),
  ) as JsonObject;
const config = some.map(({ replicas, containers, nodeSelector, labels, finalizers }): JsonObject => {
  const template = given({ spec: given({ containers, nodeSelector }) });
  const metadata = { name: "d", ...given({ labels, finalizers }) };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    ...given({ spec: given({ replicas, template }) }),
  };
});
const typedChange = (manager: string): Change =>
  change(manager, { typed: deployment, apiVersion: "apps/v1" });
const applied = (live: JsonObject | undefined, one: JsonObject, manager: string): JsonObject =>
  apply(live, one, typedChange(manager), true);
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

t.test("applying twice is applying once", async () => {
  fc.assert(
    fc.property(config, config, config, (a, b, c) => {
      const once = applied(applied(applied(undefined, a, "one"), b, "two"), c, "one");
      return same(applied(once, c, "one"), once);
    }),
  );
});

t.test("whatever an applier does, what another one has stays as it was", async () => {
  fc.assert(
    fc.property(config, config, config, (a, b, c) => {
      const live = applied(applied(undefined, a, "one"), b, "two");
      const next = applied(live, c, "one");
      const before = readManagers((next.metadata as JsonObject).managedFields) ?? new Map();
      const two = [...before.values()].find(({ manager }) => manager === "two")?.fields ?? EMPTY;
      const { modified, removed } = compare(bare(live), bare(next), deployment);
      const touched = intersection(two, union(modified, removed));
      return touched.size === 0;
    }),
  );
});

t.test("an applier has what he applied, and the object says what he said", async () => {
  fc.assert(
    fc.property(config, config, (a, b) => {
      const next = applied(applied(undefined, a, "one"), b, "two");
      const { modified, removed } = compare(b, bare(next), deployment);
      return modified.size === 0 && removed.size === 0;
    }),
  );
});

t.test("who applies nothing any more leaves no trace of his own", async () => {
  const nothing = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d" } };
  fc.assert(
    fc.property(config, config, (a, b) => {
      const alone = applied(undefined, a, "one");
      const after = applied(applied(alone, b, "two"), nothing, "two");
      const left = compare(bare(after), bare(applied(applied(alone, b, "two"), a, "one")), deployment);
      const gone = difference(fieldSetOf(bare(after), deployment), fieldSetOf(a, deployment));
      const isOwn = [...paths(gone)].every((path) => !pathText(path).includes("image"));
      return left.removed.size === 0 && isOwn;
    }),
  );
});

t.test("what two objects differ in is what makes one of the other", async () => {
  fc.assert(
    fc.property(config, config, (a, b) => {
      const there = compare(a, b, deployment);
      const back = compare(b, a, deployment);
      return (
        same(toFieldsV1(there.added), toFieldsV1(back.removed)) &&
        same(toFieldsV1(there.modified), toFieldsV1(back.modified)) &&
        compare(a, a, deployment).modified.size === 0
      );
    }),
  );
});

t.test("an object without its fields is empty, and sets keep the laws of sets", async () => {
  fc.assert(
    fc.property(config, config, (a, b) => {
      const [x, y] = [fieldSetOf(a, deployment), fieldSetOf(b, deployment)];
      const text = (set: typeof x): string => JSON.stringify(toFieldsV1(set));
      const left = removeFields(a, x, deployment);
      return (
        fieldSetOf(left, deployment).size <= 2 &&
        text(union(x, y)) === text(union(y, x)) &&
        text(union(difference(x, y), intersection(x, y))) === text(x) &&
        intersection(difference(x, y), y).size === 0
      );
    }),
  );
});

t.test("managedFields are written as they were read", async () => {
  fc.assert(
    fc.property(config, config, (a, b) => {
      const object = applied(applied(undefined, a, "one"), b, "two");
      const { managedFields } = object.metadata as JsonObject;
      return same(writeManagers(readManagers(managedFields) ?? new Map()), managedFields);
    }),
  );
});
