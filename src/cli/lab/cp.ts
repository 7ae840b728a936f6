// podwire cp FROM TO: files into a container and out of it, by tar at both ends, as kubectl copies them.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { basename, dirname, posix, resolve } from "node:path";
import type { Command } from "commander";
import type { ClusterFlags } from "../api/cluster-transport.ts";
import { addCluster, clusterApi } from "../api/open-api.ts";
import { globals, note } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { receive } from "./received-files.ts";

interface Flags extends ClusterFlags {
  namespace?: string;
  container?: string;
}

export interface Place {
  /** Undefined: this machine. */
  pod?: string;
  namespace?: string | undefined;
  path: string;
}

const EXAMPLES = `
Examples:
  podwire cp page.html web-1:/tmp/page.html
  podwire cp prod/web-1:/var/log ./log -c main`;

export function register(program: Command): void {
  const command = program
    .command("cp <from> <to>")
    .description("copy files and directories into a container, or out of it; tar has to be there")
    .usage("FILE [NAMESPACE/]POD:PATH | [NAMESPACE/]POD:PATH FILE [-c CONTAINER]")
    .option("-n, --namespace <namespace>", "namespace of the pod (default: default)")
    .option("-c, --container <container>", "container whose files are meant (default: the first)")
    .addHelpText("after", EXAMPLES);
  addCluster(command).action(async (from: string, to: string, flags: Flags, self: Command) => {
    const [source, target] = [placeOf(from, flags.namespace), placeOf(to, flags.namespace)];
    if ((source.pod === undefined) === (target.pod === undefined))
      throw usageError("cp: one of the two must be in a pod: POD:PATH, the other on this machine");
    const isCluster = (await clusterApi(self)) !== undefined;
    const { lab, agent } = globals(self);
    const { container, kubeconfig, context } = flags;
    const where = isCluster
      ? { before: [], behind: ["-i", ...named({ kubeconfig, context, container })] }
      : { before: named({ lab, agent }), behind: named({ container }) };
    const inside = insideOf(source.pod === undefined ? target : source, where);
    if (source.pod === undefined) await copyIn(source.path, target.path, inside);
    else await copyOut(source.path, target.path, inside);
  });
}

/** A colon makes it a pod's, but for ./a:b, /a:b and the like. */
export function placeOf(word: string, namespace: string | undefined): Place {
  const at = word.indexOf(":");
  if (at < 0 || /^[./]/.test(word)) return { path: word };
  const [first, second, more] = word.slice(0, at).split("/");
  const path = word.slice(at + 1);
  if (at === 0 || more !== undefined || path === "" || second === "")
    throw usageError(`cp ${word}: write POD:PATH or NAMESPACE/POD:PATH`);
  return second === undefined ? { pod: first, namespace, path } : { pod: second, namespace: first, path };
}

/** The words that run a program in the container. */
type Inside = (words: readonly string[]) => string[];

/** Options of podwire, and of its exec. */
interface Where {
  readonly before: readonly string[];
  readonly behind: readonly string[];
}

const named = (options: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));

function insideOf({ pod = "", namespace }: Place, { before, behind }: Where): Inside {
  const self = [process.execPath, ...process.execArgv, process.argv[1], ...before];
  const options = [...named({ namespace }), ...behind];
  return (words) => [...self, "exec", pod, ...options, "--", ...words];
}

async function copyIn(source: string, target: string, inside: Inside): Promise<void> {
  if (!existsSync(source)) throw new CliError(`cp: ${source}: no such file or directory`);
  const path = resolve(source);
  const isDirectory = await holds(inside(["test", "-d", target]));
  const whole = isDirectory ? posix.join(target, basename(path)) : target.replace(/(.)\/+$/, "$1");
  const [folder, name] = [posix.dirname(whole), posix.basename(whole)];
  const pack = [
    "tar",
    "cf",
    "-",
    "-C",
    dirname(path),
    ...renamed(basename(path), name),
    "--",
    basename(path),
  ];
  await pipeTo(pack, inside(["tar", "xmf", "-", "-C", folder]), `cp ${source}`);
}

async function copyOut(source: string, target: string, inside: Inside): Promise<void> {
  const path = source.replace(/(.)\/+$/, "$1");
  if (!(await holds(inside(["test", "-e", path, "-o", "-L", path]))))
    throw new CliError(`cp: ${path}: no such file or directory in the container`);
  const isDirectory = existsSync(target) && statSync(target).isDirectory();
  const whole = isDirectory ? resolve(target, posix.basename(path)) : resolve(target);
  const base = posix.basename(path);
  const pack = inside(["tar", "cf", "-", "-C", posix.dirname(path), "--", base]);
  const leftOut = await receive(base, whole, (unpack) => pipeTo(pack, unpack, `cp ${source}`));
  if (leftOut.length === 0) return;
  const others = leftOut.length === 1 ? "" : ` and ${leftOut.length - 1} more`;
  note(`warning: ${JSON.stringify(leftOut[0])}${others}: links and devices are not copied`);
}

/** GNU tar's option that calls the copied thing otherwise, and what lies in it. */
function renamed(from: string, to: string): string[] {
  if (from === to) return [];
  const pattern = from.replace(/[.*[\]^$\\]/g, "\\$&");
  const by = "\x1f"; // what parts them: none of a name's letters
  return [`--transform=flags=r;s${by}^${pattern}\\(/\\|$\\)${by}${to.replace(/[&\\]/g, "\\$&")}\\1${by}`];
}

/** What `test` says in the container. Where it cannot be asked, exec's own line is the error. */
async function holds([file, ...args]: string[]): Promise<boolean> {
  const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve(code ?? 1));
  });
  const problem = /^error: (.*)$/m.exec(said)?.[1];
  if (problem !== undefined) throw new CliError(`cp: ${problem}`);
  return status === 0;
}

async function pipeTo(from: readonly string[], to: readonly string[], what: string): Promise<void> {
  const source = spawn(from[0], from.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  const sink = spawn(to[0], to.slice(1), { stdio: ["pipe", "inherit", "inherit"] });
  sink.stdin.on("error", () => {}); // its status says why
  source.stdout.pipe(sink.stdin);
  const ended = [source, sink].map(
    (child) =>
      new Promise<number>((resolve, reject) => {
        child.on("error", (error) => reject(new CliError(`${what}: ${error.message}`)));
        child.on("close", (code) => resolve(code ?? 1));
      }),
  );
  const failed = (await Promise.all(ended)).find((status) => status !== 0);
  if (failed !== undefined) throw new CliError(`${what}: tar ended with status ${failed}`);
}
