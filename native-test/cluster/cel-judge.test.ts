// Rules in CEL, given to a real API server and judged here: what compiles, in which words it does not, and what is told of
// an object.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { ruleProblems } from "../../src/apiserver/custom/cel-rules.ts";
import { checkRules } from "../../src/apiserver/custom/rule-check.ts";
import type { JsonObject, Schema } from "../../src/apiserver/schema/schema.ts";
import { CEL_FAILING, CEL_FIELDS, CEL_SELF, CEL_TRUE, CEL_WRONG } from "../../src/testing/cel-expressions.ts";
import type { Client } from "./support/client.ts";
import { ControlPlane, noCluster } from "./support/control-plane.ts";

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** Rules together, of which one definition may not have too many that could cost much. */
const TOGETHER = 12;

interface Cause {
  readonly field?: string;
  readonly message: string;
}

const part = (rule: string): object => ({
  ...{ type: "object", properties: CEL_FIELDS, "x-kubernetes-validations": [{ rule }] },
});
const schemaOf = (rules: readonly string[]): object => {
  const properties = Object.fromEntries(rules.map((rule, i) => [`t${i}`, part(rule)]));
  return { type: "object", properties: { spec: { type: "object", properties } } };
};
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
      const path = "spec.validation.openAPIV3Schema";
      const mine = ruleProblems(schemaOf([rule]) as JsonObject, path).map((text) => plain(text));
      t.same([mine, mine.length], [told, 1], `${rule}: ${status}`);
    }
  });

  for (const [name, rules] of Object.entries({ trues: CEL_TRUE, faults: CEL_FAILING })) {
    await t.test(`what is told of an object: ${name}`, async (t) => {
      for (let i = 0; i < rules.length; i += TOGETHER)
        await compare(t, admin, `${name}${i}`, rules.slice(i, i + TOGETHER), name === "trues");
    });
  }
});

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
    // What a rule would cost at most is not worked out here.
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
