// PersistentVolumeClaims and PersistentVolumes: a claim is bound to a volume that there is, or to one that is made for
// it, as the binder of kube-controller-manager and a provisioner do it. A lab has a folder for each claim, so that it
// makes volumes of every class; a claim of no class at all (storageClassName: "") waits for a volume, as in a cluster.
import { matchesSelector } from "../../../kube/labels.ts";
import { type KubeObject, keyOf, type LabelSelector } from "../../../kube/objects.ts";
import { nanosOf } from "../../../kube/validate/resources.ts";
import type { Store, StoreEvent } from "../../store.ts";
import { Agenda, type Clock } from "../due.ts";
import type { PodActions } from "../told-actions.ts";

const CLAIM = "PersistentVolumeClaim";
const VOLUME = "PersistentVolume";
const CLASS = "StorageClass";
const PROVISIONER = "podwire.dev/folder";
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";
const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";

interface Reference {
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
}

type Claim = KubeObject & {
  spec?: {
    accessModes?: string[];
    resources?: { requests?: { storage?: string } };
    selector?: LabelSelector;
    storageClassName?: string;
    volumeMode?: string;
    volumeName?: string;
  };
  status?: { phase?: string; accessModes?: string[]; capacity?: { storage?: string } };
};

type Volume = KubeObject & {
  spec?: {
    accessModes?: string[];
    capacity?: { storage?: string };
    claimRef?: Reference;
    persistentVolumeReclaimPolicy?: string;
    storageClassName?: string;
    volumeMode?: string;
  };
  status?: { phase?: string };
};

type StorageClass = KubeObject & { provisioner?: string; reclaimPolicy?: string };

/** What a lab has from the start: the class of claims that name none. */
export const STANDARD_CLASS = {
  apiVersion: "storage.k8s.io/v1",
  kind: CLASS,
  metadata: { name: "standard", annotations: { [DEFAULT_CLASS]: "true" } },
  provisioner: PROVISIONER,
  reclaimPolicy: "Delete",
  volumeBindingMode: "Immediate",
  allowVolumeExpansion: false,
} as unknown as KubeObject;

export class VolumeController {
  readonly #store: Store;
  readonly #actions: PodActions;
  readonly #agenda: Agenda;

  constructor(store: Store, actions: PodActions, clock: Clock) {
    this.#store = store;
    this.#actions = actions;
    this.#agenda = new Agenda(CLAIM, store, clock);
  }

  onEvent({ type, object }: StoreEvent): void {
    if (object.kind === CLAIM) this.#agenda.mark(`${CLAIM}/${keyOf(object)}`);
    if (object.kind === CLAIM && type === "DELETED") this.#markVolumes();
    if (object.kind !== VOLUME) return;
    this.#agenda.mark(`${VOLUME}/${keyOf(object)}`);
    for (const claim of this.#store.values<Claim>(CLAIM))
      if (claim.status?.phase !== "Bound" || type === "DELETED")
        this.#agenda.mark(`${CLAIM}/${keyOf(claim)}`);
  }

  #markVolumes(): void {
    for (const volume of this.#store.values(VOLUME)) this.#agenda.mark(`${VOLUME}/${keyOf(volume)}`);
  }

  settle(): void {
    this.#agenda.settle();
  }

  tick(): boolean {
    return this.#agenda.tick();
  }

  reconcile(): boolean {
    return this.#agenda.work((marked) => {
      if (marked.startsWith(`${VOLUME}/`)) this.#lookAtVolume(marked.slice(VOLUME.length + 1));
      else this.#lookAtClaim(marked.startsWith(`${CLAIM}/`) ? marked.slice(CLAIM.length + 1) : marked);
    });
  }

  #lookAtClaim(key: string): void {
    const claim = this.#store.get<Claim>(CLAIM, key);
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return;
    const { spec = {}, status } = claim;
    if (spec.volumeName !== undefined && spec.volumeName !== "") {
      this.#bindNamed(claim, spec.volumeName);
      return;
    }
    const wanted = spec.storageClassName ?? this.#defaultClass();
    const named =
      wanted === undefined || spec.storageClassName !== undefined ? claim : withClass(claim, wanted);
    const found = this.#fitting(named);
    if (found !== undefined) this.#bind(named, found);
    else if (wanted !== undefined && wanted !== "") this.#bind(named, this.#provision(named, wanted));
    else this.#wait(named, status?.phase);
  }

  /** A claim that says which volume it wants, or was bound before. */
  #bindNamed(claim: Claim, name: string): void {
    const volume = this.#store.get<Volume>(VOLUME, name);
    const phase = claim.status?.phase;
    if (volume === undefined) {
      if (phase === "Bound") this.#put(claim, { phase: "Lost" });
      else if (phase !== "Lost") this.#put(claim, { phase: "Pending" });
      return;
    }
    const { claimRef } = volume.spec ?? {};
    if (claimRef === undefined || isOf(claimRef, claim)) this.#bind(claim, volume);
    else if (phase !== "Pending") {
      this.#put(claim, { phase: "Pending" });
      const message = `volume ${JSON.stringify(name)} already bound to a different claim.`;
      this.#tell(claim, "FailedBinding", message, "Warning");
    }
  }

  #bind(claim: Claim, volume: Volume): void {
    const { name, namespace = "default", uid = "" } = claim.metadata;
    const claimRef = { kind: CLAIM, apiVersion: "v1", namespace, name, uid };
    const spec = { ...volume.spec, claimRef: { ...volume.spec?.claimRef, ...claimRef } };
    this.#store.put({ ...volume, spec, status: { ...volume.status, phase: "Bound" } } as Volume);
    const { accessModes = [], capacity = {} } = volume.spec ?? {};
    const annotations = {
      ...claim.metadata.annotations,
      "pv.kubernetes.io/bind-completed": "yes",
      ...((claim.spec?.volumeName ?? "") === "" ? { "pv.kubernetes.io/bound-by-controller": "yes" } : {}),
    };
    const bound = {
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec: { ...claim.spec, volumeName: volume.metadata.name },
    } as Claim;
    this.#put(bound, { phase: "Bound", accessModes, capacity });
  }

  #put(claim: Claim, status: NonNullable<Claim["status"]>): void {
    this.#store.put({ ...claim, status } as Claim);
  }

  /** The smallest free one that has what the claim asks for; one that is kept for it before all others. */
  #fitting(claim: Claim): Volume | undefined {
    const all = this.#store.list<Volume>(VOLUME);
    const own = all.find(({ spec }) => spec?.claimRef !== undefined && isOf(spec.claimRef, claim));
    if (own !== undefined) return own;
    const size = (volume: Volume): bigint => nanosOf(volume.spec?.capacity?.storage ?? "0");
    const fitting = all.filter((volume) => fits(claim, volume));
    return fitting.sort((a, b) => (size(a) < size(b) ? -1 : size(a) > size(b) ? 1 : 0))[0];
  }

  #provision(claim: Claim, className: string): Volume {
    const { namespace = "default", name, uid = "" } = claim.metadata;
    const storageClass = this.#store.get<StorageClass>(CLASS, className);
    const volume = {
      apiVersion: "v1",
      kind: VOLUME,
      metadata: { name: `pvc-${uid}`, annotations: { [PROVISIONED_BY]: PROVISIONER } },
      spec: {
        accessModes: claim.spec?.accessModes ?? [],
        capacity: { storage: claim.spec?.resources?.requests?.storage ?? "0" },
        csi: { driver: PROVISIONER, volumeHandle: `${namespace}/${name}` },
        persistentVolumeReclaimPolicy: storageClass?.reclaimPolicy ?? "Delete",
        storageClassName: className,
        volumeMode: claim.spec?.volumeMode ?? "Filesystem",
      },
    } as unknown as Volume;
    this.#store.put(volume);
    this.#tell(
      claim,
      "ProvisioningSucceeded",
      `Successfully provisioned volume ${volume.metadata.name}`,
      "Normal",
    );
    return this.#store.get<Volume>(VOLUME, volume.metadata.name) as Volume;
  }

  #wait(claim: Claim, phase: string | undefined): void {
    if (phase === "Pending") return;
    this.#put(claim, { phase: "Pending" });
    const message = "no persistent volumes available for this claim and no storage class is set";
    this.#tell(claim, "FailedBinding", message, "Normal");
  }

  #tell(object: Claim, reason: string, message: string, type: "Normal" | "Warning"): void {
    const component = reason === "ProvisioningSucceeded" ? PROVISIONER : "persistentvolume-controller";
    this.#actions.tell({ object, reason, message, type, component });
  }

  /** The newest of those that say that they are it. */
  #defaultClass(): string | undefined {
    const all = this.#store
      .list(CLASS)
      .filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === "true");
    const age = ({ metadata }: KubeObject): string => metadata.creationTimestamp ?? "";
    return all.sort((a, b) => (age(a) < age(b) ? 1 : -1))[0]?.metadata.name;
  }

  /** What became of it: a volume whose claim is gone is gone as well, or keeps what is in it. */
  #lookAtVolume(name: string): void {
    const volume = this.#store.get<Volume>(VOLUME, name);
    if (volume === undefined || volume.metadata.deletionTimestamp !== undefined) return;
    const { claimRef, persistentVolumeReclaimPolicy: policy } = volume.spec ?? {};
    const claim = this.#store.get<Claim>(CLAIM, `${claimRef?.namespace}/${claimRef?.name}`);
    const isHeld = claim !== undefined && claimRef !== undefined && isOf(claimRef, claim);
    const wasBound = claimRef?.uid !== undefined;
    const isOurs = volume.metadata.annotations?.[PROVISIONED_BY] === PROVISIONER;
    if (!wasBound) this.#phase(volume, "Available");
    else if (isHeld) this.#phase(volume, "Bound");
    else if (isOurs && policy === "Delete") this.#store.remove(VOLUME, name);
    else this.#phase(volume, "Released");
  }

  #phase(volume: Volume, phase: string): void {
    if (volume.status?.phase === phase) return;
    this.#store.put({ ...volume, status: { ...volume.status, phase } } as Volume);
  }
}

/** By its uid, or by name alone where somebody has reserved the volume beforehand. */
function isOf({ namespace = "default", name, uid }: Reference, { metadata }: Claim): boolean {
  const isNamed = namespace === metadata.namespace && name === metadata.name;
  return isNamed && (uid === undefined || uid === "" || uid === metadata.uid);
}

function fits({ spec = {} }: Claim, { spec: has = {}, metadata }: Volume): boolean {
  if (has.claimRef !== undefined || metadata.deletionTimestamp !== undefined) return false;
  if ((has.storageClassName ?? "") !== (spec.storageClassName ?? "")) return false;
  if ((has.volumeMode ?? "Filesystem") !== (spec.volumeMode ?? "Filesystem")) return false;
  if (spec.selector !== undefined && !matchesSelector(spec.selector, metadata.labels)) return false;
  if (!(spec.accessModes ?? []).every((mode) => has.accessModes?.includes(mode))) return false;
  return nanosOf(has.capacity?.storage ?? "0") >= nanosOf(spec.resources?.requests?.storage ?? "0");
}

function withClass(claim: Claim, storageClassName: string): Claim {
  return { ...claim, spec: { ...claim.spec, storageClassName } } as Claim;
}
