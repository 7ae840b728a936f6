// podwire get -w: what becomes of objects, until Ctrl-C. The lab is asked again and again; a change that is undone
// between two questions is not seen.
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeObject } from "../../control/objects.ts";

const INTERVAL_MS = 200;

export type WatchEvent = "ADDED" | "MODIFIED" | "DELETED";

/** Changes between two lists of the same query. */
export function changesBetween(
  before: readonly KubeObject[],
  after: readonly KubeObject[],
): { type: WatchEvent; object: KubeObject }[] {
  const id = (object: KubeObject): string => `${object.kind}/${object.metadata.uid ?? object.metadata.name}`;
  const old = new Map(before.map((object) => [id(object), object]));
  const now = new Set(after.map(id));
  const gone = before.filter((object) => !now.has(id(object)));
  const rest = after.flatMap((object): { type: WatchEvent; object: KubeObject }[] => {
    const was = old.get(id(object));
    if (was === undefined) return [{ type: "ADDED", object }];
    const isSame = was.metadata.resourceVersion === object.metadata.resourceVersion;
    return isSame ? [] : [{ type: "MODIFIED", object }];
  });
  return [...gone.map((object) => ({ type: "DELETED" as const, object })), ...rest];
}

export async function watchObjects(
  first: KubeObject[],
  list: () => Promise<KubeObject[]>,
  show: (type: WatchEvent, object: KubeObject) => Promise<void>,
): Promise<void> {
  let before = first;
  for (;;) {
    await sleep(INTERVAL_MS);
    const after = await list();
    for (const { type, object } of changesBetween(before, after)) await show(type, object);
    before = after;
  }
}
