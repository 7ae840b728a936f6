/** The end of packets that were kept: their senders are told, and who traces them. */
import { DropReason } from "../drop-reason.ts";
import { IcmpRequest } from "../packet/icmp-request.ts";
import { makeRefusal, sendRefusal } from "../pipeline.ts";
import * as probe from "../send/neighbor-probe.ts";
import * as pool from "../slot-pool.ts";
import * as neighbor from "../table/neighbor.ts";
import type { Tables } from "../tables.ts";
import { adopt, endedLate } from "../trace/late.ts";
import { ended } from "../trace/note.ts";
import { StageId } from "../trace/stage-id.ts";
import { Verdict } from "../verdict.ts";

/**
 * The end of a packet that was kept, and is in `outer` again as far as it could be read: its sender is told, where
 * somebody `isToTell`, and who traces it.
 */
export function late(
  t: Tables,
  nowSec: number,
  tag: number,
  stage: StageId,
  reason: DropReason,
  isToTell: boolean,
): void {
  const { outer } = t.scratch;
  t.tx.tag = tag; // what its sender hears belongs to it
  adopt(outer, tag);
  if (!isToTell) outer.icmpRequest = IcmpRequest.NONE;
  const isTold = isToTell && makeRefusal(outer, t, t.nowMs);
  if (tag !== 0 && outer.family === 0)
    endedLate(t.watchers, t.counters, tag, stage, Verdict.DROP, reason, -1);
  else if (tag !== 0) {
    const { inPort } = outer; // not where it had come in
    outer.stage = stage;
    outer.dropReason = reason;
    outer.inPort = -1;
    ended(outer, t, Verdict.DROP);
    outer.inPort = inPort;
  }
  if (isTold) sendRefusal(outer, t, nowSec, t.nowMs);
  t.tx.tag = 0;
}

/** The neighbour does not answer: whoever waited is told, as Linux' arp_error_report. */
export function failNeighbor(t: Tables, nowSec: number, slot: number): void {
  for (;;) {
    const len = neighbor.frontLen(t.fabric, slot);
    const waiting = neighbor.dequeue(t.fabric, slot);
    if (waiting < 0) return;
    t.counters.drops[DropReason.NEIGHBOR_FAILED]++;
    const isTold = probe.describeWaiting(t, waiting, len);
    late(t, nowSec, t.pool.tags[waiting], StageId.OUTPUT, DropReason.NEIGHBOR_FAILED, isTold);
    pool.release(t.pool, waiting);
  }
}
