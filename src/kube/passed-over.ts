// What a call's manifests held that is not the network's business, for the one note about it.

export class PassedOver {
  readonly #counts = new Map<string, number>();

  /** `title`: the kind as it is named to people. */
  add(title: string): void {
    this.#counts.set(title, (this.#counts.get(title) ?? 0) + 1);
  }

  /** One line, or none: `note: passed over, not the network's: 2 ServiceAccount, 1 ConfigMap`. */
  notes(): string[] {
    if (this.#counts.size === 0) return [];
    const list = [...this.#counts].map(([title, count]) => `${count} ${title}`).join(", ");
    return [`note: passed over, not the network's: ${list}`];
  }
}
