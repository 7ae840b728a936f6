import { readFileSync } from "node:fs";
import t from "tap";
import { execute, parsePath, parseTemplate } from "./json-path.ts";

interface Corpus {
  object: unknown;
  cases: { expression: string; output?: string; error?: string }[];
}

const file = new URL("../../../src/kube/testdata/json-path.json", import.meta.url);
const { object, cases } = JSON.parse(readFileSync(file, "utf8")) as Corpus;

t.test("what kubectl printed", async (t) => {
  for (const { expression, output } of cases.filter((each) => each.output !== undefined)) {
    let printed: string;
    try {
      printed = execute(parseTemplate(expression), object);
    } catch (error) {
      printed = String(error);
    }
    t.equal(printed, output, expression);
  }
});

t.test("what kubectl refused", async (t) => {
  for (const { expression, error } of cases.filter((each) => each.error !== undefined)) {
    const run = (): string => execute(parseTemplate(expression), object);
    t.throws(run, { message: /^jsonpath [^\n]*$/, exitCode: 2 }, `${expression}: ${error}`);
  }
});

t.test("paths of --sort-by and custom columns", async (t) => {
  for (const path of ["metadata.name", ".metadata.name", "{.metadata.name}", "$.metadata.name"])
    t.same(parsePath(path)(object), ["web"], path);
  t.same(parsePath(".spec.containers[*].name")(object), ["a", "b", "c"]);
  t.throws(() => parsePath(".a]"));
});
