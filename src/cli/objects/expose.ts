// podwire expose KIND NAME | KIND/NAME…: a Service in front of a pod, a deployment, another service.
import type { Command } from "commander";
import { addCluster, openApi } from "../api/open-api.ts";
import { CliError, usageError } from "../errors.ts";
import { checkExposable, type ExposeFlags, exposeDraft } from "./create/expose-draft.ts";
import type { Draft } from "./create/parts.ts";
import { type SendFlags, sendDrafts } from "./create/send-drafts.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { choiceOf, choose } from "./named-objects.ts";

const EXAMPLE = "\nExample:\n  podwire expose deployment web --port=80 --target-port=8080";

export function register(program: Command): void {
  const command = program
    .command("expose <words...>")
    .description("make a service of a pod, deployment, replica set, replication controller or service")
    .usage(
      "KIND NAME | KIND/NAME… [--port=PORT] [--target-port=PORT|NAME] [--name=NAME] [--type=TYPE] [-n NAMESPACE]",
    )
    .option("-n, --namespace <namespace>", "namespace of the objects (default: default)")
    .option("--port <port>", "port of the service (default: the object's own)")
    .option("--target-port <port>", "port of the container, or its name (default: --port)")
    .option("--protocol <protocol>", "TCP, UDP or SCTP (default: the object's own)")
    .option("--name <name>", "name of the service (default: the object's)")
    .option("--type <type>", "ClusterIP, NodePort, LoadBalancer or ExternalName")
    .option("-l, --labels <labels>", "labels of the service (default: the object's)")
    .option("--selector <labels>", "which pods (default: the object's)")
    .option("--external-ip <address>", "a further address that it is reached by")
    .option("--cluster-ip <address>", "its address, or None")
    .option("--load-balancer-ip <address>", "wanted of a load balancer")
    .option("--session-affinity <affinity>", "None or ClientIP")
    .addHelpText("after", EXAMPLE);
  addCluster(addDryRun(command)).action(run);
}

async function run(words: string[], flags: ExposeFlags & SendFlags, command: Command): Promise<void> {
  strategyOf(flags.dryRun);
  const place = { namespace: flags.namespace ?? "default" };
  const targets = choiceOf("expose", words, place);
  if (flags.name !== undefined && targets.flatMap(({ names }) => names).length > 1)
    throw usageError("expose --name: of one object only");
  const api = await openApi(command);
  for (const { word } of targets) {
    const { kind, plural } = await api.resource(word);
    checkExposable(kind, plural);
  }
  const { objects, missing } = await choose(api, targets, place);
  const drafts: Draft[] = objects.map(({ object }) => exposeDraft(object, flags));
  await sendDrafts(command, drafts, flags, "exposed");
  if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
}
