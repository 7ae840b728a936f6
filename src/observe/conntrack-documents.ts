/** conntrack(8)'s other two forms of an entry: XML (-o xml) and its own options (-o save). */
import {
  type ConntrackEntry,
  type ConntrackTuple,
  conntrackRuleText,
  protocolName,
} from "./conntrack-entry.ts";

const LAYER3 = { ipv4: 2, ipv6: 10 } as const; // AF_INET, AF_INET6
const NS_PER_MS = 1_000_000n;

/** What stands around the flows. */
export const CONNTRACK_XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>';
export const CONNTRACK_XML_END = "</conntrack>";

/** `<flow>…</flow>`; with `ktimestamp` when the connection began. */
export function conntrackXml(entry: ConntrackEntry, ktimestamp = false): string {
  const { status, state, timeoutSec, mark, secmark, zone, id, use, startMs, deltaTimeSec } = entry;
  const facts = [
    element("state", state),
    element("timeout", timeoutSec),
    element("mark", mark >>> 0),
    element("secmark", secmark),
    element("zone", zone),
    element("use", use ?? 1),
    element("id", id),
    status.includes("ASSURED") ? "<assured/>" : "",
    status.includes("SEEN_REPLY") ? "" : "<unreplied/>",
    ktimestamp && startMs !== undefined
      ? `<timestamp>${element("start", String(BigInt(Math.round(startMs)) * NS_PER_MS))}</timestamp>`
      : "",
    element("deltatime", deltaTimeSec),
    ...ownElements(entry),
  ];
  const directions = [meta("original", entry, entry.orig), meta("reply", entry, entry.reply)];
  return `<flow>${directions.join("")}<meta direction="independent">${facts.join("")}</meta></flow>`;
}

function element(name: string, value: string | number | undefined): string {
  return value === undefined ? "" : `<${name}>${value}</${name}>`;
}

/** Ours: readers of conntrack(8)'s document pass over elements that they do not know. */
function ownElements({ policy = {}, via, mesh }: ConntrackEntry): string[] {
  const rules = (["egress", "ingress"] as const).flatMap((direction) => {
    const rule = policy[direction];
    return rule === undefined ? [] : [element(`policy-${direction}`, conntrackRuleText(rule))];
  });
  return [element("via", via), element("mesh", mesh), ...rules];
}

function meta(direction: string, { family, proto }: ConntrackEntry, tuple: ConntrackTuple): string {
  const layer3 = element("src", tuple.src) + element("dst", tuple.dst);
  const layer4 = [
    element("sport", tuple.sport),
    element("dport", tuple.dport),
    element("srckey", hex(tuple.srcKey)),
    element("dstkey", hex(tuple.dstKey)),
  ];
  const counted = element("packets", tuple.packets) + element("bytes", tuple.bytes);
  return [
    `<meta direction="${direction}">`,
    `<layer3 protonum="${LAYER3[family]}" protoname="${family}">${layer3}</layer3>`,
    `<layer4 protonum="${proto}" protoname="${protocolName(proto)}">${layer4.join("")}</layer4>`,
    counted === "" ? "" : `<counters>${counted}</counters>`,
    "</meta>",
  ].join("");
}

function hex(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `0x${value.toString(16)}`;
}

/** The options with which conntrack(8) would make the entry. */
export function conntrackSave(entry: ConntrackEntry): string {
  const { orig, reply, status, proto } = entry;
  const words: (string | number)[] = ["-A"];
  const add = (option: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(option, value);
  };
  const flags = (["SEEN_REPLY", "ASSURED"] as const).filter((flag) => status.includes(flag));
  const name = protocolName(proto);
  add("-t", entry.timeoutSec);
  add("-u", flags.length === 0 ? "UNSET" : flags.join(","));
  add("-w", entry.zone);
  add("-s", orig.src);
  add("-d", orig.dst);
  add("-r", reply.src);
  add("-q", reply.dst);
  add("-p", name === "unknown" ? proto : name);
  add("--sport", orig.sport);
  add("--dport", orig.dport);
  add("--reply-port-src", reply.sport);
  add("--reply-port-dst", reply.dport);
  add("--srckey", orig.srcKey);
  add("--dstkey", orig.dstKey);
  add("--reply-key-src", reply.srcKey);
  add("--reply-key-dst", reply.dstKey);
  add(`--${name}-type`, orig.icmpType);
  add(`--${name}-code`, orig.icmpCode);
  add(`--${name}-id`, orig.icmpId);
  add("--state", entry.state);
  return words.join(" ");
}
