/**
 * Stage `clamp-mss` (Linux: xt_TCPMSS, --clamp-mss-to-pmtu, in mangle FORWARD). Lowers the MSS that a forwarded SYN or
 * SYN-ACK offers to what the path takes, of the way on and the way back whichever is narrower. Never raises it, and
 * leaves a SYN without the option alone: its sender gets segments of 536 bytes (RFC 9293 §3.7.1). Never drops.
 */

import { Protocol } from "../../../base/protocols.ts";
import * as checksum from "../../../wire/bytes/checksum.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import type { Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import { RouteKind } from "../../spec/routes.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import * as routes from "../../table/routes.ts";
import type { Tables } from "../../tables.ts";
import { MssDetail } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { TCP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3 } = TupleWord;

const { NEXT } = Verdict;
const { HOST } = PortRole;
const CSUM = 16;

export function clampMss(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.CLAMP_MSS;
  if (pkt.proto !== TCP || (pkt.tcpFlags & (tcp.FLAG_SYN | tcp.FLAG_RST)) !== tcp.FLAG_SYN || pkt.route < 0)
    return NEXT;
  if (t.routes.kind[pkt.route] === RouteKind.LOCAL) return NEXT; // INPUT
  if (t.ports.role[pkt.inPort] === HOST && pkt.fromTunnel === 0) return NEXT; // OUTPUT
  const view = pkt.view;
  const at = tcp.mssOffset(view, pkt.l4);
  if (at < 0) return NEXT;
  const most =
    pathMtu(pkt, t) - tcp.HEADER_LEN_MIN - (pkt.family === 4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN);
  const offered = view.getUint16(at);
  if (most <= 0 || offered <= most) return NEXT;
  view.setUint16(at, most);
  pkt.acted = 1;
  pkt.detail[MssDetail.OFFERED] = offered;
  pkt.detail[MssDetail.CLAMPED] = most;
  // Under a partial checksum the options are still to be summed.
  if (pkt.csumPartial === 0) {
    const isOdd = ((at - pkt.l4) & 1) !== 0;
    checksum.adjust16(view, pkt.l4 + CSUM, isOdd ? swapped(offered) : offered, isOdd ? swapped(most) : most);
  }
  return NEXT;
}

/** The narrower of the way on and the way back. */
function pathMtu(pkt: Packet, t: Tables): number {
  const on = t.routes.mtu[pkt.route];
  const k = pkt.key;
  const r =
    pkt.family === 4
      ? routes.lookup4(t.routes, k[SRC3])
      : routes.lookup6(t.routes, k[SRC0], k[SRC1], k[SRC2], k[SRC3]);
  const back = r < 0 ? on : t.routes.mtu[r];
  return back < on ? back : on;
}

/** A word that begins at an odd byte lies in the sum with its halves exchanged. */
function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
