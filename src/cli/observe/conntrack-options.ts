// The options of `podwire conntrack`: conntrack(8)'s own, its actions included (-L, -C, -D, -E, -F, -S). What podwire
// does not do is refused with a line of its own; nothing is passed over.
import type { Command } from "commander";
import {
  CONNTRACK_FILTER_KEYS,
  ConntrackFilterError,
  createConntrackFilter,
} from "../../observe/conntrack-filter.ts";
import type { ConntrackFormat } from "../../observe/conntrack-format.ts";
import { usageError } from "../errors.ts";

export type Options = Record<string, string | boolean | string[] | undefined>;
export type Parameters = [string, string][];

/** conntrack(8)'s letters for what it does, and the verbs of ours. */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  "-L": ["list"],
  "--dump": ["list"],
  "-C": ["count", "--total"],
  "--count": ["count", "--total"],
  "-D": ["delete"],
  "--delete": ["delete"],
  "-E": ["events"],
  "--event": ["events"],
  "-F": ["flush"],
  "--flush": ["flush"],
  "-S": ["stats"],
  "--stats": ["stats"],
};
const MAKING = "podwire enters connections when it sees their packets, not on demand";
const NOT_DONE: Readonly<Record<string, string>> = {
  "-I": MAKING,
  "--create": MAKING,
  "-A": MAKING,
  "--add": MAKING,
  "-U": "entries are changed by their packets alone",
  "--update": "entries are changed by their packets alone",
  "-R": MAKING,
  "--load-file": MAKING,
  "-G": "use list with the same options",
  "--get": "use list with the same options",
};
const VERBS = new Set(["list", "ls", "count", "delete", "flush", "events", "stats"]);

/** `conntrack -L -p tcp` as `conntrack list -p tcp`. An action is looked for where no verb is named. */
export function withAction(args: readonly string[]): string[] {
  const at = args.indexOf("conntrack");
  const after = args.slice(at + 1);
  if (at < 0 || VERBS.has(after[0])) return [...args];
  const refused = after.find((word) => Object.hasOwn(NOT_DONE, word));
  if (refused !== undefined) throw usageError(`conntrack ${refused}: ${NOT_DONE[refused]}`);
  const actions = after.filter((word) => Object.hasOwn(ACTIONS, word));
  if (actions.length === 0) return [...args];
  if (actions.length > 1) throw usageError(`conntrack ${actions.join(" ")}: one action at a time`);
  const rest = after.filter((word) => word !== actions[0]);
  return [...args.slice(0, at + 1), ...ACTIONS[actions[0]], ...rest];
}

interface FilterOption {
  flags: string;
  text: string;
  hidden?: boolean;
}

const shown = (flags: string, text: string): FilterOption => ({ flags, text });
const hidden = (flags: string, text: string): FilterOption => ({ flags, text, hidden: true });

const FILTERS: readonly FilterOption[] = [
  shown("-p, --proto <protocol>", "tcp, udp, icmp, icmpv6, sctp, udplite, gre or a number"),
  shown("-f, --family <family>", "ipv4 or ipv6"),
  shown("-s, --src <address>", "source of the original direction, also as a network (--orig-src)"),
  shown("-d, --dst <address>", "destination of the original direction (--orig-dst)"),
  shown("--mask-src <mask>", "with -s: only the address bits that this mask has"),
  shown("--mask-dst <mask>", "with -d: the same"),
  shown("-r, --reply-src <address>", "source of the reply direction"),
  shown("-q, --reply-dst <address>", "destination of the reply direction"),
  shown("--sport <port>", "source port of the original direction (--orig-port-src)"),
  shown("--dport <port>", "destination port of the original direction (--orig-port-dst)"),
  shown("--reply-port-src <port>", "source port of the reply direction"),
  shown("--reply-port-dst <port>", "destination port of the reply direction"),
  shown("--icmp-type <type>", "ICMP type of the original direction"),
  shown("--icmp-code <code>", "ICMP code"),
  shown("--icmp-id <id>", "ICMP echo identifier"),
  shown("--srckey <key>", "GRE: source key (--orig-key-src)"),
  shown("--dstkey <key>", "GRE: destination key (--orig-key-dst)"),
  shown("--reply-key-src <key>", "GRE: source key of the reply direction"),
  shown("--reply-key-dst <key>", "GRE: destination key of the reply direction"),
  shown("--state <state>", "ESTABLISHED, SYN_SENT, TIME_WAIT, …"),
  shown("-u, --status <flags>", "ASSURED, SEEN_REPLY, UNREPLIED, …, separated by commas"),
  shown("-m, --mark <mark>", "mark, or mark/mask; podwire's own is 0"),
  shown("-l, --label <label>", "labels that are set; podwire sets none"),
  shown("-w, --zone <zone>", "zone; podwire's own is 0"),
  shown("--orig-zone <zone>", "zone of the original direction"),
  shown("--reply-zone <zone>", "zone of the reply direction"),
  shown("-i, --id <id>", "the entry's own number"),
  shown("-n, --src-nat [address]", "source translated (to this address)"),
  shown("-g, --dst-nat [address]", "destination translated (to this address)"),
  shown("-j, --any-nat", "translated in any way"),
  shown("--node <name>", "only this node"),
];

/** conntrack(8) has up to three long names for an option. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  "orig-src": "src",
  "orig-dst": "dst",
  "orig-port-src": "sport",
  "orig-port-dst": "dport",
  "orig-key-src": "srckey",
  "orig-key-dst": "dstkey",
  protonum: "proto",
  "icmpv6-type": "icmp-type",
  "icmpv6-code": "icmp-code",
  "icmpv6-id": "icmp-id",
};

/** Options of conntrack(8) for which there is nothing here. */
const REFUSED: readonly [flags: string, why: string][] = [
  ["-t, --timeout <seconds>", "time-outs are settings: see docs/conntrack.md"],
  ["-z, --zero", "counters are kept: compare two listings instead"],
  ["-b, --buffer-size <bytes>", "the agent keeps the last 4,096 events; there is no socket buffer to set"],
  ["--tuple-src <address>", "is for expectations, which are not listed"],
  ["--tuple-dst <address>", "is for expectations, which are not listed"],
  ["--label-add <label>", "entries are changed by their packets alone"],
  ["--label-del [label]", "entries are changed by their packets alone"],
  ["--orig-vtag <tag>", "verification tags are not told"],
  ["--reply-vtag <tag>", "verification tags are not told"],
  ["--role <role>", "DCCP is tracked by its addresses alone"],
];

/** `-c` is conntrack's security mark, but for events, where it is how many. */
export function withFilters(command: Command, letters: { secmark: boolean }): Command {
  const secmark = hidden(
    `${letters.secmark ? "-c, " : ""}--secmark <mark>`,
    "SELinux' mark; podwire's own is 0",
  );
  const names = Object.entries(OTHER_NAMES).map(([name, key]) => hidden(`--${name} <value>`, key));
  for (const { flags, text, ...option } of [...FILTERS, secmark, ...names]) {
    const made = command.createOption(flags, text);
    if (flags.includes("--label"))
      made.argParser((value, before?: string) => (before ? `${before},${value}` : value));
    command.addOption(option.hidden === true ? made.hideHelp() : made);
  }
  for (const [flags, why] of REFUSED) command.addOption(command.createOption(flags, why).hideHelp());
  return command;
}

/** Only the table of connections is there. */
export function checkTable(table: string | undefined): void {
  if (table !== undefined && table !== "conntrack")
    throw usageError(`conntrack: table ${table}: podwire has the table conntrack alone`);
}

/** The options as the filter parameters that an agent takes; checked here, before anybody is asked. */
export function filterParameters(options: Options): Parameters {
  for (const [flags, why] of REFUSED) {
    const names = flags.replace(/ [<[].*/, "");
    const long = /--([\w-]+)/.exec(names)?.[1] ?? "";
    if (options[camelCase(long)] !== undefined)
      throw usageError(`conntrack ${names.replace(", ", "/")}: ${why}`);
  }
  const parameters: Parameters = [];
  const add = (option: string, key: string): void => {
    const value = options[camelCase(option)];
    if (value === undefined || value === false) return;
    parameters.push([key, value === true ? "" : String(value)]);
  };
  for (const key of CONNTRACK_FILTER_KEYS) add(key, key);
  for (const [name, key] of Object.entries(OTHER_NAMES)) add(name, key);
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
  form: "lines" | "json" | "yaml" | "xml" | "save";
}

/** Words of conntrack's -o that are understood; those that are no ConntrackFormat change nothing, as there. */
const CONNTRACK_FORMATS = ["extended", "id", "ktimestamp", "timestamp", "userspace", "labels"];
const FORMS = ["json", "yaml", "xml", "save"] as const;

/** -o is the program's, but here it also takes conntrack's words, several of them separated by commas. */
export function outputChoice(output: string | undefined): OutputChoice {
  const choice: OutputChoice = { format: {}, form: "lines" };
  const words = (output ?? "table").split(",");
  for (const word of words) {
    const form = FORMS.find((known) => known === word);
    if (form !== undefined) choice.form = form;
    else if (word === "wide") Object.assign(choice.format, { extended: true, id: true });
    else if (isFormatWord(word)) choice.format[word] = true;
    else if (word !== "table" && !CONNTRACK_FORMATS.includes(word)) {
      const known = ["table", "wide", ...FORMS, ...CONNTRACK_FORMATS].join(", ");
      throw usageError(`-o ${word}: unknown output form: use one or more of ${known}`);
    }
  }
  if (choice.form === "save" && words.length > 1)
    throw usageError(`-o ${output}: save goes with no other form`);
  return choice;
}

function isFormatWord(word: string): word is keyof ConntrackFormat {
  return word === "extended" || word === "id" || word === "ktimestamp" || word === "timestamp";
}
