/**
 * At which port the packets of an interface can have been seen: at the one whose station has an end in most of them. When
 * none of this node's has, they were taken elsewhere, and whose address is in most of them is the best word for where.
 */
import { formatIp, type IpWords, sameIp } from "../../base/ip.ts";
import { HOST_PORT, type OfflinePort, UPLINK_PORT } from "../offline-node.ts";
import { destinationOf, sourceOf, ttlOf } from "./captured-packet.ts";
import type { NodeAddresses } from "./node-addresses.ts";
import { isGroup, isOfLink, type Seen, sourceMac } from "./seen-packet.ts";

export interface Inferred {
  /** Undefined: at several ports as one, of nobody knows where, or not at this node. */
  readonly port: OfflinePort | undefined;
  /** What the station there speaks from. */
  readonly ownMac?: string | undefined;
  /** From which a pod gets what comes from elsewhere than its bridge. */
  readonly peerMac?: string | undefined;
  /** The machine whose interface it was is on the other side: a pod's veth as its node sees it. */
  readonly isFarSide?: boolean;
  /** Not at this node: the addresses that it may have been taken at, the likeliest first. */
  readonly foreign: readonly IpWords[];
}

/** Of the frames of a station, so many show its address; the rest may be what does not belong there. */
const MOST = 0.75;
/** With these hosts send. */
const FIRST_TTLS = [64, 128, 255];
const NOWHERE: Inferred = { port: undefined, foreign: [] };

export function inferPoint(
  addresses: NodeAddresses,
  ports: readonly OfflinePort[],
  list: readonly Seen[],
): Inferred {
  const told = list.filter(isTold);
  if (told.length === 0) return NOWHERE;
  const pod = inferPod(addresses, ports, told);
  if (pod !== undefined) return pod;
  const own = told.filter(
    ({ packet }) => addresses.isOwn(sourceOf(packet)) || addresses.isOwn(destinationOf(packet)),
  );
  if (own.length < told.length * MOST) return { port: undefined, foreign: foreignEnds(addresses, told) };
  const tunnels = told.some(({ packet }) => packet.inner.length > 0);
  const inside = own.filter(({ packet }) => addresses.isInside(packet)).length;
  if (tunnels && inside > 0) return NOWHERE; // host0 and the uplink, as one interface: "any" without an index
  const port = tunnels || inside * 2 < own.length ? ports[UPLINK_PORT] : ports[HOST_PORT];
  const mac = macOf(told, (address) => addresses.isOwn(address));
  const foreign = told.filter(
    ({ packet }) => sourceMac(packet) === mac && !addresses.isOwn(sourceOf(packet)),
  );
  const saysNothing = foreign.length > told.length * (1 - MOST);
  return { port, ownMac: saysNothing ? undefined : mac, foreign: [] };
}

function inferPod(
  addresses: NodeAddresses,
  ports: readonly OfflinePort[],
  told: readonly Seen[],
): Inferred | undefined {
  const counts = ports
    .filter((port) => port.info.kind === "pod")
    .map((port) => {
      const isHere = (a: IpWords): boolean => port.addresses.some((own) => sameIp(own, a));
      const with_ = told.filter(({ packet }) => isHere(sourceOf(packet)) || isHere(destinationOf(packet)));
      return { port, count: with_.length, isHere };
    })
    .sort((a, b) => b.count - a.count);
  const best = likeliest(counts, told);
  if (best === undefined || best.count < told.length * MOST) return undefined;
  if (hasOthers(addresses, told, best.isHere)) return undefined;
  const mac = macOf(told, best.isHere);
  const directed = told.filter(({ hostDirection }) => hostDirection !== undefined);
  const received = directed.filter(({ packet, hostDirection }) => {
    return (hostDirection === "in") === best.isHere(sourceOf(packet));
  });
  const isFarSide = received.length * 2 > directed.length;
  if (mac === undefined) return { port: best.port, isFarSide, foreign: [] };
  // A pod has one MAC: others do not speak from it, or this was not seen at the pod.
  const foreign = told.filter(({ packet }) => {
    return sourceMac(packet) === mac && !best.isHere(sourceOf(packet)) && best.isHere(destinationOf(packet));
  });
  if (foreign.length > told.length * (1 - MOST)) return undefined;
  const routed = told.filter(({ packet }) => best.isHere(destinationOf(packet)));
  const peerMac = macOf(routed, (a) => !best.isHere(a) && !addresses.isOnBridge(a));
  return { port: best.port, ownMac: mac, peerMac, isFarSide, foreign: [] };
}

interface Candidate {
  readonly port: OfflinePort;
  readonly count: number;
  isHere(address: IpWords): boolean;
}

/** Of two pods that talk with nobody else the one here is that whose packets have not passed the node yet. */
function likeliest([best, second]: readonly Candidate[], told: readonly Seen[]): Candidate | undefined {
  if (best === undefined || best.count !== second?.count) return best;
  const [one, other] = [best, second].map(({ isHere }) => {
    const sent = told.filter(({ packet }) => packet.family !== 0 && isHere(sourceOf(packet)));
    return sent.length > 0 && sent.every(({ packet }) => FIRST_TTLS.includes(ttlOf(packet)));
  });
  if (one === other) return undefined;
  return one ? best : second;
}

/** Do other pods of the node talk here as well, and are answered? Then it is their bridge, or behind it. */
function hasOthers(
  addresses: NodeAddresses,
  told: readonly Seen[],
  isHere: (address: IpWords) => boolean,
): boolean {
  const others = told.filter(({ packet }) => {
    const isOthers = !isHere(sourceOf(packet)) && !isHere(destinationOf(packet));
    return isOthers && packet.family !== 0 && !isOfLink(packet);
  });
  const talks = others.some(({ packet }) => addresses.podOf(sourceOf(packet)) !== undefined);
  return talks && others.some(({ packet }) => addresses.podOf(destinationOf(packet)) !== undefined);
}

/** The MAC that most of these frames with such a source have. */
function macOf(told: readonly Seen[], isHere: (address: IpWords) => boolean): string | undefined {
  const votes = new Map<string, number>();
  for (const { packet, macs } of told) {
    if (macs === "none" || !isHere(sourceOf(packet))) continue;
    votes.set(sourceMac(packet), (votes.get(sourceMac(packet)) ?? 0) + 1);
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/** Where nothing is of this node: the address that is an end of most packets, or both where nothing tells them apart. */
function foreignEnds(addresses: NodeAddresses, told: readonly Seen[]): IpWords[] {
  const ours = told.filter(({ packet }) => addresses.isOfNode(packet));
  if (ours.length > told.length * (1 - MOST)) return [];
  return stationsOf(addresses, told);
}

/** The addresses that a station may have in whose packets these are, the likeliest first. */
export function stationsOf(addresses: NodeAddresses, told: readonly Seen[]): IpWords[] {
  const found = new Map<string, { address: IpWords; count: number; asStation: number }>();
  const count = ({ packet, hostDirection }: Seen, end: "source" | "destination"): void => {
    const address = end === "source" ? sourceOf(packet) : destinationOf(packet);
    if (isNobody(address) || addresses.isService(packet, end)) return;
    const entry = found.get(formatIp(address)) ?? { address, count: 0, asStation: 0 };
    entry.count++;
    if (hostDirection !== undefined && (hostDirection === "out") === (end === "source")) entry.asStation++;
    found.set(formatIp(address), entry);
  };
  for (const each of told) {
    count(each, "source");
    count(each, "destination");
  }
  const most = Math.max(0, ...[...found.values()].map((entry) => entry.count));
  if (most < told.length * MOST) return [];
  const best = [...found.values()].filter((entry) => entry.count === most);
  const isLikely = best.find(({ asStation }) => asStation === most);
  if (isLikely !== undefined) return [isLikely.address];
  const pods = best.filter(({ address }) => addresses.isClusterPod(address));
  return (pods.length === 1 ? pods : best).map(({ address }) => address);
}

/** Unspecified, or of the link alone. */
function isNobody({ w0, w1, w2, w3 }: IpWords): boolean {
  const isV4 = w0 === 0 && w1 === 0 && w2 === 0xffff;
  if (isV4) return w3 === 0 || w3 >>> 16 === 0xa9fe;
  return (w0 === 0 && w1 === 0 && w2 === 0 && w3 === 0) || w0 >>> 22 === 0x3fa;
}

/** Packets that tell something of where they were seen. */
export function isTold({ packet }: Seen): boolean {
  return (packet.family !== 0 || packet.isArp) && !isGroup(packet);
}
