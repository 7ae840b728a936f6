// What is counted of requests, by rule and backend: a row of numbers for each such pair, all rows in one array. With
// thousands of rules a request waits for memory more than it computes: objects, one for each number and list, were four
// times as many places to look at.
import { exponentialBounds, type HistogramCounts } from "../observe/exposition.ts";

export interface Series {
  readonly rule: string;
  readonly backend: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly byStatus: readonly (readonly [status: number, count: number])[];
  readonly seconds: HistogramCounts;
}

const BOUNDS = exponentialBounds(0.000_5, 2, 16); // seconds
const AT = { bytesIn: 0, bytesOut: 1, seconds: 2, status: 3, count: 4, buckets: 5 };
const WIDTH = 24; // numbers; three lines of a cache
const FIRST_ROWS = 64;
const ROWS_MAX = 20_000; // rules come and go; what is beyond is counted under no rule
const STATUS_MAX = 1000; // no status is as high

export class RequestCounts {
  readonly #max: number;
  #rows = new Float64Array(FIRST_ROWS * WIDTH);
  /** By rule: its first row, and behind each row the next of the same rule. */
  readonly #first = new Map<string, number>();
  readonly #next: number[] = [];
  readonly #rules: string[] = [];
  readonly #backends: string[] = [];
  /** Of what a row has no room for: statuses other than its first, by row and status. */
  readonly #others = new Map<number, number>();

  constructor(max = ROWS_MAX) {
    this.#max = max;
  }

  add(
    rule: string,
    backend: string,
    status: number,
    seconds: number,
    bytesIn: number,
    bytesOut: number,
  ): void {
    const row = this.#rowOf(rule, backend);
    const rows = this.#rows;
    const at = row * WIDTH;
    rows[at + AT.bytesIn] += bytesIn;
    rows[at + AT.bytesOut] += bytesOut;
    rows[at + AT.seconds] += seconds;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]) bucket++;
    rows[at + AT.buckets + bucket]++;
    if (rows[at + AT.count] === 0) rows[at + AT.status] = status;
    if (rows[at + AT.status] === status) rows[at + AT.count]++;
    else {
      const key = row * STATUS_MAX + status;
      this.#others.set(key, (this.#others.get(key) ?? 0) + 1);
    }
  }

  all(): Series[] {
    const others = this.#rules.map((): (readonly [number, number])[] => []);
    for (const [key, count] of this.#others)
      others[Math.floor(key / STATUS_MAX)].push([key % STATUS_MAX, count]);
    return this.#rules.map((rule, row) => {
      const at = row * WIDTH;
      const cell = (which: number): number => this.#rows[at + which];
      const buckets = at + AT.buckets;
      return {
        ...{ rule, backend: this.#backends[row], bytesIn: cell(AT.bytesIn), bytesOut: cell(AT.bytesOut) },
        byStatus: [[cell(AT.status), cell(AT.count)], ...others[row]],
        seconds: {
          ...{ bounds: BOUNDS, sum: cell(AT.seconds) },
          counts: this.#rows.subarray(buckets, buckets + BOUNDS.length + 1),
        },
      };
    });
  }

  #rowOf(rule: string, backend: string): number {
    const first = this.#first.get(rule) ?? -1;
    for (let row = first; row >= 0; row = this.#next[row]) if (this.#backends[row] === backend) return row;
    const count = this.#rules.length;
    if (count >= this.#max && rule !== "") return this.#rowOf("", "");
    this.#rules.push(rule);
    this.#backends.push(backend);
    this.#next.push(first);
    this.#first.set(rule, count);
    if ((count + 1) * WIDTH > this.#rows.length) {
      const more = new Float64Array(this.#rows.length * 2);
      more.set(this.#rows);
      this.#rows = more;
    }
    return count;
  }
}
