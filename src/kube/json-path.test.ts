import { readFileSync } from "node:fs";
import t from "tap";
import { goText } from "./json-path/go-text.ts";
import { execute, executeAsJson, parsePath, parseTemplate } from "./json-path.ts";

interface Corpus {
  object: unknown;
  cases: { expression: string; output?: string; error?: string }[];
}

const file = new URL("../../../src/kube/testdata/json-path.json", import.meta.url);
const { object, cases } = JSON.parse(readFileSync(file, "utf8")) as Corpus;

/** What is wrong with a path itself; all else depends on the object. */
const PARSES = /unclosed|unterminated|unrecognized character|invalid array index|not a number|cannot parse/;

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
    const exitCode = PARSES.test(error ?? "") ? 2 : 1;
    t.throws(run, { message: /^jsonpath [^\n]*$/, exitCode }, `${expression}: ${error}`);
  }
});

t.test("paths of --sort-by and custom columns", async (t) => {
  for (const path of ["metadata.name", ".metadata.name", "{.metadata.name}", "$.metadata.name"])
    t.same(parsePath(path)(object), ["web"], path);
  t.same(parsePath(".spec.containers[*].name")(object), ["a", "b", "c"]);
  t.throws(() => parsePath(".a]"));
});

const ROOT = {
  a: { b: [1, 2, 3], "x.y": "dot", s: "añ<&>", f: 1.5, n: null, t: true, big: 1e21 },
  list: [
    { name: "one", n: 1, f: 0.5, on: true },
    { name: "two", n: 2 },
    { name: "3)", n: 3, list: [1] },
  ],
};

t.test("the grammar's corners", (t) => {
  const cases: [string, string][] = [
    ["{.a.x\\.y}{.a['x\\.y']}", "dotdot"],
    ["{.a['x.y']}", ""], // a name ends at a dot, in quotes too
    ["{.a.s}{.a.f} {.a.t}", "añ<&>1.5 true"],
    ["{.a.big} {.list[0].f} {.a.n}", "1e+21 0.5 null"],
    ["{.list[0]}", '{"f":0.5,"n":1,"name":"one","on":true}'],
    ["{.a.b[]}", "1"],
    ["{.a.b[:]},{.a.b[1:]},{.a.b[:-1]},{.a.b[-1]},{.a.b[0:3:2]},{.a.b[1:1]}", "1 2 3,2 3,1 2,3,1 3,"],
    ["{.a.b[0, 2]},{.list[*]['name','n']}", "1 3,one two 3) 1 2 3"],
    ["{$.a.t}{@.a.t}{.$.a.t}", "truetrue"],
    ["{range .list[*]}{$.name},{end}", "one,two,3),"], // "$" is where one is, not the whole
    ["{range .list[*]}{range .list[*]}[{@}]{end}{.name};{end}|", "one;two;[1]3);|"],
    ["{range .none[*]}{.x}{range .y}{.z}{end}{end}after", "after"],
    ['{range .list[?(@.n>1)]}{"<"}{.name}{">\\t"}{end}', "<two>\t<3)>\t"],
    ['{.list[?(@.name=="3)")].n}{.list[?(@.list)].n}{.list[?(@.n<=2)].name}', "33one two"],
    ["{.list[?(@.list[7])].name}", "3)"], // an index behind the end is there, to a filter
    ['{"\\u00e9\\x41\\101"}', "éAA"],
    ["{'it\\'s'}", "it's"],
    ["{.a.b.*} {.list[0].name.*}", "1 2 3 111 110 101"], // of a text the bytes
    ["{1}{-2}{+3}{1.50}{true}", "1-231.5true"],
    ["{.list[0]..}", '{"f":0.5,"n":1,"name":"one","on":true} one'],
    ["{.a .f}{..n}", "1.5null 1 2 3"],
    ["text}", "text}"],
  ];
  for (const [expression, wanted] of cases)
    t.equal(execute(parseTemplate(expression), ROOT), wanted, expression);
  t.end();
});

t.test("what is refused, and whose fault it is", (t) => {
  const cases: [string, RegExp, number][] = [
    ["{.a\n.b}", /unclosed action/, 2],
    ["{....a}", /invalid multiple recursive descent/, 2],
    ["{.a.b['x]}", /invalid array index 'x/, 2],
    ["{.a.b[-]}", /array index - is not a number/, 2],
    ["{1.2.3}", /cannot parse number 1\.2\.3/, 2],
    ['{"\\q"}', /unquote string "\\q" error invalid syntax/, 2],
    ['{"abc}', /unterminated quoted string/, 2],
    ["{.list[?(@.n==1]}", /unterminated filter/, 2],
    ["{.a|b}{#}", /unrecognized character in action: U\+0023 '#'/, 2],
    ["{foo}", /unrecognized identifier foo/, 1],
    ["{end}", /not in range, nothing to end/, 1],
    ["{.a[0]}", /map\[string\]interface \{\} is not array or slice/, 1],
    ["{.a.b[0:2:0]}", /step must be > 0/, 1],
    ["{.a[?(@.x)]}", /cannot be filtered/, 1],
    ['{.list[?(@.n=="1")]}', /incompatible types for comparison/, 1],
    ["{.list[?(@.n==1.0)]}", /incompatible types for comparison/, 1],
    ["{.list[?(@.on<true)]}", /invalid type for comparison/, 1],
    ["{.list[?(@.n=>1)]}", /unrecognized filter operator =>/, 1],
  ];
  for (const [expression, message, exitCode] of cases)
    t.throws(() => execute(parseTemplate(expression), ROOT), { message, exitCode }, expression);
  t.end();
});

t.test("as JSON: a list for each action", (t) => {
  const printed = executeAsJson(parseTemplate("{.a.s}{.none}"), ROOT);
  t.equal(printed, '[\n    "añ\\u003c\\u0026\\u003e"\n]\n[]\n');
  t.end();
});

t.test("as Go prints values", (t) => {
  t.equal(goText({ b: [1, "x"], a: { c: null } }), "map[a:map[c:<nil>] b:[1 x]]");
  const numbers = [0.00001, 0.0001, 1234567, 123456.5, 1234567.5, -12345678901.5].map(goText);
  t.same(numbers, ["1e-05", "0.0001", "1234567", "123456.5", "1.2345675e+06", "-1.23456789015e+10"]);
  t.end();
});
