/**
 * Stage `answer-echo` (Linux: icmp_echo): in ipvs mode kube-proxy binds every service address to the node, so the node
 * answers a ping to one. Turns the request into its reply where it lies; the pipeline routes it like any packet of the
 * node's own. Reads nothing but the packet, never drops.
 */
import type { Ipv4Addr } from "../../../base/ids.ts";
import * as checksum from "../../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import { CtState, type Packet } from "../../packet/packet.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3 } = TupleWord;

const TTL = 64;

export function answerEcho(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.ANSWER_ECHO;
  const view = pkt.view;
  const key = pkt.key;
  if (pkt.family === 4) {
    ipv4.setSrcAndChecksum(view, pkt.l3, key[DST3] as Ipv4Addr);
    ipv4.setDstAndChecksum(view, pkt.l3, key[SRC3] as Ipv4Addr);
    ipv4.setTtl(view, pkt.l3, TTL);
    ipv4.computeChecksum(view, pkt.l3);
    icmpv4.setType(view, pkt.l4, icmpv4.TYPE_ECHO_REPLY);
    adjust(pkt, icmpv4.CSUM_OFFSET, icmpv4.TYPE_ECHO_REQUEST, icmpv4.TYPE_ECHO_REPLY);
  } else {
    ipv6.setSrc(view, pkt.l3, key[DST0], key[DST1], key[DST2], key[DST3]);
    ipv6.setDst(view, pkt.l3, key[SRC0], key[SRC1], key[SRC2], key[SRC3]);
    ipv6.setHopLimit(view, pkt.l3, TTL);
    icmpv6.setType(view, pkt.l4, icmpv6.TYPE_ECHO_REPLY);
    adjust(pkt, icmpv6.CSUM_OFFSET, icmpv6.TYPE_ECHO_REQUEST, icmpv6.TYPE_ECHO_REPLY);
  }
  for (let i = 0; i < 4; i++) {
    const word = key[i];
    key[i] = key[DST0 + i];
    key[DST0 + i] = word;
  }
  pkt.ctState = CtState.UNTRACKED;
  pkt.nat = 0;
  pkt.bridged = 0;
  pkt.fromTunnel = 0;
  if (t.config.router.hostPort >= 0) pkt.inPort = t.config.router.hostPort; // the node's own: no hop is counted
  return Verdict.NEXT;
}

/** The type is the first byte of its checksum word; a sum that was wrong stays so. */
function adjust(pkt: Packet, csumOffset: number, from: number, to: number): void {
  checksum.adjust16(pkt.view, pkt.l4 + csumOffset, from << 8, to << 8);
}
