// What changed between two lists of the same query.
import type { KubeObject } from "../../kube/objects.ts";

export type WatchType = "ADDED" | "MODIFIED" | "DELETED";

export interface WatchChange {
  type: WatchType;
  object: KubeObject;
}

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

export function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.uid ?? `${metadata.namespace}/${metadata.name}`}`;
}

/** What is made on the spot has no version. */
function isSame(a: KubeObject, b: KubeObject): boolean {
  const [x, y] = [a, b].map(({ metadata }) => metadata.resourceVersion);
  return x === undefined || y === undefined ? JSON.stringify(a) === JSON.stringify(b) : x === y;
}
