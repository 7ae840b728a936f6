// What a call's manifests held that is not read: other kinds, and policies that others enforce, for a note about each.

/** GlobalNetworkPolicy, CiliumNetworkPolicy, NetworkPolicy.projectcalico.org: whoever writes them counts on them. */
const POLICY = /NetworkPolicy(\.|$)/;

export class PassedOver {
  readonly #counts = new Map<string, number>();

  /** `title`: the kind as it is named to people. */
  add(title: string): void {
    this.#counts.set(title, (this.#counts.get(title) ?? 0) + 1);
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
