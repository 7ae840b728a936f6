/**
 * The fast path's look at a transport's checksum, as `parse` and track-connection have it: whatever is not right, or not
 * known to be, is the stages' business.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { TupleWord } from "../table/connection/tuple.ts";
import type { Tables } from "../tables.ts";
import { type FastFrame, L4_AT } from "./fast-frame.ts";

const { TCP, UDP } = Protocol;
const { SRC3, DST3 } = TupleWord;
const L3 = eth.HEADER_LEN;
/** The four bytes of a virtio header that say where a partial checksum begins, and where it stands behind that. */
const TCP_PARTIAL = L4_AT | (tcp.CSUM_OFFSET << 16);
const UDP_PARTIAL = L4_AT | (udp.CSUM_OFFSET << 16);
const CSUM_START_AT = 6;
/** The first two bytes of the virtio header of a TCP superframe. */
const TCP_SUPERFRAME = vnet.NEEDS_CSUM | (vnet.GSO_TCPV4 << 8);
const RIGHT = 0xffff;
const LONG = 512; // bytes that the addon's loop sums faster than the one here

/**
 * Is its transport's checksum right, or nobody's business? Notes which, and whether it is partial. `sum` is that of the
 * bytes `sumAt` … `sumEnd`, -1: there is none.
 */
export function isSound(f: FastFrame, t: Tables, sum: number, sumAt: number, sumEnd: number): boolean {
  f.partial = 0;
  f.verified = 1;
  f.gsoSize = 0;
  const { view, off, lead } = f;
  if (lead >= 0) {
    const virtio = off - lead - vnet.HEADER_LEN;
    const kind = view.getUint16(virtio, true);
    if (kind === vnet.DATA_VALID) return true;
    if (kind === vnet.NEEDS_CSUM) {
      f.partial = 1;
      f.verified = 0;
      return startOf(f, virtio) === (f.proto === TCP ? TCP_PARTIAL : UDP_PARTIAL);
    }
    if (kind === TCP_SUPERFRAME) return isSuperframe(f, virtio);
    if (kind !== 0) return false; // another superframe, or what no device says
  }
  const l3 = off + L3;
  const l4 = off + L4_AT;
  const { end } = f;
  const pseudo = checksum.pseudoSumV4(f.key[SRC3], f.key[DST3], f.proto, end - l4);
  const isSummed = sum >= 0 && sumEnd === end;
  const isWhole = isSummed && sumAt === l3; // the header's own sum is one's complement's zero
  if (isWhole && checksum.fold(sum + pseudo) === RIGHT) return true;
  if (isUnverified(f, t)) return true;
  if (isWhole) return false;
  if (isSummed && sumAt >= l4 && sumAt <= end)
    return checksum.sum(view, l4, sumAt - l4, sum + pseudo) === RIGHT;
  return f.ipLen < LONG && checksum.sum(view, l4, end - l4, pseudo) === RIGHT;
}

/** Of TCP, whose checksum is always partial; one that holds no more than a segment is none (`parse`). */
function isSuperframe(f: FastFrame, virtio: number): boolean {
  f.partial = 1;
  f.verified = 0;
  f.gsoSize = vnet.gsoSize(f.view, virtio);
  if (f.proto !== TCP || f.gsoSize === 0 || startOf(f, virtio) !== TCP_PARTIAL) return false;
  return f.end - f.off - L4_AT - f.l4HeaderLen > f.gsoSize;
}

/** Where the partial checksum begins, from this frame on, and where it stands behind that. */
function startOf({ view, lead }: FastFrame, virtio: number): number {
  return view.getInt32(virtio + CSUM_START_AT, true) - lead;
}

/** What has no checksum, and what nobody verifies: a wrong one is the stages' business. */
function isUnverified(f: FastFrame, t: Tables): boolean {
  if (t.conntrack.header[conntrack.H_CHECKSUM] === 0) f.verified = 0;
  else if (f.inPort === t.config.router.hostPort && f.fromTunnel === 0) f.verified = 0;
  else return f.proto === UDP && udp.checksum(f.view, f.off + L4_AT) === 0;
  return true;
}
