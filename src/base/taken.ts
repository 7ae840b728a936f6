// What the data plane takes of what comes in at a NIC that it shares with the kernel, and the kernel therefore must not
// have: one description, of which the socket's filter and the table that drops the kernel's copies are made
// (src/device), so that every packet has one taker. What else is in it, the plane hands to the kernel.
import { type Cidr, formatIp, type Ip, type IpFamily } from "./ip.ts";

/** Unsigned numbers, both ends included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** Protocols whose first two bytes are the source port and whose next two are the destination port. */
export const PORT_PROTOCOLS = [6, 17, 132, 136] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];
export type TakenPorts = Readonly<Record<PortProtocol, readonly NumberRange[]>>;

/** Addresses of the machine itself, all of one family, and what is taken there; the rest is the kernel's. */
export interface TakenGroup {
  readonly addresses: readonly Ip[];
  /** Sorted, with gaps between them. Destination ports, and source ports of packets that an ICMP error is about. */
  readonly ports: TakenPorts;
}

/** Hosts that answer pods in a protocol without ports. Their packets to any address of the machine are taken. */
export interface TakenPeers {
  readonly protocol: number;
  readonly family: IpFamily;
  readonly peers: readonly Ip[];
}

export interface Taken {
  /** Everything to there: pods, services, addresses that are no machine's. */
  readonly whole: readonly Cidr[];
  readonly groups: readonly TakenGroup[];
  /** ICMP errors about what this node sent to that UDP port are the tunnel's; 0: there is none. */
  readonly tunnelPort: number;
  /** Of pings under the node's address: answers, and errors about them. */
  readonly ids: NumberRange;
  /** One for each protocol of a family; ICMP errors about what was sent to these hosts are taken, too. */
  readonly answers: readonly TakenPeers[];
}

/** Sorted and joined where they meet; the narrowest gaps are closed until there are at most `max`. */
export function joinRanges(ranges: Iterable<NumberRange>, max = Number.POSITIVE_INFINITY): NumberRange[] {
  const list: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = list.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else list.push({ first, last });
  }
  if (list.length <= max) return list;
  const gaps = list.slice(1).map(({ first }, i) => first - list[i].last);
  const widest = [...gaps].sort((a, b) => b - a)[max - 1] ?? Number.POSITIVE_INFINITY;
  const joined: { first: number; last: number }[] = [];
  let left = max - 1 - gaps.filter((gap) => gap > widest).length; // of those that are as wide as the limit
  for (const [i, each] of list.entries()) {
    const gap = gaps[i - 1] ?? Number.POSITIVE_INFINITY;
    const isKept = gap > widest || (gap === widest && left-- > 0);
    const before = joined.at(-1);
    if (before !== undefined && !isKept) before.last = each.last;
    else joined.push({ ...each });
  }
  return joined;
}

/** By protocol and family, each host once, in an order that does not depend on theirs. */
export function gatherPeers(all: Iterable<TakenPeers>): TakenPeers[] {
  const gathered = new Map<string, { protocol: number; family: IpFamily; peers: Map<string, Ip> }>();
  for (const { protocol, family, peers } of all) {
    const key = `${family} ${protocol}`;
    const known = gathered.get(key) ?? { protocol, family, peers: new Map() };
    for (const peer of peers) known.peers.set(formatIp(peer), peer);
    gathered.set(key, known);
  }
  const inOrder = <T>(map: Map<string, T>): T[] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  return inOrder(gathered).map((each) => ({ ...each, peers: inOrder(each.peers) }));
}

/** Both together. */
export function unitePorts(a: TakenPorts, b: TakenPorts): TakenPorts {
  const of = (protocol: PortProtocol): NumberRange[] => joinRanges([...a[protocol], ...b[protocol]]);
  return { 6: of(6), 17: of(17), 132: of(132), 136: of(136) };
}
