// StatefulSet → pods with names that stay: web-0, web-1 … One after the other, or all at once (podManagementPolicy).
// What a lab leaves out: the claims that volumes name, and history: a pod below the partition that is made anew gets the
// new template.
import type { LabelSelector, Pod, PodSpec, StatefulSet } from "../../kube/objects.ts";
import type { Store } from "../store.ts";
import { isFinished, isReady, isTerminating } from "./scheduler.ts";
import {
  isActive,
  type PodActions,
  podFrom,
  REVISION_LABEL,
  templateRevision,
  WorkloadController,
} from "./workload.ts";

const NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL = "apps.kubernetes.io/pod-index";

export class StatefulSetController extends WorkloadController<StatefulSet> {
  constructor(store: Store, actions: PodActions) {
    super("StatefulSet", store, actions);
  }

  protected selectorOf(object: StatefulSet): LabelSelector | undefined {
    return object.spec.selector;
  }

  protected sync(object: StatefulSet, pods: readonly Pod[]): void {
    const revision = `${object.metadata.name}-${templateRevision(object.spec.template)}`;
    this.#act(object, pods, revision);
    const active = pods.filter(isActive);
    const ready = active.filter(isReady).length;
    const updated = active.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision).length;
    const before = object.status?.currentRevision;
    const isRolledOut = updated === active.length;
    this.writeStatus(object, {
      replicas: active.length,
      readyReplicas: ready,
      availableReplicas: ready,
      updatedReplicas: updated,
      currentReplicas: isRolledOut ? updated : active.length - updated,
      currentRevision: isRolledOut ? revision : (before ?? revision),
      updateRevision: revision,
    });
  }

  /** One step where steps are in order; whatever the pods do next brings the next one. */
  #act(object: StatefulSet, pods: readonly Pod[], revision: string): void {
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
      if (pod === undefined) this.#create(object, ordinal, revision);
      else if (isFinished(pod)) this.actions.delete(pod);
      if (inOrder && (pod === undefined || !isHealthy(pod))) return;
    }
    const condemned = [...byOrdinal.keys()].filter((n) => !wanted.includes(n)).sort((a, b) => b - a);
    for (const ordinal of condemned) {
      const pod = byOrdinal.get(ordinal) as Pod;
      if (!isTerminating(pod)) this.actions.delete(pod);
      if (inOrder) return;
    }
    this.#update(object, wanted, byOrdinal, revision);
  }

  /** From the last one down, each ready before the next goes. */
  #update(
    object: StatefulSet,
    wanted: readonly number[],
    pods: ReadonlyMap<number, Pod>,
    revision: string,
  ): void {
    const { updateStrategy } = object.spec;
    if (updateStrategy?.type === "OnDelete") return;
    const partition = updateStrategy?.rollingUpdate?.partition ?? 0;
    for (const ordinal of [...wanted].reverse().filter((n) => n >= partition)) {
      const pod = pods.get(ordinal);
      if (pod === undefined) return;
      const isCurrent = pod.metadata.labels?.[REVISION_LABEL] === revision;
      if (!isCurrent && !isTerminating(pod)) {
        this.actions.delete(pod);
        return;
      }
      if (!isHealthy(pod)) return;
    }
  }

  #create(object: StatefulSet, ordinal: number, revision: string): void {
    const { serviceName, template } = object.spec;
    const name = `${object.metadata.name}-${ordinal}`;
    if (this.store.get("Pod", `${object.metadata.namespace}/${name}`) !== undefined) return; // somebody else's
    const pod = podFrom(object, template, {
      name,
      labels: { [NAME_LABEL]: name, [INDEX_LABEL]: `${ordinal}`, [REVISION_LABEL]: revision },
      spec: {
        hostname: name,
        ...(serviceName ? { subdomain: serviceName } : {}),
        ...volumesOf(object, name),
      },
    });
    this.actions.create(pod);
  }
}

/** A volume for each claim, in front of the template's; one of the same name gives way. */
function volumesOf({ spec }: StatefulSet, pod: string): Partial<PodSpec> {
  const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? "");
  if (claims.length === 0) return {};
  const own = (spec.template.spec?.volumes ?? []).filter(({ name }) => !claims.includes(name));
  const claimed = claims.map((name) => ({ name, persistentVolumeClaim: { claimName: `${name}-${pod}` } }));
  return { volumes: [...claimed, ...own] };
}

function isHealthy(pod: Pod): boolean {
  return isActive(pod) && pod.status.phase === "Running" && isReady(pod);
}

function ordinalOf({ metadata }: Pod, set: string): number | undefined {
  const rest = metadata.name.slice(set.length + 1);
  return metadata.name.startsWith(`${set}-`) && /^\d+$/.test(rest) ? Number(rest) : undefined;
}
