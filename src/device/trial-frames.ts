/** How trials of superframes read what came out of a device, and hold it against what should have. */
import { setTimeout as sleep } from "node:timers/promises";
import type { IoKind } from "../base/addon.ts";
import type { Native } from "../native/binding.ts";
import * as plainFrames from "../wire/bytes/plain-frames.ts";

const PATIENCE_MS = 200;
const STEP_MS = 2;
const BUDGET = 1 << 20;

/** Where frames go in or come out, as the addon knows it: a TAP of the trial's own, or a packet socket. */
export interface Way {
  readonly fd: number;
  readonly ioKind: IoKind;
}

/** Slots of an arena that frames are read into, one behind the other. */
export interface ReadSlots {
  readonly arena: Uint8Array;
  readonly first: number;
  readonly offs: Int32Array;
  /** Bytes of one. */
  readonly room: number;
}

/**
 * What comes out until there are `wanted` packets of it, and whatever waits beside them. `onWire` says which packets
 * the frame at `off` is on a wire; none: it is somebody else's.
 */
export async function readPackets(
  native: Pick<Native, "receive">,
  { fd, ioKind }: Way,
  { arena, first, offs, room }: ReadSlots,
  wanted: number,
  onWire: (off: number, len: number) => Uint8Array[],
): Promise<Uint8Array[]> {
  const slots = offs.length;
  const [lens, sums] = [new Int32Array(slots), new Int32Array(slots)];
  const count = slots - first;
  const got: Uint8Array[] = [];
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const n = native.receive(fd, ioKind, arena, offs, lens, first, count, room, BUDGET, sums, -1);
    for (let i = first; i < first + n; i++) got.push(...onWire(offs[i], lens[i]));
    if ((got.length >= wanted && n < count) || performance.now() > end) return got;
    if (n <= 0) await sleep(STEP_MS);
  }
}

/** The packets that the plane makes of the frame at `off`, by way of `room` bytes at `out`. */
export function plainPackets(
  arena: Uint8Array,
  off: number,
  len: number,
  out: number,
  room: number,
): Uint8Array[] {
  const result = new Int32Array(4);
  const view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
  const n = plainFrames.toPlainFrames(arena, view, off, len, out, room, result);
  return Array.from({ length: Math.max(n, 0) }, (_, i) => {
    const from = out + i * result[2];
    return arena.slice(from, Math.min(from + result[2], out + result[1]));
  });
}

/** The first thing that is not as it should be, in words; "": nothing. */
export function difference(wanted: readonly Uint8Array[], got: readonly Uint8Array[]): string {
  if (got.length !== wanted.length) return `${got.length} packets came out, not ${wanted.length}`;
  for (const [i, packet] of wanted.entries()) {
    const other = got[i];
    if (other.length !== packet.length)
      return `packet ${i + 1} has ${other.length} bytes, not ${packet.length}`;
    const at = packet.findIndex((byte, k) => byte !== other[k]);
    if (at >= 0) return `packet ${i + 1} has ${other[at]} at byte ${at}, not ${packet[at]}`;
  }
  return "";
}
