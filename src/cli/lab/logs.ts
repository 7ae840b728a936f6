// podwire logs POD | KIND/NAME | -l LABELS [-n NS] [-c CONTAINER] [-f]: what programs have printed.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Pod } from "../../kube/objects.ts";
import type { LogTimes } from "../../lab/pod/log-index.ts";
import { labPaths } from "../../lab/state-dir.ts";
import { callStream } from "../client.ts";
import { globals } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { labelMatcher } from "../objects/get/selector.ts";
import { findPod, listObjects } from "../objects/workload.ts";
import { type RunningLab, runningLab } from "../running-lab.ts";
import { durationMs } from "./duration.ts";
import { LogOutput, type LogSource } from "./log-output.ts";

interface Flags {
  namespace: string;
  container?: string;
  follow?: boolean;
  tail?: string;
  limitBytes?: string;
  allContainers?: boolean;
  selector?: string;
  prefix?: boolean;
  since?: string;
  sinceTime?: string;
  timestamps?: boolean;
  previous?: boolean;
}

interface Source extends LogSource {
  pod: Pod;
  container: string;
  /** Bytes that were read. */
  read: number;
}

const INTERVAL_MS = 200;
/** Lines of each pod, where labels choose them. */
const SELECTED_TAIL = 10;

export function register(program: Command): void {
  program
    .command("logs [workload]")
    .description("what a pod's containers printed since they were started last")
    .usage(
      "POD | KIND/NAME | -l LABELS [-n NAMESPACE] [-c CONTAINER] [-f] [-p] [--tail N] [--since DURATION]",
    )
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("-c, --container <container>", "default: the first")
    .option("--all-containers", "of all containers")
    .option("-l, --selector <labels>", "of all pods with these labels")
    .option("-f, --follow", "go on with what they print, until the pods are gone")
    .option("-p, --previous", "what they printed when they were started the time before")
    .option("--tail <lines>", "only so many lines of what is there (-1: all; default -1, with -l 10)")
    .option("--since <duration>", "only what came in the last 30s, 5m, 1h")
    .option("--since-time <time>", "only what came since 2026-01-01T10:00:00Z")
    .option("--timestamps", "each line with the time when it came")
    .option("--limit-bytes <bytes>", "no more than so many bytes")
    .option("--prefix", "each line with its pod and container")
    .addHelpText(
      "after",
      "\nExamples:\n  podwire logs -f web-1\n  podwire logs deploy/web --tail 10 --timestamps" +
        "\n  podwire logs -l app=web --prefix --since 1m",
    )
    .action(async (workload: string | undefined, flags: Flags, command: Command) => {
      const sinceMs = check(workload, flags);
      const lab = runningLab(globals(command));
      const sources = await sourcesOf(lab, workload, flags);
      const tail = Number(flags.tail ?? (flags.selector === undefined ? -1 : SELECTED_TAIL));
      const limit = flags.limitBytes === undefined ? Number.POSITIVE_INFINITY : Number(flags.limitBytes);
      const out = new LogOutput({ tail, limit, sinceMs, timestamps: flags.timestamps === true });
      for (const source of sources) await first(lab, source, out, flags.previous === true);
      if (flags.follow === true) await follow(lab, sources, out);
    });
}

/** From when on lines are wanted, ms since 1970. */
function check(workload: string | undefined, flags: Flags): number {
  const { since, sinceTime, tail = "-1", limitBytes, previous, follow } = flags;
  if ((workload === undefined) === (flags.selector === undefined))
    throw usageError("logs: of which pod? podwire logs POD, or podwire logs -l LABELS");
  if (!/^(-1|\d+)$/.test(tail)) throw usageError(`--tail ${tail}: use a number of lines, or -1`);
  if (limitBytes !== undefined && !/^[1-9]\d*$/.test(limitBytes))
    throw usageError(`--limit-bytes ${limitBytes}: use a number above 0`);
  if (since !== undefined && sinceTime !== undefined)
    throw usageError("logs: at most one of --since-time and --since may be specified");
  if (previous === true && follow === true)
    throw usageError("logs: what a container printed before does not go on: either -p or -f");
  if (since !== undefined) {
    const ms = durationMs("--since", since);
    if (ms <= 0) throw usageError(`--since ${since}: must be greater than 0`);
    return Date.now() - ms;
  }
  if (sinceTime === undefined) return 0;
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(sinceTime)
    ? Date.parse(sinceTime)
    : Number.NaN;
  if (Number.isNaN(at))
    throw usageError(`--since-time ${sinceTime}: use a time such as 2026-01-01T10:00:00Z`);
  return at;
}

async function sourcesOf(lab: RunningLab, workload: string | undefined, flags: Flags): Promise<Source[]> {
  const pods = await podsOf(lab, workload, flags);
  return pods.flatMap((pod) => {
    const [inits, containers] = [pod.spec.initContainers ?? [], pod.spec.containers].map((list) =>
      list.map((each) => each.name),
    );
    const all = [...inits, ...containers];
    const { container } = flags;
    if (container !== undefined && !all.includes(container))
      throw new CliError(`logs ${pod.metadata.name}: no container "${container}": it has ${all.join(", ")}`);
    const chosen = flags.allContainers === true ? all : [container ?? containers[0]];
    return chosen.map((name) => {
      const prefix = flags.prefix === true ? `[pod/${pod.metadata.name}/${name}] ` : "";
      return { pod, container: name, prefix, read: 0, rest: Buffer.alloc(0) };
    });
  });
}

async function podsOf(lab: RunningLab, workload: string | undefined, flags: Flags): Promise<Pod[]> {
  if (workload !== undefined) return [await findPod(lab, workload, flags.namespace)];
  const fits = labelMatcher(flags.selector);
  const pods = (await listObjects(lab, "pods", flags.namespace)).items as Pod[];
  return pods.filter(fits);
}

function queryOf({ pod, container, read }: Source): URLSearchParams {
  const { namespace = "default", name } = pod.metadata;
  return new URLSearchParams({ namespace, pod: name, container, offset: String(read) });
}

/** What was printed since the last time; a log that began anew is read from its start. */
async function readFrom(lab: RunningLab, source: Source): Promise<Buffer> {
  const path = `/logs?${queryOf(source)}`;
  const stream = await callStream(labPaths(lab.name).socket, `lab ${lab.name}`, { path });
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  source.read += bytes.length;
  return bytes;
}

function timesOf(lab: RunningLab, source: Source): Promise<LogTimes> {
  return lab.call<LogTimes>({ path: `/log-times?${queryOf(source)}` });
}

/** The last start's part of the log, or that of the one before. */
async function first(lab: RunningLab, source: Source, out: LogOutput, previous: boolean): Promise<void> {
  const log = await timesOf(lab, source);
  const bytes = await readFrom(lab, source);
  const begin = log.starts.at(previous ? -2 : -1);
  if (previous && begin === undefined) {
    const what = `previous terminated container "${source.container}" in pod "${source.pod.metadata.name}" not found`;
    throw new CliError(`Error from server (BadRequest): ${what}`);
  }
  const end = previous ? log.starts.at(-1) : bytes.length;
  await out.first(source, bytes.subarray(begin ?? 0, end), begin ?? 0, log.times);
}

/** Until every pod is gone. What a pod printed last is read after it was seen to be gone. */
async function follow(lab: RunningLab, sources: Source[], out: LogOutput): Promise<void> {
  let left = sources;
  while (left.length > 0 && !out.full) {
    await sleep(INTERVAL_MS);
    const pods = new Set((await listObjects(lab, "pods")).items.map((pod) => pod.metadata.uid));
    for (const source of left) {
      const from = source.read;
      const bytes = await readFrom(lab, source);
      if (bytes.length === 0) continue;
      const times = out.wantsTimes ? (await timesOf(lab, source)).times : [];
      await out.more(source, bytes, from, times);
    }
    left = left.filter((source) => pods.has(source.pod.metadata.uid));
  }
}
