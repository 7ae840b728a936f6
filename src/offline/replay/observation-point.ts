/**
 * Where a capture was taken, and which way each of its packets went there. The points are the node's ports: a pod's
 * eth0, the uplink, host0. What a packet of an interface shows is told, in this order, by the interface's name in a
 * capture of podwire's, by the direction that a cooked header or a pcapng block names, by MAC addresses, and by whose
 * addresses the packet has. "in" is into the plane: the station at the port sent it. "out" came from the plane.
 */
import { formatIp, type IpWords, sameIp } from "../../base/ip.ts";
import { HOST_PORT, type OfflineNode, type OfflinePort, UPLINK_PORT } from "../offline-node.ts";
import { destinationOf, sourceOf } from "./captured-packet.ts";
import { inferPoint, isTold, stationsOf } from "./infer-point.ts";
import { NodeAddresses } from "./node-addresses.ts";
import { destinationMac, isGroup, type Seen, sourceMac, type Way } from "./seen-packet.ts";

export interface Located {
  readonly port: OfflinePort;
  readonly way: Way;
}

const PORTED = [6, 17, 132]; // TCP, UDP, SCTP

/** What was learned about an interface of the capture. */
interface Point {
  readonly port: OfflinePort | undefined;
  readonly ownMac?: string | undefined;
  readonly peerMac?: string | undefined;
  readonly isFarSide?: boolean | undefined;
  /** Its packets are of somebody whom the objects do not tell of at this node: who. */
  readonly foreign?: string | undefined;
}

/** Packets of an interface from which is learned where it is. */
const LEARN_FROM = 1000;

export class ObservationPoints {
  readonly addresses: NodeAddresses;
  readonly #node: OfflineNode;
  readonly #at: OfflinePort | undefined;
  readonly #tell: (notice: string) => void;
  readonly #points = new Map<string, Point>();
  readonly #seen = new Map<string, Seen[]>();
  readonly #macs = new Map<string, string>(); // "group address" → MAC that it first spoke from
  readonly #told = new Set<string>();

  /** `at` says for all interfaces where they are. `tell` is given what the user should know, once. */
  constructor(node: OfflineNode, at: OfflinePort | undefined, tell: (notice: string) => void) {
    this.#node = node;
    this.addresses = new NodeAddresses(node);
    this.#at = at;
    this.#tell = tell;
  }

  /** Learns from the first packets of each interface where it is, and again when there are twice as many. */
  learn(seen: readonly Seen[]): void {
    const changed = new Map<string, Seen[]>();
    for (const each of seen) {
      const list = this.#seen.get(each.group) ?? [];
      this.#seen.set(each.group, list);
      if (list.length >= LEARN_FROM) continue;
      list.push(each);
      const isDue = seen.length > 1 || Number.isInteger(Math.log2(list.length)) || list.length === LEARN_FROM;
      if (isDue) changed.set(each.group, list);
    }
    for (const [group, list] of changed) this.#points.set(group, this.#pointFor(list));
    if (this.#at === undefined) this.#leaveOneEach();
  }

  /** Where a pod's veth is in the capture, what else shows mostly this pod's packets is behind the bridge. */
  #leaveOneEach(): void {
    const veths = new Set([...this.#points.values()].filter((p) => p.isFarSide === true).map((p) => p.port));
    for (const [group, point] of this.#points) {
      const isSecond = point.port?.info.kind === "pod" && veths.has(point.port) && point.isFarSide !== true;
      if (isSecond) this.#points.set(group, { port: undefined });
    }
  }

  #pointFor(list: readonly Seen[]): Point {
    if (this.#at !== undefined) {
      this.#adopt(this.#at, list.filter(isTold));
      return { port: this.#at };
    }
    const { foreign, ...point } = inferPoint(this.addresses, this.#node.ports, list);
    return foreign.length === 0 ? point : { ...point, foreign: this.#foreign(foreign) };
  }

  /** A pod whose object has no address, or another one, is taken to have the one that the capture shows. */
  #adopt(at: OfflinePort, told: readonly Seen[]): void {
    if (at.info.kind !== "pod" || told.some(({ packet }) => this.#isOf(at, packet))) return;
    const [address] = stationsOf(this.addresses, told);
    if (address === undefined || this.addresses.isOwn(address) || this.addresses.podOf(address) !== undefined)
      return;
    this.#node.adopt(at, address);
    this.#once(`pod/${at.info.pod} is taken to have ${formatIp(address)}, as the capture shows it`);
  }

  #isOf(at: OfflinePort, packet: Seen["packet"]): boolean {
    return [sourceOf(packet), destinationOf(packet)].some((a) => at.addresses.some((own) => sameIp(own, a)));
  }

  /** What is said of packets that are not of this node; the user is told once, and what to do. */
  #foreign(addresses: readonly IpWords[]): string {
    for (const address of addresses) {
      const owner = this.addresses.elsewhere(address);
      if (owner === undefined) continue;
      this.#once(`the capture seems to be taken at ${owner.who}: use --node ${owner.node}`);
      return `of ${owner.who}`;
    }
    const text = addresses.map(formatIp).join(" or ");
    const isPod = addresses.some((address) => this.addresses.isClusterPod(address));
    const what = isPod ? "its Pod" : "its Pod, or its Node with status.addresses";
    const why = `which none of the given objects has: give ${what} with -f, or say --at`;
    this.#once(`the capture seems to be taken at ${text}, ${why}`);
    return `of ${text}, which no given object has`;
  }

  /** Why a packet seen outside of the pods is not judged: it is of a pod of this node that the objects leave out. */
  missing(packet: Seen["packet"]): string | undefined {
    const address = this.addresses.missingPod(packet);
    if (address === undefined) return undefined;
    const text = formatIp(address);
    this.#once(
      `${text} is a pod of ${this.#node.messages.config.nodeName}, by its range, which none of the given ` +
        "objects has: give its Pod with -f",
    );
    return `of ${text}, which no given object has`;
  }

  #once(notice: string): void {
    if (this.#told.has(notice)) return;
    this.#told.add(notice);
    this.#tell(notice);
  }

  /** Are all interfaces known? Otherwise a packet may be seen several times on its way through the node. */
  get areKnown(): boolean {
    return [...this.#points.values()].every(({ port }) => port !== undefined);
  }

  /** Why packets of this interface are not judged, if they are not. */
  foreignAt(group: string): string | undefined {
    return this.#points.get(group)?.foreign;
  }

  /** Undefined: at one interface, or several, of nobody knows where. */
  pointOf(group: string): OfflinePort | undefined {
    return this.#points.get(group)?.port;
  }

  /** Undefined: nothing of the packet is of this node. */
  locate(seen: Seen): Located | undefined {
    const point = this.#points.get(seen.group)?.port;
    const located =
      point === undefined ? this.#somewhere(seen) : { port: point, way: this.#wayAt(point, seen) };
    if (located?.way === "in") this.#learnMac(seen);
    return located;
  }

  #learnMac({ group, packet, macs }: Seen): void {
    if (macs === "none" || packet.family === 0) return;
    const key = `${group} ${sourceOf(packet).w0},${sourceOf(packet).w2},${sourceOf(packet).w3}`;
    if (!this.#macs.has(key)) this.#macs.set(key, sourceMac(packet));
  }

  #macOf(group: string, { w0, w2, w3 }: IpWords): string | undefined {
    return this.#macs.get(`${group} ${w0},${w2},${w3}`);
  }

  #wayAt(point: OfflinePort, seen: Seen): Way {
    const { hostDirection, packet } = seen;
    const inward = point.info.kind === "uplink" ? "in" : "out"; // what the machine there received
    const outward = inward === "in" ? "out" : "in";
    const isFarSide = this.#points.get(seen.group)?.isFarSide === true;
    if (hostDirection !== undefined) return (hostDirection === "in") !== isFarSide ? inward : outward;
    if (packet.family === 0 && !packet.isArp) return "in";
    const [src, dst] = [sourceOf(packet), destinationOf(packet)];
    const isHere = (a: IpWords): boolean => this.#isAt(point, a);
    if (isHere(src)) return isHere(dst) && this.#isForMacOf(seen, src) ? inward : outward;
    // A source that is not the station's: its MAC says whether it is a lie of the station's, or came from elsewhere.
    const own = this.#points.get(seen.group)?.ownMac;
    return seen.macs !== "none" && own !== undefined && own === sourceMac(packet) ? outward : inward;
  }

  /** Was the frame for another station, whose interface takes what is not its own (tcpdump makes it)? */
  isForOther({ group, packet, macs }: Seen, { port, way }: Located): boolean {
    const { ownMac, port: point } = this.#points.get(group) ?? {};
    if (point === undefined || ownMac === undefined || macs !== "both" || isGroup(packet)) return false;
    if (destinationMac(packet) === ownMac) return false;
    if (port.info.kind === "uplink") return way === "in";
    return port.info.kind === "pod" && way === "out" && !this.#isOf(port, packet);
  }

  /** What is wrong with the MAC addresses of a frame that the plane sent. */
  macFaults({ group, packet, macs }: Seen, { port, way }: Located): string[] {
    const { ownMac, peerMac, port: point } = this.#points.get(group) ?? {};
    if (point === undefined || ownMac === undefined || macs !== "both" || way === "in" || isGroup(packet))
      return [];
    const [from, to] = [sourceMac(packet), destinationMac(packet)];
    const who = port.info.kind === "pod" ? "the pod" : "the node";
    if (port.info.kind === "uplink")
      return from === ownMac ? [] : [`source MAC ${macText(from)}, ${who} has ${macText(ownMac)}`];
    if (port.info.kind !== "pod") return [];
    const faults = to === ownMac ? [] : [`destination MAC ${macText(to)}, ${who} has ${macText(ownMac)}`];
    // A service's answer may come from an endpoint on the same bridge, and has its MAC then.
    const hasPorts = packet.family !== 0 && packet.fragment === undefined && PORTED.includes(packet.proto);
    const isRouted =
      hasPorts && !this.addresses.isOnBridge(sourceOf(packet)) && !this.addresses.isService(packet, "source");
    if (isRouted && peerMac !== undefined && from !== peerMac)
      faults.push(`source MAC ${macText(from)}, the gateway has ${macText(peerMac)}`);
    return faults;
  }

  #isForMacOf({ group, packet, macs }: Seen, own: IpWords): boolean {
    return macs === "both" && this.#macOf(group, own) === destinationMac(packet);
  }

  /** Is the address that of the station at this port: the pod's, or the node's own at the others? */
  #isAt(point: OfflinePort, address: IpWords): boolean {
    if (point.info.kind === "pod") return point.addresses.some((a) => sameIp(a, address));
    return (
      this.addresses.isOwn(address) ||
      (point.info.kind === "uplink" && this.addresses.podOf(address) !== undefined)
    );
  }

  /** A packet of a merged capture, or of one of all interfaces: by its own addresses. */
  #somewhere(seen: Seen): Located | undefined {
    const { packet, hostDirection } = seen;
    const { addresses } = this;
    const { ports } = this.#node;
    const [uplink, host] = [ports[UPLINK_PORT], ports[HOST_PORT]];
    if (packet.family === 0 && !packet.isArp) return { port: uplink, way: "in" };
    const [src, dst] = [sourceOf(packet), destinationOf(packet)];
    const [from, to] = [addresses.podOf(src), addresses.podOf(dst)];
    const isTunnel = packet.inner.length > 0;
    if (from !== undefined) return { port: from, way: "in" };
    if (addresses.isOwn(src)) {
      if (to !== undefined && this.#isForMacOf(seen, dst)) return { port: to, way: "out" };
      const toFabric =
        isTunnel || (to === undefined && !addresses.isInside(packet) && !addresses.isService(packet));
      return toFabric
        ? { port: uplink, way: hostDirection === "in" ? "in" : "out" }
        : { port: host, way: "in" };
    }
    if (addresses.isOwn(dst)) {
      const isAnswer = addresses.isService(packet, "source") && !addresses.isOwn(src); // no address of the fabric
      const fromInside = !isTunnel && addresses.isInside(packet) && (hostDirection !== undefined || isAnswer);
      return fromInside ? { port: host, way: "out" } : { port: uplink, way: "in" };
    }
    if (to !== undefined) {
      const isAtPod =
        hostDirection === "out" || addresses.isService(packet, "source") || this.#isForMacOf(seen, dst);
      return isAtPod ? { port: to, way: "out" } : { port: uplink, way: "in" };
    }
    const isOurs = addresses.isService(packet) || isGroup(packet) || packet.isArp;
    return isOurs || seen.macs !== "both" ? { port: uplink, way: "in" } : undefined;
  }
}

function macText(hex: string): string {
  return (hex.match(/../g) ?? []).join(":");
}
