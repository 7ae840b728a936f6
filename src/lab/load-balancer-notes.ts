// What is said of a Service of type LoadBalancer in a lab without a pool, once a call: nobody gives it an address.
import type { FieldNote } from "../kube/fields/fields.ts";
import type { KindInfo } from "../kube/kinds.ts";
import type { KubeObject, Service } from "../kube/objects.ts";

interface Made {
  readonly object: KubeObject;
  readonly info: KindInfo;
}

const TEXT = "no address is given: lab.yaml has no loadBalancer.pool (docs/lab.md)";

/** To be said beside what else there is to say of the objects. */
export function loadBalancerNotes<T extends Made>(made: readonly T[], hasPool: boolean) {
  return made.flatMap(({ object, info }) => {
    const notes = loadBalancerNotesOf(object, hasPool);
    return notes.length === 0 ? [] : [{ object, info, notes }];
  });
}

/** A class is somebody else's, and whoever writes the status gives the addresses. */
export function loadBalancerNotesOf(object: KubeObject, hasPool: boolean): FieldNote[] {
  if (hasPool || object.kind !== "Service") return [];
  const { spec, status } = object as Partial<Service>;
  if (spec?.type !== "LoadBalancer" || (spec.loadBalancerClass ?? "") !== "") return [];
  if ((status?.loadBalancer?.ingress ?? []).length > 0) return [];
  return [{ field: "spec.type", text: TEXT, scope: "lab" }];
}
