/**
 * Tables: everything the stages may see. The engine makes one, the control side changes it between two batches,
 * never inside one. Tables that grow with traffic (fdb, neighbours, conntrack) live here for good; the compiled
 * ones (routes, vteps, address sets) are replaced as a whole, services are patched one service port at a time.
 * Beside them, and apart: the node's `config`, `scratch` memory, `walks`, and the machine: slots, ports, queue. What of
 * all this outlives an agent, durable.ts lists.
 */

import type { Offload } from "../base/addon.ts";
import { createPin, type MaybePinned } from "../base/maybe-pinned.ts";
import type { Counters } from "./counters.ts";
import { type JoinAreas, Scratch } from "./scratch.ts";
import type { PortTable, TxQueue } from "./send/tx-queue.ts";
import type { SlotPool } from "./slot-pool.ts";
import type { ConnectionRules } from "./table/connection/connection-rules.ts";
import type { Conntrack } from "./table/connection/conntrack.ts";
import type { SeqAdj } from "./table/connection/conntrack-seqadj.ts";
import type { Expectations } from "./table/connection/expectations.ts";
import type { Fdb } from "./table/fdb.ts";
import type { Fragments } from "./table/fragments.ts";
import { LocalAddresses } from "./table/local-addresses.ts";
import type { Neighbors } from "./table/neighbor.ts";
import { Policy } from "./table/policy/policy.ts";
import type { PolicyHits } from "./table/policy/policy-hits.ts";
import { PrefixSet } from "./table/prefix-set.ts";
import { Routes } from "./table/routes.ts";
import type { Affinity } from "./table/service/affinity.ts";
import type { PendingConnections } from "./table/service/pending-connections.ts";
import type { Services } from "./table/service/services.ts";
import type { TokenBucket } from "./table/token-bucket.ts";
import { Vteps } from "./table/vteps.ts";
import type { Watchers } from "./trace/watchers.ts";
import { Walks } from "./walks.ts";

/** How local-traffic detection tells a pod's packet (KubeProxyConfiguration detectLocalMode). */
export const DetectLocal = Object.freeze({ NONE: 0, CIDR: 1, POD_PORT: 2 } as const);

/** Scalars of the node. All set at start or by a change of the Node object; 32-bit integers all of them. */
export class NodeConfig {
  gatewayMacHi = 0; //     the router's station on the pod bridge and towards host0
  gatewayMacLo = 0;
  vtepMacHi = 0;
  vtepMacLo = 0;
  hostPort = -1; //        PortIds, -1: none
  uplinkPort = -1;
  nodeAddress = 0; //      IPv4, source of the outer header and of ARP requests
  nodeV60 = 0; //          IPv6, the same; all zero: none
  nodeV61 = 0;
  nodeV62 = 0;
  nodeV63 = 0;
  vxlan = 0; //            1: overlay on
  vni = 1;
  vxlanPort = 8472;
  vxlanSourceCheck = 1; // 1: outer source must be a known VTEP
  detectLocal = 1; //      DetectLocal
  masqueradeEgress = 1; // 1: pod → outside the cluster leaves with the node's address
  dropInvalid = 1; //      kube-proxy's KUBE-FORWARD rule of iptables mode; off with conntrack.tcpBeLiberal
  refusesOutput = 0; //    1: services without endpoints are refused to the node itself, too (nftables mode)
  rangesFirst = 0; //      1: who is outside of source ranges gets to no host port, either (nftables mode)
  ftpHelper = 0; //        1: control connections (port 21) are read for the data connections they announce
  resetRemoved = 0; //     1: TCP clients of endpoints that were removed get a reset
  masqueradeVips = 0; //   what has a ClusterIP as source is masqueraded (ipvs, no detector): 1 of IPv4, 2 of IPv6
  serviceArp = 0; //       1: the fabric is told that service addresses are here (ipvs mode without strictARP)
  loopback = 0; //         1: what the node sends over its own loopback comes by host0 too: localhost node ports
  antiSpoofing = 1; //     pods are held to their own MAC and addresses
  mssClamp = 0; //         1: the MSS in a SYN is lowered to the path's
  userspace = 0; //        1: decide as kube-proxy's own balancer did, for who has no endpoints and about affinity
  retry = 0; //            1: what opens a connection is held, and sent to another endpoint when the first one fails
  policyCloses = 1; //     1: a pod's port is closed until its policies are known
  policyRecheck = 0; //    1: what is known is asked again after policies changed (policy.established: recheck)
  snatMin = 1024; //       SNAT source ports, both ends included …
  snatMax = 65_535;
  snatAvoidMin = 30_000; // … without the node-port range
  snatAvoidMax = 32_767;
}

/** Sets of addresses that the node goes by; compiled from objects, replaced as a whole by the message `node`. */
export class AddressSets {
  local = new LocalAddresses([]); //        the node's own: type LOCAL
  podSources = new PrefixSet(); //        what the local-traffic detector takes for pods
  serviceRanges = new PrefixSet(); //     what only services have; what nobody has of it is dropped
  masqueradeSources = new PrefixSet(); // pods, which leave the cluster under the node's address …
  masqueradeExempt = new PrefixSet(); //  … but not to these destinations
  ownSources = new PrefixSet(); //        what nobody beyond the uplink can have: the node's, its pods'
}

export class Tables {
  readonly config = new NodeConfig(); //      message `node`

  // Tables that packets fill, and who writes them
  readonly fdb: Fdb; //                       learn-source
  readonly fabric: Neighbors; //              on the uplink, ARP and ND: answer-arp, answer-nd, output, timers
  readonly stations: Neighbors; //            pods and host0, permanent, with their port: the message `stations`
  readonly conntrack: Conntrack; //           enter-connection, track-connection, expiry
  readonly connectionRules: ConnectionRules; // what policies said of each: enter-connection, recheck-policy
  rulesKept = 0; //                           1: they are noted, from the first policy on; message `policy`
  readonly policyHits: PolicyHits; //         enforce-policy, recheck-policy, bridge
  readonly affinity: Affinity; //             choose-backend
  readonly expectations: Expectations; //     help-ftp, enter-connection
  readonly seqadj: SeqAdj; //                 help-ftp, enter-connection
  readonly pending: PendingConnections; //    mode userspace, whose endpoint has not answered: hold-connection, redial
  readonly fragments: Fragments; //           reassemble
  readonly icmpRate: TokenBucket; //          send-icmp-error
  // Tables that are compiled from objects, each by the message of its name
  readonly services: Services; //             choose-backend counts in it; also the message `endpoints`
  policy = new Policy();
  routes: Routes = new Routes();
  vteps: Vteps = new Vteps(0);
  readonly addresses = new AddressSets();

  readonly scratch: Scratch;
  readonly walks = new Walks();
  nowMs = 0; //                               engine clock of the batch, and the same as …
  dayMs = 0; //                               … milliseconds since midnight UTC: engine.ts, once a turn

  // The machine
  readonly arena: Uint8Array; //              packet slots: receive, areas, pool
  readonly arenaPin: MaybePinned<Uint8Array>; // as `offload` wants it
  readonly pool: SlotPool; //                 whoever makes or keeps a packet
  readonly ports: PortTable; //               messages `attach` and `detach`
  readonly tx: TxQueue; //                    send/
  readonly offload: Offload; //               the addon's byte loops, or their twins
  readonly counters: Counters; //             anybody
  readonly watchers: Watchers; //             message `watch`; trace/

  constructor(init: TablesInit) {
    this.arena = init.arena;
    this.counters = init.counters;
    this.ports = init.ports;
    this.pool = init.pool;
    this.tx = init.tx;
    this.watchers = init.tx.watchers;
    this.offload = init.offload;
    this.arenaPin = createPin(init.offload, init.arena);
    this.fdb = init.fdb;
    this.fabric = init.fabric;
    this.stations = init.stations;
    this.conntrack = init.conntrack;
    this.connectionRules = init.connectionRules;
    this.policyHits = init.policyHits;
    this.services = init.services;
    this.conntrack.load = this.services.schedule.load;
    this.conntrack.rules = this.connectionRules;
    this.affinity = init.affinity;
    this.expectations = init.expectations;
    this.seqadj = init.seqadj;
    this.pending = init.pending;
    this.fragments = init.fragments;
    this.icmpRate = init.icmpRate;
    this.scratch = new Scratch(init.arena, init.areas, init.offload);
  }
}

/** Tables with a capacity. All are required: one that had a default here was forgotten by a host, and was small there. */
export interface SizedTables {
  fdb: Fdb;
  fabric: Neighbors;
  stations: Neighbors;
  conntrack: Conntrack;
  connectionRules: ConnectionRules;
  policyHits: PolicyHits;
  services: Services;
  affinity: Affinity;
  expectations: Expectations;
  seqadj: SeqAdj;
  pending: PendingConnections;
  fragments: Fragments;
  icmpRate: TokenBucket;
}

export interface TablesInit extends SizedTables {
  arena: Uint8Array;
  areas: JoinAreas;
  counters: Counters;
  ports: PortTable;
  pool: SlotPool;
  tx: TxQueue;
  offload: Offload;
}
