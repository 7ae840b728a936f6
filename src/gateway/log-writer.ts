// Lines to a file or to standard output, off the requests' way: they are collected, and a thread of Node's waits for
// the disk or the reader. What cannot be written is kept and tried again; when too much is kept, new lines are lost,
// counted and told. Nothing is lost at the end but what cannot be written then, either.
import { closeSync, openSync, write, writeSync } from "node:fs";
import { PodwireError } from "../base/errors.ts";

export type LogTarget = "stdout" | { readonly file: string } | "off";

const EVERY_MS = 100;
const AGAIN_MS = 1000; // after what went wrong
const SOON = 1 << 18; // letters that are written without waiting for more
const HELD_MAX = 1 << 24; // letters that wait to be written
const LAST_MS = 2000; // for a reader that takes nothing, at the end
const STDOUT = 1;
/** A reader that is slow, at a descriptor that somebody has set to say so instead of waiting. */
const SLOW = new Set<string | undefined>(["EAGAIN", "EINTR"]);

export class LogWriter {
  readonly #target: LogTarget;
  readonly #tell: (line: string) => void;
  readonly #heldMax: number;
  #fd = -1;
  #held = "";
  #heldLines = 0;
  /** What the disk is to get next, from `#at` on. */
  #piece: Buffer | undefined;
  #pieceLines = 0;
  #at = 0;
  #isWriting = false;
  #isReopening = false;
  #problem = "";
  #timer: NodeJS.Timeout | undefined;
  #whenWritten: (() => void) | undefined;
  /** Lines. */
  lost = 0;

  /** Throws where the file cannot be opened. `tell`: what goes wrong later, a line each. */
  constructor(target: LogTarget, tell: (line: string) => void, heldMax = HELD_MAX) {
    this.#target = target;
    this.#tell = tell;
    this.#heldMax = heldMax;
    this.#fd = this.#open();
  }

  get isOn(): boolean {
    return this.#fd >= 0;
  }

  /** `line`: without its end. */
  add(line: string): void {
    if (this.#fd < 0) return;
    if (this.#held.length > this.#heldMax) {
      this.lost++;
      this.#complain("what takes it is too slow");
      return;
    }
    this.#held += `${line}\n`;
    this.#heldLines++;
    if (this.#held.length > SOON && this.#problem === "") this.#next();
    else this.#wait(EVERY_MS);
  }

  /** The file was moved away: a new one of its name, for what is not being written yet. */
  reopen(): void {
    if (this.#fd < 0 || this.#target === "stdout") return;
    this.#isReopening = true;
    if (!this.#isWriting) this.#exchange();
  }

  /** Resolves when all is written that can be. */
  async close(): Promise<void> {
    if (this.#fd < 0) return;
    clearTimeout(this.#timer);
    const fd = this.#fd;
    this.#fd = -1; // nothing more is taken
    if (this.#isWriting)
      await new Promise<void>((resolve) => {
        this.#whenWritten = resolve;
        setTimeout(resolve, LAST_MS).unref();
      });
    const last = Buffer.from(this.#held);
    const problem = (await writeAll(fd, this.#piece?.subarray(this.#at))) || (await writeAll(fd, last));
    if (problem !== "") {
      this.lost += this.#pieceLines + this.#heldLines;
      this.#tell(`access log: ${problem}: ${this.lost} lines are lost`);
    }
    if (fd > STDOUT) closeSync(fd);
  }

  /** Unless something is being written: whatever is held. */
  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting || this.#fd < 0) return;
    if (this.#piece === undefined) {
      if (this.#held === "") return;
      this.#piece = Buffer.from(this.#held);
      this.#pieceLines = this.#heldLines;
      this.#at = 0;
      this.#held = "";
      this.#heldLines = 0;
    }
    this.#isWriting = true;
    const { length } = this.#piece;
    write(this.#fd, this.#piece, this.#at, length - this.#at, null, (error, bytes) =>
      this.#wrote(error, bytes),
    );
  }

  #wrote(error: NodeJS.ErrnoException | null, bytes: number): void {
    this.#isWriting = false;
    if (error === null) {
      this.#at += bytes;
      if (this.#at >= (this.#piece?.length ?? 0)) {
        this.#piece = undefined;
        this.#pieceLines = 0;
        this.#recover();
      }
    }
    this.#whenWritten?.();
    if (this.#fd < 0) return;
    if (error !== null && !SLOW.has(error.code)) this.#complain(`cannot be written (${error.code})`);
    if (this.#isReopening && this.#piece === undefined) this.#exchange();
    if (error !== null) this.#wait(SLOW.has(error.code) ? EVERY_MS : AGAIN_MS);
    else if (this.#piece !== undefined || this.#held.length > SOON) this.#next();
    else if (this.#held !== "") this.#wait(EVERY_MS);
  }

  #wait(ms: number): void {
    this.#timer ??= setTimeout(() => this.#next(), ms);
  }

  /** Once, until it is well again. */
  #complain(problem: string): void {
    if (this.#problem !== "") return;
    this.#problem = problem;
    this.#tell(`access log: ${problem}: lines are kept for a while, and then lost`);
  }

  #recover(): void {
    if (this.#problem === "") return;
    this.#problem = "";
    this.#tell(`access log: is written again; lost so far: ${this.lost} lines`);
  }

  #exchange(): void {
    this.#isReopening = false;
    try {
      const fd = this.#open();
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      this.#tell(`${(error as Error).message}; until then it goes on in the old one`);
    }
  }

  /** -1: there is none. */
  #open(): number {
    if (this.#target === "off") return -1;
    if (this.#target === "stdout") return STDOUT;
    const { file } = this.#target;
    try {
      return openSync(file, "a", 0o640);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new PodwireError(`accessLog.file: ${file}: cannot be written (${code}): name another file`, {
        ...{ code: "GATEWAY_LOG", cause },
      });
    }
  }
}

/** "": all of it is written; otherwise why not. */
async function writeAll(fd: number, bytes: Buffer | undefined): Promise<string> {
  const untilMs = performance.now() + LAST_MS;
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!SLOW.has(code) || performance.now() > untilMs) return `cannot be written (${code})`;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }
  return "";
}
