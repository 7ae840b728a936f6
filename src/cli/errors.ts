import { PodwireError } from "../base/errors.ts";

/** Exit statuses of every command. */
export const Exit = Object.freeze({ OK: 0, FAILED: 1, USAGE: 2, NO: 3 } as const);

/** What a command fails with: one line "what: where: what to do", and its exit status. */
export class CliError extends PodwireError {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = Exit.FAILED, code = "CLI_FAILED", cause?: unknown) {
    super(message, { code, cause });
    this.exitCode = exitCode;
  }
}

export function usageError(message: string): CliError {
  return new CliError(message, Exit.USAGE, "CLI_USAGE");
}

/** Exit status that an error carries; 1 where it carries none. */
export function exitCodeOf(error: unknown): number {
  const code = (error as { exitCode?: unknown } | undefined)?.exitCode;
  return typeof code === "number" ? code : Exit.FAILED;
}

/**
 * What is printed for an error: one line. Of several problems (of manifests) the first and how many more there are;
 * all of them, a line each, with -v.
 */
export function errorLine(error: unknown, verbose = false): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text
    .replace(/^error: /, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  // kubectl's own words, which scripts look for: a line for each object, as kubectl prints them.
  const isServers = (line: string): boolean => line.startsWith("Error from server");
  if (lines.length > 0 && isServers(lines[0])) return lines.join(lines.every(isServers) ? "\n" : " ");
  if (!isProblemList(error) || lines.length < 2) return `error: ${lines.join(" ")}`;
  if (verbose) return lines.map((line) => `error: ${line}`).join("\n");
  return `error: ${lines[0]} (and ${lines.length - 1} more: -v shows all)`;
}

function isProblemList(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === "MANIFEST_INVALID";
}
