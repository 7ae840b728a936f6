/**
 * The fast path's look at a transport's checksum, as `parse` and track-connection have it: whatever is not right, or not
 * known to be, is the stages' business.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
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
const RIGHT = 0xffff;

/**
 * Is its transport's checksum right, or nobody's business? Notes which, and whether it is partial. `sum` is that of the
 * bytes `sumAt` … `sumEnd`, -1: there is none.
 */
export function isSound(f: FastFrame, t: Tables, sum: number, sumAt: number, sumEnd: number): boolean {
  f.partial = 0;
  f.verified = 1;
  const { view, off } = f;
  if (f.fromTunnel === 0) {
    const kind = view.getUint16(off - vnet.HEADER_LEN, true);
    if (kind === vnet.DATA_VALID) return true;
    if (kind === vnet.NEEDS_CSUM) {
      f.partial = 1;
      f.verified = 0;
      return view.getInt32(off - 4, true) === (f.proto === TCP ? TCP_PARTIAL : UDP_PARTIAL);
    }
    if (kind !== 0) return false; // a superframe, or what no device says
  }
  const l3 = off + L3;
  if (sum >= 0 && sumAt === l3 && sumEnd === f.end) {
    const pseudo = checksum.pseudoSumV4(f.key[SRC3], f.key[DST3], f.proto, f.ipLen - ipv4.HEADER_LEN_MIN);
    if (checksum.fold(sum + pseudo) === RIGHT) return true; // the header's own sum is one's complement's zero
  }
  return isUnverified(f, t);
}

/** What has no checksum, and what nobody verifies: a wrong one is the stages' business. */
function isUnverified(f: FastFrame, t: Tables): boolean {
  if (t.conntrack.header[conntrack.H_CHECKSUM] === 0) f.verified = 0;
  else if (f.inPort === t.config.router.hostPort && f.fromTunnel === 0) f.verified = 0;
  else return f.proto === UDP && udp.checksum(f.view, f.off + L4_AT) === 0;
  return true;
}
