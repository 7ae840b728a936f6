// `show policies`: each rule of each policy with what it decided at this node, and what its not matching denied.
import type { Policies } from "../compile/policy/policies.ts";
import type { PolicyCompiler } from "../compile/policy/policy-compiler.ts";
import type { Direction } from "../compile/policy/policy-rules.ts";
import type { RuleName } from "../compile/policy/rule-names.ts";
import { decidersOf, type Part, passesOf, standingOf } from "../compile/policy/rule-standing.ts";
import { isDenial } from "../dataplane/packet/admission.ts";
import { ACTION_BITS, ACTION_MASK, NO_EPOCH } from "../dataplane/spec/policy.ts";
import * as connectionRules from "../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as hitTable from "../dataplane/table/policy/policy-hits.ts";
import type { SharedTables } from "../plane/plane-memory.ts";

interface Hits {
  packets: number;
  octets: number;
  /** Engine clock; -1: never. */
  lastSec: number;
  connections: number;
}

/** Of a rule that decides by not being there: the pod is isolated, and nothing allows. */
const ISOLATION = "no rule matches";
const ACTIONS = Object.freeze({ Accept: "allow", Deny: "deny", Pass: "pass" } as const);

export function policyRows(tables: SharedTables, compiler: PolicyCompiler): Record<string, unknown>[] {
  const hits = gather(tables, compiler);
  const nowSec = conntrack.clockSec(tables.conntrack);
  const rows: Record<string, unknown>[] = [];
  for (const { spec, audit } of compiler.policies.specs()) {
    for (const direction of ["ingress", "egress"] as const) {
      const rules = spec[direction];
      if (rules === undefined) continue;
      const row = (rule: string, action: string): void => {
        const found = hits.get(keyOf(spec.key, direction, rule));
        rows.push({
          ...{
            policy: spec.key,
            tier: spec.tier,
            direction,
            rule,
            action: audit ? `${action} (audit)` : action,
          },
          ...{
            packets: found?.packets ?? 0,
            bytes: found?.octets ?? 0,
            connections: found?.connections ?? 0,
          },
          lastHitSec: found === undefined || found.lastSec < 0 ? null : nowSec - found.lastSec,
          matched: found !== undefined && found.packets > 0 ? "yes" : "never",
        });
      };
      for (const [i, { action }] of rules.entries()) row(`${direction}[${i}]`, ACTIONS[action]);
      if (spec.tier === "Default") row(ISOLATION, "deny");
    }
  }
  return rows.sort((a, b) => (`${a.policy}` < `${b.policy}` ? -1 : `${a.policy}` > `${b.policy}` ? 1 : 0));
}

function keyOf(policy: string, direction: Direction, rule: string): string {
  return `${policy} ${direction} ${rule}`;
}

/**
 * What each rule decided, all its peers and ports together; of an isolation each policy that isolates has it all. What
 * stood at the rule's place before it was edited is not its own.
 */
function gather(tables: SharedTables, compiler: PolicyCompiler): Map<string, Hits> {
  const { policyHits } = tables;
  const living = livingConnections(tables, compiler);
  const sums = new Map<string, Hits>();
  for (const [id, name] of compiler.names.entries()) {
    for (let action = 0; action <= ACTION_MASK; action++) {
      const verdict = (id << ACTION_BITS) | action;
      const packets = hitTable.packetsOf(policyHits, verdict);
      const connections = living.get(verdict) ?? 0;
      if (packets + connections === 0) continue;
      for (const key of keysOf(name, compiler.policies)) {
        const sum = sums.get(key) ?? { packets: 0, octets: 0, lastSec: -1, connections: 0 };
        sum.packets += packets;
        sum.octets += hitTable.octetsOf(policyHits, verdict);
        if (packets > 0) sum.lastSec = Math.max(sum.lastSec, hitTable.lastSecOf(policyHits, verdict));
        sum.connections += connections;
        sums.set(key, sum);
      }
    }
  }
  return sums;
}

/** The rules that had a part in it and still say what they said: who decided, and who passed the connection on. */
function keysOf(name: RuleName, policies: Policies): Set<string> {
  const all = [name, ...(name.allowedBy === undefined ? [] : [name.allowedBy])];
  const parts = all.flatMap((one) => [...decidersOf(one), ...passesOf(one)]);
  return new Set(parts.filter((part) => standingOf(part, policies) === undefined).map(keyOfPart));
}

/** A rule stands for all its peers and ports: ingress[0] of ingress[0].from[1].ports[0]. */
function keyOfPart({ policy, direction, rule }: Part): string {
  return keyOf(policy, direction, rule === "" ? ISOLATION : rule.slice(0, rule.indexOf("]") + 1));
}

/**
 * Living connections by the verdicts that they were let in with; not those of rules whose ids others have, nor those that
 * a policy has cut.
 */
function livingConnections({ conntrack: ct }: SharedTables, { names }: PolicyCompiler): Map<number, number> {
  const counts = new Map<number, number>();
  const end = conntrack.highWater(ct);
  const nowSec = conntrack.clockSec(ct);
  for (let slot = 0; slot < end; slot++) {
    if (ct.status[slot << 4] === 0 || conntrack.isExpired(ct, slot, nowSec)) continue;
    const epoch = connectionRules.epochOf(ct.rules, slot);
    if (epoch === NO_EPOCH) continue;
    const verdicts = [connectionRules.egressOf(ct.rules, slot), connectionRules.ingressOf(ct.rules, slot)];
    if (verdicts.some(isDenial)) continue;
    for (const verdict of verdicts) {
      if (verdict <= 0 || names.nameAt(verdict >> ACTION_BITS, epoch) === undefined) continue;
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    }
  }
  return counts;
}

export interface PolicyTotal {
  readonly policy: string;
  readonly direction: Direction;
  readonly verdict: "allowed" | "denied" | "would-deny";
  packets: number;
}

const VERDICTS = ["allowed", "denied", "denied", "would-deny"] as const; // by PolicyAction

/**
 * Packets that were asked about, by policy, direction and what became of them: for metrics. All that the policy decided
 * since the agent began, whatever its rules said meanwhile: counters do not go back when a policy is edited.
 */
export function policyTotals({ policyHits }: SharedTables, compiler: PolicyCompiler): PolicyTotal[] {
  const totals = new Map<string, PolicyTotal>();
  for (const { spec } of compiler.policies.specs()) {
    for (const direction of ["ingress", "egress"] as const) {
      if (spec[direction] === undefined) continue;
      for (const verdict of new Set(VERDICTS)) {
        const total = { policy: spec.key, direction, verdict, packets: 0 };
        totals.set(`${spec.key} ${direction} ${verdict}`, total);
      }
    }
  }
  for (const [id, name] of compiler.names.entries()) {
    for (const [action, verdict] of VERDICTS.entries()) {
      const row = (id << ACTION_BITS) | action;
      const packets = hitTable.packetsOf(policyHits, row);
      if (packets === 0) continue;
      const add = (one: RuleName, what: PolicyTotal["verdict"]): void => {
        for (const { policy, direction } of decidersOf(one)) {
          const total = totals.get(`${policy} ${direction} ${what}`);
          if (total !== undefined) total.packets += packets;
        }
      };
      add(name, verdict);
      if (name.allowedBy !== undefined) add(name.allowedBy, "allowed");
    }
  }
  return [...totals.values()];
}
