// How a manifest meets what is stored: in which order the objects of a call are taken, what an apply leaves alone, and
// which field an allocation that fails is about.
import { PodwireError } from "../base/errors.ts";
import { KINDS } from "../kube/kinds.ts";
import type { FieldPath } from "../kube/manifest/field-problems.ts";
import type { Manifest, ManifestProblem } from "../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Pod, type Service } from "../kube/objects.ts";
import { withAccountOf } from "./account/pod-account.ts";
import { PodPlacer } from "./controller/pod-placer.ts";
import { alreadyExists } from "./outcome.ts";
import type { Store } from "./store.ts";

/** Namespaces first, and whoever asks for a certain address before those who take any. */
export function inOrder(manifests: readonly Manifest[]): Manifest[] {
  const rank = ({ info, object }: Manifest): number => {
    const index = Math.max(
      0,
      KINDS.findIndex((k) => k.kind === info.kind),
    );
    const asks =
      info.kind === "Service"
        ? asksForNumbers(object as Service)
        : info.kind === "Pod" && PodPlacer.wantedAddresses(object as Pod).length > 0;
    return index * 2 + (asks ? 0 : 1);
  };
  return [...manifests].sort((a, b) => rank(a) - rank(b));
}

function asksForNumbers({ spec }: Service): boolean {
  const ports = (spec.ports ?? []).some((port) => (port.nodePort ?? 0) !== 0);
  return ports || (spec.clusterIPs ?? []).length > 0 || (spec.healthCheckNodePort ?? 0) !== 0;
}

/** For a call that creates: objects that are there already refuse it. */
export function checkNew(manifests: readonly Manifest[], store: Store): void {
  const lines = manifests
    .filter(({ info, object }) => store.get(info.kind, keyOf(object)) !== undefined)
    .map(({ info, object, problem }) => alreadyExists(info, object.metadata.name, problem([], "").file));
  if (lines.length > 0) throw new PodwireError(lines.join("\n"), { code: "ALREADY_EXISTS" });
}

/** Namespaces that are neither there nor among the objects. */
export function checkNamespaces(
  manifests: readonly Manifest[],
  store: Store,
  problems: ManifestProblem[],
): void {
  const made = new Set(
    manifests.filter((m) => m.object.kind === "Namespace").map((m) => m.object.metadata.name),
  );
  for (const { object, problem } of manifests) {
    const namespace = object.metadata.namespace;
    if (namespace === undefined || made.has(namespace) || store.get("Namespace", namespace)) continue;
    problems.push(problem(["metadata", "namespace"], `namespaces "${namespace}" not found`));
  }
}

/** A manifest with what was added to the object when it was new, which it does not repeat. */
export function asBefore(object: KubeObject, old: KubeObject | undefined): KubeObject {
  if (object.kind === "CustomResourceDefinition") return withoutStatus(object);
  return old === undefined || object.kind !== "Pod" ? object : withAccountOf(object as Pod, old as Pod);
}

/** What generates definitions writes a status of nulls beside them, which would take away what is established. */
function withoutStatus(object: KubeObject): KubeObject {
  const { status: _, ...rest } = object as KubeObject & { status?: object };
  return rest as KubeObject;
}

/** Of these the cluster fills in fields of the spec, which a later manifest does not repeat. */
const KEPT_SPECS = new Set(["Job", "Node", "Pod"]);

/** What an apply leaves alone: status, and labels and annotations that no manifest ever set. */
export function merge(object: KubeObject, old: KubeObject, applied: KubeObject | undefined): KubeObject {
  const keep = (field: "labels" | "annotations"): Record<string, string> => {
    const mine = applied?.metadata[field] ?? {};
    const others = Object.entries(old.metadata[field] ?? {}).filter(([key]) => !Object.hasOwn(mine, key));
    return { ...Object.fromEntries(others), ...object.metadata[field] };
  };
  const labels = keep("labels");
  const annotations = keep("annotations");
  const { labels: _l, annotations: _a, ...rest } = { ...old.metadata, ...object.metadata };
  const metadata = {
    ...rest,
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  const next = object as KubeObject & { status?: object; spec?: object };
  const before = old as KubeObject & { status?: object; spec?: object };
  const status = Object.keys(next.status ?? {}).length > 0 ? next.status : before.status;
  const spec = KEPT_SPECS.has(object.kind) ? { ...before.spec, ...next.spec } : next.spec;
  return {
    ...object,
    metadata,
    ...(spec === undefined ? {} : { spec }),
    ...(status === undefined ? {} : { status }),
  } as KubeObject;
}

/** Which field of the manifest an allocation error is about. */
export function fieldOf(error: PodwireError, object: KubeObject): FieldPath {
  const path = error.data.path as FieldPath | undefined;
  if (path !== undefined) return path;
  if (object.kind === "Node") return ["spec", "podCIDRs"];
  return object.kind === "Pod" ? ["status", "podIPs"] : [];
}
