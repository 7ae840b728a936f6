/** What the agent needs of a data plane, wherever it runs: in a worker thread, or on the main thread (pcap driver). */
import type { Port } from "../dataplane/port.ts";
import type { PlaneMessage } from "./messages.ts";
import type { PlaneSizes, SharedTables } from "./plane-memory.ts";

export interface Plane {
  readonly tables: SharedTables;
  readonly sizes: PlaneSizes;
  /** Exceptions that the plane caught in itself. */
  readonly errors: number;
  /** Service ports that did not fit the tables, and the id of one of them. */
  readonly refused: { readonly count: number; readonly id: number };
  /** The longest time since the start that packets waited for a change, ms. */
  readonly heldMs: number;
  /** Sends one change; resolves when the plane works with it. Messages are applied in the order they are sent. */
  apply(body: PlaneMessage): Promise<void>;
  /** True when the device of port `id` failed since it was attached: its namespace is gone, mostly. */
  hasFailed(id: number): boolean;
  forgetFailure(id: number): void;
  stop(): Promise<void>;
}

/** A plane on the caller's own thread can also take devices that are objects, not descriptors. */
export interface InlineDevices {
  attachDevice(id: number, device: Port, mac: { hi: number; lo: number }, mtu: number): void;
  /** Something waits at a device without a descriptor. */
  wake(): void;
}
