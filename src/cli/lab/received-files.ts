// What comes out of a container by tar is a container's word: it is unpacked in a folder of its own, and of that only
// what was asked for is taken, files and folders. Links stay out, as in kubectl cp: the next copy could write through
// them to where they lead. So do devices, and bits by which files run as their owner.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";

const MODE = 0o777;

/**
 * `pack`: brings a tar with `base` in it to the program of these words. Answers the paths that were left out. What came
 * before something went wrong is there all the same.
 */
export async function receive(
  base: string,
  target: string,
  pack: (unpack: readonly string[]) => Promise<void>,
): Promise<string[]> {
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(join(dirname(target), ".podwire-cp-"));
  const asIts = ["--no-same-owner", "--no-same-permissions"];
  const leftOut: string[] = [];
  try {
    await pack(["tar", "xmf", "-", "-C", folder, ...asIts, "--", base]);
  } finally {
    try {
      const isThere = lstatSync(join(folder, base), { throwIfNoEntry: false }) !== undefined;
      if (isThere) take(join(folder, base), target, base, leftOut);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return leftOut;
}

function take(from: string, to: string, name: string, leftOut: string[]): void {
  const there = lstatSync(from);
  if (there.isDirectory()) {
    const isNew = !existsSync(to);
    mkdirSync(to, { recursive: true });
    for (const each of readdirSync(from)) take(join(from, each), join(to, each), `${name}/${each}`, leftOut);
    if (isNew) chmodSync(to, there.mode & MODE);
  } else if (there.isFile()) move(from, to);
  else leftOut.push(name);
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(from, to);
  }
}
