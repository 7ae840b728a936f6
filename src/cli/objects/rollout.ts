// podwire rollout restart|status|history|undo|pause|resume KIND NAME | KIND/NAME
import type { Command } from "commander";
import { qualifiedPlural } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import type { WatchChange } from "../api/changes-between.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { watchKinds } from "../api/watch-objects.ts";
import { globals, print } from "../context.ts";
import { CliError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { nameOf } from "./get/output.ts";
import { type ChoiceFlags, choiceOf, choose, followedBy, type Named, placeOf } from "./named-objects.ts";
import { registerPast } from "./rollout/past.ts";

interface Flags extends ChoiceFlags {
  watch?: boolean;
  timeout?: string;
}

export function register(program: Command): void {
  const rollout = program
    .command("rollout")
    .description("restart what a template makes, see how far it is, what it was, and go back");
  const restarting = rollout
    .command("restart <words...>")
    .description("make the pods of a deployment, daemon set or stateful set anew, as its strategy has it")
    .usage("KIND | KIND NAME… | KIND/NAME… | KIND -l LABELS [-n NAMESPACE]")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .option("-l, --selector <labels>", "all of the kind with these labels");
  addCluster(restarting).action(async (words: string[], flags: Flags, command: Command) => {
    const api = await apiFor(command);
    for (const named of await chosen(api, words, flags)) {
      await restart(api, named);
      await print(`${nameOf(named.object)} restarted`);
    }
  });
  const asking = rollout
    .command("status <words...>")
    .description("wait until the newest template's pods are there")
    .usage("KIND | KIND NAME | KIND/NAME [-n NAMESPACE] [--watch=false] [--timeout DURATION]")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .option("-l, --selector <labels>", "all of the kind with these labels")
    .option("-w, --watch", "wait until it is done", true)
    .option("--no-watch", "say how far it is")
    .option("--timeout <duration>", "how long to wait (default: without end)");
  addCluster(asking).action(async (words: string[], flags: Flags, command: Command) => {
    const timeoutMs = flags.timeout === undefined ? 0 : durationMs("--timeout", flags.timeout);
    const api = await apiFor(command);
    for (const named of await chosen(api, words, flags)) await status(api, named, flags, timeoutMs);
  });
  registerPast(rollout, chosen);
}

function apiFor(command: Command): Promise<ApiClient> {
  globals(command); // output forms: none of rollout's own
  return openApi(command);
}

/** A kind alone means all of the namespace, as to kubectl. */
async function chosen(api: ApiClient, words: string[], flags: Flags): Promise<Named[]> {
  const isKindAlone = words.length === 1 && !words[0].includes("/") && flags.selector === undefined;
  const targets = choiceOf("rollout", words, { ...flags, ...(isKindAlone ? { all: true } : {}) });
  const { objects, missing } = await choose(api, targets, flags);
  if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
  if (objects.length === 0) throw new CliError("no matching resources found");
  return objects;
}

const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
const RESTARTABLE = ["Deployment", "DaemonSet", "StatefulSet"];

/** A template that says when is another template: its pods are made anew, as the object's strategy has it. */
async function restart(api: ApiClient, named: Named): Promise<void> {
  const { resource, object } = named;
  if (resource.group !== "apps" || !RESTARTABLE.includes(resource.kind)) {
    const what = `${qualifiedPlural(resource)} "${object.metadata.name}"`;
    throw new CliError(`${what} restarting is not supported`);
  }
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const template = { metadata: { annotations: { [RESTARTED_AT]: now } } };
  await api.patch(placeOf(named), "merge", { spec: { template } });
}

async function status(api: ApiClient, named: Named, flags: Flags, timeoutMs: number): Promise<void> {
  const { uid } = named.object.metadata;
  let { text, done } = rolloutStatus(named.object);
  await print(text);
  if (done || flags.watch === false) return;
  const watch = await watchKinds(api, followedBy([named]));
  const timer = timeoutMs > 0 ? setTimeout(() => watch.close(), timeoutMs) : undefined;
  const later = async function* (): AsyncGenerator<WatchChange> {
    for (const object of watch.first) yield { type: "MODIFIED", object };
    yield* watch.changes;
  };
  try {
    for await (const { type, object: now } of later()) {
      if (now.metadata.uid !== uid) continue;
      if (type === "DELETED") throw new CliError("object has been deleted");
      const before = text;
      ({ text, done } = rolloutStatus(now));
      if (text !== before) await print(text);
      if (done) return;
    }
    throw new CliError("timed out waiting for the condition");
  } finally {
    clearTimeout(timer);
    watch.close();
  }
}

interface Rolling extends KubeObject {
  spec: {
    replicas?: number;
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } };
  };
  status?: Record<string, number | undefined> & { currentRevision?: never; updateRevision?: never };
}

/** kubectl's sentence for how far an object is. */
export function rolloutStatus(object: KubeObject): { text: string; done: boolean } {
  switch (object.kind) {
    case "Deployment":
      return deploymentStatus(object as Rolling);
    case "DaemonSet":
      return daemonSetStatus(object as Rolling);
    case "StatefulSet":
      return statefulSetStatus(object as Rolling);
    default:
      throw new CliError(`no status viewer has been implemented for ${object.kind}`);
  }
}

const waiting = (text: string): { text: string; done: boolean } => ({ text, done: false });

function deploymentStatus({ metadata, spec, status = {} }: Rolling): { text: string; done: boolean } {
  const { replicas: wanted = 1 } = spec;
  const { updatedReplicas: updated = 0, replicas = 0, availableReplicas: available = 0 } = status;
  const head = `Waiting for deployment "${metadata.name}" rollout to finish:`;
  if (updated < wanted)
    return waiting(`${head} ${updated} out of ${wanted} new replicas have been updated...`);
  if (replicas > updated)
    return waiting(`${head} ${replicas - updated} old replicas are pending termination...`);
  if (available < updated)
    return waiting(`${head} ${available} of ${updated} updated replicas are available...`);
  return { text: `deployment "${metadata.name}" successfully rolled out`, done: true };
}

function daemonSetStatus({ metadata, spec, status = {} }: Rolling): { text: string; done: boolean } {
  if (spec.updateStrategy?.type === "OnDelete") throw onlyRolling();
  const {
    updatedNumberScheduled: updated = 0,
    desiredNumberScheduled: wanted = 0,
    numberAvailable = 0,
  } = status;
  const head = `Waiting for daemon set "${metadata.name}" rollout to finish:`;
  if (updated < wanted) return waiting(`${head} ${updated} out of ${wanted} new pods have been updated...`);
  if (numberAvailable < wanted)
    return waiting(`${head} ${numberAvailable} of ${wanted} updated pods are available...`);
  return { text: `daemon set "${metadata.name}" successfully rolled out`, done: true };
}

function statefulSetStatus({ spec, status = {} }: Rolling): { text: string; done: boolean } {
  if (spec.updateStrategy?.type === "OnDelete") throw onlyRolling();
  const { replicas: wanted = 1 } = spec;
  const { readyReplicas = 0, updatedReplicas: updated = 0, currentReplicas = 0 } = status;
  if (readyReplicas < wanted) return waiting(`Waiting for ${wanted - readyReplicas} pods to be ready...`);
  const { partition } = spec.updateStrategy?.rollingUpdate ?? {};
  if (partition !== undefined) {
    const aim = wanted - partition;
    if (updated < aim)
      return waiting(
        `Waiting for partitioned roll out to finish: ${updated} out of ${aim} new pods have been updated...`,
      );
    return { text: `partitioned roll out complete: ${updated} new pods have been updated...`, done: true };
  }
  if (status.updateRevision !== status.currentRevision) {
    const at = `${updated} pods at revision ${status.updateRevision}`;
    return waiting(`waiting for statefulset rolling update to complete ${at}...`);
  }
  const at = `${currentReplicas} pods at revision ${status.currentRevision}`;
  return { text: `statefulset rolling update complete ${at}...`, done: true };
}

function onlyRolling(): CliError {
  return new CliError("rollout status is only available for RollingUpdate strategy type");
}
