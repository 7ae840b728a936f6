/**
 * The main thread's hold on the data plane: makes the shared memory and the workers, sends messages, waits until they
 * are applied. Everything that reads live tables reads `tables`, which lies in the shared memory.
 */
import { SharedColumns } from "../base/columns.ts";
import { arenaBytes } from "../dataplane/engine.ts";
import { packServices } from "../dataplane/spec/packed-services.ts";
import type { Native } from "../native/binding.ts";
import { Crew, type CrewInit } from "./crew/crew.ts";
import { noDescriptor, PlaneThread } from "./crew/plane-thread.ts";
import { concernsAll, type NumberedMessage, type PlaneMessage } from "./messages.ts";
import type { Plane } from "./plane.ts";
import { createPlaneEngine } from "./plane-engine.ts";
import {
  allocate,
  Control,
  controlWords,
  open,
  type PlaneMemory,
  type PlaneSizes,
  type SharedTables,
} from "./plane-memory.ts";
import { splitServices } from "./split-services.ts";

/** Pieces of a change that may be under way: what the worker does not take up does not pile up. */
const WINDOW = 32;

export interface PlaneOptions {
  sizes: PlaneSizes;
  spinUs: number;
  pauseUs: number;
  cpuLatencyUs: number;
  nice: number;
  /** Threads over which ports are spread; left out: one. */
  workers?: number;
  /** Called when a worker ends without having been told to. */
  onExit: (error: Error) => void;
}

export class PlaneHandle implements Plane {
  readonly tables: SharedTables;
  readonly sizes: PlaneSizes;
  readonly #threads: readonly PlaneThread[];
  #seq = 0;

  constructor(native: Native, options: PlaneOptions) {
    const { sizes, spinUs, pauseUs, cpuLatencyUs, nice, workers = 1, onExit } = options;
    this.sizes = sizes;
    const memory = allocate(sizes);
    this.tables = open(memory, sizes);
    const bells = Array.from({ length: workers }, () => native.eventFd());
    if (bells.some((bell) => bell < 0)) throw noDescriptor();
    const crew = workers === 1 ? undefined : gather(native, { memory, sizes, workers, bells });
    this.#threads = bells.map((bell, index) => {
      const own = index === 0 ? memory : { ...memory, control: controlWords(sizes) };
      const init = { memory: own, sizes, bell, spinUs, pauseUs, cpuLatencyUs, nice };
      return new PlaneThread(native, crew === undefined ? init : { ...init, crew: crew(index) }, onExit);
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
    for (const thread of this.#threads) await thread.applied(seq);
  }

  /** One message as it is, without waiting. Returns the message's number. */
  send(body: PlaneMessage): number {
    const seq = ++this.#seq;
    const message: NumberedMessage =
      body.type === "services"
        ? { seq, body: { type: "packed", services: packServices(body.update) } }
        : { seq, body };
    const [keeper, ...others] = this.#threads;
    if (concernsAll(body.type)) for (const thread of others) thread.post(message); // there before it is made
    keeper.post(message);
    keeper.ring();
    return seq;
  }

  /** Exceptions that the plane caught in itself. */
  get errors(): number {
    return this.#sum(Control.ERRORS);
  }

  get refused(): { count: number; id: number } {
    const [count, id] = [Control.REFUSED, Control.REFUSED_ID].map((word) =>
      Atomics.load(this.#threads[0].control, word),
    );
    return { count, id };
  }

  get heldMs(): number {
    return this.#greatest(Control.HELD_US) / 1000;
  }

  /** Measures the hold anew. */
  resetHeld(): void {
    for (const { control } of this.#threads) {
      Atomics.store(control, Control.HELD_US, 0);
      Atomics.store(control, Control.HELD_CPU_US, 0);
    }
  }

  /** The same in processor time. */
  get heldCpuMs(): number {
    return this.#greatest(Control.HELD_CPU_US) / 1000;
  }

  /** True when the device of port `id` failed since it was attached: its namespace is gone, mostly. */
  hasFailed(id: number): boolean {
    return this.#sum(Control.PORTS + id) !== 0;
  }

  forgetFailure(id: number): void {
    for (const { control } of this.#threads) Atomics.store(control, Control.PORTS + id, 0);
  }

  #sum(word: number): number {
    return this.#threads.reduce((sum, { control }) => sum + Atomics.load(control, word), 0);
  }

  #greatest(word: number): number {
    return Math.max(...this.#threads.map(({ control }) => Atomics.load(control, word)));
  }

  async stop(): Promise<void> {
    const ended = this.#threads.map((thread) => thread.ended());
    this.send({ type: "stop" });
    await Promise.all(ended);
  }
}

/** What several workers have in common beside the tables: packet slots, services, and their turns. */
function gather(
  native: Native,
  o: { memory: PlaneMemory; sizes: PlaneSizes; workers: number; bells: readonly number[] },
): (index: number) => CrewInit {
  const { memory: shared, sizes, workers: count, bells } = o;
  const arena = new SharedArrayBuffer(arenaBytes(count, sizes.poolSlots));
  const own = new SharedColumns();
  const turn = { enter: (): void => {}, resume: (): void => {}, leave: (): void => {} };
  // An engine knows which columns there are.
  createPlaneEngine(sizes, {
    ...{ io: null, offload: native, shared: open(shared, sizes) },
    share: { index: 1, count, arena: new Uint8Array(arena), columns: own, turn },
  });
  const memory = Crew.memory();
  return (index) => ({
    ...{ index, count, memory, arena, columns: own.buffers, keeper: shared.control },
    bells: index === 0 ? bells.slice(1) : [],
  });
}
