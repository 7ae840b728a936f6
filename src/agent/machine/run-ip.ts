/** Runs ip(8) and other programs of the machine in the node's network namespace. */
import { execFile } from "node:child_process";

/** What it prints; throws the first line of what it says is wrong. `mayFail`: then what it printed all the same. */
export function runIn(
  netns: string,
  argv: readonly string[],
  { mayFail = false, input = "" }: { mayFail?: boolean; input?: string } = {},
): Promise<string> {
  const [file, ...args] = netns === "" ? argv : ["nsenter", `--net=${netns}`, ...argv];
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, (error, stdout, stderr) => {
      if (error === null || mayFail) resolve(stdout);
      else reject(new Error(`${argv.slice(0, 3).join(" ")}: ${linesOf(stderr)[0] ?? error.message}`));
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
