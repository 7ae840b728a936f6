/**
 * The data plane on the main thread, between turns of the event loop: for uplink drivers that cannot live in a worker
 * (libpcap through cap). Same engine, same messages; slower, since every turn shares the thread with everything else.
 */

import * as serviceChange from "../dataplane/change/services.ts";
import * as engine from "../dataplane/engine.ts";
import type { Polling, Port } from "../dataplane/port.ts";
import { type Native, WAIT_WORDS } from "../native/binding.ts";
import { applyMessage } from "./apply-message.ts";
import type { PlaneMessage } from "./messages.ts";
import type { InlineDevices, Plane } from "./plane.ts";
import { beginLive, createPlaneEngine } from "./plane-engine.ts";
import { allocate, monotonicMs, open, type PlaneSizes, type SharedTables } from "./plane-memory.ts";
import { splitServices } from "./split-services.ts";

/** Pause of an idle plane: descriptors are only looked at when it is over. */
const IDLE_MS = 1;

export class InlinePlane implements Plane, InlineDevices {
  readonly tables: SharedTables;
  readonly sizes: PlaneSizes;
  readonly engine: engine.Engine;
  readonly #native: Native;
  readonly #poller: number;
  readonly #polling: Polling;
  readonly #tokens = new Int32Array(256);
  readonly #clock = new Float64Array(WAIT_WORDS);
  readonly #soft = new Set<number>();
  readonly #failed = new Set<number>();
  readonly #startedMs: number;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #stopped = false;
  errors = 0;
  heldMs = 0;

  constructor(native: Native, sizes: PlaneSizes) {
    this.#native = native;
    this.sizes = sizes;
    this.tables = open(allocate(sizes), sizes);
    this.engine = createPlaneEngine(sizes, { io: native, offload: native, shared: this.tables });
    this.#startedMs = beginLive(this.engine, this.tables.durable, monotonicMs());
    this.#poller = native.pollerCreate();
    this.#polling = {
      add: (fd, id) => native.pollerAdd(this.#poller, fd, id),
      remove: (fd) => native.pollerRemove(this.#poller, fd),
    };
    this.engine.polling = this.#polling;
    this.#schedule(false);
  }

  async apply(body: PlaneMessage): Promise<void> {
    if (body.type !== "services") this.#applyOne(body);
    else {
      for (const piece of splitServices(body.update)) {
        this.#applyOne(piece);
        await new Promise((resolve) => setImmediate(resolve)); // packets' turn
      }
    }
  }

  #applyOne(body: PlaneMessage): void {
    const began = performance.now();
    applyMessage(this.engine, body, this.#polling);
    this.heldMs = Math.max(this.heldMs, performance.now() - began);
  }

  get refused(): { count: number; id: number } {
    const { refused } = this.engine.tables.services;
    const [id = 0] = refused.keys();
    return { count: refused.size, id };
  }

  attachDevice(id: number, device: Port, mac: { hi: number; lo: number }, mtu: number): void {
    engine.attach(this.engine, id, device, mac, mtu);
    this.#soft.add(id);
  }

  wake(): void {
    this.#schedule(true);
  }

  hasFailed(id: number): boolean {
    return this.#failed.has(id);
  }

  forgetFailure(id: number): void {
    this.#failed.delete(id);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#native.closeFd(this.#poller);
    return Promise.resolve();
  }

  #schedule(busy: boolean): void {
    if (this.#stopped || this.#immediate !== undefined) return;
    if (busy) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#immediate = setImmediate(() => this.#turn());
    } else this.#timer ??= setTimeout(() => this.#turn(), IDLE_MS);
  }

  #turn(): void {
    this.#timer = undefined;
    this.#immediate = undefined;
    const plane = this.engine;
    const nowMs = monotonicMs() - this.#startedMs;
    plane.epochMs = Date.now() - nowMs;
    engine.setClock(plane, nowMs);
    const { watchers } = plane.tables;
    if (watchers.active !== 0) watchers.clockUs[0] = Date.now() * 1000;
    let work = 0;
    const ready = this.#native.wait(this.#poller, this.#tokens, 0, 0, this.#clock);
    for (let i = 0; i < ready; i++) work += this.#poll(this.#tokens[i]);
    for (const id of this.#soft) work += this.#poll(id);
    engine.tick(plane);
    if (serviceChange.isUnfinished(plane.tables.services)) serviceChange.goOn(plane.tables.services);
    if (plane.lastError !== "") {
      this.errors++;
      process.stderr.write(`data plane: internal error, please report: ${plane.lastError}\n`);
      plane.lastError = "";
    }
    this.#schedule(work > 0);
  }

  #poll(id: number): number {
    const n = engine.pollPort(this.engine, id);
    if (n >= 0) return n;
    const fd = this.engine.ports.fd[id];
    if (fd >= 0) this.#native.pollerRemove(this.#poller, fd);
    this.engine.ports.active[id] = 0;
    this.#failed.add(id);
    return 0;
  }
}
