/**
 * Services as numbers: V8 copies objects field by field, names and all, and keeps ten times what they say. A change of
 * them is packed for its way to the plane's thread (a cluster's endpoints took half of their load for that), and a
 * service port as a text for whoever has to remember what it was. All of ServicePortSpec has to be here: a test holds it
 * to that.
 */
import { textOfWords, wordsOfText } from "../../base/words-text.ts";
import type {
  ClassAction,
  EndpointSpec,
  FrontendSpec,
  ServicePortSpec,
  ServiceUpdate,
  SourceRange,
} from "./services.ts";

export interface PackedServices {
  readonly words: Int32Array;
  /** Names of the service ports, in their order. */
  readonly names: readonly string[];
}

/** Of a field that is left out. */
const NONE = -1;

/** One message's change: `together` was for whoever made messages of it. */
export function packServices({ upsert, remove }: ServiceUpdate): PackedServices {
  writer.begin();
  writer.list(remove);
  writer.add(upsert.length);
  for (const spec of upsert) addSpec(spec);
  return { words: writer.words(), names: upsert.map(({ name }) => name) };
}

export function unpackServices({ words, names }: PackedServices): ServiceUpdate {
  const reader = new Reader(words);
  const remove = reader.list();
  const upsert: ServicePortSpec[] = [];
  for (let left = reader.next(); left > 0; left--) upsert.push(readSpec(reader, names[upsert.length]));
  return { upsert, remove };
}

/** All that a service port says but for its name: equal texts, equal service ports. */
export function specText(spec: ServicePortSpec): string {
  writer.begin();
  addSpec(spec);
  return textOfWords(writer.words());
}

export function specOfText(text: string, name: string): ServicePortSpec {
  return readSpec(new Reader(wordsOfText(text)), name);
}

class Writer {
  #words = new Int32Array(1 << 12);
  #length = 0;

  begin(): void {
    this.#length = 0;
  }

  add(word: number): void {
    if (this.#length === this.#words.length) {
      const words = new Int32Array(2 * this.#length);
      words.set(this.#words);
      this.#words = words;
    }
    this.#words[this.#length++] = word;
  }

  list(words: readonly number[]): void {
    this.add(words.length);
    for (const word of words) this.add(word);
  }

  address(a: { w0: number; w1: number; w2: number; w3: number }): void {
    this.add(a.w0);
    this.add(a.w1);
    this.add(a.w2);
    this.add(a.w3);
  }

  words(): Int32Array {
    return this.#words.slice(0, this.#length);
  }
}

class Reader {
  readonly #words: Int32Array;
  #at = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  next(): number {
    return this.#words[this.#at++];
  }

  list(): number[] {
    const list: number[] = [];
    for (let left = this.next(); left > 0; left--) list.push(this.next());
    return list;
  }
}

const writer = new Writer();

function addSpec(spec: ServicePortSpec): void {
  writer.add(spec.id);
  writer.add(spec.protocol);
  writer.add(spec.affinitySec);
  writer.add(flagWord(spec.ownAffinity));
  writer.add(spec.scheduler ?? NONE);
  writer.add(flagWord(spec.sharedSchedule));
  if (spec.digest === undefined) writer.add(NONE);
  else writer.list(spec.digest);
  writer.add(spec.endpoints.length);
  for (const endpoint of spec.endpoints) {
    writer.address(endpoint);
    writer.add(endpoint.port);
    writer.add(endpoint.flags);
    writer.add(endpoint.weight ?? NONE);
  }
  writer.add(spec.sets.length);
  for (const set of spec.sets) writer.list(set);
  writer.add(spec.frontends.length);
  for (const frontend of spec.frontends) addFrontend(frontend);
}

/** Of what may be left out. */
function flagWord(flag: boolean | undefined): number {
  return flag === undefined ? NONE : Number(flag);
}

function addFrontend(frontend: FrontendSpec): void {
  writer.add(frontend.kind);
  writer.address(frontend);
  writer.add(frontend.family);
  writer.add(frontend.port);
  writer.add(frontend.sourceRanges?.length ?? NONE);
  for (const range of frontend.sourceRanges ?? []) {
    writer.address(range);
    writer.add(range.prefixLen);
  }
  for (const { action, set, masquerade } of frontend.byClass) {
    writer.add(action);
    writer.add(set);
    writer.add(Number(masquerade));
  }
}

function readSpec(r: Reader, name: string): ServicePortSpec {
  const [id, protocol, affinitySec] = [r.next(), r.next(), r.next()];
  const [ownAffinity, scheduler, sharedSchedule] = [r.next(), r.next(), r.next()];
  const digest: number[] = [];
  const digestWords = r.next();
  for (let i = 0; i < digestWords; i++) digest.push(r.next());
  const endpoints: EndpointSpec[] = [];
  for (let left = r.next(); left > 0; left--) endpoints.push(readEndpoint(r));
  const sets: number[][] = [];
  for (let left = r.next(); left > 0; left--) sets.push(r.list());
  const frontends: FrontendSpec[] = [];
  for (let left = r.next(); left > 0; left--) frontends.push(readFrontend(r));
  const spec: ServicePortSpec = { id, name, protocol, affinitySec, endpoints, sets, frontends };
  if (ownAffinity !== NONE) spec.ownAffinity = ownAffinity === 1;
  if (scheduler !== NONE) spec.scheduler = scheduler;
  if (sharedSchedule !== NONE) spec.sharedSchedule = sharedSchedule === 1;
  if (digestWords !== NONE) spec.digest = digest;
  return spec;
}

function readEndpoint(r: Reader): EndpointSpec {
  const [w0, w1, w2, w3] = [r.next(), r.next(), r.next(), r.next()];
  const [port, flags, weight] = [r.next(), r.next(), r.next()];
  return weight === NONE ? { w0, w1, w2, w3, port, flags } : { w0, w1, w2, w3, port, flags, weight };
}

function readFrontend(r: Reader): FrontendSpec {
  const kind = r.next();
  const [w0, w1, w2, w3] = [r.next(), r.next(), r.next(), r.next()];
  const family = r.next() as 4 | 6;
  const port = r.next();
  const count = r.next();
  const ranges: SourceRange[] = [];
  for (let i = 0; i < count; i++)
    ranges.push({ w0: r.next(), w1: r.next(), w2: r.next(), w3: r.next(), prefixLen: r.next() });
  const byClass: FrontendSpec["byClass"] = [readAction(r), readAction(r), readAction(r)];
  return { kind, w0, w1, w2, w3, family, port, sourceRanges: count === NONE ? null : ranges, byClass };
}

function readAction(r: Reader): ClassAction {
  return { action: r.next(), set: r.next(), masquerade: r.next() === 1 };
}
