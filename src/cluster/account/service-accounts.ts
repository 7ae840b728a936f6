// The service account `default` of every namespace, which pods that name none run as: made with the namespace, and
// again when somebody took it away.
import type { KubeObject } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { DEFAULT_ACCOUNT } from "./pod-account.ts";

const KIND = "ServiceAccount";

export class ServiceAccountController {
  readonly #store: Store;
  /** Namespaces. */
  readonly #dirty = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
  }

  onEvent({ type, object: { kind, metadata } }: StoreEvent): void {
    if (kind === "Namespace" && type === "ADDED") this.#dirty.add(metadata.name);
    if (kind === KIND && type === "DELETED" && metadata.name === DEFAULT_ACCOUNT)
      this.#dirty.add(metadata.namespace ?? "");
  }

  settle(): void {
    this.#dirty.clear();
  }

  reconcile(): boolean {
    const namespaces = [...this.#dirty];
    this.#dirty.clear();
    for (const namespace of namespaces) {
      const isThere = this.#store.get("Namespace", namespace) !== undefined;
      if (!isThere || this.#store.get(KIND, `${namespace}/${DEFAULT_ACCOUNT}`) !== undefined) continue;
      const metadata = { name: DEFAULT_ACCOUNT, namespace };
      this.#store.put({ apiVersion: "v1", kind: KIND, metadata } as KubeObject);
    }
    return namespaces.length > 0;
  }
}
