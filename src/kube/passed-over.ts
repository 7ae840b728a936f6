// What a call's manifests held that is not read: other kinds, and policies that others enforce, for a note about each.

import type { KindInfo } from "./kinds.ts";

/** GlobalNetworkPolicy, CiliumNetworkPolicy, NetworkPolicy.projectcalico.org: whoever writes them counts on them. */
const POLICY = /NetworkPolicy(\.|$)/;

export class PassedOver {
  readonly #counts = new Map<string, number>();

  /** `title`: the kind as it is named to people. */
  add(title: string): void {
    this.#counts.set(title, (this.#counts.get(title) ?? 0) + 1);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** At most two lines: `note: passed over, not the network's: 2 ServiceAccount, 1 ConfigMap`. */
  notes(): string[] {
    const listOf = (isPolicy: boolean): string =>
      [...this.#counts]
        .filter(([title]) => POLICY.test(title) === isPolicy)
        .map(([title, count]) => `${count} ${title}`)
        .join(", ");
    const others = listOf(false);
    const policies = listOf(true);
    return [
      ...(others === "" ? [] : [`note: passed over, not the network's: ${others}`]),
      ...(policies === ""
        ? []
        : [
            `warning: not enforced: ${policies}: write them as NetworkPolicy or ClusterNetworkPolicy (docs/policy.md)`,
          ]),
    ];
  }
}

/** Of what was stored: `note: stored, and nothing here acts on it: 2 Role, 1 Ingress`. */
export function idleNotes(manifests: readonly { readonly info: KindInfo }[]): string[] {
  const counts = new Map<string, number>();
  for (const { info } of manifests)
    if (info.idle === true) counts.set(info.kind, (counts.get(info.kind) ?? 0) + 1);
  const list = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return list === "" ? [] : [`note: stored, and nothing here acts on it: ${list}`];
}
