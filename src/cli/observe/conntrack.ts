// podwire conntrack list|count|delete|events: the connection tables, in the format and with the filters of
// conntrack(8). A kernel node's table is the kernel's own, asked by conntrack(8) itself.
import type { Command } from "commander";
import { tryCommand } from "../../lab/process/command.ts";
import {
  CONNTRACK_XML_END,
  CONNTRACK_XML_HEAD,
  conntrackSave,
  conntrackXml,
} from "../../observe/conntrack-documents.ts";
import type { ConntrackEntry } from "../../observe/conntrack-entry.ts";
import { createConntrackFilter } from "../../observe/conntrack-filter.ts";
import { formatConntrackEntry, parseConntrackLine } from "../../observe/conntrack-format.ts";
import { globals, globalsButOutput, note, print, printData } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { inNetns } from "../in-namespace.ts";
import { askAgent, chooseNodes, type NodeAt } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { EventSession, eventTypes } from "./conntrack-events.ts";
import {
  checkTable,
  filterParameters,
  type Options,
  type OutputChoice,
  outputChoice,
  type Parameters,
  withAction,
  withFilters,
} from "./conntrack-options.ts";
import { conntrackStats } from "./conntrack-stats.ts";

interface Count {
  node: string;
  count: number;
  max: number;
}

const PROGRAM = "podwire conntrack";
/** conntrack(8)'s actions are words of ours. */
export const rewriteArguments = withAction;

export function register(program: Command): void {
  const conntrack = program
    .command("conntrack")
    .description(
      "the connection table, as conntrack(8) shows it; -L, -C, -D, -F, -E and -S are understood too",
    )
    .addHelpText("after", EXAMPLES);
  withFilters(conntrack.command("list [table]", { isDefault: true }).alias("ls"), { secmark: true })
    .description(
      "show connections, in conntrack(8)'s format; -o extended,id,ktimestamp adds what it adds there, and extended " +
        "the rules of policies that let each of them in",
    )
    .action(async (table: string | undefined, options: Options, command: Command) => {
      checkTable(table);
      await list(options, command);
    });
  conntrack
    .command("count [table]")
    .description("number of connections, and the most there may be")
    .option("--node <name>", "only this node")
    .option("--total", "the number alone, of all nodes together")
    .action(async (table: string | undefined, options: Options, command: Command) => {
      checkTable(table);
      await count(options, command);
    });
  withFilters(conntrack.command("delete [table]"), { secmark: true })
    .option("--all", "all connections (of a family, with -f)")
    .description("forget the connections that match; status 1 when none does")
    .action(async (table: string | undefined, options: Options, command: Command) => {
      checkTable(table);
      await remove(options, command);
    });
  conntrack
    .command("flush [table]")
    .description("forget all connections, without showing them")
    .option("-f, --family <family>", "ipv4 or ipv6: of this family only")
    .option("--node <name>", "only this node")
    .action(async (table: string | undefined, options: Options, command: Command) => {
      checkTable(table);
      await flush(options, command);
    });
  withFilters(conntrack.command("events [table]"), { secmark: false })
    .option("-e, --event-mask <events>", "NEW, UPDATES, DESTROY, separated by commas; all without it")
    .option("-c, --count <events>", "stop after so many events")
    .description("show what becomes of connections while one looks on, as conntrack -E does")
    .action(async (table: string | undefined, options: Options, command: Command) => {
      checkTable(table);
      await events(options, command);
    });
  conntrack
    .command("stats")
    .description("what went wrong, in conntrack -S' words: one line a node")
    .option("--node <name>", "only this node")
    .action(async (options: Options, command: Command) => {
      const chosen = globals(command);
      const nodes = chooseNodes(await openNodes(chosen), options.node as string | undefined);
      await conntrackStats(nodes, chosen.output, (node) => kernelConntrack(node, ["-S"]));
    });
}

const EXAMPLES = `
Examples:
  podwire conntrack -L -p tcp --dport 80
  podwire conntrack list -s 10.244.0.0 --mask-src 255.255.0.0 -o extended
  podwire conntrack delete -u UNREPLIED -p udp
  podwire conntrack events -e NEW,DESTROY -o timestamp`;

async function list(options: Options, command: Command): Promise<void> {
  const { output, ...rest } = command.optsWithGlobals() as Options;
  const choice = outputChoice(output as string | undefined);
  const parameters = filterParameters(options);
  const nodes = chooseNodes(await openNodes(globalsButOutput(command)), rest.node as string | undefined);
  const items: ConntrackEntry[] = [];
  for (const node of nodes) {
    const entries = await entriesOf(node, parameters);
    items.push(...entries);
    await printEntries(entries, choice);
    if (!isData(choice)) note(shown(nodes.length > 1 ? node.name : undefined, entries.length, "shown"));
  }
  await printWhole(items, choice);
}

/** json, yaml and xml are one document, of all nodes. */
function isData(choice: OutputChoice): boolean {
  return choice.form !== "lines" && choice.form !== "save";
}

/** Forms that are lines are printed a node at a time. */
async function printEntries(entries: ConntrackEntry[], { form, format }: OutputChoice): Promise<void> {
  if (entries.length === 0 || (form !== "lines" && form !== "save")) return;
  const line = (entry: ConntrackEntry): string =>
    form === "save" ? conntrackSave(entry) : formatConntrackEntry(entry, format);
  await print(entries.map(line).join("\n"));
}

async function printWhole(items: ConntrackEntry[], { form, format }: OutputChoice): Promise<void> {
  if (form === "json" || form === "yaml") return printData(form, { kind: "conntrack", items }, [], []);
  if (form !== "xml") return;
  const flows = items.map((entry) => conntrackXml(entry, format.ktimestamp));
  await print([CONNTRACK_XML_HEAD, ...flows, CONNTRACK_XML_END].join("\n"));
}

/** conntrack's closing words; with several tables, whose. */
function shown(node: string | undefined, entries: number, verb: "shown" | "deleted"): string {
  return `${PROGRAM}${node === undefined ? "" : ` (${node})`}: ${entries} flow entries have been ${verb}.`;
}

async function entriesOf(node: NodeAt, parameters: Parameters): Promise<ConntrackEntry[]> {
  if (node.kind === "kernel") return kernelEntries(node, parameters);
  const { items } = await askAgent<{ items: ConntrackEntry[] }>(node, `/conntrack${query(parameters)}`);
  return items.map((entry) => ({ ...entry, node: node.name }));
}

function query(parameters: Parameters): string {
  return parameters.length === 0 ? "" : `?${new URLSearchParams(parameters)}`;
}

async function kernelEntries(node: NodeAt, parameters: Parameters): Promise<ConntrackEntry[]> {
  const stdout = await kernelConntrack(node, ["-L", "-o", "id,labels"]);
  const matches = createConntrackFilter(parameters);
  return stdout.split("\n").flatMap((line) => {
    const entry = parseConntrackLine(line);
    return entry !== undefined && matches(entry) ? [{ ...entry, node: node.name }] : [];
  });
}

function tryIn({ netns }: NodeAt, words: string[]): ReturnType<typeof tryCommand> {
  const [file, ...args] = inNetns(netns, words);
  return tryCommand(file, args);
}

async function kernelConntrack(node: NodeAt, args: string[]): Promise<string> {
  const result = await tryIn(node, ["conntrack", ...args]);
  if (result.status === 0) return result.stdout;
  const isMissing = /No such file|not found/.test(result.stderr);
  throw new CliError(
    isMissing
      ? `node ${node.name} is a kernel node, whose table conntrack(8) shows: apt-get install conntrack`
      : `node ${node.name}: conntrack: ${result.stderr.trim()}`,
  );
}

async function count(options: Options, command: Command): Promise<void> {
  const chosen = globals(command);
  const wanted = options.node as string | undefined;
  const counts: Count[] = [];
  for (const node of chooseNodes(await openNodes(chosen), wanted)) counts.push(await countOf(node));
  if (chosen.output === "table" && (wanted !== undefined || options.total === true))
    return print(String(counts.reduce((sum, node) => sum + node.count, 0)));
  await printData(chosen.output, { kind: "conntrack-count", items: counts }, COUNT_COLUMNS, counts);
}

const COUNT_COLUMNS = [
  { header: "NODE", value: (row: Count) => row.node },
  { header: "COUNT", value: (row: Count) => row.count },
  { header: "MAX", value: (row: Count) => row.max },
];

async function countOf(node: NodeAt): Promise<Count> {
  if (node.kind === "kernel") {
    const stdout = await kernelConntrack(node, ["-C"]);
    const max = await tryCommand("sysctl", ["-n", "net.netfilter.nf_conntrack_max"]);
    return { node: node.name, count: Number(stdout), max: Number(max.stdout) };
  }
  const answer = await askAgent<{ count: number; max: number }>(node, "/conntrack/count");
  return { node: node.name, count: answer.count, max: answer.max };
}

async function remove(options: Options, command: Command): Promise<void> {
  const parameters = filterParameters(options);
  if (parameters.length === 0 && options.all !== true) {
    throw usageError("conntrack delete: say which by a filter, or --all");
  }
  const filter = parameters.find(([key]) => key !== "family")?.[0];
  if (options.all === true && filter !== undefined)
    throw usageError(`conntrack delete --all: goes without --${filter}: leave one of them out`);
  const choice = outputChoice((command.optsWithGlobals() as Options).output as string | undefined);
  const nodes = chooseNodes(await openNodes(globalsButOutput(command)), options.node as string | undefined);
  const items: ConntrackEntry[] = [];
  for (const node of nodes) {
    const removed = await removeFrom(node, parameters);
    items.push(...removed);
    await printEntries(removed, choice);
    if (!isData(choice)) note(shown(nodes.length > 1 ? node.name : undefined, removed.length, "deleted"));
  }
  await printWhole(items, choice);
  // As conntrack(8) -D, which fails where nothing matched, without another word.
  if (items.length === 0 && options.all !== true) process.exitCode = Exit.FAILED;
}

/** As conntrack -F: it says that it is done, and shows nothing. */
async function flush(options: Options, command: Command): Promise<void> {
  const parameters = filterParameters(options);
  const chosen = globalsButOutput(command);
  outputChoice((command.optsWithGlobals() as Options).output as string | undefined);
  const nodes = chooseNodes(await openNodes(chosen), options.node as string | undefined);
  for (const node of nodes) {
    if (node.kind === "kernel") await kernelConntrack(node, ["-F", ...familyOf(parameters)]);
    else await askAgent(node, `/conntrack${query(parameters)}`, "DELETE");
    const whose = nodes.length > 1 ? ` (${node.name})` : "";
    note(`${PROGRAM}${whose}: connection tracking table has been emptied.`);
  }
}

function familyOf(parameters: Parameters): string[] {
  return parameters.flatMap(([key, value]) => (key === "family" ? ["-f", value] : []));
}

async function events(options: Options, command: Command): Promise<void> {
  const { output, count: limit, eventMask } = command.optsWithGlobals() as Record<string, string | undefined>;
  const count = limit === undefined ? undefined : Number(limit);
  if (count !== undefined && !(Number.isInteger(count) && count > 0)) {
    throw usageError(`-c ${limit}: use a number above 0`);
  }
  const wish = {
    parameters: filterParameters(options),
    types: eventTypes(eventMask),
    count,
    choice: outputChoice(output),
  };
  if (wish.choice.form === "xml" || wish.choice.form === "save")
    throw usageError(`-o ${output}: is for list and delete; events are lines, json or yaml`);
  const nodes = chooseNodes(await openNodes(globalsButOutput(command)), options.node as string | undefined);
  const session = new EventSession(nodes, wish);
  const stop = (): void => session.stop();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  try {
    const names = nodes.map(({ name }) => name).join(", ");
    const shownEvents = await session.run(() => note(`${PROGRAM}: waiting for events of ${names}`));
    note(`${PROGRAM}: ${shownEvents} flow events have been shown.`);
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
  }
}

async function removeFrom(node: NodeAt, parameters: Parameters): Promise<ConntrackEntry[]> {
  if (node.kind === "podwire") {
    const path = `/conntrack${query(parameters)}`;
    const { items } = await askAgent<{ items: ConntrackEntry[] }>(node, path, "DELETE");
    return items.map((entry) => ({ ...entry, node: node.name }));
  }
  const entries = await kernelEntries(node, parameters);
  for (const { orig, proto, id } of entries) {
    const ports =
      orig.sport === undefined ? [] : ["--sport", String(orig.sport), "--dport", String(orig.dport)];
    const tuple = ["-s", orig.src, "-d", orig.dst, "-p", String(proto), ...ports, "-i", String(id)];
    // One that has gone already meanwhile is as well.
    await tryIn(node, ["conntrack", "-D", ...tuple]);
  }
  return entries;
}
