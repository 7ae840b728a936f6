// podwire delete -f FILE… | KIND NAME… | KIND/NAME… | KIND -l LABELS | KIND --all
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Outcome } from "../../cluster/outcome.ts";
import { notFound } from "../../cluster/outcome.ts";
import { kindNamed, WORKLOADS } from "../../kube/kinds.ts";
import { note, progress } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { type RunningLab, runningLab } from "../running-lab.ts";
import { findTargets, type Target, type TargetFlags, wantedOf } from "./delete-targets.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { collect, namespaceBody } from "./manifests.ts";
import { type Outcomes, outcomeForm, printOutcomes } from "./outcomes.ts";
import { listObjects } from "./workload.ts";

interface Flags extends TargetFlags {
  gracePeriod?: string;
  force?: boolean;
  now?: boolean;
  wait: boolean;
  timeout: string;
  dryRun?: string;
}

const POLL_MS = 50;

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
  addDryRun(command).action(run);
}

async function run(words: string[], flags: Flags, command: Command): Promise<void> {
  const form = outcomeForm(command);
  const dryRun = strategyOf(flags.dryRun);
  const timeoutMs = durationMs("--timeout", flags.timeout);
  const waits = flags.wait && dryRun === "none";
  const call = { ...namespaceBody(flags.namespace), ...graceOf(flags), dryRun: dryRun !== "none" };
  const wanted = wantedOf(words, flags);
  const lab = runningLab(form);
  const targets = [...wanted.targets, ...(await findTargets(lab, wanted.kinds, flags))];
  const before = await podKeys(lab);
  const done: Outcomes = { items: [], notes: [] };
  const missing: string[] = [];
  for (const target of targets) {
    const answer = await remove(lab, { ...call, ...target }, missing);
    missing.push(...answer.items.filter((item) => item.action === "not found").map(missingLine));
    done.items.push(...answer.items.filter((item) => item.action !== "not found"));
    done.notes.push(...answer.notes);
  }
  if (done.items.length + missing.length === 0) note("No resources found"); // kubectl's words and status
  await printOutcomes(form, done, dryRun);
  if (waits) await waitForPods(lab, before, done.items, timeoutMs);
  if (missing.length > 0 && flags.ignoreNotFound !== true)
    throw new CliError([...new Set(missing)].join("\n"), 1, "NOT_FOUND");
}

/** Where nothing of a call is there the lab refuses it: its words are kept for the end. */
async function remove(lab: RunningLab, body: Target, missing: string[]): Promise<Outcomes> {
  try {
    return await lab.call<Outcomes>({ method: "POST", path: "/delete", body });
  } catch (error) {
    if ((error as CliError).code !== "NOT_FOUND") throw error;
    missing.push(...(error as CliError).message.split("\n"));
    return { items: [], notes: [] };
  }
}

function missingLine({ kind, name }: Outcome): string {
  return notFound(kindNamed(kind), name);
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

/** uid of every pod: a pod of the same name may come right after the deleted one. */
async function podKeys(lab: RunningLab): Promise<Set<string>> {
  const { items } = await listObjects(lab, "pods");
  return new Set(items.map((pod) => pod.metadata.uid ?? ""));
}

/** A deleted pod is there until its programs have ended; what was there before and is going is waited for. */
async function waitForPods(
  lab: RunningLab,
  before: Set<string>,
  items: Outcome[],
  timeoutMs: number,
): Promise<void> {
  if (!items.some((item) => ["Pod", "Namespace", ...WORKLOADS].includes(item.kind))) return;
  const until = Date.now() + timeoutMs;
  for (;;) {
    const pods = (await listObjects(lab, "pods")).items;
    const going = pods.filter(
      (p) => p.metadata.deletionTimestamp !== undefined && before.has(p.metadata.uid ?? ""),
    );
    if (going.length === 0) return progress("");
    progress(`waiting for ${going.length} pods to end`);
    if (Date.now() > until) {
      throw new CliError(`delete: pod ${going[0].metadata.name}: still ending after ${timeoutMs / 1000} s`);
    }
    await sleep(POLL_MS);
  }
}
