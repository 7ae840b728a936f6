// Where in an object a value lies, as its server keeps it while it counts: in Go's slices, where two paths that were made
// by appending to the same one may lie in the same memory. What is appended to it last is then the end of both, so that
// such a path is sometimes another one when it is looked at again, and what is counted of it another number. Definitions
// are refused by these numbers, so they have to be the same ones here.

export class Path {
  readonly #cells: string[];
  readonly #length: number;
  readonly #capacity: number;

  private constructor(cells: string[], length: number, capacity: number) {
    this.#cells = cells;
    this.#length = length;
    this.#capacity = capacity;
  }

  static of(name: string): Path {
    return new Path([name], 1, 1);
  }

  /** Behind the first step, which is a variable's name. */
  get steps(): readonly string[] {
    return this.#cells.slice(1, this.#length);
  }

  append(name: string): Path {
    if (this.#length < this.#capacity) {
      this.#cells[this.#length] = name;
      return new Path(this.#cells, this.#length + 1, this.#capacity);
    }
    const cells = [...this.#cells.slice(0, this.#length), name];
    return new Path(cells, cells.length, 2 * this.#capacity);
  }

  /** In memory of its own. */
  copied(name: string): Path {
    const cells = [...this.#cells.slice(0, this.#length), name];
    return new Path(cells, cells.length, cells.length);
  }
}

export const appended = (path: Path | undefined, name: string): Path => path?.append(name) ?? Path.of(name);
