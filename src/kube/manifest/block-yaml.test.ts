// The fast reader against the whole parser: whatever the fast one reads, the other reads the same and finds nothing wrong.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { stringify } from "yaml";
import { readBlockYaml } from "./block-yaml.ts";
import { composed } from "./yaml-documents.ts";

/** What the whole parser makes of a text, in a list; undefined when it has a complaint. */
function slowly(text: string): unknown[] | undefined {
  const documents = composed({ text, line: 0, column: 0, documents: 0, isJson: false });
  return documents.some(({ problems }) => problems.length > 0)
    ? undefined
    : documents.map(({ value }) => value);
}

/** The same by the fast reader. */
function fast(text: string): unknown[] | undefined {
  const value = readBlockYaml(text);
  return value === undefined ? undefined : value === null ? [] : [value];
}

const READ = [
  "a: 1\nb: two\n",
  "a:\n  b:\n    c: x\nd: null\n",
  "a:\n- 1\n- b: 2\n  c: 3\n-\n  d: 4\n",
  "a:\n  - - x\n    - y\n  - []\n  - {}\n",
  "---\n# nothing\nb: yes\nc: 'no'\nd: \"007\"\n",
  "---\n# nothing\n",
  "a: 0644\nb: 0x10\nc: 1_0\nd: -0o7\n",
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
  "a: 18446744073709551615\n",
  "a: 1\n---\nb: 2\n",
  "- - - - a\n".replace("- ", "- ".repeat(300)),
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

t.test("plain block YAML is read as the whole parser reads it", async (t) => {
  for (const text of READ) {
    const value = fast(text);
    t.not(value, undefined, JSON.stringify(text));
    t.same(value, slowly(text), JSON.stringify(text));
  }
});

t.test("everything else is left to it", async (t) => {
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
const anyText = fc.array(fc.oneof({ weight: 8, arbitrary: line }, fc.constantFrom("", "# c", "   ")), {
  maxLength: 10,
});

t.test("what is read of any text, the whole parser reads the same", async (t) => {
  let read = 0;
  fc.assert(
    fc.property(anyText, (lines) => {
      const text = `${lines.join("\n")}\n`;
      const found = fast(text);
      if (found === undefined) return true;
      read++;
      return JSON.stringify(found) === JSON.stringify(slowly(text));
    }),
    { numRuns: 4000 },
  );
  t.ok(read > 100, `${read} of 4000 were read`);
});

t.test("objects as programs write them are read, damaged ones never wrongly", async (t) => {
  const cases = JSON.parse(readFileSync("src/testing/testdata/packetflow-sample.json", "utf8")) as {
    objects: object[];
  }[];
  const text = stringify(cases[0].objects);
  t.same(readBlockYaml(text), cases[0].objects);
  fc.assert(
    fc.property(
      fc.nat({ max: text.length - 1 }),
      fc.constantFrom(..." \n:-#'\"|a0{}".split("")),
      (at, character) => {
        const damaged = text.slice(0, at) + character + text.slice(at + 1);
        const found = fast(damaged);
        return found === undefined || JSON.stringify(found) === JSON.stringify(slowly(damaged));
      },
    ),
    { numRuns: 150 },
  );
});
