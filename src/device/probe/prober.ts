/**
 * Asks from where somebody else is: sends packets out of an interface of another network namespace, a pod's or a node's,
 * as its own kernel would, and hears what comes back. Nothing runs there for it. That kernel sees the answers as well,
 * knows no connection of them and resets them, which takes away what the packets began on their way.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { IoKind } from "../../base/addon.ts";
import { errnoName, type Native, PacketFlag } from "../../native/binding.ts";
import { openError } from "../device-error.ts";
import { answerTo, type ProbeAnswer } from "./probe-answer.ts";
import { type Probe, probeFrame } from "./probe-frame.ts";

export interface ProbeResult {
  /** lost: nothing came in time. unsent: the interface did not take it. */
  readonly kind: ProbeAnswer["kind"] | "lost" | "unsent";
  readonly ms: number;
  readonly from?: string;
  readonly text?: string;
  readonly mtu?: number;
  readonly payload?: Uint8Array;
}

interface Pending {
  readonly probe: Probe;
  readonly sentMs: number;
  readonly untilMs: number;
  readonly resolve: (result: ProbeResult) => void;
}

const SLOTS = 32;
/** The frame, and the vnet header's room before it. */
const SLOT_BYTES = 10_240;
const HEADROOM = 16;
const BUDGET = 1 << 20;
const BUFFER_BYTES = 1 << 18;
/** So long after something was sent an answer is looked for without a pause. */
const EAGER_MS = 1;
/** Ports that no kernel gives out by itself: its range ends at 60999 (net.ipv4.ip_local_port_range). */
const FIRST_PORT = 61_000;
const PORTS = 4_000;

/** Only what may be an answer: ICMP, and TCP and UDP to this port. Classic BPF: code, jt, jf in one word, then k. */
function answersTo(port: number): Int32Array {
  const [LDH, LDB, LDXB_IP, LDH_X, JEQ, RET] = [0x28, 0x30, 0xb1, 0x48, 0x15, 0x06];
  const jump = (t: number, f: number): number => JEQ | (t << 16) | (f << 24);
  return Int32Array.from([
    ...[LDH, 12], //              0 EtherType
    ...[jump(0, 7), 0x0800], //   1 IPv6? 9
    ...[LDB, 23], //              2 protocol
    ...[jump(12, 0), 1], //       3 ICMP: 16
    ...[jump(1, 0), 6], //        4
    ...[jump(0, 11), 17], //      5 neither: 17
    ...[LDXB_IP, 14], //          6 length of the header
    ...[LDH_X, 16], //            7 destination port
    ...[jump(7, 8), port], //     8
    ...[jump(0, 7), 0x86dd], //   9
    ...[LDB, 20], //             10 next header
    ...[jump(4, 0), 58], //      11 ICMPv6: 16
    ...[jump(1, 0), 6], //       12
    ...[jump(0, 3), 17], //      13
    ...[LDH, 56], //             14 destination port
    ...[jump(0, 1), port], //    15
    ...[RET, 0x40000], //        16
    ...[RET, 0], //              17
  ]);
}

type Wants = Omit<Probe, "srcPort" | "sequence">;

export class Prober {
  readonly #native: Pick<Native, "receive" | "transmit" | "closeFd">;
  readonly #fd: number;
  readonly #port: number;
  readonly #arena = new Uint8Array(SLOTS * SLOT_BYTES);
  readonly #offs = Int32Array.from({ length: SLOTS }, (_, i) => i * SLOT_BYTES + HEADROOM);
  readonly #lens = new Int32Array(SLOTS);
  readonly #sums = new Int32Array(SLOTS);
  readonly #pending = new Set<Pending>();
  #sequence = 0;
  #isListening = false;
  #lastMs = 0;

  /** Throws when the interface is not to be had. */
  constructor(
    native: Native,
    { netns, interface: name }: { netns: string; interface: string },
    port = FIRST_PORT + Math.floor(Math.random() * PORTS),
  ) {
    this.#native = native;
    const flags = PacketFlag.IGNORE_OUTGOING | PacketFlag.QDISC_BYPASS;
    this.#fd = native.openPacket(netns, name, flags, BUFFER_BYTES, BUFFER_BYTES);
    if (this.#fd < 0) throw openError("packet socket on", name, netns, this.#fd);
    this.#port = port;
    native.packetFilter(this.#fd, answersTo(this.#port));
  }

  /** Two that are under way at once have different destinations, or are pings. */
  ask(wanted: Wants, timeoutMs: number): Promise<ProbeResult> {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const probe: Probe = { ...wanted, srcPort: this.#port, sequence: this.#sequence };
    const frame = probeFrame(probe);
    const sentMs = performance.now();
    const failed = this.#send(frame);
    if (failed !== "") return Promise.resolve({ kind: "unsent", ms: 0, text: failed });
    this.#lastMs = sentMs;
    return new Promise((resolve) => {
      this.#pending.add({ probe, sentMs, untilMs: sentMs + timeoutMs, resolve });
      if (!this.#isListening) void this.#listen();
    });
  }

  close(): void {
    for (const { resolve } of this.#pending) resolve({ kind: "lost", ms: 0 });
    this.#pending.clear();
    this.#native.closeFd(this.#fd);
  }

  /** "": it is on its way. */
  #send(frame: Uint8Array): string {
    const arena = new Uint8Array(HEADROOM + frame.length);
    arena.set(frame, HEADROOM);
    const [offs, lens, results] = [Int32Array.of(HEADROOM), Int32Array.of(frame.length), new Int32Array(1)];
    const [fds, kinds] = [Int32Array.of(this.#fd), Int32Array.of(IoKind.PACKET)];
    this.#native.transmit(fds, kinds, arena, offs, lens, 1, results);
    return results[0] === 0 ? "" : errnoName(results[0]);
  }

  async #listen(): Promise<void> {
    this.#isListening = true;
    while (this.#pending.size > 0) {
      this.#receive();
      const nowMs = performance.now();
      for (const pending of this.#pending)
        if (nowMs >= pending.untilMs) this.#end(pending, { kind: "lost", ms: nowMs - pending.sentMs });
      await (nowMs - this.#lastMs < EAGER_MS ? setImmediate() : sleep(1));
    }
    this.#isListening = false;
  }

  #receive(): void {
    const { receive } = this.#native;
    const { PACKET } = IoKind;
    for (;;) {
      if (this.#pending.size === 0) return;
      const n = receive(
        ...([this.#fd, PACKET, this.#arena, this.#offs, this.#lens, 0, SLOTS] as const),
        ...([SLOT_BYTES - HEADROOM, BUDGET, this.#sums, -1] as const),
      );
      const nowMs = performance.now();
      for (let i = 0; i < n; i++) {
        const view = new DataView(this.#arena.buffer, this.#offs[i], this.#lens[i]);
        for (const pending of this.#pending) {
          const answer = answerTo(pending.probe, view);
          if (answer !== undefined) this.#end(pending, { ...answer, ms: nowMs - pending.sentMs });
        }
      }
      if (n < SLOTS) return;
    }
  }

  #end(pending: Pending, result: ProbeResult): void {
    this.#pending.delete(pending);
    pending.resolve(result);
  }
}
