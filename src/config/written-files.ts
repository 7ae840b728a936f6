// Where an agent writes: in no file system that the kernel makes up. Nobody can make a file or a folder in /proc and
// /sys, and Node.js' mkdir of a whole path tries for ever in /proc, so that an agent would hang.
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";

const MADE_UP = ["proc", "sys"];

/** Reports a path in /proc or /sys; undefined: nothing was said. */
export function checkWritten(path: FieldPath, file: string | undefined, problems: FieldProblems): void {
  const [first] = file?.startsWith("/") ? partsOf(file) : [];
  if (first === undefined || !MADE_UP.includes(first)) return;
  problems.invalid(path, file, `nobody can make a file in /${first}: name a path elsewhere`);
}

function partsOf(file: string): string[] {
  const parts: string[] = [];
  for (const part of file.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}
