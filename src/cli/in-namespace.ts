// Some verbs must open a socket inside another network namespace, and a Node process cannot move there by itself (setns
// moves one thread): the command starts itself once more in it.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { CliError } from "./errors.ts";

const NAMED = /^(?:\/var)?\/run\/netns\/([^/]+)$/; // where ip(8) keeps them
const OF_PROCESS = /^\/proc\/(\d+)\/ns\/net$/;

/** A command as it is started in a network namespace, which is a path. Names of ip(8) get their /etc/netns too. */
export function inNetns(path: string, words: readonly string[]): string[] {
  const name = NAMED.exec(path)?.[1];
  return name === undefined
    ? ["nsenter", `--net=${path}`, "--", ...words]
    : ["ip", "netns", "exec", name, ...words];
}

/** Where we are already. */
export function isOwnNetns(path: string): boolean {
  try {
    const [own, other] = ["/proc/self/ns/net", path].map((each) => statSync(each));
    return own.ino === other.ino && own.dev === other.dev;
  } catch {
    return false;
  }
}

/** Refuses a namespace that is gone, or goes by a process that is none of podwire's: `who` it belongs to, `hint`. */
export function checkNetns(path: string, who: string, hint: string): void {
  const pid = OF_PROCESS.exec(path)?.[1];
  if (pid !== undefined && !isAgent(pid))
    throw new CliError(
      `${who}: its agent's process ${pid} is not seen from here: run podwire where the agent runs`,
    );
  if (pid === undefined && !existsSync(path))
    throw new CliError(`${who}: network namespace ${NAMED.exec(path)?.[1] ?? path} is gone: ${hint}`);
}

/** An agent in a container has a number there that is somebody else's here. */
function isAgent(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes("agent");
  } catch {
    return false;
  }
}

/** Runs this program with `args` in the namespace, on our own terminal; resolves with its exit status. */
export function rerunInNamespace(netns: string, args: readonly string[]): Promise<number> {
  const self = [process.execPath, ...process.execArgv, process.argv[1], ...args];
  const [file, ...rest] = isOwnNetns(netns) ? self : inNetns(netns, self);
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, { stdio: "inherit" });
    // A terminal sends its interrupt to both of us; the child decides what it means, we report how it ended.
    const ignore = (): void => {};
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", ignore);
    process.on("SIGTERM", pass);
    child.on("error", (error: NodeJS.ErrnoException) => {
      const package_ = file === "ip" ? "iproute2" : "util-linux";
      const hint = error.code === "ENOENT" ? `${file} not found: apt-get install ${package_}` : error.message;
      reject(new CliError(`namespace ${netns}: ${hint}`));
    });
    child.on("close", (code, signal) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", pass);
      resolve(code ?? (signal === "SIGINT" ? 130 : 143));
    });
  });
}
