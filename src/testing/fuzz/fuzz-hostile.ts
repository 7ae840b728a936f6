// Fuzz target `hostile`: as many frames as one likes through the whole pipeline of one node, from memory, at the speed
// of the plane. Every frame must have a fate (sent on, kept, answered, or dropped for a reason), nothing may be written
// outside its slot, what is sent must be fit for a device, good frames among bad ones must leave with right checksums,
// every slot must come back, memory must not grow, and the node must still work afterwards.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Offload } from "../../base/addon.ts";
import { IoKind } from "../../base/addon.ts";
import { Event, PortCounter, portCounter } from "../../dataplane/counters.ts";
import { DROP_REASONS, DropReason } from "../../dataplane/drop-reason.ts";
import * as engine from "../../dataplane/engine.ts";
import { BATCH } from "../../dataplane/engine.ts";
import { sumFrom, UNKNOWN } from "../../dataplane/packet/frame-sum.ts";
import type { Packet } from "../../dataplane/packet/packet.ts";
import { HEADROOM, SLOT_STRIDE } from "../../dataplane/packet/packet.ts";
import { receive } from "../../dataplane/pipeline.ts";
import type { Port, PortRole } from "../../dataplane/port.ts";
import * as tx from "../../dataplane/send/tx-queue.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import type { Tables } from "../../dataplane/tables.ts";
import { Verdict } from "../../dataplane/verdict.ts";
import { frameSum } from "../../wire/bytes/offload.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import { toHex } from "../frames/bytes.ts";
import * as build from "../frames/frame-builder.ts";
import { checkFrame } from "../frames/frame-checker.ts";
import { VXLAN_PORT } from "../world/test-cluster.ts";
import { pathTo } from "../world/test-fabric.ts";
import type { TestNode } from "../world/test-node.ts";
import { Corpus, Delivery, deliver, KIND_NAMES, PORT_NAMES } from "./fuzz-corpus.ts";
import { createNode } from "./fuzz-pipeline.ts";

const VNET = vnet.HEADER_LEN;
const POOL_SLOTS = 128;
const CHECK_EVERY = 1024; //  batches between two looks at canaries and slots
const INSPECT_EVERY = 8; //  batches: of one in so many each good frame's offspring is looked at
const HEAP_GROWTH_MAX = 8 * 2 ** 20;
const KEPT_WHY = ["fragments kept", "tunnel packets opened", "ARP", "neighbour discovery"] as const;

export interface HostileOptions {
  readonly seed: number;
  readonly frames: number;
  readonly offload: Offload;
  /** Entries of each kind in the corpus; default 3000. */
  readonly perKind?: number;
}

export interface HostileReport {
  readonly frames: number;
  readonly seconds: number;
  /** What is wrong, one line each; empty when nothing is. */
  readonly findings: readonly string[];
  readonly slowestBatchMs: number;
  /** Frames by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly fates: { forwarded: number; flooded: number; kept: number; dropped: number };
  readonly keptWhy: Readonly<Record<string, number>>;
  /** By reason: the frames themselves, and all (with inner frames, waiting packets, fragments that ran out of time). */
  readonly drops: readonly { reason: string; frames: number; all: number }[];
  readonly sent: number;
  readonly inspected: number;
  readonly heapBytes: { before: number; after: number };
  readonly rssBytes: { before: number; after: number };
}

/** A device that looks at what it is given and forgets it. */
class Sink implements Port {
  readonly ioKind = IoKind.TAP_VNET;
  readonly fd = -1;
  readonly name: string;
  readonly role: PortRole;
  readonly #run: HostileRun;

  constructor(run: HostileRun, name: string, role: PortRole) {
    this.#run = run;
    this.name = name;
    this.role = role;
  }

  transmit(arena: Uint8Array, off: number, len: number): number {
    this.#run.transmitted(this.name, arena, off, len);
    return 0;
  }
}

class HostileRun {
  readonly node: TestNode;
  readonly t: Tables;
  readonly corpus: Corpus;
  readonly seed: number;
  readonly view: DataView;
  readonly delivery = new Delivery();
  readonly findings: string[] = [];
  readonly kinds = new Float64Array(KIND_NAMES.length);
  readonly fates = new Float64Array(5);
  readonly kept = new Float64Array(KEPT_WHY.length);
  readonly expected = new Float64Array(DROP_REASONS);
  readonly ports: Int32Array;
  sent = 0;
  inspected = 0;
  number = 0; //          of the frame in the pipeline
  isInspecting = false; // what is sent comes from a good frame

  constructor(o: HostileOptions) {
    this.node = createNode({ poolSlots: POOL_SLOTS, offload: o.offload });
    this.t = this.node.tables;
    this.seed = o.seed;
    this.corpus = new Corpus(this.node, o.seed, o.perKind);
    this.view = this.t.scratch.outer.view;
    this.ports = Int32Array.from(PORT_NAMES, (name) => this.node.portId(name));
  }

  /** Replaces the ports' devices; returns what puts them back. */
  attach(): () => void {
    const { devices, role } = this.t.ports;
    const before = devices.slice();
    for (const [name, { id }] of this.node.ports) devices[id] = new Sink(this, name, role[id] as PortRole);
    return () => void before.forEach((device, id) => void (devices[id] = device));
  }

  find(what: string): void {
    if (this.findings.length < 20) this.findings.push(`frame ${this.number}: ${what}: ${this.describe()}`);
  }

  /** The frame in question as it was delivered, made again. */
  describe(): string {
    const bytes = new Uint8Array(SLOT_STRIDE);
    const d = new Delivery();
    deliver(this.corpus, this.seed, this.number, bytes, new DataView(bytes.buffer), HEADROOM, d);
    const hex = toHex(bytes.subarray(HEADROOM, HEADROOM + Math.min(d.len, 400)));
    const virtio = toHex(bytes.subarray(HEADROOM - VNET, HEADROOM));
    return `${KIND_NAMES[d.kind]} to ${PORT_NAMES[d.port]}, virtio ${virtio}, ${d.len} bytes ${hex}`;
  }

  /** What a device is handed must lie in its slot and carry a virtio header that the kernel takes. */
  transmitted(port: string, arena: Uint8Array, off: number, len: number): void {
    this.sent++;
    const view = this.view;
    const isArea =
      off < (this.t.scratch.areas.first + 2 * this.t.scratch.areas.count) * SLOT_STRIDE &&
      off >= this.t.scratch.areas.first * SLOT_STRIDE;
    const into = isArea
      ? (off - this.t.scratch.areas.first * SLOT_STRIDE) % (2 * SLOT_STRIDE)
      : off % SLOT_STRIDE;
    const room = isArea ? 2 * SLOT_STRIDE : SLOT_STRIDE;
    const vh = off - VNET;
    let wrong = "";
    if (len < 14 || into < VNET || into + len > room) wrong = `at ${into} of a slot`;
    if (vnet.needsCsum(view, vh) && vnet.csumStart(view, vh) + vnet.csumOffset(view, vh) + 2 > len)
      wrong = "a partial checksum past the end";
    if (vnet.gsoType(view, vh) !== 0 && vnet.gsoSize(view, vh) === 0) wrong = "no segment size";
    if (wrong !== "") {
      const hex = toHex(arena.slice(Math.max(0, vh), Math.min(off + len, off + 200)));
      this.find(`it or one shortly before it went to ${port} with ${len} bytes: ${wrong}: ${hex}`);
    }
    if (!this.isInspecting) return;
    const frame = arena.slice(off, off + len);
    const problems = checkFrame(frame, { virtio: arena.slice(vh, off), vxlanPorts: [VXLAN_PORT] });
    if (problems.length > 0) this.find(`good, but sent to ${port}: ${problems.join("; ")}: ${toHex(frame)}`);
  }

  /** One turn of the engine's loop, with the verdict of each frame kept. */
  batch(count: number): void {
    const { t, node } = this;
    const e = node.engine;
    // Forty seconds now and then: everything that ages must have aged, at any moment.
    node.clock.advanceMs(this.number % (BATCH * 4096) === 0 ? 40_000 : 1);
    engine.setClock(e, node.clock.nowMs());
    engine.tick(e);
    // Held to their own addresses pods get less far, so half of the time they are not.
    t.config.guard.antiSpoofing = (this.number >>> 14) & 1;
    const isInspected = (this.number / BATCH) % INSPECT_EVERY === 0;
    for (let i = 0; i < count; i++) {
      const off = e.rxOffs[i];
      deliver(this.corpus, this.seed, this.number, t.arena, this.view, off, this.delivery);
      this.kinds[this.delivery.kind]++;
      if (isInspected) this.inspect(off);
      else this.forward(off);
      this.number++;
    }
    tx.flush(t.tx);
  }

  /** A good frame alone in the queue: what comes out is of its making. Fragments wait, and answers release others. */
  private inspect(off: number): void {
    const { t, delivery } = this;
    tx.flush(t.tx);
    this.isInspecting = delivery.good !== 0 && KIND_NAMES[delivery.kind] !== "neighbours";
    if (this.isInspecting) this.inspected++;
    const waiting = t.counters.events[Event.REASSEMBLED];
    this.forward(off);
    if (
      t.scratch.outer.etherType === 0x0806 ||
      t.scratch.outer.proto === 58 ||
      t.counters.events[Event.REASSEMBLED] !== waiting
    )
      this.isInspecting = false;
    tx.flush(t.tx);
    this.isInspecting = false;
  }

  private forward(off: number): void {
    const { t, delivery } = this;
    const c = t.counters;
    const queued = this.sent + t.tx.count + c.events[Event.NEIGHBOR_QUEUED];
    const port = this.ports[delivery.port];
    const from = (this.number & 1) === 0 ? UNKNOWN : sumFrom(t, port); // half of them come without a sum
    const sum = frameSum(t.arena, off, delivery.len, from);
    const v = receive(t, off, delivery.len, port, this.node.engine.nowSec, sum, from);
    this.fates[v]++;
    if (v === Verdict.DROP) {
      const reason = t.scratch.outer.dropReason;
      if (reason <= 0 || reason >= DROP_REASONS) this.find(`dropped for reason ${reason}`);
      else this.expected[reason]++;
    } else if (v === Verdict.FORWARD || v === Verdict.FLOOD) {
      if (this.sent + t.tx.count + c.events[Event.NEIGHBOR_QUEUED] === queued)
        this.find("forwarded, but nothing left");
    } else if (v === Verdict.CONSUMED) {
      const why = whyKept(t.scratch.outer);
      if (why < 0) this.find("kept, and nobody knows why");
      else this.kept[why]++;
    } else this.find(`verdict ${v}`);
  }

  checkState(): void {
    try {
      this.node.checkInvariants();
    } catch (error) {
      this.find(error instanceof Error ? error.message : String(error));
    }
  }
}

/** Index into KEPT_WHY, -1: no reason is known. */
function whyKept(pkt: Packet): number {
  if (pkt.fragment !== 0) return 0;
  if (pkt.proto === 17 && tuple.destinationPort(pkt.key) === VXLAN_PORT) return 1;
  if (pkt.etherType === 0x0806) return 2;
  return pkt.proto === 58 ? 3 : -1;
}

/** A collection at once, whatever flags the process was started with: what is left is what is held. */
const collect: () => void = (() => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
})();

function memory(): { heap: number; rss: number } {
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

/** Sends `frames` frames through a fresh node. Never throws: what went wrong is in the report. */
export function runHostile(o: HostileOptions): HostileReport {
  const run = new HostileRun(o);
  const detach = run.attach();
  const warm = Math.min(o.frames >> 2, 500_000);
  let before = memory();
  let isWarm = false;
  let slowestMs = 0;
  const startMs = performance.now();
  let pausedMs = 0;
  try {
    for (let batches = 0; run.number < o.frames && run.findings.length === 0; batches++) {
      const beginMs = performance.now();
      run.batch(Math.min(BATCH, o.frames - run.number));
      const took = performance.now() - beginMs;
      if (isWarm && took > slowestMs) slowestMs = took;
      if (batches % CHECK_EVERY === 0) run.checkState();
      if (isWarm || run.number < warm) continue;
      isWarm = true;
      const pauseMs = performance.now();
      before = memory();
      pausedMs += performance.now() - pauseMs;
    }
    run.checkState();
  } catch (error) {
    run.find(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const seconds = (performance.now() - startMs - pausedMs) / 1000;
  const after = memory();
  if (after.heap - before.heap > HEAP_GROWTH_MAX)
    run.findings.push(`the heap grew from ${before.heap} to ${after.heap} bytes`);
  detach();
  if (run.findings.length === 0) checkAfterwards(run);
  return report(run, seconds, slowestMs, before, after);
}

/** Everything has run out: all slots are back, the sums agree, and a new connection to a service passes. */
function checkAfterwards(run: HostileRun): void {
  const { node, t } = run;
  try {
    t.config.guard.antiSpoofing = 1;
    node.advanceMs(40_000, 1000); // IPv6 fragments may wait for a minute
    node.settle();
    const [, forwarded, flooded, kept, dropped] = run.fates;
    if (forwarded + flooded + kept + dropped !== run.number) throw new Error("some frames have no fate");
    for (let reason = 1; reason < DROP_REASONS; reason++) {
      const counted = t.counters.drops[reason];
      if (counted < run.expected[reason])
        throw new Error(`${run.expected[reason]} drops for reason ${reason}, ${counted} counted`);
    }
    const rxDrops = run.ports.reduce((sum, id) => sum + portCounter(t.counters, id, PortCounter.RX_DROPS), 0);
    if (rxDrops < dropped) throw new Error(`${dropped} frames dropped, ${rxDrops} counted at the ports`);
    for (let port = 50_001; ; port++) {
      const syn = { ...pathTo(node, "10.244.1.2", "10.96.0.10"), srcPort: port, dstPort: 80, flags: "S" };
      node.send("pod2", build.tcpFrame(syn));
      node.run();
      const out = node.everything();
      if (out.some((r) => r.port === "pod3" && r.text.includes(`.${port} > 10.244.1.3.8080`))) break;
      if (port > 50_020) throw new Error(`a new connection does not pass: ${node.explain(out)}`);
    }
  } catch (error) {
    run.findings.push(`afterwards: ${error instanceof Error ? error.message : error}`);
  }
}

function report(
  run: HostileRun,
  seconds: number,
  slowestBatchMs: number,
  before: { heap: number; rss: number },
  after: { heap: number; rss: number },
): HostileReport {
  const named = (names: readonly string[], values: Float64Array): Record<string, number> =>
    Object.fromEntries(names.map((name, i) => [name, values[i]]));
  const [, forwarded, flooded, kept, dropped] = run.fates;
  const { drops } = run.t.counters;
  return {
    frames: run.number,
    seconds,
    findings: run.findings,
    slowestBatchMs,
    kinds: named(KIND_NAMES, run.kinds),
    fates: { forwarded, flooded, kept, dropped },
    keptWhy: named(KEPT_WHY, run.kept),
    drops: Object.entries(DropReason)
      .filter(([, code]) => drops[code] > 0)
      .map(([reason, code]) => ({ reason, frames: run.expected[code], all: drops[code] })),
    sent: run.sent,
    inspected: run.inspected,
    heapBytes: { before: before.heap, after: after.heap },
    rssBytes: { before: before.rss, after: after.rss },
  };
}
