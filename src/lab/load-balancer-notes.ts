// What is said of a Service of type LoadBalancer, once a call: in a lab without a pool, that nobody gives it an address;
// with one, which of MetalLB's annotations do nothing.
import type { FieldNote } from "../kube/fields/fields.ts";
import type { KindInfo } from "../kube/kinds.ts";
import { LOAD_BALANCER_CLASS } from "../kube/load-balancer/announced-from.ts";
import type { KubeObject, Service } from "../kube/objects.ts";

interface Made {
  readonly object: KubeObject;
  readonly info: KindInfo;
}

const NO_POOL = "no address is given: lab.yaml has no loadBalancer.pool (docs/lab.md)";

const WITHOUT_EFFECT = {
  "address-pool": "the lab has one pool, which has no name: the address comes from it (docs/lab.md)",
  "allow-shared-ip": "addresses are not shared (docs/lab.md)",
} as const;
const PREFIXES = ["metallb.io", "metallb.universe.tf"];

/** To be said beside what else there is to say of the objects. */
export function loadBalancerNotes<T extends Made>(made: readonly T[], hasPool: boolean) {
  return made.flatMap(({ object, info }) => {
    const notes = loadBalancerNotesOf(object, hasPool);
    return notes.length === 0 ? [] : [{ object, info, notes }];
  });
}

/** A class of another's is left to him. Without a pool whoever writes the status gives the addresses. */
export function loadBalancerNotesOf(object: KubeObject, hasPool: boolean): FieldNote[] {
  if (object.kind !== "Service") return [];
  const { spec, status } = object as Partial<Service>;
  if (spec?.type !== "LoadBalancer") return [];
  const { loadBalancerClass = "" } = spec;
  if (hasPool) return ["", LOAD_BALANCER_CLASS].includes(loadBalancerClass) ? annotationNotes(object) : [];
  if (loadBalancerClass !== "" || (status?.loadBalancer?.ingress ?? []).length > 0) return [];
  return [{ field: "spec.type", text: NO_POOL, scope: "lab" }];
}

function annotationNotes({ metadata }: KubeObject): FieldNote[] {
  const names = PREFIXES.flatMap((prefix) =>
    Object.entries(WITHOUT_EFFECT).map(([word, text]) => ({ name: `${prefix}/${word}`, text })),
  );
  return names.flatMap(({ name, text }) => {
    const isWritten = (metadata.annotations?.[name] ?? "") !== "";
    return isWritten ? [{ field: `metadata.annotations[${name}]`, text, scope: "lab" as const }] : [];
  });
}
