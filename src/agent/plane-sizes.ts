/** How large a node's data plane is made, and how many threads it has. */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { AgentConfig } from "../config/agent.ts";
import { countWorkers } from "../config/workers.ts";
import { conntrackLog2, type PlaneSizes } from "../plane/plane-memory.ts";

/** Frontends and endpoints the plane has room for: memory is taken as services come. */
export const SERVICES_LOG2 = 19;
/** Rules of policies that are counted one by one: all that have a number (spec/policy.ts). */
const POLICY_RULES_LOG2 = 16;
const MAX_PORTS = 1024;
/** All that may wait, for neighbours or for its other fragments, fits the three quarters that are for what waits. */
const POOL_SLOTS = 512;
/** What each worker beyond the first may have in the hands of the kernel while others have their turn: a batch. */
const MORE_SLOTS = 64;

export function workersOf({ workers, proxy, uplink }: AgentConfig): number {
  return countWorkers(workers, { mode: proxy.mode, drivers: [uplink.driver] }, availableParallelism());
}

export function planeSizes(config: AgentConfig): PlaneSizes {
  return {
    conntrackLog2: conntrackLog2(config.conntrackMax),
    maxPorts: MAX_PORTS,
    fdbLog2: 13,
    neighborsLog2: 13,
    stationsLog2: 11,
    frontendsLog2: SERVICES_LOG2,
    endpointsLog2: SERVICES_LOG2,
    policyRulesLog2: POLICY_RULES_LOG2,
    poolSlots: POOL_SLOTS + (workersOf(config) - 1) * MORE_SLOTS,
    seed: randomBytes(4).readInt32LE(0),
  };
}
