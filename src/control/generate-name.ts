// metadata.generateName, where an object has no name: one is made, five letters of Kubernetes' alphabet behind it. They
// come from the object's place among those of its call instead of chance, so that the same manifests, applied again,
// mean the same objects.
import { nameSuffix } from "./hash.ts";
import type { KubeObject } from "./objects.ts";

const BASE_MAX = 58; // with the five letters a label

export class NameMaker {
  readonly #made = new Map<string, number>();

  /** The object with a name; itself when it has one. */
  named<T extends KubeObject>(object: T): T {
    const { name, namespace = "", generateName = "" } = object.metadata ?? {};
    if ((name ?? "") !== "" || generateName === "") return object;
    const base = generateName.slice(0, BASE_MAX);
    const key = `${object.kind}/${namespace}/${base}`;
    const count = this.#made.get(key) ?? 0;
    this.#made.set(key, count + 1);
    const made = `${base}${nameSuffix(`${key}/${count}`)}`;
    const labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": made };
    const metadata = { ...object.metadata, name: made, ...(object.kind === "Namespace" ? { labels } : {}) };
    return { ...object, metadata };
  }
}
