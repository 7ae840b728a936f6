// One thing that is suspicious about a policy, and where.
import type { PolicySpec } from "../../compile/policy/policy-rules.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";

export interface Finding {
  /** Of which policy. */
  readonly object: KubeObject;
  /** Field of it, as a path. */
  readonly path: readonly (string | number)[];
  readonly check:
    | "selects-nobody"
    | "direction-left-out"
    | "peer-matches-nobody"
    | "unknown-port-name"
    | "shadowed"
    | "no-dns";
  readonly text: string;
}

export interface CheckedPolicy {
  readonly object: KubeObject;
  readonly spec: PolicySpec;
  /** On trial. */
  readonly audit: boolean;
}

/** spec.ingress[0].from[1] */
export function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
    .join("")
    .slice(1);
}

export function titleOf(object: KubeObject): string {
  return `${object.kind} ${keyOf(object)}`;
}
