// podwire rollout history|undo|pause|resume: what an object's template was, and back to it.
import type { Command } from "commander";
import { qualifiedPlural } from "../../../kube/kinds.ts";
import { type ApiClient, dryRunQuery } from "../../api/api-client.ts";
import { addCluster, openApi } from "../../api/open-api.ts";
import { globals, note, print } from "../../context.ts";
import { CliError, usageError } from "../../errors.ts";
import { addDryRun, dryRunSuffix, strategyOf } from "../dry-run.ts";
import { nameOf, printerOf } from "../get/output.ts";
import { type ChoiceFlags, type Named, placeOf } from "../named-objects.ts";
import {
  deploymentPatch,
  earlier,
  historyText,
  isCurrent,
  keeperOf,
  type Revision,
  revisionsOf,
  templateText,
} from "./revisions.ts";

interface Flags extends ChoiceFlags {
  revision?: string;
  toRevision?: string;
  dryRun?: string;
}

/** As the other verbs of rollout choose: a kind alone means all of the namespace. */
export type Choose = (api: ApiClient, words: string[], flags: ChoiceFlags) => Promise<Named[]>;

const WORDS = "KIND | KIND NAME… | KIND/NAME… | KIND -l LABELS";

export function registerPast(rollout: Command, choose: Choose): void {
  const verb = (name: string, text: string): Command =>
    addCluster(
      rollout
        .command(`${name} <words...>`)
        .description(text)
        .option("-n, --namespace <namespace>", "namespace of the objects", "default")
        .option("-l, --selector <labels>", "all of the kind with these labels"),
    );
  verb("history", "revisions of a deployment, daemon set or stateful set, and what caused them")
    .usage(`${WORDS} [--revision=N] [-n NAMESPACE]`)
    .option("--revision <n>", "the template of this one")
    .action(async (words: string[], flags: Flags, command: Command) => {
      const wanted = numberOf("--revision", flags.revision);
      const { output } = command.optsWithGlobals() as { output?: string };
      const printer = printerOf(output, true);
      const api = await openApi(command);
      for (const named of await choose(api, words, flags)) {
        const revisions = await pastOf(api, named, "history viewer");
        const title = `${nameOf(named.object)} ${wanted === 0 ? "" : `with revision #${wanted}`}`;
        if (printer === undefined) await print(`${title}\n${historyText(revisions, wanted)}\n`);
        else for (const each of chosenOf(revisions, wanted)) await printer([each.keeper], true);
      }
    });
  addDryRun(verb("undo", "back to the template before, or to that of a revision"))
    .usage(`${WORDS} [--to-revision=N] [-n NAMESPACE]`)
    .option("--to-revision <n>", "the revision (default: the one before the newest)")
    .action(async (words: string[], flags: Flags, command: Command) => {
      strategyOf(flags.dryRun);
      globals(command); // output forms: none of undo's own
      const api = await openApi(command);
      for (const named of await choose(api, words, flags)) await print(await undo(api, named, flags));
    });
  for (const [name, done, isPaused] of [
    ["pause", "paused", true],
    ["resume", "resumed", false],
  ] as const)
    verb(name, isPaused ? "a deployment's new templates make no pods" : "they make pods again")
      .usage(`${WORDS} [-n NAMESPACE]`)
      .action(async (words: string[], flags: Flags, command: Command) => {
        globals(command); // as above
        const api = await openApi(command);
        const failed: string[] = [];
        for (const named of await choose(api, words, flags)) {
          const problem = await pause(api, named, isPaused);
          if (problem !== undefined) failed.push(problem);
          else await print(`${nameOf(named.object)} ${done}`);
        }
        if (failed.length > 0) throw new CliError(failed.join("; "));
      });
}

function numberOf(flag: string, text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d+$/.test(text)) throw usageError(`${flag} ${text}: use a number`);
  return Number(text);
}

async function pastOf(api: ApiClient, { object, resource }: Named, what: string): Promise<Revision[]> {
  const keeper = await api.resource(keeperOf(resource.kind, qualifiedPlural(resource), what));
  const { items } = await api.list({ resource: keeper, namespace: object.metadata.namespace });
  return revisionsOf(object, items);
}

function chosenOf(revisions: readonly Revision[], wanted: number): Revision[] {
  if (wanted === 0) return [...revisions];
  const found = revisions.filter(({ number }) => number === wanted);
  if (found.length === 0) throw new CliError("unable to find the specified revision");
  return found;
}

const APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** What kubectl says of it. */
async function undo(api: ApiClient, named: Named, flags: Flags): Promise<string> {
  const { object } = named;
  const dryRun = strategyOf(flags.dryRun);
  const name = nameOf(object);
  if (object.metadata.annotations?.[APPLIED] !== undefined)
    note(`Warning: resource ${name} was applied: the next apply of its manifest undoes this`);
  const revisions = await pastOf(api, named, "rollbacker");
  const wanted = numberOf("--to-revision", flags.toRevision);
  const target = earlier(object, revisions, wanted);
  const suffix = dryRunSuffix(dryRun);
  if (dryRun === "client") return `${name} ${templateText(target)}${suffix}`;
  if ((object as { spec?: { paused?: boolean } }).spec?.paused === true)
    throw new CliError(
      "you cannot rollback a paused deployment; resume it first with 'podwire rollout resume' and try again",
    );
  if (isCurrent(object, target))
    return `${name} skipped rollback (current template already matches revision ${wanted})${suffix}`;
  const query = dryRunQuery(dryRun === "server");
  if (object.kind === "Deployment")
    await api.patch(placeOf(named), "json", deploymentPatch(object, target), query);
  else {
    const { data } = target.keeper as { data?: object };
    await api.patch(placeOf(named), "strategic-merge", data ?? {}, query);
  }
  return `${name} rolled back${suffix}`;
}

/** Why it cannot be. */
async function pause(api: ApiClient, named: Named, isPaused: boolean): Promise<string | undefined> {
  const { object, resource } = named;
  const what = `${qualifiedPlural(resource)} "${object.metadata.name}"`;
  if (resource.kind !== "Deployment" || resource.group !== "apps")
    return `${what} ${isPaused ? "pausing" : "resuming"} is not supported`;
  const now = (object as { spec?: { paused?: boolean } }).spec?.paused === true;
  if (now === isPaused) return `${what} is ${isPaused ? "already" : "not"} paused`;
  await api.patch(placeOf(named), "merge", { spec: { paused: isPaused ? true : null } });
  return undefined;
}
