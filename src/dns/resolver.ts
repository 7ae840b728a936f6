/**
 * A query in, an answer out: what is ours from here, everything else from other servers, each domain's own where it has
 * some, and what they said from the cache.
 */
import { decode } from "dns-packet";
import { parseIp } from "../base/ip.ts";
import { type Answer, retell } from "./answer.ts";
import { searchedNames } from "./autopath.ts";
import { AnswerCache, type CacheOptions, type Kept } from "./cache.ts";
import type { Local, LocalAnswers, Plugin } from "./local-answers.ts";
import { fits, keyOfLabels, labelsBefore, labelsOf, splitName } from "./name.ts";
import { Class, Flag, type Query, Rcode, readQuery, Type } from "./query.ts";
import { questionOf } from "./question.ts";
import { bareReply, type Reply, type Rr, writeReply } from "./reply.ts";
import type { Protocol, Upstream } from "./upstream.ts";

export interface Client {
  readonly protocol: Protocol;
  /** Namespace of the pod that asks; undefined: it is none of a pod. */
  namespace(): string | undefined;
}

export interface Told {
  readonly message: Buffer;
  readonly rcode: number;
  /** Who answered, in CoreDNS' words; "": the server itself. */
  readonly by: Plugin | "forward" | "cache" | "autopath" | "";
}

export interface ResolverOptions {
  readonly local: LocalAnswers;
  readonly zone: string;
  readonly stubs: readonly { readonly domain: string; readonly upstream: Upstream }[];
  /** undefined: nobody is asked for other names. */
  readonly upstream: Upstream | undefined;
  readonly cache: CacheOptions;
  /** Domains that the machine's resolver goes through, after the cluster's; undefined: no autopath. */
  readonly search: readonly string[] | undefined;
  /** A question came that only this server asks: it was asked by itself. */
  isOwnQuestion(name: string): boolean;
}

export interface ResolverCounts {
  hits: number;
  denials: number;
  misses: number;
  autopaths: number;
}

const FAILED_MS = 1000; // RFC 9520 §3.2: not asked again so long
const FAILED_MAX = 10_000;
const ALIASES_MAX = 8;

export class Resolver {
  readonly counts: ResolverCounts = { hits: 0, denials: 0, misses: 0, autopaths: 0 };
  readonly #options: ResolverOptions;
  readonly #cache: AnswerCache;
  readonly #asked = new Map<string, Promise<Answer | undefined>>();
  readonly #failedUntil = new Map<string, number>();
  /** The longest domain first. */
  readonly #stubs: readonly { readonly labels: readonly string[]; readonly upstream: Upstream }[];

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#cache = new AnswerCache(options.cache);
    this.#stubs = options.stubs
      .map(({ domain, upstream }) => ({ labels: splitName(domain), upstream }))
      .sort((a, b) => b.labels.length - a.labels.length);
  }

  get cached(): number {
    return this.#cache.size;
  }

  /** At once where nobody is asked for it. `limit`: octets that the client takes. */
  answer(bytes: Buffer, query: Query, limit: number, client: Client): Told | Promise<Told> {
    const problem = problemOf(query);
    if (problem !== Rcode.NOERROR) return this.#told(bytes, query, bareReply(problem), limit, "");
    const local = this.#options.local.find(query);
    if (local !== undefined) return this.#ofLocal(local, bytes, query, limit, client);
    if (this.#options.isOwnQuestion(query.name))
      return this.#told(bytes, query, bareReply(Rcode.SERVFAIL), limit, "");
    const upstream = this.#upstreamOf(query.name);
    if (upstream === undefined) return this.#told(bytes, query, bareReply(Rcode.REFUSED), limit, "");
    const kept = this.#keptFor(query);
    if (kept !== undefined) {
      const agedSec = Math.floor((performance.now() - kept.sinceMs) / 1000);
      const message = retell(kept.answer, bytes, query, limit, agedSec);
      return { message, rcode: kept.answer.rcode, by: "cache" };
    }
    return this.#forward(upstream, bytes, query, client.protocol).then((answer) =>
      answer === undefined
        ? this.#told(bytes, query, bareReply(Rcode.SERVFAIL), limit, "forward")
        : { message: retell(answer, bytes, query, limit, 0), rcode: answer.rcode, by: "forward" },
    );
  }

  /** What went wrong here, as an answer. */
  failed(bytes: Buffer, query: Query, limit: number): Told {
    return this.#told(bytes, query, bareReply(Rcode.SERVFAIL), limit, "");
  }

  get #recursion(): boolean {
    return this.#options.upstream !== undefined;
  }

  #told(bytes: Buffer, query: Query, reply: Reply, limit: number, by: Told["by"]): Told {
    return { message: writeReply(bytes, query, reply, limit, this.#recursion), rcode: reply.rcode, by };
  }

  #ofLocal(local: Local, bytes: Buffer, query: Query, limit: number, client: Client): Told | Promise<Told> {
    const { reply, by } = local;
    if (reply.alias !== undefined)
      return this.#followed(reply, reply.alias, query.type).then((whole) =>
        this.#told(bytes, query, whole, limit, by),
      );
    if (reply.rcode === Rcode.NXDOMAIN && this.#options.search !== undefined) {
      const names = searchedNames(labelsOf(query.name), query.type, {
        zone: this.#options.zone,
        search: this.#options.search,
        namespace: () => client.namespace(),
      });
      if (names.length > 0)
        return this.#searched(names, query.type).then((found) =>
          this.#told(bytes, query, found ?? reply, limit, found === undefined ? by : "autopath"),
        );
    }
    const message = this.#options.local.tell(local, bytes, query, limit, this.#recursion);
    return { message, rcode: reply.rcode, by };
  }

  #upstreamOf(name: string): Upstream | undefined {
    if (this.#stubs.length === 0) return this.#options.upstream;
    const labels = labelsOf(name);
    const stub = this.#stubs.find((each) => labelsBefore(labels, each.labels) >= 0);
    return stub?.upstream ?? this.#options.upstream;
  }

  #keptFor(query: Query): Kept | undefined {
    const kept = this.#cache.get(cacheKey(query), performance.now());
    if (kept === undefined) this.counts.misses++;
    else if (kept.answer.isNegative) this.counts.denials++;
    else this.counts.hits++;
    return kept;
  }

  /** Who asks what somebody waits for already gets his answer. */
  #forward(upstream: Upstream, bytes: Buffer, query: Query, protocol: Protocol): Promise<Answer | undefined> {
    const key = `${cacheKey(query)} ${protocol}`;
    const nowMs = performance.now();
    if ((this.#failedUntil.get(key) ?? 0) > nowMs) return Promise.resolve(undefined);
    const waiting = this.#asked.get(key);
    if (waiting !== undefined) return waiting;
    const asked = upstream.ask(bytes, query, protocol).then((answer) => {
      this.#asked.delete(key);
      if (answer === undefined) this.#hasFailed(key);
      else this.#cache.put(cacheKey(query), answer, performance.now());
      return answer;
    });
    this.#asked.set(key, asked);
    return asked;
  }

  #hasFailed(key: string): void {
    if (this.#failedUntil.size >= FAILED_MAX) this.#failedUntil.clear();
    this.#failedUntil.set(key, performance.now() + FAILED_MS);
  }

  /** What an alias leads to stands behind it (RFC 1034 §3.6.2), and its code is the answer's (RFC 6604 §3). */
  async #followed(reply: Reply, alias: string, type: number): Promise<Reply> {
    const found = await this.#find(splitName(alias), type, ALIASES_MAX);
    if (found === undefined) return this.#recursion ? bareReply(Rcode.SERVFAIL) : reply;
    const answers = [...reply.answers, ...found.answers];
    const { authority } = found;
    return {
      ...reply,
      rcode: found.rcode,
      answers,
      authority: authority.length > 0 ? authority : reply.authority,
    };
  }

  /** The first of these names that there is, as an alias. */
  async #searched(names: readonly (readonly string[])[], type: number): Promise<Reply | undefined> {
    for (const labels of names) {
      const found = fits(labels) ? await this.#find(labels, type, ALIASES_MAX) : undefined;
      if (found === undefined || found.rcode !== Rcode.NOERROR || found.answers.length === 0) continue;
      this.counts.autopaths++;
      const ttl = Math.min(...found.answers.map((rr) => rr.ttl));
      const alias: Rr = { owner: "", ttl, type: Type.CNAME, target: labels.join(".") };
      return { ...bareReply(Rcode.NOERROR, true), answers: [alias, ...found.answers] };
    }
    return undefined;
  }

  /** Records of a name, with owners. undefined: nobody said. */
  async #find(labels: readonly string[], type: number, aliases: number): Promise<Reply | undefined> {
    const name = labels.join(".");
    const local = this.#options.local.lookup(labels, type)?.reply;
    if (local !== undefined) {
      const named = { ...local, answers: local.answers.map((rr) => owned(rr, name)) };
      if (local.alias === undefined || aliases === 0) return named;
      const rest = await this.#find(splitName(local.alias), type, aliases - 1);
      return rest === undefined ? undefined : { ...rest, answers: [...named.answers, ...rest.answers] };
    }
    const bytes = questionOf(keyOfLabels(labels), type);
    const query = readQuery(bytes);
    const upstream = query === undefined ? undefined : this.#upstreamOf(query.name);
    if (query === undefined || upstream === undefined) return undefined;
    const kept = this.#keptFor(query);
    const answer =
      kept?.answer ??
      (await this.#forward(upstream, bytes, query, "udp").then((first) =>
        first?.truncated === true ? this.#forward(upstream, bytes, query, "tcp") : first,
      ));
    return answer === undefined ? undefined : addressesIn(answer);
  }
}

function problemOf(query: Query): number {
  if (query.problem !== Rcode.NOERROR) return query.problem;
  if (query.class !== Class.IN && query.class !== Class.ANY) return Rcode.REFUSED;
  return query.type === Type.AXFR || query.type === Type.IXFR ? Rcode.REFUSED : Rcode.NOERROR;
}

/** What servers answer differently for is part of it. */
function cacheKey({ name, type, class: own, edns, flags }: Query): string {
  const extra = (edns?.dnssecOk === true ? 1 : 0) | (flags & (Flag.CD | Flag.AD));
  return `${name}${type} ${own} ${extra}`;
}

function owned(rr: Rr, name: string): Rr {
  return rr.owner === "" ? { ...rr, owner: name } : rr;
}

/** Addresses and aliases of another server's answer; of one that cannot be read: it failed. */
function addressesIn({ message, rcode }: Answer): Reply {
  try {
    const answers = (decode(message).answers ?? []).flatMap((each): Rr[] => {
      if (each.type === "CNAME")
        return [{ owner: each.name, ttl: each.ttl ?? 0, type: Type.CNAME, target: each.data }];
      if (each.type !== "A" && each.type !== "AAAA") return [];
      const address = parseIp(each.data);
      return address === null
        ? []
        : [{ owner: each.name, ttl: each.ttl ?? 0, type: Type[each.type], address }];
    });
    const names = answers.flatMap((rr) => [rr.owner, rr.type === Type.CNAME ? rr.target : rr.owner]);
    if (names.every((name) => fits(splitName(name)))) return { ...bareReply(rcode), answers };
  } catch {
    // its records are no records
  }
  return bareReply(Rcode.SERVFAIL);
}
