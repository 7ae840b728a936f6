/** Live tables as plain rows, for `GET /show/…`. Reads shared memory and the control side's own knowledge. */

import { formatIp, formatIpPort, type IpWords } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import type { PolicyCompiler } from "../compile/policy/policy-compiler.ts";
import { EVENT_NAMES, Event, PortCounter, portCounter } from "../dataplane/counters.ts";
import { DROP_REASON_TEXT, DROP_REASONS, dropReasonName } from "../dataplane/drop-reason.ts";
import { RouteKind, type RouteSpec, type VtepSpec } from "../dataplane/spec/routes.ts";
import { FrontendKind, type ServicePortSpec } from "../dataplane/spec/services.ts";
import * as fdb from "../dataplane/table/fdb.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { hostPortOwner } from "../kubeproxy/words/kube-chains.ts";
import { listFdb, listNeighbors } from "../observe/live-tables.ts";
import type { SharedTables } from "../plane/plane-memory.ts";
import { policyRows } from "./show-policies.ts";

export type Row = Record<string, unknown>;

export interface PortInfo {
  id: number;
  name: string;
  kind: "pod" | "host" | "uplink";
  pod: string;
  interface: string;
  mac: string;
  mtu: number;
  state: "up" | "error";
  error: string;
  /** What a pod may receive and send; left out: as much as there is. */
  ingress?: { readonly bitsPerSec: number };
  egress?: { readonly bitsPerSec: number };
}

export interface ShowSources {
  tables: SharedTables;
  ports: () => PortInfo[];
  routes: () => RouteSpec[];
  vteps: () => VtepSpec[];
  services: () => Iterable<ServicePortSpec>;
  policies: () => PolicyCompiler;
  nowMs: () => number;
  /** Packets that the kernel dropped before we could read them, by PortId. */
  missed: () => Map<number, number>;
  /** Do superframes enter the tunnel whole? */
  tunnelGso: () => boolean;
}

export function show(table: string, s: ShowSources): Row[] | null {
  switch (table) {
    case "fdb":
      return showFdb(s);
    case "neighbors":
      return showNeighbors(s);
    case "routes":
      return s.routes().map((r) => routeRow(r, s.vteps()));
    case "services":
      return [...s.services()].flatMap(serviceRows);
    case "policies":
      return policyRows(s.tables, s.policies());
    case "vteps":
      return s.vteps().map(vtepRow);
    case "ports":
      return portRows(s);
    case "counters":
      return showCounters(s);
    case "drops":
      return showDrops(s.tables);
    default:
      return null;
  }
}

function showFdb(s: ShowSources): Row[] {
  const names = new Map(s.ports().map((p) => [p.id, p]));
  const nowSec = Math.floor(s.nowMs() / 1000) + 1;
  return listFdb(s.tables.fdb, nowSec).map((e) => ({
    mac: formatMac(e.macHi, e.macLo),
    port: names.get(e.port)?.name ?? e.port,
    pod: names.get(e.port)?.pod ?? "",
    type: e.isStatic ? "static" : "dynamic",
    ageSec: e.isStatic ? null : fdb.AGE_SEC - (e.expiresAtSec - nowSec),
  }));
}

function showNeighbors(s: ShowSources): Row[] {
  const names = new Map(s.ports().map((p) => [p.id, p]));
  const rows: Row[] = [];
  for (const [table, link] of [
    [s.tables.stations, "cbr0"],
    [s.tables.fabric, "uplink"],
  ] as const) {
    for (const e of listNeighbors(table)) {
      const isKnown = e.state !== neighbor.State.INCOMPLETE && e.state !== neighbor.State.FAILED;
      rows.push({
        address: formatIp(e),
        mac: isKnown ? formatMac(e.macHi, e.macLo) : "",
        state: neighbor.STATE_NAMES[e.state],
        link,
        port: names.get(e.port)?.name ?? "",
        waiting: e.waiting,
      });
    }
  }
  return rows;
}

function vtepRow(v: VtepSpec): Row {
  return { address: formatIp(v), mac: formatMac(v.macHi, v.macLo), keepsClients: v.keepsClients === true };
}

const KIND_NAMES = Object.keys(RouteKind).map((k) => k.toLowerCase());

function routeRow(r: RouteSpec, vteps: VtepSpec[]): Row {
  const via = { w0: r.gw0, w1: r.gw1, w2: r.gw2, w3: r.gw3 };
  const src = { w0: r.src0, w1: r.src1, w2: r.src2, w3: r.src3 };
  return {
    destination: `${formatIp(r)}/${r.prefixLen}`,
    kind: KIND_NAMES[r.kind],
    via:
      r.kind === RouteKind.GATEWAY ? formatIp(via) : r.kind === RouteKind.VTEP ? formatIp(vteps[r.vtep]) : "",
    source: (r.src0 | r.src1 | r.src2 | r.src3) === 0 ? "" : formatIp(src),
    mtu: r.mtu,
  };
}

const FRONTEND_NAMES = [
  "ClusterIP",
  "ExternalIP",
  "LoadBalancer",
  "NodePort",
  "unserved",
  "unserved",
  "HostPort",
];
const ACTION_NAMES = ["dnat", "reject", "drop", "none"];
const PROTOCOL_NAMES: Record<number, string> = { 6: "TCP", 17: "UDP", 132: "SCTP" };

function serviceRows(spec: ServicePortSpec): Row[] {
  return spec.frontends.map((f) => {
    const action = f.byClass[0];
    const set = spec.sets[action.set] ?? [];
    const isAny = (f.w0 | f.w1 | f.w2 | f.w3) === 0;
    return {
      service: ownerOf(spec.name),
      type: FRONTEND_NAMES[f.kind],
      address: isAny ? `*:${f.port}` : isLoopbackRange(f) ? `127.0.0.0/8:${f.port}` : formatIpPort(f, f.port),
      protocol: PROTOCOL_NAMES[spec.protocol] ?? spec.protocol,
      action: ACTION_NAMES[action.action],
      endpoints:
        action.action === 0 ? set.map((i) => formatIpPort(spec.endpoints[i], spec.endpoints[i].port)) : [],
      masquerade:
        f.kind === FrontendKind.HOST_PORT
          ? "own pods,127.0.0.1"
          : ["pod", "node", "outside"].filter((_, i) => f.byClass[i].masquerade).join(","),
    };
  });
}

/** The row that stands for all of 127.0.0.0/8. */
function isLoopbackRange(at: IpWords): boolean {
  return formatIp(at) === "127.0.0.0";
}

/** A service port's name, or the pod of a host port. */
function ownerOf(name: string): string {
  const pod = hostPortOwner(name);
  return pod === undefined ? name : `pod ${pod}`;
}

function portRows(s: ShowSources): Row[] {
  const missed = s.missed();
  return s.ports().map((p) => portRow(p, s.tables, missed.get(p.id) ?? 0));
}

function portRow(p: PortInfo, t: SharedTables, missed: number): Row {
  const c = (column: number): number => portCounter(t.counters, p.id, column);
  return {
    id: p.id,
    name: p.name,
    kind: p.kind,
    pod: p.pod,
    mac: p.mac,
    mtu: p.mtu,
    state: p.state,
    rxPackets: c(PortCounter.RX_PACKETS),
    rxBytes: c(PortCounter.RX_BYTES),
    rxDrops: c(PortCounter.RX_DROPS),
    rxMissed: missed,
    rxSuperframes: c(PortCounter.RX_GSO),
    txPackets: c(PortCounter.TX_PACKETS),
    txBytes: c(PortCounter.TX_BYTES),
    txDrops: c(PortCounter.TX_DROPS),
    ...(p.ingress && { ingressBandwidth: p.ingress.bitsPerSec, txDelayed: c(PortCounter.TX_DELAYED) }),
    ...(p.egress && { egressBandwidth: p.egress.bitsPerSec, rxPauses: c(PortCounter.RX_PAUSES) }),
    ...(p.error === "" ? {} : { error: p.error }),
  };
}

function showCounters({ tables: t, tunnelGso }: ShowSources): Row[] {
  const rows: Row[] = Object.values(Event).map((i) => ({
    counter: EVENT_NAMES[i],
    value: t.counters.events[i],
  }));
  rows.push({ counter: "fdb_entries", value: t.fdb.header[3] });
  rows.push({ counter: "conntrack_full", value: t.conntrack.header[9] });
  rows.push({ counter: "tunnel_gso_on", value: tunnelGso() ? 1 : 0 });
  return rows;
}

function showDrops(t: SharedTables): Row[] {
  const rows: Row[] = [];
  for (let i = 1; i < DROP_REASONS; i++) {
    if (t.counters.drops[i] === 0) continue;
    rows.push({ reason: dropReasonName(i), packets: t.counters.drops[i], description: DROP_REASON_TEXT[i] });
  }
  return rows;
}
