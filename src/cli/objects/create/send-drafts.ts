// What was made of words on the command line goes to the API, or, of a client's dry run, to nobody.
import type { Command } from "commander";
import type { KubeObject } from "../../../kube/objects.ts";
import type { ApiClient, Place } from "../../api/api-client.ts";
import { openApi } from "../../api/open-api.ts";
import { print } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { dryRunSuffix, strategyOf } from "../dry-run.ts";
import { nameOf, printerOf } from "../get/output.ts";
import type { Draft } from "./parts.ts";

export interface SendFlags {
  namespace?: string;
  dryRun?: string;
}

/** Each is created and told of, as -o says, else by a line; the first that is refused ends it. */
export async function sendDrafts(
  command: Command,
  drafts: readonly Draft[],
  flags: SendFlags,
  verb = "created",
): Promise<void> {
  const dryRun = strategyOf(flags.dryRun);
  const { output } = command.optsWithGlobals() as { output?: string };
  const printer = printerOf(output, true);
  const api = dryRun === "client" ? undefined : await openApi(command);
  for (const each of drafts) {
    const made =
      api === undefined ? each : await createDraft(api, each, flags.namespace, dryRun === "server");
    if (printer === undefined) await print(`${nameOf(made)} ${verb}${dryRunSuffix(dryRun)}`);
    else await printer([made], true);
  }
}

/** As it is stored then. */
export async function createDraft(
  api: ApiClient,
  object: Draft,
  namespace = "default",
  isDryRun = false,
): Promise<KubeObject> {
  return api.create(await placeOf(api, object, namespace), object, isDryRun);
}

async function placeOf(api: ApiClient, { apiVersion, kind }: Draft, namespace: string): Promise<Place> {
  const resource = await api.finder.byKind(apiVersion, kind);
  if (resource === undefined) throw new CliError(`${api.label} has no ${kind} of ${apiVersion}`);
  return { resource, namespace };
}
