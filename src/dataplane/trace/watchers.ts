/** Who watches packets, and the frame that is being watched: the memory of watch.ts and note.ts. */
import type { BpfProgram } from "../../base/bpf-program.ts";
import { type Columns, OWN_COLUMNS } from "../../base/columns.ts";
import { SLOT_STRIDE } from "../packet/packet.ts";
import type { RecordRing } from "./record-ring.ts";

export const WATCHERS_MAX = 8;

export const Mode = Object.freeze({ OFF: 0, TRACE: 1, CAPTURE: 2 } as const);

export class Watcher {
  mode = 0; //        Mode
  snapLen = 0; //     bytes of a frame to keep
  program: BpfProgram | null = null;
  ring: RecordRing | null = null;
  readonly left: Int32Array; //  one word
  readonly first: Int32Array; // one word
  constructor(columns: Columns) {
    this.left = columns.int32(1);
    this.first = columns.int32(1);
  }
  /** Number of the first packet that it may have chosen. */
  get firstId(): number {
    return this.first[0];
  }
  set firstId(id: number) {
    this.first[0] = id;
  }
  /** Packets still to be traced, -1: no limit. */
  get remaining(): number {
    return this.left[0];
  }
  set remaining(packets: number) {
    this.left[0] = packets;
  }
}

export class Watchers {
  readonly list: Watcher[];
  /** Number of watchers in use: what the pipeline asks. */
  active = 0;
  /** Engine clock of the batch. */
  nowMs = 0;
  /** 1: a frame of the packet in the pipeline was put by until its neighbour answers. */
  waits = 0;
  /** Wall clock of the batch, µs since 1970; the engine writes it while somebody captures. */
  readonly clockUs: Float64Array;
  /** The frame as it came, while the pipeline changes it: bytes and virtio header. */
  readonly before: Uint8Array = new Uint8Array(SLOT_STRIDE);
  beforeLen = 0;
  capturing = 0; // bit per watcher that captures this packet
  arrived = 0; //   1: the frame as it came has been written
  txFrom = 0;
  txFlushes = 0;
  readonly next: Int32Array; // one word
  constructor(columns: Columns = OWN_COLUMNS) {
    this.list = Array.from({ length: WATCHERS_MAX }, () => new Watcher(columns));
    this.clockUs = columns.float64(1);
    this.next = columns.int32(1);
    if (columns.isNew) this.next[0] = 1;
  }
  /** Number of the next packet that is watched. */
  get nextId(): number {
    return this.next[0];
  }
  set nextId(id: number) {
    this.next[0] = id;
  }
}
