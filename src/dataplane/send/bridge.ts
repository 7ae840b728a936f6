/** The pod bridge's forwarding decision (Linux: br_forward, br_flood), shared by stages. */
import * as eth from "../../wire/link/ethernet.ts";
import { Event } from "../counters.ts";
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import type { Packet } from "../packet/packet.ts";
import { PortRole } from "../port.ts";
import * as pool from "../slot-pool.ts";
import * as fdb from "../table/fdb.ts";
import type { Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";
import { enqueue } from "./tx-queue.ts";

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

/** One copy to every pod but the sender. */
export function flood(pkt: Packet, t: Tables): Verdict {
  const copies = floodFrame(t, pkt.inPort, pkt.off, pkt.end - pkt.off, pkt.slot);
  pkt.slot = -1;
  if (copies > 0) return FLOOD;
  const asksNeighbours = pkt.etherType === eth.ETHERTYPE_ARP || (pkt.proto === 58 && pkt.family === 6);
  return asksNeighbours ? CONSUMED : drop(pkt, t, DropReason.NO_OTHER_PORT);
}

/**
 * Queues a frame for every pod but `inPort`'s; all copies share the bytes. Takes `slot`. Returns how many
 * copies.
 */
export function floodFrame(t: Tables, inPort: number, off: number, len: number, slot: number): number {
  const ports = t.ports;
  let copies = 0;
  for (let port = 0; port < ports.count; port++) {
    if (port === inPort || ports.active[port] === 0 || ports.role[port] !== POD) continue;
    enqueue(t.tx, port, off, len, -1);
    copies++;
  }
  if (slot >= 0) {
    if (copies === 0) pool.release(t.pool, slot);
    else t.tx.slots[t.tx.count - 1] = slot; // goes back with the last copy
  }
  t.counters.events[Event.FLOODED]++;
  return copies;
}
