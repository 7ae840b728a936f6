// When a long work has done enough in one go. It counts work, not time: the same input makes the same steps.

/** Some milliseconds, if a unit is about a microsecond. */
const STEP = 4000;

export class Pace {
  readonly #step: number;
  #left: number;

  constructor(step: number = STEP) {
    this.#step = step;
    this.#left = step;
  }

  /** Counts what was done; true when the caller should let others have their turn. */
  isOver(units: number): boolean {
    this.#left -= units;
    if (this.#left > 0) return false;
    this.#left = this.#step;
    return true;
  }
}

/** Does all steps of a work at once. */
export function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
