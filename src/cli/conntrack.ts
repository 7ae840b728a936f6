// podwire conntrack list|count|delete|events: the connection tables, in the format and with the filters of
// conntrack(8). A kernel node's table is the kernel's own, asked by conntrack(8) itself.
import type { Command } from "commander";
import { tryCommand } from "../lab/command.ts";
import type { ConntrackEntry } from "../observe/conntrack-entry.ts";
import {
  CONNTRACK_FILTER_KEYS,
  ConntrackFilterError,
  createConntrackFilter,
} from "../observe/conntrack-filter.ts";
import {
  type ConntrackFormat,
  formatConntrackEntry,
  parseConntrackLine,
} from "../observe/conntrack-format.ts";
import { EventSession, eventTypes } from "./conntrack-events.ts";
import { globals, note, print, printData } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { askAgent, chooseNodes, type LabNode, openLab } from "./lab-view.ts";

type Options = Record<string, string | boolean | undefined>;
type Parameters = [string, string][];

interface Count {
  node: string;
  count: number;
  max: number;
}

const PROGRAM = "podwire conntrack";
/** Words of conntrack's -o that are understood; timestamp and userspace change nothing in a listing, as there. */
const CONNTRACK_FORMATS = ["extended", "id", "ktimestamp", "timestamp", "userspace"];

export function register(program: Command): void {
  const conntrack = program
    .command("conntrack")
    .description("the connection table, as conntrack(8) shows it");
  withFilters(conntrack.command("list", { isDefault: true }).alias("ls"))
    .description(
      "show connections, in conntrack(8)'s format; -o extended,id,ktimestamp adds what it adds there",
    )
    .action(async (options: Options, command: Command) => list(options, command));
  conntrack
    .command("count")
    .description("number of connections, and the most there may be")
    .option("--node <name>", "only this node")
    .action(async (options: Options, command: Command) => count(options, command));
  withFilters(conntrack.command("delete"))
    .option("--all", "all connections")
    .description("forget the connections that match")
    .action(async (options: Options, command: Command) => remove(options, command));
  withFilters(conntrack.command("events"))
    .option("-e, --event-mask <events>", "NEW, UPDATES, DESTROY, separated by commas; all without it")
    .option("-c, --count <events>", "stop after so many events")
    .description("show what becomes of connections while one looks on, as conntrack -E does")
    .action(async (options: Options, command: Command) => events(options, command));
}

/** conntrack(8) has up to three long names for an option; the second set is hidden. */
function withFilters(command: Command): Command {
  command
    .option("-p, --proto <protocol>", "tcp, udp, icmp, icmpv6, sctp, udplite, gre or a number")
    .option("-f, --family <family>", "ipv4 or ipv6")
    .option("-s, --src <address>", "source of the original direction, also as a network (--orig-src)")
    .option("-d, --dst <address>", "destination of the original direction (--orig-dst)")
    .option("-r, --reply-src <address>", "source of the reply direction")
    .option("-q, --reply-dst <address>", "destination of the reply direction")
    .option("--sport <port>", "source port of the original direction (--orig-port-src)")
    .option("--dport <port>", "destination port of the original direction (--orig-port-dst)")
    .option("--reply-port-src <port>", "source port of the reply direction")
    .option("--reply-port-dst <port>", "destination port of the reply direction")
    .option("--icmp-type <type>", "ICMP type of the original direction")
    .option("--icmp-code <code>", "ICMP code")
    .option("--icmp-id <id>", "ICMP echo identifier")
    .option("--state <state>", "ESTABLISHED, SYN_SENT, TIME_WAIT, …")
    .option("-u, --status <flags>", "ASSURED, SEEN_REPLY, UNREPLIED, …, separated by commas")
    .option("-m, --mark <mark>", "mark, or mark/mask")
    .option("-i, --id <id>", "the entry's own number")
    .option("-n, --src-nat [address]", "source translated (to this address)")
    .option("-g, --dst-nat [address]", "destination translated (to this address)")
    .option("-j, --any-nat", "translated in any way")
    .option("--node <name>", "only this node");
  for (const [hidden, key] of Object.entries(HIDDEN_NAMES)) {
    command.addOption(command.createOption(`--${hidden} <value>`, key).hideHelp());
  }
  return command;
}

const HIDDEN_NAMES: Readonly<Record<string, string>> = {
  "orig-src": "src",
  "orig-dst": "dst",
  "orig-port-src": "sport",
  "orig-port-dst": "dport",
};

/**
 * The command line's options as the filter parameters that an agent takes; checked here, before anybody is
 * asked.
 */
export function filterParameters(options: Options): Parameters {
  const parameters: Parameters = [];
  const add = (option: string, key: string): void => {
    const value = options[camelCase(option)];
    if (value === undefined || value === false) return;
    parameters.push([key, value === true ? "" : value]);
  };
  for (const key of CONNTRACK_FILTER_KEYS) add(key, key);
  for (const [hidden, key] of Object.entries(HIDDEN_NAMES)) add(hidden, key);
  try {
    createConntrackFilter(parameters);
  } catch (error) {
    if (error instanceof ConntrackFilterError) throw usageError(error.message);
    throw error;
  }
  return parameters;
}

function camelCase(option: string): string {
  return option.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

export interface OutputChoice {
  format: ConntrackFormat;
  form: "lines" | "json" | "yaml";
}

/** -o is the program's, but here it also takes conntrack's words, several of them separated by commas. */
export function outputChoice(output: string | undefined): OutputChoice {
  const choice: OutputChoice = { format: {}, form: "lines" };
  for (const word of (output ?? "table").split(",")) {
    if (word === "json" || word === "yaml") choice.form = word;
    else if (word === "wide") Object.assign(choice.format, { extended: true, id: true });
    else if (isFormatWord(word)) choice.format[word] = true;
    else if (word !== "table" && !CONNTRACK_FORMATS.includes(word)) {
      const known = ["table", "wide", "json", "yaml", ...CONNTRACK_FORMATS].join(", ");
      throw usageError(`-o ${word}: unknown output form: use one or more of ${known}`);
    }
  }
  return choice;
}

function isFormatWord(word: string): word is keyof ConntrackFormat {
  return word === "extended" || word === "id" || word === "ktimestamp" || word === "timestamp";
}

async function list(options: Options, command: Command): Promise<void> {
  const { output, ...rest } = command.optsWithGlobals() as Options;
  const choice = outputChoice(output as string | undefined);
  const parameters = filterParameters(options);
  const nodes = chooseNodes(openLab(globalsWithoutOutput(command)), rest.node as string | undefined);
  const items: ConntrackEntry[] = [];
  for (const node of nodes) {
    const entries = await entriesOf(node, parameters);
    items.push(...entries);
    if (choice.form !== "lines") continue;
    const lines = entries.map((entry) => formatConntrackEntry(entry, choice.format));
    if (lines.length > 0) await print(lines.join("\n"));
    note(shown(nodes.length > 1 ? node.name : undefined, entries.length, "shown"));
  }
  if (choice.form !== "lines") await printData(choice.form, { kind: "conntrack", items }, [], []);
}

/** conntrack's closing words; with several tables, whose. */
export function shown(node: string | undefined, entries: number, verb: "shown" | "deleted"): string {
  return `${PROGRAM}${node === undefined ? "" : ` (${node})`}: ${entries} flow entries have been ${verb}.`;
}

/** `-o extended` is no form that other verbs know, so their check must not see it. */
function globalsWithoutOutput(command: Command) {
  const { lab, verbose } = command.optsWithGlobals() as { lab?: string; verbose?: boolean };
  return { output: "table" as const, lab: lab ?? process.env.PODWIRE_LAB, verbose: verbose === true };
}

async function entriesOf(node: LabNode, parameters: Parameters): Promise<ConntrackEntry[]> {
  if (node.kind === "kernel") return kernelEntries(node, parameters);
  const { items } = await askAgent<{ items: ConntrackEntry[] }>(node, `/conntrack${query(parameters)}`);
  return items.map((entry) => ({ ...entry, node: node.name }));
}

function query(parameters: Parameters): string {
  return parameters.length === 0 ? "" : `?${new URLSearchParams(parameters)}`;
}

async function kernelEntries(node: LabNode, parameters: Parameters): Promise<ConntrackEntry[]> {
  const stdout = await kernelConntrack(node, ["-L", "-o", "id"]);
  const matches = createConntrackFilter(parameters);
  return stdout.split("\n").flatMap((line) => {
    const entry = parseConntrackLine(line);
    return entry !== undefined && matches(entry) ? [{ ...entry, node: node.name }] : [];
  });
}

async function kernelConntrack(node: LabNode, args: string[]): Promise<string> {
  const result = await tryCommand("ip", ["netns", "exec", node.netns, "conntrack", ...args]);
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
  for (const node of chooseNodes(openLab(chosen), wanted)) counts.push(await countOf(node));
  if (chosen.output === "table" && wanted !== undefined) return print(String(counts[0].count));
  await printData(chosen.output, { kind: "conntrack-count", items: counts }, COUNT_COLUMNS, counts);
}

const COUNT_COLUMNS = [
  { header: "NODE", value: (row: Count) => row.node },
  { header: "COUNT", value: (row: Count) => row.count },
  { header: "MAX", value: (row: Count) => row.max },
];

async function countOf(node: LabNode): Promise<Count> {
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
  const choice = outputChoice((command.optsWithGlobals() as Options).output as string | undefined);
  const nodes = chooseNodes(openLab(globalsWithoutOutput(command)), options.node as string | undefined);
  const items: ConntrackEntry[] = [];
  for (const node of nodes) {
    const removed = await removeFrom(node, parameters);
    items.push(...removed);
    if (choice.form !== "lines") continue;
    if (removed.length > 0) {
      await print(removed.map((entry) => formatConntrackEntry(entry, choice.format)).join("\n"));
    }
    note(shown(nodes.length > 1 ? node.name : undefined, removed.length, "deleted"));
  }
  if (choice.form !== "lines") await printData(choice.form, { kind: "conntrack", items }, [], []);
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
  const nodes = chooseNodes(openLab(globalsWithoutOutput(command)), options.node as string | undefined);
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

async function removeFrom(node: LabNode, parameters: Parameters): Promise<ConntrackEntry[]> {
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
    await tryCommand("ip", ["netns", "exec", node.netns, "conntrack", "-D", ...tuple]);
  }
  return entries;
}
