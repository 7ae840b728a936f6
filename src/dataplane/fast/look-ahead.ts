/**
 * Looks for the connections of a whole batch before the first frame of it is forwarded. Among a million connections each
 * lookup waits for memory twice, for a cell of the index and for a row, and the processor does so for frame after frame,
 * since so much lies between two of them. Here it is asked for all cells at once, then for all rows: a packet of one of a
 * million UDP connections took 760 ns and takes 320 (docs/performance.md). What is found is a guess (`Conntrack.guess`):
 * `find` compares it with the packet's own tuple, so whatever happens meanwhile, a guess is right or not taken.
 *
 * Tuples are read as they lie where plain frames have them, in the tunnel too; nothing is checked, for a wrong tuple is
 * no more than a guess at nothing. Few connections are in the cache anyway, and are found without.
 */
import { Protocol } from "../../base/protocols.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as udp from "../../wire/transport/udp.ts";
import * as conntrack from "../table/connection/conntrack.ts";
import { Meta, TupleWord } from "../table/connection/tuple.ts";
import type { Tables } from "../tables.ts";
import type { Guesses } from "./guesses.ts";

const { TCP, UDP } = Protocol;
const { SRC0, SRC3, DST0, DST3, PORTS, META } = TupleWord;
const { FAMILY, V4, V6 } = Meta;
const NO_GUESS = -1;
const NO_OPTIONS = 0x45;
const L3 = eth.HEADER_LEN;
const L4 = L3 + ipv4.HEADER_LEN_MIN;
const L4_IPV6 = L3 + ipv6.HEADER_LEN;
const PORT_BYTES = 4;
const INNER = L4 + udp.HEADER_LEN + vxlan.HEADER_LEN;

/** Guesses the connections of `n` frames, as they were received. */
export function lookAhead(t: Tables, offs: Int32Array, lens: Int32Array, n: number): void {
  const { ahead } = t.scratch;
  const ct = t.conntrack;
  ahead.count = 0;
  if (n < ahead.fromFrames || conntrack.used(ct) < ahead.fromConnections) return;
  const { refs, hashes, key } = ahead;
  for (let i = 0; i < n; i++) {
    if (readTuple(t, key, offs[i], lens[i])) {
      refs[i] = conntrack.hinted(ct, key);
      if (refs[i] < 0) {
        hashes[i] = conntrack.hashKey(ct, key);
        keep(ahead, i);
      }
    } else refs[i] = conntrack.NOWHERE;
  }
  ahead.sink = conntrack.touchCells(ct, refs, hashes, n);
  conntrack.guess(ct, refs, hashes, n);
  ahead.sink ^= conntrack.touchRows(ct, refs, n);
  ahead.count = n;
}

function keep({ key, tuples }: Guesses, i: number): void {
  const at = i << 2;
  tuples[at] = key[SRC3];
  tuples[at + 1] = key[DST3];
  tuples[at + 2] = key[PORTS];
  tuples[at + 3] = key[META];
}

/** Before frame `i` of the batch is forwarded: where its connection may be; if it is new, by what hash it is entered. */
export function takeGuess(t: Tables, i: number): void {
  const ct = t.conntrack;
  const { count, refs, hashes, tuples } = t.scratch.ahead;
  ct.guess = i < count ? refs[i] : NO_GUESS;
  if (i >= count || refs[i] !== NO_GUESS) return;
  const at = i << 2;
  if ((tuples[at + 3] & FAMILY) === V4)
    conntrack.memorize(ct, tuples[at], tuples[at + 1], tuples[at + 2], tuples[at + 3], hashes[i]);
}

/** Where a plain frame, or the inner one of a plain VXLAN packet for us, has its tuple. */
function readTuple(t: Tables, key: Int32Array, off: number, len: number): boolean {
  const { view } = t.scratch.fast;
  if (len < L4 + PORT_BYTES) return false;
  const type = eth.etherType(view, off);
  if (type === eth.ETHERTYPE_IPV6) return readIpv6(view, key, off, len);
  if (type !== eth.ETHERTYPE_IPV4 || !readIpv4(view, key, off)) return false;
  const { tunnel } = t.config;
  if ((key[PORTS] & 0xffff) !== tunnel.port || tunnel.on === 0 || (key[META] & Meta.PROTO) !== UDP)
    return true;
  if (len < INNER + L4 + PORT_BYTES) return true;
  const inner = eth.etherType(view, off + INNER);
  if (inner === eth.ETHERTYPE_IPV6) return readIpv6(view, key, off + INNER, len - INNER);
  return inner === eth.ETHERTYPE_IPV4 && readIpv4(view, key, off + INNER);
}

function readIpv4(view: DataView, key: Int32Array, off: number): boolean {
  const proto = view.getUint8(off + L3 + 9);
  if (view.getUint8(off + L3) !== NO_OPTIONS || (proto !== TCP && proto !== UDP)) return false;
  key[SRC3] = view.getInt32(off + L3 + 12);
  key[DST3] = view.getInt32(off + L3 + 16);
  key[PORTS] = view.getInt32(off + L4);
  key[META] = V4 | proto;
  return true;
}

function readIpv6(view: DataView, key: Int32Array, off: number, len: number): boolean {
  if (len < L4_IPV6 + PORT_BYTES) return false;
  const proto = ipv6.nextHeader(view, off + L3);
  if (proto !== TCP && proto !== UDP) return false;
  for (let i = 0; i < 4; i++) {
    key[SRC0 + i] = ipv6.srcWord(view, off + L3, i);
    key[DST0 + i] = ipv6.dstWord(view, off + L3, i);
  }
  key[PORTS] = view.getInt32(off + L4_IPV6);
  key[META] = V6 | proto;
  return true;
}
