/**
 * Flows of which a datagram waits in the transmit queue, and superframes that were begun: what join.ts remembers until
 * the flush. A row of `heads` is found by a hash of the flow and holds the flow that came last; the other columns belong
 * to entries of the queue.
 */

import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as udp from "../../wire/transport/udp.ts";

const { UDP } = Protocol;

const ROWS = 256; // of a batch of 64 frames, few flows meet in one

export class JoinFlows {
  readonly mask = ROWS - 1;
  /** Entry that a datagram of the flow may be joined to, -1: none. */
  readonly heads = new Int32Array(ROWS).fill(-1);
  /** Flush that a head waits for (TxQueue.flushes): one that has left is none. */
  readonly stamps = new Int32Array(ROWS);
  readonly lasts: Int32Array; //  by entry: the entry that was joined to it last, itself at first
  readonly pieces: Int32Array; // datagrams that leave with it
  readonly totals: Int32Array; // bytes of the superframe so far
  readonly sizes: Int32Array; //  payload bytes of each datagram but the last
  readonly begun: Int32Array; //  entries of more than one datagram
  count = 0; //                   of them

  constructor(capacity: number) {
    this.lasts = new Int32Array(capacity);
    this.pieces = new Int32Array(capacity);
    this.totals = new Int32Array(capacity);
    this.sizes = new Int32Array(capacity);
    this.begun = new Int32Array(capacity);
  }
}

/**
 * Gives the superframes that were begun their headers: lengths, the IPv4 header's checksum, the pseudo-header's sum in
 * the UDP checksum, and what the kernel cuts them by. Returns how many datagrams they hold.
 */
export function finishSuperframes(f: JoinFlows, view: DataView, offs: Int32Array): number {
  let datagrams = 0;
  for (let i = 0; i < f.count; i++) {
    const head = f.begun[i];
    datagrams += f.pieces[head];
    finish(view, offs[head], f.totals[head], f.sizes[head]);
  }
  f.count = 0;
  return datagrams;
}

function finish(view: DataView, off: number, len: number, size: number): void {
  const l3 = off + eth.HEADER_LEN;
  const isV4 = view.getUint8(l3) >>> 4 === 4;
  const l4 = l3 + (isV4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN);
  const udpLen = off + len - l4;
  let pseudo: number;
  if (isV4) {
    ipv4.setTotalLen(view, l3, off + len - l3);
    ipv4.computeChecksum(view, l3);
    pseudo = checksum.pseudoSumV4(ipv4.src(view, l3), ipv4.dst(view, l3), UDP, udpLen);
  } else {
    ipv6.setPayloadLen(view, l3, udpLen);
    pseudo = checksum.pseudoSumV6(view, l3, UDP, udpLen);
  }
  udp.setLength(view, l4, udpLen);
  udp.setChecksum(view, l4, checksum.fold(pseudo));
  const start = l4 - off;
  const headers = start + udp.HEADER_LEN;
  const vh = off - vnet.HEADER_LEN;
  vnet.emit(view, vh, vnet.NEEDS_CSUM, vnet.GSO_UDP_L4, headers, size, start, udp.CSUM_OFFSET);
}
