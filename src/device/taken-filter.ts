// What is taken (base/taken.ts) as a filter of the packet socket, in classic BPF: that, and what neighbours say to each
// other (ARP, neighbour discovery), of which the kernel keeps its own copies. TakenTable is its counterpart: what one
// accepts of IP to this machine the other drops, but for the later fragments, of which both have a copy, since nobody
// can tell whose they are.
import { type Cidr, type IpWords, maskWord, prefixLen128 } from "../base/ip.ts";
import {
  joinRanges,
  type NumberRange,
  PORT_PROTOCOLS,
  type Taken,
  type TakenGroup,
  type TakenPeers,
} from "../base/taken.ts";
import { BpfAssembler, Op } from "./bpf-assembler.ts";

const ANCILLARY = 0xfffff000;
const PACKET_TYPE = ANCILLARY + 4;
const VLAN_TAG_PRESENT = ANCILLARY + 48;
const OTHER_HOST = 3;
const ETHERTYPE = 12;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const L3 = 14;
const EVERYTHING = 0x40000;
const ICMP = 1;
const ICMPV6 = 58;
const FRAGMENT = 44;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Answers to what a pod asked under the node's address: echo, timestamp, information, address mask. */
export const REPLY_TYPES = { 4: [0, 14, 16, 18], 6: [129] } as const;
/** Destination unreachable, time exceeded, parameter problem, packet too big; source quench is long dead. */
export const ERROR_TYPES = { 4: [3, 11, 12], 6: [1, 2, 3, 4] } as const;
const UDP = 17;
const WIDE = 96; // of 128: prefixes that are told apart by the last word

export function takenFilter(taken: Taken): Int32Array {
  const a = new BpfAssembler();
  a.add(Op.LOAD_WORD, VLAN_TAG_PRESENT);
  a.jump(Op.EQUAL, 0, null, "reject"); // a VLAN of the NIC is another device
  a.add(Op.LOAD_WORD, PACKET_TYPE);
  a.jump(Op.EQUAL, OTHER_HOST, "reject", null);
  a.add(Op.LOAD_HALF, ETHERTYPE);
  a.jump(Op.EQUAL, ARP, "accept", null);
  a.jump(Op.EQUAL, IPV4, "ipv4", null);
  a.jump(Op.EQUAL, IPV6, "ipv6", "reject");
  a.label("ipv4");
  onlyForUs(a);
  ipv4(a, taken);
  a.label("ipv6");
  a.add(Op.LOAD_BYTE, L3 + 6);
  a.jump(Op.EQUAL, ICMPV6, null, "ipv6 packet");
  a.add(Op.LOAD_BYTE, L3 + 40);
  for (const type of [SOLICITATION, ADVERTISEMENT]) a.jump(Op.EQUAL, type, "accept", null);
  a.label("ipv6 packet");
  onlyForUs(a);
  ipv6(a, taken);
  a.label("accept");
  a.add(Op.RETURN, EVERYTHING);
  a.label("reject");
  a.add(Op.RETURN, 0);
  return a.program();
}

function onlyForUs(a: BpfAssembler): void {
  a.add(Op.LOAD_WORD, PACKET_TYPE);
  a.jump(Op.EQUAL, 0, null, "reject");
}

/** Ranges that are searched by jumps that are short: in larger lists they end at jumps of their own that lead on. */
const NEARBY = 32;

/** Goes to `hit` or `miss`: is what is loaded in one of the ranges? `isAbove`: it is not below the first of them. */
function search(
  a: BpfAssembler,
  ranges: readonly NumberRange[],
  hit: string,
  miss: string,
  isAbove = false,
): void {
  const middle = ranges.length >> 1;
  if (ranges.length === 0) a.goto(miss);
  else if (middle === 0) {
    if (!isAbove) a.jump(Op.NOT_LESS, ranges[0].first, null, miss);
    a.jump(Op.GREATER, ranges[0].last, miss, hit);
  } else if (middle <= NEARBY / 2 && middle > NEARBY / 4) {
    const [nearHit, nearMiss] = [a.newLabel(), a.newLabel()];
    halve(a, ranges, nearHit, nearMiss, isAbove);
    a.label(nearHit);
    a.goto(hit);
    a.label(nearMiss);
    a.goto(miss);
  } else halve(a, ranges, hit, miss, isAbove);
}

function halve(
  a: BpfAssembler,
  ranges: readonly NumberRange[],
  hit: string,
  miss: string,
  isAbove: boolean,
): void {
  const middle = ranges.length >> 1;
  const lower = a.newLabel();
  a.jump(Op.NOT_LESS, ranges[middle].first, null, lower);
  search(a, ranges.slice(middle), hit, miss, true);
  a.label(lower);
  search(a, ranges.slice(0, middle), hit, miss, isAbove);
}

function ipv4(a: BpfAssembler, { whole, groups, tunnelPort, ids, answers }: Taken): void {
  const own = groups.filter(({ addresses }) => addresses[0].family === 4);
  a.add(Op.LOAD_WORD, L3 + 16);
  for (const [i, { addresses }] of own.entries())
    for (const { w3 } of addresses) a.jump(Op.EQUAL, w3, `ipv4 ${i}`, null);
  search(a, lastWords(whole.filter(({ family }) => family === 4)), "accept", "reject");
  for (const [i, group] of own.entries()) {
    const at = `ipv4 ${i}`;
    a.label(at);
    a.add(Op.LOAD_HALF, L3 + 6);
    a.jump(Op.ANY_BIT, 0x1fff, "accept", null); // a later fragment
    a.add(Op.X_IS_IHL, L3);
    a.add(Op.LOAD_BYTE, L3 + 9);
    dispatch(a, at, ICMP, "ipv4 from");
    a.add(Op.LOAD_BYTE_AT_X, L3);
    icmpTypes(a, at, 4);
    a.label(`${at} error`); // about a packet without options, as all of ours are
    const inner = L3 + 8;
    a.add(Op.LOAD_BYTE_AT_X, inner);
    a.jump(Op.EQUAL, 0x45, null, "reject");
    a.add(Op.LOAD_BYTE_AT_X, inner + 9);
    about(a, at, ICMP, { l4: inner + 20, tunnelPort, other: "ipv4 about" });
    numbers(a, group, ids, at, L3);
  }
  const peers = answers.filter(({ family }) => family === 4);
  peersOf(a, "ipv4 from", peers, (list) => {
    a.add(Op.LOAD_WORD, L3 + 12);
    search(a, lastWords(list), "accept", "reject");
  });
  peersOf(a, "ipv4 about", peers, (list) => {
    a.add(Op.LOAD_WORD_AT_X, L3 + 8 + 16);
    search(a, lastWords(list), "accept", "reject");
  });
}

/** Is the packet, or the one that an error is about, of a pod's and a host's? Its protocol is loaded. */
function peersOf(
  a: BpfAssembler,
  at: string,
  answers: readonly TakenPeers[],
  match: (peers: readonly Cidr[]) => void,
): void {
  a.label(at);
  for (const { protocol } of answers) a.jump(Op.EQUAL, protocol, `${at} ${protocol}`, null);
  a.goto("reject");
  for (const { protocol, family, peers } of answers) {
    a.label(`${at} ${protocol}`);
    match(peers.map((peer) => ({ ...peer, prefixLen: family === 4 ? 32 : 128 })));
  }
}

/** Goes on with ICMP, or where the protocol that is loaded has its ports, or to `other`. */
function dispatch(a: BpfAssembler, at: string, icmp: number, other: string): void {
  for (const protocol of PORT_PROTOCOLS) a.jump(Op.EQUAL, protocol, `${at} to ${protocol}`, null);
  a.jump(Op.EQUAL, icmp, null, other);
}

/** What the type that is loaded is about: an answer with an id at X + `id`, or an error. */
function icmpTypes(a: BpfAssembler, at: string, family: 4 | 6): void {
  for (const type of REPLY_TYPES[family]) a.jump(Op.EQUAL, type, `${at} id`, null);
  for (const type of ERROR_TYPES[family]) a.jump(Op.EQUAL, type, `${at} error`, null);
  a.goto("reject");
}

interface Inner {
  /** Where its transport header is, from X. */
  readonly l4: number;
  readonly tunnelPort: number;
  /** Where it goes on with protocols without ports. */
  readonly other: string;
}

/** An ICMP error's packet: ours by its source port, by its id, or by the tunnel's port. Its protocol is loaded. */
function about(a: BpfAssembler, at: string, icmp: number, { l4, tunnelPort, other }: Inner): void {
  for (const protocol of PORT_PROTOCOLS) a.jump(Op.EQUAL, protocol, `${at} from ${protocol}`, null);
  a.jump(Op.EQUAL, icmp, null, other);
  a.add(Op.LOAD_HALF_AT_X, l4 + 4);
  a.goto(`${at} ids`);
  for (const protocol of PORT_PROTOCOLS) {
    a.label(`${at} from ${protocol}`);
    if (protocol === UDP && tunnelPort !== 0) {
      a.add(Op.LOAD_HALF_AT_X, l4 + 2);
      a.jump(Op.EQUAL, tunnelPort, "accept", null);
    }
    a.add(Op.LOAD_HALF_AT_X, l4);
    a.goto(`${at} of ${protocol}`);
  }
}

/** Jumps lead forward alone: what they lead to stands behind them all. Transport headers begin at X + `l4`. */
function numbers(a: BpfAssembler, group: TakenGroup, ids: NumberRange, at: string, l4: number): void {
  a.label(`${at} id`);
  a.add(Op.LOAD_HALF_AT_X, l4 + 4);
  a.label(`${at} ids`);
  search(a, [ids], "accept", "reject");
  for (const protocol of PORT_PROTOCOLS) {
    a.label(`${at} to ${protocol}`);
    a.add(Op.LOAD_HALF_AT_X, l4 + 2);
    a.label(`${at} of ${protocol}`);
    search(a, group.ports[protocol], "accept", "reject");
  }
}

function ipv6(a: BpfAssembler, { whole, groups, tunnelPort, ids, answers }: Taken): void {
  const own = groups.filter(({ addresses }) => addresses[0].family === 6);
  for (const [i, { addresses }] of own.entries())
    for (const address of addresses) isRange(a, { ...address, prefixLen: 128 }, `ipv6 ${i}`);
  wholeV6(
    a,
    whole.filter(({ family }) => family === 6),
  );
  for (const [i, group] of own.entries()) {
    const at = `ipv6 ${i}`;
    a.label(at);
    a.add(Op.X_IS, 0);
    a.add(Op.LOAD_BYTE, L3 + 6);
    a.jump(Op.EQUAL, FRAGMENT, null, `${at} whole`);
    a.add(Op.LOAD_HALF, L3 + 42);
    a.jump(Op.ANY_BIT, 0xfff8, "accept", null); // a later fragment
    a.add(Op.X_IS, 8);
    a.add(Op.LOAD_BYTE, L3 + 40);
    a.label(`${at} whole`);
    dispatch(a, at, ICMPV6, "ipv6 from");
    a.add(Op.LOAD_BYTE_AT_X, L3 + 40);
    icmpTypes(a, at, 6);
    a.label(`${at} error`);
    const inner = L3 + 48;
    a.add(Op.LOAD_BYTE_AT_X, inner + 6);
    about(a, at, ICMPV6, { l4: inner + 40, tunnelPort, other: "ipv6 about" });
    numbers(a, group, ids, at, L3 + 40);
  }
  const peers = answers.filter(({ family }) => family === 6);
  peersOf(a, "ipv6 from", peers, (list) => {
    for (const peer of list) isRange(a, peer, "accept", Op.LOAD_WORD, L3 + 8);
    a.goto("reject");
  });
  peersOf(a, "ipv6 about", peers, (list) => {
    for (const peer of list) isRange(a, peer, "accept", Op.LOAD_WORD_AT_X, L3 + 48 + 24);
    a.goto("reject");
  });
}

/** Goes to `hit` when the address is in the range, else on: the destination, or what lies elsewhere. */
function isRange(
  a: BpfAssembler,
  range: Cidr,
  hit: string,
  load: number = Op.LOAD_WORD,
  from = L3 + 24,
): void {
  const miss = a.newLabel();
  const bits = prefixLen128(range);
  wordsOf(range).forEach((word, i) => {
    const mask = maskWord(bits, i);
    if (mask === 0) return;
    a.add(load, from + 4 * i);
    if (mask !== -1) a.add(Op.AND, mask);
    a.jump(Op.EQUAL, word & mask, null, miss);
  });
  a.goto(hit);
  a.label(miss);
}

function wholeV6(a: BpfAssembler, whole: readonly Cidr[]): void {
  const byHead = new Map<string, Cidr[]>();
  for (const range of whole) {
    if (range.prefixLen < WIDE) isRange(a, range, "accept");
    else {
      const head = wordsOf(range).slice(0, 3).join();
      byHead.set(head, [...(byHead.get(head) ?? []), range]);
    }
  }
  for (const ranges of byHead.values()) {
    const [hit, next] = [a.newLabel(), a.newLabel()];
    isRange(a, { ...ranges[0], prefixLen: WIDE }, hit);
    a.goto(next);
    a.label(hit);
    a.add(Op.LOAD_WORD, L3 + 36);
    search(a, lastWords(ranges), "accept", "reject");
    a.label(next);
  }
  a.goto("reject");
}

/** What the ranges are in the last word of addresses: those of IPv4, and of IPv6 with one beginning. */
export function lastWords(ranges: readonly Cidr[]): NumberRange[] {
  return joinRanges(
    ranges.map((range) => {
      const first = range.w3 >>> 0;
      return { first, last: (first | ~maskWord(prefixLen128(range), 3)) >>> 0 };
    }),
  );
}

function wordsOf({ w0, w1, w2, w3 }: IpWords): number[] {
  return [w0, w1, w2, w3];
}
