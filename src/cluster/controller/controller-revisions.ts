// The templates that a StatefulSet or DaemonSet has had: ControllerRevisions, by which `kubectl rollout history` tells
// and `undo` goes back, and by which a StatefulSet makes a pod below its partition anew.
import type {
  ControllerRevision,
  DaemonSet,
  KubeObject,
  PodTemplate,
  StatefulSet,
} from "../../kube/objects.ts";
import { keyOf } from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { controllerOf, ownerReference, REVISION_LABEL, templateRevision } from "./workload.ts";

const HASH_LABEL = "controller.kubernetes.io/hash";
const HISTORY_DEFAULT = 10;

type Owner = StatefulSet | DaemonSet;

const HASHES = new WeakMap<PodTemplate, string>();

/** Of the object's template as it is. */
export function revisionHash({ spec }: Owner): string {
  const known = HASHES.get(spec.template);
  if (known !== undefined) return known;
  const hash = templateRevision(spec.template);
  HASHES.set(spec.template, hash);
  return hash;
}

export function revisionName(owner: Owner): string {
  return `${owner.metadata.name}-${revisionHash(owner)}`;
}

/** Keeps the template of now, with the highest number, and of those that are in use by none no more than are wanted. */
export function keepRevision(store: Store, owner: Owner, inUse: ReadonlySet<string>): void {
  const name = revisionName(owner);
  const all = revisionsOf(store, owner);
  const found = all.find(({ metadata }) => metadata.name === name);
  const highest = Math.max(0, ...all.map(({ revision }) => revision));
  if (found === undefined) store.put(newRevision(owner, name, highest + 1));
  else if (found.revision < highest) store.put({ ...found, revision: highest + 1 } as ControllerRevision);
  const limit = owner.spec.revisionHistoryLimit ?? HISTORY_DEFAULT;
  const unused = all.filter(({ metadata }) => metadata.name !== name && !inUse.has(metadata.name));
  for (const each of unused.slice(0, Math.max(0, unused.length - limit)))
    store.remove("ControllerRevision", keyOf(each));
}

/** The template that it had then; undefined: nobody knows any more. */
export function templateOf(store: Store, owner: Owner, name: string): PodTemplate | undefined {
  const found = revisionsOf(store, owner).find(({ metadata }) => metadata.name === name);
  const { $patch: _, ...template } = found?.data?.spec?.template ?? {};
  return found === undefined ? undefined : (template as PodTemplate);
}

/** Of one that is gone: it goes by "namespace/name". */
export function forgetRevisions(store: Store, kind: string, key: string): void {
  const [namespace, name] = key.split("/");
  for (const each of revisionsOf(store, { kind, metadata: { namespace, name } }))
    store.remove("ControllerRevision", keyOf(each));
}

/** The oldest first. */
function revisionsOf(
  store: Store,
  { kind, metadata }: Pick<KubeObject, "kind" | "metadata">,
): ControllerRevision[] {
  return store
    .list<ControllerRevision>("ControllerRevision", metadata.namespace)
    .filter((each) => {
      const owner = controllerOf(each);
      return owner?.kind === kind && owner.name === metadata.name;
    })
    .sort((a, b) => a.revision - b.revision);
}

function newRevision(owner: Owner, name: string, revision: number): ControllerRevision {
  const { template } = owner.spec;
  const hash = revisionHash(owner);
  const label = owner.kind === "StatefulSet" ? HASH_LABEL : REVISION_LABEL;
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name,
      namespace: owner.metadata.namespace as string,
      labels: { ...template.metadata?.labels, [label]: hash },
      ...(owner.metadata.annotations === undefined ? {} : { annotations: owner.metadata.annotations }),
      ownerReferences: [ownerReference(owner)],
    },
    // As kubectl applies it when it goes back: a strategic merge patch of the whole template.
    data: { spec: { template: { ...structuredClone(template), $patch: "replace" } } },
    revision,
  };
}
