/** Runs ip(8) and other programs of the machine in the node's network namespace. */
import { execFile } from "node:child_process";
import { PodwireError } from "../../base/errors.ts";

/** The program, or nsenter(1), is not installed. */
export const NO_PROGRAM = "NO_PROGRAM";
/** What nsenter ends with where it does not find what it is to run. */
const NOT_FOUND = 127;

/**
 * What it prints; throws the first line of what it says is wrong, with code NO_PROGRAM where there is no such program,
 * else RUN_IN. `mayFail`: then what it printed all the same.
 */
export function runIn(
  netns: string,
  argv: readonly string[],
  { mayFail = false, input = "" }: { mayFail?: boolean; input?: string } = {},
): Promise<string> {
  const [file, ...args] = netns === "" ? argv : ["nsenter", `--net=${netns}`, ...argv];
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, (error, stdout, stderr) => {
      if (error === null || mayFail) return resolve(stdout);
      const code = error.code === "ENOENT" || error.code === NOT_FOUND ? NO_PROGRAM : "RUN_IN";
      const message = `${argv.slice(0, 3).join(" ")}: ${linesOf(stderr)[0] ?? error.message}`;
      reject(new PodwireError(message, { code }));
    });
    child.stdin?.on("error", () => {}); // it may end before it has read everything: its status tells
    child.stdin?.end(input);
  });
}

export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
