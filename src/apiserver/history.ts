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

export class History {
  /** Changes up to this one are forgotten. */
  #compacted: number;
  /** A ring: the oldest at `#first`. */
  readonly #events: HistoryEvent[] = [];
  #first = 0;
  readonly #max: number;

  /** `max`: so many changes are kept. */
  constructor(store: Store, max: number) {
    this.#compacted = store.version;
    this.#max = max;
  }

  get compacted(): number {
    return this.#compacted;
  }

  add({ type, object, old }: StoreEvent): HistoryEvent {
    const event = { version: versionOf(object), type, object, old };
    if (this.#events.length < this.#max) this.#events.push(event);
    else {
      this.#compacted = this.#events[this.#first].version;
      this.#events[this.#first] = event;
      this.#first = (this.#first + 1) % this.#max;
    }
    return event;
  }

  /** Changes after `version`, in order; undefined: they are forgotten. */
  since(version: number): HistoryEvent[] | undefined {
    if (version < this.#compacted) return undefined;
    const { length } = this.#events;
    const at = (i: number): HistoryEvent => this.#events[(this.#first + i) % length];
    let [low, high] = [0, length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(middle).version <= version) low = middle + 1;
      else high = middle;
    }
    return Array.from({ length: length - low }, (_, i) => at(low + i));
  }
}
