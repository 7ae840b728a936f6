/**
 * Lines as conntrack(8) -L prints them, and back: libnetfilter_conntrack's snprintf_default.c is the model.
 */
import {
  CONNTRACK_EVENTS,
  type ConntrackEntry,
  type ConntrackEvent,
  type ConntrackStatus,
  type ConntrackTuple,
  conntrackRuleText,
  protocolName,
} from "./conntrack-entry.ts";

/** conntrack's `-o` words that change a line. */
export interface ConntrackFormat {
  /** The layer 3 protocol in front; at the end, and ours, what policies said. */
  extended?: boolean;
  id?: boolean;
  /** When the connection began. */
  ktimestamp?: boolean;
  /** Events only: when it was read, in front. */
  timestamp?: boolean;
}

const FAMILY_NUMBER = { ipv4: 2, ipv6: 10 } as const; // AF_INET, AF_INET6

/** One line, without line end. */
export function formatConntrackEntry(entry: ConntrackEntry, format: ConntrackFormat = {}): string {
  const words = connectionWords(entry, format);
  words.push(`mark=${entry.mark >>> 0}`, ...markWords(entry));
  if (entry.deltaTimeSec !== undefined) words.push(`delta-time=${entry.deltaTimeSec}`);
  if (format.ktimestamp && entry.startMs !== undefined) words.push(`[start=${ctime(entry.startMs)}]`);
  words.push(`use=${entry.use ?? 1}`);
  if (format.id && entry.id !== undefined) words.push(`id=${entry.id}`);
  return [...words, ...ownWords(entry, format)].join(" ");
}

/** A line of conntrack(8) -E: counters and age come with the end, a mark only where there is one. */
export function formatConntrackEvent(event: ConntrackEvent, format: ConntrackFormat = {}): string {
  const { type, timeMs, orig, reply } = event;
  const isOver = type === "DESTROY";
  const words = connectionWords(
    { ...event, orig: isOver ? orig : uncounted(orig), reply: isOver ? reply : uncounted(reply) },
    format,
  );
  if (event.mark !== 0) words.push(`mark=${event.mark >>> 0}`);
  words.push(...markWords(event));
  if (isOver && event.deltaTimeSec !== undefined) words.push(`delta-time=${event.deltaTimeSec}`);
  if (format.ktimestamp && event.startMs !== undefined) {
    words.push(`[start=${ctime(event.startMs)}]`);
    if (isOver) words.push(`[stop=${ctime(timeMs)}]`);
  }
  if (format.id && event.id !== undefined) words.push(`id=${event.id}`);
  words.push(...ownWords(event, format));
  const line = `${`[${type}]`.padStart(9)} ${words.join(" ")}`;
  return format.timestamp ? `[${(timeMs / 1000).toFixed(6)}]\t${line}` : line;
}

/** What a plane of ours does not have, and a kernel node may. */
function markWords({ secmark, zone, origZone, replyZone }: ConntrackEntry): string[] {
  const words: [string, number | undefined][] = [
    ["secmark", secmark],
    ["zone", zone],
    ["orig-zone", origZone],
    ["reply-zone", replyZone],
  ];
  return words.flatMap(([word, value]) => (value === undefined ? [] : [`${word}=${value}`]));
}

/** Behind everything that conntrack(8) has: KEY="…", which readers of KEY=VALUE pass over. */
function ownWords({ policy = {}, via, mesh }: ConntrackEntry, { extended }: ConntrackFormat): string[] {
  if (extended !== true) return [];
  const rules = (["egress", "ingress"] as const).flatMap((direction) => {
    const rule = policy[direction];
    return rule === undefined ? [] : [`policy-${direction}="${conntrackRuleText(rule)}"`];
  });
  const ways = [via === undefined ? [] : [`via=${via}`], mesh === undefined ? [] : [`mesh=${mesh}`]];
  return [...ways.flat(), ...rules];
}

function uncounted({ packets: _, bytes: __, ...tuple }: ConntrackTuple): ConntrackTuple {
  return tuple;
}

function connectionWords(entry: ConntrackEntry, format: ConntrackFormat): string[] {
  const words: string[] = [];
  if (format.extended) words.push(entry.family.padEnd(8), String(FAMILY_NUMBER[entry.family]));
  words.push(protocolName(entry.proto).padEnd(8), String(entry.proto));
  if (entry.timeoutSec !== undefined) words.push(String(entry.timeoutSec));
  if (entry.state) words.push(entry.state);
  words.push(...tupleWords(entry.orig));
  if (!entry.status.includes("SEEN_REPLY")) words.push("[UNREPLIED]");
  words.push(...tupleWords(entry.reply));
  if (entry.status.includes("HW_OFFLOAD")) words.push("[HW_OFFLOAD]");
  else if (entry.status.includes("OFFLOAD")) words.push("[OFFLOAD]");
  else if (entry.status.includes("ASSURED")) words.push("[ASSURED]");
  return words;
}

function tupleWords(tuple: ConntrackTuple): string[] {
  const words = [`src=${tuple.src}`, `dst=${tuple.dst}`];
  if (tuple.sport !== undefined) words.push(`sport=${tuple.sport}`);
  if (tuple.dport !== undefined) words.push(`dport=${tuple.dport}`);
  if (tuple.srcKey !== undefined) words.push(`srckey=0x${tuple.srcKey.toString(16)}`);
  if (tuple.dstKey !== undefined) words.push(`dstkey=0x${tuple.dstKey.toString(16)}`);
  if (tuple.icmpType !== undefined) {
    words.push(`type=${tuple.icmpType}`, `code=${tuple.icmpCode ?? 0}`, `id=${tuple.icmpId ?? 0}`);
  }
  if (tuple.packets !== undefined) words.push(`packets=${tuple.packets}`);
  if (tuple.bytes !== undefined) words.push(`bytes=${tuple.bytes}`);
  return words;
}

/** "Fri Nov 20 09:38:24 2026", local time, day padded with a space: ctime(3). */
function ctime(ms: number): string {
  const date = new Date(ms);
  const [day, month] = date.toDateString().split(" ");
  const time = date.toTimeString().slice(0, 8);
  return `${day} ${month} ${String(date.getDate()).padStart(2)} ${time} ${date.getFullYear()}`;
}

/** Reads a line of conntrack(8) -L; undefined when it is none. Words we do not know are passed over. */
export function parseConntrackLine(line: string): ConntrackEntry | undefined {
  const head =
    /^(?:(ipv4|ipv6)\s+\d+\s+)?(\w+)\s+(\d+)\s+(?:(\d+)\s+)?(?:([A-Z][A-Z0-9_]*)\s+)?(?=src=)/.exec(line);
  if (!head) return undefined;
  const orig: ConntrackTuple = { src: "", dst: "" };
  const entry: ConntrackEntry = {
    family: (head[1] as ConntrackEntry["family"] | undefined) ?? (/src=\S*:/.test(line) ? "ipv6" : "ipv4"),
    proto: Number(head[3]),
    orig,
    reply: { src: "", dst: "" },
    status: [],
    mark: 0,
  };
  if (head[4] !== undefined) entry.timeoutSec = Number(head[4]);
  if (head[5] !== undefined) entry.state = head[5];
  parseWords(line.slice(head[0].length), entry);
  const flags = line.match(/\[[A-Z_]+\]/g) ?? [];
  entry.status = statusOf(entry, flags);
  const start = /\[start=([^\]]+)\]/.exec(line);
  if (start) entry.startMs = Date.parse(start[1]);
  return entry.reply.dst === "" ? undefined : entry;
}

/** Reads a line of conntrack(8) -E; `timeMs` where the line has no time of its own. */
export function parseConntrackEvent(line: string, timeMs: number): ConntrackEvent | undefined {
  const head = /^(?:\[(\d+\.\d+)\]\t)?\s*\[(\w+)\] (.*)$/.exec(line);
  const type = CONNTRACK_EVENTS.find((known) => known === head?.[2]);
  const entry = head === null ? undefined : parseConntrackLine(head[3]);
  if (head === null || type === undefined || entry === undefined) return undefined;
  return { ...entry, type, timeMs: head[1] === undefined ? timeMs : Number(head[1]) * 1000 };
}

function parseWords(text: string, entry: ConntrackEntry): void {
  let tuple = entry.orig;
  for (const [, key, value] of text.replace(/\[[^\]]*\]/g, "").matchAll(/([\w-]+)=(\S+)/g)) {
    const number = Number(value);
    if (key === "src") {
      if (tuple.src !== "") tuple = entry.reply;
      tuple.src = value;
    } else if (key === "dst") tuple.dst = value;
    else if (key === "sport") tuple.sport = number;
    else if (key === "dport") tuple.dport = number;
    else if (key === "srckey") tuple.srcKey = number;
    else if (key === "dstkey") tuple.dstKey = number;
    else if (key === "type") tuple.icmpType = number;
    else if (key === "code") tuple.icmpCode = number;
    else if (key === "id" && tuple.icmpCode !== undefined && tuple.icmpId === undefined)
      tuple.icmpId = number;
    else if (key === "packets") tuple.packets = number;
    else if (key === "bytes") tuple.bytes = number;
    else if (key === "mark") entry.mark = number;
    else if (key === "secmark") entry.secmark = number;
    else if (key === "zone") entry.zone = number;
    else if (key === "orig-zone") entry.origZone = number;
    else if (key === "reply-zone") entry.replyZone = number;
    else if (key === "via") entry.via = value;
    else if (key === "mesh" && (value === "to-proxy" || value === "from-proxy")) entry.mesh = value;
    else if (key === "labels") entry.labels = value.split(",");
    else if (key === "use") entry.use = number;
    else if (key === "id") entry.id = number;
    else if (key === "delta-time") entry.deltaTimeSec = number;
  }
}

/** The line tells some flags by what it leaves out, and NAT by its addresses only. */
function statusOf(entry: ConntrackEntry, flags: readonly string[]): ConntrackStatus[] {
  const status: ConntrackStatus[] = [];
  if (!flags.includes("[UNREPLIED]")) status.push("SEEN_REPLY");
  if (flags.includes("[ASSURED]")) status.push("ASSURED");
  status.push("CONFIRMED");
  if (hasSourceNat(entry)) status.push("SRC_NAT");
  if (hasDestinationNat(entry)) status.push("DST_NAT");
  if (flags.includes("[OFFLOAD]")) status.push("OFFLOAD");
  if (flags.includes("[HW_OFFLOAD]")) status.push("HW_OFFLOAD");
  return status;
}

/** True when replies do not go to where the connection came from. */
export function hasSourceNat({ orig, reply }: ConntrackEntry): boolean {
  return orig.src !== reply.dst || orig.sport !== reply.dport;
}

/** True when replies do not come from where the connection went to. */
export function hasDestinationNat({ orig, reply }: ConntrackEntry): boolean {
  return orig.dst !== reply.src || orig.dport !== reply.sport;
}
