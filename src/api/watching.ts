/**
 * Watchers of the plane: each has a ring in shared memory that this side empties on a timer. A slow reader loses
 * records, visibly; the plane never waits.
 */
import type { BpfInstruction } from "../base/bpf-program.ts";
import { PodwireError } from "../base/errors.ts";
import * as ring from "../dataplane/trace/record-ring.ts";
import { Mode, WATCHERS_MAX } from "../dataplane/trace/watchers.ts";
import type { Plane } from "../plane/plane.ts";

const DRAIN_MS = 10;
const TRACE_RING_LOG2 = 21; //   16,000 stages
const CAPTURE_RING_LOG2 = 26; // 1,000 superframes, 40,000 full segments

export interface WatchRequest {
  mode: "trace" | "capture";
  program: BpfInstruction[] | null;
  /** Packets (trace) or frames (capture) after which the plane stops by itself; -1: none. */
  limit: number;
  snapLen: number;
}

export class Watching {
  readonly #plane: Plane;
  readonly #used = new Set<number>();

  constructor(plane: Plane) {
    this.#plane = plane;
  }

  /** Starts a watcher; `onRecords` is called with the ring whenever there is something in it. */
  async start(request: WatchRequest, onRecords: (r: ring.RecordRing, body: number) => void): Promise<Watch> {
    const index = this.#freeIndex();
    this.#used.add(index);
    const ringLog2 = request.mode === "trace" ? TRACE_RING_LOG2 : CAPTURE_RING_LOG2;
    const memory = new SharedArrayBuffer(ring.RecordRing.bytesFor(ringLog2));
    await this.#plane.apply({
      type: "watch",
      index,
      mode: request.mode === "trace" ? Mode.TRACE : Mode.CAPTURE,
      program: request.program,
      remaining: request.limit,
      snapLen: request.snapLen,
      ring: memory,
      ringLog2,
    });
    return new Watch(new ring.RecordRing(ringLog2, memory), onRecords, async () => {
      await this.#plane.apply({
        type: "watch",
        index,
        mode: Mode.OFF,
        program: null,
        remaining: 0,
        snapLen: 0,
        ring: null,
        ringLog2,
      });
      this.#used.delete(index);
    });
  }

  #freeIndex(): number {
    for (let i = 0; i < WATCHERS_MAX; i++) if (!this.#used.has(i)) return i;
    throw new PodwireError(`${WATCHERS_MAX} captures and traces are running on this node: stop one first`, {
      code: "WATCH_TOO_MANY",
    });
  }
}

class Watch {
  readonly ring: ring.RecordRing;
  readonly #onRecord: (r: ring.RecordRing, body: number) => void;
  readonly #end: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #stopped = false;

  constructor(
    r: ring.RecordRing,
    onRecord: (r: ring.RecordRing, body: number) => void,
    end: () => Promise<void>,
  ) {
    this.ring = r;
    this.#onRecord = onRecord;
    this.#end = end;
    this.#timer = setInterval(() => this.drain(), DRAIN_MS);
  }

  get lost(): number {
    return ring.lost(this.ring);
  }

  drain(): void {
    for (;;) {
      const body = ring.peek(this.ring);
      if (body < 0) return;
      this.#onRecord(this.ring, body);
      ring.consume(this.ring, body);
    }
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#end();
    this.drain(); // only now is the last packet's last stage sure to be there
  }
}
