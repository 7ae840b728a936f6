// DaemonSet → a pod on every node that it fits, on nodes that come later too.
import type { DaemonSet, LabelSelector, Node, Pod } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { isFinished, isReady, isTerminating, refusalOf } from "./scheduler.ts";
import {
  freePodNames,
  isActive,
  type PodActions,
  podFrom,
  REVISION_LABEL,
  share,
  templateRevision,
  WorkloadController,
} from "./workload.ts";

/** Daemon pods stay on nodes that others keep away from (AddOrUpdateDaemonPodTolerations). */
const TOLERATED = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];
const NETWORK_TOLERATED = {
  key: "node.kubernetes.io/network-unavailable",
  operator: "Exists",
  effect: "NoSchedule",
};

export class DaemonSetController extends WorkloadController<DaemonSet> {
  constructor(store: Store, actions: PodActions) {
    super("DaemonSet", store, actions);
  }

  protected override otherChanged({ object }: StoreEvent): void {
    if (object.kind === "Node") this.markAll();
  }

  protected selectorOf(object: DaemonSet): LabelSelector | undefined {
    return object.spec.selector;
  }

  protected sync(object: DaemonSet, pods: readonly Pod[]): void {
    const revision = templateRevision(object.spec.template);
    const nodes = this.store.list<Node>("Node");
    const fits = new Set(
      nodes
        .map(({ metadata }) => metadata.name)
        .filter((name, i) => refusalOf(makePod(object, { name, node: name, revision }), nodes[i]) === ""),
    );
    const active = pods.filter(isActive);
    const kept = new Map<string, Pod>();
    for (const pod of active) {
      const node = pod.spec.nodeName ?? wantedNode(pod);
      if (node === undefined || !fits.has(node) || kept.has(node)) this.actions.delete(pod);
      else kept.set(node, pod);
    }
    const leaving = new Set(pods.filter(isTerminating).map((pod) => pod.spec.nodeName ?? ""));
    for (const pod of pods) if (isFinished(pod)) this.actions.delete(pod);
    const names = freePodNames(this.store, object, object.metadata.name);
    for (const node of fits) {
      if (kept.has(node) || leaving.has(node)) continue;
      const pod = makePod(object, { name: names.next().value, node, revision });
      if (this.actions.create(pod) !== undefined) break; // the others as well
    }
    this.#update(object, [...kept.values()], fits.size, revision);
    this.#report(object, active, fits, revision);
  }

  /** Pods of an older template go, as many at a time as may be missing. */
  #update(object: DaemonSet, pods: readonly Pod[], desired: number, revision: string): void {
    const { updateStrategy } = object.spec;
    if (updateStrategy?.type === "OnDelete") return;
    const limit = share(updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, desired, Math.ceil);
    const outdated = pods.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] !== revision);
    const unready = outdated.filter((pod) => !isReady(pod));
    const missing = desired - pods.filter(isReady).length;
    const room = Math.max(0, Math.max(1, limit) - missing);
    for (const pod of [...unready, ...outdated.filter(isReady).slice(0, room)]) this.actions.delete(pod);
  }

  #report(object: DaemonSet, active: readonly Pod[], fits: ReadonlySet<string>, revision: string): void {
    const right = active.filter((pod) => fits.has(pod.spec.nodeName ?? ""));
    const ready = right.filter(isReady).length;
    this.writeStatus(object, {
      desiredNumberScheduled: fits.size,
      currentNumberScheduled: right.length,
      numberMisscheduled: active.filter(({ spec }) => spec.nodeName !== undefined).length - right.length,
      numberReady: ready,
      numberAvailable: ready,
      numberUnavailable: fits.size - ready,
      updatedNumberScheduled: right.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision)
        .length,
    });
  }
}

interface PodOf {
  readonly name: string;
  readonly node: string;
  readonly revision: string;
}

function makePod(object: DaemonSet, { name, node, revision }: PodOf): Pod {
  const { template } = object.spec;
  const { tolerations = [], hostNetwork } = template.spec ?? { containers: [] };
  return podFrom(object, template, {
    name,
    labels: { [REVISION_LABEL]: revision, "pod-template-generation": "1" },
    spec: {
      tolerations: [...tolerations, ...TOLERATED, ...(hostNetwork === true ? [NETWORK_TOLERATED] : [])],
      affinity: withNode(template.spec?.affinity, node),
    },
  });
}

type Affinity = NonNullable<Pod["spec"]["affinity"]>;

/** The scheduler places a daemon's pod like any other; this leaves it one node. */
function withNode(affinity: Affinity | undefined, node: string): Affinity {
  const here = { key: "metadata.name", operator: "In", values: [node] };
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required?.nodeSelectorTerms ?? [{}];
  const nodeSelectorTerms = terms.map((term) => ({ ...term, matchFields: [here] }));
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
    },
  };
}

function wantedNode(pod: Pod): string | undefined {
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required?.nodeSelectorTerms[0]?.matchFields?.[0]?.values?.[0];
}
