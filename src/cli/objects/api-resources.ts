// podwire api-resources: the kinds that the API serves, in kubectl's columns.
import type { Command } from "commander";
import type { ApiClient } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { type Column, formatTable } from "../table.ts";

interface Flags {
  apiGroup?: string;
  namespaced?: string;
  verbs?: string;
  headers: boolean;
  sortBy?: string;
}

interface Served {
  name: string;
  group: string;
  apiVersion: string;
  kind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  verbs: readonly string[];
  categories: readonly string[];
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
  const field = flags.sortBy === "kind" ? "kind" : "name";
  const key = (each: Served): string =>
    flags.sortBy === undefined ? `${each.group} ${each.name}` : each[field];
  rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  if (output === "name") {
    const lines = rows.map(({ name, group }) => (group === "" ? name : `${name}.${group}`));
    return lines.length === 0 ? undefined : print(lines.join("\n"));
  }
  const lines = formatTable(COLUMNS, rows, output === "wide").split("\n");
  await print((flags.headers ? lines : lines.slice(1)).map((line) => line.trimEnd()).join("\n"));
}

function fits(each: Served, { apiGroup, namespaced, verbs }: Flags): boolean {
  if (apiGroup !== undefined && each.group !== apiGroup) return false;
  if (namespaced !== undefined && String(each.namespaced) !== namespaced) return false;
  return (verbs?.split(",") ?? []).every((verb) => each.verbs.includes(verb));
}

const BLANK = " "; // an empty cell, which a table of ours would call <none>

const COLUMNS: Column<Served>[] = [
  { header: "NAME", value: ({ name }) => name },
  { header: "SHORTNAMES", value: ({ shortNames }) => shortNames.join(",") || BLANK },
  { header: "APIVERSION", value: ({ apiVersion }) => apiVersion },
  { header: "NAMESPACED", value: ({ namespaced }) => String(namespaced) },
  { header: "KIND", value: ({ kind }) => kind },
  { header: "VERBS", value: ({ verbs }) => verbs.join(",") || BLANK, wide: true },
  { header: "CATEGORIES", value: ({ categories }) => categories.join(",") || BLANK, wide: true },
];

interface Discovery {
  kind?: string;
  items?: { metadata?: { name?: string }; versions?: { version: string; resources?: Described[] }[] }[];
}

interface Described {
  resource: string;
  responseKind?: { kind?: string };
  scope?: string;
  shortNames?: string[];
  verbs?: string[];
  categories?: string[];
}

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Each in its group's preferred version. */
async function servedKinds(api: ApiClient): Promise<Served[]> {
  const documents = await Promise.all(
    ["/api", "/apis"].map((path) => api.json({ method: "GET", path, accept: AGGREGATED })),
  );
  if (documents.some((each) => (each as Discovery).kind !== "APIGroupDiscoveryList"))
    throw new CliError(`${api.label}: it has no aggregated discovery (Kubernetes 1.30 and later have)`);
  const seen = new Set<string>();
  return (documents as Discovery[]).flatMap(({ items = [] }) =>
    items.flatMap(({ metadata, versions = [] }) => {
      const group = metadata?.name ?? "";
      return versions.flatMap(({ version, resources = [] }) =>
        resources.flatMap((each): Served[] => {
          const key = `${group}/${each.resource}`;
          if (seen.has(key) || (each.verbs ?? []).length === 0) return [];
          seen.add(key);
          return [servedOf(group, version, each)];
        }),
      );
    }),
  );
}

function servedOf(group: string, version: string, each: Described): Served {
  return {
    name: each.resource,
    group,
    apiVersion: group === "" ? version : `${group}/${version}`,
    kind: each.responseKind?.kind ?? "",
    namespaced: each.scope === "Namespaced",
    shortNames: each.shortNames ?? [],
    verbs: each.verbs ?? [],
    categories: each.categories ?? [],
  };
}
