// Files that ask several things, each a line with a JSON object.
import { note } from "../context.ts";
import { CliError, Exit } from "../errors.ts";

/**
 * What `read` makes of each line, or a CliError: an answer that is missing would shift all others. `read` throws an Error
 * that names the field; `what`: "requests".
 */
export function readJsonLines<T>(
  { file, text }: { readonly file: string; readonly text: string },
  what: string,
  read: (raw: Record<string, unknown>) => T,
): T[] {
  const asked: T[] = [];
  const problems: string[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      asked.push(read(parseObject(line)));
    } catch (error) {
      problems.push(`${file}:${i + 1}: ${(error as Error).message}`);
    }
  }
  if (asked.length + problems.length === 0) note(`note: ${file}: no ${what} in it`);
  if (problems.length === 0) return asked;
  for (const each of problems.slice(0, -1)) process.stderr.write(`error: ${each}\n`);
  throw new CliError(problems.at(-1) as string, Exit.FAILED, `EXPLAIN_${what.toUpperCase()}`);
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error("not a JSON object");
}
