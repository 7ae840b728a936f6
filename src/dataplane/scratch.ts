/**
 * Scratch memory: what stages work in, so that none of them allocates. Nothing in it means anything once the frame's way
 * has ended, but for the frames in `areas`, which wait for the next flush. Whoever is named writes; whoever is called by
 * it, or comes after it in the pipeline, reads.
 */
import type { Offload } from "../base/addon.ts";
import { createPin, type MaybePinned } from "../base/maybe-pinned.ts";
import * as ftp from "../wire/transport/ftp.ts";
import { FastFrame } from "./fast/fast-frame.ts";
import { Guesses } from "./fast/guesses.ts";
import { Packet } from "./packet/packet.ts";
import { RECORD_WORDS } from "./table/connection/conntrack-sctp.ts";
import { Segment } from "./table/connection/conntrack-tcp-window.ts";
import { TUPLE_WORDS } from "./table/connection/tuple.ts";

/** Inner frames that one call of `coalesce` may lay out. */
export const JOINED_MAX = 256;

/** Pairs of packet slots for joined inner frames; pipeline.ts hands them round. */
export class JoinAreas {
  readonly first: number; // slot
  readonly count: number;
  next = 0; //               area that is handed out next
  flushes = -1; //           number of the transmit queue's flush since which `next` counts
  constructor(first: number, count: number) {
    this.first = first;
    this.count = count;
  }
}

export class Scratch {
  readonly outer: Packet; // the frame that came in; engine.ts and the pipeline begin it
  readonly inner: Packet; // one taken out of a tunnel: decapsulate
  readonly own: Packet; //   one that the plane makes itself: send-icmp-error, send-tcp-reset, tunnel, probes
  readonly held: Packet; //  one that it had kept: redial
  readonly fast: FastFrame; // what the fast path knows of a frame
  readonly ahead: Guesses; // what was guessed of the batch's connections; engine.ts
  readonly keyA = new Int32Array(TUPLE_WORDS); // any stage's, for as long as it runs
  readonly keyB = new Int32Array(TUPLE_WORDS); // the same
  readonly reply = new Int32Array(TUPLE_WORDS); // a new connection's answers, from masquerade to enter-connection
  readonly tcpSegment = new Segment(); // what a TCP header says, of the packet that is tracked: readSegment
  readonly sctpRecord = new Int32Array(RECORD_WORDS); // what a first SCTP packet makes of its association, until entered
  readonly ftpFound = new Int32Array(ftp.RESULT_WORDS); // what an FTP line announces: help-ftp
  readonly ftpText = new Uint8Array(ftp.TEXT_MAX); //      and what it shall read instead
  readonly cut = new Int32Array(4); //                     result of the addon's `segment`: tunnel
  readonly cutPin: MaybePinned<Int32Array>;
  cutReason = 0; //                                        why what was cut last did not leave, 0: it did
  /** Result of the addon's `coalesce`: (offset, length) of inner frames, then the bytes that went into them. */
  readonly joined = new Int32Array(2 * JOINED_MAX + 1);
  readonly joinedPin: MaybePinned<Int32Array>;
  readonly areas: JoinAreas;
  tunnelVtep = -1; // VTEP that sent the packet in `outer`, -1: not asked for; decapsulate

  constructor(arena: Uint8Array, areas: JoinAreas, offload: Offload) {
    this.outer = new Packet(arena);
    this.inner = new Packet(arena);
    this.own = new Packet(arena);
    this.held = new Packet(arena);
    this.fast = new FastFrame(arena);
    this.ahead = new Guesses(areas.first);
    this.areas = areas;
    this.cutPin = createPin(offload, this.cut);
    this.joinedPin = createPin(offload, this.joined);
  }
}
