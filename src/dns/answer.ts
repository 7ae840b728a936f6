/**
 * Answers of other servers, as bytes: what they are to, how long they hold, where their TTLs stand, without their OPT
 * record. Nothing here throws, whatever the bytes are; what is no answer is undefined.
 */
import { nameEnd, nameKey, skipName } from "./name.ts";
import { Flag, HEADER, type Query, Rcode, Type, word } from "./query.ts";
import { OPT_OCTETS, writeOpt } from "./reply.ts";

export interface Answer {
  /** Header to the last record; its id is nobody's. */
  readonly message: Buffer;
  /** Octets of header and question. */
  readonly questionEnd: number;
  readonly rcode: number;
  readonly truncated: boolean;
  /** Where TTLs stand. */
  readonly ttls: readonly number[];
  /** Seconds for which it may be told again; of an answer that says no, by its SOA (RFC 2308 §5); 0: not at all. */
  readonly ttl: number;
  /** It has no record of the type that was asked for, or there is no such name. */
  readonly isNegative: boolean;
}

const RECORD_REST = 10;
const SOA_REST = 20; // serial, refresh, retry, expire, minimum
const TTL_MAX = 0x7fffffff; // RFC 2181 §8: with the highest bit set it is 0

interface Records {
  readonly ttls: number[];
  ttl: number;
  /** Of the SOA record in the authority section; -1: none. */
  negativeTtl: number;
  answers: number;
  /** Where its OPT record begins; -1: none. */
  opt: number;
  extendedRcode: number;
  /** Records before that in the additional section. */
  additional: number;
}

/** The answer to this question: its id, flags and question are looked at. */
export function readAnswer(bytes: Buffer, id: number, asked: Buffer): Answer | undefined {
  if (bytes.length < HEADER || word(bytes, 0) !== id) return undefined;
  const flags = word(bytes, 2);
  if ((flags & Flag.QR) === 0 || (flags & Flag.OPCODE) !== 0 || word(bytes, 4) !== 1) return undefined;
  const named = nameEnd(bytes, HEADER, bytes.length);
  const questionEnd = named + 4;
  if (named < 0 || questionEnd > bytes.length || questionEnd !== HEADER + asked.length) return undefined;
  if (bytes.compare(asked, asked.length - 4, asked.length, named, questionEnd) !== 0) return undefined;
  if (nameKey(bytes, HEADER, named) !== nameKey(asked, 0, asked.length - 4)) return undefined;
  const found = readRecords(bytes, questionEnd, word(bytes, questionEnd - 4));
  if (found === undefined) return undefined;
  const message = Buffer.from(found.opt < 0 ? bytes : bytes.subarray(0, found.opt)); // what comes after OPT is TSIG
  message.writeUInt16BE(found.opt < 0 ? word(bytes, 10) : found.additional, 10);
  asked.copy(message, HEADER);
  const rcode = (flags & Flag.RCODE) | (found.extendedRcode << 4);
  const isNegative = rcode === Rcode.NXDOMAIN || (rcode === Rcode.NOERROR && found.answers === 0);
  return {
    ...{ message, questionEnd, rcode, isNegative },
    truncated: (flags & Flag.TC) !== 0,
    ttls: found.ttls.filter((at) => at < message.length),
    ttl: holdsFor(rcode, isNegative, found),
  };
}

function holdsFor(rcode: number, isNegative: boolean, { ttl, negativeTtl }: Records): number {
  if (isNegative) return Math.max(0, Math.min(ttl, negativeTtl));
  return rcode === Rcode.NOERROR && ttl !== Infinity ? ttl : 0;
}

/** `type`: of the question. */
function readRecords(bytes: Buffer, from: number, type: number): Records | undefined {
  const counts = [word(bytes, 6), word(bytes, 8), word(bytes, 10)];
  const found: Records = {
    ...{ ttls: [], ttl: Infinity, negativeTtl: -1, answers: 0, opt: -1, extendedRcode: 0, additional: 0 },
  };
  let at = from;
  for (const [section, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      const named = skipName(bytes, at, bytes.length);
      if (named < 0 || named + RECORD_REST > bytes.length) return undefined;
      const next = named + RECORD_REST + word(bytes, named + 8);
      if (next > bytes.length) return undefined;
      const own = word(bytes, named);
      if (own === Type.OPT) {
        if (section !== 2 || found.opt >= 0) return undefined;
        Object.assign(found, { opt: at, extendedRcode: bytes[named + 4], additional: i });
      } else {
        const raw = bytes.readUInt32BE(named + 4);
        const ttl = raw > TTL_MAX ? 0 : raw;
        found.ttls.push(named + 4);
        found.ttl = Math.min(found.ttl, ttl);
        if (section === 0 && (own === type || type === Type.ANY)) found.answers++;
        if (section === 1 && own === Type.SOA && next - named - RECORD_REST >= SOA_REST)
          found.negativeTtl = Math.min(ttl, bytes.readUInt32BE(next - 4), TTL_MAX);
      }
      at = next;
    }
  }
  return found;
}

/** What a client is told of it: with his id and his letters, TTLs of `agedSec` later, no longer than he takes. */
export function retell(answer: Answer, bytes: Buffer, query: Query, limit: number, agedSec: number): Buffer {
  const opt = query.edns === undefined ? 0 : OPT_OCTETS;
  const isWhole = answer.message.length + opt <= limit;
  const length = isWhole ? answer.message.length : answer.questionEnd;
  const message = Buffer.allocUnsafe(length + opt);
  answer.message.copy(message, 0, 0, length);
  bytes.copy(message, HEADER, HEADER, query.end);
  message.writeUInt16BE(query.id, 0);
  const kept = word(answer.message, 2) & (Flag.AD | Flag.RCODE);
  const flags = Flag.QR | Flag.RA | (query.flags & (Flag.RD | Flag.CD)) | kept;
  message.writeUInt16BE(flags | (answer.truncated || !isWhole ? Flag.TC : 0), 2);
  if (!isWhole) message.fill(0, 6, HEADER);
  else if (agedSec > 0)
    for (const at of answer.ttls) message.writeUInt32BE(Math.max(0, message.readUInt32BE(at) - agedSec), at);
  if (opt > 0) {
    message.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
    writeOpt(message, length, answer.rcode >> 4, query.edns?.dnssecOk === true);
  }
  return message;
}
