// The ReplicaSets of a Deployment: which one is its template's, their revisions (kubectl rollout history and undo read
// them), and those that are kept for going back.
import { type Deployment, keyOf, type PodTemplate, type ReplicaSet } from "../../../kube/objects.ts";
import { ownerReference, templateRevision } from "../workload.ts";

export const HASH_LABEL = "pod-template-hash";
export const REVISION = "deployment.kubernetes.io/revision";
const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
const DESIRED = "deployment.kubernetes.io/desired-replicas";
const MAX = "deployment.kubernetes.io/max-replicas";
const HISTORY_DEFAULT = 10;
/** Not handed on from the Deployment. */
const OWN = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED,
  MAX,
  "deprecated.deployment.rollback.to",
]);

/** Whether kube-controller-manager would find the template the same: its own label aside. */
export function isTemplateOf({ spec }: Deployment, set: ReplicaSet): boolean {
  return hashOf(set.spec.template) === hashOf(spec.template);
}

const HASHES = new WeakMap<PodTemplate, string>();

/** Stored objects are never changed, and this is asked with each of their pods' changes. */
function hashOf(template: PodTemplate): string {
  const known = HASHES.get(template);
  if (known !== undefined) return known;
  const hash = templateRevision(withoutHash(template));
  HASHES.set(template, hash);
  return hash;
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [HASH_LABEL]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** The oldest first. */
export function byAge(sets: readonly ReplicaSet[]): ReplicaSet[] {
  const age = ({ metadata }: ReplicaSet): string => `${metadata.creationTimestamp ?? ""}/${metadata.name}`;
  return [...sets].sort((a, b) => (age(a) < age(b) ? -1 : 1));
}

export function revisionOf(object: { metadata: { annotations?: Record<string, string> } }): number {
  return Number(object.metadata.annotations?.[REVISION] ?? 0) || 0;
}

/** A ReplicaSet for the Deployment's template, with no pods yet. */
export function newSet(deployment: Deployment, revision: number): ReplicaSet {
  const { metadata, spec } = deployment;
  const { template, selector } = spec;
  const hash = hashOf(template);
  const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace as string,
      labels,
      annotations: { ...handedOn(deployment), [REVISION]: `${revision}` },
      ownerReferences: [ownerReference(deployment)],
    },
    spec: {
      replicas: 0,
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } },
      template: { ...structuredClone(template), metadata: { ...template.metadata, labels } },
    },
  } as ReplicaSet;
}

function handedOn({ metadata }: Deployment): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([name]) => !OWN.has(name)));
}

/** The set of the Deployment's template as it should stand: the highest revision, the Deployment's annotations. */
export function updatedSet(deployment: Deployment, set: ReplicaSet, revision: number): ReplicaSet {
  const before = set.metadata.annotations ?? {};
  const was = revisionOf(set);
  const history =
    was === 0 || was === revision
      ? {}
      : { [REVISION_HISTORY]: [before[REVISION_HISTORY], was].filter(Boolean).join(",") };
  const annotations = { ...before, ...handedOn(deployment), ...history, [REVISION]: `${revision}` };
  const { minReadySeconds } = deployment.spec;
  const spec = minReadySeconds === undefined ? set.spec : { ...set.spec, minReadySeconds };
  return { ...set, metadata: { ...set.metadata, annotations }, spec } as ReplicaSet;
}

/** With so many replicas, and with what the Deployment wanted when they were set. */
export function scaledSet(set: ReplicaSet, replicas: number, desired: number, surge: number): ReplicaSet {
  const annotations = {
    ...set.metadata.annotations,
    [DESIRED]: `${desired}`,
    [MAX]: `${desired + surge}`,
  };
  return {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  } as ReplicaSet;
}

/** What the Deployment wanted when the set was scaled last; undefined: nobody wrote it. */
export function desiredOf({ metadata }: ReplicaSet): number | undefined {
  const text = metadata.annotations?.[DESIRED];
  return text === undefined ? undefined : Number(text);
}

export function maxOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[MAX] ?? 0) || replicasOf(set);
}

export function replicasOf({ spec }: ReplicaSet): number {
  return spec.replicas ?? 0;
}

export function statusOf(set: ReplicaSet): { replicas: number; ready: number; available: number } {
  const { replicas = 0, readyReplicas: ready = 0, availableReplicas: available = 0 } = set.status ?? {};
  return { replicas, ready, available };
}

/** Sets without pods that are more than are to be kept, the oldest revisions first. */
export function surplus({ spec }: Deployment, olds: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = spec.revisionHistoryLimit ?? HISTORY_DEFAULT;
  const empty = olds.filter((set) => replicasOf(set) === 0 && statusOf(set).replicas === 0);
  const sorted = empty.sort((a, b) => revisionOf(a) - revisionOf(b) || (keyOf(a) < keyOf(b) ? -1 : 1));
  return sorted.slice(0, Math.max(0, olds.length - limit));
}
