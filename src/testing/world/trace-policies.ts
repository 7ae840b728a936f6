// What policies do to packets, for the test that each drop of theirs, and the stage that asks again, leaves a record.
import { PolicyWorld, testClusterPolicy, testNamespace, testPod, testPolicy } from "./policy-world.ts";
import type { ReasonName } from "./trace-drops.ts";
import type { TracedNode } from "./trace-node.ts";

export interface PolicyCase {
  readonly reason: ReasonName;
  readonly stage: string;
  /** Before anybody traces. */
  readonly create: () => PolicyWorld;
}

const [FRONT, DB] = ["10.244.1.2", "10.244.1.4"];
const PODS = [
  testNamespace("default"),
  testPod({ name: "frontend", ips: [FRONT] }),
  testPod({ name: "db", ips: [DB] }),
];
const DENY_ALL = testPolicy("deny-all", { podSelector: {}, policyTypes: ["Ingress"] });
const GUARD = testClusterPolicy("guard", {
  tier: "Admin",
  priority: 1,
  subject: { namespaces: {} },
  ingress: [{ action: "Deny", from: [{ namespaces: {} }] }],
});

export const POLICY_CASES: readonly PolicyCase[] = [
  { reason: "POLICY_DENY", stage: "enforce-policy", create: () => new PolicyWorld([...PODS, DENY_ALL]) },
  { reason: "POLICY_DENY_RULE", stage: "enforce-policy", create: () => new PolicyWorld([...PODS, GUARD]) },
  {
    reason: "POLICY_NOT_READY",
    stage: "enforce-policy",
    create: () => {
      const world = new PolicyWorld([...PODS, DENY_ALL]);
      world.tables.ports.subject[world.port("default/db").id] = -1;
      return world;
    },
  },
  {
    reason: "POLICY_DENY",
    stage: "recheck-policy",
    create: () => {
      const world = new PolicyWorld(PODS);
      ask(world);
      world.become([...PODS, DENY_ALL]);
      world.tables.config.guard.policyRecheck = 1;
      return world;
    },
  },
];

/** A datagram of one pod to the other: where it came out, or why it did not. */
export function ask(world: PolicyWorld): string {
  return world.knock(FRONT, DB, 53, "UDP");
}

export function tracedWorld({ tables, node }: PolicyWorld): TracedNode {
  const ports = new Map(node.ports.map(({ id, info }) => [id, { id, name: info.name }]));
  return { tables, ports, index: 1, serviceName: () => undefined };
}
