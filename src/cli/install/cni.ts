// podwire cni install, remove: plug-in and network where this machine's runtime looks for them.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { packageRoot } from "../../lab/preconditions.ts";
import { note, print } from "../context.ts";
import { CliError } from "../errors.ts";
import { CONFLIST_FILE, layCni, PLUGIN, removeCni } from "./cni-files.ts";
import { CNI_BIN_DIR, CNI_CONF_DIR, CONFLIST, cniFolder } from "./cni-network.ts";

interface Flags {
  binDir: string;
  confDir: string;
  conflist?: string;
}

export function register(program: Command): void {
  const cni = program.command("cni").description("the CNI plug-in of this machine: install, remove");
  const verb = (name: string, description: string): Command =>
    cni
      .command(name)
      .description(description)
      .option("--bin-dir <folder>", "where the runtime looks for plug-ins", cniFolder, CNI_BIN_DIR)
      .option("--conf-dir <folder>", "where it looks for networks", cniFolder, CNI_CONF_DIR);
  verb("install", "podwire-cni and its network, replaced as a whole where they are there")
    .option("--conflist <file>", "the network, instead of podwire's own")
    .action(install);
  verb("remove", "both away; no error where they are not there").action(remove);
}

async function install({ binDir, confDir, conflist }: Flags): Promise<void> {
  const plugin = await readOr(pluginFile(), "npm run build makes it");
  const network = conflist === undefined ? Buffer.from(CONFLIST) : await readOr(conflist, "name a conflist");
  checkConflist(network, conflist);
  const { written, before } = await told(layCni({ bin: binDir, conf: confDir }, plugin, network));
  for (const path of written) await print(`${path} written`);
  if (written.length === 0) await print(`${PLUGIN} and ${CONFLIST_FILE} are there already`);
  if (before !== undefined) {
    const why = "a runtime takes the first by its name";
    note(
      `note: ${join(confDir, before)} comes before ${CONFLIST_FILE}, and ${why}: remove it when podwire is to serve`,
    );
  }
}

async function remove({ binDir, confDir }: Flags): Promise<void> {
  const removed = await told(removeCni({ bin: binDir, conf: confDir }));
  for (const path of removed) await print(`${path} removed`);
  if (removed.length === 0) await print("nothing to remove");
}

function pluginFile(): string {
  return join(packageRoot(), `build/native/${process.platform}-${process.arch}`, PLUGIN);
}

async function readOr(file: string, advice: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : message;
    throw new CliError(`cni install: ${file}: ${why}: ${advice}`, undefined, "CNI_UNREADABLE", cause);
  }
}

/** A runtime that finds something else there has no network at all. */
function checkConflist(bytes: Buffer, file: string | undefined): void {
  if (file === undefined) return;
  const fail = (why: string): never => {
    throw new CliError(`cni install: ${file}: ${why}: docs/cni.md shows one`);
  };
  let list: { name?: unknown; plugins?: unknown } | null = null;
  try {
    list = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    fail(`not JSON: ${(error as Error).message}`);
  }
  if (typeof list?.name !== "string") fail("no name");
  const plugins: unknown[] = Array.isArray(list?.plugins) ? list.plugins : [];
  if (!plugins.some((each) => (each as { type?: unknown } | null)?.type === PLUGIN))
    fail(`no plug-in of type ${PLUGIN}`);
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: "permission denied: run it as root",
  EPERM: "permission denied: run it as root",
  EEXIST: "is no folder: name one",
  ENOTDIR: "what it is to be in is no folder: name one",
  ENOENT: "cannot be made there: name a folder elsewhere",
  EROFS: "the file system is read-only: name a folder elsewhere",
  ENOSPC: "no space left on the device",
};

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const { code = "", path, message } = cause as NodeJS.ErrnoException;
    const why = WHY[code];
    const what = why === undefined || path === undefined ? message : `${path}: ${why}`;
    throw new CliError(`cni: ${what}`, undefined, "CNI_FILES", cause);
  }
}
