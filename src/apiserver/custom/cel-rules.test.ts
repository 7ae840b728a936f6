// Rules of custom resources (x-kubernetes-validations): what compiles, what is told of definitions, and of objects.
import t from "tap";
import { CEL_FAILING, CEL_FIELDS, CEL_SELF, CEL_TRUE, CEL_WRONG } from "../../testing/cel-expressions.ts";
import type { JsonObject, Schema } from "../schema/schema.ts";
import { ruleProblems } from "./cel-rules.ts";
import { checkRules } from "./rule-check.ts";

const PATH = "schema";
const integer = { type: "integer" };
const text = { type: "string" };
const of = (properties: object, ...rules: object[]): Schema =>
  ({ type: "object", properties, "x-kubernetes-validations": rules }) as Schema;
/** What is told of `object`, by rules about `spec`. */
const told = (properties: object, spec: object, rules: object[], old?: object): string[] => {
  const schema = { type: "object", properties: { spec: of(properties, ...rules) } } as Schema;
  const object = (value: object): JsonObject => ({ spec: value }) as JsonObject;
  return checkRules(object(spec), old === undefined ? undefined : object(old), schema).problems;
};
const wrong = (properties: object, ...rules: object[]): string[] =>
  ruleProblems(of(properties, ...rules) as unknown as JsonObject, PATH);

t.test("a broken rule is told as its definition says it", async (t) => {
  const fields = {
    min: integer,
    max: integer,
    name: text,
    map: { type: "object", additionalProperties: text },
  };
  const bad = { min: 3, max: 2, name: "a", map: { k: "v" } };
  const rule = "self.min <= self.max";
  t.same(told(fields, { min: 1, max: 2 }, [{ rule }]), []);
  t.same(told(fields, bad, [{ rule }]), ["spec: Invalid value: failed rule: self.min <= self.max"]);
  t.same(told(fields, bad, [{ rule, message: " too few " }]), ["spec: Invalid value: too few"]);
  const messageExpression = "'min %d is above max %d'.format([self.min, self.max])";
  t.same(told(fields, bad, [{ rule, messageExpression }]), ["spec: Invalid value: min 3 is above max 2"]);
  const silent = { rule, message: "plain", messageExpression: "self.name == 'a' ? '' : 'x'" };
  t.same(told(fields, bad, [silent]), ["spec: Invalid value: plain"]);
  t.same(told(fields, bad, [{ rule, reason: "FieldValueForbidden", fieldPath: ".max" }]), [
    "spec.max: Forbidden: failed rule: self.min <= self.max",
  ]);
  t.same(told(fields, bad, [{ rule, reason: "FieldValueRequired", message: "m", fieldPath: ".map['k']" }]), [
    "spec.map[k]: Required value: m",
  ]);
  t.same(told(fields, bad, [{ rule, reason: "FieldValueDuplicate" }]), ["spec: Duplicate value"]);
  const inner = { n: { ...integer, "x-kubernetes-validations": [{ rule: "self > 4" }] } };
  t.same(told(inner, { n: 1 }, []), ["spec.n: Invalid value: 1: failed rule: self > 4"]);
  t.same(told(fields, { min: 1 }, [{ rule }]), [
    'spec: Invalid value: "object": no such key: max evaluating rule: self.min <= self.max',
  ]);
});

t.test("transition rules ask for what was there before", async (t) => {
  const rule = { rule: "self.n == oldSelf.n", message: "n is immutable" };
  t.same(told({ n: integer }, { n: 2 }, [rule]), []);
  t.same(told({ n: integer }, { n: 1 }, [rule], { n: 1 }), []);
  t.same(told({ n: integer }, { n: 2 }, [rule], { n: 1 }), ["spec: Invalid value: n is immutable"]);
  const optional = { rule: "!oldSelf.hasValue() || oldSelf.value().n <= self.n", optionalOldSelf: true };
  t.same(told({ n: integer }, { n: 1 }, [optional]), []);
  t.same(told({ n: integer }, { n: 1 }, [optional], { n: 2 }).length, 1);
  const keyed = {
    ...{ type: "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"] },
    items: of({ k: text, v: integer }, { rule: "self.v >= oldSelf.v" }),
  };
  const list = (...items: [string, number][]): object => ({ list: items.map(([k, v]) => ({ k, v })) });
  t.same(told({ list: keyed }, list(["b", 1], ["a", 1]), [], list(["a", 2], ["b", 0])), [
    "spec.list[1]: Invalid value: failed rule: self.v >= oldSelf.v",
  ]);
  t.same(wrong({ list: { type: "array", items: of({ v: integer }, { rule: "self == oldSelf" }) } }), [
    `${PATH}.properties[list].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": ` +
      "oldSelf cannot be used on the uncorrelatable portion of the schema within schema.properties[list]",
  ]);
});

t.test("what was wrong before an update, and is as it was, is only warned of", async (t) => {
  const part = of({ n: integer }, { rule: "self.n < 5" });
  const schema = {
    type: "object",
    properties: { spec: { type: "object", properties: { a: part, b: integer } } },
  };
  const object = (n: number, b: number) => ({ spec: { a: { n }, b } }) as unknown as JsonObject;
  const same = checkRules(object(7, 2), object(7, 1), schema as unknown as Schema);
  t.same([same.problems, same.warnings], [[], ["spec.a: Invalid value: failed rule: self.n < 5"]]);
  const other = checkRules(object(8, 1), object(7, 1), schema as unknown as Schema);
  t.same([other.problems.length, other.warnings.length], [1, 0]);
});

t.test("a rule that means nothing is told of the definition", async (t) => {
  const at = `${PATH}.x-kubernetes-validations[0]`;
  const compiled = (rule: string, fields: object = { n: integer, s: text }): string =>
    wrong(fields, { rule }).map((one) => one.replace(/^.*?compilation failed: /s, ""))[0];
  const cases: [string, string][] = [
    ["self.x == 1", "ERROR: <input>:1:5: undefined field 'x'\n | self.x == 1\n | ....^"],
    [
      "self.n == 'a'",
      "ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(int, string)'\n" +
        " | self.n == 'a'\n | .......^",
    ],
    [
      "selff.n == 1",
      "ERROR: <input>:1:1: undeclared reference to 'selff' (in container '')\n" + " | selff.n == 1\n | ^",
    ],
    [
      "self.s.startsWith(1)",
      "ERROR: <input>:1:18: found no matching overload for 'startsWith' applied to " +
        "'string.(int)'\n | self.s.startsWith(1)\n | .................^",
    ],
    [
      "self.n && true",
      "ERROR: <input>:1:5: expected type 'bool' but found 'int'\n | self.n && true\n | ....^",
    ],
    [
      "self.n.all(x, x > 1)",
      "ERROR: <input>:1:5: expression of type 'int' cannot be range of a comprehension " +
        "(must be list, map, or dynamic)\n | self.n.all(x, x > 1)\n | ....^",
    ],
  ];
  for (const [rule, want] of cases) t.equal(compiled(rule), want, rule);
  t.match(wrong({ n: integer }, { rule: "self.n +" }), [
    /compilation failed: ERROR: <input>:1:9: Syntax error: /,
  ]);
  t.match(wrong({ n: integer }, { rule: "self.n" }), [/cel expression must evaluate to a bool$/]);
  t.match(wrong({ n: integer }, { rule: "true", messageExpression: "self.n" }), [
    /\.messageExpression: Invalid value: .*: messageExpression must evaluate to a string$/,
  ]);
  t.same(wrong({}, { rule: " " }), [`${at}.rule: Required value: rule is not specified`]);
  t.same(wrong({}, { rule: "true", optionalOldSelf: true }), [
    `${at}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule`,
  ]);
  t.same(wrong({}, { rule: "true", reason: "Because" }), [
    `${at}.reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", ` +
      '"FieldValueInvalid", "FieldValueRequired"',
  ]);
  t.same(wrong({ a: integer }, { rule: "true", fieldPath: ".b" }), [
    `${at}.fieldPath: Invalid value: ".b": must be a valid path`,
  ]);
  t.same(wrong({}, { rule: "true ||\nfalse" }), [
    `${at}.message: Required value: message must be specified if rule contains line breaks`,
  ]);
});

t.test("expressions mean what they mean in a cluster", async (t) => {
  const isDear = (problem: string): boolean => problem.includes("estimated rule cost");
  let dear = 0;
  for (const rule of CEL_TRUE) {
    const problems = wrong(CEL_FIELDS, { rule });
    dear += problems.some(isDear) ? 1 : 0;
    const others = problems.filter((problem) => !isDear(problem));
    t.same([...others, ...told(CEL_FIELDS, CEL_SELF, [{ rule }])], [], rule);
  }
  t.ok(dear < 5, `${dear} that no cluster would take`);
  t.ok(CEL_TRUE.length > 100, `${CEL_TRUE.length} expressions`);
  for (const rule of CEL_FAILING)
    t.match(told(CEL_FIELDS, CEL_SELF, [{ rule }]), [/^spec: Invalid value: "object": /], rule);
  for (const rule of CEL_WRONG) t.equal(wrong(CEL_FIELDS, { rule }).length, 1, rule);
  const failing: [string, string][] = [
    ["self.list[3] == 1", "index out of bounds: 3"],
    ["self.n / 0 == 1", "division by zero"],
    ["9223372036854775807 + self.n > 0", "integer overflow"],
    ["int(self.s) == 1", "type conversion error from 'string' to 'int'"],
    ["ip(self.s) == ip('10.0.0.1')", 'IP Address "héllo" parse error during conversion from string: '],
    ["self.objects[1].v == 1", "no such key: v"],
  ];
  for (const [rule, why] of failing) {
    const [found = ""] = told(CEL_FIELDS, CEL_SELF, [{ rule }]);
    t.ok(found.startsWith(`spec: Invalid value: "object": ${why}`), `${rule}: ${found}`);
  }
  t.match(told(CEL_FIELDS, CEL_SELF, [{ rule: "self.either > 5" }]), [
    /'no such overload': call arguments did not match a supported operator, function or macro signature for rule/,
  ]);
});

t.test("what rules cost is bounded", async (t) => {
  const list = Array.from({ length: 300 }, (_, i) => i);
  const rule = "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))";
  const beganAt = process.cpuUsage().user;
  const found = told({ l: { type: "array", items: integer } }, { l: list }, [{ rule }, { rule: "true" }]);
  t.same(found, [
    "spec: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation " +
      `rules will be run due to call cost exceeds limit for rule: ${rule}`,
  ]);
  const long = Array.from({ length: 30_000 }, (_, i) => i);
  const set = { type: "array", "x-kubernetes-list-type": "set", items: integer };
  for (const each of [
    "self.l.all(a, a in self.l)",
    "self.l.all(a, self.l.indexOf(a) >= 0)",
    "self.l.all(a, self.l + [a] != self.l + [a + 1])",
    "self.l.distinct() == self.l",
    "sets.contains(self.l, self.l)",
    "self.l.all(a, size(lists.range(1000000)) > a)",
    "self.set == self.other",
  ]) {
    const lists = { l: { type: "array", items: integer }, set, other: set };
    const said = told(lists, { l: long, set: long, other: [...long].reverse() }, [{ rule: each }]);
    t.match(said, [/actual cost limit exceeded|out of cost budget/], each);
  }
  const short = long.slice(0, 300);
  const within = {
    rule: "self.l.all(a, a in self.l) && self.l.distinct() == self.l && self.set == self.other",
  };
  const few = { l: short, set: short, other: [...short].reverse() };
  t.same(told({ l: { type: "array", items: integer }, set, other: set }, few, [within]), []);
  const slow = { rule: "self.s.matches('^(a+)+$') || true" };
  t.same(told({ s: text }, { s: `${"a".repeat(5000)}!` }, [slow]), []);
  t.ok(process.cpuUsage().user - beganAt < 5e6, "seconds");
});

t.test("lists that share their parts, and expressions without an end", async (t) => {
  const fields = { l: { type: "array", items: integer } };
  const doubled = `${"[".repeat(40)}self.l${"].map(x, [x, x])[0]".repeat(40)}`;
  t.match(told(fields, { l: [1] }, [{ rule: `${doubled} == ${doubled}` }]), [/actual cost limit exceeded/]);
  t.match(told(fields, { l: [1] }, [{ rule: `1${" + 1".repeat(40_000)} > 0` }]), [/rule compile error: /]);
});
