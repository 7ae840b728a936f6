// `show policies`: what each rule let in or kept out, and which never matched.
import t from "tap";
import { PolicyWorld, testPod, testPolicy } from "../testing/world/policy-world.ts";
import { policyRows, policyTotals } from "./show-policies.ts";

const [FRONT, BACK, DB] = ["10.244.1.2", "10.244.1.3", "10.244.1.4"];
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
