/**
 * Answers of our own: records, and the message that they make. Written by hand: dns-packet does not compress names,
 * with which a headless Service's records would not fit a datagram; it reads in tests what is written here.
 */
import type { IpWords } from "../base/ip.ts";
import { labelsOf, splitName } from "./name.ts";
import { Class, Flag, HEADER, MESSAGE_MAX, type Query, Rcode, Type, UDP_MAX } from "./query.ts";

interface Common {
  /** Whose record it is; "": that of the question, as it was asked. */
  readonly owner: string;
  /** Seconds. */
  readonly ttl: number;
}

export type Rr = Common &
  (
    | { readonly type: typeof Type.A | typeof Type.AAAA; readonly address: IpWords }
    | { readonly type: typeof Type.CNAME | typeof Type.PTR | typeof Type.NS; readonly target: string }
    | {
        readonly type: typeof Type.SRV;
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      }
    | { readonly type: typeof Type.TXT; readonly text: string }
    | {
        readonly type: typeof Type.SOA;
        readonly primary: string;
        readonly mailbox: string;
        readonly serial: number;
        /** Seconds of refresh, retry, expire and minimum. */
        readonly times: readonly [number, number, number, number];
      }
  );

export interface Reply {
  readonly rcode: number;
  /** We are who says so. */
  readonly authoritative: boolean;
  readonly answers: readonly Rr[];
  readonly authority: readonly Rr[];
  readonly additional: readonly Rr[];
}

export const OPT_OCTETS = 11;
const POINTER = 0xc000;
const POINTER_MAX = 0x3fff;
const QUESTION_NAME = POINTER | HEADER;
const TEXT_MAX = 255; // octets of one character string

/** An answer without records. */
export function bareReply(rcode: number, authoritative = false): Reply {
  return { rcode, authoritative, answers: [], authority: [], additional: [] };
}

/** Written here and copied: one message at a time. */
const scratch = Buffer.alloc(MESSAGE_MAX + 1);

/** The second word of an answer's header, without TC and the code. */
export function answerFlags(query: number, authoritative: boolean, recursion: boolean): number {
  const flags = Flag.QR | (query & (Flag.OPCODE | Flag.RD | Flag.CD));
  return flags | (authoritative ? Flag.AA : 0) | (recursion ? Flag.RA : 0);
}

/**
 * The whole message of at most `limit` octets, with an OPT record where the query has one. Additional records that do
 * not fit are left out; answers that do not fit make it truncated.
 */
export function writeReply(
  bytes: Buffer,
  query: Query,
  reply: Reply,
  limit: number,
  recursion: boolean,
): Buffer {
  const hasOpt = query.edns !== undefined || query.problem === Rcode.BADVERS;
  const writer = new Writer(limit - (hasOpt ? OPT_OCTETS : 0));
  bytes.copy(scratch, HEADER, HEADER, query.end);
  writer.at = query.end;
  if (query.end > HEADER) writer.asked(query.name, bytes);
  const counts = [0, 0, 0];
  let isWhole = true;
  for (const [i, section] of [reply.answers, reply.authority, reply.additional].entries()) {
    for (const rr of isWhole ? section : []) {
      const before = writer.at;
      writer.record(rr);
      if (writer.at <= writer.limit) {
        counts[i]++;
        continue;
      }
      writer.back(before);
      if (i < 2) isWhole = false;
      break;
    }
  }
  const flags = answerFlags(query.flags, reply.authoritative, recursion) | (isWhole ? 0 : Flag.TC);
  scratch.writeUInt16BE(query.id, 0);
  scratch.writeUInt16BE(flags | (reply.rcode & Flag.RCODE), 2);
  scratch.writeUInt16BE(query.end > HEADER ? 1 : 0, 4);
  for (const [i, count] of counts.entries()) scratch.writeUInt16BE(count, 6 + 2 * i);
  if (!hasOpt) return Buffer.from(scratch.subarray(0, writer.at));
  const length = writer.at;
  const message = Buffer.allocUnsafe(length + OPT_OCTETS);
  scratch.copy(message, 0, 0, length);
  message.writeUInt16BE(counts[2] + 1, 10);
  writeOpt(message, length, reply.rcode >> 4, query.edns?.dnssecOk === true);
  return message;
}

/** Our OPT record: of the root, with what we take by UDP. */
export function writeOpt(message: Buffer, at: number, extendedRcode: number, dnssecOk: boolean): void {
  message[at] = 0;
  message.writeUInt16BE(Type.OPT, at + 1);
  message.writeUInt16BE(UDP_MAX, at + 3);
  message[at + 5] = extendedRcode;
  message[at + 6] = 0; // version
  message.writeUInt16BE(dnssecOk ? 0x8000 : 0, at + 7);
  message.writeUInt16BE(0, at + 9);
}

/**
 * Into `scratch`. What goes beyond the limit is written and taken back by the caller: there is room for any one
 * record.
 */
class Writer {
  at = HEADER;
  readonly limit: number;
  /** Text of a name → where it stands. */
  readonly #names = new Map<string, number>();

  constructor(limit: number) {
    this.limit = Math.min(limit, MESSAGE_MAX - 2048); // one more record fits always
  }

  /** The question's name can be pointed at, and what it ends with, where it is written as we write names. */
  asked(key: string, bytes: Buffer): void {
    if (bytes.toString("latin1", HEADER, HEADER + key.length) !== key) return;
    const labels = labelsOf(key);
    let at = HEADER;
    for (const [i, label] of labels.entries()) {
      this.#names.set(labels.slice(i).join("."), at);
      at += label.length + 1;
    }
  }

  /** Forgets what stands from here on. */
  back(at: number): void {
    this.at = at;
    for (const [name, where] of this.#names) if (where >= at) this.#names.delete(name);
  }

  record(rr: Rr): void {
    if (rr.owner === "") this.#word(QUESTION_NAME);
    else this.#name(rr.owner);
    this.#word(rr.type);
    this.#word(Class.IN);
    this.#long(rr.ttl);
    const length = this.at;
    this.at += 2;
    this.#data(rr);
    scratch.writeUInt16BE(this.at - length - 2, length);
  }

  #data(rr: Rr): void {
    switch (rr.type) {
      case Type.A:
        this.#long(rr.address.w3);
        break;
      case Type.AAAA:
        for (const part of [rr.address.w0, rr.address.w1, rr.address.w2, rr.address.w3]) this.#long(part);
        break;
      case Type.CNAME:
      case Type.PTR:
      case Type.NS:
        this.#name(rr.target);
        break;
      case Type.SRV:
        for (const part of [rr.priority, rr.weight, rr.port]) this.#word(part);
        this.#name(rr.target, false); // RFC 2782: not compressed
        break;
      case Type.TXT:
        this.#text(rr.text);
        break;
      case Type.SOA:
        this.#name(rr.primary);
        this.#name(rr.mailbox);
        for (const part of [rr.serial, ...rr.times]) this.#long(part);
        break;
    }
  }

  #name(text: string, compress = true): void {
    const labels = splitName(text);
    for (const [i, label] of labels.entries()) {
      const rest = labels.slice(i).join(".");
      const known = this.#names.get(rest);
      if (known !== undefined && compress) {
        this.#word(POINTER | known);
        return;
      }
      if (known === undefined && this.at <= POINTER_MAX) this.#names.set(rest, this.at);
      scratch[this.at++] = label.length;
      this.at += scratch.write(label, this.at, "latin1");
    }
    scratch[this.at++] = 0;
  }

  #text(text: string): void {
    const octets = Buffer.from(text).subarray(0, TEXT_MAX);
    scratch[this.at++] = octets.length;
    this.at += octets.copy(scratch, this.at);
  }

  #word(value: number): void {
    this.at = scratch.writeUInt16BE(value, this.at);
  }

  #long(value: number): void {
    this.at = scratch.writeInt32BE(value | 0, this.at);
  }
}
