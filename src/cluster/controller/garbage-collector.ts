// What an owner leaves behind goes with it: objects whose ownerReferences name nobody who is there any more. An object
// that is deleted in the foreground waits until what it owns is gone. Owners that were never there (those of a dump
// of some other cluster) are nobody's business here.
import { customKind } from "../../kube/custom-definition.ts";
import { FOREGROUND, isFinished } from "../../kube/finalizers.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";

type Owner = NonNullable<KubeObject["metadata"]["ownerReferences"]>[number];

interface Dependent {
  readonly kind: string;
  readonly key: string;
}

export interface Disposal {
  /** As a user deletes it. */
  end(object: KubeObject): void;
  /** As a user deletes it in the foreground: what it owns goes first. */
  hold(object: KubeObject): void;
  /** At once, whatever it says. */
  remove(object: KubeObject): void;
}

export class GarbageCollector {
  readonly #store: Store;
  readonly #disposal: Disposal;
  /** Owner's uid → what it owns, by kind and key. */
  readonly #owned = new Map<string, Map<string, Dependent>>();
  /** Owners that went. */
  readonly #gone = new Set<string>();
  /** Owners that wait, by uid. */
  readonly #waiting = new Map<string, Dependent>();

  constructor(store: Store, disposal: Disposal) {
    this.#store = store;
    this.#disposal = disposal;
  }

  onEvent({ type, object, old }: StoreEvent): void {
    const { uid = "", ownerReferences, deletionTimestamp, finalizers } = object.metadata;
    const self = { kind: object.kind, key: keyOf(object) };
    if (type === "DELETED" || ownerReferences !== old?.metadata.ownerReferences) {
      for (const owner of old?.metadata.ownerReferences ?? []) this.#forget(owner.uid, self);
      if (type !== "DELETED") for (const owner of ownerReferences ?? []) this.#remember(owner.uid, self);
    }
    if (type === "DELETED") {
      this.#waiting.delete(uid);
      if (this.#owned.has(uid)) this.#gone.add(uid);
    } else if (deletionTimestamp !== undefined && finalizers?.includes(FOREGROUND) === true)
      this.#waiting.set(uid, self);
    else this.#waiting.delete(uid);
  }

  settle(): void {
    this.#gone.clear();
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    const gone = [...this.#gone];
    this.#gone.clear();
    for (const uid of gone) for (const each of this.dependentsOf(uid)) this.#ownerWent(each, uid);
    let isBusy = gone.length > 0;
    for (const [uid, { kind, key }] of this.#waiting) {
      const left = this.dependentsOf(uid);
      for (const each of left) {
        if (each.metadata.deletionTimestamp !== undefined) continue;
        if (this.dependentsOf(each.metadata.uid ?? "").length > 0) this.#disposal.hold(each);
        else this.#disposal.end(each);
      }
      const owner = this.#store.get(kind, key);
      if (this.dependentsOf(uid).length > 0 || owner === undefined) continue;
      this.#release(owner);
      isBusy = true;
    }
    return isBusy;
  }

  dependentsOf(uid: string): KubeObject[] {
    return [...(this.#owned.get(uid)?.values() ?? [])]
      .map(({ kind, key }) => this.#store.get(kind, key))
      .filter((object): object is KubeObject => object !== undefined);
  }

  /** What it owns stays, and is nobody's then. */
  orphan({ metadata: { uid = "" } }: KubeObject): void {
    for (const each of this.dependentsOf(uid)) this.#store.put(without(each, uid));
  }

  #ownerWent(object: KubeObject, uid: string): void {
    const others = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
    const hasOwner = others.some((owner) => this.#isThere(owner, object));
    if (hasOwner) this.#store.put(without(object, uid));
    else if (object.metadata.deletionTimestamp === undefined) this.#disposal.end(object);
  }

  /** It has nothing left to wait for in the foreground. */
  #release(object: KubeObject): void {
    const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== FOREGROUND);
    const next = { ...object, metadata: { ...object.metadata, finalizers } };
    if (isFinished(next)) this.#disposal.remove(object);
    else this.#store.put(next);
  }

  #isThere({ apiVersion, kind, name, uid }: Owner, { metadata }: KubeObject): boolean {
    const keys = [name, `${metadata.namespace}/${name}`];
    const kinds = [kind, customKind(kind, apiVersion.split("/")[0])].filter((each) =>
      this.#store.holds(each),
    );
    return kinds.some((each) => keys.some((key) => this.#store.get(each, key)?.metadata.uid === uid));
  }

  #remember(uid: string, self: Dependent): void {
    const owned = this.#owned.get(uid) ?? new Map<string, Dependent>();
    this.#owned.set(uid, owned.set(`${self.kind} ${self.key}`, self));
  }

  #forget(uid: string, { kind, key }: Dependent): void {
    const owned = this.#owned.get(uid);
    owned?.delete(`${kind} ${key}`);
    if (owned?.size === 0) this.#owned.delete(uid);
  }
}

function without(object: KubeObject, uid: string): KubeObject {
  const ownerReferences = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
  const { ownerReferences: _, ...metadata } = object.metadata;
  return { ...object, metadata: ownerReferences.length === 0 ? metadata : { ...metadata, ownerReferences } };
}
