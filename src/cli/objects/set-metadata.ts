// What label and annotate have in common: KEY=VALUE sets, KEY- takes away.
import type { Command } from "commander";
import type { KubeObject } from "../../kube/objects.ts";
import { type ApiClient, dryRunQuery } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { note, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addDryRun, dryRunSuffix, strategyOf } from "./dry-run.ts";
import { nameOf } from "./get/output.ts";
import { type ChoiceFlags, choiceOf, choose, type Named, placeOf } from "./named-objects.ts";
import { outcomeForm } from "./outcomes.ts";

export type Field = "labels" | "annotations";

interface Flags extends ChoiceFlags {
  overwrite?: boolean;
  dryRun?: string;
}

export interface Change {
  set: Record<string, string>;
  remove: string[];
}

const NOUNS = { labels: "label", annotations: "annotation" } as const;

export function registerMetadata(program: Command, verb: string, field: Field): void {
  const noun = NOUNS[field];
  const command = program
    .command(`${verb} <words...>`)
    .description(`set (KEY=VALUE) or take away (KEY-) ${noun}s of objects`)
    .usage(`KIND NAME… | KIND/NAME… | KIND (-l LABELS | --all) KEY=VALUE… KEY-… [--overwrite]`)
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .option("-A, --all-namespaces", "of all namespaces, with -l or --all")
    .option("-l, --selector <labels>", "all of the kind with these labels")
    .option("--field-selector <fields>", "all of the kind with these fields")
    .option("--all", "all of the kind in the namespace")
    .option("--overwrite", "what has another value already is changed")
    .addHelpText(
      "after",
      `\nExamples:\n  podwire ${verb} pod web-1 a=b\n  podwire ${verb} pods -l app=web a-`,
    );
  addCluster(addDryRun(command)).action(async (words: string[], flags: Flags, self: Command) => {
    const { names, change } = splitWords(verb, noun, words);
    const targets = choiceOf(verb, names, flags);
    const dryRun = strategyOf(flags.dryRun);
    const form = outcomeForm(self);
    const api = await openApi(self);
    const { objects, missing } = await choose(api, targets, flags);
    if (objects.length + missing.length === 0) note("No resources found");
    for (const named of objects) {
      const how = { overwrite: flags.overwrite === true, isDryRun: dryRun !== "none" };
      const { before, after } = await changed(api, named, field, change, how);
      const said = form.namesOnly ? "" : ` ${doneText(field, before, change)}${dryRunSuffix(dryRun)}`;
      const absent = change.remove.filter((key) => !Object.hasOwn(before.metadata[field] ?? {}, key));
      const lines = field === "labels" ? absent.map((key) => `label "${key}" not found.`) : [];
      await print([...lines, `${nameOf(after)}${said}`].join("\n"));
    }
    if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
  });
}

const TRIES_MAX = 10;

/** What has a value already is looked at in the object that is changed: one that changed meanwhile is looked at again. */
async function changed(
  api: ApiClient,
  named: Named,
  field: Field,
  { set, remove }: Change,
  { overwrite, isDryRun }: { overwrite: boolean; isDryRun: boolean },
): Promise<{ before: KubeObject; after: KubeObject }> {
  const place = placeOf(named);
  const own = { ...set, ...Object.fromEntries(remove.map((key) => [key, null])) };
  let before = named.object;
  for (let tries = 1; ; tries++) {
    if (!overwrite) refuseOverwriting(field, before, set);
    const { resourceVersion } = before.metadata;
    const patch = { metadata: { [field]: own, ...(overwrite ? {} : { resourceVersion }) } };
    try {
      return { before, after: await api.patch(place, "merge", patch, dryRunQuery(isDryRun)) };
    } catch (error) {
      if ((error as { code?: string }).code !== "CONFLICT" || tries === TRIES_MAX) throw error;
    }
    before = await api.get(place);
  }
}

/** kubectl's sentences. */
function refuseOverwriting(field: Field, { metadata }: KubeObject, set: Change["set"]): void {
  const now = metadata[field] ?? {};
  const taken = Object.entries(set).filter(([key, value]) => Object.hasOwn(now, key) && now[key] !== value);
  if (taken.length === 0) return;
  const found = taken.map(([key]) => `'${key}' already has a value (${now[key]})`);
  const text =
    field === "labels"
      ? found.map((each) => `${each}, and --overwrite is false`).join("; ")
      : `--overwrite is false but found the following declared annotation(s): ${found.join("; ")}`;
  throw new CliError(text, 1, "CONFLICT");
}

/** Words before the first KEY=VALUE or KEY- name objects. */
export function splitWords(
  verb: string,
  noun: string,
  words: readonly string[],
): { names: string[]; change: Change } {
  const isChange = (word: string): boolean => word.includes("=") || word.endsWith("-");
  const first = words.findIndex(isChange);
  if (first < 0) throw usageError(`${verb}: at least one ${noun} update is required: KEY=VALUE or KEY-`);
  const change: Change = { set: {}, remove: [] };
  for (const word of words.slice(first)) {
    if (!isChange(word)) throw usageError(`${verb}: all names must be before ${noun} changes: ${word}`);
    const at = word.indexOf("=");
    if (at === 0 || word === "-") throw usageError(`${verb} ${word}: a key is missing`);
    if (at < 0) change.remove.push(word.slice(0, -1));
    else change.set[word.slice(0, at)] = word.slice(at + 1);
  }
  const both = change.remove.filter((key) => Object.hasOwn(change.set, key));
  if (both.length > 0)
    throw usageError(`${verb}: can not both modify and remove a ${noun} in the same command: ${both}`);
  return { names: words.slice(0, first), change };
}

/** kubectl's word for what came of it. */
export function doneText(field: Field, { metadata }: KubeObject, { set, remove }: Change): string {
  if (field === "annotations") return "annotated";
  const before = metadata.labels ?? {};
  if (Object.entries(set).some(([key, value]) => before[key] !== value)) return "labeled";
  return remove.some((key) => Object.hasOwn(before, key)) ? "unlabeled" : "not labeled";
}
