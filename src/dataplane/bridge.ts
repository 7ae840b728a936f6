/** The pod bridge's forwarding decision (Linux: br_forward, br_flood), shared by stages. */
import * as eth from "../wire/ethernet.ts";
import { Event } from "./counters.ts";
import { drop } from "./drop.ts";
import { DropReason } from "./drop-reason.ts";
import type { Packet } from "./packet.ts";
import { PortRole } from "./port.ts";
import * as fdb from "./table/fdb.ts";
import type { Tables } from "./tables.ts";
import { enqueue } from "./tx-queue.ts";
import { Verdict } from "./verdict.ts";

const { FORWARD, FLOOD, CONSUMED } = Verdict;
const { POD } = PortRole;

/** PortId behind which the frame's destination station was last seen, or -1. */
export function portOfStation(pkt: Packet, t: Tables, nowSec: number): number {
  const slot = fdb.find(t.fdb, eth.dstHi(pkt.view, pkt.off), eth.dstLo(pkt.view, pkt.off), nowSec);
  return slot < 0 ? -1 : t.fdb.port[slot];
}

/** Sends a frame on to the station it is addressed to, or to all pods when nobody knows where that is. */
export function bridge(pkt: Packet, t: Tables, nowSec: number): Verdict {
  const port = portOfStation(pkt, t, nowSec);
  if (port < 0) return flood(pkt, t);
  if (port === pkt.inPort) return drop(pkt, t, DropReason.NO_OTHER_PORT);
  if (t.ports.active[port] === 0) return drop(pkt, t, DropReason.TX_PORT_GONE);
  pkt.outPort = port;
  enqueue(t.tx, port, pkt.off, pkt.end - pkt.off, pkt.slot);
  pkt.slot = -1;
  return FORWARD;
}

/** One copy to every pod but the sender; all copies share the bytes. */
export function flood(pkt: Packet, t: Tables): Verdict {
  let copies = 0;
  const ports = t.ports;
  for (let port = 0; port < ports.count; port++) {
    if (port === pkt.inPort || ports.active[port] === 0 || ports.role[port] !== POD) continue;
    enqueue(t.tx, port, pkt.off, pkt.end - pkt.off, -1);
    copies++;
  }
  if (copies > 0 && pkt.slot >= 0) {
    t.tx.slots[t.tx.count - 1] = pkt.slot; // goes back with the last copy
    pkt.slot = -1;
  }
  t.counters.events[Event.FLOODED]++;
  if (copies === 0 && pkt.etherType !== eth.ETHERTYPE_ARP) return drop(pkt, t, DropReason.NO_OTHER_PORT);
  return copies === 0 ? CONSUMED : FLOOD;
}
