// JSONPath and custom columns, kubectl as judge: random expressions over random objects print the same, or both refuse.
// kubectl works on a file alone (--local), so that no lab and no cluster is needed.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { execute, executeAsJson, parseTemplate } from "../../src/kube/json-path.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";
import { Prng } from "../../src/testing/prng.ts";

const skip = cannotRun("kubectl");
const SEED = Number(process.env.PODWIRE_TEST_SEED ?? Date.now() % 1_000_000);
const COUNT = Number(process.env.PODWIRE_TEST_EXPRESSIONS ?? 250);
const AT_ONCE = 4;

const NAMES = ["a", "b", "name", "x.y", "list", "deep", "none"];
const TEXTS = ["one", "two", "ü<&>", "3)", "", "it's", 'say "x"', "a b"];

type Value = string | number | boolean | Value[] | { [key: string]: Value };

function value(random: Prng, depth: number): Value {
  const kinds = depth > 3 ? 4 : 8;
  switch (random.below(kinds)) {
    case 0:
    case 1:
      return random.pick(TEXTS);
    case 2:
      return random.pick([0, 1, -7, 443, 1.5, 0.25, 2_000_000, 1_234_567.5, 0.00001]);
    case 3:
      return random.below(2) === 1;
    case 4:
    case 5:
      return Array.from({ length: random.below(4) }, () => value(random, depth + 1));
    default:
      return fields(random, depth);
  }
}

function fields(random: Prng, depth: number): { [key: string]: Value } {
  const names = NAMES.filter((name) => name !== "none" && random.below(3) > 0);
  return Object.fromEntries(names.map((name) => [name, value(random, depth + 1)]));
}

const escaped = (name: string): string => name.replaceAll(".", "\\.");

function index(random: Prng): string {
  const number = (): string => random.pick(["", "0", "1", "2", "-1", "-2", "7"]);
  switch (random.below(6)) {
    case 0:
      return "*";
    case 1:
      return random.pick(["0", "1", "-1", "9", "", "-"]);
    case 2:
      return `${number()}:${number()}`;
    case 3:
      return `${number()}:${number()}:${random.pick(["1", "2", "0", ""])}`;
    case 4:
      return `${random.pick(["0", "'a'"])},${random.pick(["1", "'name'", " 2"])}`;
    default:
      return `'${escaped(random.pick(NAMES))}'`;
  }
}

function filter(random: Prng): string {
  const left = random.pick(["@.name", "@.a", "@", "@.list[0]", "@.none", "@.deep.b", "@['name']"]);
  if (random.below(3) === 0) return `[?(${left})]`;
  const operator = random.pick(["==", "!=", "<", ">", "<=", ">=", "=", "=>"]);
  const right = random.pick(['"one"', "'two'", "1", "1.5", "-7", "true", "@.b", '"3)"', '"it\\"s"']);
  const gap = random.pick(["", " "]);
  return `[?(${left}${gap}${operator}${gap}${right})]`;
}

function step(random: Prng): string {
  switch (random.below(8)) {
    case 0:
      return `[${index(random)}]`;
    case 1:
      return filter(random);
    case 2:
      return `..${random.pick([...NAMES.map(escaped), "", "[0]", "*"])}`;
    case 3:
      return ".*";
    default:
      return `.${escaped(random.pick(NAMES))}`;
  }
}

function path(random: Prng): string {
  const start = random.pick(["", "", "$", "@"]);
  return start + Array.from({ length: 1 + random.below(4) }, () => step(random)).join("");
}

function template(random: Prng, depth = 0): string {
  const parts = Array.from({ length: 1 + random.below(3) }, () => {
    switch (random.below(depth > 1 ? 6 : 8)) {
      case 0:
        return random.pick([" text ", "}", "a,b", "\t"]);
      case 1:
        return random.pick([
          '{"\\n"}',
          "{'x\\ty'}",
          '{"\\u00e9"}',
          "{1}",
          "{true}",
          "{-1.5}",
          '{"\\q"}',
          "{end}",
          "{foo}",
          "{}",
        ]);
      case 6:
      case 7:
        return `{range ${path(random)}}${template(random, depth + 1)}${random.below(9) === 0 ? "" : "{end}"}`;
      default:
        return `{${random.pick(["", " "])}${path(random)}}`;
    }
  });
  return parts.join("");
}

/** What comes of a map's values has no order in kubectl: letters are compared instead. */
const hasNoOrder = (text: string): boolean => /\.\.|\.\*/.test(text);
const letters = (text: string): string => [...text].sort().join("");

interface Case {
  object: object;
  text: string;
  form: "jsonpath" | "jsonpath-as-json";
}

function ours({ object, text, form }: Case): string | undefined {
  try {
    const parsed = parseTemplate(text);
    return form === "jsonpath" ? execute(parsed, object) : executeAsJson(parsed, object);
  } catch (error) {
    if ((error as { code?: string }).code !== "JSONPATH") throw error;
    return undefined;
  }
}

t.test(`kubectl prints the same (PODWIRE_TEST_SEED=${SEED})`, { skip }, async (t) => {
  const random = new Prng(SEED);
  const folder = t.testdir();
  const cases = Array.from({ length: COUNT }, (_, i): Case => {
    const metadata = { name: "x", labels: { k: "v" } };
    const object = { apiVersion: "example.org/v1", kind: "Thing", metadata, ...fields(random, 0) };
    return { object, text: template(random), form: i % 10 === 0 ? "jsonpath-as-json" : "jsonpath" };
  });
  let printedCount = 0;
  const judge = async (each: Case, i: number): Promise<void> => {
    const file = join(folder, `${i}.json`);
    await writeFile(file, JSON.stringify(each.object));
    const words = ["label", "--local", "--overwrite", "-f", file, "k=v", "-o", `${each.form}=${each.text}`];
    const said = await run(["kubectl", ...words], { env: { KUBECONFIG: "/dev/null" } });
    const mine = ours(each);
    const about = `${each.form}=${each.text} of ${JSON.stringify(each.object)}: ${said.stderr.slice(0, 300)}`;
    if (/panic|invalid memory/.test(said.stderr)) return; // of ranges over nothing; then there is no judge
    const theirs = said.status === 0 ? Buffer.from(said.stdout, "latin1").toString("utf8") : undefined;
    const isLoose = hasNoOrder(each.text);
    if (isLoose && mine !== undefined && theirs !== undefined) t.equal(letters(mine), letters(theirs), about);
    // What is refused depends on the order, too: [1:1] ends a step before its other values are looked at.
    else if (!isLoose || mine === theirs) t.equal(mine, theirs, about);
    if (theirs !== undefined) printedCount++;
  };
  for (let i = 0; i < cases.length; i += AT_ONCE)
    await Promise.all(cases.slice(i, i + AT_ONCE).map((each, k) => judge(each, i + k)));
  t.ok(printedCount > COUNT / 4, `${printedCount} of ${COUNT} printed something`);
});
