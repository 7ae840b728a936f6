// Documents read by kubectl's own parser and by this one: accepted and refused alike, with the same values. How the corpus
// was made is told in testdata/yaml-corpus/README.md.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { projectRoot } from "../../../testing/tidy/source-tree.ts";
import { type CorpusEntry, differenceOf } from "../../../testing/yaml-corpus.ts";
import { parseDocuments } from "../yaml-documents.ts";

const file = join(projectRoot(), "src/kube/manifest/testdata/yaml-corpus/corpus.jsonl");
const corpus = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as CorpusEntry);

t.test("the corpus is read as kubectl reads it, all of it", async (t) => {
  const different = corpus.flatMap((entry) => {
    const difference = differenceOf(entry);
    return difference === undefined ? [] : [`${JSON.stringify(entry)}: ${difference}`];
  });
  t.same(different, []);
  const refused = corpus.filter(({ error }) => error !== undefined).length;
  t.comment(
    `the YAML corpus: ${corpus.length - different.length} of ${corpus.length}, ${refused} of them refused`,
  );
  t.ok(corpus.length > 800 && refused > 200 && corpus.length - refused > 200);
});

const DEEP = 10_000;

t.test("depth and length have the parser's limits", async (t) => {
  const problem = (text: string) => parseDocuments(text)[0]?.problems[0]?.message;
  t.equal(problem(`a: ${"[".repeat(DEEP)}${"]".repeat(DEEP)}`), undefined);
  t.equal(problem(`a: ${"[".repeat(DEEP + 1)}`), "exceeded max depth of 10000");
  t.equal(problem(`${"- ".repeat(DEEP)}a`), undefined);
  t.equal(problem(`${"- ".repeat(DEEP + 1)}a`), "exceeded max depth of 10000");
  t.equal(problem(`a: 1\n${"a".repeat(1024)}: 1`), undefined);
  t.equal(problem(`a: 1\n${"a".repeat(1025)}: 1`), "could not find expected ':'");
  t.equal(problem(`a: 1\n${"😀".repeat(1024)}: 1`), undefined);
  const lists = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i++) {
    const [before, name] = ["abcdefghi"[i - 1], "abcdefghi"[i]];
    lists.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(", ")}]`);
  }
  t.equal(problem(lists.join("\n")), "document contains excessive aliasing");
});

t.test("problems and fields have their places in the file", async (t) => {
  const text = "a: 1\n---\n# x\nb:\n- c: 'd\n  e'\n  f: &f {g: 1}\nh:\n  <<: *f\n---\nq: 'x\ny: 2\n";
  const [, second, third] = parseDocuments(text);
  t.equal(second.number, 2);
  t.same(second.locate(["b", 0, "c"]), { line: 5, column: 6 });
  t.same(second.locate(["b", 0, "c"], true), { line: 5, column: 3 });
  t.same(second.locate(["b", 0, "f"]), { line: 7, column: 3 });
  t.same(second.locate(["b", 0, "f", "g"]), { line: 7, column: 13 });
  t.same(second.locate(["h", "g"]), { line: 7, column: 13 });
  t.same(second.locate(["b", 7, "x"]), { line: 4, column: 1 });
  t.same(third.problems, [
    { line: 13, column: 1, message: "found unexpected end of stream, in what begins at line 11, column 4" },
  ]);
});

t.test("a key that comes twice is refused at its second place, in JSON too", async (t) => {
  const problems = (text: string) => parseDocuments(text).flatMap((document) => document.problems);
  const message = 'key "a" already set in map';
  t.same(problems("b: 1\n---\na: 1\nc: 2\na: 3\n"), [{ line: 5, column: 1, message }]);
  t.same(problems('{"a": 1,\n "a": 2}{"a": 1, "a": 2}'), [
    { line: 2, column: 2, message },
    { line: 2, column: 18, message },
  ]);
});
