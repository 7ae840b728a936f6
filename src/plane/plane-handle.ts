/**
 * The main thread's hold on the data plane: makes the shared memory and the worker, sends messages, waits until they
 * are applied. Everything that reads live tables reads `tables`, which lies in the shared memory.
 */
import { setFlagsFromString } from "node:v8";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { PodwireError } from "../base/errors.ts";
import type { Native } from "../native/binding.ts";
import type { NumberedMessage, PlaneMessage } from "./messages.ts";
import { packServices } from "./packed-services.ts";
import type { Plane } from "./plane.ts";
import {
  allocate,
  Control,
  open,
  type PlaneMemory,
  type PlaneSizes,
  type SharedTables,
} from "./plane-memory.ts";
import { splitServices } from "./split-services.ts";
import { V8_FLAGS } from "./v8-flags.ts";
import type { WorkerInit } from "./worker.ts";

const BELL_TOKEN = 0x7fffffff; // worker.ts: ports use their PortId
/** A worker that does not answer for so long is not alive. */
const APPLY_TIMEOUT_MS = 10_000;
/** Pieces of a change that may be under way: what the worker does not take up does not pile up. */
const WINDOW = 32;

export interface PlaneOptions {
  sizes: PlaneSizes;
  spinUs: number;
  cpuLatencyUs: number;
  nice: number;
  /** Called when the worker ends without having been told to. */
  onExit: (error: Error) => void;
}

export class PlaneHandle implements Plane {
  readonly tables: SharedTables;
  readonly sizes: PlaneSizes;
  readonly #native: Native;
  readonly #memory: PlaneMemory;
  readonly #control: Int32Array;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #bell: number;
  readonly #poller: number;
  #seq = 0;
  #stopping = false;

  constructor(native: Native, options: PlaneOptions) {
    this.#native = native;
    this.sizes = options.sizes;
    this.#memory = allocate(options.sizes);
    this.tables = open(this.#memory, options.sizes);
    this.#control = new Int32Array(this.#memory.control);
    this.#bell = native.eventFd();
    this.#poller = native.pollerCreate();
    if (this.#bell < 0 || this.#poller < 0) {
      throw new PodwireError("cannot make an eventfd or a poller: too many open files? raise `ulimit -n`", {
        code: "PLANE_NO_FD",
      });
    }
    native.pollerAddEvent(this.#poller, this.#bell, BELL_TOKEN);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.unref();
    const workerData: WorkerInit = {
      memory: this.#memory,
      sizes: options.sizes,
      poller: this.#poller,
      bell: this.#bell,
      messages: port2,
      spinUs: options.spinUs,
      cpuLatencyUs: options.cpuLatencyUs,
      nice: options.nice,
    };
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), { workerData, transferList: [port2] });
    this.#worker.on("error", (error) =>
      options.onExit(error instanceof Error ? error : new Error(String(error))),
    );
    this.#worker.on("exit", (code) => {
      if (!this.#stopping) options.onExit(new Error(`data-plane thread ended with code ${code}`));
    });
  }

  /** Sends one change; resolves when the plane works with it. Messages are applied in the order they are sent. */
  async apply(body: PlaneMessage): Promise<void> {
    if (body.type !== "services") return this.#applied(this.send(body));
    let unseen = 0;
    for (const piece of splitServices(body.update)) {
      const seq = this.send(piece);
      if (++unseen % WINDOW === 0) await this.#applied(seq);
    }
    await this.#applied(this.#seq);
  }

  async #applied(seq: number): Promise<void> {
    const deadline = performance.now() + APPLY_TIMEOUT_MS;
    for (;;) {
      const applied = Atomics.load(this.#control, Control.APPLIED);
      if (applied - seq >= 0) return;
      if (performance.now() > deadline) {
        throw new PodwireError("the data-plane thread does not answer", { code: "PLANE_STUCK" });
      }
      const wait = Atomics.waitAsync(this.#control, Control.APPLIED, applied, 1000);
      if (wait.async) await wait.value;
    }
  }

  /** One message as it is, without waiting. Returns the message's number. */
  send(body: PlaneMessage): number {
    const seq = ++this.#seq;
    const message: NumberedMessage =
      body.type === "services"
        ? { seq, body: { type: "packed", services: packServices(body.update) } }
        : { seq, body };
    this.#port.postMessage(message);
    this.#native.ring(this.#bell);
    return seq;
  }

  /** Exceptions that the plane caught in itself. */
  get errors(): number {
    return Atomics.load(this.#control, Control.ERRORS);
  }

  get refused(): { count: number; id: number } {
    const [count, id] = [Control.REFUSED, Control.REFUSED_ID].map((word) =>
      Atomics.load(this.#control, word),
    );
    return { count, id };
  }

  get heldMs(): number {
    return Atomics.load(this.#control, Control.HELD_US) / 1000;
  }

  /** Measures the hold anew. */
  resetHeld(): void {
    Atomics.store(this.#control, Control.HELD_US, 0);
    Atomics.store(this.#control, Control.HELD_CPU_US, 0);
  }

  /** The same in processor time. */
  get heldCpuMs(): number {
    return Atomics.load(this.#control, Control.HELD_CPU_US) / 1000;
  }

  /** True when the device of port `id` failed since it was attached: its namespace is gone, mostly. */
  hasFailed(id: number): boolean {
    return Atomics.load(this.#control, Control.PORTS + id) !== 0;
  }

  forgetFailure(id: number): void {
    Atomics.store(this.#control, Control.PORTS + id, 0);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.send({ type: "stop" });
    await new Promise<void>((resolve) => {
      this.#worker.once("exit", () => resolve());
      setTimeout(() => void this.#worker.terminate(), 2000).unref();
    });
    this.#port.close();
    this.#native.closeFd(this.#bell);
    this.#native.closeFd(this.#poller);
  }
}
