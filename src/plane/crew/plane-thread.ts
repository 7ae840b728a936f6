/** One worker of a plane as the main thread has it: sends it messages, waits until they are applied, ends it. */
import { setFlagsFromString } from "node:v8";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { PodwireError } from "../../base/errors.ts";
import type { Native } from "../../native/binding.ts";
import type { NumberedMessage } from "../messages.ts";
import { Control } from "../plane-memory.ts";
import { V8_FLAGS } from "../v8-flags.ts";
import type { WorkerInit } from "../worker.ts";

const BELL_TOKEN = 0x7fffffff; // worker.ts: ports use their PortId
/** A worker that does not answer for so long is not alive. */
const APPLY_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 2000;

export class PlaneThread {
  readonly control: Int32Array;
  readonly #native: Native;
  readonly #bell: number;
  readonly #poller: number;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  /** Told or not: whoever waits for it may come later. */
  readonly #exit: Promise<void>;
  #sent = 0;
  #stopping = false;

  /** `onExit`: it ended without having been told to. */
  constructor(native: Native, init: Omit<WorkerInit, "poller" | "messages">, onExit: (error: Error) => void) {
    this.#native = native;
    this.control = new Int32Array(init.memory.control);
    this.#bell = init.bell;
    this.#poller = native.pollerCreate();
    if (this.#poller < 0) throw noDescriptor();
    native.pollerAddEvent(this.#poller, this.#bell, BELL_TOKEN);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.unref();
    const workerData: WorkerInit = { ...init, poller: this.#poller, messages: port2 };
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    this.#worker = new Worker(new URL("../worker.js", import.meta.url), {
      workerData,
      transferList: [port2],
    });
    this.#exit = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.on("error", (error) => onExit(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on("exit", (code) => {
      if (!this.#stopping) onExit(new Error(`data-plane thread ended with code ${code}`));
    });
  }

  post(message: NumberedMessage): void {
    this.#sent = message.seq;
    this.#port.postMessage(message);
  }

  ring(): void {
    this.#native.ring(this.#bell);
  }

  /** Resolves when it works with message `seq`, or with what was sent to it before that. */
  async applied(seq: number): Promise<void> {
    const deadline = performance.now() + APPLY_TIMEOUT_MS;
    const wanted = Math.min(seq, this.#sent);
    for (;;) {
      const applied = Atomics.load(this.control, Control.APPLIED);
      if (applied - wanted >= 0) return;
      if (performance.now() > deadline) {
        throw new PodwireError("the data-plane thread does not answer", { code: "PLANE_STUCK" });
      }
      const wait = Atomics.waitAsync(this.control, Control.APPLIED, applied, 1000);
      if (wait.async) await wait.value;
    }
  }

  /** Resolves when it has ended, as it does once it is told to. */
  async ended(): Promise<void> {
    this.#stopping = true;
    setTimeout(() => void this.#worker.terminate(), STOP_TIMEOUT_MS).unref();
    await this.#exit;
    this.#port.close();
    this.#native.closeFd(this.#bell);
    this.#native.closeFd(this.#poller);
  }
}

export function noDescriptor(): PodwireError {
  return new PodwireError("cannot make an eventfd or a poller: too many open files? raise `ulimit -n`", {
    code: "PLANE_NO_FD",
  });
}
