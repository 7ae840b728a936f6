// CustomResourceDefinitions are accepted and established as soon as they are there.
import type { CustomDefinition } from "../../kube/custom-definition.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";

const KIND = "CustomResourceDefinition";

export class CustomDefinitionController {
  readonly #store: Store;
  readonly #now: () => string;
  readonly #dirty = new Set<string>();

  constructor(store: Store, now: () => string) {
    this.#store = store;
    this.#now = now;
  }

  onEvent({ object }: StoreEvent): void {
    if (object.kind === KIND) this.#dirty.add(keyOf(object));
  }

  settle(): void {
    this.#dirty.clear();
  }

  reconcile(): boolean {
    const keys = [...this.#dirty];
    this.#dirty.clear();
    for (const key of keys) {
      const definition = this.#store.get<CustomDefinition>(KIND, key);
      if (definition !== undefined) this.#store.put(this.#established(definition));
    }
    return keys.length > 0;
  }

  #established(definition: CustomDefinition): KubeObject {
    const { spec, status = {} } = definition;
    const stored = spec.versions.find(({ storage }) => storage === true)?.name ?? "";
    const condition = (type: string, reason: string, message: string): object => ({
      ...{ type, status: "True", reason, message, lastTransitionTime: this.#now() },
    });
    const conditions = status.conditions ?? [
      condition("NamesAccepted", "NoConflicts", "no conflicts found"),
      condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ];
    const storedVersions = [...new Set([...(status.storedVersions ?? []), stored])];
    const names = {
      singular: spec.names.kind.toLowerCase(),
      listKind: `${spec.names.kind}List`,
      ...spec.names,
    };
    const next = { acceptedNames: names, conditions, storedVersions };
    return { ...definition, spec: { ...spec, names }, status: next } as CustomDefinition;
  }
}
