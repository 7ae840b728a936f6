// podwire logs POD | KIND/NAME | -l LABELS [-n NS] [-c CONTAINER] [-f]: what programs have printed.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Pod } from "../control/objects.ts";
import { labPaths } from "../lab/state-dir.ts";
import { callStream } from "./client.ts";
import { globals } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { labelMatcher } from "./get/selector.ts";
import { type RunningLab, runningLab } from "./running-lab.ts";
import { findPod, listObjects } from "./workload.ts";

interface Flags {
  namespace: string;
  container?: string;
  follow?: boolean;
  tail: string;
  limitBytes?: string;
  allContainers?: boolean;
  selector?: string;
  prefix?: boolean;
  since?: string;
  sinceTime?: string;
  timestamps?: boolean;
  previous?: boolean;
}

interface Source {
  pod: Pod;
  container: string;
  prefix: string;
  /** Bytes that were read. */
  read: number;
  /** What stands after the last line end. */
  rest: string;
}

const INTERVAL_MS = 200;

export function register(program: Command): void {
  program
    .command("logs [workload]")
    .description("what a pod's containers printed, of all its starts")
    .usage("POD | KIND/NAME | -l LABELS [-n NAMESPACE] [-c CONTAINER] [-f] [--tail N]")
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("-c, --container <container>", "default: the first")
    .option("--all-containers", "of all containers")
    .option("-l, --selector <labels>", "of all pods with these labels")
    .option("-f, --follow", "go on with what they print, until the pods are gone")
    .option("--tail <lines>", "only so many lines of what is there (-1: all)", "-1")
    .option("--limit-bytes <bytes>", "no more than so many bytes")
    .option("--prefix", "each line with its pod and container")
    .addOption(program.createOption("--since <duration>").hideHelp())
    .addOption(program.createOption("--since-time <time>").hideHelp())
    .addOption(program.createOption("--timestamps").hideHelp())
    .addOption(program.createOption("-p, --previous").hideHelp())
    .addHelpText(
      "after",
      "\nExamples:\n  podwire logs -f web-1\n  podwire logs deploy/web --tail 10\n  podwire logs -l app=web --prefix",
    )
    .action(async (workload: string | undefined, flags: Flags, command: Command) => {
      check(workload, flags);
      const lab = runningLab(globals(command));
      const sources = await sourcesOf(lab, workload, flags);
      const out = new Output(flags);
      for (const source of sources) await out.first(source, await readFrom(lab, source));
      if (flags.follow === true) await follow(lab, sources, out);
    });
}

function check(workload: string | undefined, flags: Flags): void {
  for (const [option, given] of [
    ["--since", flags.since],
    ["--since-time", flags.sinceTime],
    ["--timestamps", flags.timestamps],
  ] as const) {
    if (given !== undefined)
      throw usageError(`logs ${option}: a lab keeps no time with what programs print: use --tail`);
  }
  if (flags.previous === true)
    throw usageError("logs --previous: a container's starts share one log: leave it out");
  if ((workload === undefined) === (flags.selector === undefined))
    throw usageError("logs: of which pod? podwire logs POD, or podwire logs -l LABELS");
  if (!/^(-1|\d+)$/.test(flags.tail)) throw usageError(`--tail ${flags.tail}: use a number of lines, or -1`);
  if (flags.limitBytes !== undefined && !/^[1-9]\d*$/.test(flags.limitBytes))
    throw usageError(`--limit-bytes ${flags.limitBytes}: use a number above 0`);
}

async function sourcesOf(lab: RunningLab, workload: string | undefined, flags: Flags): Promise<Source[]> {
  const pods = await podsOf(lab, workload, flags);
  return pods.flatMap((pod) => {
    const containers = pod.spec.containers.map((each) => each.name);
    const { container } = flags;
    if (container !== undefined && !containers.includes(container))
      throw new CliError(
        `logs ${pod.metadata.name}: no container "${container}": it has ${containers.join(", ")}`,
      );
    const chosen = flags.allContainers === true ? containers : [container ?? containers[0]];
    return chosen.map((name) => {
      const prefix = flags.prefix === true ? `[pod/${pod.metadata.name}/${name}] ` : "";
      return { pod, container: name, prefix, read: 0, rest: "" };
    });
  });
}

async function podsOf(lab: RunningLab, workload: string | undefined, flags: Flags): Promise<Pod[]> {
  if (workload !== undefined) return [await findPod(lab, workload, flags.namespace)];
  const fits = labelMatcher(flags.selector);
  const pods = (await listObjects(lab, "pods", flags.namespace)).items as Pod[];
  return pods.filter(fits);
}

/** What was printed since the last time; a log that began anew is read from its start. */
async function readFrom(lab: RunningLab, source: Source): Promise<string> {
  const { namespace = "default", name } = source.pod.metadata;
  const query = new URLSearchParams({
    namespace,
    pod: name,
    container: source.container,
    offset: String(source.read),
  });
  const stream = await callStream(labPaths(lab.name).socket, `lab ${lab.name}`, { path: `/logs?${query}` });
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  source.read += bytes.length;
  return bytes.toString("utf8");
}

/** Until every pod is gone. What a pod printed last is read after it was seen to be gone. */
async function follow(lab: RunningLab, sources: Source[], out: Output): Promise<void> {
  let left = sources;
  while (left.length > 0 && !out.full) {
    await sleep(INTERVAL_MS);
    const pods = new Set((await listObjects(lab, "pods")).items.map((pod) => pod.metadata.uid));
    for (const source of left) await out.more(source, await readFrom(lab, source));
    left = left.filter((source) => pods.has(source.pod.metadata.uid));
  }
}

/** Writes text as it comes; with a prefix whole lines only. */
class Output {
  readonly #tail: number;
  #left: number;

  constructor(flags: Flags) {
    this.#tail = Number(flags.tail);
    this.#left = flags.limitBytes === undefined ? Number.POSITIVE_INFINITY : Number(flags.limitBytes);
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  async first(source: Source, text: string): Promise<void> {
    if (this.#tail < 0) return this.more(source, text);
    const lines = text.split(/(?<=\n)/);
    await this.more(source, this.#tail === 0 ? "" : lines.slice(-this.#tail).join(""));
  }

  async more(source: Source, text: string): Promise<void> {
    if (source.prefix === "") return this.#write(text);
    const lines = (source.rest + text).split("\n");
    source.rest = lines.pop() ?? "";
    await this.#write(lines.map((line) => `${source.prefix}${line}\n`).join(""));
  }

  async #write(text: string): Promise<void> {
    if (text === "" || this.full) return;
    const bytes = Buffer.from(text).subarray(0, Math.min(this.#left, Number.MAX_SAFE_INTEGER));
    this.#left -= bytes.length;
    await new Promise((resolve) => process.stdout.write(bytes, resolve));
  }
}
