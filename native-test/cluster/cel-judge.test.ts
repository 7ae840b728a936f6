// Rules in CEL, given to a real API server and judged here: what compiles, in which words it does not, and what is told of
// an object.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { compile } from "../../src/apiserver/custom/cel/compile.ts";
import { type Declared, declaredBy } from "../../src/apiserver/custom/cel/estimate/declared.ts";
import { typeOf } from "../../src/apiserver/custom/cel/schema-value.ts";
import { ruleProblems } from "../../src/apiserver/custom/cel-rules.ts";
import { checkRules } from "../../src/apiserver/custom/rule-check.ts";
import type { JsonObject, Schema } from "../../src/apiserver/schema/schema.ts";
import { COST_FIELDS, COSTS } from "../../src/testing/cel-costs.ts";
import { CEL_FAILING, CEL_FIELDS, CEL_SELF, CEL_TRUE, CEL_WRONG } from "../../src/testing/cel-expressions.ts";
import type { Client } from "./support/client.ts";
import { ControlPlane, noCluster } from "./support/control-plane.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** Rules together, of which one definition may not have too many that could cost much. */
const TOGETHER = 12;
const PATH = "spec.validation.openAPIV3Schema";
const RULE_MAX = 10_000_000;
/** A bit more than is allowed is told exactly, to one in ten millions. */
const TOO_MUCH = 1.2 * RULE_MAX;
/** Together they are still less than all rules of a definition may cost. */
const DEAR_TOGETHER = 7;

interface Cause {
  readonly field?: string;
  readonly message: string;
}

const part = (rule: string, properties: object = CEL_FIELDS): object => ({
  ...{ type: "object", properties, "x-kubernetes-validations": [{ rule }] },
});
const list = (items: object): object => ({ type: "array", items });
const several = (count: number, make: (i: number) => object): object[] =>
  Array.from({ length: count }, (_, i) => make(i));
const schemaOfParts = (parts: readonly object[]): object => {
  const properties = Object.fromEntries(parts.map((one, i) => [`t${i}`, one]));
  return { type: "object", properties: { spec: { type: "object", properties } } };
};
const schemaOf = (rules: readonly string[]): object => schemaOfParts(rules.map((rule) => part(rule)));
const definition = (plural: string, schema: object): object => ({
  ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
  metadata: { name: `${plural}.example.com` },
  spec: {
    ...{
      group: "example.com",
      scope: "Namespaced",
      names: { plural, kind: plural.replace(/^./, (c) => c.toUpperCase()) },
    },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
});

t.test("rules as a real API server takes them", { skip: noCluster() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-cel-"));
  const control = await ControlPlane.start(folder);
  t.teardown(async () => {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const { admin } = control;

  await t.test("what means nothing, in the same words", async (t) => {
    for (const rule of CEL_WRONG) {
      const { status, body } = await admin.ask(
        "POST",
        `${CRDS}?dryRun=All`,
        definition("wrongs", schemaOf([rule])),
      );
      const told = causesOf(body).map(({ message }) => plain(message));
      const mine = ruleProblems(schemaOf([rule]) as JsonObject, PATH).map((text) => plain(text));
      t.same([mine, mine.length], [told, 1], `${rule}: ${status}`);
    }
  });

  await t.test("what rules cost at most, to the last digit", async (t) => {
    const subjects = [
      ...COSTS.map(({ rule }) => ({ rule, fields: COST_FIELDS })),
      ...[...CEL_TRUE, ...CEL_FAILING].map((rule) => ({ rule, fields: CEL_FIELDS })),
    ].map((one) => ({ ...one, cost: costOf(one.rule, one.fields) }));
    const [dear, cheap] = [true, false].map((isDear) =>
      subjects.filter(({ cost }) => cost > TOO_MUCH === isDear),
    );
    for (const one of dear) await judgeCosts(t, admin, [one]);
    for (let i = 0; i < cheap.length; i += DEAR_TOGETHER)
      await judgeCosts(t, admin, cheap.slice(i, i + DEAR_TOGETHER));
    t.ok(dear.length > 10 && cheap.length > 400, `${dear.length} and ${cheap.length} rules`);
  });

  await t.test("what all rules of a definition cost", async (t) => {
    const dear = several(12, (i) => ({
      ...list(part("self.few.all(x, x > 1)", COST_FIELDS)),
      maxItems: 400_000 + i,
    }));
    await judge(t, admin, schemaOfParts(dear), "all rules");
  });

  for (const [name, rules] of Object.entries({ trues: CEL_TRUE, faults: CEL_FAILING })) {
    await t.test(`what is told of an object: ${name}`, async (t) => {
      for (let i = 0; i < rules.length; i += TOGETHER)
        await compare(t, admin, `${name}${i}`, rules.slice(i, i + TOGETHER), name === "trues");
    });
  }
});

interface Subject {
  readonly rule: string;
  readonly fields: object;
  readonly cost: number;
}

function costOf(rule: string, properties: object): number {
  const schema = { type: "object", properties } as Schema;
  const type = typeOf(schema);
  if (type === undefined) throw new Error("no type");
  return compile(rule, { self: type, oldSelf: type }, declaredBy(schema) as Declared).cost;
}

/** Each in so many places that it costs a bit too much. */
function judgeCosts(t: Test, admin: Client, subjects: readonly Subject[]): Promise<void> {
  const parts = subjects.map(({ rule, fields, cost }) => {
    const maxItems = cost === 0 ? 1 : Math.max(1, Math.ceil(TOO_MUCH / cost));
    return { ...list(part(rule, fields)), maxItems };
  });
  const what = subjects.map(({ rule, cost }) => `${rule}: ${cost}`).join("\n");
  return judge(t, admin, schemaOfParts(parts), what);
}

/** A definition, given to both. */
async function judge(t: Test, admin: Client, schema: object, what: string): Promise<void> {
  const { body } = await admin.ask("POST", `${CRDS}?dryRun=All`, definition("costs", schema));
  const told = causesOf(body).map(({ field, message }) => `${field}: ${message}`);
  t.same(ruleProblems(schema as JsonObject, PATH).sort(), told.sort(), what);
}

async function compare(
  t: Test,
  admin: Client,
  plural: string,
  given: readonly string[],
  holds: boolean,
): Promise<void> {
  let rules = given;
  let made = await admin.ask("POST", CRDS, definition(plural, schemaOf(rules)));
  const dear = causesOf(made.body).flatMap(({ field = "", message }) =>
    /^Forbidden: estimated rule cost/.test(message) ? [Number(/\[t(\d+)\]/.exec(field)?.[1])] : [],
  );
  if (dear.length > 0) {
    t.same(
      ruleProblems(schemaOf(rules) as JsonObject, PATH).sort(),
      causesOf(made.body)
        .map(({ field, message }) => `${field}: ${message}`)
        .sort(),
      "too dear here as well",
    );
    t.comment(`too dear there: ${dear.map((i) => rules[i]).join("; ")}`);
    rules = rules.filter((_, i) => !dear.includes(i));
    made = await admin.ask("POST", CRDS, definition(plural, schemaOf(rules)));
  }
  const schema = schemaOf(rules);
  t.equal(made.status, 201, JSON.stringify(causesOf(made.body)));
  t.ok(rules.length > given.length - 3, "few are too dear");
  const spec = Object.fromEntries(rules.map((_, i) => [`t${i}`, CEL_SELF]));
  const kind = plural.replace(/^./, (c) => c.toUpperCase());
  const object = { apiVersion: "example.com/v1", kind, metadata: { name: "a" }, spec };
  const path = `/apis/example.com/v1/namespaces/default/${plural}`;
  let answer = await admin.ask("POST", path, object);
  for (let tries = 0; answer.status === 404 && tries < 100; tries++) {
    await sleep(100);
    answer = await admin.ask("POST", path, object);
  }
  const told = causesOf(answer.body).map(({ field, message }) => `${field}: ${message}`);
  const { problems } = checkRules(object as unknown as JsonObject, undefined, schema as Schema);
  t.same(problems.map(plain).sort(), told.map(plain).sort());
  if (holds) t.equal(answer.status, 201);
  await admin.ask("DELETE", `${CRDS}/${plural}.example.com`);
}

const causesOf = (body: unknown): readonly Cause[] =>
  ((body as { details?: { causes?: Cause[] } }).details?.causes ?? []) as Cause[];

/** Without the rule itself, which Go writes as a struct, and without the names that it gives the types of objects. */
function plain(message: string): string {
  return message
    .replace(/^.*?(?:compilation failed: |(?=cel expression must))/s, "")
    .replace(/selfType\d+(?:\.[\w@]+)*/g, "object");
}
