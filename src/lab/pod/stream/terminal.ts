// A pseudo-terminal whose other end a program has, as a stream. Its master is read by Node's own means, which write to it
// only until it is full and then stand still: so it is written to beside them, and tried again. They also take the other
// end's closing for the end of all that can be read, although more lies there: so that end is held open until the program
// has ended and all that it has said was read.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readSync, write } from "node:fs";
import { Duplex } from "node:stream";
import { ReadStream } from "node:tty";
import { errnoName, loadNative } from "../../../native/binding.ts";
import { LabError } from "../../errors.ts";

const AGAIN_MS = 5;
const PART = 65_536; // bytes read at once
/** Bytes that the kernel keeps of what a program that has ended said, and more: others may go on saying something. */
const LAST_MAX = 1 << 20;

class Terminal extends Duplex {
  readonly #master: ReadStream;
  readonly #fd: number;
  #isWriting = false;
  #closing: (() => void) | undefined;

  constructor(master: number) {
    super({ allowHalfOpen: true });
    this.#fd = master;
    this.#master = new ReadStream(master);
    this.#master.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) this.#master.pause();
    });
    this.#master.on("end", () => this.push(null));
    this.#master.on("error", () => this.push(null)); // EIO: no program has it any more
  }

  resize(columns: number, rows: number): void {
    if (!this.#master.destroyed) loadNative().resizePty(this.#fd, columns, rows);
  }

  /** The program has ended: what it has said is read, whether or not anybody wants it yet. */
  takeLast(): void {
    if (this.#master.destroyed) return;
    while (this.#master.read() !== null); // what it holds back comes first, as data
    try {
      for (let taken = 0; taken < LAST_MAX; ) {
        const part = Buffer.allocUnsafe(PART);
        const length = readSync(this.#fd, part);
        if (length === 0) return;
        this.push(part.subarray(0, length));
        taken += length;
      }
    } catch {
      // EAGAIN: that was all
    }
  }

  override _read(): void {
    this.#master.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#put(chunk, done);
  }

  /** The number of a descriptor that is closed may be somebody else's by then: a write in flight is waited for. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const close = (): void => {
      this.#master.destroy();
      done(error);
    };
    if (this.#isWriting) this.#closing = close;
    else close();
  }

  #put(chunk: Buffer, done: (error?: Error | null) => void): void {
    if (this.#master.destroyed) return void done();
    this.#isWriting = true;
    write(this.#fd, chunk, (error, written) => {
      this.#isWriting = false;
      if (this.#closing !== undefined) {
        done();
        this.#closing();
      } else if (error?.code === "EAGAIN") setTimeout(() => this.#put(chunk, done), AGAIN_MS);
      else if (error !== null)
        done(); // no program reads any more
      else if (written < chunk.length) this.#put(chunk.subarray(written), done);
      else done();
    });
  }
}

/** A program that has a new terminal as its own: it leads a session. */
export function spawnWithTerminal(
  argv: readonly string[],
  env: Record<string, string>,
): { child: ChildProcess; terminal: Terminal } {
  const pair = new Int32Array(2);
  const result = loadNative().openPty(pair);
  if (result < 0) throw new LabError("LAB_PTY", `no terminal: ${errnoName(result)}`);
  const [master, slave] = pair;
  const terminal = new Terminal(master);
  // -c: busybox' setsid, which a container's PATH may lead to, has no long options.
  const child = spawn("setsid", ["-c", ...argv], { env, cwd: "/", stdio: [slave, slave, slave] });
  let isHeld = true;
  const letGo = (): void => {
    if (!isHeld) return;
    isHeld = false;
    terminal.takeLast();
    closeSync(slave);
  };
  child.once("error", letGo).once("exit", letGo);
  return { child, terminal };
}
