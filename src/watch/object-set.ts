// The objects a source has told of. A source that reads everything anew (a file, a list after a lost connection) turns
// the new set into the events that lead there: same content, no event; missing, DELETED.

import { deepEqual } from "../base/deep-equal.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { ObjectEvent } from "./desired-state.ts";

export class ObjectSet {
  /** By kind and namespace, then by name, which the object has anyway: a key of all three would be a text of its own. */
  readonly #objects = new Map<string, Map<string, Map<string, KubeObject>>>();

  /** All that was told and is not gone. */
  *objects(): Iterable<KubeObject> {
    for (const ofKind of this.#objects.values()) for (const named of ofKind.values()) yield* named.values();
  }

  /** What of this name was told, and is not gone. */
  get({ kind, metadata: { namespace = "", name } }: KubeObject): KubeObject | undefined {
    return this.#objects.get(kind)?.get(namespace)?.get(name);
  }

  /** One event as it came; undefined when it changes nothing. */
  apply(event: ObjectEvent): ObjectEvent | undefined {
    const { object } = event;
    const old = this.get(object);
    if (event.type === "DELETED") {
      if (old !== undefined) this.#delete(object);
      return old === undefined ? undefined : event;
    }
    if (old !== undefined && deepEqual(old, object)) return undefined;
    this.#put(object);
    return { type: old === undefined ? "ADDED" : "MODIFIED", object };
  }

  #put(object: KubeObject): void {
    const { namespace = "", name } = object.metadata;
    const ofKind = this.#objects.get(object.kind) ?? new Map<string, Map<string, KubeObject>>();
    const named = ofKind.get(namespace) ?? new Map<string, KubeObject>();
    this.#objects.set(object.kind, ofKind.set(namespace, named.set(name, object)));
  }

  #delete({ kind, metadata: { namespace = "", name } }: KubeObject): void {
    const ofKind = this.#objects.get(kind);
    const named = ofKind?.get(namespace);
    named?.delete(name);
    if (named?.size === 0) ofKind?.delete(namespace);
  }

  /** The events that lead from what was told to exactly `objects`. */
  replace(objects: readonly KubeObject[]): ObjectEvent[] {
    const wanted = new ObjectSet();
    for (const object of objects) wanted.#put(object);
    const gone = [...this.objects()].filter((object) => wanted.get(object) === undefined);
    const events: ObjectEvent[] = [];
    for (const object of gone) events.push(this.apply({ type: "DELETED", object }) as ObjectEvent);
    for (const object of objects) {
      const event = this.apply({ type: "ADDED", object });
      if (event !== undefined) events.push(event);
    }
    return events;
  }
}
