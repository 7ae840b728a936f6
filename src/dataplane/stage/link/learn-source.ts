/**
 * Stage `learn-source` (Linux: br_fdb_update). Learns source MAC → port for frames of pods. The uplink, host0 and
 * tunnels are not ports of the pod bridge. Reads the Ethernet header, writes the FDB. Drops: a source that is a
 * group address.
 */
import * as eth from "../../../wire/link/ethernet.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import type { Packet } from "../../packet/packet.ts";
import { PortRole } from "../../port.ts";
import * as fdb from "../../table/fdb.ts";
import type { Tables } from "../../tables.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { POD } = PortRole;

export function learnSource(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.LEARN_SOURCE;
  const hi = eth.srcHi(pkt.view, pkt.off);
  if (eth.isMulticast(hi)) return drop(pkt, t, DropReason.MALFORMED_ETHERNET);
  if (pkt.fromTunnel === 0 && t.ports.role[pkt.inPort] === POD) {
    fdb.learn(t.fdb, hi, eth.srcLo(pkt.view, pkt.off), pkt.inPort, nowSec);
  }
  return Verdict.NEXT;
}
