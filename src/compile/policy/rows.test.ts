// What a row says, against the same policies asked one after another for each port: every mix of actions, ports and tiers.
import t from "tap";
import { finish, Pace } from "../../base/pace.ts";
import { ACTION_MASK, PolicyAction } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import { Combinations } from "./combinations.ts";
import { Identities } from "./identities.ts";
import type { Action, PolicySpec, PortSpec, RuleSpec, Tier } from "./policy-rules.ts";
import { type RowPolicy, Rows } from "./rows.ts";
import { RuleNames } from "./rule-names.ts";
import { createSteps } from "./steps.ts";

const { ALLOW, DENY, DENY_RULE, AUDIT } = PolicyAction;

interface Given {
  readonly tier: Tier;
  readonly audit: boolean;
  readonly rules: readonly { readonly action: Action; readonly ports: Ports }[];
}

type Ports = keyof typeof PORTS;
const PORTS = {
  any: undefined,
  "udp 52-8081": [{ index: 0, proto: 17, name: "", from: 52, to: 8081 }],
  "udp 8081-": [{ index: 0, proto: 17, name: "", from: 8081, to: 65_535 }],
  tcp: [{ index: 0, proto: 6, name: "", from: 0, to: 65_535 }],
  nobodys: [{ index: 0, proto: undefined, name: "http", from: 0, to: 0 }],
} as const satisfies Record<string, readonly PortSpec[] | undefined>;
const ASKED = [[6, 80], [17, 51], [17, 52], [17, 8081], [17, 8082], [1, 0]] as const; // biome-ignore format: a table

const ANY_ONE = ["Accept", "Deny", "Pass"] as const;
const onePolicy = (tier: Tier, audit: boolean, action: Action, ports: Ports): Given => ({
  ...{ tier, audit, rules: [{ action, ports }] },
});
const NOT_NAMED: readonly Ports[] = ["any", "udp 52-8081", "udp 8081-", "tcp"];
const adminPolicies = [false, true].flatMap((audit) =>
  ANY_ONE.flatMap((action) => NOT_NAMED.map((ports) => onePolicy("Admin", audit, action, ports))),
);
const mixesOfAdmin = [
  [],
  ...adminPolicies.map((one) => [one]),
  ...adminPolicies.flatMap((one) => adminPolicies.map((two) => [one, two])),
  ...ANY_ONE.map((action) => [
    onePolicy("Admin", false, "Pass", "nobodys"),
    onePolicy("Admin", false, action, "any"),
  ]),
];
const isolates = (audit: boolean, ...ports: Ports[]): Given => ({
  ...{ tier: "Default", audit, rules: ports.map((each) => ({ action: "Accept" as const, ports: each })) },
});
const mixesOfNetworkPolicies = [
  [],
  [isolates(false)],
  [isolates(false, "any")],
  [isolates(false, "udp 52-8081", "any")],
  [isolates(true, "tcp")],
  [isolates(true, "any"), isolates(false, "tcp")],
];
const mixesOfBaseline = [
  [],
  [onePolicy("Baseline", false, "Deny", "any")],
  [onePolicy("Baseline", false, "Pass", "udp 52-8081"), onePolicy("Baseline", false, "Deny", "any")],
  [onePolicy("Baseline", true, "Deny", "any"), onePolicy("Baseline", false, "Accept", "udp 8081-")],
];

/** As the API says: tier after tier, rule after rule. */
function actionOf(given: readonly Given[], proto: number, port: number): PolicyAction {
  const real = decided(
    given.filter(({ audit }) => !audit),
    proto,
    port,
  );
  return real === ALLOW && decided(given, proto, port) !== ALLOW ? AUDIT : real;
}

function decided(given: readonly Given[], proto: number, port: number): PolicyAction {
  const first = (tier: Tier): Action | undefined =>
    given
      .filter((one) => one.tier === tier)
      .flatMap(({ rules }) => rules)
      .find(({ ports }) => isAmong(PORTS[ports], proto, port))?.action;
  const admin = first("Admin");
  if (admin === "Accept") return ALLOW;
  if (admin === "Deny") return DENY_RULE;
  if (given.some(({ tier }) => tier === "Default")) return first("Default") === "Accept" ? ALLOW : DENY;
  return first("Baseline") === "Deny" ? DENY_RULE : ALLOW;
}

function isAmong(ports: readonly PortSpec[] | undefined, proto: number, port: number): boolean {
  return (
    ports === undefined || ports.some((each) => each.proto === proto && each.from <= port && port <= each.to)
  );
}

let revisions = 0;
function rowPolicy({ tier, audit, rules }: Given): RowPolicy {
  const key = `p${++revisions}`;
  const egress = rules.map(
    ({ action, ports }): RuleSpec => ({ action, peers: undefined, ports: PORTS[ports], name: "" }),
  );
  const subject = { key: "", of: "pods", inNamespace: "a", pods: undefined } as const;
  const spec: PolicySpec = { key, tier, priority: 0, subject, egress, ingress: undefined };
  const steps = createSteps(spec, "egress", audit, () => 0);
  return { revision: revisions, key, tier, audit, isolation: "", steps };
}

function textOf(given: readonly Given[]): string {
  return given
    .map(({ tier, audit, rules }) => {
      const list = rules.map(({ action, ports }) => `${action} ${ports}`);
      return `${tier}${audit ? " (audit)" : ""}: ${list.join(", ")}`;
    })
    .join("; ");
}

t.test(
  "every mix of Accept, Deny and Pass, with and without ports, in force and on trial, in all tiers",
  async (t) => {
    const identities = new Identities();
    const identity = identities.worldOf(new Combinations().none(4));
    const rows = new Rows(new RuleNames());
    const mixes = mixesOfAdmin.flatMap((admin) =>
      mixesOfNetworkPolicies.flatMap((network) =>
        mixesOfBaseline.map((baseline) => [...admin, ...network, ...baseline]),
      ),
    );
    const made = mixes.map((given) => ({ given, row: rows.acquire("egress", given.map(rowPolicy), []) }));
    finish(rows.fill(identities.list, [], new Pace()));
    const { cells, stride, programs } = rows;
    const table: policy.Policy = { ...new policy.Policy(), cells, stride, programs };
    const wrong = made.flatMap(({ given, row }) =>
      ASKED.flatMap(([proto, port]) => {
        const action = policy.decide(table, row.index, identity.index, proto, port) & ACTION_MASK;
        const wanted = actionOf(given, proto, port);
        return action === wanted ? [] : [`${textOf(given)}: ${proto}/${port}: ${action}, not ${wanted}`];
      }),
    );
    t.ok(made.length > 14_000, `${made.length} mixes`);
    t.same(wrong.slice(0, 10), [], `${wrong.length} differ`);
  },
);
