// When what a program printed came, and where each of its starts begins in its log. The log is the program's own file:
// the lab looks at its length when it grows, so a program never waits for the lab and outlives it. What came while no
// lab looked has the time of the next look.
import { appendFileSync, type FSWatcher, readFileSync, statSync, watch, writeFileSync } from "node:fs";

/** Looks closer together than this are one. */
const APART_MS = 20;
/** Where files cannot be watched. */
const POLL_MS = 1000;
const TIMES_MAX = 4096;

export interface LogTimes {
  /** Where starts begin, in bytes. */
  starts: number[];
  /** From this byte on, at this time (ms since 1970). */
  times: [offset: number, ms: number][];
}

/** When the byte at `offset` came: that of the last look that began at or before it. */
export function timeAt(times: LogTimes["times"], offset: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle][0] <= offset) low = middle + 1;
    else high = middle;
  }
  return times[Math.max(0, low - 1)]?.[1] ?? 0;
}

export class LogIndex {
  readonly #log: string;
  readonly #file: string;
  readonly #starts: number[] = [];
  #times: [number, number][] = [];
  /** What was seen of the log. */
  #size = 0;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;

  constructor(log: string) {
    this.#log = log;
    this.#file = `${log}.index`;
    this.#read();
  }

  /** A start begins at the end of what there is. The log is there. */
  begins(): void {
    this.#look();
    this.#starts.push(this.#size);
    this.#append("start", this.#size, Date.now());
    this.resume();
  }

  /** Goes on with a log that an earlier lab process began. */
  resume(): void {
    this.#look();
    if (this.#watcher !== undefined) return;
    try {
      this.#watcher = watch(this.#log, { persistent: false }, () => this.#grown());
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      this.#timer ??= setInterval(() => this.#look(), POLL_MS).unref(); // no watches left on this machine
    }
  }

  close(): void {
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  times(): LogTimes {
    this.#look();
    return { starts: [...this.#starts], times: [...this.#times] };
  }

  /** At once, and once more when it goes on growing. */
  #grown(): void {
    this.#isDirty = this.#timer !== undefined;
    if (this.#isDirty) return;
    this.#look();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDirty) this.#grown();
    }, APART_MS).unref();
  }

  #look(): void {
    const size = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0;
    if (size === this.#size) return;
    if (size > this.#size) {
      const at: [number, number] = [this.#size, Date.now()];
      this.#times.push(at);
      this.#append("grown", ...at, size);
    }
    this.#size = size;
    if (this.#times.length > TIMES_MAX) this.#thin();
  }

  /** Every other of the older half goes: old lines have coarser times. */
  #thin(): void {
    const half = this.#times.length >> 1;
    this.#times = this.#times.filter((_, i) => i >= half || i % 2 === 0);
    const lines = [
      ...this.#starts.map((offset) => ["start", offset, 0]),
      ...this.#times.map((at) => ["grown", ...at, this.#size]),
    ];
    this.#safely(() => writeFileSync(this.#file, lines.map((line) => `${line.join(" ")}\n`).join("")));
  }

  #read(): void {
    this.#safely(() => {
      for (const line of readFileSync(this.#file, "utf8").split("\n")) {
        const [what, offset, ms, size] = line.split(" ");
        if (what === "start") this.#starts.push(Number(offset));
        if (what !== "grown") continue;
        this.#times.push([Number(offset), Number(ms)]);
        this.#size = Number(size);
      }
    });
  }

  #append(...line: (string | number)[]): void {
    this.#safely(() => appendFileSync(this.#file, `${line.join(" ")}\n`));
  }

  /** A folder that is being taken away, a full disk: times are lost then, the log is not. */
  #safely(write: () => void): void {
    try {
      write();
    } catch {
      // nothing to be done
    }
  }
}
