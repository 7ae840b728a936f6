/**
 * Tables: everything the stages may see. The engine makes one, the control side changes it between two batches,
 * never inside one. Tables that grow with traffic (fdb, neighbours, conntrack) live here for good; the compiled
 * ones (routes, vteps, address sets) are replaced as a whole, services are patched one service port at a time.
 */

import type { Offload } from "../base/addon.ts";
import { createPin, type MaybePinned } from "../base/maybe-pinned.ts";
import * as ftp from "../wire/transport/ftp.ts";
import type { Counters } from "./counters.ts";
import { Packet } from "./packet/packet.ts";
import type { PortTable, TxQueue } from "./send/tx-queue.ts";
import type { SlotPool } from "./slot-pool.ts";
import type { ConnectionRules } from "./table/connection/connection-rules.ts";
import type { Conntrack } from "./table/connection/conntrack.ts";
import { RECORD_WORDS } from "./table/connection/conntrack-sctp.ts";
import type { SeqAdj } from "./table/connection/conntrack-seqadj.ts";
import { Segment } from "./table/connection/conntrack-tcp-window.ts";
import type { Expectations } from "./table/connection/expectations.ts";
import { SourcePorts } from "./table/connection/source-ports.ts";
import { TUPLE_WORDS } from "./table/connection/tuple.ts";
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

/** How local-traffic detection tells a pod's packet (KubeProxyConfiguration detectLocalMode). */
export const DetectLocal = Object.freeze({ NONE: 0, CIDR: 1, POD_PORT: 2 } as const);

/** Inner frames that one call of `coalesce` may lay out. */
export const DESCRIPTORS = 256;

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

/** A walk over conntrack for connections whose endpoints went. */
export class RemovalWalk {
  seen = 0; //   number of removals when it began
  hand = -1; //  next slot; -1: done
}

export class Tables {
  readonly arena: Uint8Array;
  /** The arena as `offload` wants it. */
  readonly arenaPin: MaybePinned<Uint8Array>;
  readonly config = new NodeConfig();
  readonly counters: Counters;
  readonly ports: PortTable;
  readonly pool: SlotPool;
  readonly tx: TxQueue;
  readonly offload: Offload;
  readonly watchers: Watchers;

  readonly fdb: Fdb;
  readonly fabric: Neighbors; //     on the uplink: ARP and ND
  readonly stations: Neighbors; //   pods and host0: permanent, with their port
  readonly conntrack: Conntrack;
  readonly connectionRules: ConnectionRules;
  readonly services: Services;
  readonly affinity: Affinity;
  readonly policyHits: PolicyHits;
  readonly expectations: Expectations;
  readonly seqadj: SeqAdj;
  readonly pending: PendingConnections; // mode userspace: whose endpoint has not answered yet
  readonly fragments: Fragments;
  readonly icmpRate: TokenBucket;
  policy = new Policy();
  rulesKept = 0; // 1: connections note what policies said of them; from the first policy on
  routes: Routes = new Routes();
  vteps: Vteps = new Vteps(0);
  local = new LocalAddresses([]); //      addresses of the node itself: type LOCAL
  podSources = new PrefixSet(); //      what the local-traffic detector takes for pods
  serviceRanges = new PrefixSet(); //   addresses that only services have; what nobody has of them is dropped
  masqueradeExempt = new PrefixSet(); //destinations that pods reach with their own address
  masqueradeSources = new PrefixSet();
  ownSources = new PrefixSet(); //      addresses that nobody beyond the uplink can have: the node's, its pods'

  /** The packet in the pipeline, one taken out of a tunnel, one that the plane makes itself, and one it held. */
  readonly outer: Packet;
  readonly inner: Packet;
  readonly own: Packet;
  readonly held: Packet;
  /** Scratch keys, so that no stage allocates. */
  readonly keyA = new Int32Array(TUPLE_WORDS);
  readonly keyB = new Int32Array(TUPLE_WORDS);
  /** The tuple of a new connection's answers, from `masquerade`, which found it free, to `enter-connection`. */
  readonly reply = new Int32Array(TUPLE_WORDS);
  readonly segment = new Int32Array(4);
  readonly segmentPin: MaybePinned<Int32Array>;
  readonly ftp = new Int32Array(ftp.RESULT_WORDS);
  readonly ftpText = new Uint8Array(ftp.TEXT_MAX);
  readonly tcpSegment = new Segment();
  /** What an SCTP packet makes of its association; of a first packet until it is entered. */
  readonly sctpRecord = new Int32Array(RECORD_WORDS);
  /** (offset, length) of inner frames, then the input bytes that went into them: `coalesce`'s result. */
  readonly descriptors = new Int32Array(2 * DESCRIPTORS + 1);
  readonly descriptorsPin: MaybePinned<Int32Array>;
  /** Pairs of slots for joined inner frames, in use until the next flush. */
  readonly firstArea: number;
  readonly areas: number;
  areaNext = 0;
  areaFlushes = -1;
  tunnelVtep = -1; // VTEP that sent the packet in `outer`; -1: not asked for
  readonly removalWalk = new RemovalWalk();
  readonly sourcePorts = new SourcePorts();
  nowMs = 0; // engine clock of the batch
  dayMs = 0; // the same as milliseconds since midnight UTC
  ipId = 1; // identification of packets we make ourselves

  constructor(init: TablesInit) {
    this.arena = init.arena;
    this.firstArea = init.firstArea;
    this.areas = init.areas;
    this.counters = init.counters;
    this.ports = init.ports;
    this.pool = init.pool;
    this.tx = init.tx;
    this.watchers = init.tx.watchers;
    this.offload = init.offload;
    this.arenaPin = createPin(init.offload, init.arena);
    this.descriptorsPin = createPin(init.offload, this.descriptors);
    this.segmentPin = createPin(init.offload, this.segment);
    this.fdb = init.fdb;
    this.fabric = init.fabric;
    this.stations = init.stations;
    this.conntrack = init.conntrack;
    this.connectionRules = init.connectionRules;
    this.policyHits = init.policyHits;
    this.services = init.services;
    this.conntrack.load = this.services.schedule.load;
    this.affinity = init.affinity;
    this.expectations = init.expectations;
    this.seqadj = init.seqadj;
    this.pending = init.pending;
    this.fragments = init.fragments;
    this.icmpRate = init.icmpRate;
    this.outer = new Packet(init.arena);
    this.inner = new Packet(init.arena);
    this.own = new Packet(init.arena);
    this.held = new Packet(init.arena);
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
  /** First slot and number of the slot pairs for joined inner frames. */
  firstArea: number;
  areas: number;
  counters: Counters;
  ports: PortTable;
  pool: SlotPool;
  tx: TxQueue;
  offload: Offload;
}
