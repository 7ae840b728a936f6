// Who is older has what two claim.
import { type KubeObject, keyOf } from "../kube/objects.ts";

/** Objects of files have no time: then by namespace and name. */
export function byAge(a: KubeObject, b: KubeObject): number {
  const [x, y] = [a, b].map(({ metadata }) => Date.parse(metadata.creationTimestamp ?? "") || 0);
  if (x !== y) return x - y;
  const [k, l] = [keyOf(a), keyOf(b)];
  return k < l ? -1 : k > l ? 1 : 0;
}
