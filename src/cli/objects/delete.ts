// podwire delete -f FILE… | KIND NAME… | KIND/NAME… | KIND -l LABELS | KIND --all
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { notFound, type Outcome, outcome } from "../../cluster/outcome.ts";
import { WORKLOADS } from "../../kube/kinds.ts";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import { ApiError } from "../api/api-error.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { note, progress } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { type Doomed, fittingObjects, namedObjects, type TargetFlags, wantedOf } from "./delete-targets.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { collect, readAll } from "./manifests.ts";
import { outcomeForm, printOutcomes } from "./outcomes.ts";

interface Flags extends TargetFlags {
  gracePeriod?: string;
  force?: boolean;
  now?: boolean;
  wait: boolean;
  timeout: string;
  dryRun?: string;
}

const POLL_MS = 50;
const CLUSTER_POLL_MS = 500;

export function register(program: Command): void {
  const command = program
    .command("delete [words...]")
    .description("delete objects by manifest, by kind and name, or by labels")
    .usage("-f FILE… | KIND NAME… | KIND/NAME… | KIND (-l LABELS | --all) [-n NAMESPACE | -A]")
    .option("-f, --filename <file>", "file, directory, or - for standard input; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace of the objects (default: their own, or default)")
    .option("-l, --selector <labels>", "all of the kind with these labels")
    .option("--field-selector <fields>", "all of the kind with these fields")
    .option("--all", "all of the kind in the namespace")
    .option("-A, --all-namespaces", "of all namespaces, with -l or --all")
    .option("--ignore-not-found", "what is not there is no error")
    .option("--grace-period <seconds>", "instead of the pod's own")
    .option("--now", "as --grace-period 1")
    .option("--force", "as --grace-period 0")
    .option("--wait", "wait until pods have ended", true)
    .option("--no-wait", "do not wait until pods have ended")
    .option("--timeout <duration>", "how long to wait", "120s");
  addCluster(addDryRun(command)).action(run);
}

async function run(words: string[], flags: Flags, command: Command): Promise<void> {
  const form = outcomeForm(command);
  const dryRun = strategyOf(flags.dryRun);
  const timeoutMs = durationMs("--timeout", flags.timeout);
  const { graceSeconds } = graceOf(flags);
  const wanted = wantedOf(words, flags);
  const texts = flags.filename === undefined ? [] : readAll(flags.filename);
  const api = await openApi(command);
  const doomed = inOrder([
    ...(flags.filename === undefined ? [] : await manifestObjects(api, texts, flags.namespace)),
    ...(await namedObjects(api, wanted.targets)),
    ...(await fittingObjects(api, wanted.kinds, flags)),
  ]);
  await refuseNeeded(api, doomed);
  const waits = flags.wait && dryRun === "none" ? await podsBefore(api, doomed) : undefined;
  const items: Outcome[] = [];
  const missing: string[] = [];
  const ending: Ending[] = [];
  const failure = await removeAll(api, doomed, {
    options: { gracePeriodSeconds: graceSeconds, isDryRun: dryRun !== "none" },
    gone: (each) => items.push(outcomeOf(each)),
    missing: (line) => missing.push(line),
    ending: (each, object) => ending.push({ ...each, uid: object.metadata.uid }),
  });
  // kubectl's words and status.
  if (items.length + missing.length === 0 && failure === undefined) note("No resources found");
  await printOutcomes(form, { items, notes: [] }, dryRun);
  if (failure !== undefined) throw failure;
  if (flags.wait && dryRun === "none") await waitForEnd(api, ending, waits, timeoutMs);
  if (missing.length > 0 && flags.ignoreNotFound !== true)
    throw new CliError([...new Set(missing)].join("\n"), 1, "NOT_FOUND");
}

/** With these all goes that is in them. */
const HOLDERS = ["CustomResourceDefinition", "Namespace"];

function inOrder(doomed: readonly Doomed[]): Doomed[] {
  const rank = ({ resource }: Doomed): number => HOLDERS.indexOf(resource.kind);
  return [...doomed].sort((a, b) => rank(a) - rank(b));
}

/** What manifests name. */
async function manifestObjects(
  api: ApiClient,
  texts: readonly ManifestText[],
  given: string | undefined,
): Promise<Doomed[]> {
  const { readManifests } = await import("../api/read-manifests.ts");
  return (await readManifests(api, texts, given)).map(({ resource, manifest, object }) => {
    const { namespace, name } = object.metadata;
    return { resource, namespace, name, file: manifest.problem([], "").file };
  });
}

/** Namespaces that every cluster needs are the ones that a server does not let go: asked before anything goes. */
async function refuseNeeded(api: ApiClient, doomed: readonly Doomed[]): Promise<void> {
  const lines: string[] = [];
  for (const each of doomed.filter(({ resource }) => resource.kind === "Namespace")) {
    try {
      await api.delete(each, { isDryRun: true });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code === "NOT_FOUND") continue;
      lines.push(withFile(error.message, each));
    }
  }
  if (lines.length > 0) throw new CliError(lines.join("\n"), 1, "FORBIDDEN");
}

interface Removal {
  readonly options: { gracePeriodSeconds: number | undefined; isDryRun: boolean };
  gone(each: Doomed): void;
  /** A line that says so. */
  missing(line: string): void;
  /** It is still there: it ends gracefully, or somebody has to take finalizers off. */
  ending(each: Doomed, object: KubeObject): void;
}

/** Why it did not come to the end; the others are gone by then. */
async function removeAll(
  api: ApiClient,
  doomed: readonly Doomed[],
  { options, gone, missing, ending }: Removal,
): Promise<Error | undefined> {
  for (const each of doomed) {
    try {
      const answer = (await api.delete(each, options)) as KubeObject;
      gone(each);
      if (answer.kind !== "Status") ending(each, answer);
    } catch (error) {
      if (!(error instanceof ApiError)) return error as Error;
      if (error.code !== "NOT_FOUND") return new CliError(withFile(error.message, each));
      missing(notFound(each.resource, each.name, each.file));
    }
  }
  return undefined;
}

function withFile(message: string, { file }: Doomed): string {
  const name = JSON.stringify(file === "-" ? "STDIN" : file);
  return file === undefined
    ? message
    : message.replace(/^(Error from server \(\w+\): )/, `$1error when deleting ${name}: `);
}

function outcomeOf({ resource, namespace, name }: Doomed): Outcome {
  const { kind, apiVersion, singular, plural, shortNames, namespaced } = resource;
  const info = { kind, apiVersion, singular, plural, shortNames, namespaced, stored: true };
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  return outcome(info, { apiVersion, kind, metadata }, "deleted");
}

function graceOf({ gracePeriod, now, force }: Flags): { graceSeconds?: number } {
  const given = [gracePeriod, now, force].filter((each) => each !== undefined).length;
  if (now === true && given > 1) throw usageError("delete --now: leave --grace-period and --force out");
  if (gracePeriod !== undefined && !/^\d+$/.test(gracePeriod) && gracePeriod !== "-1")
    throw usageError(`--grace-period ${gracePeriod}: use a number of seconds`);
  if (force === true && gracePeriod !== undefined && gracePeriod !== "0")
    throw usageError("delete --force: ends pods at once: leave --grace-period out, or use 0");
  if (force === true) return { graceSeconds: 0 };
  if (now === true) return { graceSeconds: 1 };
  return gracePeriod === undefined || gracePeriod === "-1" ? {} : { graceSeconds: Number(gracePeriod) };
}

type Ending = Doomed & { readonly uid: string | undefined };

/** In a lab also what goes with an object is waited for: pods of a workload, of a namespace. */
const WITH_PODS = ["Namespace", ...WORKLOADS];

/** uid of every pod: one of the same name may come right after the deleted one. Undefined: none goes with these. */
async function podsBefore(api: ApiClient, doomed: readonly Doomed[]): Promise<Set<string> | undefined> {
  if (!api.isLab || !doomed.some(({ resource }) => WITH_PODS.includes(resource.kind))) return undefined;
  return new Set((await allPods(api)).map(({ metadata }) => metadata.uid ?? ""));
}

async function allPods(api: ApiClient): Promise<KubeObject[]> {
  return (await api.list({ resource: await api.resource("pods") })).items;
}

/** A deleted pod is there until its programs have ended; what was there before and is going is waited for. */
async function waitForEnd(
  api: ApiClient,
  ending: readonly Ending[],
  before: Set<string> | undefined,
  timeoutMs: number,
): Promise<void> {
  const until = Date.now() + timeoutMs;
  let left = [...ending];
  for (;;) {
    const now = await Promise.all(left.map((each) => api.find(each)));
    left = left.filter((each, i) => now[i] !== undefined && now[i]?.metadata.uid === each.uid);
    const going = before === undefined ? [] : (await allPods(api)).filter((pod) => isGoing(pod, before));
    const names = [
      ...left.map(({ resource, name }) => `${resource.singular} ${name}`),
      ...going.map(({ metadata }) => `pod ${metadata.name}`),
    ];
    if (names.length === 0) return progress("");
    progress(`waiting for ${names.length} ${before === undefined ? "objects" : "pods"} to end`);
    if (Date.now() > until)
      throw new CliError(`delete: ${names[0]}: still ending after ${timeoutMs / 1000} s`);
    await sleep(api.isLab ? POLL_MS : CLUSTER_POLL_MS);
  }
}

function isGoing({ metadata }: KubeObject, before: ReadonlySet<string>): boolean {
  return metadata.deletionTimestamp !== undefined && before.has(metadata.uid ?? "");
}
