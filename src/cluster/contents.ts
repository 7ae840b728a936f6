// What goes with an object that others are in: a namespace's objects, those of a custom resource's definition.
import { type CustomDefinition, definedKind } from "../kube/custom-definition.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Store } from "./store.ts";

export function contentsOf(object: KubeObject, store: Store): KubeObject[] {
  if (object.kind === "CustomResourceDefinition") return store.list(definedKind(object as CustomDefinition));
  if (object.kind !== "Namespace") return [];
  return store.kinds.flatMap((kind) => store.list(kind, object.metadata.name));
}
