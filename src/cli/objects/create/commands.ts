// podwire create KIND NAME …: objects from words, as kubectl's generators make them.
import type { Command } from "commander";
import { notFound } from "../../../cluster/outcome.ts";
import { addCluster, openApi } from "../../api/open-api.ts";
import { CliError, usageError } from "../../errors.ts";
import { addDryRun } from "../dry-run.ts";
import { collect } from "../manifests.ts";
import {
  configMapDraft,
  namespaceDraft,
  type Place,
  type RegistryFlags,
  registrySecretDraft,
  secretDraft,
  serviceAccountDraft,
  tlsSecretDraft,
} from "./config-drafts.ts";
import {
  type BudgetFlags,
  budgetDraft,
  type IngressFlags,
  ingressDraft,
  type ServiceFlags,
  type ServiceType,
  serviceDraft,
} from "./network-drafts.ts";
import { commaList, type Draft, labelMap } from "./parts.ts";
import { type SendFlags, sendDrafts } from "./send-drafts.ts";
import type { SourceFlags } from "./sources.ts";
import {
  type CronJobFlags,
  cronJobDraft,
  type DeploymentFlags,
  deploymentDraft,
  jobDraft,
  jobFromCronJob,
} from "./workload-drafts.ts";

const NAMESPACE = "namespace of the object (default: default)";

export function registerGenerators(create: Command): void {
  workloads(create);
  services(create);
  configuration(create);
  network(create);
}

type Make<F> = (place: Place, flags: F, words: string[], command: Command) => Draft | Promise<Draft>;

/** A generator `words` (with its name and what follows it), whose action sends what `make` makes. */
function generator<F>(
  parent: Command,
  words: string,
  aliases: string[],
  text: string,
  make: Make<F>,
): Command {
  const command = parent.command(words).aliases(aliases).description(text);
  if (!words.startsWith("namespace")) command.option("-n, --namespace <namespace>", NAMESPACE);
  addCluster(addDryRun(command));
  return command.action(async (name: string, ...rest: unknown[]) => {
    const self = rest.at(-1) as Command;
    const flags = self.optsWithGlobals() as F & SendFlags & { filename?: string[] };
    if (flags.filename !== undefined) throw usageError("create: either -f FILE or KIND NAME, not both");
    const program = rest.length > 2 ? (rest[0] as string[]) : [];
    const place = { name, namespace: flags.namespace };
    await sendDrafts(self, [await make(place, flags, program, self)], flags);
  });
}

function workloads(create: Command): void {
  generator<DeploymentFlags>(
    create,
    "deployment <name> [command...]",
    ["deploy"],
    "a deployment of these images",
    deploymentDraft,
  )
    .usage("NAME --image=IMAGE… [--replicas=N] [--port=PORT] [-- COMMAND [ARG…]]")
    .option("--image <image>", "image to run; may be repeated", commaList)
    .option("-r, --replicas <n>", "pods wanted (default: 1)")
    .option("--port <port>", "port of the first container");
  generator<{ image?: string; from?: string }>(
    create,
    "job <name> [command...]",
    [],
    "a job of an image, or the one that a CronJob would make",
    makeJob,
  )
    .usage("NAME (--image=IMAGE | --from=cronjob/NAME) [-- COMMAND [ARG…]]")
    .option("--image <image>", "image to run")
    .option("--from <cronjob>", "cronjob/NAME whose job it is");
  generator<CronJobFlags>(create, "cronjob <name> [command...]", ["cj"], "a job by the clock", cronJobDraft)
    .usage("NAME --image=IMAGE --schedule='0/5 * * * ?' [--restart=OnFailure|Never] [-- COMMAND [ARG…]]")
    .option("--image <image>", "image to run")
    .option("--schedule <cron>", "when, as cron has it")
    .option("--restart <policy>", "OnFailure (default) or Never");
}

async function makeJob(
  place: Place,
  { image, from }: { image?: string; from?: string },
  words: string[],
  command: Command,
): Promise<Draft> {
  if (from === undefined) return jobDraft(place, image, words);
  if (image !== undefined || words.length > 0)
    throw usageError("create job: either --from, or --image and its command, not both");
  const [kind, name] = from.includes("/") ? from.split("/", 2) : ["", ""];
  if (!kind || !name) throw usageError(`--from ${from}: write cronjob/NAME`);
  const api = await openApi(command);
  const resource = await api.resource(kind);
  const found = await api.find({ resource, namespace: place.namespace ?? "default", name });
  if (found === undefined) throw new CliError(notFound(resource, name), 1, "NOT_FOUND");
  return jobFromCronJob(place, found);
}

function services(create: Command): void {
  const service = create.command("service").aliases(["svc"]).description("a service of one of four types");
  const types: [string, ServiceType, string][] = [
    ["clusterip", "ClusterIP", "a service with an address of the cluster, or none (--clusterip=None)"],
    ["nodeport", "NodePort", "a service with a port on each node"],
    ["loadbalancer", "LoadBalancer", "a service with an address for the world"],
    ["externalname", "ExternalName", "a service that is another name"],
  ];
  for (const [word, type, text] of types) {
    const made = generator<ServiceFlags>(service, `${word} <name>`, [], text, (place, flags) =>
      serviceDraft(place, type, flags),
    ).option("--tcp <pair>", "PORT or PORT:TARGET; may be repeated", commaList);
    if (type === "ClusterIP") made.option("--clusterip <address>", "address, or None");
    if (type === "NodePort") made.option("--node-port <port>", "port on the nodes (default: any)");
    if (type === "ExternalName") made.option("--external-name <name>", "the other name");
  }
}

function addSources(command: Command): Command {
  return command
    .option("--from-literal <pair>", "KEY=VALUE; may be repeated", collect)
    .option("--from-file <file>", "FILE, KEY=FILE or a directory; may be repeated", commaList)
    .option("--from-env-file <file>", "lines of KEY=VALUE; may be repeated", commaList);
}

function configuration(create: Command): void {
  generator(create, "namespace <name>", ["ns"], "a namespace", ({ name }) => namespaceDraft(name));
  generator(create, "serviceaccount <name>", ["sa"], "a service account", serviceAccountDraft);
  const text = "a ConfigMap of literals and files";
  addSources(generator<SourceFlags>(create, "configmap <name>", ["cm"], text, configMapDraft));
  const secret = create.command("secret").description("a secret: generic, tls, docker-registry");
  addSources(
    generator<SourceFlags & { type?: string }>(
      secret,
      "generic <name>",
      [],
      "a secret of literals and files",
      secretDraft,
    ),
  ).option("--type <type>", "type of the secret");
  generator<{ cert?: string; key?: string }>(
    secret,
    "tls <name>",
    [],
    "a certificate and its key",
    tlsSecretDraft,
  )
    .option("--cert <file>", "certificate, PEM")
    .option("--key <file>", "private key, PEM");
  generator<RegistryFlags>(
    secret,
    "docker-registry <name>",
    [],
    "a name and password at a registry of images",
    registrySecretDraft,
  )
    .option("--docker-server <url>", "the registry (default: Docker Hub's)")
    .option("--docker-username <name>", "name")
    .option("--docker-password <password>", "password")
    .option("--docker-email <address>", "mail address");
}

function network(create: Command): void {
  generator<IngressFlags>(create, "ingress <name>", ["ing"], "an ingress of rules", ingressDraft)
    .option(
      "--rule <rule>",
      "HOST/PATH=SERVICE:PORT[,tls[=SECRET]], a path that ends in * is a prefix; may be repeated",
      collect,
    )
    .option("--class <name>", "class of the ingress")
    .option("--default-backend <backend>", "SERVICE:PORT for what no rule takes")
    .option("--annotation <pair>", "KEY=VALUE; may be repeated", collect);
  generator<BudgetFlags>(
    create,
    "poddisruptionbudget <name>",
    ["pdb"],
    "how many pods may be missing when nodes are drained",
    (place, flags) => {
      if (!flags.selector)
        throw usageError("create poddisruptionbudget: a selector must be specified: --selector");
      return budgetDraft(place, flags, labelMap("--selector", flags.selector));
    },
  )
    .option("--selector <labels>", "which pods: KEY=VALUE,…")
    .option("--min-available <n>", "pods that must stay, or a percentage")
    .option("--max-unavailable <n>", "pods that may be missing, or a percentage");
}
