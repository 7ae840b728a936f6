/**
 * Plug-in and network of a node, where its runtime looks for them. Each is written beside its place, in the same folder,
 * and renamed: a runtime sees the old one or the new one, and notices it (containerd does not notice what is renamed into
 * the folder from another one). The plug-in comes first and goes last: nobody is sent to what is not there.
 */
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

export const PLUGIN = "podwire-cni";
export const CONFLIST_FILE = "10-podwire.conflist";
/** What libcni takes for a network's configuration. */
const NETWORKS = /\.(?:conf|conflist|json)$/;

export interface CniFolders {
  readonly bin: string;
  readonly conf: string;
}

export interface Laid {
  /** Paths that were written; those that were so already are not. */
  readonly written: readonly string[];
  /** A file that comes before ours by its name: the network that the runtime takes. undefined: ours. */
  readonly before: string | undefined;
}

export async function layCni({ bin, conf }: CniFolders, plugin: Buffer, conflist: Buffer): Promise<Laid> {
  for (const folder of [bin, conf]) await makeFolder(folder);
  const files = [
    { path: join(bin, PLUGIN), bytes: plugin, mode: 0o755 },
    { path: join(conf, CONFLIST_FILE), bytes: conflist, mode: 0o644 },
  ];
  const written: string[] = [];
  for (const { path, bytes, mode } of files) if (await replace(path, bytes, mode)) written.push(path);
  const networks = (await readdir(conf)).filter((name) => NETWORKS.test(name)).sort();
  return { written, before: networks[0] === CONFLIST_FILE ? undefined : networks[0] };
}

/** Paths that were removed. */
export async function removeCni({ bin, conf }: CniFolders): Promise<string[]> {
  const removed: string[] = [];
  for (const path of [join(conf, CONFLIST_FILE), join(bin, PLUGIN)]) {
    await rm(draftOf(path), { force: true });
    if (await rm(path).then(() => true, isMissing)) removed.push(path);
  }
  return removed;
}

/** As mkdir -p. Node's own never ends where the file system refuses new folders with ENOENT, as /proc does. */
async function makeFolder(path: string): Promise<void> {
  const there = await stat(path).catch(isMissing);
  if (there === false) {
    await makeFolder(dirname(path));
    await mkdir(path).catch(isMadeAlready);
  } else if (!there.isDirectory())
    throw Object.assign(new Error(`${path}: no folder`), { code: "EEXIST", path });
}

/** By another run. */
function isMadeAlready(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** Begins with a dot and has no ending that a runtime reads. */
const draftOf = (path: string): string => path.replace(/([^/]+)$/, ".$1.new");

async function replace(path: string, bytes: Buffer, mode: number): Promise<boolean> {
  const there = await readFile(path).catch(isMissing);
  if (there !== false && there.equals(bytes) && ((await stat(path)).mode & 0o777) === mode) return false;
  const draft = draftOf(path);
  const file = await open(draft, "w", mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(draft, mode); // whatever the umask, and whatever a run that was killed left
  await rename(draft, path);
  return true;
}

/** false for what is not there; other errors go on. */
function isMissing(error: NodeJS.ErrnoException): false {
  if (error.code === "ENOENT") return false;
  throw error;
}
