// Pod addresses: each pod gets one of every family of its node's podCIDRs, the lowest free one from .2 upward. The
// network address is the node's VTEP, .1 the gateway, the last one broadcast. An address that the manifest asks for
// (status.podIPs, or the annotation podwire.dev/ip) is honoured; two pods with one address are refused.
import { PodwireError } from "../../base/errors.ts";
import {
  type Cidr,
  cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  ip,
  nthIp,
  offsetIn,
  sizeOf,
} from "../../base/ip.ts";
import { NumberPool } from "./address-pool.ts";

export const IP_ANNOTATION = "podwire.dev/ip";
const FIRST_OFFSET = 2; // .0 is the VTEP, .1 the gateway

export class IpamError extends PodwireError {}

interface Range {
  readonly cidr: Cidr;
  readonly pool: NumberPool;
}

export class PodIpam {
  readonly #ranges = new Map<string, Range[]>();
  readonly #addresses = new Map<string, { node: string; ips: string[] }>();
  /** Addresses outside every podCIDR (host network is not among them): one owner each, too. */
  readonly #owners = new Map<string, string>();
  readonly #remembered = new Map<string, string[]>();

  /** Ranges of a node; an empty list takes the node away. Pods keep their addresses. */
  setNode(node: string, podCidrs: readonly string[]): void {
    const before = this.#ranges.get(node) ?? [];
    if (before.map((r) => formatCidr(r.cidr)).join() === podCidrs.map((t) => formatCidr(cidr(t))).join())
      return;
    if (podCidrs.length === 0) this.#ranges.delete(node);
    else
      this.#ranges.set(
        node,
        podCidrs.map(cidr).map((range) => this.#makeRange(range)),
      );
  }

  /** From the state saved before a restart: who had which address. */
  remember(pod: string, ips: readonly string[]): void {
    this.#remembered.set(pod, [...ips]);
    for (const ranges of this.#ranges.values()) {
      for (const range of ranges) this.#rememberIn(range, pod, ips);
    }
  }

  /** The node in whose podCIDR this address is. */
  nodeOf(address: string): string | undefined {
    for (const [node, ranges] of this.#ranges) {
      if (ranges.some((range) => contains(range.cidr, ip(address)))) return node;
    }
    return undefined;
  }

  addressesOf(pod: string): readonly string[] | undefined {
    return this.#addresses.get(pod)?.ips;
  }

  ownerOf(address: string): string | undefined {
    return this.#owners.get(formatIp(ip(address)));
  }

  /** Addresses for a pod on `node`: those wanted, and one of each family that none was wanted of. */
  allocate(pod: string, node: string, wanted: readonly string[] = []): string[] {
    this.release(pod);
    const ranges = this.#ranges.get(node) ?? [];
    const ips: string[] = [];
    try {
      for (const text of wanted) ips.push(this.#claim(pod, node, ip(text), ranges));
      for (const range of ranges) {
        if (!ips.some((text) => ip(text).family === range.cidr.family))
          ips.push(this.#take(pod, node, range));
      }
    } catch (error) {
      for (const text of ips) this.#free(text, node);
      throw error;
    }
    this.#addresses.set(pod, { node, ips });
    return ips;
  }

  release(pod: string): void {
    const held = this.#addresses.get(pod);
    if (held === undefined) return;
    for (const text of held.ips) this.#free(text, held.node);
    this.#addresses.delete(pod);
  }

  /** The pod will not come back: its remembered address is anybody's. */
  forget(pod: string): void {
    this.release(pod);
    this.#remembered.delete(pod);
    for (const ranges of this.#ranges.values()) for (const { pool } of ranges) pool.forget(pod);
  }

  #makeRange(range: Cidr): Range {
    const size = sizeOf(range);
    const made = {
      cidr: range,
      pool: new NumberPool(FIRST_OFFSET, range.family === 4 ? size - 2 : size - 1),
    };
    for (const [pod, ips] of this.#remembered) this.#rememberIn(made, pod, ips);
    for (const [text, pod] of this.#owners) {
      const offset = offsetIn(range, ip(text));
      if (offset >= 0) made.pool.claim(offset, pod);
    }
    return made;
  }

  #rememberIn(range: Range, pod: string, ips: readonly string[]): void {
    for (const text of ips) range.pool.remember(offsetIn(range.cidr, ip(text)), pod);
  }

  #claim(pod: string, node: string, address: Ip, ranges: readonly Range[]): string {
    const text = formatIp(address);
    const owner = this.#owners.get(text);
    if (owner !== undefined && owner !== pod) {
      const message = `address ${text} is already used by pod "${owner}", so pod "${pod}" cannot have it`;
      throw new IpamError(message, { code: "IPAM_ADDRESS_TAKEN", address: text, pod, owner });
    }
    const range = ranges.find((r) => contains(r.cidr, address));
    if (range === undefined) {
      const list = ranges.map((r) => formatCidr(r.cidr)).join(", ");
      const message = `address ${text} of pod "${pod}" is not in podCIDR ${list} of node "${node}"`;
      throw new IpamError(message, { code: "IPAM_OUT_OF_RANGE", address: text, pod, node });
    }
    const offset = offsetIn(range.cidr, address);
    if (!range.pool.has(offset)) {
      const message = `address ${text} of pod "${pod}" is reserved in ${formatCidr(range.cidr)} of node "${node}"`;
      throw new IpamError(message, { code: "IPAM_RESERVED", address: text, pod, node });
    }
    range.pool.claim(offset, pod);
    this.#owners.set(text, pod);
    return text;
  }

  #take(pod: string, node: string, range: Range): string {
    const offset = range.pool.take(pod);
    if (offset < 0) {
      const podCidr = formatCidr(range.cidr);
      const message = `node "${node}": podCIDR ${podCidr} is exhausted: all ${range.pool.used} addresses are in use`;
      throw new IpamError(message, { code: "IPAM_EXHAUSTED", pod, node });
    }
    const text = formatIp(nthIp(range.cidr, offset));
    this.#owners.set(text, pod);
    return text;
  }

  #free(text: string, node: string): void {
    this.#owners.delete(text);
    for (const range of this.#ranges.get(node) ?? []) {
      const offset = offsetIn(range.cidr, ip(text));
      if (offset >= 0) range.pool.release(offset);
    }
  }
}
