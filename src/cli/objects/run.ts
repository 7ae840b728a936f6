// podwire run NAME --image=IMAGE [-- ARG…]: a pod from words. With --rm -i[t] one for a program that has this terminal:
// the pod waits, and the program runs beside it as podwire exec runs one, so that it has this terminal and its status is
// the command's.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Pod } from "../../kube/objects.ts";
import { checkPrivileges } from "../../lab/preconditions.ts";
import type { ApiClient, Place } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { globalsButOutput, note, print, progress } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { runInWorkload } from "../lab/exec.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { type Draft, draft } from "./create/parts.ts";
import { createDraft, type SendFlags, sendDrafts } from "./create/send-drafts.ts";
import { type PodFlags, podDraft, runLabels } from "./create/workload-drafts.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { collect } from "./manifests.ts";

interface Flags extends PodFlags, SendFlags {
  expose?: boolean;
  rm?: boolean;
  quiet?: boolean;
  podRunningTimeout: string;
}

const EXAMPLES = `
Examples:
  podwire run web --image=podwire/echo --port=8080 --expose
  podwire run once --image=busybox --restart=Never --command -- sh -c 'echo hello'
  podwire run try --rm -it --image=busybox -- sh
  podwire run web --image=nginx --dry-run=client -o yaml`;
/** What a pod does whose program runs beside it. */
const WAITER = ["sleep", "infinity"];
const POLL_MS = 50;

export function register(program: Command): void {
  const command = program
    .command("run <name> [words...]")
    .description("make a pod of an image; with --rm -it one for a program that has this terminal")
    .usage("NAME --image=IMAGE [--port=PORT] [--env=NAME=VALUE…] [-n NAMESPACE] [--command] [-- ARG…]")
    .option("--image <image>", "image to run")
    .option("-n, --namespace <namespace>", "namespace of the pod (default: default)")
    .option("--command", "the words are the program, not arguments of the image's own")
    .option("--restart <policy>", "Always, OnFailure or Never", "Always")
    .option("--port <port>", "port of the container")
    .option("--expose", "a service for that port, too")
    .option("--env <pair>", "NAME=VALUE; may be repeated", collect)
    .option("-l, --labels <labels>", "KEY=VALUE,… (default: run=NAME)")
    .option("--annotations <pair>", "KEY=VALUE; may be repeated", collect)
    .option("--image-pull-policy <policy>", "Always, IfNotPresent or Never")
    .option("--privileged", "a privileged container")
    .option("-i, --stdin", "run the words with this standard input; goes with --rm")
    .option("-t, --tty", "with this terminal; goes with -i")
    .option("--rm", "delete the pod when the program has ended; goes with -i")
    .option("-q, --quiet", "with -i: say nothing of the pod")
    .option("--pod-running-timeout <duration>", "with -i: how long the pod may take to run", "60s")
    .addHelpText("after", EXAMPLES);
  addCluster(addDryRun(command)).action(run);
}

async function run(name: string, words: string[], flags: Flags, command: Command): Promise<void> {
  checkFlags(flags);
  const place = { name, namespace: flags.namespace };
  if (flags.stdin !== true) {
    const drafts = [podDraft(place, flags, words)];
    if (flags.expose === true) drafts.push(serviceOf(name, flags));
    return sendDrafts(command, drafts, flags);
  }
  const { stdin: _stdin, tty: _tty, ...rest } = flags;
  const pod = podDraft(place, { ...rest, command: true }, WAITER);
  checkPrivileges(`run ${name}`);
  const api = await openApi(command);
  if (!api.isLab) throw usageError("run -i: works in labs: of a cluster use kubectl run");
  const timeoutMs = durationMs("--pod-running-timeout", flags.podRunningTimeout);
  const namespace = flags.namespace ?? "default";
  const at = { resource: await api.resource("pods"), namespace, name };
  await createDraft(api, pod, namespace);
  try {
    await untilRunning(api, at, timeoutMs);
    if (flags.tty === true && process.stdin.isTTY !== true)
      note("Unable to use a TTY - input is not a terminal or the right kind of file");
    const nodes = await openNodes(globalsButOutput(command));
    const program = words.length === 0 ? ["sh"] : words;
    process.exitCode = await runInWorkload(nodes, name, { namespace }, program);
  } finally {
    progress("");
    await api.delete(at, { gracePeriodSeconds: 0 });
    if (flags.quiet !== true) await print(`pod "${name}" deleted`);
  }
}

function checkFlags(flags: Flags): void {
  if (flags.tty === true && flags.stdin !== true)
    throw usageError("run -t: -i/--stdin is required for containers with -t/--tty=true");
  if (flags.expose === true && flags.port === undefined)
    throw usageError("run --expose: --port must be set when exposing a service");
  if (flags.rm === true && flags.stdin !== true)
    throw usageError("run --rm: goes with -i: a pod of its own ends when it is deleted");
  if (flags.stdin !== true) return;
  if (flags.rm !== true)
    throw usageError("run -i: needs --rm: the pod is there for the program alone, which runs beside it");
  if (strategyOf(flags.dryRun) !== "none") throw usageError("run -i: --dry-run can't be used with it");
  if (flags.expose === true) throw usageError("run -i: --expose can't be used with it");
}

/** Labels of the user alone, and what selects the pod. */
function serviceOf(name: string, { namespace, labels, port = "" }: Flags): Draft {
  const number = Number(port);
  const own = labels === undefined || labels === "" ? undefined : runLabels(name, labels);
  const spec = {
    selector: runLabels(name, labels),
    ports: [{ port: number, protocol: "TCP", targetPort: number }],
  };
  return draft("v1", "Service", { name, namespace, labels: own }, { spec });
}

async function untilRunning(api: ApiClient, at: Place, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const pod = await api.find<Pod>(at);
    const phase = pod?.status.phase ?? "Pending";
    if (pod !== undefined && phase === "Running") return;
    if (pod === undefined || phase === "Failed" || phase === "Succeeded")
      throw new CliError(`run ${at.name}: its pod ended before the program could begin`);
    if (Date.now() > until)
      throw new CliError(
        `run ${at.name}: timed out waiting for its pod: podwire describe pod ${at.name} says why`,
      );
    progress(`waiting for pod ${at.name}`);
    await sleep(POLL_MS);
  }
}
