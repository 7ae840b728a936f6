// The fast reader against the library: whatever the fast one reads, the library reads the same and finds nothing wrong.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { stringify } from "yaml";
import { readBlockYaml } from "./block-yaml.ts";
import { parseDocuments, yamlDocuments } from "./yaml-documents.ts";

/** What the library makes of a text; undefined when it has a complaint. */
function slowly(text: string): unknown[] | undefined {
  const documents = yamlDocuments(text);
  return documents.some(({ problems }) => problems.length > 0)
    ? undefined
    : documents.map(({ value }) => value);
}

const READ = [
  "a: 1\nb: two\n",
  "a:\n  b:\n    c: x\nd: null\n",
  "a:\n- 1\n- b: 2\n  c: 3\n-\n  d: 4\n",
  "a:\n  - - x\n    - y\n  - []\n  - {}\n",
  "---\na: 1\n---\n# nothing\n---\nb: yes\nc: 'no'\nd: \"007\"\n",
  "# head\n\na: x # y\n".replace(" # y", ""),
  "a: 10.0.0.1\nb: 10.244.0.0/16\nc: fd00::1\nd: v1.33.1\ne: 2025-01-01T00:00:00Z\n",
  "a: |\n  one\n   two\n\n  three\nb: |-\n  x\n",
  "f:metadata:\n  f:annotations: {}\n  '.': {}\n",
  "a: -x\nb: :x\nc: ?x\nd: a#b\ne: http://x:80/y\n",
  "a: 'it is # quoted: so'\nb: \"x: y\"\n",
  "a: 0\nb: -17\nc: on\nd: OFF\ne: ~\n",
  "a:\nb:\n",
  "- a\n- b: 1\n",
  "",
];

const LEFT = [
  "a: [1, 2]\n",
  "a: { b: c }\n",
  "a: &x 1\nb: *x\n",
  "a: !!str 1\n",
  "a: >\n  folded\n",
  "a: one\n  two\n",
  "a: x # comment\n",
  'a: "x\\n"\n',
  "a: 'it''s'\n",
  "a: 1\na: 2\n",
  "a:\tb\n",
  "a: 1\r\n",
  "a: 1\n  b: 2\n",
  "a:\n    b: 1\n  c: 2\n",
  "a: 1.5\nb: 1e3\n",
  "a: 0644\n",
  "a: 0x10\n",
  "? a\n: b\n",
  "<<: x\n",
  "1: x\n",
  "--- a\n",
  "a: 1\n...\n",
  "%YAML 1.2\n---\na: 1\n",
  "just text\n",
  "  ---\n",
  "a:\n  ---\n",
  "a: b: c\n",
  "a: |2\n  x\n",
  "a: |+\n  x\n\n",
];

t.test("plain block YAML is read as the library reads it", async (t) => {
  for (const text of READ) {
    const value = readBlockYaml(text);
    t.not(value, undefined, JSON.stringify(text));
    t.same(value, slowly(text), JSON.stringify(text));
  }
});

t.test("everything else is left to the library", async (t) => {
  for (const text of LEFT) t.equal(readBlockYaml(text), undefined, JSON.stringify(text));
});

const scalarText = fc.constantFrom(
  ..."x 1 0 -1 01 1.5 1.2.3 true no ~ null a:b a: -a - 'q' \"q\" # a#b |".split(" "),
  "a b",
  "a #b",
  "a: b",
  "",
  "|-",
  "{}",
  "[]",
  "1e3",
  "0x1f",
  ".5",
  "1_000",
  "+1",
  "2001-01-01",
  "12345678901234567890",
  "__proto__",
  "toString",
);
const line = fc
  .tuple(
    fc.nat({ max: 3 }),
    fc.constantFrom("", "- ", "- - ", "-"),
    fc.constantFrom("", "a:", "b: ", "'c': ", "x y: "),
    scalarText,
  )
  .map(([indent, dash, key, value]) => " ".repeat(indent * 2) + dash + key + value);
const anyText = fc.array(fc.oneof({ weight: 8, arbitrary: line }, fc.constantFrom("---", "", "# c", "   ")), {
  maxLength: 10,
});

t.test("what is read of any text, the library reads the same", async (t) => {
  let read = 0;
  fc.assert(
    fc.property(anyText, (lines) => {
      const text = `${lines.join("\n")}\n`;
      const fast = readBlockYaml(text);
      if (fast === undefined) return true;
      read++;
      return JSON.stringify(fast.filter((value) => value !== null)) === JSON.stringify(slowly(text));
    }),
    { numRuns: 4000 },
  );
  t.ok(read > 100, `${read} of 4000 were read`);
});

t.test("objects as programs write them are read, damaged ones never wrongly", async (t) => {
  const cases = JSON.parse(readFileSync("src/testing/testdata/packetflow-sample.json", "utf8")) as {
    objects: object[];
  }[];
  const text = cases[0].objects.map((object) => stringify(object)).join("---\n");
  t.same(readBlockYaml(text), cases[0].objects);
  fc.assert(
    fc.property(
      fc.nat({ max: text.length - 1 }),
      fc.constantFrom(..." \n:-#'\"|a0{}".split("")),
      (at, character) => {
        const damaged = text.slice(0, at) + character + text.slice(at + 1);
        const fast = readBlockYaml(damaged);
        return fast === undefined || JSON.stringify(fast) === JSON.stringify(slowly(damaged));
      },
    ),
    { numRuns: 150 },
  );
});

t.test("positions are the library's", async (t) => {
  const [, second] = parseDocuments("# c\na: 1\n---\nb:\n- c: 2\n");
  t.equal(second.number, 2);
  t.same(second.locate(["b", 0, "c"]), { line: 5, column: 6 });
});
