// A folder whose files change together, as kubelet writes it (pkg/volume/util/atomic_writer.go): they lie in a folder of
// the time they were written at, ..data leads to it, and the names that programs use lead through ..data. Replacing that
// one link replaces all of them; who has a file open keeps what it opened.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { VolumeFiles } from "./volume-files.ts";

const DATA = "..data";
const DRAFT = "..data_tmp";

/** Brings the folder, which is made where it is missing, to these files. True: something was different. */
export function writeFolder(folder: string, files: VolumeFiles, nowMs: number): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const before = linkOf(join(folder, DATA));
  if (before !== undefined && isSame(join(folder, before), files)) return false;
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "_").replace("T", "_");
  const made = mkdtempSync(join(folder, `..${time}.`));
  chmodSync(made, 0o755);
  for (const [path, { bytes, mode }] of files) {
    const file = join(made, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, bytes);
    chmodSync(file, mode);
  }
  rmSync(join(folder, DRAFT), { force: true });
  symlinkSync(made.slice(folder.length + 1), join(folder, DRAFT));
  renameSync(join(folder, DRAFT), join(folder, DATA));
  const names = new Set([...files.keys()].map((path) => path.split("/")[0]));
  const there = new Set(readdirSync(folder));
  for (const name of names) if (!there.has(name)) symlinkSync(join(DATA, name), join(folder, name));
  for (const name of there) {
    const isOld = name.startsWith("..")
      ? name !== DATA && name !== made.slice(folder.length + 1)
      : !names.has(name);
    if (isOld) rmSync(join(folder, name), { recursive: true, force: true });
  }
  return true;
}

function isSame(folder: string, files: VolumeFiles): boolean {
  if (pathsIn(folder).length !== files.size) return false;
  return [...files].every(([path, { bytes, mode }]) => {
    const file = join(folder, path);
    const there = statSync(file, { throwIfNoEntry: false });
    return there !== undefined && (there.mode & 0o7777) === mode && readFileSync(file).equals(bytes);
  });
}

/** Files below the folder. */
function pathsIn(folder: string): string[] {
  try {
    const all = readdirSync(folder, { withFileTypes: true });
    return all.flatMap((each) => (each.isDirectory() ? pathsIn(join(folder, each.name)) : [each.name]));
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
