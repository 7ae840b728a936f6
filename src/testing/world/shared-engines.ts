/** Several engines on the same tables, without threads: each has its turn when it is called. */
import { SharedColumns } from "../../base/columns.ts";
import * as engine from "../../dataplane/engine.ts";
import type { Turn } from "../../dataplane/share.ts";
import { createPlaneEngine, type EngineHost } from "../../plane/plane-engine.ts";
import type { PlaneSizes, SharedTables } from "../../plane/plane-memory.ts";

const NOBODY_WAITS: Turn = { enter: () => {}, resume: () => {}, leave: () => {} };

/** `tables` opens their memory, for each engine as a thread of its own would. */
export function createEngines(
  count: number,
  sizes: PlaneSizes,
  host: Pick<EngineHost, "io" | "offload" | "instead">,
  tables: () => SharedTables,
  turn = NOBODY_WAITS,
): engine.Engine[] {
  const arena = new Uint8Array(new SharedArrayBuffer(engine.arenaBytes(count, sizes.poolSlots)));
  const own = new SharedColumns();
  const engines = Array.from({ length: count }, (_, index) => {
    const columns = index === 0 ? own : new SharedColumns(own.buffers);
    return createPlaneEngine(sizes, {
      ...host,
      shared: tables(),
      share: { index, count, arena, columns, turn },
    });
  });
  return engines;
}

/** As `createEngines`, for tests that change the keeper's configuration and ports where an agent sends messages. */
export function createBoundEngines(...args: Parameters<typeof createEngines>): engine.Engine[] {
  const engines = createEngines(...args);
  const { tables: kept, ports } = engines[0];
  for (const { tables } of engines.slice(1)) {
    Object.assign(tables, { config: kept.config, addresses: kept.addresses });
    Object.assign(tables.ports, ports);
  }
  return engines;
}
