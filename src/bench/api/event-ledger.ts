// What a follower of changes was told against what was written, object by object and in order: matched as both come in,
// so that an hour of it takes no more memory than a minute.

/** A deletion: its version is not told to who asked for it. */
export const DELETED = -1;

interface Open {
  /** Not told yet, and told before the writer's own answer came. */
  written: number[];
  told: number[];
}

export class EventLedger {
  #matched = 0;
  readonly #open = new Map<string, Open>();
  readonly #wrong: string[] = [];

  /** Versions, or DELETED, in the order in which they were written. */
  written(name: string, version: number): void {
    this.#of(name).written.push(version);
    this.#match(name);
  }

  told(name: string, version: number): void {
    this.#of(name).told.push(version);
    this.#match(name);
  }

  get matched(): number {
    return this.#matched;
  }

  /** Written and never told; told and never written, or out of its order. */
  get open(): { lost: number; invented: number; wrong: readonly string[] } {
    let [lost, invented] = [0, 0];
    for (const { written, told } of this.#open.values()) {
      lost += written.length;
      invented += told.length;
    }
    return { lost, invented, wrong: this.#wrong };
  }

  #of(name: string): Open {
    let open = this.#open.get(name);
    if (open === undefined) {
      open = { written: [], told: [] };
      this.#open.set(name, open);
    }
    return open;
  }

  #match(name: string): void {
    const { written, told } = this.#of(name);
    while (written.length > 0 && told.length > 0 && written[0] === told[0]) {
      written.shift();
      told.shift();
      this.#matched++;
    }
    if (written.length > 0 && told.length > 0 && this.#wrong.length < 10)
      this.#wrong.push(`${name}: ${told[0]} was told where ${written[0]} was written`);
  }
}
