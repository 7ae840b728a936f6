/** What comes by calls, for one reader who may be slower. */
export class HandOver<T> implements AsyncIterable<T> {
  readonly #waiting: T[] = [];
  #isOver = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  push(item: T): void {
    this.#waiting.push(item);
    this.#wake();
  }

  /** Nothing more comes. The reader gets what waits, then the `failure` that was told first, if there is one. */
  end(failure: Error | undefined): void {
    this.#isOver = true;
    this.#failure ??= failure;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) yield next;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
