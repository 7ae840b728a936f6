// podwire get KIND[,KIND…] [NAME…] | KIND/NAME… [-n NS|-A] [-l LABELS] [-o FORM] [-w]
import type { Command } from "commander";
import type { WorkloadEndpoint } from "../../calico/workload-endpoint.ts";
import { byTime } from "../../cluster/event-recorder.ts";
import { notFound } from "../../cluster/outcome.ts";
import { parsePath, valueText } from "../../kube/json-path.ts";
import { labelValue } from "../../kube/labels.ts";
import type { Event, KubeObject } from "../../kube/objects.ts";
import type { WatchChange, WatchType } from "../api/changes-between.ts";
import { addCluster } from "../api/open-api.ts";
import { type ObjectSource, openObjects } from "../api/open-objects.ts";
import type { ServerTable } from "../api/server-table.ts";
import { note, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { type Column, formatTable } from "../table.ts";
import { type Target, wordTargets } from "../targets.ts";
import { allEndpoints } from "./get/endpoints.ts";
import { nameOf, type Printer, printerOf } from "./get/output.ts";
import { fieldMatcher, labelMatcher, type Matcher } from "./get/selector.ts";
import { listShown, type ShownKind } from "./get/shown-kind.ts";
import { changesOf, type WatchedKind } from "./get/watch.ts";
import { collect } from "./manifests.ts";
import { columnsFor } from "./object-columns.ts";

interface Flags {
  filename?: string[];
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  headers: boolean;
  showLabels?: boolean;
  labelColumns?: string;
  sortBy?: string;
  watch?: boolean;
  watchOnly?: boolean;
  outputWatchEvents?: boolean;
  ignoreNotFound?: boolean;
  showManagedFields?: boolean;
}

const EXAMPLES = `
Examples:
  podwire get pods,svc -A
  podwire get all
  podwire get pod/web-1 svc/api -o name
  podwire get pods -l 'app in (web,api)' --field-selector spec.nodeName=node1
  podwire get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}'
  podwire get pods -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName --sort-by .metadata.name
  podwire get pods -w`;

export function register(program: Command): void {
  const command = program
    .command("get [kind] [names...]")
    .description("show objects: pods, services (svc), endpointslices, nodes, deployments, namespaces, …")
    .usage("KIND[,KIND…] [NAME…] | KIND/NAME… | -f FILE… [-n NAMESPACE | -A] [-l LABELS] [-o FORM] [-w]")
    .option("-f, --filename <file>", "the objects that manifests name; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace", "default")
    .option("-A, --all-namespaces", "all namespaces")
    .option("-l, --selector <labels>", "only objects with these labels: app=web,tier!=cache,env in (a,b)")
    .option("--field-selector <fields>", "only objects with these fields: status.phase=Running")
    .option("--no-headers", "no line of headers")
    .option("--show-labels", "labels as the last column")
    .option("-L, --label-columns <labels>", "columns of these labels")
    .option("--sort-by <path>", "by this field: .metadata.creationTimestamp")
    .option("-w, --watch", "then show changes until Ctrl-C")
    .option("--watch-only", "changes alone")
    .option("--output-watch-events", "with -w: what happened, as the first column")
    .option("--show-managed-fields", "with -o json or yaml: who has which field, too")
    .option("--ignore-not-found", "a name that is not there is no error")
    .addHelpText("after", EXAMPLES);
  addCluster(command).action(
    async (kinds: string | undefined, names: string[], flags: Flags, command: Command) => {
      const { output } = command.optsWithGlobals() as Record<string, string | undefined>;
      const request: Request = {
        targets: targetsOf(kinds, names, flags),
        namespace: flags.allNamespaces === true ? undefined : flags.namespace,
        flags,
        fits: [labelMatcher(flags.selector), fieldMatcher(flags.fieldSelector)],
        printer: printerOf(output, flags.headers, flags.showManagedFields === true),
        wide: output === "wide",
        widths: new Map(),
      };
      if (flags.sortBy !== undefined) parsePath(flags.sortBy);
      if (flags.outputWatchEvents === true && flags.watch !== true && flags.watchOnly !== true)
        throw usageError("get: --output-watch-events option can only be used with --watch or --watch-only");
      const isNamed =
        flags.filename !== undefined || request.targets.some((target) => target.names.length > 0);
      if (flags.allNamespaces === true && isNamed)
        throw usageError("get: a name belongs to one namespace: -n, not -A");
      const source = await openObjects(command);
      const only = command.getOptionValueSource("namespace") === "default" ? undefined : flags.namespace;
      if (flags.filename !== undefined) {
        const { manifestTargets } = await import("../api/manifest-targets.ts");
        request.targets = await manifestTargets("get", flags.filename, only, source.api);
      }
      await get(source, request);
    },
  );
}

interface Request {
  targets: Target[];
  namespace: string | undefined;
  flags: Flags;
  fits: Matcher[];
  printer: Printer | undefined;
  wide: boolean;
  /** Kind → widths of its columns so far: what changes stands below what was. */
  widths: Map<string, number[]>;
}

type Found = ShownKind & {
  readonly namespace: string | undefined;
  /** By which it was asked for. */
  readonly words: string[];
};

/** Those of manifests are read later. */
function targetsOf(kinds: string | undefined, names: string[], flags: Flags): Target[] {
  if (flags.filename !== undefined) {
    if (kinds !== undefined) throw usageError("get: either -f FILE or KIND NAME, not both");
    return [];
  }
  if (kinds === undefined) throw usageError("get: what? podwire get KIND [NAME…], or podwire get -f FILE");
  return wordTargets("get", kinds, names);
}

async function get(all: ObjectSource, request: Request): Promise<void> {
  const { flags, printer, targets } = request;
  const { found, missing } = await ask(all, request);
  const single = targets.length === 1 && targets[0].names.length === 1;
  const isWatching = flags.watch === true || flags.watchOnly === true;
  if (flags.watchOnly !== true) {
    const items = found.flatMap((list) => list.items);
    if (printer !== undefined && flags.outputWatchEvents === true)
      for (const object of items) await printer([{ type: "ADDED", object } as object as KubeObject], true);
    else if (printer !== undefined && !(single && items.length === 0)) await printer(items, single);
    else if (missing.length === 0 || found.some((list) => list.items.length > 0))
      await printTables(found, request);
  }
  if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
  if (isWatching) await watch(all, request, found);
}

/** What there is, and a line for each name that is not there. */
async function ask(
  all: ObjectSource,
  { targets, namespace, flags, fits, printer }: Request,
): Promise<{ found: Found[]; missing: string[] }> {
  const found: Found[] = [];
  const missing: string[] = [];
  for (const { word, names, optional, ...target } of targets) {
    const where = target.namespace ?? namespace;
    const list = await listShown(all, word, where, printer === undefined).catch(
      (error: { code?: string }) => {
        if (optional && error.code === "UNKNOWN_KIND") return undefined;
        throw error;
      },
    );
    if (list === undefined) continue;
    if (list.kind === "Endpoints" && all.api?.isLab !== false)
      list.items = await allEndpoints(all, list.items, namespace);
    const chosen = select(list.items, names);
    const absent = names.filter((name) => !chosen.some((each) => isCalled(each, name)));
    if (flags.ignoreNotFound !== true && !optional)
      missing.push(...absent.map((name) => notFound(list, name)));
    const items = chosen.filter((object) => fits.every((test) => test(object)));
    const before = found.at(-1);
    const isByTime = list.kind === "Event" && flags.sortBy === undefined;
    const sorted = isByTime
      ? (items as Event[]).sort(byTime)
      : sortedBy(items, flags.sortBy, targets.length === 1);
    if (names.length === 1 && before !== undefined && kindId(before) === kindId(list) && targets.length > 1) {
      before.items.push(...sorted);
      if (list.table !== undefined) before.table?.take(list.table, sorted);
      before.words.push(word);
    } else found.push({ ...list, items: sorted, namespace: where, words: [word] });
  }
  return { found, missing };
}

function select(items: KubeObject[], names: string[]): KubeObject[] {
  if (names.length === 0) return items;
  return names.flatMap((name) => items.find((each) => isCalled(each, name)) ?? []);
}

/** An endpoint of Calico's goes by its pod's name too. */
function isCalled(object: KubeObject, name: string): boolean {
  if (object.metadata.name === name) return true;
  return object.kind === "WorkloadEndpoint" && (object as WorkloadEndpoint).spec.pod === name;
}

/** `isStrict`: that none has the field is an error; of several kinds some may have none. */
function sortedBy(items: KubeObject[], path: string | undefined, isStrict: boolean): KubeObject[] {
  if (path === undefined) return items;
  const find = parsePath(path);
  const key = (object: KubeObject): unknown => find(object)[0];
  if (isStrict && items.length > 0 && items.every((object) => key(object) === undefined))
    throw new CliError(`couldn't find any field with path "${path}" in the list of objects`);
  return [...items].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (typeof x === "number" && typeof y === "number") return x - y;
    return valueText(x) < valueText(y) ? -1 : valueText(x) > valueText(y) ? 1 : 0;
  });
}

/** One table a kind, as kubectl prints `get pods,services`: names carry their kind then, groups a line between. */
async function printTables(found: Found[], request: Request): Promise<void> {
  const { namespace, flags, wide } = request;
  const some = found.filter((list) => list.items.length > 0);
  if (some.length === 0 && flags.ignoreNotFound !== true) {
    const where =
      found.some((list) => list.namespaced) && namespace !== undefined ? ` in ${namespace} namespace` : "";
    note(`No resources found${where}${where === "" ? "" : "."}`);
  }
  const isMixed = new Set(found.map(kindId)).size > 1;
  for (const [i, list] of some.entries()) {
    const columns = tableColumns(list, request, isMixed, "ADDED");
    if (i > 0) await print("\n");
    await printLines(columns, list.items, wide, flags.headers, widthsOf(request, list.kind));
  }
}

function tableColumns(
  { kind, namespaced, table }: { kind: string; namespaced: boolean; table?: ServerTable },
  request: Request,
  prefixed: boolean,
  type: WatchType,
): Column<KubeObject>[] {
  const { flags, namespace } = request;
  const columns = table === undefined ? columnsFor(kind, Date.now()) : [...table.columns];
  if (prefixed && columns[0].header === "NAME") columns[0] = { header: "NAME", value: nameOf };
  for (const label of flags.labelColumns?.split(",") ?? []) {
    const header = (label.split("/").at(-1) ?? label).toUpperCase();
    columns.push({ header, value: ({ metadata }) => labelValue(metadata.labels, label) });
  }
  if (flags.showLabels === true) columns.push({ header: "LABELS", value: labelText });
  if (namespaced && namespace === undefined) columns.unshift(NAMESPACE);
  if (flags.outputWatchEvents === true) columns.unshift({ header: "EVENT", value: () => type });
  return columns;
}

function widthsOf({ widths }: Request, kind: string): number[] {
  const known = widths.get(kind) ?? [];
  widths.set(kind, known);
  return known;
}

const NAMESPACE: Column<KubeObject> = { header: "NAMESPACE", value: (o) => o.metadata.namespace };

function labelText(object: KubeObject): string {
  const pairs = Object.entries(object.metadata.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(",");
}

async function printLines(
  columns: Column<KubeObject>[],
  items: KubeObject[],
  wide: boolean,
  headers: boolean,
  widths: number[],
): Promise<void> {
  const lines = formatTable(columns, items, wide, widths).split("\n");
  await print((headers ? lines : lines.slice(1)).join("\n"));
}

/** Without end: Ctrl-C ends it, as it ends kubectl's. */
async function watch(all: ObjectSource, request: Request, first: Found[]): Promise<void> {
  const { flags, printer, wide, targets, namespace, fits } = request;
  const kinds = new Map(first.map((list) => [kindId(list), list]));
  const headed = new Set(
    first.filter(({ items }) => flags.watchOnly !== true && items.length > 0).map(({ kind }) => kind),
  );
  const show = async ({ type, object }: WatchChange): Promise<void> => {
    if (printer !== undefined)
      return printer(
        [flags.outputWatchEvents === true ? ({ type, object } as object as KubeObject) : object],
        true,
      );
    const { kind } = object;
    const list = kinds.get(kindId(object)) ?? { kind, namespaced: true };
    const columns = tableColumns(list, request, kinds.size > 1, type);
    await printLines(columns, [object], wide, flags.headers && !headed.has(kind), widthsOf(request, kind));
    headed.add(kind);
  };
  const words = new Map(first.flatMap((list) => list.words.map((word) => [word, kindId(list)])));
  const matches = (object: KubeObject): boolean =>
    targets.some(({ word, names, namespace: own }) => {
      const { namespace: where } = object.metadata;
      const isHere = where === undefined || (own ?? namespace ?? where) === where;
      const isNamed = names.length === 0 || names.some((each) => isCalled(object, each));
      return words.get(word) === kindId(object) && isHere && isNamed;
    }) && fits.every((test) => test(object));
  const lenient = { ...request, flags: { ...flags, ignoreNotFound: true } };
  const list = async (): Promise<KubeObject[]> =>
    (await ask(all, lenient)).found.flatMap(({ items }) => items);
  const listed = first.flatMap(({ items }) => items);
  const watched = [...kinds.values()].map(watchedKind);
  for await (const change of changesOf(all.api, watched, { listed, list, matches })) await show(change);
}

function watchedKind({ kind, served, table, namespace }: Found): WatchedKind {
  return served === undefined ? { kind } : { kind, followed: { ...served, table, namespace } };
}

/** Kinds of two groups may have one name. */
function kindId({ kind, apiVersion }: { kind: string; apiVersion?: string }): string {
  return `${kind}.${apiVersion?.split("/")[0] ?? ""}`;
}
