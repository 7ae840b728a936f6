// `show policies`: what each rule let in or kept out, and which never matched.
import t from "tap";
import { PolicyLayout, putInForce } from "../dataplane/change/policy.ts";
import { PolicyWorld, testClusterPolicy, testPod, testPolicy } from "../testing/world/policy-world.ts";
import { policyRows, policyTotals } from "./show-policies.ts";

const [FRONT, BACK, DB] = ["10.244.1.2", "10.244.1.3", "10.244.1.4"];
const PODS = [
  testPod({ name: "frontend", ips: [FRONT] }),
  testPod({ name: "backend", ips: [BACK] }),
  testPod({ name: "db", ips: [DB] }),
];
type Tables = Parameters<typeof policyRows>[0];
const tablesOf = (world: PolicyWorld): Tables => world.tables as unknown as Tables;
const AUDIT = { annotations: { "podwire.dev/enforcement": "audit" } };
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });

t.test("rule by rule: packets, living connections, the last one, and what never matched", async (t) => {
  const world = new PolicyWorld([
    testPod({ name: "frontend", ips: [FRONT] }),
    testPod({ name: "backend", ips: [BACK] }),
    testPod({ name: "db", ips: [DB] }),
    testPolicy("db", {
      ...app("db"),
      ingress: [{ from: [app("backend")] }, { from: [app("nobody")], ports: [{ port: 1 }] }],
    }),
  ]);
  world.knock(BACK, DB, 80, "UDP");
  world.knock(BACK, DB, 81, "UDP");
  world.knock(BACK, DB, 81, "UDP");
  world.knock(FRONT, DB, 80, "UDP");
  const tables = { ...world.tables } as unknown as Parameters<typeof policyRows>[0];
  const rows = policyRows(tables, world.node.messages.policies);
  const brief = rows.map((row) => [row.rule, row.action, row.packets, row.connections, row.matched]);
  t.same(brief, [
    ["ingress[0]", "allow", 2, 2, "yes"],
    ["ingress[1]", "allow", 0, 0, "never"],
    ["no rule matches", "deny", 1, 0, "yes"],
  ]);
  t.match(rows[0], { policy: "default/db", tier: "Default", direction: "ingress", lastHitSec: 0 });
  t.equal(rows[1].lastHitSec, null);
  t.same(
    policyTotals(tables, world.node.messages.policies).map((one) => [
      one.direction,
      one.verdict,
      one.packets,
    ]),
    [
      ["ingress", "allowed", 2],
      ["ingress", "denied", 1],
      ["ingress", "would-deny", 0],
    ],
  );
});

/** Rule, action, packets, living connections, whether it ever matched. */
function brief(world: PolicyWorld): unknown[] {
  const rows = policyRows(tablesOf(world), world.node.messages.policies);
  return rows.map((row) => [row.rule, row.action, row.packets, row.connections, row.matched]);
}

function totals(world: PolicyWorld): Record<string, number> {
  const all = policyTotals(tablesOf(world), world.node.messages.policies);
  const counted = all.filter(({ packets }) => packets > 0);
  return Object.fromEntries(
    counted.map(({ policy, direction, verdict, packets }) => [`${policy} ${direction} ${verdict}`, packets]),
  );
}

t.test("a rule that is edited has nothing of what stood there; the policy's metrics go on", async (t) => {
  const policy = (...rules: object[]): object => testPolicy("db", { ...app("db"), ingress: rules });
  const world = new PolicyWorld([...PODS, policy({ from: [app("backend")] })]);
  world.knock(BACK, DB, 80, "UDP");
  world.knock(FRONT, DB, 80, "UDP");
  t.same(brief(world), [
    ["ingress[0]", "allow", 1, 1, "yes"],
    ["no rule matches", "deny", 1, 0, "yes"],
  ]);
  world.become([...PODS, policy({ from: [app("frontend")] }, { from: [app("backend")] })]);
  t.same(brief(world), [
    ["ingress[0]", "allow", 0, 0, "never"],
    ["ingress[1]", "allow", 0, 0, "never"],
    ["no rule matches", "deny", 1, 0, "yes"],
  ]);
  world.knock(FRONT, DB, 81, "UDP");
  t.same(brief(world)[0], ["ingress[0]", "allow", 1, 1, "yes"]);
  t.same(totals(world), { "default/db ingress allowed": 2, "default/db ingress denied": 1 });
});

t.test("on trial: what would be denied is no denial, and the rule that lets it in has it too", async (t) => {
  const guard = testClusterPolicy("guard", {
    ...{ tier: "Admin", priority: 1, subject: { namespaces: {} } },
    ingress: [{ action: "Deny", from: [{ pods: { podSelector: { matchLabels: { app: "backend" } } } }] }],
  });
  const world = new PolicyWorld([
    ...[...PODS, testPolicy("db", { ...app("db"), ingress: [{ from: [app("backend")] }] })],
    { ...guard, metadata: { name: "guard", ...AUDIT } },
  ]);
  for (const port of [1, 2, 3]) world.knock(BACK, DB, port, "UDP");
  for (const port of [1, 2]) world.knock(FRONT, DB, port, "UDP");
  world.knock(BACK, FRONT, 1, "UDP");
  t.same(brief(world), [
    ["ingress[0]", "allow", 3, 3, "yes"],
    ["no rule matches", "deny", 2, 0, "yes"],
    ["ingress[0]", "deny (audit)", 4, 4, "yes"],
  ]);
  t.same(totals(world), {
    "default/db ingress allowed": 3,
    "default/db ingress denied": 2,
    "guard ingress would-deny": 4,
  });
});

t.test("a pod's way to itself is nothing that a NetworkPolicy decided, in rows and in metrics", async (t) => {
  const world = new PolicyWorld([...PODS, testPolicy("db", { podSelector: {}, ingress: [] })]);
  world.knock(DB, DB, 80, "UDP");
  t.same(brief(world), [["no rule matches", "deny", 0, 0, "never"]]);
  t.same(totals(world), {});
});

t.test("an id that another rule gets counts from zero", async (t) => {
  const world = new PolicyWorld([...PODS, testPolicy("db", { ...app("db"), ingress: [{}] })]);
  world.knock(BACK, DB, 80, "UDP");
  t.same(brief(world)[0], ["ingress[0]", "allow", 1, 1, "yes"]);
  const [[id]] = world.node.messages.policies.names.entries();
  const { epoch, world: rest, subjects, cells, stride, programs } = world.tables.policy;
  const update = { epoch: epoch + 1, isActive: true, set: [], remove: [], blocks: undefined, world: rest };
  const parts = { ...update, subjects, cells, stride, programs, recycled: [id] };
  putInForce(world.tables, new PolicyLayout().parts(parts));
  t.same(brief(world)[0], ["ingress[0]", "allow", 0, 1, "never"]);
});
