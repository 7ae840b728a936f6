// What a frame of the arena takes of a link: a superframe its segments with all their headers, as Linux counts it
// (qdisc_pkt_len_init). From the destination's address to the last byte of payload; neither FCS nor preamble.
import * as tcp from "../transport/tcp.ts";
import * as udp from "../transport/udp.ts";
import * as vnet from "./virtio-net.ts";

/** Bytes of the frame of `len` bytes at `off`. Headers that cannot be read count once. */
export function wireOctets(view: DataView, off: number, len: number): number {
  const at = off - vnet.HEADER_LEN;
  const kind = vnet.gsoType(view, at) & ~vnet.GSO_ECN;
  const size = vnet.gsoSize(view, at);
  if (kind === vnet.GSO_NONE || size === 0) return len;
  const l4 = vnet.csumStart(view, at);
  if (l4 + tcp.HEADER_LEN_MIN > len) return len;
  const headers = l4 + (kind === vnet.GSO_UDP_L4 ? udp.HEADER_LEN : tcp.headerLen(view, off + l4));
  if (len <= headers + size) return len;
  const segments = ((len - headers + size - 1) / size) | 0;
  return len + (segments - 1) * headers;
}
