// podwire exec WORKLOAD [-n NS] [-c CONTAINER] -- CMD…: a real program in a workload's network. Of a cluster that is
// named by a kubeconfig a program of the container, by the cluster's API.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Container, Pod } from "../../kube/objects.ts";
import { checkPrivileges } from "../../lab/preconditions.ts";
import { isProgram } from "../../lab/process/is-program.ts";
import type { ApiClient } from "../api/api-client.ts";
import { listKind } from "../api/list-kind.ts";
import { addCluster, clusterApi } from "../api/open-api.ts";
import { runSession } from "../api/pod-session.ts";
import { globals, note } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { checkNetns, inNetns } from "../in-namespace.ts";
import { type Nodes, nodeNetns } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { findPod } from "../objects/workload.ts";

interface Flags {
  namespace?: string;
  container?: string;
  stdin?: boolean;
  tty?: boolean;
}

/** Signals that reach us alone (a terminal sends its own to the program too) and are passed on. */
const FORWARDED: NodeJS.Signals[] = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT"];
/** Signals of the terminal: the program has them already; we only must not die before it does. */
const IGNORED: NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];
/** What has a network and is no pod. */
const MACHINES = /^(node|nodes|no|client|clients)\//;
const SIGNAL_BASE = 128;
const NOT_FOUND = 127; // as a shell says it

export function register(program: Command): void {
  const command = program
    .command("exec <workload> [command...]")
    .description(
      "run a program in the network of a pod, node/NAME, client/NAME, or of one pod of deploy/NAME, sts/NAME, job/NAME …",
    )
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option(
      "-c, --container <container>",
      "container whose files and environment it gets (default: the first)",
    )
    .option("-i, --stdin", "standard input goes to the program (of labs it does anyway)")
    .option("-t, --tty", "the program has the terminal (of labs it has anyway, where there is one)")
    .addHelpText(
      "after",
      "\nExamples:\n  podwire exec -it web-1 -- sh\n  podwire exec node/node1 -- ip route",
    )
    .usage("[-it] WORKLOAD [-n NAMESPACE] [-c CONTAINER] -- COMMAND [ARG…]");
  addCluster(command).action(async (workload: string, words: string[], flags: Flags, self: Command) => {
    if (words.length === 0) {
      throw usageError(`exec ${workload}: no command: podwire exec ${workload} -- COMMAND [ARG…]`);
    }
    const tty = ownTerminal(flags);
    const cluster = await clusterApi(self);
    if (cluster !== undefined) {
      process.exitCode = await runInCluster(cluster, workload, { ...flags, tty }, words);
      return;
    }
    checkPrivileges(`exec ${workload}`);
    process.exitCode = await runInWorkload(await openNodes(globals(self)), workload, flags, words);
  });
}

/** Whether it is to be a terminal: not without one of ours, which is told. */
export function ownTerminal({ tty = false }: { tty?: boolean }): boolean {
  if (tty && process.stdin.isTTY !== true)
    note("Unable to use a TTY - input is not a terminal or the right kind of file");
  return tty && process.stdin.isTTY === true;
}

/** Status of the program; without words of what the container's own says (attach). */
export async function runInCluster(
  api: ApiClient,
  workload: string,
  flags: Flags,
  command: readonly string[],
): Promise<number> {
  if (MACHINES.test(workload))
    throw usageError(
      `${workload}: the API leads into pods alone: of a lab or this machine leave out --kubeconfig`,
    );
  const { namespace = "default", container, stdin = false, tty = false } = flags;
  const pod = await findPod({ list: (word, of) => listKind(api, word, of) }, workload, namespace);
  const place = { resource: await api.resource("pods"), namespace, name: pod.metadata.name };
  return runSession(api, place, { container: containerOf(pod, container).name, stdin, tty, command });
}

/** Status of the program. It has this process' terminal and standard streams. */
export async function runInWorkload(
  all: Nodes,
  workload: string,
  flags: Pick<Flags, "namespace" | "container">,
  words: string[],
): Promise<number> {
  return runIn(await targetOf(all, workload, flags), words);
}

interface Target {
  /** Path. */
  netns: string;
  /** Words before the program's, for a container of a lab. */
  enter: readonly string[] | undefined;
  env: NodeJS.ProcessEnv;
  label: string;
}

async function targetOf(
  all: Nodes,
  workload: string,
  flags: Pick<Flags, "namespace" | "container">,
): Promise<Target> {
  const [kind, name] = workload.includes("/") ? workload.split("/", 2) : ["pod", workload];
  if (MACHINES.test(workload)) {
    const isClient = kind.startsWith("client");
    const members = isClient ? all.clients : all.hosts;
    if (!members.some((each) => each.name === name)) {
      const there = members.map((each) => each.name).join(", ") || "none";
      throw new CliError(`exec ${workload}: ${all.label} does not know it: there is ${there}`);
    }
    const client = isClient ? all.clients.find((each) => each.name === name) : undefined;
    return {
      netns: client?.netns ?? nodeNetns(all, name),
      enter: undefined,
      env: { ...process.env, HOSTNAME: name },
      label: workload,
    };
  }
  const { pod, container } = await startedContainer(all, workload, flags);
  const own = all.container?.(pod, container.name);
  const { PATH = process.env.PATH, ...kept } = own?.env ?? {};
  return {
    netns: all.podNetns(pod),
    enter: own?.words,
    env: { ...process.env, PATH, ...plainEnvironment(container), ...kept, HOSTNAME: pod.metadata.name },
    label: `pod ${pod.metadata.name}`,
  };
}

/** While its files and volumes are not there yet: a program would see the machine's instead. */
const COMING = ["ContainerCreating", "PodInitializing"];
const COMES_MS = 10_000;
const ASKED_MS = 50;

/** Waits until a container of a lab has its view of the machine, as long as it is about to have one. */
async function startedContainer(
  all: Nodes,
  workload: string,
  { namespace = "default", container }: Pick<Flags, "namespace" | "container">,
): Promise<{ pod: Pod; container: Container }> {
  for (const untilMs = Date.now() + COMES_MS; ; await sleep(ASKED_MS)) {
    const pod = await findPod(all, workload, namespace);
    const own = containerOf(pod, container);
    const reason = all.container === undefined ? undefined : waitingReason(pod, own.name);
    if (reason === undefined || !COMING.includes(reason)) return { pod, container: own };
    if (Date.now() >= untilMs)
      throw new CliError(
        `exec ${workload}: container "${own.name}" is waiting to start: ${reason}: podwire describe pod ` +
          `${pod.metadata.name} -n ${namespace} says what it waits for`,
      );
  }
}

function waitingReason({ status }: Pod, name: string): string | undefined {
  const all = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
  return all.find((each) => each.name === name)?.state?.waiting?.reason;
}

function containerOf(pod: Pod, wanted: string | undefined): Container {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const found = wanted === undefined ? containers[0] : containers.find((each) => each.name === wanted);
  if (found !== undefined) return found;
  // An agent that has just begun knows its pods by their networks alone.
  if (wanted === undefined) return { name: "" };
  const there = containers.map((each) => each.name).join(", ") || "none";
  throw new CliError(`exec ${pod.metadata.name}: no container "${wanted}": it has ${there}`);
}

function plainEnvironment(container: Container): Record<string, string> {
  return Object.fromEntries(
    (container.env ?? []).flatMap((e) => (e.value === undefined ? [] : [[e.name, e.value]])),
  );
}

/** Status of the program; 128 + n when signal n ended it; 127 when it does not exist. */
async function runIn(target: Target, words: string[]): Promise<number> {
  checkNetns(target.netns, `exec: ${target.label}`, "podwire lab up repairs a lab");
  if (!isProgram(words[0], target.env.PATH ?? "", target.enter ?? [])) {
    process.stderr.write(`error: exec: ${words[0]}: no such program on this machine\n`);
    return NOT_FOUND;
  }
  const [file, ...args] =
    target.enter === undefined ? inNetns(target.netns, words) : [...target.enter, ...words];
  const child = spawn(file, args, { stdio: "inherit", env: target.env });
  for (const name of FORWARDED) process.on(name, () => child.kill(name));
  for (const name of IGNORED) process.on(name, () => {});
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new CliError(`exec: ip(8): ${error.message}`, Exit.FAILED)));
    child.on("exit", (code, signal) => resolve(code ?? SIGNAL_BASE + signalNumber(signal)));
  });
}

function signalNumber(name: NodeJS.Signals | null): number {
  return name === null ? 0 : ((constants.signals as Record<string, number>)[name] ?? 0);
}
