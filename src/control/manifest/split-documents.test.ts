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
