/** Frames as another node would send them through the tunnel, for packets of which only the inside was captured. */

import type { IpProto, Ipv4Addr, L4Port, Vni } from "../../base/ids.ts";
import { isV4Mapped } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import { RouteKind } from "../../dataplane/spec/routes.ts";
import { TupleWord } from "../../dataplane/table/connection/tuple.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import type { OfflineNode } from "../offline-node.ts";
import { completeChecksums } from "./captured-checksum.ts";
import { type CapturedPacket, readPacket } from "./captured-packet.ts";

const { SRC0, SRC1, SRC2, SRC3 } = TupleWord;

const SOURCE_PORT = 50_000 as L4Port; // any: the far node's hash
const TTL = 64;

/** The packet in a tunnel frame from the node where its source is; undefined when that is behind no tunnel. */
export function tunnelled(node: OfflineNode, inner: CapturedPacket): Uint8Array | undefined {
  const { topology } = node.messages;
  if (topology === undefined || inner.family === 0) return undefined;
  const k = inner.key;
  const route = topology.routes.find((r) => {
    if (r.kind !== RouteKind.VTEP || r.family !== inner.family) return false;
    return hasPrefix(
      r,
      [k[SRC0], k[SRC1], k[SRC2], k[SRC3]],
      r.family === 4 ? r.prefixLen + 96 : r.prefixLen,
    );
  });
  const vtep = topology.vteps[route?.vtep ?? -1];
  const to = topology.own.addresses.find((a) => vtep && isV4Mapped(a) === isV4Mapped(vtep));
  if (vtep === undefined || to === undefined) return undefined;
  const frame = inner.data.slice(0, inner.end);
  const innerView = new DataView(frame.buffer);
  const { vtepMac } = topology.own;
  eth.setDst(innerView, 0, vtepMac.hi, vtepMac.lo);
  eth.setSrc(innerView, 0, vtep.macHi, vtep.macLo);
  const isV4 = isV4Mapped(vtep);
  const ipLen = isV4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN;
  const l4 = eth.HEADER_LEN + ipLen;
  const payload = l4 + udp.HEADER_LEN + vxlan.HEADER_LEN;
  const data = new Uint8Array(payload + frame.length);
  const view = new DataView(data.buffer);
  const udpLen = data.length - l4;
  view.setUint16(12, isV4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6);
  if (isV4) {
    const [src, dst] = [vtep.w3, to.w3] as [Ipv4Addr, Ipv4Addr];
    ipv4.emit(view, eth.HEADER_LEN, 0, ipLen + udpLen, 0, 0, TTL, Protocol.UDP as IpProto, src, dst);
  } else {
    ipv6.emit(view, eth.HEADER_LEN, 0, 0, udpLen, Protocol.UDP as IpProto, TTL);
    ipv6.setSrc(view, eth.HEADER_LEN, vtep.w0, vtep.w1, vtep.w2, vtep.w3);
    ipv6.setDst(view, eth.HEADER_LEN, to.w0, to.w1, to.w2, to.w3);
  }
  const { overlay } = node.messages.config;
  const { vni, port } = overlay.type === "vxlan" ? overlay : { vni: 1, port: 8472 };
  udp.emit(view, l4, SOURCE_PORT, port as L4Port, udpLen);
  vxlan.emit(view, l4 + udp.HEADER_LEN, vni as Vni);
  data.set(frame, payload);
  return data;
}

function hasPrefix(
  r: { w0: number; w1: number; w2: number; w3: number },
  words: readonly number[],
  bits: number,
): boolean {
  return [r.w0, r.w1, r.w2, r.w3].every((word, i) => {
    const here = Math.min(32, Math.max(0, bits - 32 * i));
    const mask = here === 0 ? 0 : -1 << (32 - here);
    return ((word ^ words[i]) & mask) === 0;
  });
}

/** A TCP packet of more than `mtu` bytes as the segments that the device would have made of it; others as they are. */
export function segmentsOf(p: CapturedPacket, mtu: number): CapturedPacket[] {
  if (p.proto !== Protocol.TCP || p.fragment !== undefined || p.end - p.l3 <= mtu) return [p];
  const room = mtu - (p.payload - p.l3);
  const list: CapturedPacket[] = [];
  for (let at = p.payload; at < p.end; at += room) {
    const last = at + room >= p.end;
    const part = p.data.subarray(at, Math.min(at + room, p.end));
    const data = new Uint8Array(p.payload + part.length);
    data.set(p.data.subarray(0, p.payload));
    data.set(part, p.payload);
    const view = new DataView(data.buffer);
    const index = list.length;
    tcp.setSeq(view, p.l4, (p.seq + at - p.payload) | 0);
    if (!last) tcp.setFlags(view, p.l4, p.flags & ~(tcp.FLAG_FIN | tcp.FLAG_PSH));
    if (p.family === 4) {
      ipv4.setTotalLen(view, p.l3, data.length - p.l3);
      ipv4.setId(view, p.l3, (ipv4.id(p.view, p.l3) + index) & 0xffff);
      ipv4.computeChecksum(view, p.l3);
    } else ipv6.setPayloadLen(view, p.l3, data.length - p.l3 - ipv6.HEADER_LEN);
    // As if cut: the checksum is computed anew.
    const segment = readPacket(data.subarray(0, p.payload), data.length, 0);
    segment.data.set(data);
    completeChecksums(segment);
    list.push(segment);
  }
  return list;
}
