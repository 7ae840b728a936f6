// Objects of a cluster deleted by their names, as its API deletes them: one after the other.
import type { Cluster } from "../../cluster/cluster.ts";
import type { DeletionOptions } from "../../cluster/cluster-options.ts";

/** `word`: any of kubectl's for the kind. Throws where one is not there. */
export function deleteNamed(
  cluster: Cluster,
  word: string,
  namespace: string,
  names: readonly string[],
  graceSeconds?: number,
  options: DeletionOptions = {},
): void {
  const { kind, namespaced } = cluster.kindOf(word);
  for (const name of names) {
    const object = cluster.get(kind, namespaced ? `${namespace}/${name}` : name);
    if (object === undefined) throw new Error(`there is no ${word} ${name} to delete`);
    cluster.delete(object, { ...options, graceSeconds });
  }
}
