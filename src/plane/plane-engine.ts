/**
 * The engine as every host runs it: the worker, the main thread (libpcap), replay and explain, tests and benchmarks. What
 * is not the host's to choose is chosen here, once; a host that made its own engine had other tables before long.
 */

import type { Io, Offload } from "../base/addon.ts";
import { OWN_COLUMNS } from "../base/columns.ts";
import { resume } from "../dataplane/change/durable.ts";
import type { Durable } from "../dataplane/durable.ts";
import * as engine from "../dataplane/engine.ts";
import type { Share } from "../dataplane/share.ts";
import { ConnectionRules } from "../dataplane/table/connection/connection-rules.ts";
import { PendingConnections } from "../dataplane/table/service/pending-connections.ts";
import { Services } from "../dataplane/table/service/services.ts";
import type { SizedTables } from "../dataplane/tables.ts";
import { allocate, beginClock, open, type PlaneSizes, type SharedTables } from "./plane-memory.ts";

/** Connections whose endpoint has not answered yet, in mode userspace: 2 KiB each, resident only when used. */
const PENDING_LOG2 = 11;

export interface EngineHost {
  readonly io: Io | null;
  readonly offload: Offload;
  /** Where another thread reads along; memory of its own when left out. */
  readonly shared?: SharedTables;
  /** Tests: tables that take the place of those of the usual size. */
  readonly instead?: Partial<SizedTables>;
  /** One of several engines on `shared`; left out: the only one. */
  readonly share?: Share;
}

/** Nobody outside knows the seed: peers choose addresses and ports, and shall not choose where these are found. */
export function createPlaneEngine(sizes: PlaneSizes, host: EngineHost): engine.Engine {
  const { instead = {}, share } = host;
  const columns = share?.columns ?? OWN_COLUMNS;
  const { counters, durable, ...shared } = host.shared ?? open(allocate(sizes), sizes);
  const { conntrack, affinity, expectations, seqadj, ids } = durable;
  if (share !== undefined) ids.slot = columns.int32(ids.slot.length);
  const { frontendsLog2, endpointsLog2 } = sizes;
  const services = instead.services ?? new Services(frontendsLog2, endpointsLog2, ids, columns);
  if (services.ids === ids && (share === undefined || share.index === 0)) resume(durable, services);
  const { capacity } = instead.conntrack ?? conntrack;
  const rules =
    instead.conntrack === undefined ? shared.connectionRules : new ConnectionRules(Math.log2(capacity));
  return new engine.Engine({
    maxPorts: sizes.maxPorts,
    poolSlots: sizes.poolSlots,
    io: host.io,
    offload: host.offload,
    counters,
    tables: {
      ...{ ...shared, conntrack, affinity, expectations, seqadj, services },
      connectionRules: rules,
      pending: instead.pending ?? new PendingConnections(PENDING_LOG2, capacity),
      ...instead,
    },
    ...(share && { share }),
  });
}

/** For a plane of a real node, before its first turn. Returns CLOCK_MONOTONIC, ms, when the engine's clock was 0. */
export function beginLive(plane: engine.Engine, durable: Durable, nowMs: number): number {
  const startedMs = beginClock(durable, nowMs);
  engine.beginSettling(plane, nowMs - startedMs);
  return startedMs;
}
