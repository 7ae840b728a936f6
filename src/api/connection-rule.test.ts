// The rule that let a connection in, in conntrack's lines: the one that did, whatever became of it since.
import t from "tap";
import { Policies } from "../compile/policy/policies.ts";
import { type RuleName, RuleNames } from "../compile/policy/rule-names.ts";
import { ACTION_BITS } from "../dataplane/spec/policy.ts";
import * as connectionRules from "../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { conntrackXml } from "../observe/conntrack-documents.ts";
import type { ConntrackEntry } from "../observe/conntrack-entry.ts";
import {
  formatConntrackEntry,
  formatConntrackEvent,
  parseConntrackLine,
} from "../observe/conntrack-format.ts";
import { PolicyWorld, testClusterPolicy, testPod, testPolicy } from "../testing/world/policy-world.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { createRuleOf } from "./connection-rule.ts";
import { ConntrackEvents } from "./conntrack-events.ts";
import { liveConnections } from "./conntrack-view.ts";
import { planeNames } from "./plane-names.ts";

const [FRONT, BACK, DB, FAR] = ["10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.2.9"];
const PODS = [
  testPod({ name: "frontend", ips: [FRONT] }),
  testPod({ name: "backend", ips: [BACK] }),
  testPod({ name: "db", ips: [DB] }),
  testPod({ name: "far", ips: [FAR], node: "node2" }),
];
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
const RULE = { from: [app("nobody"), app("backend")], ports: [{ protocol: "UDP", port: 53 }] };
const dbPolicy = (rules: object[], more: object = {}): object =>
  testPolicy("allow-db-access", { ...app("db"), policyTypes: ["Ingress"], ingress: rules }, more);
const ALLOW_DB = dbPolicy([RULE]);
const TOLD = "default/allow-db-access ingress[0].from[1].ports[0]";

function entries(world: PolicyWorld): ConntrackEntry[] {
  const ruleOf = createRuleOf(world.node.messages.policies);
  return [...liveConnections(world.tables.conntrack, "node1", ruleOf)].map(({ entry }) => entry);
}
/** What stands behind conntrack(8)'s own words. */
const told = (world: PolicyWorld): string[] =>
  entries(world).map((entry) => formatConntrackEntry(entry, { extended: true }).replace(/^.* use=1 ?/, ""));

t.test("each end says who let the connection in, behind conntrack's own words", async (t) => {
  const out = testPolicy("out", {
    ...app("backend"),
    policyTypes: ["Egress"],
    egress: [{ to: [app("db")] }],
  });
  const world = new PolicyWorld([...PODS, ALLOW_DB, out]);
  t.equal(world.knock(BACK, DB, 53, "UDP"), "pod default/db");
  const [entry] = entries(world);
  t.same(entry.policy, {
    egress: { action: "allow", rule: "default/out egress[0].to[0]", policies: ["default/out"] },
    ingress: { action: "allow", rule: TOLD, policies: ["default/allow-db-access"] },
  });
  const line = formatConntrackEntry(entry, { extended: true, id: true });
  t.match(line, / use=1 id=\d+ policy-egress="default\/out egress\[0\]\.to\[0\]" policy-ingress=".*"$/);
  t.ok(line.endsWith(`policy-ingress="${TOLD}"`), line);
  const { policy: _, node: __, startMs: ___, ...plain } = entry;
  t.match(parseConntrackLine(line), plain, "who reads conntrack's lines is not put off");
  t.notMatch(formatConntrackEntry(entry), /policy/, "only where extended is asked for");
  t.ok(conntrackXml(entry).includes(`<policy-ingress>${TOLD}</policy-ingress></meta></flow>`));
});

t.test("a connection that policies say nothing about, at this node, says nothing", async (t) => {
  const world = new PolicyWorld([...PODS]);
  world.knock(FRONT, FAR, 53, "UDP");
  world.become([...PODS, ALLOW_DB]);
  world.knock(FRONT, FAR, 54, "UDP");
  t.same(told(world), ["", ""]);
  t.notOk(entries(world).some((entry) => "policy" in entry));
});

t.test("what became of the rule: it stands, another one has its place, it is gone", async (t) => {
  const world = new PolicyWorld([...PODS, ALLOW_DB]);
  t.equal(world.knock(BACK, DB, 53, "UDP"), "pod default/db");
  const after = (...policies: object[]): string => {
    world.become([...PODS, ...policies]);
    return told(world)[0];
  };
  const stands = `policy-ingress="${TOLD}"`;
  const since = (what: string): string => `policy-ingress="${TOLD} (rule since ${what})"`;
  const other = { ...RULE, from: [app("nobody"), app("frontend")] };
  const port = { ...RULE, ports: [{ protocol: "UDP", port: 54 }] };
  t.equal(after(ALLOW_DB, testPolicy("else", { podSelector: {} })), stands, "another policy comes");
  t.equal(after(dbPolicy([RULE, other])), stands, "a rule behind it");
  t.equal(after(dbPolicy([other, RULE])), since("changed"), "a rule in front of it");
  t.equal(after(dbPolicy([other])), since("changed"), "another peer");
  t.equal(after(dbPolicy([port])), since("changed"), "another port");
  t.equal(after(dbPolicy([{ from: RULE.from }])), since("removed"), "no port");
  t.equal(after(dbPolicy([{ ...RULE, from: [app("nobody")] }])), since("removed"), "no such peer");
  t.equal(after(dbPolicy([])), since("removed"), "no rule");
  t.equal(after(), since("removed"), "no policy");
  t.equal(after(ALLOW_DB), stands, "it is there again");
  const moved = testPolicy("allow-db-access", { ...app("frontend"), ingress: [RULE] });
  t.equal(after(moved), since("changed"), "about other pods");
});

t.test("rules with the same place are told apart, connection by connection", async (t) => {
  const world = new PolicyWorld([...PODS, dbPolicy([{ from: [app("backend")] }])]);
  world.knock(BACK, DB, 53, "UDP");
  world.become([...PODS, dbPolicy([{ from: [app("frontend")] }])]);
  world.knock(FRONT, DB, 53, "UDP");
  const place = "default/allow-db-access ingress[0].from[0]";
  t.same(told(world), [`policy-ingress="${place} (rule since changed)"`, `policy-ingress="${place}"`]);
});

t.test("whoever has the slot of a connection that ended has nothing of it", async (t) => {
  const world = new PolicyWorld([...PODS, ALLOW_DB]);
  world.knock(BACK, DB, 53, "UDP");
  t.equal(told(world)[0], `policy-ingress="${TOLD}"`);
  const ct = world.tables.conntrack;
  conntrack.remove(ct, 0);
  const key = Int32Array.from([0, 0, 0xffff, 1, 0, 0, 0xffff, 2, 0x00010002, 0x0411]);
  const back = Int32Array.from([0, 0, 0xffff, 2, 0, 0, 0xffff, 1, 0x00020001, 0x0411]);
  t.equal(conntrack.insert(ct, key, back, conntrack.clockSec(ct)), 0, "as it is before anything is decided");
  ct.expiresAtSec[0] += 10;
  t.same(told(world), [""]);
});

t.test("an id that another rule has by now names nobody", async (t) => {
  const names = new RuleNames(undefined, 3); // two of them are none: nothing said, and all the rest
  const name = (rule: string): RuleName => ({
    ...{ direction: "ingress", decision: "Accept", tier: "Default", policy: "default/a", ruleName: "" },
    ...{ rule, isolatedBy: [], passedBy: "", says: [rule] },
  });
  const verdict = (id: number): number => id << ACTION_BITS;
  names.epoch = 1;
  const id = names.idOf(name("ingress[0]"));
  t.equal(names.idOf(name("ingress[1]")), 2, "no id is left");
  names.beginSweep();
  names.endSweep();
  names.epoch = 7;
  t.equal(names.idOf(name("ingress[2]")), id, "the first one's, which nobody used");
  t.same(names.takeRecycled(), [id]);
  t.same(names.takeRecycled(), []);
  const ruleOf = createRuleOf({ names, policies: new Policies() });
  t.match(ruleOf(verdict(id), 6), { rule: "a rule that nobody remembers", since: "removed" });
  t.match(ruleOf(verdict(id), 7), { rule: "default/a ingress[2]", since: "removed" });
  t.same(ruleOf(verdict(2), 7), {
    ...{ action: "allow", rule: "one of more rules than are told apart", policies: [] },
  });
});

t.test("on trial: what would have denied it, and the rule that let it in all the same", async (t) => {
  const audit = { annotations: { "podwire.dev/enforcement": "audit" } };
  const world = new PolicyWorld([...PODS, dbPolicy([RULE], audit)]);
  t.equal(world.knock(FRONT, DB, 53, "UDP"), "pod default/db");
  t.equal(
    told(world)[0],
    'policy-ingress="AUDIT, would be denied: isolated by default/allow-db-access; no rule matches"',
  );
  const guard = testClusterPolicy("guard", {
    ...{ tier: "Admin", priority: 1, subject: { namespaces: {} } },
    ingress: [{ action: "Deny", from: [{ pods: { podSelector: { matchLabels: { app: "backend" } } } }] }],
  });
  const tried = { ...guard, metadata: { name: "guard", ...audit } };
  const both = new PolicyWorld([...PODS, ALLOW_DB, tried]);
  t.equal(both.knock(BACK, DB, 53, "UDP"), "pod default/db");
  t.equal(told(both)[0], `policy-ingress="${TOLD}; AUDIT, would be denied: guard ingress[0].from[0]"`);
  both.become([...PODS, tried]);
  t.match(told(both)[0], `="${TOLD} (rule since removed); AUDIT`);
});

t.test("records of packets of a known connection say what became of its rule, too", async (t) => {
  const world = new PolicyWorld([...PODS, ALLOW_DB]);
  world.knock(BACK, DB, 53, "UDP");
  const { messages } = world.node;
  const names = planeNames(messages, new ObjectGraph(), (id) => `port ${id}`);
  const id = connectionRules.ingressOf(world.tables.connectionRules, 0) >> ACTION_BITS;
  t.same(names.rule?.(id), { rule: TOLD, policies: ["default/allow-db-access"] });
  world.become([...PODS, dbPolicy([])]);
  t.equal(names.rule?.(id)?.rule, `${TOLD} (rule since removed)`);
});

t.test("policy.established: recheck: the rule by which it goes on", async (t) => {
  const world = new PolicyWorld([...PODS, ALLOW_DB]);
  world.tables.config.guard.policyRecheck = 1;
  world.knock(BACK, DB, 53, "UDP");
  world.become([...PODS, dbPolicy([{ from: [app("backend")] }])]);
  t.equal(told(world)[0], `policy-ingress="${TOLD} (rule since removed)"`, "it has not been asked about");
  world.knock(BACK, DB, 53, "UDP");
  t.equal(told(world)[0], 'policy-ingress="default/allow-db-access ingress[0].from[0]"');
});

t.test("events name the rule too, also of a connection whose slot another one has", async (t) => {
  const world = new PolicyWorld([
    ...PODS,
    dbPolicy([{ from: [app("backend")] }, { from: [app("frontend")] }]),
  ]);
  const { policies } = world.node.messages;
  const events = new ConntrackEvents(world.tables.conntrack, "node1", () => createRuleOf(policies));
  world.knock(BACK, DB, 53, "UDP");
  conntrack.remove(world.tables.conntrack, 0);
  world.knock(FRONT, DB, 53, "UDP");
  const lines: string[] = [];
  for (let event = events.next(); event !== undefined; event = events.next())
    lines.push(formatConntrackEvent(event, { extended: true }).replace(/^ *(\[\w+\]).*?( policy|$)/, "$1$2"));
  const rule = (i: number): string => `policy-ingress="default/allow-db-access ingress[${i}].from[0]"`;
  t.same(lines, [`[NEW] ${rule(0)}`, `[DESTROY] ${rule(0)}`, `[NEW] ${rule(1)}`]);
  events.close();
});
