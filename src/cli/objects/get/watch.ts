// podwire get -w: what becomes of objects, as the lab tells it. An agent tells nothing by itself: it is asked again.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeObject } from "../../../kube/objects.ts";
import type { Nodes } from "../../nodes/nodes.ts";
import { type WatchChange, watchKinds } from "../watch-objects.ts";

export interface Watched {
  /** What was shown already. */
  listed: readonly KubeObject[];
  /** All that is asked for, as it is now. */
  list(): Promise<KubeObject[]>;
  /** Whether an object is asked for. */
  matches(object: KubeObject): boolean;
}

/** Kinds that are made of others on the spot. */
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  Endpoints: ["Endpoints", "Service", "EndpointSlice"],
  WorkloadEndpoint: ["Pod"],
};

const ASK_AGAIN_MS = 1000;

/** Changes without end. What is made of other objects is asked for when those change. */
export async function* changesOf(
  { lab }: Pick<Nodes, "lab">,
  kinds: readonly string[],
  { listed, list, matches }: Watched,
): AsyncIterable<WatchChange> {
  if (lab === undefined) {
    for (let before = listed; ; await sleep(ASK_AGAIN_MS)) {
      const after = await list();
      yield* changesBetween(before, after);
      before = after;
    }
  }
  const sources = kinds.flatMap((kind) => SOURCES[kind] ?? [kind]);
  const isDerived = kinds.some((kind) => SOURCES[kind] !== undefined);
  const watch = await watchKinds(lab, sources);
  const first = isDerived ? await list() : watch.first.filter(matches);
  yield* changesBetween(listed, first);
  if (isDerived) {
    let before = first;
    for await (const _ of watch.changes) {
      const after = await list();
      yield* changesBetween(before, after);
      before = after;
    }
    return;
  }
  const shown = new Shown(first);
  for await (const change of watch.changes) yield* shown.seen(change, matches);
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

/** Changes between two lists of the same query. */
export function changesBetween(before: readonly KubeObject[], after: readonly KubeObject[]): WatchChange[] {
  const old = new Map(before.map((object) => [idOf(object), object]));
  const now = new Set(after.map(idOf));
  const gone = before.filter((object) => !now.has(idOf(object)));
  const rest = after.flatMap((object): WatchChange[] => {
    const was = old.get(idOf(object));
    if (was === undefined) return [{ type: "ADDED", object }];
    return isSame(was, object) ? [] : [{ type: "MODIFIED", object }];
  });
  return [...gone.map((object) => ({ type: "DELETED" as const, object })), ...rest];
}

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.uid ?? `${metadata.namespace}/${metadata.name}`}`;
}

/** What is made on the spot has no version. */
function isSame(a: KubeObject, b: KubeObject): boolean {
  const [x, y] = [a, b].map(({ metadata }) => metadata.resourceVersion);
  return x === undefined || y === undefined ? JSON.stringify(a) === JSON.stringify(b) : x === y;
}
