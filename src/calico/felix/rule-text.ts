// A rule in two tongues: as Felix hands it to iptables-restore, which is what its hash is taken of, and as iptables-save
// shows it, which is what people see and compare.
import { ruleHashes } from "./names.ts";

/** What iptables-save shows in front of everything else, in this order. */
const HEAD = ["-s", "-d", "-i", "-o", "-p"];
const PROTOCOL_NAMES: Readonly<Record<string, string>> = { 17: "udp", 58: "ipv6-icmp" };
const UNSAFE = /[^\w @%+=:,./-]/g; // in a comment: iptables-restore has no way to quote it
const COMMENT_MAX = 256;

/** One condition. */
export interface Match {
  readonly felix: string;
  readonly save: string;
}

/** What a rule does. */
export type Action = Match;

export interface Rule {
  readonly matches?: readonly Match[];
  readonly action?: Action;
  readonly comments?: readonly string[];
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

const same = (text: string): Match => ({ felix: text, save: text });
const mark = (value: number): string => `0x${value.toString(16)}`;

export const ACCEPT: Action = { felix: "--jump ACCEPT", save: "-j ACCEPT" };
export const DROP: Action = { felix: "--jump DROP", save: "-j DROP" };
export const RETURN: Action = { felix: "--jump RETURN", save: "-j RETURN" };

export function jump(chain: string): Action {
  return { felix: `--jump ${chain}`, save: `-j ${chain}` };
}

export function goTo(chain: string): Action {
  return { felix: `--goto ${chain}`, save: `-g ${chain}` };
}

export function setMark(bits: number): Action {
  return maskedMark(bits, bits);
}

export function maskedMark(value: number, mask: number): Action {
  const text = `${mark(value)}/${mark(mask)}`;
  return { felix: `--jump MARK --set-mark ${text}`, save: `-j MARK --set-xmark ${text}` };
}

export function clearMark(bits: number): Action {
  return { felix: `--jump MARK --set-mark 0/${mark(bits)}`, save: `-j MARK --set-xmark 0x0/${mark(bits)}` };
}

export function hasMark(bits: number): Match {
  return same(`-m mark --mark ${mark(bits)}/${mark(bits)}`);
}

export function hasNoMark(bits: number): Match {
  return { felix: `-m mark --mark 0/${mark(bits)}`, save: `-m mark --mark 0x0/${mark(bits)}` };
}

export function hasSomeMark(bits: number): Match {
  return { felix: `-m mark ! --mark 0/${mark(bits)}`, save: `-m mark ! --mark 0x0/${mark(bits)}` };
}

export function connection(states: string): Match {
  return same(`-m conntrack --ctstate ${states}`);
}

/** Where it goes to was not changed on the way. */
export function notDnat(): Match {
  return same("-m conntrack ! --ctstate DNAT");
}

export function protocol(name: string): Match {
  return { felix: `-p ${name}`, save: `-p ${PROTOCOL_NAMES[name] ?? name}` };
}

export function icmpv6Type(type: number): Match {
  return same(`-m icmp6 --icmpv6-type ${type}`);
}

export function inInterface(name: string): Match {
  return { felix: `--in-interface ${name}`, save: `-i ${name}` };
}

export function outInterface(name: string): Match {
  return { felix: `--out-interface ${name}`, save: `-o ${name}` };
}

export type Side = "src" | "dst";

export function network(side: Side, block: string): Match {
  const felix = `${side === "src" ? "--source" : "--destination"} ${block}`;
  return { felix, save: block.endsWith("/0") ? "" : `${side === "src" ? "-s" : "-d"} ${block}` };
}

export function notNetwork(side: Side, block: string): Match {
  const felix = `! ${side === "src" ? "--source" : "--destination"} ${block}`;
  return { felix, save: `! ${side === "src" ? "-s" : "-d"} ${block}` };
}

/** By address, or with "src,src" and "dst,dst" by address and port. */
export function inSet(name: string, direction: string): Match {
  return same(`-m set --match-set ${name} ${direction}`);
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export function toPorts(ranges: readonly PortRange[]): Match {
  const list = ranges.map(({ first, last }) => (first === last ? first : `${first}:${last}`)).join(",");
  return { felix: `-m multiport --destination-ports ${list}`, save: `-m multiport --dports ${list}` };
}

export function localType(side: Side): Match {
  return same(`-m addrtype --${side}-type LOCAL`);
}

/** A chain's rules as iptables-save shows them, each with its hash. */
export function chainLines(chain: Chain): string[] {
  const hashes = ruleHashes(
    chain.name,
    chain.rules.map((rule) => felixText(chain.name, rule)),
  );
  return chain.rules.map((rule, i) => saveText(chain.name, rule, hashes[i]));
}

/** Rules that stand behind those of others, in a chain that is not Calico's own. */
export function appendedLines(chain: string, rules: readonly Rule[]): string[] {
  const hashed = `${chain}*appends*`;
  const hashes = ruleHashes(
    hashed,
    rules.map((rule) => felixText(hashed, rule)),
  );
  return rules.map((rule, i) => saveText(chain, rule, hashes[i]));
}

function felixText(chain: string, { matches = [], action, comments = [] }: Rule): string {
  const parts = [
    `-A ${chain} HASH`,
    ...comments.map(commentText),
    ...matches.map(({ felix }) => felix),
    ...(action === undefined ? [] : [action.felix]),
  ];
  return parts.join(" ");
}

function saveText(chain: string, { matches = [], action, comments = [] }: Rule, hash: string): string {
  const conditions = matches.map(({ save }) => save).filter((text) => text !== "");
  const rank = (text: string): number => HEAD.indexOf(text.replace(/^! /, "").split(" ")[0]);
  const head = conditions.filter((text) => rank(text) >= 0).sort((a, b) => rank(a) - rank(b));
  const parts = [
    `-A ${chain}`,
    ...head,
    commentText(`cali:${hash}`),
    ...comments.map(commentText),
    ...conditions.filter((text) => rank(text) < 0),
    ...(action === undefined ? [] : [action.save]),
  ];
  return parts.join(" ");
}

function commentText(text: string): string {
  return `-m comment --comment "${text.replace(UNSAFE, "_").slice(0, COMMENT_MAX)}"`;
}
