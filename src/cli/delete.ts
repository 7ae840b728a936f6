// podwire delete -f FILE… | KIND NAME… | KIND/NAME…
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Outcome } from "../control/cluster.ts";
import { WORKLOADS } from "../control/kinds.ts";
import { globals, note, progress } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { collect, namespaceBody, readAll } from "./manifests.ts";
import { type Outcomes, printOutcomes } from "./outcomes.ts";
import { type RunningLab, runningLab } from "./running-lab.ts";
import { listObjects } from "./workload.ts";

interface Flags {
  filename?: string[];
  namespace?: string;
  gracePeriod?: string;
  wait: boolean;
  timeout: string;
}

const POLL_MS = 50;

export function register(program: Command): void {
  program
    .command("delete [words...]")
    .description("delete objects by manifest, or by kind and name")
    .usage("-f FILE… | KIND NAME… | KIND/NAME…")
    .option("-f, --filename <file>", "file, directory, or - for standard input; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace of the objects (default: their own, or default)")
    .option("--grace-period <seconds>", "instead of the pod's own")
    .option("--no-wait", "do not wait until pods have ended")
    .option("--timeout <seconds>", "how long to wait", "120")
    .action(async (words: string[], flags: Flags, command: Command) => {
      const wanted = bodies(words, flags);
      const lab = runningLab(globals(command));
      const before = await podKeys(lab);
      const items: Outcome[] = [];
      const notes: string[] = [];
      for (const body of wanted) {
        const answer = await lab.call<Outcomes>({ method: "POST", path: "/delete", body });
        items.push(...answer.items);
        notes.push(...answer.notes);
      }
      if (items.length === 0) note("No resources found"); // kubectl's words and status
      await printOutcomes(globals(command), { items, notes });
      if (flags.wait) await waitForPods(lab, before, items, Number(flags.timeout) * 1000);
    });
}

function bodies(words: string[], flags: Flags): object[] {
  const grace = flags.gracePeriod === undefined ? {} : { graceSeconds: Number(flags.gracePeriod) };
  const common = { ...namespaceBody(flags.namespace), ...grace };
  if (flags.filename !== undefined) {
    if (words.length > 0) throw usageError("delete: either -f FILE or KIND NAME, not both");
    return [{ ...common, manifests: readAll(flags.filename) }];
  }
  if (words.length === 0)
    throw usageError("delete: what? podwire delete -f FILE, or podwire delete KIND NAME");
  if (words[0].includes("/")) {
    return words.map((word) => {
      const [kind, name] = word.split("/", 2);
      if (!name) throw usageError(`delete ${word}: write KIND/NAME`);
      return { ...common, kind, names: [name] };
    });
  }
  const [kind, ...names] = words;
  if (names.length === 0) throw usageError(`delete ${kind}: which one? podwire delete ${kind} NAME`);
  return [{ ...common, kind, names }];
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
