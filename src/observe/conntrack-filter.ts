/**
 * conntrack(8)'s filters, as they travel to an agent (query parameters named like the long options) and as a
 * test on entries. Values are checked where the filter is made, so that a bad one is the user's error and not
 * the agent's.
 */
import { PodwireError } from "../base/errors.ts";
import { contains, formatIp, ip, parseCidr, parseIp } from "../base/ip.ts";
import { CONNTRACK_STATUS, type ConntrackEntry, protocolNumber } from "./conntrack-entry.ts";
import { hasDestinationNat, hasSourceNat } from "./conntrack-format.ts";

/** A filter that makes no sense; the message is one line. */
export class ConntrackFilterError extends PodwireError {
  constructor(option: string, message: string) {
    super(message, { code: "CONNTRACK_FILTER", option });
  }
}

export type ConntrackFilter = (entry: ConntrackEntry) => boolean;

/** Query parameters, which are conntrack's long options. Flags have an empty value. */
export const CONNTRACK_FILTER_KEYS = [
  "family",
  "proto",
  "src",
  "dst",
  "reply-src",
  "reply-dst",
  "sport",
  "dport",
  "reply-port-src",
  "reply-port-dst",
  "icmp-type",
  "icmp-code",
  "icmp-id",
  "state",
  "status",
  "mark",
  "id",
  "src-nat",
  "dst-nat",
  "any-nat",
] as const;
export type ConntrackFilterKey = (typeof CONNTRACK_FILTER_KEYS)[number];

/**
 * Makes the test for a set of parameters: all must hold. Unknown keys are refused. Throws
 * ConntrackFilterError.
 */
export function createConntrackFilter(parameters: Iterable<readonly [string, string]>): ConntrackFilter {
  const tests: ConntrackFilter[] = [];
  for (const [key, value] of parameters) {
    const make = MAKERS[key as ConntrackFilterKey];
    if (!make) throw new ConntrackFilterError(key, `there is no conntrack filter "${key}"`);
    tests.push(make(value, key));
  }
  return (entry) => tests.every((test) => test(entry));
}

type Maker = (value: string, option: string) => ConntrackFilter;

const MAKERS: Readonly<Record<ConntrackFilterKey, Maker>> = {
  family: (value) => {
    if (value !== "ipv4" && value !== "ipv6") {
      throw new ConntrackFilterError("family", `family "${value}" is neither ipv4 nor ipv6`);
    }
    return (entry) => entry.family === value;
  },
  proto: (value) => {
    const proto = protocolNumber(value);
    if (proto === undefined) throw new ConntrackFilterError("proto", `"${value}" unsupported protocol`);
    return (entry) => entry.proto === proto;
  },
  src: (value, option) => within(value, option, (entry) => entry.orig.src),
  dst: (value, option) => within(value, option, (entry) => entry.orig.dst),
  "reply-src": (value, option) => within(value, option, (entry) => entry.reply.src),
  "reply-dst": (value, option) => within(value, option, (entry) => entry.reply.dst),
  sport: (value, option) => equals(value, option, 65535, (entry) => entry.orig.sport),
  dport: (value, option) => equals(value, option, 65535, (entry) => entry.orig.dport),
  "reply-port-src": (value, option) => equals(value, option, 65535, (entry) => entry.reply.sport),
  "reply-port-dst": (value, option) => equals(value, option, 65535, (entry) => entry.reply.dport),
  "icmp-type": (value, option) => equals(value, option, 255, (entry) => entry.orig.icmpType),
  "icmp-code": (value, option) => equals(value, option, 255, (entry) => entry.orig.icmpCode),
  "icmp-id": (value, option) => equals(value, option, 65535, (entry) => entry.orig.icmpId),
  state: (value) => (entry) => entry.state === value.toUpperCase(),
  status: (value) => hasStatus(value),
  mark: (value) => hasMark(value),
  id: (value, option) => equals(value, option, 0xffffffff, (entry) => entry.id),
  "src-nat": (value, option) => translated(value, option, isSourceNat, (entry) => entry.reply.dst),
  "dst-nat": (value, option) => translated(value, option, isDestinationNat, (entry) => entry.reply.src),
  "any-nat": () => (entry) => isSourceNat(entry) || isDestinationNat(entry),
};

/**
 * ICMP tuples differ by type alone between directions, so only flags and addresses tell; conntrack(8) errs
 * here.
 */
function isSourceNat(entry: ConntrackEntry): boolean {
  return entry.status.includes("SRC_NAT") || hasSourceNat(entry);
}

function isDestinationNat(entry: ConntrackEntry): boolean {
  return entry.status.includes("DST_NAT") || hasDestinationNat(entry);
}

function translated(
  value: string,
  option: string,
  test: ConntrackFilter,
  address: (entry: ConntrackEntry) => string,
): ConntrackFilter {
  if (value === "") return test;
  const inside = within(value, option, address);
  return (entry) => test(entry) && inside(entry);
}

/**
 * An address, or a network in CIDR notation. Entries carry canonical text, so an address is compared as such.
 */
function within(value: string, option: string, pick: (entry: ConntrackEntry) => string): ConntrackFilter {
  const address = parseIp(value);
  if (address) {
    const wanted = formatIp(address);
    return (entry) => pick(entry) === wanted;
  }
  const network = parseCidr(value);
  if (!network) {
    throw new ConntrackFilterError(option, `--${option}: "${value}" is neither an IP address nor a network`);
  }
  return (entry) => contains(network, ip(pick(entry)));
}

function equals(
  value: string,
  option: string,
  max: number,
  pick: (entry: ConntrackEntry) => number | undefined,
): ConntrackFilter {
  const wanted = Number(value);
  if (!/^\d+$/.test(value) || wanted > max) {
    throw new ConntrackFilterError(option, `--${option}: "${value}" is not a number from 0 to ${max}`);
  }
  return (entry) => pick(entry) === wanted;
}

/** conntrack's words, and UNREPLIED and UNSET for the absence of a reply. */
function hasStatus(value: string): ConntrackFilter {
  const tests = value.split(",").map((word): ConntrackFilter => {
    const name = word.toUpperCase();
    if (name === "UNREPLIED" || name === "UNSET") return (entry) => !entry.status.includes("SEEN_REPLY");
    const status = CONNTRACK_STATUS.find((known) => known === name);
    if (!status) throw new ConntrackFilterError("status", `--status: "${word}" is no conntrack status`);
    return (entry) => entry.status.includes(status);
  });
  return (entry) => tests.every((test) => test(entry));
}

/** MARK or MARK/MASK, decimal or 0x. */
function hasMark(value: string): ConntrackFilter {
  const match = /^(0x[0-9a-f]+|\d+)(?:\/(0x[0-9a-f]+|\d+))?$/i.exec(value);
  if (!match) throw new ConntrackFilterError("mark", `--mark: "${value}" is not MARK or MARK/MASK`);
  const mark = Number(match[1]) | 0;
  const mask = match[2] === undefined ? -1 : Number(match[2]) | 0;
  return (entry) => (entry.mark & mask) === mark;
}
