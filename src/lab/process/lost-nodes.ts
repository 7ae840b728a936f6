// A node whose agent has not been ready for a second is given up: others announce its load balancers, and its pods are no
// endpoints any more. An agent that ends and is started again is back before that, with the connections that it had; a
// cluster's node controller waits for 50 s, MetalLB's speakers for about 3.

const GIVEN_UP_MS = 1000;

export class LostNodes {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #lost = new Set<string>();
  readonly #onLost: (name: string) => void;

  constructor(onLost: (name: string) => void) {
    this.#onLost = onLost;
  }

  has(name: string): boolean {
    return this.#lost.has(name);
  }

  /** To be told whenever one is ready, or is no longer. */
  seen(name: string, isReady: boolean): void {
    if (isReady) {
      clearTimeout(this.#timers.get(name));
      this.#timers.delete(name);
      this.#lost.delete(name);
    } else if (!this.#timers.has(name) && !this.#lost.has(name)) {
      this.#timers.set(
        name,
        setTimeout(() => this.#givenUp(name), GIVEN_UP_MS),
      );
    }
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #givenUp(name: string): void {
    this.#timers.delete(name);
    this.#lost.add(name);
    this.#onLost(name);
  }
}
