// What apply and create have in common. A lab takes all objects as one change; a cluster has no such call.
import type { Command } from "commander";
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import type { ApiClient } from "../api/api-client.ts";
import type { ClusterApply } from "../api/apply-to-cluster.ts";
import { addCluster, clusterApi } from "../api/open-api.ts";
import { CliError, usageError } from "../errors.ts";
import { runningLab } from "../running-lab.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { collect, namespaceBody, readAll } from "./manifests.ts";
import { type OutcomeForm, type Outcomes, outcomeForm, printOutcomes } from "./outcomes.ts";

interface Flags {
  filename?: string[];
  namespace?: string;
  dryRun?: string;
}

/** `stores`: with --dry-run as a choice. */
export function applyOptions(command: Command, stores = true): Command {
  command
    .option("-f, --filename <file>", "file, directory, or - for standard input; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace of the objects (default: their own, or default)");
  return addCluster(stores ? addDryRun(command) : command);
}

export async function sendManifests(verb: "apply" | "create", flags: Flags, command: Command): Promise<void> {
  if (flags.filename === undefined) throw usageError(`${verb}: which manifests? podwire ${verb} -f FILE`);
  const strategy = strategyOf(flags.dryRun);
  const how = { create: verb === "create", dryRun: strategy !== "none" };
  await printOutcomes(outcomeForm(command), await sent(verb, flags, command, how), strategy);
}

/** What applying them would make of the objects. */
export function rehearsedManifests(verb: string, flags: Flags, command: Command): Promise<Outcomes> {
  if (flags.filename === undefined) throw usageError(`${verb}: which manifests? podwire ${verb} -f FILE`);
  return sent(verb, flags, command, { create: false, dryRun: true });
}

async function sent(
  verb: string,
  { filename = [], namespace }: Flags,
  command: Command,
  how: { create: boolean; dryRun: boolean },
): Promise<Outcomes> {
  const form = outcomeForm(command);
  const manifests = readAll(filename);
  const api = await clusterApi(command);
  const answer =
    api === undefined
      ? await toLab(form, { manifests, ...namespaceBody(namespace), ...how })
      : await toCluster(api, manifests, { namespace, ...how });
  if (answer.items.length + answer.notes.length === 0)
    throw new CliError(`${verb}: no objects in ${filename.join(", ")}: nothing was applied`);
  return answer;
}

function toLab(form: OutcomeForm, body: object): Promise<Outcomes> {
  return runningLab(form).call<Outcomes>({ method: "POST", path: "/apply", body });
}

async function toCluster(
  api: ApiClient,
  texts: readonly ManifestText[],
  options: ClusterApply,
): Promise<Outcomes> {
  const { applyToCluster } = await import("../api/apply-to-cluster.ts");
  const items = await applyToCluster(api, texts, options);
  return { items: options.dryRun ? items : items.map(({ object: _, ...item }) => item), notes: [] };
}
