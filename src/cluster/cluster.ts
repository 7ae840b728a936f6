// A cluster without an API server: objects come in as manifests, controllers add what a cluster would add, watchers
// hear of every change. No input or output, no clock, no chance: time comes as a parameter, what was allocated before a
// restart comes as saved state.
//
//   manifests ─▶ parse, validate, default ─▶ admit (allocate) ─▶ Store ─▶ watchers (agents, get -w)
//                                                                 ▲ │
//            NodeIpam · PodIpam · scheduler · ServiceAllocator ───┘ ├─▶ workload controllers ─▶ pods
//                                                                   └─▶ EndpointSliceController ─▶ slices
//
// A call is all or nothing. When one is refused half way, objects are rolled back and the controllers' own state is
// made again from the objects: it never holds anything that the objects do not say.
import { PodwireError } from "../base/errors.ts";
import { isCustomKind } from "../kube/custom-definition.ts";
import { podOfTemplate } from "../kube/defaults.ts";
import { FOREGROUND, held, holdersOf, isFinished } from "../kube/finalizers.ts";
import { type KindInfo, kindFromWord, STORED_KINDS, unknownKind } from "../kube/kinds.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import {
  type Manifest,
  ManifestError,
  type ManifestProblem,
  type ManifestText,
  type ParseOptions,
  parseManifests,
} from "../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Pod } from "../kube/objects.ts";
import { validateUpdate } from "../kube/validate/update.ts";
import { asBefore, checkNamespaces, checkNew, fieldOf, inOrder, merge } from "./admission.ts";
import { Allocation, type Remembered } from "./allocation.ts";
import { applied } from "./applied.ts";
import type {
  ApplyOptions,
  CallOptions,
  Change,
  ClusterOptions,
  DeletionOptions,
} from "./cluster-options.ts";
import { contentsOf } from "./contents.ts";
import { type Controller, makeControllers } from "./controller/controllers.ts";
import { GarbageCollector } from "./controller/garbage-collector.ts";
import { isWaitingPod, placedFirst } from "./controller/pod-placer.ts";
import { toldActions } from "./controller/told-actions.ts";
import { EventRecorder, type Happening, timeText } from "./event-recorder.ts";
import { type Action, NAMESPACES, namespaceObject, type Outcome } from "./outcome.ts";
import { type Judgement, StoreAdmission } from "./pod-security-admission.ts";
import { type SavedCluster, savedOf } from "./saved-cluster.ts";
import { Store } from "./store.ts";

class ClusterError extends PodwireError {}

const RECONCILE_MAX = 1000; // rounds; a controller that never comes to rest is a bug

export class Cluster {
  readonly store: Store;
  readonly #options: ClusterOptions;
  readonly #inner = new Set<() => void>();
  /** Labels and annotations of the last manifest: what an apply may take away. */
  readonly #applied = new Map<string, KubeObject>();
  readonly #saved: Remembered;
  /** Within an apply a pod that cannot have an address refuses the call; later it waits. */
  #strict = false;
  readonly #recorder: EventRecorder | undefined;
  readonly #admission: StoreAdmission;
  /** While controllers are made again from what they have told already. */
  #isSilent = false;
  #allocation!: Allocation;
  #garbage!: GarbageCollector;
  /** In the order in which they are told and asked. */
  #controllers: readonly Controller[] = [];

  /** A new object with what is added to it before it is judged. */
  readonly completed = (object: KubeObject): KubeObject => this.#admission.completed(object);

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { nodes, pods, services } = options.saved ?? { nodes: {}, pods: {}, services: {} };
    this.#saved = { nodes: { ...nodes }, pods: { ...pods }, services: { ...services } };
    this.store = new Store({ now: () => this.#time(0), firstVersion: options.saved?.resourceVersion });
    this.#admission = new StoreAdmission(this.store, options);
    if (options.events === true) this.#recorder = new EventRecorder(this.store, options.nowMs);
    this.#startControllers();
    this.#transaction(() => {
      for (const name of NAMESPACES) this.store.put(namespaceObject(name));
    });
  }

  /** Parses and applies; throws a ManifestError or PodwireError before anything is changed. */
  apply(sources: readonly ManifestText[], options: ParseOptions = {}): Outcome[] {
    return this.applyManifests(parseManifests(sources, options));
  }

  applyManifests(manifests: readonly Manifest[], options: ApplyOptions = {}): Outcome[] {
    this.#strict = true;
    return this.#call(options, () => {
      if (options.create === true) checkNew(manifests, this.store);
      const problems: ManifestProblem[] = [];
      const actions = new Map<Manifest, Action>();
      checkNamespaces(manifests, this.store, problems);
      for (const manifest of inOrder(manifests)) {
        const action = this.#admit(manifest, problems, options);
        if (action !== undefined) actions.set(manifest, action);
      }
      if (problems.length > 0) throw new ManifestError(problems);
      this.#reconcile();
      const rehearsed = options.dryRun === true ? this.store : undefined;
      return manifests.map((m) => applied(m, actions.get(m), rehearsed));
    });
  }

  /** The kind that one of kubectl's words means. */
  kindOf(word: string): KindInfo {
    const info = kindFromWord(word);
    if (info !== undefined) return info;
    throw new ClusterError(unknownKind(word), { code: "UNKNOWN_KIND", word });
  }

  list(kind: string, namespace?: string): KubeObject[] {
    return this.store.list(kind, namespace);
  }

  get(kind: string, key: string): KubeObject | undefined {
    return this.store.get(kind, key);
  }

  /** Objects as an earlier process stored them, uids and allocations included; controllers add what is missing. */
  restore(objects: readonly KubeObject[]): void {
    this.#isSilent = true;
    this.#transaction(() => {
      const kinds = [
        ...STORED_KINDS.map(({ kind }) => kind),
        ...objects.map(({ kind }) => kind).filter(isCustomKind),
      ];
      for (const each of new Set(kinds)) {
        const own = objects.filter(({ kind }) => kind === each);
        for (const object of placedFirst(own)) this.store.put(this.#allocation.allocated(object, undefined));
      }
      this.#reconcile();
    });
    this.#isSilent = false;
  }

  /** What a user's request for an object that is there would come to, but for storing it. */
  judge(object: KubeObject): Judgement {
    return this.#admission.judge(object);
  }

  /** For the author of an object's status (the lab): stored as it is, controllers follow. */
  update(object: KubeObject): void {
    this.#transaction(() => {
      this.store.put(this.#allocation.allocated(object, this.store.get(object.kind, keyOf(object))));
      this.#reconcile();
    });
  }

  /** For an API server, which has admitted the object: stored as it is. Returns what it is then, or would be. */
  write(object: KubeObject, options: CallOptions = {}): KubeObject {
    return this.#call(options, () => {
      const key = keyOf(object);
      this.store.put(this.#allocation.allocated(object, this.store.get(object.kind, key)));
      if (isFinished(object)) this.#remove(object.kind, key);
      if (options.dryRun !== true) this.#reconcile(); // what controllers would make of it is not asked for
      return this.store.get(object.kind, key) ?? object;
    });
  }

  /** As its user asks for it. Returns what is left of it: a pod ends gracefully, finalizers are waited for. */
  delete(object: KubeObject, options: DeletionOptions = {}): KubeObject | undefined {
    const { graceSeconds, propagation = "Background" } = options;
    return this.#call(options, () => {
      const { uid = "" } = object.metadata;
      if (propagation === "Orphan") this.#garbage.orphan(object);
      const waits = propagation === "Foreground" && this.#garbage.dependentsOf(uid).length > 0;
      const now = this.store.get(object.kind, keyOf(object)) ?? object;
      if (waits) this.store.put(held(now, this.#time(0), [FOREGROUND]));
      else this.#end(now, graceSeconds);
      this.#reconcile();
      return this.store.get(object.kind, keyOf(object));
    });
  }

  /** The object is gone for good: a pod whose processes have ended. */
  remove(object: KubeObject): void {
    this.#transaction(() => {
      this.#letGo(object.kind, keyOf(object));
      this.#reconcile();
    });
  }

  /** Something happened to an object: for whoever is interested in it, where events are recorded. */
  record(happening: Happening): void {
    if (this.#isSilent) return;
    this.#recorder?.record(happening);
    if (happening.reason === "FailedCreate") this.#options.onFailedCreate?.(happening);
  }

  /** For what comes due by time alone: to be called now and then. */
  tick(): void {
    this.#recorder?.expire();
    const due = this.#controllers.filter((controller) => controller.tick?.() === true);
    if (due.length > 0) this.#transaction(() => this.#reconcile());
  }

  /** Tells every change after the call that made it. Returns the way to stop. */
  onChange(listener: (change: Change) => void): () => void {
    return this.store.watch(({ type, object }) => listener({ type, object }));
  }

  /** Allocations as they stand, for `ClusterOptions.saved` of the next start. */
  save(): SavedCluster {
    const allocated = ["Node", "Pod", "Service"].flatMap((kind) => this.store.list(kind));
    return savedOf(allocated, this.store.version);
  }

  #startControllers(): void {
    for (const stop of this.#inner) stop();
    this.#inner.clear();
    const tell = (happening: Happening): void => this.record(happening);
    this.#allocation = new Allocation(this.store, this.#options, this.#saved, tell);
    const { placer } = this.#allocation;
    const pods = toldActions(this.store, tell, {
      create: (given: Pod) => {
        const pod = this.#admission.completed(podOfTemplate(given)) as Pod;
        const refusal = this.#admission.refusalOf(pod);
        if (refusal !== undefined) return refusal;
        this.store.put(this.#strict ? placer.place(pod) : placer.placeOrWait(pod));
        return undefined;
      },
      delete: (pod: Pod) => this.#deletePod(pod, undefined),
    });
    const made = makeControllers(this.store, pods, { ...this.#options, time: timeText });
    this.#garbage = new GarbageCollector(this.store, {
      end: (object) => this.#end(object),
      hold: (object) => void this.store.put(held(object, this.#time(0), [FOREGROUND])),
      remove: (object) => this.#remove(object.kind, keyOf(object)),
    });
    this.#controllers = [placer, ...made, this.#garbage];
    for (const controller of this.#controllers) {
      this.#inner.add(this.store.observe((event) => controller.onEvent(event)));
    }
  }

  /** Controllers as they would be had they only ever seen the objects of now. */
  #restartControllers(): void {
    this.#isSilent = true;
    this.#startControllers();
    for (const kind of this.store.kinds) {
      for (const object of this.store.list(kind)) {
        if (!isWaitingPod(object)) this.#allocation.allocated(object, object); // who waits has nothing yet
        for (const controller of this.#controllers) {
          controller.onEvent({ type: "ADDED", object, old: undefined });
        }
      }
    }
    for (const controller of this.#controllers) controller.settle();
    this.#isSilent = false;
  }

  #transaction<T>(change: () => T): T {
    try {
      return this.store.transaction(change);
    } catch (error) {
      this.#restartControllers();
      throw error;
    } finally {
      this.#strict = false;
    }
  }

  #call<T>({ dryRun = false }: CallOptions, change: () => T): T {
    return dryRun ? this.#rehearse(change) : this.#transaction(change);
  }

  #rehearse<T>(change: () => T): T {
    try {
      return this.store.rehearse(change);
    } finally {
      this.#strict = false;
      this.#restartControllers();
    }
  }

  #reconcile(): void {
    for (let round = 0; round < RECONCILE_MAX; round++) {
      const busy = this.#controllers.map((controller) => controller.reconcile());
      if (!busy.includes(true)) return;
    }
    throw new ClusterError("controllers do not come to rest", { code: "RECONCILE_LOOP" });
  }

  #admit(manifest: Manifest, problems: ManifestProblem[], options: ApplyOptions): Action | undefined {
    const old = this.store.get(manifest.object.kind, keyOf(manifest.object));
    const object = asBefore(manifest.object, old);
    const id = `${object.kind}/${keyOf(object)}`;
    const found = new FieldProblems();
    if (old !== undefined) validateUpdate(object, old, found);
    const merged = old === undefined ? this.completed(object) : merge(object, old, this.#applied.get(id));
    const isThere = options.isDump === true && object.metadata.uid !== undefined;
    const judged = found.any || isThere ? undefined : this.#admission.judge(merged);
    const refused = [...found.list, ...(judged?.problems ?? [])];
    for (const { path, message } of refused) problems.push(manifest.problem(path, message));
    if (refused.length > 0) return undefined;
    for (const text of judged?.warnings ?? []) options.warn?.(text);
    try {
      const allocated = this.#allocation.allocated(merged, old);
      const applied = this.#applied.get(id);
      this.store.onRollback(() =>
        applied === undefined ? this.#applied.delete(id) : this.#applied.set(id, applied),
      );
      this.#applied.set(id, object);
      return this.store.put(allocated);
    } catch (error) {
      if (!(error instanceof PodwireError)) throw error;
      problems.push(manifest.problem(fieldOf(error, object), error.message));
      return undefined;
    }
  }

  #end(object: KubeObject, graceSeconds?: number): void {
    if (object.kind === "Pod") this.#deletePod(object as Pod, graceSeconds);
    else this.#letGo(object.kind, keyOf(object));
  }

  #deletePod(pod: Pod, graceSeconds: number | undefined): void {
    const grace = graceSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    if (pod.spec.nodeName === undefined || grace === 0) {
      this.#letGo("Pod", keyOf(pod));
      return;
    }
    if (pod.metadata.deletionTimestamp !== undefined) return;
    const ending = { deletionTimestamp: this.#time(grace), deletionGracePeriodSeconds: grace };
    this.store.put({ ...pod, metadata: { ...pod.metadata, ...ending } } as Pod);
  }

  /** Gone, but for finalizers that somebody has to take off. */
  #letGo(kind: string, key: string): void {
    const object = this.store.get(kind, key);
    if (object === undefined || holdersOf(object).length === 0) this.#remove(kind, key);
    else this.store.put(held(object, this.#time(0), []));
  }

  #remove(kind: string, key: string): void {
    const object = this.store.remove(kind, key);
    if (object === undefined) return;
    this.#applied.delete(`${kind}/${key}`);
    this.#allocation.forget(kind, key);
    for (const inside of contentsOf(object, this.store)) {
      if (inside.kind === "Pod") this.#deletePod(inside as Pod, undefined);
      else this.#remove(inside.kind, keyOf(inside));
    }
  }

  #time(aheadSeconds: number): string {
    return timeText(this.#options.nowMs() + aheadSeconds * 1000);
  }
}
