// What `explain` says of policies: allowed or not as a whole, by whom, and the steps in Calico's words.
import t from "tap";
import { AskedWorld, EVERYWHERE, NODE, NODE_PORT, OUTSIDE } from "../../testing/world/explain-world.ts";
import { testClusterPolicy, testPod, testPolicy } from "../../testing/world/policy-world.ts";

const [FRONT, DB, FAR] = ["10.244.1.2", "10.244.1.4", "10.244.2.9"];
const PODS = [
  testPod({ name: "frontend", ips: [FRONT] }),
  testPod({ name: "db", ips: [DB], ports: ["sql=5432/TCP"] }),
  testPod({ name: "far", ips: [FAR], node: "node2" }),
];
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });

function world(...policies: readonly object[]): AskedWorld {
  return new AskedWorld({ more: [...PODS, ...policies] });
}

t.test("no policy selects anybody: allowed, by nobody", async (t) => {
  const { allowed, policies, verdict } = world().explain(FRONT, DB, 5432);
  t.same([allowed, policies, verdict], [true, [], "accept"]);
});

t.test("what denies is named, with its step", async (t) => {
  const deny = testPolicy("deny-all", { podSelector: {}, policyTypes: ["Ingress"] });
  const allow = testPolicy("allow-db", {
    ...app("db"),
    ingress: [{ from: [app("far")], ports: [{ port: "sql" }] }],
  });
  const asked = world(deny, allow);
  const { allowed, policies, verdict, reason, steps } = asked.explain(FRONT, DB, 5432);
  t.same([allowed, policies, verdict], [false, ["default/allow-db", "default/deny-all"], "drop"]);
  t.equal(
    reason,
    "ingress of default/db is denied: isolated by default/allow-db, default/deny-all; no rule matches",
  );
  t.match(steps[steps.length - 1], {
    hook: "FORWARD",
    table: "filter",
    chain: /^cali-tw-cali[0-9a-f]{11}$/,
    text: reason,
  });
  const far = asked.explain(FAR, DB, 5432);
  t.same([far.allowed, far.policies, far.verdict], [true, ["default/allow-db"], "accept"]);
  t.ok(
    far.steps.some(({ text }) => text.endsWith("is allowed by default/allow-db ingress[0].from[0].ports[0]")),
  );
});

t.test("the other end's node decides as well, and a node's own packets reach its pods", async (t) => {
  const asked = world(testPolicy("closed", { podSelector: {}, policyTypes: ["Ingress"] }));
  const far = asked.explain(FRONT, FAR, 80);
  t.same([far.allowed, far.verdict, far.policies], [false, "drop", ["default/closed"]]);
  t.equal(far.reason, "ingress of default/far is denied: isolated by default/closed; no rule matches");
  t.equal(asked.explain("192.168.50.11", DB, 5432).allowed, true, "its own node");
  t.equal(asked.explain("192.168.50.12", DB, 5432).allowed, false, "another one");
});

t.test("a client whose address is kept is who he is, to the pod and to its policies", async (t) => {
  const closed = testPolicy("partners", {
    podSelector: {},
    ingress: [{ from: [{ ipBlock: { cidr: `${OUTSIDE}/32` } }] }],
  });
  const far = testPod({ name: "far-api", ips: ["10.244.2.5"], node: "node2" });
  const endpoints = [{ at: "10.244.2.5", node: "node2" }];
  const keep = (name: string): object => ({
    metadata: { name, annotations: { "podwire.dev/keep-client-address": "true" } },
  });
  const w = { ...EVERYWHERE, endpoints, more: [far, closed], node: keep("node1") };
  const asked = new AskedWorld({ ...w, node2: keep("node2") });
  const { allowed, masquerade, steps } = asked.explain(OUTSIDE, NODE, NODE_PORT);
  t.same([allowed, masquerade], [true, false]);
  t.match(steps.at(-1), {
    hook: "POSTROUTING",
    text: `source ${OUTSIDE} kept (keepClientAddress): the pod sees who knocks`,
  });
  t.ok(steps.some(({ text }) => text === "marked for masquerading; keepClientAddress takes that back"));
  t.equal(asked.explain("203.0.113.8", NODE, NODE_PORT).allowed, false);
  const kernel = new AskedWorld(w);
  const far2 = kernel.explain(OUTSIDE, NODE, NODE_PORT);
  t.same([far2.allowed, far2.verdict], [false, "drop"], "node2 does not take it: its policies see node1");
  const tunnel = testPolicy("partners", {
    podSelector: {},
    ingress: [{ from: [{ ipBlock: { cidr: "10.244.1.0/32" } }] }],
  });
  const seen = new AskedWorld({ ...w, more: [far, tunnel] }).explain(OUTSIDE, NODE, NODE_PORT);
  t.same([seen.allowed, seen.masquerade], [true, true]);
  t.ok(
    seen.steps.some(({ text }) => text === "source will be rewritten: the endpoint may be on another node"),
  );
});

t.test("what a service refuses, no policy is asked about; tiers are told", async (t) => {
  const closed = testPolicy("closed", { podSelector: {}, policyTypes: ["Egress"] });
  const none = new AskedWorld({ endpoints: [], more: [...PODS, closed] });
  const refused = none.explain(FRONT, "10.96.0.10", 80);
  t.same([refused.allowed, refused.verdict], [true, "reject"]);
  const guard = testClusterPolicy("guard", {
    tier: "Admin",
    priority: 1,
    subject: { namespaces: {} },
    egress: [
      { action: "Pass", to: [{ pods: { podSelector: { matchLabels: { app: "far" } } } }] },
      { action: "Deny", to: [{ namespaces: {} }] },
    ],
  });
  const asked = world(guard, closed);
  t.equal(asked.explain(FRONT, DB, 80).reason, "egress of default/frontend is denied: guard egress[1].to[0]");
  t.equal(
    asked.explain(FRONT, FAR, 80).reason,
    "egress of default/frontend is denied: isolated by default/closed; no rule matches, passed on by guard egress[0].to[0]",
  );
  t.same(
    world(guard)
      .explain(FRONT, FAR, 80)
      .steps.map(({ text }) => text)
      .filter((text) => text.startsWith("egress")),
    ["egress of default/frontend is allowed: no rule matches, passed on by guard egress[0].to[0]"],
  );
});
