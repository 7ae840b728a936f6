// Lines of logs as they are wanted: no more than so many bytes, each with where it comes from.

export interface LogSource {
  readonly prefix: string;
  /** What stands after the last line end. */
  rest: Buffer;
}

export interface LogWishes {
  /** Bytes. */
  readonly limit: number;
  /** Each line begins with a time. */
  readonly timestamps: boolean;
}

const NEWLINE = 0x0a;
/** RFC 3339 with nanoseconds, of which milliseconds are known. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d*(Z|[+-]\d\d:\d\d)(?= )/;
const TIME_MAX = 40; // bytes

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

  /** As they come; where something stands before each line, whole lines only. */
  async put(source: LogSource, bytes: Buffer): Promise<void> {
    if (source.prefix === "" && !this.#wishes.timestamps) return this.#put(bytes);
    const all = Buffer.concat([source.rest, bytes]);
    const end = all.lastIndexOf(NEWLINE) + 1;
    source.rest = all.subarray(end);
    await this.#put(this.#lines(source, all.subarray(0, end)));
  }

  /** Nothing more comes: the last line may have no end. */
  async end(source: LogSource): Promise<void> {
    const { rest } = source;
    source.rest = Buffer.alloc(0);
    if (rest.length > 0) await this.#put(this.#lines(source, rest));
  }

  #lines({ prefix }: LogSource, bytes: Buffer): Buffer {
    const parts: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, start) + 1 || bytes.length;
      const line = bytes.subarray(start, end);
      parts.push(Buffer.from(prefix), ...(this.#wishes.timestamps ? inMilliseconds(line) : [line]));
      start = end;
    }
    return Buffer.concat(parts);
  }

  async #put(all: Buffer): Promise<void> {
    if (all.length === 0 || this.full) return;
    const bytes = all.subarray(0, Math.min(this.#left, all.length));
    this.#left -= bytes.length;
    await this.#write(bytes);
  }
}

function inMilliseconds(line: Buffer): Buffer[] {
  const match = TIME.exec(line.subarray(0, TIME_MAX).toString("latin1"));
  if (match === null) return [line];
  return [Buffer.from(`${match[1]}${match[2]}`), line.subarray(match[0].length)];
}

function toStdout(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
}
