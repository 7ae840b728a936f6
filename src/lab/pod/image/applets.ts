// busybox' programs by their own names, for containers whose image has them.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { isInstalled } from "./built-in.ts";

/** A folder with a link for each of them, made where it is missing; undefined: no busybox on this machine. */
export function appletFolder(folder: string): string | undefined {
  if (existsSync(folder)) return folder;
  if (!isInstalled("busybox")) return undefined;
  const draft = `${folder}.new`;
  mkdirSync(draft, { recursive: true });
  const { status } = spawnSync("busybox", ["--install", "-s", draft]);
  if (status !== 0) return undefined;
  // Debian's busybox is built with an nc that does not know -z, by which people wait for a port.
  if (isInstalled("nc")) rmSync(`${draft}/nc`, { force: true });
  renameSync(draft, folder);
  return folder;
}
