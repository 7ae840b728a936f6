// StatefulSet → pods with names that stay: web-0, web-1 … One after the other, or all at once (podManagementPolicy).
// A pod below the partition that is made anew gets the template that it had: ControllerRevisions keep it. Claims are
// made, and stay when their pods go.
import {
  type KubeObject,
  keyOf,
  type LabelSelector,
  type Pod,
  type PodSpec,
  type PodTemplate,
  type StatefulSet,
} from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { forgetRevisions, keepRevision, revisionName, templateOf } from "./controller-revisions.ts";
import { available, type Clock } from "./due.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import { isActive, type PodActions, podFrom, REVISION_LABEL, WorkloadController } from "./workload.ts";

const NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL = "apps.kubernetes.io/pod-index";

export class StatefulSetController extends WorkloadController<StatefulSet> {
  constructor(store: Store, actions: PodActions, clock: Clock) {
    super("StatefulSet", store, actions, clock);
  }

  protected override gone(key: string): void {
    forgetRevisions(this.store, "StatefulSet", key);
  }

  protected selectorOf(object: StatefulSet): LabelSelector | undefined {
    return object.spec.selector;
  }

  protected sync(object: StatefulSet, pods: readonly Pod[]): void {
    const update = revisionName(object);
    const current = object.status?.currentRevision || update;
    keepRevision(this.store, object, new Set([current, update, ...pods.map(revisionOf)]));
    this.#act(object, pods, { current, update });
    const active = pods.filter(isActive);
    const { minReadySeconds = 0, updateStrategy } = object.spec;
    const lasting = available(active, minReadySeconds, this.clock.nowMs());
    this.lookAgain(object, lasting.nextMs);
    const ready = active.filter(isReady).length;
    const updated = active.filter((pod) => revisionOf(pod) === update).length;
    const isDone =
      updated === active.length && ready === active.length && updateStrategy?.type !== "OnDelete";
    const { generation } = object.metadata;
    this.writeStatus(object, {
      replicas: active.length,
      readyReplicas: ready,
      availableReplicas: lasting.pods.length,
      updatedReplicas: updated,
      currentReplicas: isDone ? updated : active.filter((pod) => revisionOf(pod) === current).length,
      currentRevision: isDone ? update : current,
      updateRevision: update,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    });
  }

  /** One step where steps are in order; whatever the pods do next brings the next one. */
  #act(object: StatefulSet, pods: readonly Pod[], revisions: Revisions): void {
    const { replicas = 1, ordinals, podManagementPolicy } = object.spec;
    const first = ordinals?.start ?? 0;
    const inOrder = podManagementPolicy !== "Parallel";
    const byOrdinal = new Map<number, Pod>();
    for (const pod of pods) {
      const ordinal = ordinalOf(pod, object.metadata.name);
      if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
    }
    const wanted = Array.from({ length: replicas }, (_, i) => first + i);
    for (const ordinal of wanted) {
      const pod = byOrdinal.get(ordinal);
      if (pod === undefined) this.#create(object, ordinal, revisions);
      else if (isFinished(pod)) this.actions.delete(pod);
      if (inOrder && (pod === undefined || !this.#isHealthy(object, pod))) return;
    }
    const condemned = [...byOrdinal.keys()].filter((n) => !wanted.includes(n)).sort((a, b) => b - a);
    for (const ordinal of condemned) {
      const pod = byOrdinal.get(ordinal) as Pod;
      if (!isTerminating(pod)) this.actions.delete(pod);
      if (inOrder) return;
    }
    this.#update(object, wanted, byOrdinal, revisions.update);
  }

  /** From the last one down, each available before the next goes. */
  #update(
    object: StatefulSet,
    wanted: readonly number[],
    pods: ReadonlyMap<number, Pod>,
    revision: string,
  ): void {
    if (object.spec.updateStrategy?.type === "OnDelete") return;
    for (const ordinal of [...wanted].reverse().filter((n) => n >= partitionOf(object))) {
      const pod = pods.get(ordinal);
      if (pod === undefined) return;
      if (revisionOf(pod) !== revision && !isTerminating(pod)) {
        this.actions.delete(pod);
        return;
      }
      if (!this.#isHealthy(object, pod)) return;
    }
  }

  #create(object: StatefulSet, ordinal: number, { current, update }: Revisions): void {
    const { serviceName } = object.spec;
    const isOld = object.spec.updateStrategy?.type !== "OnDelete" && ordinal < partitionOf(object);
    const old = isOld && current !== update ? templateOf(this.store, object, current) : undefined;
    const template = old ?? object.spec.template;
    const revision = old === undefined ? update : current;
    const name = `${object.metadata.name}-${ordinal}`;
    if (this.store.get("Pod", `${object.metadata.namespace}/${name}`) !== undefined) return; // somebody else's
    const pod = podFrom(object, template, {
      name,
      labels: { [NAME_LABEL]: name, [INDEX_LABEL]: `${ordinal}`, [REVISION_LABEL]: revision },
      spec: {
        hostname: name,
        ...(serviceName ? { subdomain: serviceName } : {}),
        ...volumesOf(object, template, name),
      },
    });
    for (const claim of claimsOf(object, name))
      if (this.store.get(claim.kind, keyOf(claim)) === undefined) this.store.put(claim);
    this.actions.create(pod);
  }

  #isHealthy({ spec }: StatefulSet, pod: Pod): boolean {
    if (!isActive(pod) || pod.status.phase !== "Running") return false;
    return available([pod], spec.minReadySeconds ?? 0, this.clock.nowMs()).pods.length > 0;
  }
}

interface Revisions {
  readonly current: string;
  readonly update: string;
}

/** Ordinals below it keep the template they have. */
function partitionOf({ spec }: StatefulSet): number {
  return (spec.ordinals?.start ?? 0) + (spec.updateStrategy?.rollingUpdate?.partition ?? 0);
}

function revisionOf({ metadata }: Pod): string {
  return metadata.labels?.[REVISION_LABEL] ?? "";
}

/** PersistentVolumeClaims of a pod. They outlive it. */
function claimsOf({ metadata, spec }: StatefulSet, pod: string): KubeObject[] {
  return (spec.volumeClaimTemplates ?? []).map((template) => {
    return {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: `${template.metadata?.name}-${pod}`,
        namespace: metadata.namespace as string,
        labels: { ...template.metadata?.labels, ...spec.selector.matchLabels },
      },
      spec: { ...template.spec },
    } as KubeObject;
  });
}

/** A volume for each claim, in front of the template's; one of the same name gives way. */
function volumesOf({ spec }: StatefulSet, template: PodTemplate, pod: string): Partial<PodSpec> {
  const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? "");
  if (claims.length === 0) return {};
  const own = (template.spec?.volumes ?? []).filter(({ name }) => !claims.includes(name));
  const claimed = claims.map((name) => ({ name, persistentVolumeClaim: { claimName: `${name}-${pod}` } }));
  return { volumes: [...claimed, ...own] };
}

function ordinalOf({ metadata }: Pod, set: string): number | undefined {
  const rest = metadata.name.slice(set.length + 1);
  return metadata.name.startsWith(`${set}-`) && /^\d+$/.test(rest) ? Number(rest) : undefined;
}
