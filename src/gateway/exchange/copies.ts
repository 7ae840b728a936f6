// Copies of requests under way: so many at once to each of those who get them and altogether, and so many bytes of them
// that wait. What is more is left out, and counted: nobody but who gets copies is to suffer where he is slow.

const AT_ONCE = 256; // to one of them
const AT_ONCE_ALL = 1024; // addresses may have clients' words in them
const WAITING_BYTES = 64 * 1024 * 1024;

export class Copies {
  readonly #active = new Map<string, number>();
  #all = 0;
  #waiting = 0;
  sent = 0;
  leftOut = 0;

  /** `name`: who gets it. What to call when it is over; undefined: there are too many. */
  begin(name: string): (() => void) | undefined {
    const active = this.#active.get(name) ?? 0;
    if (active >= AT_ONCE || this.#all >= AT_ONCE_ALL) {
      this.leftOut++;
      return undefined;
    }
    this.#active.set(name, active + 1);
    this.#all++;
    this.sent++;
    return () => {
      const left = (this.#active.get(name) ?? 0) - 1;
      if (left > 0) this.#active.set(name, left);
      else this.#active.delete(name);
      this.#all--;
    };
  }

  /** So many bytes more wait, or fewer. False: they are too many. */
  hold(bytes: number): boolean {
    this.#waiting += bytes;
    return this.#waiting <= WAITING_BYTES;
  }
}
