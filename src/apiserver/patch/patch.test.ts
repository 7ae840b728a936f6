// The three patches that are not server-side apply, by tables: object, patch, what comes of it.
import fc from "fast-check";
import t from "tap";
import { builtIn } from "../schema/definitions.ts";
import { isObject, type Json, type JsonObject, type Typed } from "../schema/schema.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import type { Refused } from "./refused.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

const deployment = builtIn("apps/v1", "Deployment") as Typed;
const service = builtIn("v1", "Service") as Typed;
const refusal = (run: () => unknown): [number, string] => {
  try {
    run();
  } catch (error) {
    const { status, message, causes } = error as Refused;
    return [status, causes.length > 0 ? causes[0].message : message];
  }
  return [200, ""];
};
const podSpec = (spec: JsonObject): JsonObject => ({ spec: { template: { spec } } });

t.test("a JSON patch adds, removes, replaces, moves, copies and tests", async (t) => {
  const object = { a: { b: [1, 2, 3] }, c: "x" };
  const cases: [string, Json, JsonObject][] = [
    ["add a field", [{ op: "add", path: "/d", value: { e: 1 } }], { ...object, d: { e: 1 } }],
    ["add to a list's end", [{ op: "add", path: "/a/b/-", value: 4 }], { a: { b: [1, 2, 3, 4] }, c: "x" }],
    ["add into a list", [{ op: "add", path: "/a/b/1", value: 9 }], { a: { b: [1, 9, 2, 3] }, c: "x" }],
    ["remove", [{ op: "remove", path: "/c" }], { a: { b: [1, 2, 3] } }],
    ["remove from the end", [{ op: "remove", path: "/a/b/-1" }], { a: { b: [1, 2] }, c: "x" }],
    ["replace", [{ op: "replace", path: "/a/b/0", value: 7 }], { a: { b: [7, 2, 3] }, c: "x" }],
    ["replace what is not there", [{ op: "replace", path: "/e", value: 1 }], { ...object, e: 1 }],
    ["move", [{ op: "move", from: "/c", path: "/a/f" }], { a: { b: [1, 2, 3], f: "x" } }],
    ["copy", [{ op: "copy", from: "/c", path: "/g" }], { ...object, g: "x" }],
    ["copy what is not there", [{ op: "copy", from: "/x", path: "/g" }], { ...object, g: null }],
    ["test", [{ op: "test", path: "/c", value: "x" }], object],
    ["escapes", [{ op: "add", path: "/a~1b~0c", value: 1 }], { ...object, "a/b~c": 1 }],
  ];
  for (const [name, patch, want] of cases) t.same(applyJsonPatch(object, patch), want, name);
  t.same(object, { a: { b: [1, 2, 3] }, c: "x" }, "and leaves what it was given");
});

t.test("a JSON patch that does not apply says which operation does not, as kube-apiserver", async (t) => {
  const object = { spec: { replicas: 1, list: [1] } };
  const missing = "missing value";
  const cases: [Json, number, string | RegExp][] = [
    [{ op: "add" }, 400, /^error decoding patch: /],
    [[{ op: "merge", path: "/a" }], 422, "Unexpected kind: merge"],
    [
      [{ op: "add", path: "/status/x", value: 1 }],
      422,
      `add operation does not apply: doc is missing path: "/status/x": ${missing}`,
    ],
    [
      [{ op: "remove", path: "/spec/x" }],
      422,
      `error in remove for path: '/spec/x': Unable to remove nonexistent key: x: ${missing}`,
    ],
    [
      [{ op: "replace", path: "/spec/list/3", value: 1 }],
      422,
      `replace operation does not apply: doc is missing key: /spec/list/3: ${missing}`,
    ],
    [[{ op: "test", path: "/spec/x", value: 2 }], 422, "testing value /spec/x failed: test failed"],
    [
      [{ op: "test", path: "/spec/replicas", value: 2 }],
      422,
      "testing value /spec/replicas failed: test failed",
    ],
    [
      [{ op: "remove", path: "/spec/list/3" }],
      422,
      "error in remove for path: '/spec/list/3': Unable to access invalid index: 3: invalid index referenced",
    ],
    [[{ op: "add", path: "/__proto__/x", value: 1 }], 422, /./],
    [[{ op: "move", from: "", path: "/spec" }], 422, /a document cannot be moved into itself/],
    [
      // Each twice as large as the one before.
      Array.from({ length: 40 }, (_, i) => ({ op: "copy", from: "/spec", path: `/spec/x${i}` })),
      422,
      /^the copies of a patch may have 3145728 bytes/,
    ],
  ];
  for (const [patch, status, message] of cases) {
    const [got, text] = refusal(() => applyJsonPatch(object, patch));
    t.equal(got, status, JSON.stringify(patch));
    t.match(text, message);
  }
  t.equal(({} as { x?: number }).x, undefined);
});

t.test("a merge patch is that of RFC 7386, by its own examples", async (t) => {
  const cases: [JsonObject, JsonObject, JsonObject][] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [object, patch, want] of cases) t.same(applyMergePatch(object, patch), want);
});

t.test("a merge patch applied twice is applied once, and no name reaches a prototype", async (t) => {
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  const object = fc.dictionary(fc.string(), json).filter(isObject) as fc.Arbitrary<JsonObject>;
  fc.assert(
    fc.property(object, object, (a, b) => {
      const once = applyMergePatch(a, b);
      return JSON.stringify(applyMergePatch(once, b)) === JSON.stringify(once);
    }),
  );
  const hostile = JSON.parse('{"__proto__":{"polluted":1}}') as JsonObject;
  applyMergePatch({}, hostile);
  t.equal(({} as { polluted?: number }).polluted, undefined);
});

t.test("a strategic merge patch merges lists by their keys", async (t) => {
  const object = podSpec({
    containers: [
      { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
      { name: "b", image: "b:1", args: ["1", "2"] },
    ],
    volumes: [{ name: "v", emptyDir: {} }],
    tolerations: [{ key: "k" }],
  });
  const cases: [string, JsonObject, JsonObject][] = [
    [
      "by name",
      { containers: [{ name: "b", image: "b:2" }] },
      {
        containers: [
          { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
          { name: "b", image: "b:2", args: ["1", "2"] },
        ],
      },
    ],
    [
      "a new one, which comes first where no order is said",
      { containers: [{ name: "c", image: "c:1" }] },
      {
        containers: [
          { name: "c", image: "c:1" },
          { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
          { name: "b", image: "b:1", args: ["1", "2"] },
        ],
      },
    ],
    [
      "$patch: delete",
      { containers: [{ name: "a", $patch: "delete" }] },
      { containers: [{ name: "b", image: "b:1", args: ["1", "2"] }] },
    ],
    [
      "$patch: replace",
      { containers: [{ name: "z" }, { $patch: "replace" }] },
      { containers: [{ name: "z" }] },
    ],
    [
      "null takes a field away",
      { containers: [{ name: "b", args: null }], tolerations: null },
      {
        containers: [
          { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
          { name: "b", image: "b:1" },
        ],
      },
    ],
    ["what is no merge list is replaced", { tolerations: [{ key: "z" }] }, { tolerations: [{ key: "z" }] }],
    [
      "$setElementOrder",
      {
        "$setElementOrder/containers": [{ name: "b" }, { name: "a" }],
        containers: [{ name: "b", image: "b:3" }],
      },
      {
        containers: [
          { name: "b", image: "b:3", args: ["1", "2"] },
          { name: "a", image: "a:1", env: [{ name: "X", value: "1" }] },
        ],
      },
    ],
    [
      "$retainKeys",
      { volumes: [{ name: "v", $retainKeys: ["name", "hostPath"], hostPath: { path: "/" } }] },
      { volumes: [{ name: "v", hostPath: { path: "/" } }] },
    ],
    [
      "below an item",
      {
        containers: [
          {
            name: "a",
            env: [
              { name: "X", value: "2" },
              { name: "Y", value: "3" },
            ],
          },
        ],
      },
      {
        containers: [
          {
            name: "a",
            image: "a:1",
            env: [
              { name: "X", value: "2" },
              { name: "Y", value: "3" },
            ],
          },
          { name: "b", image: "b:1", args: ["1", "2"] },
        ],
      },
    ],
  ];
  for (const [name, patch, want] of cases) {
    const made = applyStrategicMergePatch(object, podSpec(patch), deployment) as never as typeof object;
    const spec = ((made.spec as JsonObject).template as JsonObject).spec as JsonObject;
    for (const field of Object.keys(want)) t.same(spec[field], want[field], name);
    if (patch.tolerations === null) t.notOk("tolerations" in spec);
  }
});

t.test("a strategic merge patch takes items from lists of plain values", async (t) => {
  const object = { metadata: { finalizers: ["a", "b", "c"] } };
  const patch = {
    metadata: {
      "$deleteFromPrimitiveList/finalizers": ["b"],
      "$setElementOrder/finalizers": ["c", "d", "a"],
      finalizers: ["d"],
    },
  };
  const made = applyStrategicMergePatch(object, patch, service);
  t.same(made, { metadata: { finalizers: ["c", "d", "a"] } });
});

t.test("a strategic merge patch of another form is refused", async (t) => {
  const object = podSpec({ containers: [{ name: "a" }] });
  const cases: [JsonObject, number, RegExp][] = [
    [{ containers: [{ image: "x" }] }, 500, /does not contain declared merge key: name/],
    [{ containers: [{ name: "a", $patch: "sort" }] }, 500, /unknown patch type: sort/],
    [{ $retainKeys: "containers", containers: [] }, 400, /invalid patch format of retainKeys/],
    [{ $retainKeys: ["volumes"], containers: [] }, 400, /invalid patch format of retainKeys/],
    [
      { "$setElementOrder/containers": [{ name: "a" }], containers: [{ name: "b" }] },
      500,
      /doesn't match \$setElementOrder list/,
    ],
  ];
  for (const [patch, status, message] of cases) {
    const [got, text] = refusal(() => applyStrategicMergePatch(object, podSpec(patch), deployment));
    t.equal(got, status, text);
    t.match(text, message);
  }
});

t.test("what is merged is found at once in long lists", async (t) => {
  const containers = Array.from({ length: 20_000 }, (_, i) => ({ name: `c${i}`, image: "a" }));
  const order = containers.map(({ name }) => ({ name })).reverse();
  const before = process.cpuUsage().user;
  const made = applyStrategicMergePatch(
    podSpec({ containers: containers.slice(0, 10_000) }),
    podSpec({ containers: [...containers].reverse(), "$setElementOrder/containers": order }),
    deployment,
  );
  t.ok(process.cpuUsage().user - before < 3e6, "not each with each");
  t.same(made, podSpec({ containers: [...containers].reverse() }));
});
