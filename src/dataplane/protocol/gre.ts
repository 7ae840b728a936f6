/**
 * GRE (nf_conntrack_proto_gre.c): flows by their call id, where there is one. Any packet begins one. A flow that was
 * answered is assured and has more time with its next packet; nothing else is remembered.
 */
import * as conntrack from "../table/connection/conntrack.ts";
import { type Conntrack, Status, Timeout } from "../table/connection/conntrack.ts";
import { Track } from "../table/connection/ct-states.ts";

const { ASSURED, SEEN_REPLY } = Status;
const { GRE, GRE_STREAM } = Timeout;
const { OK } = Track;

export function begin(t: Conntrack, slot: number, nowSec: number): void {
  conntrack.renew(t, slot, GRE, nowSec);
}

export function advance(t: Conntrack, slot: number, nowSec: number): number {
  const answered = (t.status[slot << 4] & SEEN_REPLY) !== 0;
  if (answered) t.status[slot << 4] |= ASSURED;
  conntrack.renew(t, slot, answered ? GRE_STREAM : GRE, nowSec);
  return OK;
}
