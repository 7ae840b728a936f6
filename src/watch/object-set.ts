// The objects a source has told of. A source that reads everything anew (a file, a list after a lost connection) turns
// the new set into the events that lead there: same content, no event; missing, DELETED.

import { deepEqual } from "../base/deep-equal.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import type { ObjectEvent } from "./desired-state.ts";

export class ObjectSet {
  readonly #objects = new Map<string, KubeObject>();

  /** All that was told and is not gone. */
  objects(): Iterable<KubeObject> {
    return this.#objects.values();
  }

  /** What of this name was told, and is not gone. */
  get(object: KubeObject): KubeObject | undefined {
    return this.#objects.get(idOf(object));
  }

  /** One event as it came; undefined when it changes nothing. */
  apply(event: ObjectEvent): ObjectEvent | undefined {
    const id = idOf(event.object);
    const old = this.#objects.get(id);
    if (event.type === "DELETED") {
      if (!this.#objects.delete(id)) return undefined;
      return event;
    }
    if (old !== undefined && deepEqual(old, event.object)) return undefined;
    this.#objects.set(id, event.object);
    return { type: old === undefined ? "ADDED" : "MODIFIED", object: event.object };
  }

  /** The events that lead from what was told to exactly `objects`. */
  replace(objects: readonly KubeObject[]): ObjectEvent[] {
    const wanted = new Set(objects.map(idOf));
    const gone = [...this.#objects].filter(([id]) => !wanted.has(id));
    const events: ObjectEvent[] = [];
    for (const [, object] of gone) events.push(this.apply({ type: "DELETED", object }) as ObjectEvent);
    for (const object of objects) {
      const event = this.apply({ type: "ADDED", object });
      if (event !== undefined) events.push(event);
    }
    return events;
  }
}

function idOf(object: KubeObject): string {
  return `${object.kind}/${keyOf(object)}`;
}
