// The data plane's counters and tables as metrics: read from the memory that the plane writes, nothing is kept here.
import { type Counters, EVENT_NAMES, Event, PortCounter, portCounter } from "../dataplane/counters.ts";
import { DROP_REASONS, DropReason, dropReasonName } from "../dataplane/drop-reason.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import * as fdb from "../dataplane/table/fdb.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import type { Exposition, Sample } from "./exposition.ts";

/** Reasons of packets that kube-proxy's rule would have counted: damaged ones are INVALID, too. */
const INVALID = [
  DropReason.CT_INVALID,
  ...[DropReason.BAD_TCP_CHECKSUM, DropReason.BAD_UDP_CHECKSUM],
  ...[DropReason.BAD_ICMP_CHECKSUM, DropReason.BAD_SCTP_CHECKSUM],
];

export interface PlaneTables {
  readonly counters: Counters;
  readonly conntrack: conntrack.Conntrack;
  readonly fdb: fdb.Fdb;
  readonly fabric: neighbor.Neighbors;
  readonly stations: neighbor.Neighbors;
}

export interface PlanePort {
  readonly id: number;
  readonly name: string;
  readonly kind: string;
  readonly pod: string;
  readonly state: string;
}

export interface PlaneState {
  readonly tables: PlaneTables;
  readonly ports: readonly PlanePort[];
  /** PortId → frames that the kernel dropped before the plane could read them. */
  readonly missed: ReadonlyMap<number, number>;
  /** Exceptions that the plane caught in itself. */
  readonly internalErrors: number;
  /** Service ports that did not fit the tables. */
  readonly refusedServicePorts: number;
  /** Longest time that packets waited for a change of the tables. */
  readonly heldMs: number;
  /** Frames leave into the tunnel together. */
  readonly tunnelBundles: boolean;
  /** TCP superframes enter the tunnel whole. */
  readonly tunnelGso: boolean;
}

const PORT_METRICS: readonly [name: string, column: number, help: string][] = [
  ["receive_packets", PortCounter.RX_PACKETS, "Frames received; a superframe is one."],
  ["receive_bytes", PortCounter.RX_BYTES, "Bytes received, Ethernet header included."],
  ["receive_superframes", PortCounter.RX_GSO, "Frames received that stand for many (GSO)."],
  [
    "receive_drops",
    PortCounter.RX_DROPS,
    "Frames received and then dropped; podwire_dropped_packets has why.",
  ],
  ["transmit_packets", PortCounter.TX_PACKETS, "Frames sent; a superframe is one."],
  ["transmit_bytes", PortCounter.TX_BYTES, "Bytes sent, Ethernet header included."],
  ["transmit_drops", PortCounter.TX_DROPS, "Frames that could not be written to the port."],
  ["transmit_delayed", PortCounter.TX_DELAYED, "Frames that waited, since the pod may receive no more."],
  [
    "receive_pauses",
    PortCounter.RX_PAUSES,
    "Times that a pod was not read for a while: it had sent what it may.",
  ],
];

const DROP_NAMES = Array.from({ length: DROP_REASONS }, (_, code) => dropReasonName(code));

export function writePlaneMetrics(out: Exposition, state: PlaneState): void {
  const { counters } = state.tables;
  out.counter(
    "podwire_dropped_packets_total",
    "Packets dropped by the data plane, by reason.",
    DROP_NAMES.slice(1).map((reason, i) => ({ labels: { reason }, value: counters.drops[i + 1] })),
  );
  out.counter(
    "podwire_events_total",
    "What the data plane did, by event.",
    Object.values(Event).map((i) => ({ labels: { event: EVENT_NAMES[i] }, value: counters.events[i] })),
  );
  writePorts(out, state);
  writeConntrack(out, state.tables);
  writeTables(out, state.tables);
  out
    .counter(
      "podwire_snat_exhausted_packets_total",
      "Packets dropped because no source port was free for masquerading.",
      [{ value: counters.drops[DropReason.SNAT_PORTS_EXHAUSTED] }],
    )
    .counter("podwire_internal_errors_total", "Errors that the data plane caught in itself.", [
      { value: state.internalErrors },
    ])
    .gauge("podwire_refused_service_ports", "Service ports that do not fit the data plane's tables.", [
      { value: state.refusedServicePorts },
    ])
    .gauge("podwire_tunnel_bundles", "1: frames leave into the tunnel together, 0: one by one.", [
      { value: state.tunnelBundles ? 1 : 0 },
    ])
    .gauge(
      "podwire_change_hold_seconds_max",
      "Longest time that packets waited for a change of the tables.",
      [{ value: state.heldMs / 1000 }],
    )
    .gauge(
      "podwire_tunnel_gso",
      "1 while TCP superframes enter the tunnel whole, 0 while podwire cuts them.",
      [{ value: state.tunnelGso ? 1 : 0 }],
    )
    .counter(
      "kubeproxy_iptables_ct_state_invalid_dropped_packets_total",
      "Packets dropped because conntrack found them invalid",
      [{ value: INVALID.reduce((sum, reason) => sum + counters.drops[reason], 0) }],
    );
}

function writePorts(out: Exposition, { tables, ports, missed }: PlaneState): void {
  const live = ports.filter((port) => port.id >= 0);
  const labels = ({ name, pod, kind }: PlanePort) => ({ port: name, pod, kind });
  for (const [name, column, help] of PORT_METRICS) {
    const samples = live.map((port) => ({
      labels: labels(port),
      value: portCounter(tables.counters, port.id, column),
    }));
    out.counter(`podwire_port_${name}_total`, help, samples);
  }
  const lost = live.map((port) => ({ labels: labels(port), value: missed.get(port.id) ?? 0 }));
  out.counter("podwire_port_receive_missed_total", "Frames that the kernel dropped before us.", lost).gauge(
    "podwire_port_up",
    "1: the port is attached, 0: its device cannot be had.",
    ports.map((port) => ({ labels: labels(port), value: port.state === "up" ? 1 : 0 })),
  );
}

function writeConntrack(out: Exposition, { conntrack: t, counters }: PlaneTables): void {
  const failure = (reason: string, value: number): Sample => ({ labels: { reason }, value });
  out
    .gauge("podwire_conntrack_entries", "Connections in the table.", [{ value: conntrack.used(t) }])
    .gauge("podwire_conntrack_entries_limit", "Connections that the table can hold.", [{ value: t.capacity }])
    .counter("podwire_conntrack_insert_failures_total", "Connections that could not be entered.", [
      failure("table_full", conntrack.refusedFull(t)),
      failure("tuple_taken", counters.drops[DropReason.CT_TUPLE_TAKEN]),
    ])
    .counter("podwire_conntrack_early_drops_total", "Unassured connections that made room for new ones.", [
      { value: conntrack.earlyDrops(t) },
    ]);
}

function writeTables(out: Exposition, t: PlaneTables): void {
  out
    .gauge("podwire_fdb_entries", "Stations known to the pod bridge.", [{ value: fdb.used(t.fdb) }])
    .gauge("podwire_neighbor_entries", "Neighbours known, by link.", [
      { labels: { link: "cbr0" }, value: neighbor.used(t.stations) },
      { labels: { link: "uplink" }, value: neighbor.used(t.fabric) },
    ]);
}
