/**
 * Protocols without states and without ports (nf_conntrack_proto_generic.c): ESP, AH, IP-in-IP and whatever else there
 * is. Any packet begins a connection, which is known by its addresses alone. Nothing is remembered; each packet gives it
 * its time again.
 */
import * as conntrack from "../table/connection/conntrack.ts";
import { type Conntrack, Timeout } from "../table/connection/conntrack.ts";
import { Track } from "../table/connection/ct-states.ts";

const { GENERIC } = Timeout;
const { OK } = Track;

export function begin(t: Conntrack, slot: number, nowSec: number): void {
  conntrack.renew(t, slot, GENERIC, nowSec);
}

export function advance(t: Conntrack, slot: number, nowSec: number): number {
  conntrack.renew(t, slot, GENERIC, nowSec);
  return OK;
}
