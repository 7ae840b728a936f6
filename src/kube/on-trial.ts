// podwire.dev/enforcement: audit, on a policy or on a namespace for its NetworkPolicies: what it would deny passes, and
// is told.
import type { KubeObject } from "./objects.ts";

export const ENFORCEMENT = "podwire.dev/enforcement";
export const AUDIT = "audit";
/** Whose annotation means something. */
export const TRIED_KINDS: readonly string[] = ["Namespace", "NetworkPolicy", "ClusterNetworkPolicy"];

/** Of a policy, or of a namespace whose policies are. */
export function isOnTrial(object: KubeObject | undefined): boolean {
  return object?.metadata.annotations?.[ENFORCEMENT] === AUDIT;
}
