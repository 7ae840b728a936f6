/** Whose an address is, as the node's objects say: the node's own, a pod's, a service's, another node's, nobody's. */
import { contains, formatIp, type IpWords, parseIp, sameIp } from "../../base/ip.ts";
import { findFrontend } from "../../dataplane/packet/find-frontend.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import type { OfflineNode, OfflinePort } from "../offline-node.ts";
import { type CapturedPacket, destinationOf, sourceOf } from "./captured-packet.ts";

const { SRC0, DST0, PORTS } = tuple.TupleWord;

export class NodeAddresses {
  readonly #node: OfflineNode;

  constructor(node: OfflineNode) {
    this.#node = node;
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
      key.copyWithin(DST0, SRC0, DST0);
      key[PORTS] = tuple.sourcePort(packet.key);
    }
    return findFrontend(this.#node.engine.tables, key) >= 0;
  }

  /** The node's own stack with a pod or a service: seen at host0. */
  isInside(packet: CapturedPacket): boolean {
    const far = this.isOwn(sourceOf(packet)) ? destinationOf(packet) : sourceOf(packet);
    if (this.isService(packet) && !this.isOwn(destinationOf(packet))) return true;
    if (this.isService(packet, "source") && !this.isOwn(sourceOf(packet))) return true;
    return this.podOf(far) !== undefined || this.#node.isClusterPod(far);
  }

  /** Is an end of the packet, or of what is inside it, the node's own or a pod of the node? */
  isOfNode(packet: CapturedPacket): boolean {
    return [packet, ...packet.inner].some((each) => {
      if (each.family === 0 && !each.isArp) return false;
      return [sourceOf(each), destinationOf(each)].some((a) => this.isOwn(a) || this.podOf(a) !== undefined);
    });
  }

  /** An end of the packet that has an address of the node's pods and is none of the given ones. */
  missingPod(packet: CapturedPacket): IpWords | undefined {
    for (const each of packet.inner.length > 0 ? packet.inner : [packet]) {
      if (each.family === 0) continue;
      for (const address of [sourceOf(each), destinationOf(each)]) {
        if (this.isOnBridge(address) && !this.isOwn(address) && this.podOf(address) === undefined)
          return address;
      }
    }
    return undefined;
  }

  /** Of an address that is not this node's: whose it is, and what to do; undefined when no object has it. */
  elsewhere(address: IpWords): { readonly who: string; readonly node: string } | undefined {
    const { nodes, pods } = this.#node.graph;
    const is = (text: string | undefined): boolean => {
      const found = parseIp(text ?? "");
      return found !== null && sameIp(found, address);
    };
    for (const [key, { spec, status }] of pods) {
      const isHere = spec.hostNetwork !== true && status.podIPs?.some(({ ip }) => is(ip));
      if (isHere && spec.nodeName !== undefined)
        return { who: `pod/${key} (${formatIp(address)})`, node: spec.nodeName };
    }
    for (const [name, { status }] of nodes) {
      if (status?.addresses?.some((each) => is(each.address)))
        return { who: `node ${name} (${formatIp(address)})`, node: name };
    }
    return undefined;
  }

  /** In the range that the node's own pods have. */
  isOnBridge(address: IpWords): boolean {
    const { own } = this.#node.messages.topology ?? {};
    return own?.podCidrs.some((range) => contains(range, address)) ?? false;
  }

  isClusterPod(address: IpWords): boolean {
    return this.#node.isClusterPod(address);
  }
}
