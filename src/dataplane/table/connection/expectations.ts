/**
 * Connections that a helper has seen announced (netfilter: nf_conntrack_expect). The first packet that fits one begins
 * a RELATED connection, which takes over its master's translation, both ways (nf_nat_follow_master).
 *
 * Few, and none in most nodes: a walk over what is there, and no walk at all while `used` is 0. Full: the oldest goes.
 * One of a master at a time, as FTP's policy has it (max_expected 1); it ends with its master, or after five minutes.
 */
import { ColumnCarver, claimHeader, HEADER_BYTES, Header } from "../../../base/columns.ts";
import * as conntrack from "./conntrack.ts";
import * as tuple from "./tuple.ts";

const { SRC0, DST0, PORTS, META: FROM_META } = tuple.TupleWord;

const LAYOUT = 0x45585001; // "EXP", version 1
const CAPACITY_LOG2 = 8;
const CAPACITY = 1 << CAPACITY_LOG2;
const { USED } = Header;
/** nf_conntrack_ftp's policy, seconds. */
const TIMEOUT_SEC = 300;
/** Words of an expectation: who may come (source, destination, destination port, protocol and family), and … */
const SRC = 0;
const DST = 4;
const PORT = 8;
const META = 9;
/** … where it is sent, and as whom; used when NAT is set. */
const NAT = 10;
const TO = 11; //    destination words
const TO_PORT = 15;
const AS = 16; //    source words
const WORDS = 20;

export class Expectations {
  static readonly LAYOUT = LAYOUT;
  readonly header: Int32Array; //      words of base/columns Header
  readonly words: Int32Array;
  readonly master: Int32Array; //      conntrack slot + 1, 0: free
  readonly masterPorts: Int32Array; // of its original tuple: a slot may be given to another
  readonly expiresAtSec: Int32Array;

  constructor(memory: ArrayBufferLike = new ArrayBuffer(Expectations.bytesFor()), offset = 0) {
    const carve = new ColumnCarver(memory, offset);
    this.header = carve.header();
    carve.counters();
    claimHeader(this.header, LAYOUT, CAPACITY_LOG2, 0);
    this.words = carve.int32(CAPACITY * WORDS);
    this.master = carve.int32(CAPACITY);
    this.masterPorts = carve.int32(CAPACITY);
    this.expiresAtSec = carve.int32(CAPACITY);
  }

  static bytesFor(): number {
    return HEADER_BYTES + CAPACITY * (WORDS + 3) * 4;
  }
}

/** Expectations that there are, dead ones included. */
export function used(e: Expectations): number {
  return e.header[USED];
}

/** Counts them anew: whoever was killed may not have got to it. Cold. */
export function recount(e: Expectations): void {
  let held = 0;
  for (let i = 0; i < CAPACITY; i++) if (e.master[i] !== 0) held++;
  e.header[USED] = held;
}

/**
 * Expects a connection: `key` holds source, destination and destination port (its source port is anybody's). Returns
 * its index, or -1 when another master already expects the same.
 */
export function expect(
  e: Expectations,
  ct: conntrack.Conntrack,
  master: number,
  key: Int32Array,
  nowSec: number,
): number {
  let at = -1;
  for (let i = 0; i < CAPACITY; i++) {
    if (e.master[i] === 0) continue;
    if (!isAlive(e, ct, i, nowSec) || e.master[i] === master + 1) remove(e, i);
    else if (fits(e, i, key)) return -1;
  }
  for (let i = 0; i < CAPACITY && at < 0; i++) if (e.master[i] === 0) at = i;
  if (at < 0) {
    at = oldest(e);
    remove(e, at);
  }
  const w = at * WORDS;
  for (let i = 0; i < 8; i++) e.words[w + i] = key[i];
  e.words[w + PORT] = tuple.destinationPort(key);
  e.words[w + META] = key[FROM_META];
  e.words[w + NAT] = 0;
  e.masterPorts[at] = conntrack.portsOf(ct, master << 1);
  e.expiresAtSec[at] = (nowSec + TIMEOUT_SEC) | 0;
  e.master[at] = master + 1;
  e.header[USED]++;
  return at;
}

/** The connection shall go to `key`'s source at `port`, and come from `key`'s destination. */
export function translate(e: Expectations, at: number, key: Int32Array, port: number): void {
  const w = at * WORDS;
  e.words[w + NAT] = 1;
  for (let i = 0; i < 4; i++) {
    e.words[w + TO + i] = key[SRC0 + i];
    e.words[w + AS + i] = key[DST0 + i];
  }
  e.words[w + TO_PORT] = port;
}

/** Index of the expectation that a packet with this tuple fulfils, or -1. */
export function find(e: Expectations, ct: conntrack.Conntrack, key: Int32Array, nowSec: number): number {
  for (let i = 0; i < CAPACITY; i++) {
    if (e.master[i] === 0 || !fits(e, i, key)) continue;
    if (isAlive(e, ct, i, nowSec)) return i;
    remove(e, i);
  }
  return -1;
}

function fits(e: Expectations, i: number, key: Int32Array): boolean {
  const w = i * WORDS;
  const x = e.words;
  if (x[w + META] !== key[FROM_META] || x[w + PORT] !== tuple.destinationPort(key)) return false;
  for (let k = 0; k < 4; k++)
    if (x[w + SRC + k] !== key[SRC0 + k] || x[w + DST + k] !== key[DST0 + k]) return false;
  return true;
}

function isAlive(e: Expectations, ct: conntrack.Conntrack, i: number, nowSec: number): boolean {
  const slot = e.master[i] - 1;
  if (((e.expiresAtSec[i] - nowSec) | 0) <= 0) return false;
  if ((ct.status[slot << 4] & conntrack.Status.HELPER) === 0) return false;
  return conntrack.portsOf(ct, slot << 1) === e.masterPorts[i];
}

function oldest(e: Expectations): number {
  let at = 0;
  for (let i = 1; i < CAPACITY; i++) if (((e.expiresAtSec[i] - e.expiresAtSec[at]) | 0) < 0) at = i;
  return at;
}

export function remove(e: Expectations, at: number): void {
  if (e.master[at] === 0) return;
  e.master[at] = 0;
  e.header[USED]--;
}

export function isTranslated(e: Expectations, at: number): boolean {
  return e.words[at * WORDS + NAT] !== 0;
}

/** Writes where the expected connection shall go into `to`: destination and destination port. */
export function loadDestination(e: Expectations, at: number, to: Int32Array): void {
  const w = at * WORDS;
  for (let i = 0; i < 4; i++) to[DST0 + i] = e.words[w + TO + i];
  to[PORTS] = (to[PORTS] & ~0xffff) | e.words[w + TO_PORT];
}

/** Writes as whom the expected connection shall come into `to`. */
export function loadSource(e: Expectations, at: number, to: Int32Array): void {
  const w = at * WORDS;
  for (let i = 0; i < 4; i++) to[SRC0 + i] = e.words[w + AS + i];
}
