// How many replicas each ReplicaSet of a Deployment gets next: kube-controller-manager's steps of a rolling update, of
// Recreate, and of a change of numbers while several sets have pods. Pure.
import { type Deployment, keyOf, type ReplicaSet } from "../../../kube/objects.ts";
import { rolloutLimits } from "./deployment-conditions.ts";
import { byAge, desiredOf, maxOf, replicasOf, statusOf } from "./deployment-sets.ts";

/** Key of a set → its replicas from now on; sets that stay as they are are not in it. */
export type Step = Map<string, number>;

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Pods of the new set come as there is room, those of old ones go as others are available. */
export function rollingStep(deployment: Deployment, current: ReplicaSet, olds: readonly ReplicaSet[]): Step {
  const wanted = deployment.spec.replicas ?? 1;
  const { surge, unavailable } = rolloutLimits(deployment);
  const all = [...olds, current];
  const step: Step = new Map();
  const there = replicasOf(current);
  const total = sum(all.map(replicasOf));
  if (there > wanted) step.set(keyOf(current), wanted);
  else if (there < wanted) {
    const room = Math.max(0, wanted + surge - total);
    if (room > 0) step.set(keyOf(current), there + Math.min(room, wanted - there));
    if (room > 0) return step; // one thing at a time: what was just made is not available yet
  }
  if (step.size > 0 || sum(olds.map(replicasOf)) === 0) return step;
  const least = wanted - unavailable;
  const missing = there - statusOf(current).available;
  const most = total - least - missing;
  if (most <= 0) return step;
  const left = new Map(olds.map((set) => [keyOf(set), replicasOf(set)]));
  const gone = takeUnhealthy(byAge(olds), left, most);
  const available = sum(all.map((set) => statusOf(set).available));
  takeAvailable(byAge(olds), left, Math.max(0, available - least), most - gone);
  for (const set of olds) {
    const count = left.get(keyOf(set)) as number;
    if (count !== replicasOf(set)) step.set(keyOf(set), count);
  }
  return step;
}

/** Pods of old sets that serve nothing are the first to go. */
function takeUnhealthy(olds: readonly ReplicaSet[], left: Map<string, number>, most: number): number {
  let taken = 0;
  for (const set of olds) {
    const count = Math.min(most - taken, Math.max(0, replicasOf(set) - statusOf(set).available));
    left.set(keyOf(set), replicasOf(set) - count);
    taken += count;
  }
  return taken;
}

function takeAvailable(
  olds: readonly ReplicaSet[],
  left: Map<string, number>,
  room: number,
  most: number,
): void {
  let taken = 0;
  for (const set of olds) {
    const there = left.get(keyOf(set)) as number;
    const count = Math.max(0, Math.min(there, Math.min(room, most) - taken));
    left.set(keyOf(set), there - count);
    taken += count;
  }
}

/** All old pods go before a new one comes. `hasOldPods`: some are still there. */
export function recreateStep(
  deployment: Deployment,
  current: ReplicaSet,
  olds: readonly ReplicaSet[],
  hasOldPods: boolean,
): Step {
  const active = olds.filter((set) => replicasOf(set) > 0);
  if (active.length > 0) return new Map(active.map((set) => [keyOf(set), 0]));
  const wanted = deployment.spec.replicas ?? 1;
  return hasOldPods || replicasOf(current) === wanted ? new Map() : new Map([[keyOf(current), wanted]]);
}

/** Was the number of replicas changed since the sets were scaled last? */
export function isRescaled({ spec }: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some(
    (set) => replicasOf(set) > 0 && (desiredOf(set) ?? spec.replicas ?? 1) !== (spec.replicas ?? 1),
  );
}

/** Another number of replicas, shared out among the sets that have pods as they have them. */
export function rescaleStep(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  olds: readonly ReplicaSet[],
): Step {
  const wanted = deployment.spec.replicas ?? 1;
  const all = current === undefined ? [...olds] : [...olds, current];
  const active = all.filter((set) => replicasOf(set) > 0);
  if (active.length <= 1) {
    const only = active[0] ?? current;
    return only === undefined ? new Map() : new Map([[keyOf(only), wanted]]);
  }
  const isSaturated =
    current !== undefined && replicasOf(current) === wanted && statusOf(current).available === wanted;
  if (isSaturated) return new Map(olds.filter((set) => replicasOf(set) > 0).map((set) => [keyOf(set), 0]));
  const { surge } = rolloutLimits(deployment);
  const allowed = wanted > 0 ? wanted + surge : 0;
  const toAdd = allowed - sum(active.map(replicasOf));
  const sorted = byAge(active).sort((a, b) => (replicasOf(b) - replicasOf(a)) * (toAdd > 0 ? 1 : -1));
  const step: Step = new Map();
  let added = 0;
  for (const set of sorted) {
    const there = replicasOf(set);
    const fair = Math.round((there * allowed) / Math.max(1, maxOf(set))) - there;
    const rest = toAdd - added;
    const share = toAdd > 0 ? Math.min(Math.max(fair, 0), rest) : Math.max(Math.min(fair, 0), rest);
    step.set(keyOf(set), there + share);
    added += share;
  }
  const [largest] = sorted;
  step.set(keyOf(largest), Math.max(0, (step.get(keyOf(largest)) as number) + toAdd - added));
  return step;
}
