// Files cut into documents against the library, which reads them whole.
import fc from "fast-check";
import t from "tap";
import { splitDocuments } from "./split-documents.ts";
import { parseDocuments, yamlDocuments } from "./yaml-documents.ts";

const CASES: readonly { name: string; text: string; pieces: string[] }[] = [
  { name: "one document", text: "a: 1\n", pieces: ["a: 1\n"] },
  { name: "two", text: "a: 1\n---\nb: 2\n", pieces: ["a: 1\n", "---\nb: 2\n"] },
  { name: "a marker at the start", text: "---\na: 1\n---\nb: 2", pieces: ["---\na: 1\n", "---\nb: 2"] },
  { name: "comments before it", text: "# x\n\n---\na: 1\n", pieces: ["# x\n\n---\na: 1\n"] },
  {
    name: "text behind the marker",
    text: "--- {a: 1}\n--- # x\nb: 2\n",
    pieces: ["--- {a: 1}\n", "--- # x\nb: 2\n"],
  },
  { name: "longer dashes, and further right", text: "----: 1\n ---\n", pieces: ["----: 1\n ---\n"] },
  { name: "a literal", text: "a: |\n  x\n---\nb: 1\n", pieces: ["a: |\n  x\n", "---\nb: 1\n"] },
  {
    name: "directives",
    text: "%YAML 1.2\n---\na: 1\n---\nb: 1\n",
    pieces: ["%YAML 1.2\n---\na: 1\n---\nb: 1\n"],
  },
  { name: "an end", text: "a: 1\n...\n---\nb: 1\n", pieces: ["a: 1\n...\n---\nb: 1\n"] },
];

for (const { name, text, pieces } of CASES) {
  t.test(`cut: ${name}`, async (t) => {
    t.same(
      splitDocuments(text).map((piece) => piece.text),
      pieces,
    );
  });
}

t.test("a stream of JSON objects, as kubectl takes it", async (t) => {
  const [a, b] = ['{"kind": "A", "x": "}{ \\" ---"}', '{\n "kind": "B",\n "y": [{}]\n}'];
  for (const between of ["", " ", "\n", "\n\n  "]) {
    const text = `${a}${between}${b}${between}${a}\n`;
    const documents = parseDocuments(text);
    t.same(
      documents.map(({ number, value, problems }) => [number, value, problems]),
      [a, b, a].map((each, i) => [i + 1, JSON.parse(each), []]),
    );
    const at = documents[1].locate(["y"], true);
    const lines = text.slice(0, text.indexOf('"y"')).split("\n");
    t.same(at, { line: lines.length, column: (lines.at(-1) ?? "").length + 1 });
    const third = documents[2].locate(["x"], true);
    const before = text.slice(0, text.lastIndexOf('"x"')).split("\n");
    t.same(third, { line: before.length, column: (before.at(-1) ?? "").length + 1 });
  }
  for (const broken of [`${a}{`, `${a}${b}x`, `${a} "x"`, `${a}{"a": }`]) {
    t.ok(
      parseDocuments(broken).some(({ problems }) => problems.length > 0),
      broken,
    );
  }
});

const line = fc.constantFrom(
  ...["---", "---", "--- x", "---x", "--- # c", "...", "# c", "", "a: 1", "a: {b: 1} # c", "- x", "  c: 2"],
  ...["a: |", "  ---", "'", 'a: "x', '  y"', "%TAG ! x", "[", "]", "{", "}", "a: &x 1", "b: *x"],
);

t.test("what pieces hold, and where, is what the whole holds", async (t) => {
  let several = 0;
  const property = fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
    const text = `${lines.join("\n")}\n`;
    const [cut, whole] = [parseDocuments(text), yamlDocuments(text)];
    if (
      splitDocuments(text)
        .map((piece) => piece.text)
        .join("") !== text
    )
      return false;
    // Of broken documents each reader has words of its own; neither may miss one.
    const isBroken = whole.some(({ problems }) => problems.length > 0);
    if (isBroken) return cut.some(({ problems }) => problems.length > 0);
    if (cut.length > 1) several++;
    return (
      JSON.stringify(cut.map((d) => [d.number, d.value, d.problems, d.locate(["a", "b"])])) ===
      JSON.stringify(whole.map((d) => [d.number, d.value, d.problems, d.locate(["a", "b"])]))
    );
  });
  fc.assert(property, { numRuns: 5000 });
  t.ok(several > 100, `${several} had several documents`);
});
