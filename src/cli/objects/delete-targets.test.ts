import t from "tap";
import type { ApiClient } from "../api/api-client.ts";
import { durationMs } from "../lab/duration.ts";
import { fittingObjects, wantedOf } from "./delete-targets.ts";

const cases: [words: string, flags: object, wanted: object][] = [
  ["pod a b", {}, { targets: [{ kind: "pod", namespace: "default", names: ["a", "b"] }], kinds: [] }],
  [
    "pod,svc a",
    { namespace: "x" },
    {
      targets: [
        { kind: "pod", namespace: "x", names: ["a"] },
        { kind: "svc", namespace: "x", names: ["a"] },
      ],
    },
  ],
  [
    "pod/a svc/b",
    {},
    {
      targets: [
        { kind: "pod", names: ["a"] },
        { kind: "svc", names: ["b"] },
      ],
    },
  ],
  ["pods,svc", { all: true }, { targets: [], kinds: ["pods", "svc"] }],
  ["pods", { selector: "a=b", allNamespaces: true }, { targets: [], kinds: ["pods"] }],
];
for (const [words, flags, wanted] of cases)
  t.test(`delete ${words} ${JSON.stringify(flags)}`, async (t) =>
    t.match(wantedOf(words.split(" "), flags), wanted),
  );

const refused: [words: string, flags: object, message: RegExp][] = [
  ["pod", {}, /which one\?/],
  ["pod a", { selector: "a=b" }, /name cannot be provided when a selector is specified/],
  ["pod a", { all: true }, /either names or --all/],
  ["pod", { all: true, selector: "a=b" }, /either -l LABELS or --all/],
  ["pod a", { allNamespaces: true }, /-n, not -A/],
  ["pod/a/b", {}, /write KIND\/NAME/],
  ["pod/a b", {}, /write KIND\/NAME/],
  ["pod,", { all: true }, /a kind is missing/],
];
for (const [words, flags, message] of refused)
  t.test(`refused: delete ${words} ${JSON.stringify(flags)}`, async (t) =>
    t.throws(() => wantedOf(words.split(" "), flags), { exitCode: 2, message }),
  );

t.test("what fits is found, in all namespaces", async (t) => {
  const item = (namespace: string, name: string, app: string) => ({
    metadata: { namespace, name, labels: { app } },
  });
  const items = [item("a", "x", "web"), item("a", "y", "api"), item("b", "z", "web")];
  const resource = { kind: "Pod" };
  const api = { resource: async () => resource, list: async () => ({ items }) } as unknown as ApiClient;
  t.same(await fittingObjects(api, ["pods"], { selector: "app=web", allNamespaces: true }), [
    { resource, namespace: "a", name: "x" },
    { resource, namespace: "b", name: "z" },
  ]);
});

t.test("durations as Go writes them", async (t) => {
  const read = ["30s", "1h30m", "500ms", "1.5s", "20", "-1s", "0"].map((text) =>
    durationMs("--timeout", text),
  );
  t.same(read, [30_000, 5_400_000, 500, 1500, 20_000, -1000, 0]);
  for (const text of ["", "5q", "s", "1h x", "1 h"])
    t.throws(() => durationMs("--timeout", text), { exitCode: 2, message: /use a duration/ }, text);
});
