// What policies said of connections, before an agent's restart and after it: whose rule let them in, and that what has to
// be asked again is, whatever the epochs of the two agents were.
import t from "tap";
import { formatRule } from "../compile/policy/rule-names.ts";
import { ACTION_BITS, NO_EPOCH } from "../dataplane/spec/policy.ts";
import * as connectionRules from "../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { udpFrame } from "../testing/frames/frame-builder.ts";
import { testClusterPolicy, testPod, testPolicy } from "../testing/world/policy-world.ts";
import { words } from "../testing/world/test-cluster.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { TestPolicies } from "../testing/world/test-policies.ts";
import { LastingRuleIds } from "./rule-ids.ts";

const [FRONT, DB] = ["10.244.1.2", "10.244.1.3"];
const PODS = [testPod({ name: "front", ips: [FRONT] }), testPod({ name: "db", ips: [DB] })];
const ALLOW = testPolicy("allow", {
  podSelector: { matchLabels: { app: "db" } },
  ingress: [{ ports: [{ protocol: "TCP", port: 1 }] }, { ports: [{ protocol: "UDP", port: 53 }] }],
});
const DENY = testPolicy("deny", { podSelector: { matchLabels: { app: "db" } } });
/** Rules that come before others' in the order of their ids. */
const MORE = testClusterPolicy("more", {
  tier: "Admin",
  priority: 1,
  subject: { namespaces: {} },
  ingress: [{ action: "Pass", from: [{ namespaces: {} }] }],
  egress: [{ action: "Accept", to: [{ namespaces: {} }] }],
});
const RULE = "default/allow ingress[1].ports[0]";

interface Agent {
  readonly node: TestNode;
  readonly policies: TestPolicies;
}

function start(before?: Agent): Agent {
  const from = before && { durable: before.node.memory.durable, clock: before.node.clock };
  const node = new TestNode({ sizes: { conntrackLog2: 8 }, ...from });
  return { node, policies: new TestPolicies(node, new LastingRuleIds(node.durable.ruleIds)) };
}

/** "passed", or the reason for which a datagram with this source port was dropped. */
function knock({ node }: Agent, srcPort: number): string {
  const frame = udpFrame({ ...pathTo(node, FRONT, DB), srcPort, dstPort: 53, payload: 10 });
  node.send("pod2", frame);
  node.run();
  const out = node.everything();
  const [reason = "nothing"] = Object.keys(node.takeDrops());
  return out.length > 0 ? "passed" : reason;
}

/** Whose rule let each connection in, by its source port. */
function rulesOf({ node, policies }: Agent): Record<number, string> {
  const { conntrack: ct, connectionRules: rules } = node.tables;
  const found: Record<number, string> = {};
  const key = new Int32Array(10);
  for (let slot = 0; slot < conntrack.highWater(ct); slot++) {
    if (ct.status[slot << 4] === 0) continue;
    conntrack.loadTuple(ct, slot << 1, key);
    const epoch = connectionRules.epochOf(rules, slot);
    const id = connectionRules.ingressOf(rules, slot) >> ACTION_BITS;
    found[key[8] >>> 16] = epoch === NO_EPOCH ? "" : formatRule(policies.compiler.names.nameAt(id, epoch));
  }
  return found;
}

t.test("keep: connections go on with the rule that let them in, under its own name", async (t) => {
  const one = start();
  one.policies.become([...PODS, ALLOW]);
  t.equal(knock(one, 1000), "passed");
  t.same(rulesOf(one), { 1000: RULE });

  const two = start(one);
  two.policies.become([...PODS, MORE, ALLOW]);
  t.same(rulesOf(two), { 1000: RULE }, "other rules were numbered before it");
  t.equal(knock(two, 1001), "passed");
  t.match(rulesOf(two)[1001], RULE);

  const three = start(two);
  three.policies.become([...PODS, DENY]);
  t.equal(knock(three, 1000), "passed", "what was allowed goes on");
  t.equal(knock(three, 1002), "POLICY_DENY");
  t.same(rulesOf(three)[1000], "no policy", "a rule that is gone has no name, and no other rule's");
  const { names } = three.policies.compiler;
  const denied = [...names.entries()].map(([id]) => id);
  const remembered = connectionRules.ingressOf(three.node.tables.connectionRules, 0) >> ACTION_BITS;
  t.notOk(denied.includes(remembered), "nor does another rule get its id");
});

t.test("recheck: what the policies of now forbid is cut, though both agents count alike", async (t) => {
  const one = start();
  one.node.tables.config.guard.policyRecheck = 1;
  one.policies.become([...PODS, ALLOW]);
  t.equal(knock(one, 1000), "passed");
  const epoch = one.node.tables.policy.epoch;

  const two = start(one);
  two.node.tables.config.guard.policyRecheck = 1;
  two.policies.become([...PODS, DENY]);
  t.equal(two.node.tables.policy.epoch, epoch);
  t.equal(knock(two, 1000), "POLICY_DENY");
  t.equal(
    two.node.connections().length,
    1,
    "remembered as cut: a forgotten one would come back as a new one",
  );
  t.equal(knock(two, 1000), "POLICY_DENY");

  two.policies.become([...PODS, ALLOW]);
  t.equal(knock(two, 1000), "passed");
  const three = start(two);
  three.node.tables.config.guard.policyRecheck = 1;
  three.policies.become([...PODS, ALLOW]);
  t.equal(knock(three, 1000), "passed");
  t.same(rulesOf(three), { 1000: RULE });
});

t.test("recheck: a packet before its receiver is attached settles nothing", async (t) => {
  const one = start();
  one.node.tables.config.guard.policyRecheck = 1;
  one.policies.become([...PODS, ALLOW]);
  t.equal(knock(one, 1000), "passed");

  const two = start(one);
  const { stations, config } = two.node.tables;
  config.guard.policyRecheck = 1;
  const { w0, w1, w2, w3 } = words(DB);
  const slot = neighbor.find(stations, w0, w1, w2, w3);
  const [hi, lo, port] = [stations.macHi[slot], stations.macLo[slot], stations.port[slot]];
  neighbor.remove(stations, slot);
  two.policies.become([...PODS, DENY]);
  t.equal(knock(two, 1000), "POLICY_NOT_READY");
  t.equal(two.node.connections().length, 1);
  neighbor.addPermanent(stations, w0, w1, w2, w3, hi, lo, port);
  t.equal(knock(two, 1000), "POLICY_DENY");
});

t.test("a slot does not keep what was said of an earlier connection", async (t) => {
  const one = start();
  one.policies.become([...PODS, ALLOW]);
  knock(one, 1000);
  conntrack.remove(one.node.tables.conntrack, 0);
  const two = start(one); // nobody has told of policies yet
  two.node.tables.config.guard.policyCloses = 0;
  t.equal(knock(two, 1001), "passed");
  t.same(rulesOf(two), { 1001: "" });
});
