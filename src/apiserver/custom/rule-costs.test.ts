// What rules may cost: definitions that are refused for it, and those that are not.
import t from "tap";
import { COST_FIELDS, COSTS } from "../../testing/cel-costs.ts";
import type { JsonObject, Schema } from "../schema/schema.ts";
import { compile } from "./cel/compile.ts";
import { type Declared, declaredBy } from "./cel/estimate/declared.ts";
import { typeOf } from "./cel/schema-value.ts";
import { ruleProblems } from "./cel-rules.ts";
import { definitionProblems } from "./definition.ts";
import { RuleCosts } from "./rule-costs.ts";

const text = { type: "string" };
const integer = { type: "integer" };
const object = (properties: object, ...rules: string[]): object => ({
  ...{ type: "object", properties },
  ...(rules.length > 0 && { "x-kubernetes-validations": rules.map((rule) => ({ rule })) }),
});
const list = (items: object, more: object = {}): object => ({ type: "array", items, ...more });
/** Causes, without what is said of a way out; `all`: also those of what all rules cost together. */
const told = (schema: object, all = false): string[] =>
  ruleProblems(schema as JsonObject, "schema")
    .filter((one) => all || !one.includes("entire OpenAPIv3 schema"))
    .map((one) => one.replace(/ \(try .*\)$/, ""));
const RULE = "x-kubernetes-validations[0].rule";

t.test("rules go through lists, and how long those may be is what counts", async (t) => {
  const fields = { l: list(integer), few: list(integer, { maxItems: 1000 }) };
  t.same(told(object(fields, "self.l.all(x, x > 1)")), [], "1,572,863 numbers, 5 each");
  t.same(told(object(fields, "self.l.all(x, x > 1 && x < 5)")), [
    `schema.${RULE}: Forbidden: estimated rule cost exceeds budget by factor of 1.101004x`,
  ]);
  t.same(told(object(fields, "self.few.all(x, self.few.all(y, x != y))")), []);
  t.same(told(object(fields, "self.l.all(x, self.l.all(y, x != y))")), [
    `schema.${RULE}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`,
  ]);
});

t.test("texts without maxLength are as long as a request", async (t) => {
  const fields = { text, short: { ...text, maxLength: 63 } };
  t.same(told(object(fields, "self.text.matches('^[a-z]+$') && self.text == self.text")), []);
  t.same(told(object(fields, "self.short.contains(self.short)")), []);
  t.same(told(object(fields, "self.text.contains(self.text)")), [
    `schema.${RULE}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x`,
  ]);
});

t.test("a rule costs as often as what it is about may be there", async (t) => {
  const names = ["a", "b", "c", "d"].map((name) => `self.name == '${name}'`);
  const rows = (rule: string, more: object = {}): object =>
    object({ rows: list(object({ name: text }, rule), more) });
  const at = `schema.properties[rows].items.${RULE}`;
  t.same(told(rows(names.slice(1).join(" || "))), []);
  t.same(told(rows(names.join(" || "))), [
    `${at}: Forbidden: estimated rule cost exceeds budget by factor of 1.258291x`,
  ]);
  t.same(told(rows(names.join(" || "), { maxItems: 64 })), []);
  const map = {
    type: "object",
    additionalProperties: list(object({ name: text }, names[0]), { maxItems: 10_000_000 }),
  };
  t.same(told(object({ map })), [], "where nobody bounds the outer one, a request does");
});

t.test("all rules of a definition together", async (t) => {
  const fields = Object.fromEntries(
    Array.from({ length: 13 }, (_, i) => [`f${i}`, object({ l: list(integer) }, "self.l.all(x, x > 1)")]),
  );
  const each =
    "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
  t.same(told(object(fields), true), [
    ...[0, 1, 2, 3].map((i) => `schema.properties[f${i}].${RULE}: ${each}`),
    "schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget " +
      "by factor of 1.022361x",
  ]);
  const { f0: _, ...fewer } = fields;
  t.same(told(object(fewer), true), []);
});

t.test("messages cost, too", async (t) => {
  const messageExpression = "self.text.contains(self.text) ? 'a' : 'b'";
  const schema = { ...object({ text }), "x-kubernetes-validations": [{ rule: "true", messageExpression }] };
  t.match(told(schema), [
    /^schema\.x-kubernetes-validations\[0\]\.messageExpression: Forbidden: estimated messageExpression cost exceeds/,
  ]);
});

t.test("factors are written as Go writes them", async (t) => {
  const factor = (cost: number): string | undefined =>
    / factor of (\S+) /.exec(new RuleCosts().add("p", "it", cost) ?? "")?.[1];
  t.equal(factor(10_000_000), undefined);
  t.same([10_000_001, 10_078_125, 14_999_999].map(factor), ["1.000000x", "1.007812x", "1.500000x"]);
  t.same([15_000_000, 22_500_000, 23_500_000, 999_999_999].map(factor), ["1.5x", "2.2x", "2.4x", "100.0x"]);
  t.equal(factor(1_000_000_001), "more");
});

t.test("what is stored may stay: only a schema that changes is held to it", async (t) => {
  const schema = (rule: string) => ({
    openAPIV3Schema: object({ spec: object({ l: list(integer) }, rule) }),
  });
  const definition = (rule: string): JsonObject =>
    ({
      spec: { versions: [{ name: "v1", served: true, storage: true, schema: schema(rule) }] },
    }) as unknown as JsonObject;
  const dear = "self.l.all(x, x > 1 && x < 5)";
  t.equal(definitionProblems(definition(dear)).length, 1);
  t.same(definitionProblems(definition(dear), definition(dear)), []);
  t.equal(definitionProblems(definition(`${dear} `), definition(dear)).length, 1);
});

t.test("each function costs what a cluster says that it costs", async (t) => {
  const schema = { type: "object", properties: COST_FIELDS } as unknown as Schema;
  const self = typeOf(schema);
  if (self === undefined) throw new Error("no type");
  for (const { rule, cost } of COSTS)
    t.equal(compile(rule, { self, oldSelf: self }, declaredBy(schema) as Declared).cost, cost, rule);
});
