// podwire get -w: what becomes of objects, as the API tells it. An agent tells nothing by itself: it is asked again.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeObject } from "../../../kube/objects.ts";
import type { ApiClient } from "../../api/api-client.ts";
import { changesBetween, idOf, type WatchChange } from "../../api/changes-between.ts";
import { type Followed, watchKinds } from "../../api/watch-objects.ts";

export interface Watched {
  /** What was shown already. */
  listed: readonly KubeObject[];
  /** All that is asked for, as it is now. */
  list(): Promise<KubeObject[]>;
  /** Whether an object is asked for. */
  matches(object: KubeObject): boolean;
}

/** A kind that is shown; `served` where an API has its objects. */
export interface WatchedKind {
  readonly kind: string;
  readonly followed?: Followed;
}

/** Kinds that are made of others on the spot. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  Endpoints: ["Endpoints", "Service", "EndpointSlice"],
  WorkloadEndpoint: ["Pod"],
};

const ASK_AGAIN_MS = 1000;

/** Changes without end. What is made of other objects is asked for when those change. */
export async function* changesOf(
  api: ApiClient | undefined,
  kinds: readonly WatchedKind[],
  { listed, list, matches }: Watched,
): AsyncIterable<WatchChange> {
  if (api === undefined) {
    for (let before = listed; ; await sleep(ASK_AGAIN_MS)) {
      const after = await list();
      yield* changesBetween(before, after);
      before = after;
    }
  }
  const isDerived = kinds.some(({ kind }) => SOURCES[kind] !== undefined);
  if (!isDerived) {
    const watch = await watchKinds(
      api,
      kinds.flatMap(({ followed }) => followed ?? []),
    );
    const shown = new Shown(listed);
    for await (const change of watch.changes) yield* shown.seen(change, matches);
    return;
  }
  const words = kinds.flatMap(({ kind }) => SOURCES[kind] ?? [kind]);
  const resources = await Promise.all([...new Set(words)].map((word) => api.resource(word)));
  const watch = await watchKinds(
    api,
    resources.map((resource) => ({ resource })),
  );
  let before = await list();
  yield* changesBetween(listed, before);
  for await (const _ of watch.changes) {
    const after = await list();
    yield* changesBetween(before, after);
    before = after;
  }
}

/** Which objects a watcher has: one that fits no longer is deleted for him, one that fits now is new. */
export class Shown {
  readonly #ids: Set<string>;

  constructor(objects: readonly KubeObject[]) {
    this.#ids = new Set(objects.map(idOf));
  }

  seen({ type, object }: WatchChange, matches: (object: KubeObject) => boolean): WatchChange[] {
    const id = idOf(object);
    const was = this.#ids.has(id);
    const is = type !== "DELETED" && matches(object);
    if (is) this.#ids.add(id);
    else this.#ids.delete(id);
    if (is) return [{ type: was ? "MODIFIED" : "ADDED", object }];
    return was ? [{ type: "DELETED", object }] : [];
  }
}
