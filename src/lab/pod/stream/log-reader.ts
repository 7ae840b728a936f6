// What one start of a container's program has printed, as the API's clients ask for it: from its log's end backwards
// where the last lines are wanted, and on while it runs.
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { LogOptions } from "../../../apiserver/stream/pod-programs.ts";
import { type LogTimes, timeAt } from "../log-index.ts";

const CHUNK = 64 << 10; // bytes
const POLL_MS = 100;
const NEWLINE = 0x0a;

export interface LogSource {
  readonly file: string;
  times(): LogTimes;
  /** Number of starts there had been with this one, as in `LogTimes.starts`. */
  readonly start: number;
  /** The start is over: nothing more will come. */
  isOver(): boolean;
  /** How often it is looked at for more. */
  readonly pollMs?: number;
}

type Wishes = Omit<LogOptions, "previous">;

/** Ends with the start, or when `gone`; without `follow` at the end of what there is. */
export async function* readLog(
  source: LogSource,
  wishes: Wishes,
  gone: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(source.file);
  } catch {
    return; // it has printed nothing, or has no program
  }
  try {
    yield* limited(withTimes(chunksOf(file, source, wishes, gone), source, wishes), wishes.limitBytes);
  } finally {
    await file.close();
  }
}

interface Part {
  readonly bytes: Buffer;
  /** Where it begins in the log. */
  readonly at: number;
}

async function* chunksOf(
  file: FileHandle,
  source: LogSource,
  wishes: Wishes,
  gone: AbortSignal,
): AsyncGenerator<Part> {
  const buffer = Buffer.alloc(CHUNK);
  const { starts, times } = source.times();
  const begin = starts[source.start - 1] ?? 0;
  const end = Math.min((await file.stat()).size, starts[source.start] ?? Number.POSITIVE_INFINITY);
  const since = times.find(([, ms]) => ms >= wishes.sinceMs)?.[0] ?? end;
  const from = Math.max(begin, wishes.sinceMs === 0 ? begin : since);
  let at = wishes.tailLines < 0 ? from : await tailBegin(file, from, end, wishes.tailLines);
  const left = (): number => {
    const most = wishes.follow ? (source.times().starts[source.start] ?? Number.POSITIVE_INFINITY) : end;
    return Math.max(0, Math.min(CHUNK, most - at));
  };
  while (!gone.aborted) {
    const isOver = source.isOver(); // asked before the last look
    const { bytesRead } = await file.read(buffer, 0, left(), at);
    const own = Math.min(bytesRead, left()); // the next start may have begun, and written, while this was read
    if (own > 0) {
      yield { bytes: Buffer.from(buffer.subarray(0, own)), at };
      at += own;
    } else if (!wishes.follow || isOver) return;
    else await sleep(source.pollMs ?? POLL_MS, undefined, { signal: gone }).catch(() => {});
  }
}

/** Where the last `lines` lines of what lies between begin. A last one without an end counts. */
async function tailBegin(file: FileHandle, from: number, end: number, lines: number): Promise<number> {
  if (lines === 0) return end;
  const buffer = Buffer.alloc(CHUNK);
  let left = lines;
  for (let at = end; at > from; ) {
    const begin = Math.max(from, at - CHUNK);
    const { bytesRead } = await file.read(buffer, 0, at - begin, begin);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The very last byte, if it is a line's end, ends a line and begins none.
      if (buffer[i] === NEWLINE && begin + i !== end - 1 && --left === 0) return begin + i + 1;
    }
    at = begin;
  }
  return from;
}

/** As they come; where a time stands before each line, whole lines only. */
async function* withTimes(
  parts: AsyncGenerator<Part>,
  source: LogSource,
  { timestamps }: Wishes,
): AsyncGenerator<Buffer> {
  let rest: Part | undefined;
  for await (const part of parts) {
    if (!timestamps) {
      yield part.bytes;
      continue;
    }
    const whole: Part =
      rest === undefined ? part : { bytes: Buffer.concat([rest.bytes, part.bytes]), at: rest.at };
    const end = whole.bytes.lastIndexOf(NEWLINE) + 1;
    if (end > 0) yield stamped({ bytes: whole.bytes.subarray(0, end), at: whole.at }, source);
    rest = end === whole.bytes.length ? undefined : { bytes: whole.bytes.subarray(end), at: whole.at + end };
  }
  if (rest !== undefined) yield stamped(rest, source);
}

function stamped({ bytes, at }: Part, source: LogSource): Buffer {
  const { times } = source.times();
  const parts: Buffer[] = [];
  for (let begin = 0; begin < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, begin) + 1 || bytes.length;
    const time = new Date(timeAt(times, at + begin)).toISOString().replace("Z", "000000Z");
    parts.push(Buffer.from(`${time} `), bytes.subarray(begin, end));
    begin = end;
  }
  return Buffer.concat(parts);
}

async function* limited(chunks: AsyncGenerator<Buffer>, limit: number): AsyncGenerator<Buffer> {
  let left = limit;
  for await (const chunk of chunks) {
    yield chunk.subarray(0, Math.min(left, chunk.length));
    left -= chunk.length;
    if (left <= 0) return;
  }
}
