import { accessSync, constants, statSync } from "node:fs";

/**
 * Whether there is a program of this name, where `enter` leads to: a container may have a root of its own. ip(8) itself
 * would end with status 1 for a missing one, nsenter with words of its own.
 */
export function isProgram(word: string, path: string, enter: readonly string[]): boolean {
  const pid = /^--target=(\d+)$/.exec(enter[1] ?? "")?.[1];
  const root = pid === undefined ? "" : `/proc/${pid}/root`;
  const candidates = word.includes("/") ? [word] : path.split(":").map((dir) => `${dir || "."}/${word}`);
  return candidates.some((name) => {
    const file = name.startsWith("/") ? `${root}${name}` : name;
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}
