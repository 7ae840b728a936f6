// podwire run NAME --image=IMAGE [-- ARG…]: a pod from words. With -i[t] this terminal is attached to its program, by the
// API. With --rm in a lab the pod waits instead, and the words run beside it as podwire exec runs them: so they have this
// very terminal, and their status is the command's.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Pod } from "../../kube/objects.ts";
import { checkPrivileges } from "../../lab/preconditions.ts";
import { type ApiClient, type Place, pathOf } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { runSession } from "../api/pod-session.ts";
import { globalsButOutput, note, print, progress } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { ownTerminal, runInWorkload } from "../lab/exec.ts";
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
    .description("make a pod of an image; with -it its program has this terminal")
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
    .option("-i, --stdin", "attach this standard input to the program")
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
  const timeoutMs = durationMs("--pod-running-timeout", flags.podRunningTimeout);
  const api = await openApi(command);
  const namespace = flags.namespace ?? "default";
  const at = { resource: await api.resource("pods"), namespace, name };
  const isBeside = api.isLab && flags.rm === true;
  const tty = ownTerminal(flags);
  const draft = isBeside ? waiter(place, flags) : podDraft(place, { ...flags, tty }, words);
  if (isBeside) checkPrivileges(`run ${name}`);
  await createDraft(api, draft, namespace);
  try {
    const phase = await untilRunning(api, at, timeoutMs);
    if (isBeside && phase !== "Running")
      throw new CliError(`run ${name}: its pod ended before the program could begin`);
    if (isBeside) process.exitCode = await runBeside(at, words, command);
    else process.exitCode = await runAttached(api, at, { ...flags, tty }, phase === "Running");
  } finally {
    progress("");
    if (flags.rm === true) {
      await api.delete(at, { gracePeriodSeconds: 0 });
      if (flags.quiet !== true) await print(`pod "${name}" deleted`);
    }
  }
}

/** A pod that does nothing, for a program beside it. */
function waiter(place: { name: string; namespace: string | undefined }, flags: Flags): Draft {
  const { stdin: _stdin, tty: _tty, ...rest } = flags;
  return podDraft(place, { ...rest, command: true }, WAITER);
}

async function runBeside(
  { name = "", namespace }: Place,
  words: string[],
  command: Command,
): Promise<number> {
  const nodes = await openNodes(globalsButOutput(command));
  const program = words.length === 0 ? ["sh"] : words;
  return runInWorkload(nodes, name, namespace === undefined ? {} : { namespace }, program);
}

/** Status of the program, where it is not started again. What one that has ended already said is shown. */
async function runAttached(api: ApiClient, at: Place, flags: Flags, isRunning: boolean): Promise<number> {
  const { name = "" } = at;
  const { tty = false, restart } = flags;
  progress("");
  const how = { container: name, stdin: true, tty, command: [] };
  const isAttached =
    isRunning &&
    (await runSession(api, at, how).then(
      () => true,
      (error: Error) => {
        note(`couldn't attach to pod/${name}, falling back to its log: ${error.message}`);
        return false;
      },
    ));
  if (!isAttached) await printLog(api, at);
  if (restart === "Never") return exitCodeOf(api, at);
  const again = `podwire attach ${name} -c ${name} -i${tty ? " -t" : ""}`;
  if (flags.rm !== true && flags.quiet !== true)
    note(`Session ended, resume using '${again}' command when the pod is running`);
  return 0;
}

async function printLog(api: ApiClient, at: Place): Promise<void> {
  const path = pathOf({ ...at, subresource: "log" }, { container: at.name });
  const log = await api.bytes({ method: "GET", path, accept: "*/*" });
  for await (const chunk of log.items) process.stdout.write(chunk);
}

/** Once it has ended. */
async function exitCodeOf(api: ApiClient, at: Place): Promise<number> {
  for (;;) {
    const { phase, containerStatuses = [] } = (await api.get<Pod>(at)).status;
    const ended = containerStatuses[0]?.state?.terminated;
    if (ended !== undefined) return ended.exitCode;
    if (phase === "Failed") return 1;
    if (phase === "Succeeded") return 0;
    await sleep(POLL_MS);
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

/** Its phase: it runs, or has ended. */
async function untilRunning(api: ApiClient, at: Place, timeoutMs: number): Promise<string> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const pod = await api.find<Pod>(at);
    if (pod === undefined) throw new CliError(`run ${at.name}: its pod was deleted before it began`);
    const { phase = "Pending" } = pod.status;
    if (phase !== "Pending") return phase;
    if (Date.now() > until)
      throw new CliError(
        `run ${at.name}: timed out waiting for its pod: podwire describe pod ${at.name} says why`,
      );
    progress(`waiting for pod ${at.name}`);
    await sleep(POLL_MS);
  }
}
