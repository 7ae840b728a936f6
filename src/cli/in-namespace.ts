// Some verbs must open a socket inside a node's network namespace, and a Node process cannot move there by
// itself (setns moves one thread): the command starts itself once more under `ip netns exec`.
import { spawn } from "node:child_process";
import { CliError } from "./errors.ts";

/** Runs this program with `args` in the namespace, on our own terminal; resolves with its exit status. */
export function rerunInNamespace(netns: string, args: readonly string[]): Promise<number> {
  const self = [process.execPath, ...process.execArgv, process.argv[1]];
  return new Promise((resolve, reject) => {
    const child = spawn("ip", ["netns", "exec", netns, ...self, ...args], { stdio: "inherit" });
    // A terminal sends its interrupt to both of us; the child decides what it means, we report how it ended.
    const ignore = (): void => {};
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", ignore);
    process.on("SIGTERM", pass);
    child.on("error", (error: NodeJS.ErrnoException) => {
      const hint = error.code === "ENOENT" ? "ip not found: apt-get install iproute2" : error.message;
      reject(new CliError(`namespace ${netns}: ${hint}`));
    });
    child.on("close", (code, signal) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", pass);
      resolve(code ?? (signal === "SIGINT" ? 130 : 143));
    });
  });
}
