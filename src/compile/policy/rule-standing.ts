// What became of a rule that decided: does the policy still say at that place what it said then?
import type { Policies } from "./policies.ts";
import type { Direction, PolicySpec } from "./policy-rules.ts";
import type { RuleName } from "./rule-names.ts";
import { isolationText, ruleText } from "./rule-text.ts";

/** "removed": nothing stands at its place; "changed": something else does. Undefined: it stands. */
export type Standing = "changed" | "removed" | undefined;

/** A rule that had a part in a decision, or a policy that isolates. */
export interface Part {
  readonly policy: string;
  readonly direction: Direction;
  /** ingress[0].from[1].ports[0]; "": it isolates. */
  readonly rule: string;
  readonly says: string;
}

/** Whoever decided. Policies that isolate count for nothing where they are not asked. */
export function decidersOf({ direction, decision, policy, rule, isolatedBy, says }: RuleName): Part[] {
  if (decision === "default") return [];
  if (policy !== "") return [{ policy, direction, rule, says: says[0] }];
  return isolatedBy.map((key, i) => ({ policy: key, direction, rule: "", says: says[i] }));
}

/** Rules with action Pass that passed the connection on to them. */
export function passesOf({ direction, policy, isolatedBy, passedBy, says }: RuleName): Part[] {
  if (passedBy === "") return [];
  const first = policy === "" ? isolatedBy.length : 1;
  return passedBy.split(", ").map((text, i) => {
    const [key, rule] = text.split(" ");
    return { policy: key, direction, rule, says: says[first + i] };
  });
}

export function standingOf(part: Part, policies: Policies): Standing {
  const { policy, direction, rule, says } = part;
  const spec = policies.specOf(`${policy.includes("/") ? "policy" : "cluster"} ${policy}`);
  if (spec?.[direction] === undefined) return "removed";
  if (rule === "") return isolationText(spec) === says ? undefined : "changed";
  const texts = textsAt(spec, direction, rule);
  if (texts.length === 0) return "removed";
  return texts.includes(says) ? undefined : "changed";
}

/** Of a whole decision: what is worst of its parts. */
export function standingOfAll(name: RuleName, policies: Policies): Standing {
  const all = [...decidersOf(name), ...passesOf(name)].map((part) => standingOf(part, policies));
  return all.find((one) => one === "removed") ?? all.find((one) => one === "changed");
}

const PATH = /^\w+\[(\d+)\](?:\.(?:from|to)\[(\d+)\])?(?:\.\w+\[(\d+)\])?$/;
const ANY = -1;

/** What stands there: the networks of one peer are several. */
function textsAt(spec: PolicySpec, direction: Direction, path: string): string[] {
  const [, index, peer, port] = PATH.exec(path) ?? [];
  const rule = spec[direction]?.[Number(index)];
  if (rule === undefined) return [];
  const numbers = (rule.peers ?? []).flatMap(({ index: at }, i) => (at === Number(peer) ? [i] : []));
  const places = peer === undefined ? [ANY] : numbers;
  const at = port === undefined ? ANY : Number(port);
  if (at !== ANY && !(rule.ports ?? []).some((each) => each.index === at)) return [];
  return places.map((place) => ruleText(spec.subject.key, rule, place, at));
}
