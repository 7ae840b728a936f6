/**
 * Where a capture was taken, and which way each of its packets went there. The points are the node's ports: a pod's
 * eth0, the uplink, host0. What a packet of an interface shows is told, in this order, by the interface's name in a
 * capture of podwire's, by the direction that a cooked header or a pcapng block names, by MAC addresses, and by whose
 * addresses the packet has. "in" is into the plane: the station at the port sent it. "out" came from the plane.
 */
import type { IpWords } from "../base/ip.ts";
import { sameIp } from "../base/ip.ts";
import { findFrontend } from "../dataplane/find-frontend.ts";
import * as eth from "../wire/ethernet.ts";
import { type CapturedPacket, destinationOf, sourceOf } from "./captured-packet.ts";
import { HOST_PORT, type OfflineNode, type OfflinePort, UPLINK_PORT } from "./offline-node.ts";

export type Way = "in" | "out";

/** One interface of a capture, as far as it says something about its packets. */
export interface Seen {
  /** Tells the interfaces of a capture apart. */
  readonly group: string;
  readonly packet: CapturedPacket;
  /** As the machine saw it whose interface it was. */
  readonly hostDirection?: Way;
  readonly macs: "both" | "source" | "none";
}

export interface Located {
  readonly port: OfflinePort;
  readonly way: Way;
}

/** Of the frames of a pod, so many percent show its address; the rest may be what does not belong there. */
const MOST = 0.75;

export class ObservationPoints {
  readonly #node: OfflineNode;
  readonly #points = new Map<string, OfflinePort | undefined>();
  readonly #macs = new Map<string, string>(); // "group address" → MAC that it first spoke from

  constructor(node: OfflineNode) {
    this.#node = node;
  }

  /** Learns from the first packets of each interface where it is; `at` says it for all. */
  learn(seen: readonly Seen[], at: OfflinePort | undefined): void {
    const groups = new Map<string, Seen[]>();
    for (const each of seen) {
      const list = groups.get(each.group) ?? [];
      list.push(each);
      groups.set(each.group, list);
    }
    for (const [group, list] of groups) {
      if (this.#points.has(group)) continue;
      this.#points.set(group, at ?? this.#infer(list));
    }
  }

  /** Undefined: at one interface, or several, of nobody knows where. */
  pointOf(group: string): OfflinePort | undefined {
    return this.#points.get(group);
  }

  /** Undefined: nothing of the packet is of this node. */
  locate(seen: Seen): Located | undefined {
    const point = this.#points.get(seen.group);
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
    if (hostDirection !== undefined) return hostDirection === "in" ? inward : outward;
    if (packet.family === 0 && !packet.isArp) return "in";
    const [src, dst] = [sourceOf(packet), destinationOf(packet)];
    const isHere = (a: IpWords): boolean => this.#isAt(point, a);
    if (isHere(src)) return isHere(dst) && this.#isForMacOf(seen, src) ? inward : outward;
    // A source that is not the station's: its MAC says whether it is a lie of the station's, or came from elsewhere.
    const own = this.#ownMacs.get(seen.group);
    return seen.macs !== "none" && own !== undefined && own === sourceMac(packet) ? outward : inward;
  }

  #isForMacOf({ group, packet, macs }: Seen, own: IpWords): boolean {
    return macs === "both" && this.#macOf(group, own) === destinationMac(packet);
  }

  readonly #ownMacs = new Map<string, string>();

  /** Is the address that of the station at this port: the pod's, or the node's own at the others? */
  #isAt(point: OfflinePort, address: IpWords): boolean {
    if (point.info.kind === "pod") return point.addresses.some((a) => sameIp(a, address));
    return this.isOwn(address) || (point.info.kind === "uplink" && this.podOf(address) !== undefined);
  }

  isOwn(address: IpWords): boolean {
    return this.#node.messages.topology?.own.local.some((a) => sameIp(a, address)) ?? false;
  }

  podOf(address: IpWords): OfflinePort | undefined {
    const { ports } = this.#node;
    return ports.find((p) => p.info.kind === "pod" && p.addresses.some((a) => sameIp(a, address)));
  }

  /** Does a service answer at the packet's destination, or (`end`) has it this source? */
  isService(packet: CapturedPacket, end: "source" | "destination" = "destination"): boolean {
    if (packet.family === 0) return false;
    const key = packet.key.slice();
    if (end === "source") {
      key.copyWithin(4, 0, 4);
      key[8] = packet.key[8] >>> 16;
    }
    return findFrontend(this.#node.engine.tables, key) >= 0;
  }

  /** The one port at which all of these can have been seen, if it is certain. */
  #infer(list: readonly Seen[]): OfflinePort | undefined {
    const told = list.filter(({ packet }) => (packet.family !== 0 || packet.isArp) && !isGroup(packet));
    if (told.length === 0) return undefined;
    const pod = this.#inferPod(told);
    if (pod !== undefined) return pod;
    const { ports } = this.#node;
    const own = told.filter(
      ({ packet }) => this.isOwn(sourceOf(packet)) || this.isOwn(destinationOf(packet)),
    );
    if (own.length < told.length * MOST) return undefined;
    const tunnels = told.some(({ packet }) => packet.inner.length > 0);
    const inside = own.filter(({ packet }) => this.#isInside(packet)).length;
    if (tunnels && inside > 0) return undefined; // host0 and the uplink, as one interface: "any" without an index
    const point = tunnels || inside * 2 < own.length ? ports[UPLINK_PORT] : ports[HOST_PORT];
    const mac = this.#noteMac(told, (address) => this.isOwn(address));
    const foreign = told.filter(({ packet }) => sourceMac(packet) === mac && !this.isOwn(sourceOf(packet)));
    if (foreign.length > told.length * (1 - MOST)) this.#ownMacs.delete(told[0].group); // MACs say nothing here
    return point;
  }

  /** The node's own stack with a pod or a service: seen at host0. */
  #isInside(packet: CapturedPacket): boolean {
    const far = this.isOwn(sourceOf(packet)) ? destinationOf(packet) : sourceOf(packet);
    if (this.isService(packet) && !this.isOwn(destinationOf(packet))) return true;
    if (this.isService(packet, "source") && !this.isOwn(sourceOf(packet))) return true;
    return this.podOf(far) !== undefined || this.#node.isClusterPod(far);
  }

  #inferPod(told: readonly Seen[]): OfflinePort | undefined {
    const counts = this.#node.ports
      .filter((port) => port.info.kind === "pod")
      .map((port) => {
        const isHere = (a: IpWords): boolean => port.addresses.some((own) => sameIp(own, a));
        const with_ = told.filter(({ packet }) => isHere(sourceOf(packet)) || isHere(destinationOf(packet)));
        return { port, count: with_.length, isHere };
      })
      .sort((a, b) => b.count - a.count);
    const [best, second] = counts;
    if (best === undefined || best.count < told.length * MOST || best.count === second?.count)
      return undefined;
    const mac = this.#noteMac(told, best.isHere);
    if (mac === undefined) return best.port;
    // A pod has one MAC: others do not speak from it, or this was not seen at the pod.
    const foreign = told.filter(({ packet }) => {
      return (
        sourceMac(packet) === mac && !best.isHere(sourceOf(packet)) && best.isHere(destinationOf(packet))
      );
    });
    if (foreign.length <= told.length * (1 - MOST)) return best.port;
    this.#ownMacs.delete(told[0].group);
    return undefined;
  }

  /** The MAC that most of these frames with such a source have. */
  #noteMac(told: readonly Seen[], isHere: (address: IpWords) => boolean): string | undefined {
    const votes = new Map<string, number>();
    for (const { packet, macs } of told) {
      if (macs === "none" || !isHere(sourceOf(packet))) continue;
      votes.set(sourceMac(packet), (votes.get(sourceMac(packet)) ?? 0) + 1);
    }
    const [winner] = [...votes].sort((a, b) => b[1] - a[1]);
    if (winner !== undefined) this.#ownMacs.set(told[0].group, winner[0]);
    return winner?.[0];
  }

  /** A packet of a merged capture, or of one of all interfaces: by its own addresses. */
  #somewhere(seen: Seen): Located | undefined {
    const { packet, hostDirection } = seen;
    const { ports } = this.#node;
    const [uplink, host] = [ports[UPLINK_PORT], ports[HOST_PORT]];
    if (packet.family === 0 && !packet.isArp) return { port: uplink, way: "in" };
    const [src, dst] = [sourceOf(packet), destinationOf(packet)];
    const [from, to] = [this.podOf(src), this.podOf(dst)];
    const isTunnel = packet.inner.length > 0;
    if (from !== undefined) return { port: from, way: "in" };
    if (this.isOwn(src)) {
      if (to !== undefined && this.#isForMacOf(seen, dst)) return { port: to, way: "out" };
      const toFabric = isTunnel || (to === undefined && !this.#isInside(packet) && !this.isService(packet));
      return toFabric
        ? { port: uplink, way: hostDirection === "in" ? "in" : "out" }
        : { port: host, way: "in" };
    }
    if (this.isOwn(dst)) {
      const isAnswer = this.isService(packet, "source") && !this.isOwn(src); // no address of the fabric
      const fromInside = !isTunnel && this.#isInside(packet) && (hostDirection !== undefined || isAnswer);
      return fromInside ? { port: host, way: "out" } : { port: uplink, way: "in" };
    }
    if (to !== undefined) {
      const isAtPod =
        hostDirection === "out" || this.isService(packet, "source") || this.#isForMacOf(seen, dst);
      return isAtPod ? { port: to, way: "out" } : { port: uplink, way: "in" };
    }
    const isOurs = this.isService(packet) || isGroup(packet) || packet.isArp;
    return isOurs || seen.macs !== "both" ? { port: uplink, way: "in" } : undefined;
  }
}

export function sourceMac({ data }: CapturedPacket): string {
  return Buffer.from(data.subarray(6, 12)).toString("hex");
}

function destinationMac({ data }: CapturedPacket): string {
  return Buffer.from(data.subarray(0, 6)).toString("hex");
}

export function isGroup({ view, data }: CapturedPacket): boolean {
  return data.length >= eth.HEADER_LEN && eth.isMulticast(eth.dstHi(view, 0));
}
