/**
 * A capture record of the plane (dataplane/watch.ts) → a packet for the pcapng writer, its story in the comments.
 * What left its sender without a checksum (virtio NEEDS_CSUM) gets one here: in a file there is no device that would.
 */

import type { CapturePacket } from "./pcapng.ts";
import { type PlaneDecision, type PlaneNames, readDecision } from "./plane-record.ts";
import { translations } from "./trace-format.ts";

const W_PACKET = 0;
const W_DIRECTION = 1;
const W_TIME = 4; //       f64, µs since 1970
const W_LENGTH = 6;
const W_KEPT = 7;
const W_VIRTIO = 8; //     flags | gso type << 8
const W_GSO_SIZE = 9;
const W_CSUM_START = 10;
const W_CSUM_OFFSET = 11;
const W_FAMILY = 12 + 9; // the tuple's last word
const W_PORT = 32;
const W_SERVICE = 33;
const RECORD_WORDS = 34;
const NEEDS_CSUM = 1;

export interface CaptureRecord {
  /** PortId at which the frame was seen: the interface in the file. */
  port: number;
  packet: Omit<CapturePacket, "interfaceId">;
}

/** Reads the capture record whose body starts at byte `body` of a ring's memory. The frame is copied. */
export function readCaptureRecord(bytes: Uint8Array, body: number, names: PlaneNames): CaptureRecord {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + body, RECORD_WORDS);
  const time = new Float64Array(bytes.buffer, bytes.byteOffset + body + W_TIME * 4, 1)[0];
  const kept = words[W_KEPT];
  const data = bytes.slice(body + RECORD_WORDS * 4, body + RECORD_WORDS * 4 + kept);
  const isWhole = kept === words[W_LENGTH];
  if ((words[W_VIRTIO] & NEEDS_CSUM) !== 0 && isWhole) {
    completeChecksum(data, words[W_CSUM_START], words[W_CSUM_OFFSET]);
  }
  const isIp = ((words[W_FAMILY] >>> 8) & 0xff) !== 0;
  const decision = readDecision(words, 0, words[W_SERVICE], names, isIp);
  return {
    port: words[W_PORT],
    packet: {
      timestampNs: BigInt(Math.round(time)) * 1000n,
      data,
      originalLength: words[W_LENGTH],
      direction: words[W_DIRECTION] === 0 ? "in" : "out",
      packetId: BigInt(words[W_PACKET]),
      comments: captureComments(decision, words[W_GSO_SIZE]),
    },
  };
}

/** One comment a fact: the verdict with its reason, the translation, the connection, offloads. */
export function captureComments(decision: PlaneDecision, gsoSize = 0): string[] {
  const comments = [verdictText(decision)];
  const changes = translations(decision.from, decision.to);
  const service = decision.service === undefined ? "" : ` (${decision.service})`;
  if (changes.length > 0) comments.push(`${changes.join(", ")}${service}`);
  if (decision.ctState !== undefined && decision.ctState !== "UNTRACKED") {
    comments.push(`conntrack ${decision.ctState}${decision.direction === "reply" ? " reply" : ""}`);
  }
  if (decision.masquerade !== undefined) comments.push(`masquerade: ${decision.masquerade}`);
  if (gsoSize > 0) comments.push(`superframe, segments of ${gsoSize} bytes`);
  return comments;
}

function verdictText(decision: PlaneDecision): string {
  const verdict = decision.verdict.toUpperCase();
  if (decision.dropText !== undefined) return `${verdict}: ${decision.dropText}`;
  return decision.outPort === undefined ? verdict : `${verdict} to ${decision.outPort}`;
}

/** The field holds the sum over the pseudo-header; the rest from `start` to the end is added (virtio 1.2 §5.1.6.2). */
function completeChecksum(data: Uint8Array, start: number, offset: number): void {
  const field = start + offset;
  if (start < 0 || offset < 0 || field + 2 > data.length) return;
  let sum = 0;
  for (let i = start; i + 1 < data.length; i += 2) sum += (data[i] << 8) | data[i + 1];
  if ((data.length - start) % 2 === 1) sum += data[data.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  const value = ~sum & 0xffff || 0xffff; // both forms of zero verify, and UDP needs this one
  data[field] = value >>> 8;
  data[field + 1] = value & 0xff;
}
