/** A captured packet with what its interface says about it. */
import * as eth from "../../wire/link/ethernet.ts";
import type { CapturedPacket } from "./captured-packet.ts";

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

export function sourceMac({ data }: CapturedPacket): string {
  return Buffer.from(data.subarray(6, 12)).toString("hex");
}

export function destinationMac({ data }: CapturedPacket): string {
  return Buffer.from(data.subarray(0, 6)).toString("hex");
}

export function isGroup({ view, data }: CapturedPacket): boolean {
  return data.length >= eth.HEADER_LEN && eth.isMulticast(eth.dstHi(view, 0));
}

/** From or to an address that no router carries on: of one link only. */
export function isOfLink({ family, key }: CapturedPacket): boolean {
  const isLinkLocal = (at: number): boolean =>
    family === 6 ? key[at] >>> 22 === 0x3fa : key[at + 3] >>> 16 === 0xa9fe;
  return family !== 0 && (isLinkLocal(0) || isLinkLocal(4));
}
