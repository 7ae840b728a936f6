// What clients of the Kubernetes API are told of an object they write: what `podwire apply` says of it, without its name,
// since kubectl says the same line once.
import { type FieldNote, notDone } from "../kube/fields/fields.ts";
import type { KubeObject } from "../kube/objects.ts";
import { loadBalancerNotesOf } from "./load-balancer-notes.ts";
import type { ImageRule } from "./pod/image/built-in.ts";
import { imageNotesOf } from "./pod/image/image-notes.ts";

interface Lab {
  readonly images?: readonly ImageRule[];
  readonly loadBalancer?: object;
}

export function objectNotes(object: KubeObject, { images = [], loadBalancer }: Lab): string[] {
  const notes = new Map<string, FieldNote>();
  const note = (each: FieldNote): void => {
    const key = each.group ?? each.field;
    if (!notes.has(key)) notes.set(key, each);
  };
  notDone(object, object.kind, note);
  for (const each of imageNotesOf(object, images)) note(each);
  for (const each of loadBalancerNotesOf(object, loadBalancer !== undefined)) note(each);
  return [...notes.values()].map(({ field, text }) => `${field}: ${text}`);
}
