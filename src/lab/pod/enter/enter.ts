// How a container is begun, and how another program gets into it. podwire-enter (C, beside this file) makes its view of
// the machine; whoever comes later joins the namespaces and the root of its first process, or makes the view again where
// it has none.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LabError } from "../../errors.ts";
import { netnsPath } from "../../net/names.ts";
import { isAlive, type ProcessId } from "../../process/process-table.ts";
import { readJson } from "../../state-dir.ts";

export interface Mount {
  /** On the machine. */
  readonly source: string;
  /** In the container: absolute. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface View {
  /** Name of the network namespace. */
  readonly netns: string;
  /** Of a UTS namespace; undefined: the machine's. */
  readonly hostname: string | undefined;
  /** Folder for a root of the container's own; undefined: the machine's files are seen as they are, but for `mounts`. */
  readonly root: string | undefined;
  /** Files that lie over those in /etc. */
  readonly etc: readonly string[];
  readonly mounts: readonly Mount[];
  /** What the file at this path in the container says when it ends is kept in the other one. */
  readonly termination: { readonly path: string; readonly file: string };
  readonly workingDir: string | undefined;
  /** Files and folders of the machine that are seen in the container's /dev, whatever its volumes lie over. */
  readonly inDev?: readonly { readonly source: string; readonly path: string }[];
}

/** What a container keeps on disk for those who enter it: beside its log. */
export const ENTER_FILE = "enter.json";

export interface EnterFile {
  /** Words before a program's, where no process of the container is there to join. */
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string | undefined;
}

let program: string | undefined;

function enterProgram(): string {
  if (program !== undefined) return program;
  const file = `native/${process.platform}-${process.arch}/podwire-enter`;
  const here = ["../../../../", "../../../../../build/", "../"].map((up) =>
    fileURLToPath(new URL(`${up}${file}`, import.meta.url)),
  );
  program = here.find((each) => existsSync(each));
  if (program !== undefined) return program;
  throw new LabError(
    "LAB_NOT_BUILT",
    "podwire-enter is not built: run `node scripts/build-native.mjs` (needs gcc and libc6-dev)",
  );
}

/** Words that stand before a container's program. Mounts of folders come before those within them. */
export function enterWords(view: View): string[] {
  const { netns, hostname, root, etc, termination, workingDir, inDev = [] } = view;
  const mounts = [...view.mounts].sort((a, b) => (a.target < b.target ? -1 : 1));
  return [
    enterProgram(),
    ...["net", netnsPath(netns)],
    ...(hostname === undefined ? [] : ["host", hostname]),
    "mount",
    ...(root === undefined ? [] : ["root", root]),
    "dev",
    ...etc.flatMap((folder) => ["etc", folder]),
    ...mounts.flatMap(({ source, target, readOnly }) => [readOnly ? "bindro" : "bind", source, target]),
    ...["file", termination.file, termination.path],
    ...inDev.flatMap(({ source, path }) => ["file", source, path]),
    ...(workingDir === undefined ? [] : ["cwd", workingDir]),
    "--",
  ];
}

/** What a container's program reads, and whether by a terminal. */
export interface Input {
  /** The pipe that its input comes by; undefined: it has none. */
  readonly file: string | undefined;
  /** It ends with the first who writes it. */
  readonly isOnce: boolean;
  readonly isTerminal: boolean;
}

/** `words` of a container, for its own program: its control group and its input; it says when its view is made. */
export function firstWords(
  [program, ...words]: readonly string[],
  { file, isOnce, isTerminal }: Input,
  group?: string,
): string[] {
  const steps = [
    ...(group === undefined ? [] : ["group", group]),
    "made",
    ...(file === undefined ? [] : [isOnce ? "once" : "input", file]),
    ...(isTerminal ? ["terminal"] : []),
  ];
  return [program, ...steps, ...words];
}

/** Words that stand before a program that is to run beside the container's own: what `base` says of the container. */
export function joinWords(base: string, netns: string): string[] {
  const { pid, startTicks } = readJson<ProcessId>(`${base}.pid`) ?? { pid: 0, startTicks: 0 };
  const { words, workingDir = "/" } = readJson<EnterFile>(`${base}.${ENTER_FILE}`) ?? {};
  if (pid > 0 && isAlive({ pid, startTicks })) {
    // Without it nsenter goes back to where it was called, outside of a root of the container's own.
    const wd = `--wd=/proc/${pid}/root${workingDir}`;
    return ["nsenter", `--target=${pid}`, "--mount", "--uts", "--net", "--root", wd, "--"];
  }
  return words === undefined ? ["ip", "netns", "exec", netns] : [...words];
}

/** The variables that the container's program was started with; none: it was not started yet. */
export function containerEnvironment(base: string): Record<string, string> {
  return { ...readJson<EnterFile>(`${base}.${ENTER_FILE}`)?.env };
}
