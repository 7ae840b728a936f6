import t from "tap";
import { Counters, countPort, Event, PortCounter } from "../dataplane/counters.ts";
import { DropReason } from "../dataplane/drop-reason.ts";
import { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import { Fdb } from "../dataplane/table/fdb.ts";
import { Neighbors } from "../dataplane/table/neighbor.ts";
import { lintExposition, parseExposition } from "../testing/exposition-checker.ts";
import { Exposition } from "./exposition.ts";
import { type PlanePort, writePlaneMetrics } from "./plane-metrics.ts";

const counters = new Counters(8);
const tables = {
  counters,
  conntrack: new Conntrack(10),
  fdb: new Fdb(4),
  fabric: new Neighbors(4),
  stations: new Neighbors(4),
};
const ports: PlanePort[] = [
  { id: 0, name: "uplink eth0", kind: "uplink", pod: "", state: "up" },
  { id: 2, name: "eth0 default/web-1", kind: "pod", pod: "default/web-1", state: "up" },
  { id: -1, name: "eth0 default/web-2", kind: "pod", pod: "default/web-2", state: "error" },
];

function families() {
  const out = new Exposition();
  const faults = {
    internalErrors: 1,
    refusedServicePorts: 2,
    heldMs: 0.5,
    tunnelBundles: true,
    tunnelGso: true,
  };
  writePlaneMetrics(out, { tables, ports, missed: new Map([[0, 9]]), ...faults });
  return parseExposition(out.toString());
}

t.test("what the plane counted is what is told, by reason, event and port", async (t) => {
  counters.drops[DropReason.CT_INVALID] = 5;
  counters.drops[DropReason.BAD_TCP_CHECKSUM] = 2;
  counters.drops[DropReason.SNAT_PORTS_EXHAUSTED] = 3;
  counters.events[Event.CT_CREATED] = 7;
  countPort(counters, 2, PortCounter.RX_BYTES, 2 ** 53 - 1);
  const all = families();
  const value = (name: string, labels = "") => all.get(name)?.samples.get(`${name}{${labels}}`);
  t.equal(value("podwire_dropped_packets_total", 'reason="CT_INVALID"'), 5);
  t.equal(value("podwire_dropped_packets_total", 'reason="POLICY_DENY"'), 0, "zeros too: a rate needs them");
  t.equal(value("podwire_dropped_packets_total", 'reason="NONE"'), undefined);
  t.equal(all.get("podwire_dropped_packets_total")?.samples.size, Object.keys(DropReason).length - 1);
  t.equal(value("kubeproxy_iptables_ct_state_invalid_dropped_packets_total"), 7, "damaged ones are INVALID");
  t.equal(value("podwire_snat_exhausted_packets_total"), 3);
  t.equal(value("podwire_events_total", 'event="ct_created"'), 7);
  const pod = 'port="eth0 default/web-1",pod="default/web-1",kind="pod"';
  t.equal(value("podwire_port_receive_bytes_total", pod), 2 ** 53 - 1);
  t.equal(value("podwire_port_up", pod), 1);
  t.equal(value("podwire_port_up", pod.replaceAll("web-1", "web-2")), 0);
  t.equal(value("podwire_port_receive_bytes_total", pod.replaceAll("web-1", "web-2")), undefined);
  t.equal(value("podwire_port_receive_missed_total", 'port="uplink eth0",pod="",kind="uplink"'), 9);
  t.equal(value("podwire_conntrack_entries"), 0);
  t.equal(value("podwire_conntrack_entries_limit"), 1024);
  t.equal(value("podwire_conntrack_insert_failures_total", 'reason="table_full"'), 0);
  t.equal(value("podwire_internal_errors_total"), 1);
  t.equal(value("podwire_refused_service_ports"), 2);
  t.equal(value("podwire_change_hold_seconds_max"), 0.0005);
  t.equal(value("podwire_tunnel_gso"), 1);
});

t.test("the text holds to Prometheus' rules", async (t) => {
  t.same(lintExposition(families()), []);
});
