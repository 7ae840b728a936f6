// podwire logs POD | KIND/NAME | -l LABELS [-n NS] [-c CONTAINER] [-f]: what programs have printed.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Pod } from "../../kube/objects.ts";
import { type ApiClient, pathOf, type Query, type Stream } from "../api/api-client.ts";
import type { ApiError } from "../api/api-error.ts";
import { listKind } from "../api/list-kind.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { globals, note } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import type { ObjectHolder } from "../nodes/nodes.ts";
import { labelMatcher } from "../objects/get/selector.ts";
import { findPod, listObjects } from "../objects/workload.ts";
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
  readonly pod: Pod;
  readonly container: string;
}

/** Until a container's next start is looked for. */
const AGAIN_MS = 200;
const CLUSTER_AGAIN_MS = 1000;
/** Lines of each pod, where labels choose them. */
const SELECTED_TAIL = 10;

export function register(program: Command): void {
  const command = program
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
    );
  addCluster(command).action(async (workload: string | undefined, flags: Flags, self: Command) => {
    check(workload, flags);
    globals(self); // output forms: none of logs' own
    const api = await openApi(self);
    const sources = await sourcesOf(api, workload, flags);
    const limit = flags.limitBytes === undefined ? Number.POSITIVE_INFINITY : Number(flags.limitBytes);
    const out = new LogOutput({ limit, timestamps: flags.timestamps === true });
    const query = queryOf(flags, api.isLab);
    if (flags.follow !== true) for (const source of sources) await printOnce(api, source, out, query);
    else await Promise.all(sources.map((source) => follow(api, source, out, query)));
  });
}

function check(workload: string | undefined, flags: Flags): void {
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
  if (since !== undefined && durationMs("--since", since) <= 0)
    throw usageError(`--since ${since}: must be greater than 0`);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(sinceTime ?? "");
  if (sinceTime !== undefined && !(isTime && !Number.isNaN(Date.parse(sinceTime))))
    throw usageError(`--since-time ${sinceTime}: use a time such as 2026-01-01T10:00:00Z`);
}

/** A cluster's clock is another one, which counts whole seconds. */
function queryOf(flags: Flags, isLab: boolean): Query {
  const { since, sinceTime, selector, limitBytes, timestamps, previous } = flags;
  const tail = Number(flags.tail ?? (selector === undefined ? -1 : SELECTED_TAIL));
  const ms = since === undefined ? undefined : durationMs("--since", since);
  const from = ms === undefined || !isLab ? sinceTime : new Date(Date.now() - ms).toISOString();
  return {
    ...(tail < 0 ? {} : { tailLines: tail }),
    ...(from === undefined ? {} : { sinceTime: from }),
    ...(ms === undefined || isLab ? {} : { sinceSeconds: Math.ceil(ms / 1000) }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(timestamps === true ? { timestamps } : {}),
    ...(previous === true ? { previous } : {}),
  };
}

async function sourcesOf(api: ApiClient, workload: string | undefined, flags: Flags): Promise<Source[]> {
  const pods = await podsOf(api, workload, flags);
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
      return { pod, container: name, prefix, rest: Buffer.alloc(0) };
    });
  });
}

async function podsOf(api: ApiClient, workload: string | undefined, flags: Flags): Promise<Pod[]> {
  const holder: ObjectHolder = { list: (word, namespace) => listKind(api, word, namespace) };
  if (workload !== undefined) return [await findPod(holder, workload, flags.namespace)];
  const fits = labelMatcher(flags.selector);
  const pods = (await listObjects(holder, "pods", flags.namespace)).items as Pod[];
  return pods.filter(fits);
}

async function openLog(api: ApiClient, source: Source, query: Query): Promise<Stream<Uint8Array>> {
  const { namespace, name } = source.pod.metadata;
  const place = { resource: await api.resource("pods"), namespace, name, subresource: "log" };
  const path = pathOf(place, { ...query, container: source.container });
  return api.bytes({ method: "GET", path, accept: "*/*" });
}

async function printOnce(api: ApiClient, source: Source, out: LogOutput, query: Query): Promise<void> {
  let log: Stream<Uint8Array>;
  try {
    log = await openLog(api, source, query);
  } catch (error) {
    if (!isNotStarted(error)) throw error;
    return note((error as ApiError).status.message ?? ""); // it has printed nothing yet
  }
  await copy(log, source, out);
}

async function copy(log: Stream<Uint8Array>, source: Source, out: LogOutput): Promise<void> {
  for await (const bytes of log.items) {
    await out.put(source, Buffer.from(bytes));
    if (!out.full) continue;
    log.close();
    return;
  }
  await out.end(source);
}

function isNotStarted(error: unknown): boolean {
  const { status } = error as Partial<ApiError>;
  return status?.code === 400 && / is waiting to start: /.test(status.message ?? "");
}

/** Over the container's starts, until its pod has ended or is gone. */
async function follow(api: ApiClient, source: Source, out: LogOutput, query: Query): Promise<void> {
  const { container, pod } = source;
  const { namespace, name, uid } = pod.metadata;
  const place = { resource: await api.resource("pods"), namespace, name };
  let wishes: Query = { ...query, follow: true };
  let shown = -1; // starts before the one that is shown
  for (let now = pod; ; ) {
    const starts = startsOf(now, container);
    if (starts > shown) {
      const isShown = await openLog(api, source, wishes).then(
        (log) => copy(log, source, out).then(() => true),
        (error: unknown) => {
          if (!isNotStarted(error) && (error as ApiError).code !== "NOT_FOUND") throw error;
          return false;
        },
      );
      if (isShown) {
        shown = starts;
        wishes = { ...ALL_OF_IT, ...pick(query) };
      }
    }
    const { phase } = now.status;
    if (phase === "Succeeded" || phase === "Failed") return;
    await sleep(api.isLab ? AGAIN_MS : CLUSTER_AGAIN_MS);
    const next = await api.find<Pod>(place);
    if (next === undefined || next.metadata.uid !== uid || out.full) return;
    now = next;
  }
}

/** Of a later start. */
const ALL_OF_IT: Query = { follow: true };

function pick({ timestamps }: Query): Query {
  return timestamps === undefined ? {} : { timestamps };
}

function startsOf({ status }: Pod, container: string): number {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.find(({ name }) => name === container)?.restartCount ?? 0;
}
