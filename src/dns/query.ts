/**
 * Queries as they come from anybody (RFC 1035 §4.1, RFC 6891): read by hand, since each costs this, and strictly.
 * Nothing here throws, whatever the bytes are.
 */
import { nameEnd, nameKey, skipName } from "./name.ts";

/** Of records and questions. */
export const Type = Object.freeze({
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, HINFO: 13, TXT: 16, AAAA: 28, SRV: 33, OPT: 41 },
  ...{ IXFR: 251, AXFR: 252, ANY: 255 },
} as const);
export const Rcode = Object.freeze({
  ...{ NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 },
} as const);
export const Class = Object.freeze({ IN: 1, ANY: 255 } as const);
/** Bits of the header's second word. */
export const Flag = Object.freeze({
  ...{ QR: 0x8000, OPCODE: 0x7800, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 },
  RCODE: 0x000f,
} as const);

export const HEADER = 12; // octets
/** A client that says nothing takes so much by UDP (RFC 1035 §4.2.1). */
export const UDP_MIN = 512;
/** What passes every path in one piece (RFC 9715 §3); more is not sent by UDP, whatever a client would take. */
export const UDP_MAX = 1232;
export const MESSAGE_MAX = 65_535;
const QUESTION_REST = 4; // type and class
const RECORD_REST = 10; // type, class, TTL, length of the data
const DO = 0x8000; // of an OPT record's TTL, its lower half

export interface Edns {
  /** Octets that the client takes by UDP: from 512. */
  readonly size: number;
  /** It would like to have signatures. */
  readonly dnssecOk: boolean;
}

export interface Query {
  readonly id: number;
  /** The header's second word as it came. */
  readonly flags: number;
  /** Its question: octets from HEADER to here; HEADER where there is none. */
  readonly end: number;
  /** name.ts: the key of its name. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly edns: Edns | undefined;
  /** Why it cannot be answered; NOERROR: it can. */
  readonly problem: number;
}

/** undefined: not even a header, or an answer, which nobody answers. */
export function readQuery(bytes: Buffer): Query | undefined {
  if (bytes.length < HEADER) return undefined;
  const flags = word(bytes, 2);
  if ((flags & Flag.QR) !== 0) return undefined;
  const id = word(bytes, 0);
  const wrong = (problem: number): Query => ({
    ...{ id, flags, end: HEADER, name: "\0", type: 0, class: 0, edns: undefined, problem },
  });
  if ((flags & Flag.OPCODE) !== 0) return wrong(Rcode.NOTIMP);
  // More than one answer and authority have no place in a query (IXFR has one, RFC 1995 §3).
  if (word(bytes, 4) !== 1 || word(bytes, 6) > 1 || word(bytes, 8) > 1 || word(bytes, 10) > 2)
    return wrong(Rcode.FORMERR);
  const named = nameEnd(bytes, HEADER, bytes.length);
  const end = named + QUESTION_REST;
  if (named < 0 || end > bytes.length) return wrong(Rcode.FORMERR);
  const found = readOpt(bytes, end, word(bytes, 6) + word(bytes, 8), word(bytes, 10));
  return {
    id,
    flags,
    end,
    name: nameKey(bytes, HEADER, named),
    type: word(bytes, named),
    class: word(bytes, named + 2),
    edns: typeof found === "number" ? undefined : found?.edns,
    problem: typeof found === "number" ? found : (found?.problem ?? Rcode.NOERROR),
  };
}

/** What it says of itself in an OPT record; a number: what is wrong. */
function readOpt(
  bytes: Buffer,
  from: number,
  before: number,
  additional: number,
): { edns: Edns; problem: number } | number | undefined {
  let at = from;
  let found: { edns: Edns; problem: number } | undefined;
  for (let i = 0; i < before + additional; i++) {
    const named = skipName(bytes, at, bytes.length);
    if (named < 0 || named + RECORD_REST > bytes.length) return Rcode.FORMERR;
    const next = named + RECORD_REST + word(bytes, named + 8);
    if (next > bytes.length) return Rcode.FORMERR;
    if (word(bytes, named) === Type.OPT) {
      // One at most, of the root, in its own section (RFC 6891 §6.1.1).
      if (found !== undefined || i < before || named !== at + 1) return Rcode.FORMERR;
      const version = bytes[named + 5];
      const edns = {
        size: Math.max(UDP_MIN, word(bytes, named + 2)),
        dnssecOk: (word(bytes, named + 6) & DO) !== 0,
      };
      found = { edns, problem: version === 0 ? Rcode.NOERROR : Rcode.BADVERS };
    }
    at = next;
  }
  return found;
}

/** 16 bits, big-endian. */
export function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

const TYPE_NAMES = new Map<number, string>(Object.entries(Type).map(([name, code]) => [code, name]));
const RCODE_NAMES = new Map<number, string>(Object.entries(Rcode).map(([name, code]) => [code, name]));

/** "A", "TYPE64" (RFC 3597 §5). */
export function typeName(type: number): string {
  return TYPE_NAMES.get(type) ?? MORE_TYPES[type] ?? `TYPE${type}`;
}

export function rcodeName(rcode: number): string {
  return RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`;
}

const MORE_TYPES: Readonly<Record<number, string>> = {
  ...{ 15: "MX", 35: "NAPTR", 39: "DNAME", 43: "DS", 46: "RRSIG", 48: "DNSKEY", 52: "TLSA", 64: "SVCB" },
  ...{ 65: "HTTPS", 257: "CAA" },
};
