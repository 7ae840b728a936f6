/**
 * Clients that wait for an endpoint that is gone (`dataplane.resetRemovedEndpoints`): they may never send again, so
 * `stage/connection/reset-removed.ts` alone would leave them waiting. After a change that took endpoints away, one
 * walk over conntrack, a slice a turn, resets their connections. The sequence number is what the endpoint had sent
 * last; a client that has not received all of that asks back (RFC 5961), and the stage answers.
 */
import { Protocol } from "../../base/protocols.ts";
import { sendReset } from "../pipeline.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as ctTcp from "../table/connection/conntrack-tcp.ts";
import { TcpState } from "../table/connection/ct-states.ts";
import * as identities from "../table/service/identities.ts";
import type { Tables } from "../tables.ts";

const { TCP } = Protocol;

const { LAST_ACK, SYN_RECV } = TcpState;
const SLOTS_MAX = 8192; // of one turn
const RESETS_MAX = 128;

/** Returns how many resets were queued. */
export function resetIdle(t: Tables, nowSec: number, nowMs: number): number {
  const walk = t.walks.removal;
  if (walk.seen !== t.services.removals) {
    walk.seen = t.services.removals;
    walk.hand = 0;
  }
  if (walk.hand < 0) return 0;
  const ct = t.conntrack;
  const end = conntrack.highWater(ct);
  let resets = 0;
  for (let n = 0; n < SLOTS_MAX && walk.hand < end && resets < RESETS_MAX; n++, walk.hand++) {
    const slot = walk.hand;
    if (!waitsForNobody(t, slot) || conntrack.isExpired(ct, slot, nowSec)) continue;
    sendReset(t, slot, nowSec, nowMs);
    ctTcp.close(ct, slot, nowSec);
    resets++;
  }
  if (walk.hand >= end) walk.hand = -1;
  return resets;
}

/** A connection that stands, of an endpoint that is gone. */
function waitsForNobody(t: Tables, slot: number): boolean {
  const ct = t.conntrack;
  const endpoint = ct.endpoint[slot << 4];
  if (ct.status[slot << 4] === 0 || endpoint < 0 || conntrack.protoOf(ct, slot) !== TCP) return false;
  const state = ct.state[slot << 5];
  if (state < SYN_RECV || state > LAST_ACK) return false;
  return !identities.isAlive(t.services.ids, endpoint);
}
