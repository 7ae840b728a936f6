// Cuts IPv4 frames into fragments as a sender would, and puts fragments together again, without wire/ or dataplane/.
import { viewOf } from "./bytes.ts";
import { wordsMod } from "./frame-checker.ts";

const ETH = 14;
const MF = 0x2000;
const OFFSET = 0x1fff;

function headerLenOf(frame: Uint8Array): number {
  return (frame[ETH] & 15) * 4;
}

/** Writes length and flags of an IPv4 header and its checksum. */
function finish(frame: Uint8Array, flagsFragment: number): void {
  const view = viewOf(frame);
  view.setUint16(ETH + 2, frame.length - ETH);
  view.setUint16(ETH + 6, flagsFragment);
  view.setUint16(ETH + 10, 0);
  view.setUint16(ETH + 10, 65535 - wordsMod(frame.subarray(ETH, ETH + headerLenOf(frame))));
}

/** The part of the datagram from payload byte `from` (a multiple of 8) to `to`. */
export function fragmentOf(datagram: Uint8Array, from: number, to: number, more: boolean): Uint8Array {
  const head = ETH + headerLenOf(datagram);
  const frame = new Uint8Array(head + to - from);
  frame.set(datagram.subarray(0, head));
  frame.set(datagram.subarray(head + from, head + to), head);
  const keep = viewOf(datagram).getUint16(ETH + 6) & 0x4000;
  finish(frame, keep | (more ? MF : 0) | (from >> 3));
  return frame;
}

/** In order, each with at most `payload` bytes (a multiple of 8) behind its IP header. */
export function fragmentsOf(datagram: Uint8Array, payload: number): Uint8Array[] {
  const len = datagram.length - ETH - headerLenOf(datagram);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < len; at += payload) {
    const end = Math.min(len, at + payload);
    pieces.push(fragmentOf(datagram, at, end, end < len));
  }
  return pieces;
}

/** One datagram of fragments in any order; throws when a byte is missing or comes twice. */
export function joinFragments(frames: readonly Uint8Array[]): Uint8Array {
  const parts = frames.map((frame) => {
    const flags = viewOf(frame).getUint16(ETH + 6);
    return { frame, at: (flags & OFFSET) * 8, more: (flags & MF) !== 0 };
  });
  parts.sort((a, b) => a.at - b.at);
  const head = ETH + headerLenOf(parts[0].frame);
  const bytes: number[] = [...parts[0].frame.subarray(0, head)];
  for (const [i, { frame, at, more }] of parts.entries()) {
    if (at !== bytes.length - head)
      throw new Error(`fragment ${i} begins at ${at}, not ${bytes.length - head}`);
    if (more === (i === parts.length - 1)) throw new Error(`fragment ${i} has MF ${more}`);
    const from = ETH + headerLenOf(frame);
    bytes.push(...frame.subarray(from, ETH + viewOf(frame).getUint16(ETH + 2)));
  }
  const datagram = Uint8Array.from(bytes);
  finish(datagram, viewOf(parts[0].frame).getUint16(ETH + 6) & 0x4000);
  return datagram;
}
