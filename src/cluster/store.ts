// The objects of a lab: what the API server's storage is to a cluster. One map a kind; every change gets the next
// resourceVersion and is told to the watchers, in the order in which it happened. A call is a transaction: either all
// of its changes stand and are told, or none.
//
// Stored objects are never changed in place. Whoever wants another object puts a new one, so that a watcher may keep
// what it was given and compare by identity.
import { deepEqual } from "../base/deep-equal.ts";
import { isCustomKind } from "../kube/custom-definition.ts";
import { hash32 } from "../kube/hash.ts";
import { STORED_KINDS } from "../kube/kinds.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";

export type EventType = "ADDED" | "MODIFIED" | "DELETED";

export interface StoreEvent {
  readonly type: EventType;
  readonly object: KubeObject;
  /** What it replaces; undefined for ADDED. Same as `object` but for DELETED's last state. */
  readonly old: KubeObject | undefined;
}

export type Watcher = (event: StoreEvent) => void;

export interface StoreOptions {
  /** Text of creationTimestamp; a parameter, since control reads no clock. */
  readonly now?: () => string;
  /** First resourceVersion handed out; a restarted lab continues where it stopped. */
  readonly firstVersion?: number | undefined;
}

export class Store {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #watchers = new Set<Watcher>();
  readonly #inner = new Set<Watcher>();
  readonly #now: () => string;
  #version: number;
  #undo: (() => void)[] | undefined;
  #pending: StoreEvent[] = [];

  constructor(options: StoreOptions = {}) {
    this.#now = options.now ?? (() => "1970-01-01T00:00:00Z");
    this.#version = options.firstVersion ?? 1;
    for (const info of STORED_KINDS) this.#objects.set(info.kind, new Map());
  }

  /** The last resourceVersion handed out. */
  get version(): number {
    return this.#version;
  }

  get<T extends KubeObject = KubeObject>(kind: string, key: string): T | undefined {
    return this.#kind(kind).get(key) as T | undefined;
  }

  /** Objects of a kind, of one namespace if given, sorted by key. */
  list<T extends KubeObject = KubeObject>(kind: string, namespace?: string): T[] {
    const wanted: [string, KubeObject][] = [];
    for (const entry of this.#kind(kind))
      if (namespace === undefined || entry[1].metadata.namespace === namespace) wanted.push(entry);
    wanted.sort(([a], [b]) => (a < b ? -1 : 1));
    return wanted.map(([, object]) => object as T);
  }

  /** All kinds that it has or may have objects of. */
  get kinds(): string[] {
    return [...this.#objects.keys()];
  }

  /** Whether it is a kind of the store. */
  holds(kind: string): boolean {
    return this.#objects.has(kind);
  }

  count(kind: string): number {
    return this.#kind(kind).size;
  }

  /** In no particular order, without the cost of sorting. */
  values<T extends KubeObject = KubeObject>(kind: string): Iterable<T> {
    return this.#kind(kind).values() as Iterable<T>;
  }

  /** Adds or replaces. An object that says the same as the stored one changes nothing: "unchanged". */
  put(object: KubeObject): "created" | "configured" | "unchanged" {
    const map = this.#kind(object.kind);
    const key = keyOf(object);
    const old = map.get(key);
    const managedFields = object.metadata.managedFields ?? old?.metadata.managedFields;
    if (old !== undefined && sameContent(old, object) && deepEqual(managedFields, old.metadata.managedFields))
      return "unchanged";
    const resourceVersion = String(++this.#version);
    const metadata = {
      ...object.metadata,
      ...(managedFields === undefined ? {} : { managedFields }),
      uid: old?.metadata.uid ?? object.metadata.uid ?? uidOf(object, resourceVersion),
      creationTimestamp: old?.metadata.creationTimestamp ?? object.metadata.creationTimestamp ?? this.#now(),
      resourceVersion,
      ...(hasGeneration(object) ? { generation: generationOf(object, old) } : {}),
    };
    const stored = { ...object, metadata };
    map.set(key, stored);
    this.#undo?.push(() => (old === undefined ? map.delete(key) : map.set(key, old)));
    this.#tell({ type: old === undefined ? "ADDED" : "MODIFIED", object: stored, old });
    return old === undefined ? "created" : "configured";
  }

  /** The object that was removed, or undefined. */
  remove(kind: string, key: string): KubeObject | undefined {
    const map = this.#kind(kind);
    const old = map.get(key);
    if (old === undefined) return undefined;
    map.delete(key);
    this.#undo?.push(() => map.set(key, old));
    const object = { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.#version) } };
    this.#tell({ type: "DELETED", object, old });
    return old;
  }

  /** Tells all later changes, after the transaction they belong to. Returns the way to stop. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** As `watch`, but at once and inside the transaction: for controllers, whose own changes belong to it. */
  observe(watcher: Watcher): () => void {
    this.#inner.add(watcher);
    return () => this.#inner.delete(watcher);
  }

  /** Runs `change`; when it throws, the objects are as before and nobody was told. */
  transaction<T>(change: () => T): T {
    if (this.#undo !== undefined) return change();
    this.#undo = [];
    try {
      const result = change();
      this.#undo = undefined;
      this.#flush();
      return result;
    } catch (error) {
      for (const undo of (this.#undo ?? []).reverse()) undo();
      this.#undo = undefined;
      this.#pending = [];
      throw error;
    }
  }

  /** As a transaction that fails at its end: nothing is left of it but the answer. Nobody outside is told. */
  rehearse<T>(change: () => T): T {
    const version = this.#version;
    const done = Symbol("rehearsed");
    let result: T | undefined;
    try {
      this.transaction(() => {
        result = change();
        throw done;
      });
    } catch (error) {
      if (error !== done) throw error;
    }
    this.#version = version;
    return result as T;
  }

  /** Registers what to undo when the running transaction fails; outside of one it does nothing. */
  onRollback(undo: () => void): void {
    this.#undo?.push(undo);
  }

  #kind(kind: string): Map<string, KubeObject> {
    const map = this.#objects.get(kind);
    if (map !== undefined) return map;
    if (!isCustomKind(kind)) throw new TypeError(`${kind} is not a stored kind`);
    const made = new Map<string, KubeObject>();
    this.#objects.set(kind, made);
    return made;
  }

  #tell(event: StoreEvent): void {
    this.#pending.push(event);
    for (const watcher of this.#inner) watcher(event);
    if (this.#undo === undefined) this.#flush();
  }

  #flush(): void {
    const events = this.#pending;
    this.#pending = [];
    for (const event of events) for (const watcher of this.#watchers) watcher(event);
  }
}

/** Nobody has to catch up with their spec. */
const WITHOUT_GENERATION = new Set([
  "Namespace",
  "Node",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "Service",
]);

/** Whether versions of what is asked for are counted. */
function hasGeneration(object: KubeObject): boolean {
  return isCustomKind(object.kind) || ("spec" in object && !WITHOUT_GENERATION.has(object.kind));
}

function generationOf(object: KubeObject, old: KubeObject | undefined): number {
  if (old === undefined) return object.metadata.generation ?? 1;
  const generation = old.metadata.generation ?? 1;
  return deepEqual(askedOf(object), askedOf(old)) ? generation : generation + 1;
}

function askedOf(object: KubeObject): unknown {
  const { metadata, status, ...asked } = object as KubeObject & { status?: unknown };
  return asked;
}

/** Equal but for what the store itself writes. */
export function sameContent(a: KubeObject, b: KubeObject): boolean {
  return deepEqual(strip(a), strip(b));
}

function strip(object: KubeObject): unknown {
  const { resourceVersion, uid, creationTimestamp, generation, managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Unique while the lab lives, and the same again when the same calls are made: no randomness is needed here. */
function uidOf(object: KubeObject, version: string): string {
  const text = `${object.kind}/${keyOf(object)}/${version}`;
  const hex = [0, 1, 2, 3].map((i) => hash32(`${i}/${text}`).toString(16).padStart(8, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
