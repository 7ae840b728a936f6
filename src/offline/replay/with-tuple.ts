/** A captured packet with another tuple: as it was, or will be, on the other side of a translation. */
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import { checksumField } from "./captured-checksum.ts";
import { type CapturedPacket, hasPortsOrId } from "./captured-packet.ts";

/** The packet as it would be with the addresses, ports or ICMP id of `key`; a checksum that was wrong stays wrong. */
export function withTuple(p: CapturedPacket, key: Int32Array): CapturedPacket {
  const data = p.data.slice();
  const q: CapturedPacket = { ...p, data, view: new DataView(data.buffer), key: p.key.slice() };
  const { view, l3, l4, proto } = q;
  let difference = 0;
  for (let i = 0; i < 8; i++) difference += checksum.difference32(p.key[i], key[i]);
  if (p.family === 6) {
    ipv6.setSrc(view, l3, key[0], key[1], key[2], key[3]);
    ipv6.setDst(view, l3, key[4], key[5], key[6], key[7]);
  } else {
    view.setInt32(l3 + 12, key[3]);
    view.setInt32(l3 + 16, key[7]);
    ipv4.computeChecksum(view, l3);
  }
  q.key.set(key.subarray(0, 8));
  if (p.fragment !== undefined && p.fragment.offset > 0) return q;
  const isIcmp = proto === ipv4.PROTO_ICMP || proto === ipv4.PROTO_ICMPV6;
  if (isIcmp && proto === ipv4.PROTO_ICMP) difference = 0; // no pseudo-header
  if (isIcmp && !p.isError && hasPortsOrId(p)) {
    const id = key[8] >>> 16;
    difference += checksum.difference16(view.getUint16(l4 + 4), id);
    view.setUint16(l4 + 4, id);
    q.key[8] = (id << 16) | (p.key[8] & 0xffff);
  } else if (!isIcmp && hasPortsOrId(p)) {
    difference += checksum.difference32(p.key[8], key[8]);
    view.setInt32(l4, key[8]);
    q.key[8] = key[8];
  }
  if (proto === ipv4.PROTO_SCTP) sctp.computeChecksum(view, l4, q.end);
  const at = checksumField(q);
  if (at >= 0 && proto === ipv4.PROTO_UDP) checksum.adjustUdpBy(view, at, difference);
  else if (at >= 0) checksum.adjustBy(view, at, difference);
  return q;
}
