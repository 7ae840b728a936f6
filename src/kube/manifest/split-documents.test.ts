// Files cut into documents, as kubectl cuts them.
import fc from "fast-check";
import t from "tap";
import { splitText } from "./split-documents.ts";
import { parseDocuments } from "./yaml-documents.ts";

const CASES: readonly {
  name: string;
  text: string;
  pieces: [text: string, line: number, documents: number][];
}[] = [
  { name: "nothing", text: "", pieces: [] },
  { name: "one document", text: "a: 1\n", pieces: [["a: 1\n", 0, 0]] },
  {
    name: "two",
    text: "a: 1\n---\nb: 2\n",
    pieces: [
      ["a: 1\n", 0, 0],
      ["b: 2\n", 2, 1],
    ],
  },
  {
    name: "a marker at the start",
    text: "---\na: 1\n---\nb: 2",
    pieces: [
      ["---\na: 1\n", 0, 0],
      ["b: 2", 3, 1],
    ],
  },
  {
    name: "comments before it",
    text: "# x\n\n---\na: 1\n",
    pieces: [
      ["# x\n\n", 0, 0],
      ["a: 1\n", 3, 0],
    ],
  },
  {
    name: "an empty one",
    text: "a: 1\n---\n---\nb: 2\n",
    pieces: [
      ["a: 1\n", 0, 0],
      ["---\nb: 2\n", 2, 1],
    ],
  },
  {
    name: "a comment behind it",
    text: "a: 1\n--- # x\r\nb: 2\n",
    pieces: [
      ["a: 1\n", 0, 0],
      ["b: 2\n", 2, 1],
    ],
  },
  { name: "further right", text: "a: 1\n ---\n", pieces: [["a: 1\n ---\n", 0, 0]] },
  {
    name: "within a literal",
    text: "a: |\n  x\n---\nb: 1\n",
    pieces: [
      ["a: |\n  x\n", 0, 0],
      ["b: 1\n", 3, 1],
    ],
  },
  {
    name: "an end",
    text: "a: 1\n...\n---\nb: 1\n",
    pieces: [
      ["a: 1\n...\n", 0, 0],
      ["b: 1\n", 3, 1],
    ],
  },
];

for (const { name, text, pieces } of CASES) {
  t.test(`cut: ${name}`, async (t) => {
    t.same(
      splitText(text).map((piece) => [piece.text, piece.line, piece.documents]),
      pieces,
    );
  });
}

t.test("a line that begins with --- and says more is an error where it stands", async (t) => {
  for (const line of ["--- a: 1", "---a: 1", "----", "--- {a: 1}"]) {
    const problems = parseDocuments(`a: 1\n${line}\nb: 2\n`).flatMap((document) => document.problems);
    const message = `invalid Yaml document separator: ${line.slice(3).trim()}`;
    t.same(problems, [{ line: 2, column: 1, message }], line);
  }
});

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
  for (const broken of [`${a}{`, `${a}${b}x`]) {
    t.ok(
      parseDocuments(broken).some(({ problems }) => problems.length > 0),
      broken,
    );
  }
});

t.test("JSON may go on as YAML", async (t) => {
  const documents = parseDocuments('{"a": 1}\n\n---\nb:\n  c: x\n');
  t.same(
    documents.map(({ number, value }) => [number, value]),
    [
      [1, { a: 1 }],
      [2, { b: { c: "x" } }],
    ],
  );
  t.same(documents[1].locate(["b", "c"]), { line: 5, column: 6 });
});

const line = fc.constantFrom(
  ...["---", "---", "--- # c", "# c", "", "a: 1", "a: {b: 1} # c", "- x", "  c: 2", "\r"],
  ...["a: |", "  ---", "'", 'a: "x', '  y"', "[", "]", "{", "}", "a: &x 1", "b: *x", "é: 😀"],
);

t.test("pieces are parts of the text, and know their lines", async () => {
  const property = fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
    const text = `a: 1\n${lines.join("\n")}\n`;
    return splitText(text).every((piece) => {
      const from = text.split("\n").slice(0, piece.line).join("\n").length + (piece.line > 0 ? 1 : 0);
      return text.startsWith(piece.text, from);
    });
  });
  fc.assert(property, { numRuns: 3000 });
});
