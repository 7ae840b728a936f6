/**
 * Stage `check-options` (Linux: ip_rcv_options): may a router act on the options of this IPv4 header? Those that are
 * malformed are answered with "parameter problem" (RFC 1812 §5.2.4). Bridged packets keep theirs, and what the node's
 * own stack sends it has looked after itself. `output` writes what is to be recorded. Drops: malformed options.
 */
import * as options from "../../../wire/ip/ipv4-options.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { requestParameterProblem } from "../../packet/icmp-request.ts";
import { type Packet, Way } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { NEXT } = Verdict;

export function checkOptions(pkt: Packet, t: Tables): Verdict {
  pkt.stage = StageId.CHECK_OPTIONS;
  if (pkt.bridged === Way.BRIDGED || (t.ports.role[pkt.inPort] === PortRole.HOST && pkt.fromTunnel === 0))
    return NEXT;
  const pointer = options.findProblem(pkt.view, pkt.l3);
  if (pointer === options.NONE) return NEXT;
  requestParameterProblem(pkt, pointer);
  return drop(pkt, t, DropReason.MALFORMED_IPV4);
}
