// Endpoints of Services without selector, mirrored in a store (mirrored-slices.ts says how) as they change.
import { MIRRORING_CONTROLLER, mirrorSlices } from "../../kube/mirrored-slices.ts";
import {
  type EndpointSlice,
  type Endpoints,
  type KubeObject,
  keyOf,
  type Service,
} from "../../kube/objects.ts";
import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from "../../kube/slice-labels.ts";
import type { Store, StoreEvent } from "../store.ts";

/** Keeps the mirrored slices of a store. */
export class EndpointsMirrorController {
  readonly #store: Store;
  readonly #dirty = new Set<string>();
  readonly #orphaned = new Set<string>();
  /** Service → keys of the slices that this controller manages. */
  readonly #slices = new Map<string, Set<string>>();

  constructor(store: Store) {
    this.#store = store;
  }

  onEvent({ type, object }: StoreEvent): void {
    if (object.kind === "Endpoints") this.#dirty.add(keyOf(object));
    else if (object.kind === "Service") {
      this.#dirty.add(keyOf(object));
      // The endpoints controller takes the Endpoints of a Service away with it, whoever made them.
      if (type === "DELETED") this.#orphaned.add(keyOf(object));
    } else if (object.kind === "EndpointSlice") this.#sliceChanged(type, object);
  }

  settle(): void {
    this.#orphaned.clear();
    this.#dirty.clear();
  }

  /** True when there was something to do. */
  reconcile(): boolean {
    for (const key of this.#orphaned) {
      if (this.#store.get("Service", key) === undefined) this.#store.remove("Endpoints", key);
    }
    this.#orphaned.clear();
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) this.#reconcileOne(key);
    return keys.length > 0;
  }

  #sliceChanged(type: StoreEvent["type"], slice: KubeObject): void {
    const { namespace, labels } = slice.metadata;
    if (labels?.[MANAGED_BY_LABEL] !== MIRRORING_CONTROLLER) return;
    const service = `${namespace}/${labels[SERVICE_NAME_LABEL]}`;
    const keys = this.#slices.get(service) ?? new Set();
    if (type === "DELETED") keys.delete(keyOf(slice));
    else keys.add(keyOf(slice));
    this.#slices.set(service, keys);
    this.#dirty.add(service); // put right what somebody else changed
  }

  #reconcileOne(key: string): void {
    const existing = [...(this.#slices.get(key) ?? [])]
      .sort()
      .map((slice) => this.#store.get<EndpointSlice>("EndpointSlice", slice))
      .filter((slice): slice is EndpointSlice => slice !== undefined);
    const wanted = mirrorSlices(
      this.#store.get<Endpoints>("Endpoints", key),
      this.#store.get<Service>("Service", key),
      existing,
      (name) => this.#store.get("EndpointSlice", `${key.split("/")[0]}/${name}`) !== undefined,
    );
    const kept = new Set(wanted.map(keyOf));
    for (const slice of wanted) this.#store.put(slice);
    for (const slice of existing)
      if (!kept.has(keyOf(slice))) this.#store.remove("EndpointSlice", keyOf(slice));
  }
}
