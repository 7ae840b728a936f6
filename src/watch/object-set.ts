// The objects a source has told of. A source that reads everything anew (a file, a list after a lost connection) turns
// the new set into the events that lead there: same content, no event; missing, DELETED.

import { deepEqual } from "../base/deep-equal.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import type { ObjectEvent } from "./desired-state.ts";

export class ObjectSet {
  /** By kind, then by namespace and name: of 40,000 objects a key that names the kind as well takes 3 MiB more. */
  readonly #objects = new Map<string, Map<string, KubeObject>>();

  /** All that was told and is not gone. */
  *objects(): Iterable<KubeObject> {
    for (const ofKind of this.#objects.values()) yield* ofKind.values();
  }

  /** What of this name was told, and is not gone. */
  get(object: KubeObject): KubeObject | undefined {
    return this.#objects.get(object.kind)?.get(keyOf(object));
  }

  /** One event as it came; undefined when it changes nothing. */
  apply(event: ObjectEvent): ObjectEvent | undefined {
    const { kind } = event.object;
    const key = keyOf(event.object);
    const ofKind = this.#objects.get(kind) ?? new Map<string, KubeObject>();
    if (event.type === "DELETED") return ofKind.delete(key) ? event : undefined;
    const old = ofKind.get(key);
    if (old !== undefined && deepEqual(old, event.object)) return undefined;
    ofKind.set(key, event.object);
    this.#objects.set(kind, ofKind);
    return { type: old === undefined ? "ADDED" : "MODIFIED", object: event.object };
  }

  /** The events that lead from what was told to exactly `objects`. */
  replace(objects: readonly KubeObject[]): ObjectEvent[] {
    const wanted = new Set(objects.map(idOf));
    const gone = [...this.objects()].filter((object) => !wanted.has(idOf(object)));
    const events: ObjectEvent[] = [];
    for (const object of gone) events.push(this.apply({ type: "DELETED", object }) as ObjectEvent);
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
