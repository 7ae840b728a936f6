// The input of a container's program, for those who attach: a pipe in the pod's folder, so that the program outlives the
// lab's process. With stdinOnce the lab has it open from the start on, and it ends with the first who attaches.
import { closeSync, constants, openSync, readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import type { Container } from "../../../kube/objects.ts";
import { loadNative } from "../../../native/binding.ts";
import type { Input } from "../enter/enter.ts";

const { O_WRONLY, O_NONBLOCK, O_RDWR, O_NOCTTY } = constants;
const AGAIN_MS = 10;
/** So long a program may take until it has its input open. */
const OPEN_MAX_MS = 10_000;

/** `base`: of the container's files. */
export function inputOf(base: string, { stdin, stdinOnce, tty }: Container): Input {
  return {
    file: stdin === true ? `${base}.stdin` : undefined,
    isOnce: stdinOnce === true,
    isTerminal: tty === true,
  };
}

export class ContainerInput {
  readonly #file: string;
  readonly #isOnce: boolean;
  /** With stdinOnce: what the first who attaches is given. */
  #held: Writable | undefined;
  #isBegun = false;
  #timer: NodeJS.Timeout | undefined;

  constructor({ file = "", isOnce }: Input) {
    this.#file = file;
    this.#isOnce = isOnce;
  }

  /** Before its program begins: nobody goes on with the input of the last one. */
  forget(): void {
    this.close();
    rmSync(this.#file, { force: true });
  }

  /** The program begins, or an earlier lab process has begun it. */
  begun(): void {
    if (this.#isOnce && !this.#isBegun) this.#hold(Date.now() + OPEN_MAX_MS);
    this.#isBegun = true;
  }

  #hold(untilMs: number): void {
    clearTimeout(this.#timer);
    this.#held = opened(this.#file);
    if (this.#held !== undefined || Date.now() >= untilMs) return;
    this.#timer = setTimeout(() => this.#hold(untilMs), AGAIN_MS);
  }

  /** For one who attaches; undefined: it has ended, or nobody reads it. */
  take(): Writable | undefined {
    if (!this.#isOnce) return opened(this.#file);
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  close(): void {
    this.#isBegun = false;
    clearTimeout(this.#timer);
    this.#held?.destroy();
    this.#held = undefined;
  }
}

function opened(file: string): Writable | undefined {
  try {
    const fd = openSync(file, O_WRONLY | O_NONBLOCK); // fails at once where nobody reads
    const pipe = new Socket({ fd, readable: false, writable: true });
    pipe.on("error", () => {}); // the program has ended
    pipe.unref();
    return pipe;
  } catch {
    return undefined;
  }
}

/** Of the terminal that `pid` carries for its child. */
export function resizeTerminal(pid: number, columns: number, rows: number): void {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    const fd = openSync(`/proc/${child}/fd/0`, O_RDWR | O_NOCTTY | O_NONBLOCK);
    loadNative().resizePty(fd, columns, rows);
    closeSync(fd);
  } catch {
    // it has ended
  }
}
