/**
 * conntrack(8)'s filters, as they travel to an agent (query parameters named like the long options) and as a
 * test on entries. Values are checked where the filter is made, so that a bad one is the user's error and not
 * the agent's.
 */
import { PodwireError } from "../base/errors.ts";
import { contains, formatIp, type IpWords, ip, parseCidr, parseIp } from "../base/ip.ts";
import { CONNTRACK_STATUS, type ConntrackEntry, numberOf, protocolNumber } from "./conntrack-entry.ts";
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
  "mask-src",
  "mask-dst",
  "reply-src",
  "reply-dst",
  "sport",
  "dport",
  "reply-port-src",
  "reply-port-dst",
  "icmp-type",
  "icmp-code",
  "icmp-id",
  "srckey",
  "dstkey",
  "reply-key-src",
  "reply-key-dst",
  "state",
  "status",
  "mark",
  "secmark",
  "label",
  "zone",
  "orig-zone",
  "reply-zone",
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
  const all = [...parameters];
  checkProtocol(all);
  for (const [key, value] of all) {
    const make = MAKERS[key as ConntrackFilterKey];
    if (!make) throw new ConntrackFilterError(key, `there is no conntrack filter "${key}"`);
    const mask = all.find(([name]) => name === MASKS[key])?.[1];
    if (mask === undefined) tests.push(make(value, key));
    else tests.push(masked(value, mask, key));
  }
  for (const [address, mask] of Object.entries(MASKS)) {
    if (all.some(([key]) => key === mask) && !all.some(([key]) => key === address))
      throw new ConntrackFilterError(mask, `--${mask}: say of which address with --${address}`);
  }
  return (entry) => tests.every((test) => test(entry));
}

const MASKS: Readonly<Record<string, string>> = { src: "mask-src", dst: "mask-dst" };

/** Options that only some protocols have, as conntrack(8) knows them after -p. */
const OF_PROTOCOLS: readonly [RegExp, string, readonly number[]][] = [
  [/^icmp-/, "icmp or icmpv6", [1, 58]],
  [/key/, "gre", [47]],
  [/port|^state$/, "a protocol with ports", [6, 17, 33, 132, 136]],
];

function checkProtocol(parameters: readonly (readonly [string, string])[]): void {
  const proto = parameters.find(([key]) => key === "proto")?.[1];
  const number = proto === undefined ? undefined : protocolNumber(proto);
  if (number === undefined) return;
  for (const [key] of parameters) {
    const [, of, protocols] = OF_PROTOCOLS.find(([pattern]) => pattern.test(key)) ?? [];
    if (protocols !== undefined && !protocols.includes(number))
      throw new ConntrackFilterError(key, `--${key}: is for ${of}, not for ${proto}`);
  }
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
  "mask-src": () => () => true, // with its address, in `masked`
  "mask-dst": () => () => true,
  "reply-src": (value, option) => within(value, option, (entry) => entry.reply.src),
  "reply-dst": (value, option) => within(value, option, (entry) => entry.reply.dst),
  sport: (value, option) => equals(value, option, 65535, (entry) => entry.orig.sport),
  dport: (value, option) => equals(value, option, 65535, (entry) => entry.orig.dport),
  "reply-port-src": (value, option) => equals(value, option, 65535, (entry) => entry.reply.sport),
  "reply-port-dst": (value, option) => equals(value, option, 65535, (entry) => entry.reply.dport),
  "icmp-type": (value, option) => equals(value, option, 255, (entry) => entry.orig.icmpType),
  "icmp-code": (value, option) => equals(value, option, 255, (entry) => entry.orig.icmpCode),
  "icmp-id": (value, option) => equals(value, option, 65535, (entry) => entry.orig.icmpId),
  srckey: (value, option) => hasKey(value, option, (entry) => entry.orig.srcKey),
  dstkey: (value, option) => hasKey(value, option, (entry) => entry.orig.dstKey),
  "reply-key-src": (value, option) => hasKey(value, option, (entry) => entry.reply.srcKey),
  "reply-key-dst": (value, option) => hasKey(value, option, (entry) => entry.reply.dstKey),
  state: (value) => hasState(value),
  status: (value) => hasStatus(value),
  mark: (value) => hasMark(value),
  secmark: (value, option) => isNumber(value, option, 0xffffffff, (entry) => entry.secmark ?? 0),
  label: (value) => hasLabels(value),
  zone: (value, option) => isNumber(value, option, 65535, (entry) => entry.zone ?? 0),
  "orig-zone": (value, option) => isNumber(value, option, 65535, (entry) => entry.origZone ?? 0),
  "reply-zone": (value, option) => isNumber(value, option, 65535, (entry) => entry.replyZone ?? 0),
  id: (value, option) => isNumber(value, option, 0xffffffff, (entry) => entry.id),
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

/** An address under a mask, which need not be a prefix: 255.0.255.0. It takes the place of a prefix length. */
function masked(value: string, maskText: string, option: string): ConntrackFilter {
  const network = parseCidr(value);
  const wanted = parseIp(network === null ? value : value.slice(0, value.indexOf("/")));
  const mask = parseIp(maskText);
  const maskOption = `mask-${option}`;
  if (wanted === null)
    throw new ConntrackFilterError(option, `--${option}: "${value}" is neither an IP address nor a network`);
  if (mask === null)
    throw new ConntrackFilterError(
      maskOption,
      `--${maskOption}: "${maskText}" is no mask such as 255.255.255.0`,
    );
  if (mask.family !== wanted.family)
    throw new ConntrackFilterError(
      maskOption,
      `--${maskOption}: "${maskText}" is not of the family of ${value}`,
    );
  const bits: readonly (keyof IpWords)[] = wanted.family === 4 ? ["w3"] : ["w0", "w1", "w2", "w3"];
  return (entry) => {
    const address = ip(option === "src" ? entry.orig.src : entry.orig.dst);
    if (address.family !== wanted.family) return false;
    return bits.every((word) => ((address[word] ^ wanted[word]) & mask[word]) === 0);
  };
}

/** GRE's keys: what PPTP calls call ids, 16 bits. */
function hasKey(
  value: string,
  option: string,
  pick: (entry: ConntrackEntry) => number | undefined,
): ConntrackFilter {
  const wanted = numberOf(value);
  if (wanted === undefined || wanted > 0xffff)
    throw new ConntrackFilterError(option, `--${option}: "${value}" is no key from 0 to 65535 (0xffff)`);
  return (entry) => pick(entry) === wanted;
}

/** Words of TCP, SCTP and DCCP. */
const STATES = new Set(
  `NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE LISTEN SYN_SENT2 CLOSED
   COOKIE_WAIT COOKIE_ECHOED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT HEARTBEAT_SENT HEARTBEAT_ACKED
   REQUEST RESPOND PARTOPEN OPEN CLOSEREQ CLOSING TIMEWAIT`.split(/\s+/),
);

function hasState(value: string): ConntrackFilter {
  const wanted = value.toUpperCase();
  if (!STATES.has(wanted))
    throw new ConntrackFilterError("state", `--state: "${value}" is no conntrack state`);
  return (entry) => entry.state === wanted;
}

/** All of them must be set. */
function hasLabels(value: string): ConntrackFilter {
  const wanted = value.split(",");
  if (wanted.includes(""))
    throw new ConntrackFilterError("label", `--label: "${value}" is no list of labels`);
  return (entry) => wanted.every((label) => entry.labels?.includes(label) === true);
}

/** Also hexadecimal and octal. */
function isNumber(
  value: string,
  option: string,
  max: number,
  pick: (entry: ConntrackEntry) => number | undefined,
): ConntrackFilter {
  const wanted = numberOf(value);
  if (wanted === undefined || wanted > max)
    throw new ConntrackFilterError(option, `--${option}: "${value}" is not a number from 0 to ${max}`);
  return (entry) => pick(entry) === wanted;
}

/** Decimal alone. */
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

/** MARK or MARK/MASK. */
function hasMark(value: string): ConntrackFilter {
  const [mark, mask, ...rest] = value.split("/").map(numberOf);
  const isGiven = value.includes("/");
  const isWrong = mark === undefined || (isGiven && mask === undefined) || rest.length > 0;
  if (isWrong || mark > 0xffffffff || (mask ?? 0) > 0xffffffff)
    throw new ConntrackFilterError("mark", `--mark: "${value}" is not MARK or MARK/MASK, each of 32 bits`);
  const bits = isGiven ? Number(mask) | 0 : -1;
  return (entry) => (entry.mark & bits) === (mark | 0);
}
