// podwire's command line for tests that give it many: all run in one process beside the test, one after the other, since
// a program's start takes longer than most commands. What is particular to a process (signals, terminals, standard
// input) is tested with processes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, read, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

export interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const readBeside = promisify(read);
const saidOf = (text: string): Said => JSON.parse(Buffer.from(text, "latin1").toString("utf8")) as Said;

export const SERVER = join(import.meta.dirname, "command-server.js");

export class CommandLine {
  readonly #folder: string;
  readonly #requests: number;
  readonly #answers: number;
  readonly #ended: Promise<unknown>;
  readonly #chunk = Buffer.alloc(65_536);

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.#folder = mkdtempSync(join(tmpdir(), "podwire-commands-"));
    const [requests, answers] = ["requests", "answers"].map((name) => join(this.#folder, name));
    if (spawnSync("mkfifo", [requests, answers]).status !== 0) throw new Error("mkfifo failed");
    const child = spawn(process.execPath, [SERVER, requests, answers], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, ...env },
    });
    child.unref(); // it ends when its requests end, with this process at the latest
    this.#ended = once(child, "exit");
    this.#requests = openSync(requests, "w"); // waits for the server
    this.#answers = openSync(answers, "r");
  }

  /** Runs one command line to its end. */
  run(args: readonly string[]): Said {
    this.#ask(args);
    let text = "";
    while (!text.endsWith("\n")) text += this.#heard(readSync(this.#answers, this.#chunk), args);
    return saidOf(text);
  }

  /** The same for a command that asks this process, which goes on meanwhile. */
  async runBeside(args: readonly string[]): Promise<Said> {
    this.#ask(args);
    let text = "";
    while (!text.endsWith("\n")) {
      const { bytesRead } = await readBeside(this.#answers, this.#chunk, 0, this.#chunk.length, null);
      text += this.#heard(bytesRead, args);
    }
    return saidOf(text);
  }

  #ask(args: readonly string[]): void {
    writeSync(this.#requests, `${JSON.stringify(args)}\n`);
  }

  #heard(bytes: number, args: readonly string[]): string {
    if (bytes === 0) throw new Error(`the process ended while it ran: podwire ${args.join(" ")}`);
    return this.#chunk.toString("latin1", 0, bytes);
  }

  async close(): Promise<void> {
    closeSync(this.#requests);
    const patience = new AbortController(); // it also keeps the event loop going
    const tooLong = setTimeout(5000, undefined, { signal: patience.signal }).catch(() => {});
    await Promise.race([this.#ended, tooLong]);
    patience.abort();
    closeSync(this.#answers);
    rmSync(this.#folder, { recursive: true });
  }
}
