/** A captured packet with another tuple: as it was, or will be, on the other side of a translation. */

import { Protocol } from "../../base/protocols.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import { checksumField } from "./captured-checksum.ts";
import { type CapturedPacket, hasPortsOrId } from "./captured-packet.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS } = tuple.TupleWord;

/** The packet as it would be with the addresses, ports or ICMP id of `key`; a checksum that was wrong stays wrong. */
export function withTuple(p: CapturedPacket, key: Int32Array): CapturedPacket {
  const data = p.data.slice();
  const q: CapturedPacket = { ...p, data, view: new DataView(data.buffer), key: p.key.slice() };
  const { view, l3, l4, proto } = q;
  let difference = 0;
  for (let i = 0; i < PORTS; i++) difference += checksum.difference32(p.key[i], key[i]);
  if (p.family === 6) {
    ipv6.setSrc(view, l3, key[SRC0], key[SRC1], key[SRC2], key[SRC3]);
    ipv6.setDst(view, l3, key[DST0], key[DST1], key[DST2], key[DST3]);
  } else {
    view.setInt32(l3 + 12, key[SRC3]);
    view.setInt32(l3 + 16, key[DST3]);
    ipv4.computeChecksum(view, l3);
  }
  q.key.set(key.subarray(SRC0, PORTS));
  if (p.fragment !== undefined && p.fragment.offset > 0) return q;
  const isIcmp = proto === Protocol.ICMP || proto === Protocol.ICMPV6;
  if (isIcmp && proto === Protocol.ICMP) difference = 0; // no pseudo-header
  if (isIcmp && !p.isError && hasPortsOrId(p)) {
    const id = tuple.icmpId(key);
    difference += checksum.difference16(view.getUint16(l4 + 4), id);
    view.setUint16(l4 + 4, id);
    q.key[PORTS] = (id << 16) | (p.key[PORTS] & 0xffff);
  } else if (!isIcmp && hasPortsOrId(p)) {
    difference += checksum.difference32(p.key[PORTS], key[PORTS]);
    view.setInt32(l4, key[PORTS]);
    q.key[PORTS] = key[PORTS];
  }
  if (proto === Protocol.SCTP) sctp.computeChecksum(view, l4, q.end);
  const at = checksumField(q);
  if (at >= 0 && proto === Protocol.UDP) checksum.adjustUdpBy(view, at, difference);
  else if (at >= 0) checksum.adjustBy(view, at, difference);
  return q;
}
