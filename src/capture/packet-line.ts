/** A captured packet as one line of text or one line of JSON. */
import { dissect, dissectCut } from "../dissect/dissect.ts";
import { summary } from "../dissect/summary.ts";
import { LINKTYPE_ETHERNET, toEthernet } from "./link-type.ts";
import type { CaptureDirection, CaptureInterface, CapturePacket } from "./pcapng.ts";

/**
 * "09:38:24.123456 node1 default/web-1 In  IP 10.244.1.2.41000 > …  [DNAT …]": tcpdump's order, then our
 * comments.
 */
export function packetLine(packet: CapturePacket, from: CaptureInterface): string {
  const way = directionOf(packet, from);
  const direction = way === undefined ? "" : way === "in" ? " In " : " Out";
  const comments = packet.comments === undefined ? "" : `  [${packet.comments.join("; ")}]`;
  return `${formatTime(packet.timestampNs)} ${from.name}${direction} ${summaryOf(packet, from)}${comments}`;
}

export interface PacketRecord {
  time: string;
  interface: string;
  direction?: "in" | "out";
  length: number;
  summary: string;
  comments: readonly string[];
  packetId?: string;
}

export function packetRecord(packet: CapturePacket, from: CaptureInterface): PacketRecord {
  const direction = directionOf(packet, from);
  return {
    time: new Date(Number(packet.timestampNs / 1_000_000n)).toISOString(),
    interface: from.name,
    ...(direction !== undefined && { direction }),
    length: packet.originalLength ?? packet.data.length,
    summary: summaryOf(packet, from),
    comments: packet.comments ?? [],
    ...(packet.packetId !== undefined && { packetId: packet.packetId.toString() }),
  };
}

function summaryOf(packet: CapturePacket, { linkType = LINKTYPE_ETHERNET }: CaptureInterface): string {
  const { data, originalLength = data.length } = packet;
  const frame = toEthernet(linkType, data);
  if (frame === undefined) return `not Ethernet, length ${originalLength}`;
  if (originalLength <= data.length || originalLength > LONGEST) return summary(dissect(frame.data));
  return summary(dissectCut(frame.data, frame.data.length + originalLength - data.length));
}

const LONGEST = 65_600;

/** The packet's own word, else that of a cooked header. */
function directionOf(
  { data, direction }: CapturePacket,
  from: CaptureInterface,
): CaptureDirection | undefined {
  if (direction !== undefined) return direction;
  const told = toEthernet(from.linkType ?? LINKTYPE_ETHERNET, data)?.direction;
  return told === "other" ? undefined : told;
}

/** Local time with microseconds. */
export function formatTime(timestampNs: bigint): string {
  const date = new Date(Number(timestampNs / 1_000_000n));
  const micros = Number((timestampNs / 1000n) % 1_000_000n);
  return `${date.toTimeString().slice(0, 8)}.${String(micros).padStart(6, "0")}`;
}
