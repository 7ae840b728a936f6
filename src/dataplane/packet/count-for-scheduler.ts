/** Which new connections are counted for their endpoint: those of a frontend whose scheduler chooses by such counts. */
import { Protocol } from "../../base/protocols.ts";
import { Scheduler } from "../spec/services.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import * as ctTcp from "../table/connection/conntrack-tcp.ts";
import type { Tables } from "../tables.ts";
import type { Packet } from "./packet.ts";

const { SCTP, TCP } = Protocol;

const { RANDOM } = Scheduler;

/** Counts a connection that was just entered until it ends, as active or not as its state says. */
export function countForScheduler(pkt: Packet, t: Tables, slot: number): void {
  if (pkt.frontend < 0 || pkt.endpoint < 0) return;
  if (t.services.schedule.kind[pkt.frontend] === RANDOM) return;
  conntrack.countIn(t.conntrack, slot, startsActive(pkt.proto, t.conntrack.state[slot << 5]));
}

/** As IPVS: what has no states is active while it lives, SCTP only when it is established. */
function startsActive(proto: number, state: number): boolean {
  return proto === TCP ? ctTcp.isActive(state) : proto !== SCTP;
}
