// The last changes of a store, by resourceVersion: what a watch that was cut goes on with. Of a change that nobody has
// any more, a client is told so, and lists anew.
import type { EventType, Store, StoreEvent } from "../cluster/store.ts";
import type { KubeObject } from "../kube/objects.ts";

export interface HistoryEvent {
  readonly version: number;
  readonly type: EventType;
  readonly object: KubeObject;
  /** What it replaced: whether a selector matched before. */
  readonly old: KubeObject | undefined;
}

/** Its version's text, of an object as the store has it. */
function versionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion ?? 0);
}

const FORGOTTEN = { version: 0 } as HistoryEvent;
/** Objects may have megabytes: of such ones fewer changes are kept. */
const CHARACTERS_MAX = 128 << 20;
/** Of an object that is larger nobody counts on: it is taken for as large as one may be. */
const LARGE = 1 << 20;
const LARGEST = 4 << 20;

export class History {
  /** Changes up to this one are forgotten. */
  #compacted: number;
  /** The oldest at `#first`; what is before it was forgotten. */
  readonly #events: HistoryEvent[] = [];
  readonly #sizes: number[] = [];
  #first = 0;
  #size = 0;
  readonly #max: number;
  readonly #charactersMax: number;

  /** `max`: so many changes are kept; `charactersMax`: the texts of all of them, about. */
  constructor(store: Store, max: number, charactersMax = CHARACTERS_MAX) {
    this.#compacted = store.version;
    this.#max = max;
    this.#charactersMax = charactersMax;
  }

  get compacted(): number {
    return this.#compacted;
  }

  add({ type, object, old }: StoreEvent): HistoryEvent {
    const event = { version: versionOf(object), type, object, old };
    const size = sizeOf(object);
    this.#events.push(event);
    this.#sizes.push(size);
    this.#size += size;
    while (this.#events.length - this.#first > this.#max || this.#size > this.#charactersMax) this.#forget();
    if (this.#first > this.#max) {
      for (const each of [this.#events, this.#sizes]) each.splice(0, this.#first);
      this.#first = 0;
    }
    return event;
  }

  #forget(): void {
    this.#compacted = this.#events[this.#first].version;
    this.#size -= this.#sizes[this.#first];
    this.#events[this.#first++] = FORGOTTEN; // its place stays for a while
  }

  /** Changes after `version`, in order; undefined: they are forgotten. */
  since(version: number): HistoryEvent[] | undefined {
    if (version < this.#compacted) return undefined;
    let [low, high] = [this.#first, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle].version <= version) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }
}

/** Characters of its texts and names, about. */
function sizeOf(object: object): number {
  let size = 0;
  const waiting: object[] = [object];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (size > LARGE) return LARGEST;
    if (Array.isArray(at)) {
      for (const value of at) {
        size += typeof value === "string" ? value.length : 8;
        if (typeof value === "object" && value !== null) waiting.push(value);
      }
      continue;
    }
    for (const name of Object.keys(at)) {
      const value = (at as Record<string, unknown>)[name];
      size += name.length + (typeof value === "string" ? value.length : 8);
      if (typeof value === "object" && value !== null) waiting.push(value);
    }
  }
  return size;
}
