// Which node a pod goes to, where the manifest does not say: the one that fits with the fewest pods, the first by name
// among equals. Fits: nodeSelector and node affinity match, the node is schedulable and has no taint that keeps pods
// away, and no other pod of it has a host port that this one asks for.
import { type Labels, matchesLabels } from "../../kube/labels.ts";
import { keyOf, type Node, type Pod } from "../../kube/objects.ts";
import { fitsAffinity } from "./node-affinity.ts";

export interface Placement {
  /** Undefined: no node fits; `reason` is the scheduler's sentence. */
  readonly node: string | undefined;
  readonly reason: string;
}

export interface NodeUse {
  /** Number of pods on each node. */
  readonly load: ReadonlyMap<string, number>;
  /** Has this node the host ports that the pod asks for? */
  readonly hasPorts: (node: string) => boolean;
}

/** `preferred` is where the pod was before a restart. */
export function placePod(
  pod: Pod,
  nodes: readonly Node[],
  { load, hasPorts }: NodeUse,
  preferred?: string,
): Placement {
  const verdicts = nodes.map((node) => {
    const { name } = node.metadata;
    return { name, refusal: refusalOf(pod, node) || (hasPorts(name) ? "" : NO_FREE_PORTS) };
  });
  const fitting = verdicts.filter((v) => v.refusal === "").map((v) => v.name);
  if (preferred !== undefined && fitting.includes(preferred)) return { node: preferred, reason: "" };
  let best: string | undefined;
  for (const name of fitting.sort()) {
    if (best === undefined || (load.get(name) ?? 0) < (load.get(best) ?? 0)) best = name;
  }
  return { node: best, reason: best === undefined ? unschedulable(nodes.length, verdicts) : "" };
}

const NO_FREE_PORTS = "didn't have free ports for the requested pod ports";

/** For a pod that has to go to one of `count` nodes, which has not the ports. */
export function noFreePorts(count: number): string {
  return unschedulable(count, [{ refusal: NO_FREE_PORTS }]);
}

/** Why the pod may not run on the node; "" when it may. */
export function refusalOf(pod: Pod, node: Node): string {
  const tolerated = (pod.spec.tolerations ?? []) as Toleration[];
  const taint = (node.spec.taints ?? []).find(
    (t) => t.effect !== "PreferNoSchedule" && !tolerated.some((tolerates) => tolerate(tolerates, t)),
  );
  if (node.spec.unschedulable === true && !tolerated.some((each) => tolerate(each, CORDONED)))
    return "were unschedulable";
  if (taint !== undefined) return `had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  const selector = pod.spec.nodeSelector as Labels | undefined;
  const wanted = Object.keys(selector ?? {}).length > 0;
  if ((wanted && !matchesLabels(selector, node.metadata.labels)) || !fitsAffinity(pod, node)) {
    return "didn't match Pod's node affinity/selector";
  }
  return "";
}

/** The taint that stands for `kubectl cordon`. */
const CORDONED = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}

function tolerate(t: Toleration, taint: { key: string; value?: string; effect: string }): boolean {
  if (t.effect !== undefined && t.effect !== "" && t.effect !== taint.effect) return false;
  if ((t.key ?? "") === "") return t.operator === "Exists";
  return t.key === taint.key && (t.operator === "Exists" || (t.value ?? "") === (taint.value ?? ""));
}

function unschedulable(count: number, verdicts: readonly { refusal: string }[]): string {
  const reasons = new Map<string, number>();
  for (const { refusal } of verdicts) reasons.set(refusal, (reasons.get(refusal) ?? 0) + 1);
  const list = [...reasons].map(([why, n]) => `${n} node(s) ${why}`).sort();
  return `0/${count} nodes are available${list.length === 0 ? "" : `: ${list.join(", ")}`}.`;
}

export function isFinished(pod: Pod): boolean {
  return pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
}

export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** The pod's Ready condition. */
export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

/** For messages: `pod "default/web-1"`. */
export function podTitle(pod: Pod): string {
  return `pod "${keyOf(pod)}"`;
}
