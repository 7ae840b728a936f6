// Short-lived programs (ip, bridge, iptables-restore, …): run, collect, and one line of error when they fail.
import { spawn } from "node:child_process";
import { LabError } from "../errors.ts";

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  input?: string;
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end; status 127 when it does not exist, 124 (as timeout(1)) when it took too long. */
export function tryCommand(
  file: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.env && { env: options.env }),
    });
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill("SIGKILL");
          }, options.timeoutMs);
    const done = (status: number, extra = ""): void => {
      clearTimeout(timer);
      resolve({ status: timedOut ? 124 : status, stdout, stderr: stderr + extra });
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error: NodeJS.ErrnoException) =>
      done(error.code === "ENOENT" ? 127 : 126, error.message),
    );
    child.on("close", (code) => done(code ?? 137));
    child.stdin.on("error", () => {}); // a program may end before it has read everything: its status tells
    child.stdin.end(options.input ?? "");
  });
}

/** As tryCommand, but a status other than 0 is a LabError with the program's first line. */
export async function command(file: string, args: string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(file, args, options);
  if (result.status === 0) return result.stdout;
  throw new LabError("LAB_COMMAND", failure(file, args, result));
}

function failure(file: string, args: string[], result: CommandResult): string {
  const line = result.stderr.trim().split("\n")[0];
  const said = line === "" ? `exit status ${result.status}` : line;
  if (result.status !== 127) return `${[file, ...args].join(" ").slice(0, 100)}: ${said}`;
  return `${file}: not found: install the package that holds it (iproute2, iptables)`;
}
