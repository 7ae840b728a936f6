// Hostile frames through a node whose every packet is traced: what the records say must be what happened. Each packet
// has one end (a tunnel packet one for each frame in it, too), its last word is the pipeline's verdict, drops are told as
// often as they are counted, frames leave by the port that is named, who is promised an answer gets one, and what waits
// for its neighbour is told of later.
import { Event } from "../../dataplane/counters.ts";
import { DROP_REASONS, DropReason, dropReasonName } from "../../dataplane/drop-reason.ts";
import * as engine from "../../dataplane/engine.ts";
import { UNKNOWN } from "../../dataplane/packet/frame-sum.ts";
import { HEADROOM } from "../../dataplane/packet/packet.ts";
import { receive } from "../../dataplane/pipeline.ts";
import * as tx from "../../dataplane/send/tx-queue.ts";
import { ID_MASK } from "../../dataplane/trace/late.ts";
import { VERDICT_NAMES } from "../../dataplane/verdict.ts";
import { formatTrace } from "../../kubeproxy/words/trace-format.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";
import { Prng } from "../prng.ts";
import type { TestNode } from "../world/test-node.ts";
import { traceNode } from "../world/trace-node.ts";
import { Corpus, Delivery, deliver, KIND_NAMES, PORT_NAMES } from "./fuzz-corpus.ts";
import { createNode } from "./fuzz-pipeline.ts";

const POOL_SLOTS = 96; // few: that there is none must happen, too
const BATCH = 64;
const FINDINGS_MAX = 20;
/** Packets that the plane makes of its own accord: their records are beside their cause's. */
const OWN: readonly string[] = ["send-icmp-error", "send-tcp-reset", "answer-echo"];

export interface TraceRun {
  readonly seed: number;
  readonly frames: number;
  readonly mode: "iptables" | "nftables" | "ipvs" | "userspace";
  /** Entries of each kind in the corpus. */
  readonly perKind: number;
}

class TracedRun {
  readonly node: TestNode;
  readonly take: () => TraceRecord[];
  readonly findings: string[] = [];
  readonly #counted = new Float64Array(DROP_REASONS);
  /** Packets that wait for a neighbour, as they were traced. */
  readonly #waiting = new Map<number, TraceRecord[]>();
  readonly #delivery = new Delivery();
  readonly #corpus: Corpus;
  readonly #seed: number;

  constructor({ seed, mode, perKind }: TraceRun) {
    this.node = createNode({ poolSlots: POOL_SLOTS });
    const { config } = this.node.tables;
    if (mode === "userspace") Object.assign(config.proxy, { userspace: 1, retry: 1 });
    else Object.assign(config.extra, { resetRemoved: 1, mssClamp: 1, ftpHelper: 1 });
    if (mode === "ipvs")
      this.node.setService({
        ...{ name: "web", clusterIp: "10.96.0.10", port: 80, nodePort: 30080, isBound: true },
        endpoints: ["10.244.1.3:8080"],
      });
    this.take = traceNode(this.node, mode, 20);
    this.#corpus = new Corpus(this.node, seed, perKind);
    this.#seed = seed;
  }

  find(what: string, steps: readonly TraceRecord[]): void {
    if (this.findings.length >= FINDINGS_MAX) return;
    const packets = [...new Set(steps.map(({ packet }) => packet))];
    const story = packets.flatMap((id) => formatTrace(steps.filter(({ packet }) => packet === id)));
    const { kind, port } = this.#delivery;
    this.findings.push(`${what}, ${KIND_NAMES[kind]} to ${PORT_NAMES[port]}:\n${story.join("\n")}`);
  }

  /** One turn without frames: timers, then everything that is due. */
  tick(ms: number): void {
    const { node } = this;
    node.clock.advanceMs(ms);
    engine.setClock(node.engine, node.clock.nowMs());
    engine.tick(node.engine);
    tx.flush(node.tables.tx);
    const steps = this.take();
    this.checkAll(steps, -1);
    for (const { station } of node.ports.values()) while (station.takeStored() !== undefined);
  }

  frame(number: number): void {
    const t = this.node.tables;
    const d = this.#delivery;
    deliver(this.#corpus, this.#seed, number, t.arena, t.scratch.outer.view, HEADROOM, d);
    const id = t.watchers.nextId;
    const { flushes } = t.tx;
    const port = this.node.portId(PORT_NAMES[d.port]);
    const queued = t.counters.events[Event.NEIGHBOR_QUEUED];
    const verdict = receive(t, HEADROOM, d.len, port, this.node.engine.nowSec, UNKNOWN, UNKNOWN);
    const left = new Set<number>();
    for (let q = 0; q < t.tx.count; q++) if ((t.tx.tags[q] & ID_MASK) === id) left.add(t.tx.ports[q]);
    const isComplete = t.tx.flushes === flushes;
    tx.flush(t.tx);
    const steps = this.take();
    const own = steps.filter((step) => step.packet === id && step.late !== true);
    this.checkAll(steps, id);
    this.checkEnds(own, VERDICT_NAMES[verdict]);
    if (isComplete) this.checkPorts(own, left);
    const waits = own.some((step) => step.waits === true);
    if (waits) this.#waiting.set(id, own);
    if (waits && t.counters.events[Event.NEIGHBOR_QUEUED] === queued) this.find("nothing waits", own);
  }

  /** What holds of all records, whoever's they are. `current` is the packet in the pipeline. */
  checkAll(steps: readonly TraceRecord[], current: number): void {
    const { drops } = this.node.tables.counters;
    for (const code of Object.values(DropReason)) {
      const counted = drops[code] - this.#counted[code];
      const told = code === 0 ? 0 : steps.filter((s) => s.dropReason === dropReasonName(code)).length;
      if (counted !== told) this.find(`${dropReasonName(code)}: counted ${counted}, told ${told}`, steps);
      this.#counted[code] = drops[code];
    }
    const isPromise = (s: TraceRecord): boolean =>
      s.verdict === "drop" && (s.tcpReset === true || (s.icmpError !== undefined && s.icmpWithheld !== true));
    const promised = steps.filter(isPromise).length;
    const answers = steps.filter(({ stage }) => stage === "send-icmp-error" || stage === "send-tcp-reset");
    if (promised !== answers.length) this.find(`${promised} answers promised, ${answers.length} made`, steps);
    for (const step of steps)
      if (step.packet !== current && step.verdict !== "next") this.#waiting.delete(step.packet);
    const words = steps.length === 0 ? "" : formatTrace(steps).join("\n");
    if (/undefined|NaN|nowhere|without a reason/.test(words)) this.find("words that say nothing", steps);
  }

  checkEnds(own: readonly TraceRecord[], verdict: string): void {
    const ends = own.filter((step) => step.verdict !== "next" && !OWN.includes(step.stage));
    const outer = ends.filter(({ fromTunnel }) => !fromTunnel);
    const last = ends.at(-1);
    if (last?.verdict !== verdict) this.find(`${verdict}, the last word is ${last?.verdict}`, own);
    if (outer.length !== 1) this.find(`${outer.length} ends`, own);
    const frames = last?.detail?.frames;
    if (frames !== undefined && frames !== ends.length - outer.length)
      this.find(`${frames} frames were in it, ${ends.length - outer.length} ends of such are told`, own);
  }

  checkPorts(own: readonly TraceRecord[], left: ReadonlySet<number>): void {
    for (const step of own)
      if (step.verdict === "forward" && step.waits !== true && !left.has(step.outPort))
        this.find(`to ${step.out} by ${step.stage}, but nothing left there`, own);
    // What was cut may have left in part before it ended; who asks for an address is answered.
    const isTold = own.some(
      ({ verdict, stage, detail }) =>
        verdict === "forward" || verdict === "flood" || stage === "output" || detail?.answer !== undefined,
    );
    if (left.size > 0 && !isTold) this.find("something left, nobody says so", own);
  }

  /** Everything has run out: what waited must have an end. */
  finish(): void {
    for (let sec = 0; sec < 70; sec++) this.tick(1000);
    for (const steps of this.#waiting.values()) this.find("nobody tells what became of it", steps);
  }
}

/** What is wrong with the traces of so many frames; empty when nothing is. */
export function runTraced(o: TraceRun): string[] {
  const run = new TracedRun(o);
  const random = new Prng(o.seed);
  for (let n = 0; n < o.frames && run.findings.length === 0; n++) {
    if (n % BATCH === 0) run.tick(n % (64 * BATCH) === 0 ? 40_000 : random.below(40));
    run.node.tables.config.guard.antiSpoofing = (n >>> 10) & 1;
    run.frame(n);
  }
  if (run.findings.length === 0) run.finish();
  return run.findings;
}
