// A program that is run beside a container's own, for somebody who looks at it from afar.
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { PassThrough, type Readable } from "node:stream";
import type { Program, ProgramIo } from "../../../apiserver/stream/pod-programs.ts";
import { isProgram } from "../../process/is-program.ts";
import { spawnWithTerminal } from "./terminal.ts";

/** Where and as what it runs. */
export interface Entrance {
  /** Words that stand before the program's: they take it into the container. */
  readonly words: readonly string[];
  readonly env: Record<string, string>;
}

/** A program that ended may leave others behind that hold its output open: so long without a byte, and it is over. */
const QUIET_MS = 500;
/** Between asking and killing. */
const KILL_MS = 2000;
const SIGNAL_BASE = 128;

/** Throws one line where there is no such program. */
export function execProgram(entrance: Entrance, command: readonly string[], io: ProgramIo): Program {
  if (!isProgram(command[0], entrance.env.PATH ?? "", entrance.words))
    throw new Error(`exec: "${command[0]}": executable file not found in $PATH`);
  return io.tty ? withTerminal(entrance, command, io) : withPipes(entrance, command, io);
}

function withPipes({ words, env }: Entrance, command: readonly string[], io: ProgramIo): Program {
  const argv = [...words, ...command];
  const pipe = (is: boolean): "pipe" | "ignore" => (is ? "pipe" : "ignore");
  const child = spawn(argv[0], argv.slice(1), {
    stdio: [pipe(io.stdin), pipe(io.stdout), pipe(io.stderr)],
    env,
    cwd: "/",
    detached: true, // a group of its own: what it starts is ended with it
  });
  const ended = endOf(child);
  child.stdin?.on("error", () => {}); // it reads no more
  return {
    stdin: child.stdin ?? undefined,
    stdout: untilQuiet(child.stdout, ended),
    stderr: untilQuiet(child.stderr, ended),
    resize: () => {},
    ended,
    stop: () => stop(child),
  };
}

function withTerminal({ words, env }: Entrance, command: readonly string[], io: ProgramIo): Program {
  const { child, terminal } = spawnWithTerminal([...words, ...command], { TERM: "xterm", ...env });
  const ended = endOf(child);
  const output = untilQuiet(terminal, ended);
  terminal.on("error", () => {});
  output?.on("close", () => terminal.destroy());
  if (!io.stdout) output?.resume();
  return {
    stdin: io.stdin ? terminal : undefined,
    stdout: io.stdout ? output : undefined,
    stderr: undefined,
    resize: (columns, rows) => terminal.resize(columns, rows),
    ended,
    stop: () => {
      terminal.destroy(); // the terminal hangs up
      stop(child);
    },
  };
}

function endOf(child: ChildProcess): Promise<number> {
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`exec: ${error.message}`)));
    child.once("exit", (code, signal) => resolve(code ?? SIGNAL_BASE + numberOf(signal)));
  });
  ended.catch(() => {}); // whoever asks is told; nobody has to
  return ended;
}

function numberOf(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (constants.signals[signal] ?? 0);
}

/** What comes of it, until its end, or until the program is gone and nothing comes any more. */
function untilQuiet(output: Readable | null, ended: Promise<number>): Readable | undefined {
  if (output === null) return undefined;
  const out = new PassThrough();
  let isMoving = false;
  output.on("data", () => (isMoving = true));
  output.pipe(out);
  output.on("error", () => out.end());
  const watch = (): void => {
    const timer = setInterval(() => {
      if (isMoving || out.readableLength > 0) {
        isMoving = false;
        return;
      }
      clearInterval(timer);
      output.unpipe(out);
      output.resume();
      out.end();
    }, QUIET_MS).unref();
    out.once("close", () => clearInterval(timer));
    output.once("end", () => clearInterval(timer));
  };
  ended.then(watch, watch);
  return out;
}

/** It and what it has started. */
function stop(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const group = -child.pid;
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(group, signal);
    } catch {
      // all gone
    }
  };
  if (child.exitCode !== null || child.signalCode !== null) return;
  send("SIGHUP");
  const kill = setTimeout(() => send("SIGKILL"), KILL_MS);
  child.once("exit", () => clearTimeout(kill));
}
