// ReferenceGrants: who may name an object of another namespace.
import type { ObjectRef, ReferenceGrant } from "../../kube/gateway/gateway-objects.ts";
import type { KubeObject } from "../../kube/objects.ts";

const GROUP = "gateway.networking.k8s.io";

export class Grants {
  readonly #byNamespace = new Map<string, ReferenceGrant[]>();

  constructor(objects: readonly KubeObject[]) {
    for (const object of objects) {
      if (object.kind !== "ReferenceGrant") continue;
      const namespace = object.metadata.namespace ?? "";
      this.#byNamespace.set(namespace, [
        ...(this.#byNamespace.get(namespace) ?? []),
        object as ReferenceGrant,
      ]);
    }
  }

  /** May `from` name the object of `ref`? Within a namespace everybody may. */
  allows(from: KubeObject, ref: ObjectRef): boolean {
    const own = from.metadata.namespace ?? "";
    const other = ref.namespace ?? own;
    if (other === own) return true;
    return (this.#byNamespace.get(other) ?? []).some(
      ({ spec }) =>
        spec.from.some(
          ({ group, kind, namespace }) => group === GROUP && kind === from.kind && namespace === own,
        ) &&
        spec.to.some(
          ({ group, kind, name = "" }) =>
            group === ref.group && kind === ref.kind && (name === "" || name === ref.name),
        ),
    );
  }
}
