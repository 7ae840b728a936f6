/**
 * Counters of the plane: drops by reason, packets and bytes by port, events by kind. Written by the worker only,
 * read by the main thread through the same memory. Float64: exact up to 2⁵³, no BigInt at the JSON border.
 */
import { DROP_REASONS } from "./drop-reason.ts";

/** Columns of one port. */
export const PortCounter = Object.freeze({
  RX_PACKETS: 0,
  RX_BYTES: 1,
  TX_PACKETS: 2,
  TX_BYTES: 3,
  RX_DROPS: 4, //  dropped by the pipeline after this port received it
  TX_DROPS: 5, //  could not be written to this port
  RX_MISSED: 6, // dropped by the kernel before we could read it
  RX_GSO: 7, //    superframes among RX_PACKETS
  RX_PAUSES: 8, // how often the port was not read for a while, because it had sent as much as it may
  TX_DELAYED: 9, // frames that waited before they were written, because the port may get no more
} as const);
const PORT_COLUMNS = 10;

/** Events that are no drops. Append-only. */
export const Event = Object.freeze({
  POLLS: 0,
  RX_BATCHES: 1,
  CT_CREATED: 2,
  CT_EXPIRED: 3,
  CT_EARLY_DROP: 4,
  CT_REDECIDED: 5,
  SNAT_PORT_REMAPPED: 6,
  ARP_REPLIES: 7,
  ARP_REQUESTS: 8,
  ICMP_ERRORS: 9,
  ICMP_RATE_LIMITED: 10,
  FLOODED: 11,
  REASSEMBLED: 12,
  FRAGMENTED: 13,
  VXLAN_ENCAP: 14,
  VXLAN_DECAP: 15,
  GSO_SEGMENTS_OUT: 16,
  GSO_SEGMENTS_IN: 17,
  TRACE_LOST: 18,
  CAPTURE_LOST: 19,
  COMMITS: 20,
  NEIGHBOR_QUEUED: 21,
  CSUM_COMPLETED: 22,
  ND_REPLIES: 23,
  ND_SOLICITATIONS: 24,
  CT_EXPECTED: 25,
  CONNECTION_RETRIED: 26,
  RETRY_NOT_HELD: 27,
  TCP_RESETS: 28,
  UDP_JOINED: 29, //      datagrams that were to enter a pod in …
  UDP_SUPERFRAMES: 30, // … superframes that the plane made of them
  TUNNEL_BUNDLES: 31, // superframes of frames into the tunnel (send/bundles.ts) …
  TUNNEL_BUNDLED: 32, // … and how many left in them
  FAST_PATH: 33, // packets that took the short way of the known and plain (fast/)
  WAKEUPS: 34, //         the plane slept until packets came
  POLL_HITS: 35, //       it was polling when packets came
  CORE_TAKEN: 36, //      tenths of a second in which another program had its core for long while it polled
  TUNNEL_GSO: 37,
  TUNNEL_GSO_LOST: 38, // the device that takes such superframes is gone, or down
  NEIGHBOR_ANNOUNCED: 39, // addresses told to who was attached, load balancers' to the fabric (send/announce.ts)
  PAUSES: 40, //             the plane slept, so that who is sent to could read
  SNAT_PORTLESS: 41, // masqueraded connections of protocols without ports: whose answers are ours, the agent looks up
  MESH_OUTBOUND: 42, //  connections that the mesh's proxy was given: of pods here to a service …
  MESH_INBOUND: 43, //   … of others to pods here, …
  MESH_DELIVERED: 44, // … those that it opened to pods here in their clients' names …
  MESH_BYPASSED: 45, //  … and those that went without it, for it was not ready
} as const);
const EVENT_COLUMNS = 64;
export const EVENT_NAMES: readonly string[] = Object.keys(Event).map((k) => k.toLowerCase());

export class Counters {
  readonly memory: ArrayBufferLike;
  readonly drops: Float64Array;
  readonly events: Float64Array;
  readonly ports: Float64Array;
  constructor(maxPorts: number, memory: ArrayBufferLike = new ArrayBuffer(Counters.bytesFor(maxPorts))) {
    this.memory = memory;
    this.drops = new Float64Array(memory, 0, DROP_REASONS);
    this.events = new Float64Array(memory, DROP_REASONS * 8, EVENT_COLUMNS);
    this.ports = new Float64Array(memory, (DROP_REASONS + EVENT_COLUMNS) * 8, maxPorts * PORT_COLUMNS);
  }
  static bytesFor(maxPorts: number): number {
    return (DROP_REASONS + EVENT_COLUMNS + maxPorts * PORT_COLUMNS) * 8;
  }
}

export function countPort(c: Counters, port: number, column: number, n: number): void {
  c.ports[port * PORT_COLUMNS + column] += n;
}

/** A new port under an old number begins at zero. */
export function clearPort(c: Counters, port: number): void {
  for (let i = 0; i < PORT_COLUMNS; i++) c.ports[port * PORT_COLUMNS + i] = 0;
}

/** One port's counter, for `show` and metrics. */
export function portCounter(c: Counters, port: number, column: number): number {
  return c.ports[port * PORT_COLUMNS + column];
}
