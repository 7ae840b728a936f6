/** Reads a TCP header and the options that conntrack cares about; only for segments off the fast way. */
import * as tcp from "../../wire/transport/tcp.ts";
import type { Segment } from "../table/connection/conntrack-tcp-window.ts";
import type { Packet } from "./packet.ts";

/** Reads `pkt` into `seg`. A malformed option ends the walk: what stands before it counts, as in Linux. */
export function readSegment(pkt: Packet, seg: Segment): void {
  const view = pkt.view;
  const off = pkt.l4;
  const headerLen = tcp.headerLen(view, off);
  const flags = pkt.tcpFlags;
  seg.flags = flags;
  seg.seq = tcp.seq(view, off);
  seg.ack = tcp.ack(view, off);
  seg.sack = seg.ack;
  seg.win = tcp.window(view, off);
  seg.end =
    (seg.seq + pkt.end - off - headerLen + ((flags & tcp.FLAG_SYN) >>> 1) + (flags & tcp.FLAG_FIN)) | 0;
  seg.options = headerLen - tcp.HEADER_LEN_MIN;
  seg.wscale = -1;
  seg.sackPermitted = 0;
  if (seg.options === 0 || tcp.hasTimestampsOnly(view, off)) return;
  const end = off + headerLen;
  let at = off + tcp.HEADER_LEN_MIN;
  let sackSeen = false;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === tcp.OPTION_END) return;
    if (kind === tcp.OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const len = view.getUint8(at + 1);
    if (len < 2 || at + len > end) return;
    if (kind === tcp.OPTION_WSCALE && len === 3) seg.wscale = view.getUint8(at + 2);
    else if (kind === tcp.OPTION_SACK_PERMITTED && len === 2) seg.sackPermitted = 1;
    else if (kind === tcp.OPTION_SACK && !sackSeen && len >= 10 && ((len - 2) & 7) === 0) {
      sackSeen = true;
      readSack(view, at, len, seg);
    }
    at += len;
  }
}

/** The highest right edge. */
function readSack(view: DataView, at: number, len: number, seg: Segment): void {
  for (let i = 6; i < len; i += 8) {
    const edge = view.getInt32(at + i);
    if (((edge - seg.sack) | 0) > 0) seg.sack = edge;
  }
}
