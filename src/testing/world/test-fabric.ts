// Several test nodes on one switch, and stations outside the cluster that answer ARP. What crosses the switch
// is kept.
import { parseIp } from "../../base/ip.ts";
import { formatMac } from "../../base/mac.ts";
import { GSO_TUNNEL, TUNNEL_CSUM } from "../../wire/link/virtio-net.ts";
import { arpFrame } from "../frames/frame-builder.ts";
import { ManualClock } from "../manual-clock.ts";
import { FABRIC_ROUTER, macOf, nodeAddress, uplinkMacOf } from "./test-cluster.ts";
import { type Received, TestNode, type TestNodeOptions } from "./test-node.ts";

export const CLIENT = "192.168.50.100";
export const CLIENT_MAC = "02:00:00:00:00:64";
export const ROUTER_MAC = "02:00:00:00:00:01";
const ROUNDS_MAX = 64;

export interface Station {
  readonly address: string;
  readonly mac: string;
  readonly got: Received[];
}

export class TestFabric {
  readonly clock = new ManualClock();
  readonly nodes: readonly TestNode[];
  readonly client: Station = { address: CLIENT, mac: CLIENT_MAC, got: [] };
  readonly router: Station = { address: FABRIC_ROUTER, mac: ROUTER_MAC, got: [] };
  /** Everything that crossed the switch, ARP left out. */
  readonly crossed: Received[] = [];

  constructor(o: TestNodeOptions = {}, count = 2) {
    this.nodes = Array.from(
      { length: count },
      (_, i) => new TestNode({ ...o, index: i + 1, nodes: count, clock: this.clock }),
    );
  }

  /** Runs every node and carries frames between them until nothing moves any more. */
  run(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let moved = 0;
      for (const node of this.nodes) {
        node.run();
        for (const received of node.received("uplink")) {
          this.#carry(received, node);
          moved++;
        }
      }
      if (moved === 0) return;
    }
    throw new Error("frames go round in circles");
  }

  /** Somebody outside sends a frame onto the switch. */
  send(frame: Uint8Array, virtio?: Uint8Array): void {
    this.#toNodes(formatMacAt(frame, 0), frame, virtio, undefined);
    this.run();
  }

  advanceMs(ms: number, stepMs = 500): void {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advanceMs(Math.min(left, stepMs));
      this.run();
    }
  }

  settle(): void {
    for (const node of this.nodes) node.settle();
  }

  #carry(received: Received, from: TestNode): void {
    const { frame, virtio } = received;
    const to = formatMacAt(frame, 0);
    const isArp = frame[12] === 0x08 && frame[13] === 0x06;
    if (!isArp) this.crossed.push(received);
    for (const station of [this.client, this.router]) {
      if (isArp) this.#answerArp(station, frame);
      else if (to === station.mac) station.got.push(received);
    }
    for (const node of this.nodes) {
      const isKernels = node.tables.config.router.shared !== 0; // which answers for the address
      if (isArp && isKernels) this.#answerArp({ address: node.address, mac: node.uplinkMac }, frame);
    }
    this.#toNodes(to, frame, withoutTunnel(virtio), from);
  }

  #toNodes(to: string, frame: Uint8Array, virtio: Uint8Array | undefined, from: TestNode | undefined): void {
    const isGroup = (frame[0] & 1) === 1;
    for (const node of this.nodes) {
      if (node !== from && (isGroup || to === node.uplinkMac)) node.send("uplink", frame, virtio);
    }
  }

  #answerArp(station: Pick<Station, "address" | "mac">, frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const asked = parseIp(station.address)?.w3;
    if (view.getUint16(20) !== 1 || view.getInt32(38) !== asked) return;
    const senderIp = [...frame.subarray(28, 32)].join(".");
    const dstMac = formatMacAt(frame, 22);
    const answer = arpFrame({
      op: 2,
      srcMac: station.mac,
      dstMac,
      senderMac: station.mac,
      senderIp: station.address,
      targetMac: dstMac,
      targetIp: senderIp,
    });
    this.#toNodes(dstMac, answer, undefined, undefined);
  }
}

export interface Path {
  readonly src: string;
  readonly dst: string;
  readonly srcMac: string;
  readonly dstMac: string;
}

/** Addresses of both layers for a packet as its sender puts it on its link towards `node`. */
export function pathTo(node: TestNode, src: string, dst: string): Path {
  const pods = `10.244.${node.index}.`;
  if (src === node.address || src === node.gateway || src === node.vtep) {
    return { src, dst, srcMac: node.uplinkMac, dstMac: node.gatewayMac };
  }
  if (src.startsWith(pods)) {
    const direct = dst.startsWith(pods) && dst !== node.vtep;
    return { src, dst, srcMac: macOf(src), dstMac: direct ? macOf(dst) : node.gatewayMac };
  }
  const srcMac = src === CLIENT ? CLIENT_MAC : ROUTER_MAC;
  for (let i = 1; i < 10; i++) {
    if (src === nodeAddress(i)) return { src, dst, srcMac: uplinkMacOf(i), dstMac: node.uplinkMac };
  }
  return { src, dst, srcMac, dstMac: node.uplinkMac };
}

function formatMacAt(frame: Uint8Array, at: number): string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return formatMac(view.getUint16(at), view.getInt32(at + 2));
}

/** A packet socket tells of a superframe in a tunnel as if there were no tunnel. */
function withoutTunnel(virtio: Uint8Array): Uint8Array {
  const copy = virtio.slice();
  copy[0] &= ~TUNNEL_CSUM;
  copy[1] &= ~GSO_TUNNEL;
  return copy;
}
