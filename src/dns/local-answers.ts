/**
 * What this server says of its own: names of the configuration, of the cluster's zone, names for the cluster's
 * addresses. Answers are kept as the bytes that they make, each until something changes that it was made of: most queries
 * ask what was asked before.
 */
import type { Hosts } from "./hosts.ts";
import { labelsOf } from "./name.ts";
import { Flag, HEADER, MESSAGE_MAX, type Query, Rcode, Type } from "./query.ts";
import { questionOf } from "./question.ts";
import { answerFlags, bareReply, OPT_OCTETS, type Rr, writeOpt, writeReply } from "./reply.ts";
import { isReverse } from "./reverse.ts";
import type { Zone, ZoneAnswer } from "./zone.ts";
import type { ZoneObjects } from "./zone-objects.ts";

/** Who answered, in CoreDNS' words. */
export type Plugin = "kubernetes" | "hosts";

export interface Local {
  readonly reply: ZoneAnswer;
  readonly by: Plugin;
  /** The whole message, its question's name in lower case. */
  readonly message: Buffer;
  /** Octets of each answer, where all are addresses of the question's name and there is more than one; else 0. */
  readonly each: number;
}

export interface LocalOptions {
  readonly hosts: Hosts;
  readonly zone: Zone | undefined;
  readonly objects: ZoneObjects;
  /** All objects have been seen. */
  isSynced(): boolean;
  /** Names for addresses that nobody here has are somebody else's to tell. */
  readonly passesReverse: boolean;
}

const KEPT_MAX = 20_000;
const ADDRESS_OCTETS: Readonly<Record<number, number>> = { [Type.A]: 16, [Type.AAAA]: 28 };

interface Kept {
  readonly local: Local;
  readonly facts: ReadonlySet<string>;
  /** Of the zone, where the answer tells it. */
  readonly serial: number | undefined;
}

export class LocalAnswers {
  readonly #options: LocalOptions;
  readonly #kept = new Map<string, Kept>();
  /** What each fact is part of. */
  readonly #madeOf = new Map<string, Set<string>>();
  #turn = 0;

  constructor(options: LocalOptions) {
    this.#options = options;
    options.objects.onChanged = (fact) => {
      for (const key of this.#madeOf.get(fact) ?? []) this.#drop(key);
    };
  }

  /** undefined: others are to be asked. The query has a question of class IN. */
  find(query: Query): Local | undefined {
    const { zone, objects, isSynced } = this.#options;
    const key = `${query.name}${query.type}`;
    const known = this.#kept.get(key);
    if (known !== undefined && (known.serial === undefined || known.serial === zone?.serial))
      return known.local;
    if (known !== undefined) this.#drop(key); // its names are as they were, what the zone says of itself is not
    const { found, facts } = objects.reading(() => this.lookup(labelsOf(query.name), query.type));
    if (found === undefined) return undefined;
    const local = { ...found, ...encoded(found.reply, query) };
    const serial = tellsSerial(found.reply) ? zone?.serial : undefined;
    if (isSynced()) this.#keep(key, { local, facts, serial });
    return local;
  }

  #keep(key: string, kept: Kept): void {
    if (this.#kept.size >= KEPT_MAX) {
      this.#kept.clear();
      this.#madeOf.clear();
    }
    this.#kept.set(key, kept);
    for (const fact of kept.facts) {
      const keys = this.#madeOf.get(fact);
      if (keys === undefined) this.#madeOf.set(fact, new Set([key]));
      else keys.add(key);
    }
  }

  #drop(key: string): void {
    for (const fact of this.#kept.get(key)?.facts ?? []) {
      const keys = this.#madeOf.get(fact);
      keys?.delete(key);
      if (keys?.size === 0) this.#madeOf.delete(fact);
    }
    this.#kept.delete(key);
  }

  lookup(labels: readonly string[], type: number): { reply: ZoneAnswer; by: Plugin } | undefined {
    const { hosts, zone } = this.#options;
    const ofHosts = hosts.lookup(labels, type);
    if (ofHosts !== undefined) return { reply: ofHosts, by: "hosts" };
    if (zone === undefined) return undefined;
    const reply = this.#ofZone(zone, labels, type);
    return reply === undefined ? undefined : { reply, by: "kubernetes" };
  }

  #ofZone(zone: Zone, labels: readonly string[], type: number): ZoneAnswer | undefined {
    const { isSynced, passesReverse } = this.#options;
    const isReversed = isReverse(labels);
    if (!isReversed && !zone.holds(labels)) return undefined;
    if (!isSynced()) return bareReply(Rcode.SERVFAIL);
    if (!isReversed) return zone.lookup(labels, type);
    const found = zone.reverse(labels, type);
    if (found !== undefined || passesReverse) return found;
    return { ...bareReply(Rcode.NXDOMAIN, true), authority: [zone.soa(labels.slice(-2).join("."))] };
  }

  /** For this client: his id, his letters, no longer than he takes; of several addresses each comes first in turn. */
  tell(local: Local, bytes: Buffer, query: Query, limit: number, recursion: boolean): Buffer {
    const { message: whole, reply, each } = local;
    const opt = query.edns === undefined ? 0 : OPT_OCTETS;
    const count = reply.answers.length;
    const first = each === 0 ? 0 : this.#turn++ % count;
    if (whole.length + opt > limit) {
      const answers = [...reply.answers.slice(first), ...reply.answers.slice(0, first)];
      return writeReply(bytes, query, { ...reply, answers }, limit, recursion);
    }
    const message = Buffer.allocUnsafe(whole.length + opt);
    whole.copy(message);
    if (first > 0) {
      const from = query.end + first * each;
      const end = query.end + count * each;
      whole.copy(message, whole.copy(message, query.end, from, end) + query.end, query.end, from);
    }
    bytes.copy(message, HEADER, HEADER, query.end);
    message.writeUInt16BE(query.id, 0);
    const flags = answerFlags(query.flags, reply.authoritative, recursion);
    message.writeUInt16BE(flags | (reply.rcode & Flag.RCODE), 2);
    if (opt > 0) {
      message.writeUInt16BE(reply.additional.length + 1, 10);
      writeOpt(message, whole.length, reply.rcode >> 4, query.edns?.dnssecOk === true);
    }
    return message;
  }
}

function encoded(reply: ZoneAnswer, query: Query): Pick<Local, "message" | "each"> {
  const question = questionOf(query.name, query.type);
  const plain: Query = { ...query, id: 0, flags: 0, edns: undefined, end: question.length };
  const { answers } = reply;
  const each =
    answers.length > 1 && answers.every((rr) => isLike(rr, answers[0])) ? ADDRESS_OCTETS[answers[0].type] : 0;
  return { message: writeReply(question, plain, reply, MESSAGE_MAX, false), each: each ?? 0 };
}

const tellsSerial = ({ answers, authority }: ZoneAnswer): boolean =>
  [...answers, ...authority].some(({ type }) => type === Type.SOA);

function isLike(rr: Rr, other: Rr): boolean {
  return rr.owner === "" && rr.type === other.type;
}
