// podwire api-resources: the kinds that the API serves, in kubectl's columns.
import type { Command } from "commander";
import type { ApiClient } from "../api/api-client.ts";
import type { ServedResource } from "../api/discovery.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { print } from "../context.ts";
import { usageError } from "../errors.ts";
import { type Column, formatTable } from "../table.ts";

interface Flags {
  apiGroup?: string;
  namespaced?: string;
  verbs?: string;
  headers: boolean;
  sortBy?: string;
}

const FORMS = ["wide", "name"];
const ORDERS = ["name", "kind"];

export function register(program: Command): void {
  const command = program
    .command("api-resources")
    .description("the kinds that the API serves")
    .usage("[--api-group=GROUP] [--namespaced=true|false] [--verbs=VERB,…] [-o wide|name]")
    .option("--api-group <group>", 'only of this group; "" is the core one')
    .addOption(
      program
        .createOption("--namespaced [is]", "only kinds that are in namespaces (true), or are not (false)")
        .preset("true"),
    )
    .option("--verbs <verbs>", "only kinds that know all of these verbs: list,watch")
    .option("--sort-by <field>", "name or kind (default: by group, then name)")
    .option("--no-headers", "no line of headers");
  addCluster(command).action(run);
}

async function run(flags: Flags, command: Command): Promise<void> {
  const { output } = command.optsWithGlobals() as { output?: string };
  if (output !== undefined && output !== "table" && !FORMS.includes(output))
    throw usageError(`--output ${output} is not available: use wide or name`);
  if (flags.namespaced !== undefined && !["true", "false"].includes(flags.namespaced))
    throw usageError(`--namespaced ${flags.namespaced}: use true or false`);
  if (flags.sortBy !== undefined && !ORDERS.includes(flags.sortBy))
    throw usageError("--sort-by accepts only name or kind");
  const rows = (await servedKinds(await openApi(command))).filter((each) => fits(each, flags));
  const field = flags.sortBy === "kind" ? "kind" : "plural";
  const key = (each: ServedResource): string =>
    flags.sortBy === undefined ? `${each.group} ${each.plural}` : each[field];
  rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  if (output === "name") {
    const lines = rows.map(({ plural, group }) => (group === "" ? plural : `${plural}.${group}`));
    return lines.length === 0 ? undefined : print(lines.join("\n"));
  }
  const lines = formatTable(COLUMNS, rows, output === "wide").split("\n");
  await print((flags.headers ? lines : lines.slice(1)).map((line) => line.trimEnd()).join("\n"));
}

function fits(each: ServedResource, { apiGroup, namespaced, verbs }: Flags): boolean {
  if (apiGroup !== undefined && each.group !== apiGroup) return false;
  if (namespaced !== undefined && String(each.namespaced) !== namespaced) return false;
  return (verbs?.split(",") ?? []).every((verb) => each.verbs.includes(verb));
}

const BLANK = " "; // an empty cell, which a table of ours would call <none>

const COLUMNS: Column<ServedResource>[] = [
  { header: "NAME", value: ({ plural }) => plural },
  { header: "SHORTNAMES", value: ({ shortNames }) => shortNames.join(",") || BLANK },
  { header: "APIVERSION", value: ({ apiVersion }) => apiVersion },
  { header: "NAMESPACED", value: ({ namespaced }) => String(namespaced) },
  { header: "KIND", value: ({ kind }) => kind },
  { header: "VERBS", value: ({ verbs }) => verbs.join(",") || BLANK, wide: true },
  { header: "CATEGORIES", value: ({ categories }) => categories.join(",") || BLANK, wide: true },
];

/** Each in its group's preferred version. */
async function servedKinds({ finder }: ApiClient): Promise<ServedResource[]> {
  const first = new Map<string, ServedResource>();
  for (const each of await finder.served()) {
    const key = `${each.group}/${each.plural}`;
    if (each.verbs.length > 0 && !first.has(key)) first.set(key, each);
  }
  return [...first.values()];
}
