/** A captured packet as one line of text or one line of JSON. */
import { dissect } from "../dissect/dissect.ts";
import { summary } from "../dissect/summary.ts";
import type { CapturePacket } from "./pcapng.ts";

/**
 * "09:38:24.123456 node1 default/web-1 In  IP 10.244.1.2.41000 > …  [DNAT …]": tcpdump's order, then our
 * comments.
 */
export function packetLine(packet: CapturePacket, interfaceName: string): string {
  const direction = packet.direction === undefined ? "" : packet.direction === "in" ? " In " : " Out";
  const comments = packet.comments === undefined ? "" : `  [${packet.comments.join("; ")}]`;
  return `${formatTime(packet.timestampNs)} ${interfaceName}${direction} ${summaryOf(packet)}${comments}`;
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

export function packetRecord(packet: CapturePacket, interfaceName: string): PacketRecord {
  return {
    time: new Date(Number(packet.timestampNs / 1_000_000n)).toISOString(),
    interface: interfaceName,
    ...(packet.direction !== undefined && { direction: packet.direction }),
    length: packet.originalLength ?? packet.data.length,
    summary: summaryOf(packet),
    comments: packet.comments ?? [],
    ...(packet.packetId !== undefined && { packetId: packet.packetId.toString() }),
  };
}

function summaryOf(packet: CapturePacket): string {
  return summary(dissect(packet.data));
}

/** Local time with microseconds. */
export function formatTime(timestampNs: bigint): string {
  const date = new Date(Number(timestampNs / 1_000_000n));
  const micros = Number((timestampNs / 1000n) % 1_000_000n);
  return `${date.toTimeString().slice(0, 8)}.${String(micros).padStart(6, "0")}`;
}
