// Where a container finds podwire's echo: at its place on the machine, or in /dev where a volume lies over that place.
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { Mount } from "./enter/enter.ts";
import { programFile } from "./pod-env.ts";

const NODE = "/dev/podwire/node";
const FOLDER = "/dev/podwire/program";

/** The words that start it. */
export function echoWords(mounts: readonly Mount[]): string[] {
  const file = programFile("echo");
  if (!isHidden(mounts)) return [process.execPath, file];
  return [NODE, join(FOLDER, relative(packageFolder(file), file))];
}

/** What has to be seen in /dev for them. */
export function echoFiles(mounts: readonly Mount[]): { source: string; path: string }[] {
  if (!isHidden(mounts)) return [];
  return [
    { source: process.execPath, path: NODE },
    { source: packageFolder(programFile("echo")), path: FOLDER },
  ];
}

function isHidden(mounts: readonly Mount[]): boolean {
  const files = [process.execPath, programFile("echo")];
  return mounts.some(({ target }) => files.some((file) => file.startsWith(`${target}/`)));
}

/** Its package.json says how modules are read. */
function packageFolder(file: string): string {
  let folder = dirname(file);
  while (folder !== "/" && !existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
