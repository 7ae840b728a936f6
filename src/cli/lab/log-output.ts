// Lines of logs as they are wanted: the last ones, those since a time, with times, with where they come from.
import { type LogTimes, timeAt } from "../../lab/pod/log-index.ts";

type Times = LogTimes["times"];

export interface LogSource {
  prefix: string;
  /** What stands after the last line end. */
  rest: Buffer;
}

export interface LogWishes {
  /** Lines of what is there; -1: all. */
  tail: number;
  /** Bytes. */
  limit: number;
  /** From when on, ms since 1970; 0: all. */
  sinceMs: number;
  timestamps: boolean;
}

export interface LogLine {
  bytes: Buffer;
  /** Where it begins in the log. */
  at: number;
}

export class LogOutput {
  readonly #wishes: LogWishes;
  readonly #write: (bytes: Buffer) => Promise<void>;
  #left: number;

  constructor(wishes: LogWishes, write = toStdout) {
    this.#wishes = wishes;
    this.#write = write;
    this.#left = wishes.limit;
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  get wantsTimes(): boolean {
    return this.#wishes.timestamps;
  }

  /** `bytes` begin at byte `from` of the log. */
  async first(source: LogSource, bytes: Buffer, from: number, times: Times): Promise<void> {
    const { sinceMs, tail } = this.#wishes;
    const recent = linesOf(bytes, from).filter(({ at }) => sinceMs === 0 || timeAt(times, at) >= sinceMs);
    await this.#lines(source, tail < 0 ? recent : tail === 0 ? [] : recent.slice(-tail), times);
  }

  more(source: LogSource, bytes: Buffer, from: number, times: Times): Promise<void> {
    return this.#lines(source, linesOf(bytes, from), times);
  }

  /** As they come; where something stands before each line, whole lines only. */
  async #lines(source: LogSource, lines: LogLine[], times: Times): Promise<void> {
    const { timestamps } = this.#wishes;
    if (source.prefix === "" && !timestamps) return this.#put(Buffer.concat(lines.map(({ bytes }) => bytes)));
    const parts: Buffer[] = [];
    for (const { bytes, at } of lines) {
      const whole = Buffer.concat([source.rest, bytes]);
      const begin = at - source.rest.length;
      source.rest = Buffer.alloc(0);
      if (whole.at(-1) !== 0x0a) source.rest = whole;
      else
        parts.push(
          Buffer.from(`${source.prefix}${timestamps ? `${iso(timeAt(times, begin))} ` : ""}`),
          whole,
        );
    }
    await this.#put(Buffer.concat(parts));
  }

  async #put(all: Buffer): Promise<void> {
    if (all.length === 0 || this.full) return;
    const bytes = all.subarray(0, Math.min(this.#left, all.length));
    this.#left -= bytes.length;
    await this.#write(bytes);
  }
}

/** Each with its line end; the last may have none. */
export function linesOf(bytes: Buffer, from: number): LogLine[] {
  const lines: LogLine[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start) + 1 || bytes.length;
    lines.push({ bytes: bytes.subarray(start, end), at: from + start });
    start = end;
  }
  return lines;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function toStdout(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
}
