// Joins the captures of several sources into one output: interfaces are numbered anew, packets put in the
// order of their timestamps, counted, and ended by a count, a signal or the last source.
import type { CaptureItem, CapturePacket, InterfaceStatistics } from "../../capture/pcapng.ts";
import { note } from "../context.ts";
import type { CaptureOutput } from "./capture-output.ts";

export interface CaptureSource {
  /** Put before the interfaces' names: the node, or nothing. */
  readonly prefix: string;
  /** Resolves when packets are being captured; `ended` gets the error if the source ended by one. */
  start(receive: (items: CaptureItem[]) => void, ended: (error?: Error) => void): Promise<void>;
  stop(): void;
}

export interface SessionResult {
  packets: number;
  dropped: number;
  /** Sources that ended on their own with an error. */
  errors: Error[];
}

const REORDER_MS = 100; // how much later a packet of one node may arrive than a younger one of another
const FLUSH_MS = 200;

export class CaptureSession {
  readonly #output: CaptureOutput;
  readonly #limit: number;
  readonly #sources: readonly CaptureSource[];
  readonly #interfaceIds = new Map<string, number>(); // "source/id there" → id in the output
  readonly #statistics = new Map<number, InterfaceStatistics>();
  readonly #dropped = new Map<number, number>(); //      by interface, as packets told it
  #held: { packet: CapturePacket; arrivedMs: number }[] = [];
  #packets = 0;
  #running = 0;
  #errors: Error[] = [];
  #finish: (error?: Error) => void = () => {};

  constructor(output: CaptureOutput, sources: readonly CaptureSource[], limit = Number.POSITIVE_INFINITY) {
    this.#output = output;
    this.#sources = sources;
    this.#limit = limit;
  }

  /**
   * Runs until the limit, until `stop`, or until no source is left. `listening` is called when all have
   * started.
   */
  async run(listening: () => void): Promise<SessionResult> {
    let isFinished = false;
    const finished = new Promise<Error | undefined>((resolve) => {
      this.#finish = (error) => {
        isFinished = true;
        resolve(error);
      };
    });
    const timer = setInterval(
      () => this.#guard(() => this.#release(performance.now() - REORDER_MS)),
      FLUSH_MS / 2,
    );
    try {
      for (const [index, source] of this.#sources.entries()) await this.#start(source, index);
      listening();
      if (this.#running === 0 && !isFinished) this.#finish();
      const failure = await finished;
      if (failure !== undefined) throw failure;
      this.#release(Number.POSITIVE_INFINITY);
      for (const statistics of this.#statistics.values()) this.#output.statistics(statistics);
      this.#output.flush();
    } finally {
      clearInterval(timer);
      for (const source of this.#sources) source.stop();
      this.#output.close();
    }
    return { packets: this.#packets, dropped: this.#droppedInAll(), errors: this.#errors };
  }

  stop(): void {
    this.#finish();
  }

  get packets(): number {
    return this.#packets;
  }

  async #start(source: CaptureSource, index: number): Promise<void> {
    this.#running++;
    const receive = (items: CaptureItem[]): void => {
      for (const item of items) this.#guard(() => this.#item(source, index, item));
      if (this.#sources.length === 1) this.#guard(() => this.#release(Number.POSITIVE_INFINITY));
    };
    await source.start(receive, (error) => {
      if (error !== undefined) {
        this.#errors.push(error);
        if (this.#running > 1) note(`podwire capture: ${error.message}`);
      }
      if (--this.#running === 0) this.#finish();
    });
  }

  /** Errors of the output end the session; they arise in callbacks, where nobody could catch them. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#finish(error as Error);
    }
  }

  #item(source: CaptureSource, index: number, item: CaptureItem): void {
    switch (item.type) {
      case "interface": {
        const description = { ...item.interface, name: source.prefix + item.interface.name };
        this.#interfaceIds.set(`${index}/${item.interfaceId}`, this.#output.addInterface(description));
        break;
      }
      case "packet": {
        const interfaceId = this.#idOf(index, item.packet.interfaceId);
        const packet = { ...item.packet, interfaceId };
        const before = this.#dropped.get(interfaceId) ?? 0;
        this.#dropped.set(interfaceId, before + (packet.dropCount ?? 0));
        this.#held.push({ packet, arrivedMs: performance.now() });
        break;
      }
      case "names":
        this.#output.names(item.names);
        break;
      case "statistics": {
        const interfaceId = this.#idOf(index, item.statistics.interfaceId);
        // Counts run on: the last one stands.
        this.#statistics.set(interfaceId, { ...item.statistics, interfaceId });
        break;
      }
      case "section":
        break;
    }
  }

  #idOf(index: number, id: number): number {
    return this.#interfaceIds.get(`${index}/${id}`)!; // the reader has seen to it that it was described
  }

  /** Hands out, in order of time, what arrived before `untilMs`. */
  #release(untilMs: number): void {
    const ripe = this.#held.filter((each) => each.arrivedMs <= untilMs);
    if (ripe.length > 0) {
      this.#held =
        ripe.length === this.#held.length ? [] : this.#held.filter((each) => each.arrivedMs > untilMs);
      ripe.sort((a, b) => (a.packet.timestampNs < b.packet.timestampNs ? -1 : 1));
      for (const { packet } of ripe) {
        if (this.#packets >= this.#limit) break;
        this.#output.packet(packet);
        this.#packets++;
      }
    }
    this.#output.flush();
    if (this.#packets >= this.#limit) this.#finish();
  }

  #droppedInAll(): number {
    let dropped = 0;
    for (const [id, count] of this.#dropped) dropped += this.#statistics.get(id)?.dropped ?? count;
    return dropped;
  }
}
