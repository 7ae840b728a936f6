/** Which frames into the tunnel become a bundle (bundles.ts). */
import type { Packet } from "../packet/packet.ts";
import type { Tables } from "../tables.ts";
import * as bundles from "./bundles.ts";
import { outerTos, sourcePort } from "./outer-header.ts";
import * as tx from "./tx-queue.ts";

/**
 * Joins the frame of `pkt`, finished behind its VXLAN header, to those that leave before it from the same outer port.
 * `start`: where its outer headers, `outer` bytes of them, would begin; `len` counts from there. False: it is to leave by
 * itself.
 */
export function joinBundle(
  t: Tables,
  pkt: Packet,
  start: number,
  len: number,
  slot: number,
  v: number,
  outer: number,
): boolean {
  const b = t.tx.bundles;
  const port = sourcePort(t, pkt);
  const place = bundles.placeOf(port, v);
  if (!bundles.mayJoin(b, place, v, port, outerTos(pkt), len - outer)) return false;
  if (t.tx.count === t.tx.capacity) return false;
  const at = tx.enqueuePiece(t.tx, b.last[place], start, len, slot, outer);
  bundles.joined(b, place, len - outer, at);
  return true;
}

/** The frame at `start` has been sent: if it waits for the flush, others may join it. */
export function openBundle(
  t: Tables,
  pkt: Packet,
  start: number,
  len: number,
  v: number,
  outer: number,
): void {
  const q = t.tx;
  const at = q.count - 1;
  if (at < 0 || q.offs[at] !== start) return; // it waits for its neighbour
  const b = q.bundles;
  const port = sourcePort(t, pkt);
  const place = bundles.placeOf(port, v);
  bundles.begin(b, place, q.view, q.offs, q.counters);
  b.turn[place] = b.now;
  b.vtep[place] = v;
  b.port[place] = port;
  b.tos[place] = outerTos(pkt);
  b.stride[place] = len - outer;
  b.bytes[place] = len - outer;
  b.first[place] = at;
  b.last[place] = at;
  b.outer[place] = outer;
}

/** A superframe of the flow goes into the tunnel: nothing after it may leave before it. */
export function endBundle(t: Tables, pkt: Packet, v: number): void {
  bundles.end(t.tx.bundles, bundles.placeOf(sourcePort(t, pkt), v));
}
