/**
 * The conntrack tuple: ten i32 words, one form for both families. Whose it is says the caller: `key` is a packet as it
 * came, `to` as it shall leave.
 *   source, destination   four words each, IPv4 as v4-mapped: 0, 0, 0xffff, address; so it is SRC3 and DST3
 *   ports                 source port << 16 | destination port; ICMP queries: id << 16 | type << 8 | code
 *   meta                  protocol | family << 8 | zone << 16
 *
 * The zone tells connections apart that would have one tuple, since they came by two ways: of what comes by the plain way
 * it is 0, of clients that other nodes' VTEPs bring (packet/kept-client.ts) it says which VTEP, of clients in whose names
 * the mesh's proxy speaks (packet/mesh.ts) that it does. As the kernel's directional zones it is part of the original
 * direction alone: answers are looked up without.
 *
 * The words stand in a frozen object, of which a file takes those it needs at module level:
 * `const { SRC3, DST3 } = TupleWord;`. V8 then has them as numbers in its code; an imported `const` is loaded each time.
 */
import { Protocol } from "../../../base/protocols.ts";

const { ICMP, ICMPV6 } = Protocol;
export const TupleWord = Object.freeze({
  SRC0: 0,
  SRC1: 1,
  SRC2: 2,
  SRC3: 3,
  DST0: 4,
  DST1: 5,
  DST2: 6,
  DST3: 7,
  PORTS: 8,
  META: 9,
} as const);
export const TUPLE_WORDS = 10;

/** Parts of the word META, and what it holds of a family. */
export const Meta = Object.freeze({
  PROTO: 0xff,
  FAMILY: 0xff00,
  ZONE: 0xffff_0000 | 0,
  /** The zone of what the node's mesh proxy sends in its clients' names (packet/mesh.ts); no VTEP has it. */
  MESH_ZONE: 0xffff_0000 | 0,
  V4: 4 << 8,
  V6: 6 << 8,
} as const);

const { SRC0, DST0, PORTS, META } = TupleWord;
const { PROTO, ZONE } = Meta;
const WORDS = TUPLE_WORDS;

export function protoOf(key: Int32Array): number {
  return key[META] & PROTO;
}

/** Not 0: of a client that a VTEP brought, or that the mesh's proxy speaks for. */
export function zoneOf(key: Int32Array): number {
  return key[META] & ZONE;
}

export function sourcePort(key: Int32Array): number {
  return key[PORTS] >>> 16;
}

export function destinationPort(key: Int32Array): number {
  return key[PORTS] & 0xffff;
}

/** Of an ICMP query, as are the next two; of any ICMP message that `parse` has seen. */
export function icmpType(key: Int32Array): number {
  return (key[PORTS] >>> 8) & 0xff;
}

export function icmpCode(key: Int32Array): number {
  return key[PORTS] & 0xff;
}

export function icmpId(key: Int32Array): number {
  return key[PORTS] >>> 16;
}

/** The tuple of the answers to `key`, without any translation (nf_ct_invert_tuple). */
export function invert(key: Int32Array, out: Int32Array): void {
  for (let i = 0; i < 4; i++) {
    out[SRC0 + i] = key[DST0 + i];
    out[DST0 + i] = key[SRC0 + i];
  }
  const ports = key[PORTS];
  const proto = key[META] & PROTO;
  if (proto === ICMP || proto === ICMPV6) {
    const other = answerType(proto, (ports >>> 8) & 0xff);
    out[PORTS] = (ports & ~0xffff) | (other << 8) | (ports & 0xff);
  } else out[PORTS] = (ports << 16) | (ports >>> 16);
  out[META] = key[META] & ~ZONE;
}

/** ICMP type of the answer to a query, and of the query to an answer. */
function answerType(proto: number, type: number): number {
  if (proto === ICMPV6) {
    if (type === 128 || type === 139) return type + 1;
    return type === 129 || type === 140 ? type - 1 : type;
  }
  if (type === 8) return 0;
  if (type === 0) return 8;
  if (type === 13 || type === 15 || type === 17) return type + 1;
  if (type === 14 || type === 16 || type === 18) return type - 1;
  return type;
}

export function same(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function exchange(a: Int32Array, b: Int32Array): void {
  for (let i = 0; i < WORDS; i++) {
    const word = a[i];
    a[i] = b[i];
    b[i] = word;
  }
}

export function copy(from: Int32Array, to: Int32Array): void {
  for (let i = 0; i < WORDS; i++) to[i] = from[i];
}
