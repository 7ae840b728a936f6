/** Ports of the plane as every frame asks for them, and which pods are behind them. */
import type { Port } from "../port.ts";
import { OPEN } from "../table/policy/policy.ts";
import type { Shaper } from "./shaper.ts";

const V4_MAPPED = 0xffff;
/** A word of all ones: no pod has such an address, of either family. */
export const NO_OWNER = -1;

/** Every port of the plane, by PortId. Columns, because each frame asks for them. */
export class PortTable {
  readonly fd: Int32Array; //      -1: the device transmits itself
  readonly ioKind: Int32Array;
  readonly role: Uint8Array; //    PortRole
  readonly active: Uint8Array; //  1: may be sent to
  readonly macHi: Uint16Array; //  station behind the port (pod, host) or our own address on it (uplink)
  readonly macLo: Int32Array;
  readonly mtu: Int32Array;
  readonly joins: Uint8Array; //   1: UDP datagrams for the pod behind it may leave as superframes (join.ts)
  readonly owner4: Int32Array; //  IPv4 address of the pod behind it, NO_OWNER: none known
  readonly owner6: Int32Array; //  IPv6 address of it, four words a port
  readonly subject: Int32Array; // of the policies that its pod is subject to, CLOSED or OPEN (table/policy)
  readonly changes: Int32Array; // how often a device has come to this place, or gone
  readonly devices: (Port | null)[];
  readonly shapers: (Shaper | null)[]; //       what may be sent to it, null: as much as there is
  readonly meters: (Float64Array | null)[]; //  what it may send (table/byte-bucket.ts), null: as much as it likes
  readonly paused: Uint8Array; //               1: it is not read until it may send again
  pausedCount = 0;
  /** How many ports have a shaper. */
  shapedCount = 0;
  /** 1: frames wait for tokens. */
  waits = 0;
  /** Highest PortId in use + 1. */
  count = 0;
  /** Takes superframes in VXLAN for the uplink (device/tunnel-tap.ts), -1: nobody does. */
  tunnelFd = -1;
  constructor(max: number) {
    this.fd = new Int32Array(max).fill(-1);
    this.ioKind = new Int32Array(max);
    this.role = new Uint8Array(max);
    this.active = new Uint8Array(max);
    this.macHi = new Uint16Array(max);
    this.macLo = new Int32Array(max);
    this.mtu = new Int32Array(max);
    this.joins = new Uint8Array(max);
    this.owner4 = new Int32Array(max).fill(NO_OWNER);
    this.owner6 = new Int32Array(4 * max).fill(NO_OWNER);
    this.subject = new Int32Array(max).fill(OPEN);
    this.changes = new Int32Array(max);
    this.devices = new Array<Port | null>(max).fill(null);
    this.shapers = new Array<Shaper | null>(max).fill(null);
    this.meters = new Array<Float64Array | null>(max).fill(null);
    this.paused = new Uint8Array(max);
  }
}

/**
 * The pod behind `port` has this address. Of several in one family the first is kept here; `stations` knows all.
 */
export function addOwner(t: PortTable, port: number, w0: number, w1: number, w2: number, w3: number): void {
  if (w0 === 0 && w1 === 0 && w2 === V4_MAPPED) {
    if (t.owner4[port] === NO_OWNER) t.owner4[port] = w3;
  } else if (t.owner6[4 * port] === NO_OWNER) setOwner6(t, port, w0, w1, w2, w3);
}

/** It has the address no longer. */
export function removeOwner(
  t: PortTable,
  port: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  const at = 4 * port;
  const o = t.owner6;
  if (w0 === 0 && w1 === 0 && w2 === V4_MAPPED) {
    if (t.owner4[port] === w3) t.owner4[port] = NO_OWNER;
  } else if (o[at] === w0 && o[at + 1] === w1 && o[at + 2] === w2 && o[at + 3] === w3) clearOwner6(t, port);
}

/** Nobody is known behind `port`. */
export function clearOwners(t: PortTable, port: number): void {
  t.owner4[port] = NO_OWNER;
  clearOwner6(t, port);
}

function clearOwner6(t: PortTable, port: number): void {
  setOwner6(t, port, NO_OWNER, NO_OWNER, NO_OWNER, NO_OWNER);
}

function setOwner6(t: PortTable, port: number, w0: number, w1: number, w2: number, w3: number): void {
  const at = 4 * port;
  t.owner6[at] = w0;
  t.owner6[at + 1] = w1;
  t.owner6[at + 2] = w2;
  t.owner6[at + 3] = w3;
}
