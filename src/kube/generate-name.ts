// metadata.generateName, where an object has no name: one is made, five letters of Kubernetes' alphabet behind it. They
// come from the object's place among those of its call instead of chance, so that the same manifests, applied again,
// mean the same objects.
import { nameSuffix } from "./hash.ts";
import { NAMESPACE_NAME_LABEL } from "./labels.ts";
import type { KubeObject } from "./objects.ts";

const BASE_MAX = 58; // with the five letters a label

export class NameMaker {
  readonly #made = new Map<string, number>();
  readonly #isTaken: (object: KubeObject, name: string) => boolean;

  /** `isTaken`: for who makes another object each time. */
  constructor(isTaken: (object: KubeObject, name: string) => boolean = () => false) {
    this.#isTaken = isTaken;
  }

  /** The object with a name; itself when it has one. */
  named<T extends KubeObject>(object: T): T {
    const { name, namespace = "", generateName = "" } = object.metadata ?? {};
    if ((name ?? "") !== "" || generateName === "") return object;
    const base = generateName.slice(0, BASE_MAX);
    const key = `${object.kind}/${namespace}/${base}`;
    let count = this.#made.get(key) ?? 0;
    const nth = (): string => `${base}${nameSuffix(`${key}/${count}`)}`;
    while (this.#isTaken(object, nth())) count++;
    const made = nth();
    this.#made.set(key, count + 1);
    const labels = { ...object.metadata.labels, [NAMESPACE_NAME_LABEL]: made };
    const metadata = { ...object.metadata, name: made, ...(object.kind === "Namespace" ? { labels } : {}) };
    return { ...object, metadata };
  }
}
