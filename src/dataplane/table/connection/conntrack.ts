/**
 * Connection tracking table: what nf_conntrack keeps, for IPv4 and IPv6, TCP, UDP, ICMP, SCTP and the rest.
 *
 * An entry has two tuples: the original direction as the first packet came, and the reply direction as
 * answers will come, after NAT. A packet of one direction is translated by inverting the *other* direction's
 * tuple; so the rewrite needs no storage of its own, and a reply can never meet an entry that does not know
 * how to undo it. Insertion happens once, before the first packet leaves, and only when neither tuple is
 * taken: two connections can never share a reply tuple, which is what makes SNAT port allocation atomic.
 *
 * Layout: one buffer, a header that names its version, then parts of so many bytes a slot (`SlotBytes`). What any packet
 * reads and writes of its connection is a row of one cache line: of each direction the tuple, packets and octets; status,
 * time, endpoint, state. Columns over the rows have one name each and the row's stride: `status[slot << 4]`,
 * `packets[ref << 3]`. A packet of a known connection so asks memory for two lines, its cell of the index and its row;
 * TCP for a third, its windows. An IPv4 connection takes at most 128 bytes, without what counts and what people look at.
 * What few connections have stays without memory behind it where there are none: upper words of IPv6 addresses, who
 * brought a client, windows, octets beyond 4 GiB. The index is open addressing at most half full; each cell holds slot,
 * direction and as many bits of the hash as fit, so that a foreign entry is passed without touching its row.
 *
 * Full: an unassured entry near a moving hand is evicted (netfilter's early drop), or else one that is being closed;
 * where there is neither, the new connection is refused and counted. Expiry walks a slice per poll; an expired entry
 * that is hit before the walk comes is dead.
 */
import { Protocol } from "../../../base/protocols.ts";
import * as hashIndex from "../hash-index.ts";
import * as endpointLoad from "../service/endpoint-load.ts";
import { type EndpointLoad, NO_LOAD } from "../service/endpoint-load.ts";
import * as connectionRules from "./connection-rules.ts";
import { type ConnectionRules, NO_RULES } from "./connection-rules.ts";
import { SctpState, TcpState } from "./ct-states.ts";
import * as eventRing from "./event-ring.ts";
import { EventRing, EventType } from "./event-ring.ts";
import { Meta, TupleWord } from "./tuple.ts";

const { ICMP, ICMPV6, SCTP, TCP } = Protocol;

const { SRC0, SRC1, SRC2, SRC3, DST0, DST1, DST2, DST3, PORTS, META } = TupleWord;
const { FAMILY, PROTO, V6 } = Meta;
const { FIN_WAIT, TIME_WAIT, CLOSE } = TcpState;
const { SHUTDOWN_SENT, SHUTDOWN_ACK_SENT } = SctpState;

export const MAGIC = 0x70774354; // "pwCT"
const LAYOUT_VERSION = 7;
export const HEADER_WORDS = 64;
// Header words.
/** The generator's state before it is seeded. */
export const FIRST_RANDOM = 0x2545f491;
export const H_MAGIC = 0;
const H_VERSION = 1;
const H_CAPACITY_LOG2 = 2;
export const H_USED = 3;
export const H_SEED = 4;
export const H_FREE = 5; //         first free slot + 1
export const H_SWEEP = 6; //        next slot of the expiry walk
export const H_EVICT = 7; //        early drop's hand
const H_NOW = 8; //          engine clock, seconds: lets a reader compute what is left
const H_FULL = 9; //         refused because full
const H_EARLY_DROP = 10;
export const H_NEVER_USED = 11; //  slots from here on were never handed out
export const H_RANDOM = 12; //    state of the port allocator's generator
export const H_TCP_OPTIONS = 13; //      TcpOption bits
export const H_TCP_MAX_RETRANS = 14; //  nf_conntrack_tcp_max_retrans
export const H_EVENT_READERS = 15; //   who wants events; written by the readers' side
export const H_TIMEOUTS = 16; // seconds, see Timeout
export const H_CHECKSUM = 59; // nf_conntrack_checksum: not 0, wrong checksums make a packet INVALID
export const H_EVENTS = 60; //  number of the last event

/** Bits of `status`, numbered as the kernel's IPS_*. */
export const Status = Object.freeze({
  SEEN_REPLY: 1 << 1,
  ASSURED: 1 << 2,
  CONFIRMED: 1 << 3,
  SRC_NAT: 1 << 4,
  DST_NAT: 1 << 5,
  DYING: 1 << 9,
  HELPER: 1 << 13,
  RELATED: 1 << 0,
  COUNTED: 1 << 24, //        ours: it is one of its endpoint's connections (endpoint-load.ts),
  COUNTED_ACTIVE: 1 << 25, // one of the active ones
  SERVED: 1 << 26, //         ours: a service's endpoint was chosen for it
  VIA: 1 << 27, //            ours: another node brought its client, and gets the answers (column `via`)
  TO_PROXY: 1 << 28, //       ours: what its client sends goes to the node's mesh proxy, who answers (packet/mesh.ts)
  FROM_PROXY: 1 << 29, //     ours: that proxy opened it in its client's name, and gets the answers
} as const);
const { SEEN_REPLY, ASSURED, CONFIRMED, COUNTED, COUNTED_ACTIVE } = Status;

/** Index of a time-out in the header, from H_TIMEOUTS. TCP states come first, in TcpState's order. */
export const Timeout = Object.freeze({
  TCP: 0,
  TCP_UNACK: 10, //   data that nobody acknowledged
  TCP_RETRANS: 11, // the same segment again and again, or a closed window
  UDP: 12,
  UDP_STREAM: 13,
  ICMP: 14,
  ICMPV6: 15,
  GENERIC: 16,
  SCTP: 17, // and one for each SctpState behind it
  GRE: 26,
  GRE_STREAM: 27,
} as const);
/**
 * Seconds: nf_conntrack's defaults (nf_conntrack_proto_*.c). kube-proxy then sets TCP established to 24 h and
 * CLOSE_WAIT to 1 h; that is the control side's business.
 * TCP: none, syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, time_wait, close, syn_sent2.
 * SCTP: none, closed, cookie_wait, cookie_echoed, established, shutdown_sent, shutdown_recd, shutdown_ack_sent,
 * heartbeat_sent.
 */
const DEFAULT_TIMEOUTS: readonly number[] = [
  ...[120, 120, 60, 432_000, 120, 60, 30, 120, 10, 120, 300, 300, 30, 120, 30, 30, 600],
  ...[10, 10, 3, 3, 210, 3, 3, 3, 30],
  ...[30, 180],
];

// Words of a direction, from ref << 3, a half of the row: the source's last, the destination's last, …
const T_SRC = 0;
const T_DST = 1;
const T_PORTS = 2;
const T_META = 3;
// … and in `wide`, from ref * 6: the upper ones of an IPv6 address.
const W_SRC = 0;
const W_DST = 3;
/** Bytes of a slot in each part, in their order in memory. */
export const SlotBytes = Object.freeze({
  row: 64,
  track: 64,
  index: 16, // two cells of it, half full
  about: 8,
  high: 8,
  wide: 48,
  via: 8,
} as const);
/** Bytes of a row where its columns begin; those of a direction have one in each half. */
export const RowByte = Object.freeze({
  PACKETS: 16,
  OCTETS: 20,
  STATUS: 24,
  EXPIRES: 28,
  ENDPOINT: 56,
  STATE: 60,
  CARRIED: 62,
} as const);
const ROW_WORDS = 16;
const LINE = 64;
/** Where rows begin beyond `memory`, modulo a line: calloc hands out large memory 16 bytes behind a page. */
const SKEW = 48;
const NONE = -1;
/** For a look ahead: not to be looked for. */
export const NOWHERE = -2;
const MEMO_WORDS = 5;
const HINTS = 1024;
const HINT_SHIFT = 22; // 32 - log2(HINTS)

export class Conntrack {
  static readonly LAYOUT = LAYOUT_VERSION;
  readonly memory: ArrayBufferLike;
  readonly header: Int32Array;
  readonly index: Int32Array; //      cell: hash bits | slot << 1 | direction; 0 = empty
  // Columns over the rows.
  readonly tuple: Int32Array; //      ref << 3: source, destination, ports, meta
  readonly packets: Uint32Array; //   ref << 3
  readonly octets: Int32Array; //     ref << 3: the lower word of them
  readonly status: Int32Array; //     slot << 4: Status bits; 0 = free
  readonly expiresAtSec: Int32Array; // slot << 4
  readonly endpoint: Int32Array; //   slot << 4: its id (identities.ts); `withoutEndpoint`; a free slot: the next one + 1
  readonly state: Uint16Array; //     slot << 5: TcpState / SctpState; UDP: milliseconds of its start beyond `startSec`
  readonly carried: Uint16Array; //   slot << 5: not 0, `high` holds something
  // Columns beside them.
  readonly track: Int32Array; //      slot << 4: the protocol tracker's own (conntrack-tcp-window.ts, -sctp.ts)
  readonly startSec: Int32Array; //   slot << 1
  readonly service: Int32Array; //    slot << 1: id of the service port that claimed it, -1: none (for people)
  readonly high: Uint32Array; //      ref: upper words of the octets
  readonly wide: Int32Array; //       12 words a slot: per direction source words 0–2, destination words 0–2
  readonly via: Int32Array; //        2 words a slot with Status.VIA: MAC of the VTEP, bytes 0–1 and 2–5
  readonly events: EventRing;
  readonly capacity: number;
  readonly mask: number;
  readonly refMask: number;
  /**
   * What was found last, by a cheap hash of the tuple: saves the keyed one. A cache of the worker's, not the
   * table's.
   */
  readonly hintHash = new Int32Array(HINTS);
  readonly hintRef = new Int32Array(HINTS);
  /** Where the connection of the frame that is forwarded may be, by a look ahead (fast/look-ahead.ts); -1: anywhere. */
  guess = NONE;
  /**
   * The two IPv4 tuples that were hashed last, five words each: source, destination, ports, meta, hash. A new connection
   * is looked for by both of its tuples before it is entered by them.
   */
  readonly memo = new Int32Array(2 * MEMO_WORDS);
  /** Where in `memo` the next one goes. */
  memoAt = 0;
  /** Where connections are counted by endpoint. The plane's own, like the hints. */
  load: EndpointLoad = NO_LOAD;
  /** What policies said of each connection: beside this table, and not as lasting. */
  rules: ConnectionRules = NO_RULES;

  constructor(
    capacityLog2: number,
    memory: ArrayBufferLike = new ArrayBuffer(Conntrack.bytesFor(capacityLog2)),
    offset = 0, //                       a multiple of 8
    seed = 0,
  ) {
    const n = 1 << capacityLog2;
    const { row, track, index, about, high, wide, via } = SlotBytes;
    const rows = rowsAt(offset);
    let off = rows;
    const take = (bytes: number): number => {
      const at = off;
      off += n * bytes;
      return at;
    };
    const column = (byte: number): [ArrayBufferLike, number, number] => [
      memory,
      rows + byte,
      n * ROW_WORDS - (byte >> 2),
    ];
    this.memory = memory;
    this.capacity = n;
    this.mask = n * 4 - 1;
    this.refMask = n * 2 - 1;
    this.header = new Int32Array(memory, offset, HEADER_WORDS);
    this.tuple = new Int32Array(memory, take(row), n * ROW_WORDS);
    this.packets = new Uint32Array(...column(RowByte.PACKETS));
    this.octets = new Int32Array(...column(RowByte.OCTETS));
    this.status = new Int32Array(...column(RowByte.STATUS));
    this.expiresAtSec = new Int32Array(...column(RowByte.EXPIRES));
    this.endpoint = new Int32Array(...column(RowByte.ENDPOINT));
    this.state = new Uint16Array(memory, rows + RowByte.STATE, n * 2 * ROW_WORDS - RowByte.STATE / 2);
    this.carried = new Uint16Array(memory, rows + RowByte.CARRIED, n * 2 * ROW_WORDS - RowByte.CARRIED / 2);
    this.track = new Int32Array(memory, take(track), n * 16);
    this.index = new Int32Array(memory, take(index), n * 4);
    const abouts = take(about);
    this.startSec = new Int32Array(memory, abouts, n * 2);
    this.service = new Int32Array(memory, abouts + 4, n * 2 - 1);
    this.high = new Uint32Array(memory, take(high), n * 2);
    this.wide = new Int32Array(memory, take(wide), n * 12);
    this.via = new Int32Array(memory, take(via), n * 2);
    this.events = new EventRing(eventsLog2(capacityLog2), memory, Math.ceil(off / 8) * 8);
    if (this.header[H_MAGIC] !== MAGIC) this.format(capacityLog2, seed);
    else if (this.header[H_VERSION] !== LAYOUT_VERSION || this.header[H_CAPACITY_LOG2] !== capacityLog2) {
      throw new RangeError(`conntrack memory has layout ${this.header[H_VERSION]}, want ${LAYOUT_VERSION}`);
    }
  }

  static bytesFor(capacityLog2: number): number {
    const all = Object.values(SlotBytes);
    let slot = 0;
    for (let i = 0; i < all.length; i++) slot += all[i];
    const columns = HEADER_WORDS * 4 + LINE + 2 ** capacityLog2 * slot;
    return Math.ceil(columns / 8) * 8 + EventRing.bytesFor(eventsLog2(capacityLog2));
  }

  private format(capacityLog2: number, seed: number): void {
    this.header[H_MAGIC] = MAGIC;
    this.header[H_VERSION] = LAYOUT_VERSION;
    this.header[H_CAPACITY_LOG2] = capacityLog2;
    this.header[H_SEED] = seed | 0;
    this.header[H_RANDOM] = (seed ^ FIRST_RANDOM) | 1;
    this.header[H_TCP_OPTIONS] = 2; // nf_conntrack_tcp_loose
    this.header[H_TCP_MAX_RETRANS] = 3;
    this.header[H_CHECKSUM] = 1;
    for (let i = 0; i < DEFAULT_TIMEOUTS.length; i++) this.header[H_TIMEOUTS + i] = DEFAULT_TIMEOUTS[i];
  }
}

/** Where the rows begin of a table whose header is at `offset`. */
function rowsAt(offset: number): number {
  const at = offset + HEADER_WORDS * 4;
  return at + ((SKEW - at) & (LINE - 1));
}

export function used(t: Conntrack): number {
  return t.header[H_USED];
}
export function refusedFull(t: Conntrack): number {
  return t.header[H_FULL];
}
export function earlyDrops(t: Conntrack): number {
  return t.header[H_EARLY_DROP];
}
export function clockSec(t: Conntrack): number {
  return t.header[H_NOW];
}
export function setClock(t: Conntrack, nowSec: number): void {
  t.header[H_NOW] = nowSec;
}
export function timeoutOf(t: Conntrack, which: number): number {
  return t.header[H_TIMEOUTS + which];
}

/** xorshift32; the port allocator's and the endpoint choice's source of chance. */
export function random(t: Conntrack): number {
  let x = t.header[H_RANDOM];
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  t.header[H_RANDOM] = x;
  return x;
}

export function hashKey(t: Conntrack, key: Int32Array): number {
  const seed = t.header[H_SEED];
  if ((key[META] & FAMILY) === V6) {
    const upper = hashIndex.mix3(
      hashIndex.mix3(seed, key[SRC0], key[SRC1], key[SRC2]),
      key[DST0],
      key[DST1],
      key[DST2],
    );
    return hashIndex.mix4(upper, key[SRC3], key[DST3], key[PORTS], key[META]);
  }
  return hashIndex.mix4(seed, key[SRC3], key[DST3], key[PORTS], key[META]);
}

/** The same, where the tuple is one of the last two for nothing. */
function hashOf(t: Conntrack, key: Int32Array): number {
  const m = t.memo;
  const ports = key[PORTS];
  for (let at = 0; at <= MEMO_WORDS; at += MEMO_WORDS) {
    if (m[at + 2] === ports && m[at] === key[SRC3] && m[at + 1] === key[DST3] && m[at + 3] === key[META])
      return m[at + 4];
  }
  const hash = hashKey(t, key);
  if ((key[META] & FAMILY) !== V6) memorize(t, key[SRC3], key[DST3], ports, key[META], hash);
  return hash;
}

/** For who knows the hash of an IPv4 tuple that will be asked for. */
export function memorize(
  t: Conntrack,
  src: number,
  dst: number,
  ports: number,
  meta: number,
  hash: number,
): void {
  const m = t.memo;
  const at = t.memoAt;
  m[at] = src;
  m[at + 1] = dst;
  m[at + 2] = ports;
  m[at + 3] = meta;
  m[at + 4] = hash;
  t.memoAt = MEMO_WORDS - at;
}

function hashRef(t: Conntrack, ref: number): number {
  const c = t.tuple;
  const b = ref << 3;
  const seed = t.header[H_SEED];
  if ((c[b + T_META] & FAMILY) === V6) {
    const w = ref * 6;
    const u = t.wide;
    const upper = hashIndex.mix3(
      hashIndex.mix3(seed, u[w + W_SRC], u[w + W_SRC + 1], u[w + W_SRC + 2]),
      u[w + W_DST],
      u[w + W_DST + 1],
      u[w + W_DST + 2],
    );
    return hashIndex.mix4(upper, c[b + T_SRC], c[b + T_DST], c[b + T_PORTS], c[b + T_META]);
  }
  return hashIndex.mix4(seed, c[b + T_SRC], c[b + T_DST], c[b + T_PORTS], c[b + T_META]);
}

function sameWide(t: Conntrack, ref: number, key: Int32Array): boolean {
  const w = ref * 6;
  const u = t.wide;
  return (
    u[w + W_SRC] === key[SRC0] &&
    u[w + W_SRC + 1] === key[SRC1] &&
    u[w + W_SRC + 2] === key[SRC2] &&
    u[w + W_DST] === key[DST0] &&
    u[w + W_DST + 1] === key[DST1] &&
    u[w + W_DST + 2] === key[DST2]
  );
}

/**
 * Place among the hints, and what is compared there before the tuple is: cheap, and no secret is needed for
 * it.
 */
function hintOf(key: Int32Array): number {
  const h =
    Math.imul(key[SRC3], 0x9e3779b1) ^
    Math.imul(key[DST3], 0x85ebca6b) ^
    Math.imul(key[PORTS], 0xc2b2ae35) ^
    key[META];
  return Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
}

/** The reference (slot << 1 | direction) of the tuple `key`, or -1. Expired entries are found too. */
export function find(t: Conntrack, key: Int32Array): number {
  const guessed = t.guess;
  if (guessed >= 0 && t.status[(guessed >> 1) << 4] !== 0 && isAt(t, guessed, key)) return guessed;
  const hint = hintOf(key);
  const place = hint >>> HINT_SHIFT;
  if (t.hintHash[place] === hint) {
    const ref = t.hintRef[place];
    if (t.status[(ref >> 1) << 4] !== 0 && isAt(t, ref, key)) return ref;
  }
  const ref = findHashed(t, key);
  if (ref >= 0) {
    t.hintHash[place] = hint;
    t.hintRef[place] = ref;
  }
  return ref;
}

function isAt(t: Conntrack, ref: number, key: Int32Array): boolean {
  const b = ref << 3;
  const c = t.tuple;
  if (
    c[b + T_SRC] !== key[SRC3] ||
    c[b + T_DST] !== key[DST3] ||
    c[b + T_PORTS] !== key[PORTS] ||
    c[b + T_META] !== key[META]
  )
    return false;
  return (key[META] & FAMILY) !== V6 || sameWide(t, ref, key);
}

function findHashed(t: Conntrack, key: Int32Array): number {
  const h = hashOf(t, key);
  const refMask = t.refMask;
  const want = (h & ~refMask) | (refMask + 1);
  const src = key[SRC3];
  const dst = key[DST3];
  const ports = key[PORTS];
  const meta = key[META];
  const isV6 = (meta & FAMILY) === V6;
  let i = h & t.mask;
  for (;;) {
    const cell = t.index[i];
    if (cell === 0) return -1;
    if ((cell & ~refMask) === want) {
      const ref = cell & refMask;
      const b = ref << 3;
      const c = t.tuple;
      if (
        c[b + T_SRC] === src &&
        c[b + T_DST] === dst &&
        c[b + T_PORTS] === ports &&
        c[b + T_META] === meta
      ) {
        if (!isV6 || sameWide(t, ref, key)) return ref;
      }
    }
    i = (i + 1) & t.mask;
  }
}

/** For a look ahead: the reference that a hint says the tuple has, or NONE. */
export function hinted(t: Conntrack, key: Int32Array): number {
  const hint = hintOf(key);
  const place = hint >>> HINT_SHIFT;
  return t.hintHash[place] === hint ? t.hintRef[place] : NONE;
}

/** Asks memory for the cells where `n` hashes begin, of those whose reference is NONE. What it answers is nothing. */
export function touchCells(t: Conntrack, refs: Int32Array, hashes: Int32Array, n: number): number {
  const { index, mask } = t;
  let sink = 0;
  for (let i = 0; i < n; i++) if (refs[i] === NONE) sink ^= index[hashes[i] & mask];
  return sink;
}

/** Writes where a search for each hash would first look at a tuple. */
export function guess(t: Conntrack, refs: Int32Array, hashes: Int32Array, n: number): void {
  const { index, mask, refMask } = t;
  for (let i = 0; i < n; i++) {
    if (refs[i] !== NONE) continue;
    const want = (hashes[i] & ~refMask) | (refMask + 1);
    let at = hashes[i] & mask;
    let cell = index[at];
    while (cell !== 0 && (cell & ~refMask) !== want) {
      at = (at + 1) & mask;
      cell = index[at];
    }
    if (cell !== 0) refs[i] = cell & refMask;
  }
}

/** Asks memory for what a packet of each connection will read; of others TCP's part has no memory, and shall get none. */
export function touchRows(t: Conntrack, refs: Int32Array, n: number): number {
  const { tuple, track } = t;
  let sink = 0;
  for (let i = 0; i < n; i++) {
    const ref = refs[i];
    if (ref >= 0 && (tuple[(ref << 3) + T_META] & PROTO) === TCP) sink ^= track[(ref >> 1) << 4];
  }
  return sink;
}

export function indexAdd(t: Conntrack, ref: number): void {
  indexHash(t, ref, hashRef(t, ref));
}

function indexHash(t: Conntrack, ref: number, h: number): void {
  let i = h & t.mask;
  while (t.index[i] !== 0) i = (i + 1) & t.mask;
  t.index[i] = (h & ~t.refMask) | (t.refMask + 1) | ref;
}

function indexRemove(t: Conntrack, ref: number): void {
  let i = hashRef(t, ref) & t.mask;
  while ((t.index[i] & t.refMask) !== ref || t.index[i] === 0) i = (i + 1) & t.mask;
  hashIndex.vacate(t.index, i, t.mask, t, hashCell);
}

function hashCell(t: Conntrack, cell: number): number {
  return hashRef(t, cell & t.refMask);
}

function storeTuple(t: Conntrack, ref: number, key: Int32Array): void {
  const b = ref << 3;
  t.tuple[b + T_SRC] = key[SRC3];
  t.tuple[b + T_DST] = key[DST3];
  t.tuple[b + T_PORTS] = key[PORTS];
  t.tuple[b + T_META] = key[META];
  if ((key[META] & FAMILY) === V6) {
    const w = ref * 6;
    t.wide[w + W_SRC] = key[SRC0];
    t.wide[w + W_SRC + 1] = key[SRC1];
    t.wide[w + W_SRC + 2] = key[SRC2];
    t.wide[w + W_DST] = key[DST0];
    t.wide[w + W_DST + 1] = key[DST1];
    t.wide[w + W_DST + 2] = key[DST2];
  }
}

/** Writes the tuple of `ref` into `key`. */
export function loadTuple(t: Conntrack, ref: number, key: Int32Array): void {
  const b = ref << 3;
  const meta = t.tuple[b + T_META];
  if ((meta & FAMILY) === V6) {
    const w = ref * 6;
    key[SRC0] = t.wide[w + W_SRC];
    key[SRC1] = t.wide[w + W_SRC + 1];
    key[SRC2] = t.wide[w + W_SRC + 2];
    key[DST0] = t.wide[w + W_DST];
    key[DST1] = t.wide[w + W_DST + 1];
    key[DST2] = t.wide[w + W_DST + 2];
  } else {
    key[SRC0] = 0;
    key[SRC1] = 0;
    key[SRC2] = 0xffff;
    key[DST0] = 0;
    key[DST1] = 0;
    key[DST2] = 0xffff;
  }
  key[SRC3] = t.tuple[b + T_SRC];
  key[DST3] = t.tuple[b + T_DST];
  key[PORTS] = t.tuple[b + T_PORTS];
  key[META] = meta;
}

/**
 * How a packet of direction `ref & 1` leaves: the other direction's tuple, turned round. ICMP queries keep
 * type and code, since those differ between the two directions by themselves.
 */
export function loadTranslated(t: Conntrack, ref: number, key: Int32Array, to: Int32Array): void {
  const other = ref ^ 1;
  const b = other << 3;
  const meta = t.tuple[b + T_META];
  const ports = t.tuple[b + T_PORTS];
  to[SRC3] = t.tuple[b + T_DST];
  to[DST3] = t.tuple[b + T_SRC];
  if ((meta & FAMILY) === V6) {
    const w = other * 6;
    to[SRC0] = t.wide[w + W_DST];
    to[SRC1] = t.wide[w + W_DST + 1];
    to[SRC2] = t.wide[w + W_DST + 2];
    to[DST0] = t.wide[w + W_SRC];
    to[DST1] = t.wide[w + W_SRC + 1];
    to[DST2] = t.wide[w + W_SRC + 2];
  } else {
    to[SRC0] = 0;
    to[SRC1] = 0;
    to[SRC2] = 0xffff;
    to[DST0] = 0;
    to[DST1] = 0;
    to[DST2] = 0xffff;
  }
  const proto = meta & PROTO;
  if (proto === ICMP || proto === ICMPV6) to[PORTS] = (ports & ~0xffff) | (key[PORTS] & 0xffff);
  else to[PORTS] = (ports << 16) | (ports >>> 16);
  to[META] = meta;
}

/** Protocol of a connection. */
export function protoOf(t: Conntrack, slot: number): number {
  return t.tuple[(slot << 4) + T_META] & PROTO;
}

/** Last word of a direction's source: all of an IPv4 address. */
export function sourceOf(t: Conntrack, ref: number): number {
  return t.tuple[(ref << 3) + T_SRC];
}

export function destinationOf(t: Conntrack, ref: number): number {
  return t.tuple[(ref << 3) + T_DST];
}

/** Ports of a direction, as a tuple has them. */
export function portsOf(t: Conntrack, ref: number): number {
  return t.tuple[(ref << 3) + T_PORTS];
}

function takeSlot(t: Conntrack): number {
  const h = t.header;
  if (h[H_FREE] !== 0) {
    const slot = h[H_FREE] - 1;
    h[H_FREE] = t.endpoint[slot << 4]; // a free slot chains through its endpoint column
    return slot;
  }
  if (h[H_NEVER_USED] < t.capacity) return h[H_NEVER_USED]++;
  return -1;
}

/** Is there a slot that nobody has? */
export function hasRoom(t: Conntrack): boolean {
  return t.header[H_FREE] !== 0 || t.header[H_NEVER_USED] < t.capacity;
}

/** Slots looked at for a victim when the table is full: netfilter looks at 8 buckets. */
const EVICT_SCAN = 64;
const ANSWER_SEC = 5; // after which nobody waits for the answer to a datagram or a ping

function earlyDrop(t: Conntrack, nowSec: number): boolean {
  const h = t.header;
  let leaving = -1;
  for (let n = 0; n < EVICT_SCAN; n++) {
    const slot = h[H_EVICT];
    h[H_EVICT] = (slot + 1) & (t.capacity - 1);
    const s = t.status[slot << 4];
    if (s === 0) continue;
    if ((s & ASSURED) === 0 || t.expiresAtSec[slot << 4] - nowSec <= 0) {
      giveWay(t, slot);
      return true;
    }
    if (leaving < 0 && isLeaving(t, slot)) leaving = slot;
  }
  if (leaving < 0) return false;
  giveWay(t, leaving);
  return true;
}

/** A connection that is being closed (tcp_can_early_drop, sctp_can_early_drop): gives way though it was assured. */
function isLeaving(t: Conntrack, slot: number): boolean {
  const state = t.state[slot << 5];
  const proto = protoOf(t, slot);
  if (proto === SCTP) return state >= SHUTDOWN_SENT && state <= SHUTDOWN_ACK_SENT;
  return proto === TCP && state >= FIN_WAIT && state <= CLOSE;
}

/**
 * May a new connection have this one's source port, where there is no other? A masqueraded one that is over, as
 * nf_nat_may_kill has it, or that was never confirmed: of TCP at once, since a late answer is out of the new one's
 * window; of others, which have none, when an answer is no longer to be expected.
 */
export function mayGiveWay(t: Conntrack, slot: number, nowSec: number): boolean {
  const status = t.status[slot << 4];
  if ((status & Status.SRC_NAT) === 0) return false;
  const isTcp = protoOf(t, slot) === TCP;
  if ((status & ASSURED) === 0) return isTcp || ((nowSec - t.startSec[slot << 1]) | 0) >= ANSWER_SEC;
  return isTcp && t.state[slot << 5] >= TIME_WAIT && t.state[slot << 5] <= CLOSE;
}

/** Ends a connection for another one's sake. */
export function giveWay(t: Conntrack, slot: number): void {
  remove(t, slot);
  t.header[H_EARLY_DROP]++;
}

/**
 * Adds a connection; the caller has seen that neither tuple is taken. Returns its slot, or -1 when the table
 * is full and nothing could be evicted. `status`, `state` and time-out are the caller's to set.
 */
export function insert(t: Conntrack, orig: Int32Array, reply: Int32Array, nowSec: number): number {
  let slot = takeSlot(t);
  if (slot < 0) {
    if (earlyDrop(t, nowSec)) slot = takeSlot(t);
    if (slot < 0) {
      t.header[H_FULL]++;
      return -1;
    }
  }
  storeTuple(t, slot << 1, orig);
  storeTuple(t, (slot << 1) | 1, reply);
  t.state[slot << 5] = 0;
  t.startSec[slot << 1] = nowSec;
  t.expiresAtSec[slot << 4] = nowSec;
  t.endpoint[slot << 4] = withoutEndpoint(0);
  t.service[slot << 1] = -1;
  clearCounts(t, slot);
  connectionRules.forget(t.rules, slot);
  t.status[slot << 4] = CONFIRMED; // last: from here on it is an entry, even to who comes after a killed agent
  indexHash(t, slot << 1, hashOf(t, orig));
  indexHash(t, (slot << 1) | 1, hashOf(t, reply));
  t.header[H_USED]++;
  return slot;
}

/** For the column `endpoint`: it has none, by what services were in this epoch of them. Less than 0, as is no id. */
export function withoutEndpoint(epoch: number): number {
  return ~(epoch & 0x7fff_ffff);
}

export function remove(t: Conntrack, slot: number): void {
  if (t.header[H_EVENT_READERS] !== 0) tell(t, EventType.DESTROY, slot);
  if ((t.status[slot << 4] & COUNTED) !== 0) count(t, slot, (t.status[slot << 4] & COUNTED_ACTIVE) !== 0, -1);
  indexRemove(t, slot << 1);
  indexRemove(t, (slot << 1) | 1);
  t.status[slot << 4] = 0;
  t.endpoint[slot << 4] = t.header[H_FREE];
  t.header[H_FREE] = slot + 1;
  t.header[H_USED]--;
}

/** From now on the connection is one of its endpoint's, until it ends. */
export function countIn(t: Conntrack, slot: number, active: boolean): void {
  t.status[slot << 4] |= active ? COUNTED | COUNTED_ACTIVE : COUNTED;
  count(t, slot, active, 1);
}

/** The state of its protocol says whether it is active; for connections whose status has COUNTED. */
export function setActive(t: Conntrack, slot: number, active: boolean): void {
  if (((t.status[slot << 4] & COUNTED_ACTIVE) !== 0) === active) return;
  t.status[slot << 4] ^= COUNTED_ACTIVE;
  count(t, slot, !active, -1);
  count(t, slot, active, 1);
}

function count(t: Conntrack, slot: number, active: boolean, by: number): void {
  endpointLoad.count(t.load, t.endpoint[slot << 4], active, by);
}

/** True when the entry is no more, though the walk has not come by yet. Safe against a wrapping clock. */
export function isExpired(t: Conntrack, slot: number, nowSec: number): boolean {
  return ((t.expiresAtSec[slot << 4] - nowSec) | 0) <= 0;
}

/** Gives a connection a time-out from now on. */
export function renew(t: Conntrack, slot: number, which: number, nowSec: number): void {
  t.expiresAtSec[slot << 4] = (nowSec + t.header[H_TIMEOUTS + which]) | 0;
}

/** Looks at the next `count` slots and removes what has expired. Returns how many were removed. */
export function expireSlice(t: Conntrack, count: number, nowSec: number): number {
  const h = t.header;
  const end = h[H_NEVER_USED];
  if (end === 0) return 0;
  let removed = 0;
  let slot = h[H_SWEEP];
  const steps = count < end ? count : end;
  for (let n = 0; n < steps; n++) {
    if (slot >= end) slot = 0;
    if (t.status[slot << 4] !== 0 && ((t.expiresAtSec[slot << 4] - nowSec) | 0) <= 0) {
      remove(t, slot);
      removed++;
    }
    slot++;
  }
  h[H_SWEEP] = slot;
  return removed;
}

/** Slots ever used: readers walk 0 … this. */
export function highWater(t: Conntrack): number {
  return t.header[H_NEVER_USED];
}

/** Accounts one packet to direction `ref & 1`; a first reply marks the connection as answered. */
export function account(t: Conntrack, ref: number, octets: number): void {
  const at = ref << 3;
  t.packets[at]++;
  const before = t.octets[at];
  const after = (before + octets) | 0;
  t.octets[at] = after;
  if (after >= 0 && before < 0) carry(t, ref);
  if ((ref & 1) === 1) t.status[(ref >> 1) << 4] |= SEEN_REPLY;
}

/** The lower word has come round; a packet has less than half of it. */
function carry(t: Conntrack, ref: number): void {
  t.carried[(ref >> 1) << 5] = 1;
  t.high[ref]++;
}

function clearCounts(t: Conntrack, slot: number): void {
  t.packets[slot << 4] = 0;
  t.packets[(slot << 4) + 8] = 0;
  t.octets[slot << 4] = 0;
  t.octets[(slot << 4) + 8] = 0;
  if (t.carried[slot << 5] === 0) return;
  t.high[slot << 1] = 0;
  t.high[(slot << 1) | 1] = 0;
  t.carried[slot << 5] = 0; // last: an agent that is killed between leaves nothing that counts
}

/** Packets and octets of a direction, for readers. */
export function packetsOf(t: Conntrack, ref: number): number {
  return t.packets[ref << 3];
}
export function octetsOf(t: Conntrack, ref: number): number {
  const low = t.octets[ref << 3] >>> 0;
  return t.carried[(ref >> 1) << 5] === 0 ? low : t.high[ref] * 2 ** 32 + low;
}

/** Sets them, where an entry is made of what is known of one. */
export function setCounts(t: Conntrack, ref: number, packets: number, octets: number): void {
  t.packets[ref << 3] = packets;
  t.octets[ref << 3] = octets | 0;
  const at = (ref >> 1) << 5;
  if (octets < 2 ** 32 && t.carried[at] === 0) return;
  t.carried[at] = 1;
  t.high[ref] = octets / 2 ** 32;
}

/** Events that are kept, at most: 4,096, which a reader that comes every 10 ms misses none of below 400,000 a second. */
function eventsLog2(capacityLog2: number): number {
  return capacityLog2 < 12 ? capacityLog2 : 12;
}

/** What of an entry makes an UPDATE when it changes. */
export function visible(t: Conntrack, slot: number): number {
  return ((t.status[slot << 4] & (SEEN_REPLY | ASSURED)) << 16) | t.state[slot << 5];
}

/** An event for whoever wants them; the caller has seen that there is somebody. */
export function tell(t: Conntrack, type: number, slot: number): void {
  const number = (t.header[H_EVENTS] + 1) | 0 || 1;
  const ring = t.events;
  const at = eventRing.open(ring, number);
  const w = ring.words;
  w[at + eventRing.E_TYPE] = type;
  w[at + eventRing.E_SLOT] = slot;
  w[at + eventRing.E_STATUS] = t.status[slot << 4];
  w[at + eventRing.E_STATE] = t.state[slot << 5];
  w[at + eventRing.E_EXPIRES] = t.expiresAtSec[slot << 4];
  w[at + eventRing.E_START] = t.startSec[slot << 1];
  w[at + eventRing.E_NOW] = t.header[H_NOW];
  w[at + eventRing.E_EGRESS] = connectionRules.egressOf(t.rules, slot);
  w[at + eventRing.E_INGRESS] = connectionRules.ingressOf(t.rules, slot);
  w[at + eventRing.E_EPOCH] = connectionRules.epochOf(t.rules, slot);
  for (let i = 0; i < 4; i++) {
    w[at + eventRing.E_TUPLE + i] = t.tuple[(slot << 4) + i];
    w[at + eventRing.E_TUPLE + 4 + i] = t.tuple[(slot << 4) + 8 + i];
  }
  if ((t.tuple[(slot << 4) + T_META] & FAMILY) === V6) {
    for (let i = 0; i < 12; i++) w[at + eventRing.E_WIDE + i] = t.wide[slot * 12 + i];
  }
  if ((t.status[slot << 4] & Status.VIA) !== 0) {
    w[at + eventRing.E_VIA] = t.via[slot << 1];
    w[at + eventRing.E_VIA + 1] = t.via[(slot << 1) | 1];
  }
  for (let dir = 0; dir < 2; dir++) {
    w[at + eventRing.E_PACKETS + dir] = packetsOf(t, (slot << 1) | dir);
    ring.octets[((at + eventRing.E_OCTETS) >> 1) + dir] = octetsOf(t, (slot << 1) | dir);
  }
  eventRing.close(ring, at, number);
  Atomics.store(t.header, H_EVENTS, number);
}
