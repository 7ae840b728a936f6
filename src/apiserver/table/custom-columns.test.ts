import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { type Cell, cellOf } from "./column.ts";
import { customColumns, type PrinterColumn, pathProblem } from "./custom-columns.ts";

const NOW = Date.parse("2026-01-01T00:01:00Z");
const object = {
  metadata: { name: "web", creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: {
    n: 3,
    half: 0.5,
    on: true,
    text: "a",
    list: [{ type: "Ready", status: "True" }],
    map: { b: 1, a: 2 },
  },
} as unknown as KubeObject;

function cells(...printed: PrinterColumn[]): Cell[] {
  return customColumns(printed).map((column) => cellOf(column, object, NOW));
}

const column = (type: string, jsonPath: string): PrinterColumn => ({ name: "X", type, jsonPath });

t.test("each type takes its own values, and others are none", async (t) => {
  const cases: [string, string, Cell][] = [
    ["string", ".spec.text", "a"],
    ["string", ".spec.n", "3"],
    ["string", ".spec.map", '{"a":2,"b":1}'],
    ["string", '.spec.list[?(@.type=="Ready")].status', "True"],
    ["integer", ".spec.n", 3],
    ["integer", ".spec.half", 0],
    ["integer", ".spec.text", null],
    ["number", ".spec.half", 0.5],
    ["boolean", ".spec.on", true],
    ["boolean", ".spec.n", null],
    ["date", ".metadata.creationTimestamp", "60s"],
    ["date", ".spec.text", "<invalid>"],
    ["string", ".spec.none", null],
    ["string", ".spec.list[7].type", null],
  ];
  for (const [type, path, want] of cases) t.same(cells(column(type, path)), ["web", want], `${type} ${path}`);
});

t.test("a definition without columns has the age, and a path that is none is left out", async (t) => {
  t.same(cells(), ["web", "60s"]);
  t.same(cells(column("string", ".spec.]"), column("string", ".spec.text")), ["web", "a"]);
  t.match(customColumns([{ ...column("integer", ".spec.n"), priority: 1, format: "int32" }])[1], {
    ...{ name: "X", type: "integer", format: "int32", priority: 1 },
  });
  t.equal(pathProblem(".spec.replicas"), undefined);
  for (const path of [undefined, 7, "spec.replicas", ".spec.]"])
    t.match(pathProblem(path), /json path/, String(path));
});

t.test("a path that goes through an object again and again has an end", async (t) => {
  let deep: object = { end: "here" };
  for (let i = 0; i < 60; i++) deep = { a: deep, b: 1 };
  const [, column] = customColumns([
    { name: "X", type: "string", jsonPath: ".spec...*...*...*...*...*...*" },
  ]);
  const before = performance.now();
  t.equal(cellOf(column, { ...object, spec: deep } as unknown as KubeObject, NOW), null);
  t.ok(performance.now() - before < 5000, "and not in hours");
  const [, first] = customColumns([{ name: "X", type: "string", jsonPath: ".spec..end" }]);
  t.equal(cellOf(first, { ...object, spec: deep } as unknown as KubeObject, NOW), "here");
});
