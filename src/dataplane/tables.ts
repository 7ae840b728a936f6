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
import type { PortTable } from "./send/port-table.ts";
import type { TxQueue } from "./send/tx-queue.ts";
import type { SlotPool } from "./slot-pool.ts";
import { NodeConfig } from "./spec/node-config.ts";
import type { ConnectionRules } from "./table/connection/connection-rules.ts";
import type { Conntrack } from "./table/connection/conntrack.ts";
import type { SeqAdj } from "./table/connection/conntrack-seqadj.ts";
import type { Expectations } from "./table/connection/expectations.ts";
import type { Fdb } from "./table/fdb.ts";
import type { Fragments } from "./table/fragments.ts";
import { LocalAddresses } from "./table/local-addresses.ts";
import { MeshMembers } from "./table/mesh-members.ts";
import type { Neighbors } from "./table/neighbor.ts";
import { Policy } from "./table/policy/policy.ts";
import { PolicyAnswers } from "./table/policy/policy-answers.ts";
import type { PolicyHits } from "./table/policy/policy-hits.ts";
import { PrefixSet } from "./table/prefix-set.ts";
import { Routes } from "./table/routes.ts";
import type { Affinity } from "./table/service/affinity.ts";
import type { PendingConnections } from "./table/service/pending-connections.ts";
import type { Services } from "./table/service/services.ts";
import type { TokenBucket } from "./table/token-bucket.ts";
import { Vteps } from "./table/vteps.ts";
import type { Watchers } from "./trace/watchers.ts";
import type { Walks } from "./walks.ts";

/** Sets of addresses that the node goes by; compiled from objects, replaced as a whole: message `node`, but for one. */
class AddressSets {
  local = new LocalAddresses([]); //        the node's own: type LOCAL
  podSources = new PrefixSet(); //        what the local-traffic detector takes for pods
  serviceRanges = new PrefixSet(); //     what only services have; what nobody has of it is dropped
  masqueradeSources = new PrefixSet(); // pods, which leave the cluster under the node's address …
  masqueradeExempt = new PrefixSet(); //  … but not to these destinations
  ownSources = new PrefixSet(); //        what nobody beyond the uplink can have: the node's, its pods'
  announced = new LocalAddresses([]); //   of load balancers, for which this node answers: the message `announced`
  nodeSources = new PrefixSet(); //       nodes' own, which are masqueraded where clients are kept
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
  readonly policyAnswers = new PolicyAnswers(); // enforce-policy
  readonly affinity: Affinity; //             choose-backend
  readonly expectations: Expectations; //     help-ftp, enter-connection
  readonly seqadj: SeqAdj; //                 help-ftp, enter-connection
  readonly pending: PendingConnections; //    mode userspace, whose endpoint has not answered: hold-connection, redial
  readonly fragments: Fragments; //           reassemble
  readonly icmpRate: TokenBucket; //          send-icmp-error
  // Tables that are compiled from objects, each by the message of its name
  readonly services: Services; //             choose-backend counts in it; also the message `endpoints`
  policy = new Policy();
  meshMembers = new MeshMembers();
  routes: Routes = new Routes();
  vteps: Vteps = new Vteps(0);
  readonly addresses = new AddressSets();

  readonly scratch: Scratch;
  readonly walks: Walks;
  nowMs = 0; //                               engine clock of the batch, and the same as …
  dayMs = 0; //                               … milliseconds since midnight UTC: engine.ts, once a turn
  isSettling = 0; //                          1: routes and pods' ports may be still to come (engine.ts, beginSettling)

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
    this.walks = init.walks;
    this.tx.bundles.walks = this.walks;
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
  walks: Walks;
  counters: Counters;
  ports: PortTable;
  pool: SlotPool;
  tx: TxQueue;
  offload: Offload;
}
