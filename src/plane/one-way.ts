/**
 * Streams that go one way. Where packets are answered, the next one is on its way as soon as one is delivered, and a
 * thread that polls is there when it comes: requests and responses, TCP with its acknowledgements. What nobody answers
 * comes when its sender likes, and its reader may need the core that the thread would poll on; a socket of the usual size
 * holds 91 datagrams of 1400 bytes. So under such a stream the thread sleeps for a moment after each turn, as a NIC waits
 * before it interrupts: the reader has the core, the sender wakes nobody, and what comes meanwhile is forwarded together.
 * Where cores are idle enough, and in a flood, it polls as ever.
 *
 * Told by ports, once a turn: has anything been sent to a port since it was heard last? A few answers among many packets
 * are enough to go on polling, as acknowledgements are.
 */

import { type Counters, PortCounter, portCounter } from "../dataplane/counters.ts";

const { TX_PACKETS } = PortCounter;
/** What a turn that was an answer weighs, in turns that were none. */
const ANSWER = 16;
/** From so many turns without an answer on it is a stream that goes one way; more than MOST are not counted. */
const ENOUGH = 32;
const MOST = 64;
/** Packets that wait behind a turn, beyond which it does not sleep: half of what a TAP holds. */
const BACKLOG = 512;
/** With so many idle cores a reader has one. */
const CORES = 2;
/** Packets a ms beyond which it is a flood that no program keeps up with, nor the thread if it sleeps. */
const FLOOD_PER_MS = 200;
/** So many packets are one, however few ms ago somebody looked at the cores: that is done ten times a second. */
const FLOOD = 20_000;

export class OneWay {
  /** Whether there is anybody to sleep for, and time for it. */
  isWanted = false;
  /** Packets sent until somebody looked last, and forwarded since. */
  sentBefore = 0;
  since = 0;
  /** What had been sent to each port when it was heard last, packets. */
  readonly sent: Float64Array;
  /** Turns without an answer, less those with one. */
  silence = 0;
  /** Packets forwarded since nothing more waited. */
  backlog = 0;
  /** How often it was to be slept since somebody counted that. */
  pauses = 0;

  constructor(maxPorts: number) {
    this.sent = new Float64Array(maxPorts);
  }
}

/** Takes in that `port` was heard. */
export function hear(o: OneWay, c: Counters, port: number): void {
  const sent = portCounter(c, port, TX_PACKETS);
  if (o.sent[port] === sent) {
    if (o.silence < MOST) o.silence++;
    return;
  }
  o.sent[port] = sent;
  o.silence = o.silence > ANSWER ? o.silence - ANSWER : 0;
}

/** Takes in a period: idle cores, and what all ports were sent until now, packets. */
export function lookAround(o: OneWay, idleCores: number, sent: number, elapsedMs: number): void {
  o.isWanted = idleCores < CORES && sent - o.sentBefore < FLOOD_PER_MS * elapsedMs;
  o.sentBefore = sent;
  o.since = 0;
}

/** What ports below `end` have been sent, packets. */
export function sentSoFar(c: Counters, end: number): number {
  let sum = 0;
  for (let id = 0; id < end; id++) sum += portCounter(c, id, TX_PACKETS);
  return sum;
}

/** Whether to sleep between turns now: it is a stream that nobody answers. */
export function isOneWay(o: OneWay): boolean {
  return o.isWanted && o.silence >= ENOUGH;
}

/** Whether to sleep after a turn of so many packets, behind which more wait or do not. */
export function isToPause(o: OneWay, packets: number, hasMore: boolean): boolean {
  o.backlog = hasMore ? o.backlog + packets : 0;
  o.since += packets;
  if (o.since >= FLOOD) o.isWanted = false;
  if (o.backlog > BACKLOG || !o.isWanted) return false;
  o.pauses++;
  return true;
}
