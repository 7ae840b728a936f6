// What the kernel must not have of a shared NIC's packets (base/taken.ts), as a table of nftables at netdev ingress. The
// table is owned by the socket by which it was made: it goes with the process, however that ends, and nobody else
// changes it. Every change is one transaction: there is no moment with half of it. Numbers are those of
// linux/netfilter/nf_tables.h.
import type { Cidr, IpWords } from "../base/ip.ts";
import { prefixLen128 } from "../base/ip.ts";
import {
  type NumberRange,
  PORT_PROTOCOLS,
  type Taken,
  type TakenGroup,
  type TakenPeers,
} from "../base/taken.ts";
import { Flag, Writer } from "./netlink/message.ts";
import type { Netlink } from "./netlink/netlink.ts";
import {
  Base,
  Compare,
  compare,
  type Expression,
  equals,
  half,
  inSet,
  isBetween,
  load,
  mask,
  packetType,
  Verdict,
  verdict,
} from "./nft-expressions.ts";
import { ERROR_TYPES, lastWords, REPLY_TYPES } from "./taken-filter.ts";

export const NETLINK_NETFILTER = 12;
const SUBSYSTEM = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NETDEV = 5;
const Verb = {
  NEW_TABLE: 0,
  DEL_TABLE: 2,
  NEW_CHAIN: 3,
  NEW_RULE: 6,
  NEW_SET: 9,
  NEW_ELEMENT: 12,
  DEL_ELEMENT: 14,
} as const;
const { ACCEPT, DROP, GOTO } = Verdict;
const OWNER = 2;
const INTERVAL = 4;
const INTERVAL_END = 1;
const LIST_ELEMENT = 1;
const VALUE = 1;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const FRAGMENT = 44;
const UDP = 17;
/** Behind other chains of the NIC: what these are for, they see all the same. */
const PRIORITY = 100;
/** A message's attribute is at most 64 KiB. */
const ELEMENTS_PER_MESSAGE = 1000;
/** What nft(8) calls the keys, as numbers, and their length. */
const Key = {
  ipv4_addr: { type: 7, bytes: 4 },
  ipv6_addr: { type: 8, bytes: 16 },
  inet_service: { type: 13, bytes: 2 },
} as const;
const PROTOCOL_NAMES = { 6: "tcp", 17: "udp", 132: "sctp", 136: "udplite" } as const;

interface KernelSet {
  readonly name: string;
  readonly key: (typeof Key)[keyof typeof Key];
  readonly ranges: readonly BigRange[];
}

interface BigRange {
  readonly first: bigint;
  readonly last: bigint;
}

interface Chain {
  readonly name: string;
  readonly rules: readonly (readonly Expression[])[];
}

export class TakenTable {
  readonly #netlink: Netlink;
  readonly #name: string;
  readonly #device: string;
  #there = "";

  /** The socket's end is the table's. */
  constructor(netlink: Netlink, name: string, device: string) {
    this.#netlink = netlink;
    this.#name = name;
    this.#device = device;
  }

  /** From now on this is dropped, and nothing else. Throws NetlinkError; then everything is as it was. */
  drop(taken: Taken): void {
    const chains = chainsOf(taken);
    const sets = setsOf(taken);
    const shape = JSON.stringify([
      taken.groups.map(({ addresses }) => addresses),
      taken.tunnelPort,
      taken.ids,
      taken.answers.map(({ family, protocol }) => [family, protocol]),
    ]);
    const batch = new Batch(this.#netlink, this.#name);
    if (shape === this.#there) {
      for (const set of sets) batch.fill(set);
    } else {
      if (this.#there !== "") batch.deleteTable();
      batch.table(OWNER);
      for (const set of sets) batch.set(set);
      for (const { name } of chains) batch.chain(name, name === "ingress" ? this.#device : undefined);
      for (const chain of chains) for (const rule of chain.rules) batch.rule(chain.name, rule);
    }
    this.#netlink.change(batch.end(), `nftables: table netdev ${this.#name}`);
    this.#there = shape;
  }

  close(): void {
    this.#netlink.close();
  }
}

class Batch {
  readonly #writer = new Writer();
  readonly #netlink: Netlink;
  readonly #table: string;
  #sets = 0;

  constructor(netlink: Netlink, table: string) {
    this.#netlink = netlink;
    this.#table = table;
    this.#writer.message(BATCH_BEGIN, Flag.REQUEST, netlink.next(), [0, 0, 0, SUBSYSTEM]);
  }

  #message(verb: number, flags: number = Flag.CREATE): Writer {
    const type = (SUBSYSTEM << 8) | verb;
    return this.#writer.message(type, Flag.REQUEST | flags, this.#netlink.next(), [NETDEV, 0, 0, 0]);
  }

  deleteTable(): void {
    this.#message(Verb.DEL_TABLE, 0).text(1, this.#table);
  }

  table(flags: number): void {
    this.#message(Verb.NEW_TABLE).text(1, this.#table).word(2, flags);
  }

  set(set: KernelSet): void {
    const w = this.#message(Verb.NEW_SET).text(1, this.#table).text(2, set.name);
    w.word(3, INTERVAL)
      .word(4, set.key.type)
      .word(5, set.key.bytes)
      .word(10, ++this.#sets);
    this.#elements(set);
  }

  /** Other elements instead of those that are there. */
  fill(set: KernelSet): void {
    this.#message(Verb.DEL_ELEMENT, 0).text(1, this.#table).text(2, set.name);
    this.#elements(set);
  }

  #elements({ name, key, ranges }: KernelSet): void {
    const elements = ranges.flatMap(({ first, last }) => {
      const end = last + 1n;
      const isOpen = end >> BigInt(key.bytes * 8) !== 0n;
      return [{ value: first, flags: 0 }, ...(isOpen ? [] : [{ value: end, flags: INTERVAL_END }])];
    });
    for (let i = 0; i < elements.length; i += ELEMENTS_PER_MESSAGE) {
      const w = this.#message(Verb.NEW_ELEMENT).text(1, this.#table).text(2, name);
      w.nested(3, () => {
        for (const { value, flags } of elements.slice(i, i + ELEMENTS_PER_MESSAGE)) {
          w.nested(LIST_ELEMENT, () => {
            w.nested(1, () => w.attribute(VALUE, bytesOf(value, key.bytes)));
            if (flags !== 0) w.word(3, flags);
          });
        }
      });
    }
  }

  chain(name: string, device: string | undefined): void {
    const w = this.#message(Verb.NEW_CHAIN).text(1, this.#table).text(3, name);
    if (device === undefined) return;
    w.nested(4, () => w.word(1, 0).word(2, PRIORITY).text(3, device));
    w.word(5, ACCEPT).text(7, "filter");
  }

  rule(chain: string, expressions: readonly Expression[]): void {
    const w = this.#message(Verb.NEW_RULE, Flag.CREATE | Flag.APPEND)
      .text(1, this.#table)
      .text(2, chain);
    w.nested(4, () => {
      for (const [name, write] of expressions)
        w.nested(LIST_ELEMENT, () => w.text(1, name).nested(2, () => write(w)));
    });
  }

  /** The last message asks for an answer; errors come for each. */
  end(): Uint8Array {
    this.#message(Verb.NEW_TABLE, Flag.CREATE | Flag.ACK).text(1, this.#table);
    this.#writer.message(BATCH_END, Flag.REQUEST, this.#netlink.next(), [0, 0, 0, SUBSYSTEM]);
    return this.#writer.bytes;
  }
}

function bytesOf(value: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * (count - 1 - i))) & 255n));
}

function chainsOf(taken: Taken): Chain[] {
  const { LINK, NETWORK } = Base;
  const groupsOf = (family: 4 | 6): TakenGroup[] =>
    taken.groups.filter(({ addresses }) => addresses[0].family === family);
  const families = ([4, 6] as const).map((family) => {
    const [at, bytes] = family === 4 ? [16, 4] : [24, 16];
    const own = groupsOf(family).flatMap(({ addresses }, i) =>
      addresses.map((address) => [
        ...equals(NETWORK, at, bytesOf(bigOf(address), bytes)),
        verdict(GOTO, `ipv${family}_${i}`),
      ]),
    );
    const whole = [load(NETWORK, at, bytes), inSet(`ipv${family}_whole`), verdict(DROP)];
    return { name: `ipv${family}`, rules: [...own, whole] };
  });
  const groups = ([4, 6] as const).flatMap((family) =>
    groupsOf(family).flatMap((_, i) => (family === 4 ? chainsV4(taken, i) : chainsV6(taken, i))),
  );
  const ingress: Expression[][] = [
    [packetType, compare(Compare.UNEQUAL, [0]), verdict(ACCEPT)],
    [...equals(LINK, 12, half(IPV4)), verdict(GOTO, "ipv4")],
    [...equals(LINK, 12, half(IPV6)), verdict(GOTO, "ipv6")],
  ];
  return [{ name: "ingress", rules: ingress }, ...families, ...groups];
}

/** Where in a packet of a family what is: offsets from the beginning of its network header, or of `base`. */
interface Places {
  readonly name: string;
  readonly sets: string;
  readonly family: 4 | 6;
  readonly icmp: number;
  /** Of the protocol, in the network header. */
  readonly protocol: number;
  readonly base: number;
  readonly l4: number;
  /** In an ICMP error, behind l4: the packet's protocol, where it went, and its own ports. */
  readonly inner: number;
  readonly innerTo: number;
  readonly innerL4: number;
}

function chainsV4(taken: Taken, i: number): Chain[] {
  const { NETWORK, TRANSPORT } = Base;
  const name = `ipv4_${i}`;
  const places: Places = {
    ...{ name, sets: name, family: 4, icmp: 1, protocol: 9 },
    ...{ base: TRANSPORT, l4: 0, inner: 17, innerTo: 24, innerL4: 28 },
  };
  const later = [load(NETWORK, 6, 2), mask([0x1f, 0xff]), compare(Compare.UNEQUAL, [0, 0]), verdict(ACCEPT)];
  const noOptions = [load(TRANSPORT, 8, 1), compare(Compare.UNEQUAL, [0x45]), verdict(ACCEPT)];
  return [
    { name, rules: [later, ...rulesOf(places, taken)] },
    { name: `${name}_error`, rules: [noOptions, ...errorRules(places, taken)] },
  ];
}

function chainsV6(taken: Taken, i: number): Chain[] {
  const { NETWORK } = Base;
  const sets = `ipv6_${i}`;
  const places = (name: string, protocol: number, more: number): Places => ({
    ...{ name, sets, family: 6, icmp: 58, protocol },
    ...{ base: NETWORK, l4: 40 + more, inner: 54 + more, innerTo: 72 + more, innerL4: 88 + more },
  });
  const whole = places(sets, 6, 0);
  const first = places(`${sets}_fragment`, 40, 8);
  const toFragment = [...equals(NETWORK, 6, [FRAGMENT]), verdict(GOTO, first.name)];
  const later = [load(NETWORK, 42, 2), mask([0xff, 0xf8]), compare(Compare.UNEQUAL, [0, 0]), verdict(ACCEPT)];
  return [
    { name: whole.name, rules: [toFragment, ...rulesOf(whole, taken)] },
    { name: `${whole.name}_error`, rules: errorRules(whole, taken) },
    { name: first.name, rules: [later, ...rulesOf(first, taken)] },
    { name: `${first.name}_error`, rules: errorRules(first, taken) },
  ];
}

function rulesOf(places: Places, { ids, answers }: Taken): Expression[][] {
  const { name, sets, family, icmp, protocol, base, l4 } = places;
  const [source, bytes] = family === 4 ? [12, 4] : [8, 16];
  const is = (number: number): Expression[] => equals(Base.NETWORK, protocol, [number]);
  return [
    ...PORT_PROTOCOLS.map((p) => [
      ...is(p),
      load(base, l4 + 2, 2),
      inSet(`${sets}_${PROTOCOL_NAMES[p]}`),
      verdict(DROP),
    ]),
    ...REPLY_TYPES[family].map((type) => [
      ...is(icmp),
      ...equals(base, l4, [type]),
      ...isBetween(base, l4 + 4, ids),
      verdict(DROP),
    ]),
    ...ERROR_TYPES[family].map((type) => [
      ...is(icmp),
      ...equals(base, l4, [type]),
      verdict(GOTO, `${name}_error`),
    ]),
    ...answers
      .filter((each) => each.family === family)
      .map((each) => [
        ...is(each.protocol),
        load(Base.NETWORK, source, bytes),
        inSet(peerSet(each)),
        verdict(DROP),
      ]),
  ];
}

const peerSet = ({ family, protocol }: TakenPeers): string => `ipv${family}_answers_${protocol}`;

function errorRules(
  { sets, family, icmp, base, inner, innerTo, innerL4 }: Places,
  { tunnelPort, ids, answers }: Taken,
): Expression[][] {
  const is = (number: number): Expression[] => equals(base, inner, [number]);
  const tunnel = [...is(UDP), ...equals(base, innerL4 + 2, half(tunnelPort)), verdict(DROP)];
  return [
    ...(tunnelPort === 0 ? [] : [tunnel]),
    ...PORT_PROTOCOLS.map((p) => [
      ...is(p),
      load(base, innerL4, 2),
      inSet(`${sets}_${PROTOCOL_NAMES[p]}`),
      verdict(DROP),
    ]),
    [...is(icmp), ...isBetween(base, innerL4 + 4, ids), verdict(DROP)],
    ...answers
      .filter((each) => each.family === family)
      .map((each) => [
        ...is(each.protocol),
        load(base, innerTo, family === 4 ? 4 : 16),
        inSet(peerSet(each)),
        verdict(DROP),
      ]),
  ];
}

function setsOf({ whole, groups, answers }: Taken): KernelSet[] {
  const numbers = { 4: 0, 6: 0 };
  const big = ({ first, last }: NumberRange): BigRange => ({ first: BigInt(first), last: BigInt(last) });
  const addresses = (name: string, of: 4 | 6, list: readonly Cidr[]): KernelSet => {
    const own = list.filter(({ family }) => family === of);
    if (of === 4) return { name, key: Key.ipv4_addr, ranges: lastWords(own).map(big) };
    return { name, key: Key.ipv6_addr, ranges: joinV6(own) };
  };
  return [
    addresses("ipv4_whole", 4, whole),
    addresses("ipv6_whole", 6, whole),
    ...answers.map((each) => {
      const peers = each.peers.map((peer) => ({ ...peer, prefixLen: each.family === 4 ? 32 : 128 }));
      return addresses(peerSet(each), each.family, peers);
    }),
    ...groups.flatMap(({ addresses: [{ family }], ports }) => {
      const name = `ipv${family}_${numbers[family]++}`;
      return PORT_PROTOCOLS.map((p) => ({
        name: `${name}_${PROTOCOL_NAMES[p]}`,
        key: Key.inet_service,
        ranges: ports[p].map(big),
      }));
    }),
  ];
}

function joinV6(list: readonly Cidr[]): BigRange[] {
  const joined: { first: bigint; last: bigint }[] = [];
  const ranges = list.map((range) => {
    const first = bigOf(range);
    return { first, last: first | ((1n << BigInt(128 - prefixLen128(range))) - 1n) };
  });
  for (const { first, last } of ranges.sort((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = joined.at(-1);
    if (before === undefined || first > before.last + 1n) joined.push({ first, last });
    else if (last > before.last) before.last = last;
  }
  return joined;
}

/** As a number of its family's own width. */
function bigOf({ w0, w1, w2, w3, family }: IpWords & { family: 4 | 6 }): bigint {
  if (family === 4) return BigInt(w3 >>> 0);
  return [w0, w1, w2, w3].reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
}
