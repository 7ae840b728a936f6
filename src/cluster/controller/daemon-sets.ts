// DaemonSet → a pod on every node that it fits, on nodes that come later too.
import type { DaemonSet, LabelSelector, Node, Pod } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";
import { forgetRevisions, keepRevision, revisionHash } from "./controller-revisions.ts";
import { available, type Clock } from "./due.ts";
import { isFinished, isReady, isTerminating, refusalOf } from "./scheduler.ts";
import {
  freePodNames,
  isActive,
  type PodActions,
  podFrom,
  REVISION_LABEL,
  share,
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
  constructor(store: Store, actions: PodActions, clock: Clock) {
    super("DaemonSet", store, actions, clock);
  }

  protected override otherChanged({ object }: StoreEvent): void {
    if (object.kind === "Node") this.markAll();
  }

  protected override gone(key: string): void {
    forgetRevisions(this.store, "DaemonSet", key);
  }

  protected selectorOf(object: DaemonSet): LabelSelector | undefined {
    return object.spec.selector;
  }

  protected sync(object: DaemonSet, pods: readonly Pod[]): void {
    const revision = revisionHash(object);
    const { name } = object.metadata;
    keepRevision(this.store, object, new Set(pods.map((pod) => `${name}-${revisionOf(pod)}`)));
    const nodes = this.store.list<Node>("Node");
    const fits = new Set(
      nodes
        .map(({ metadata }) => metadata.name)
        .filter((name, i) => refusalOf(makePod(object, { name, node: name, revision }), nodes[i]) === ""),
    );
    const active = pods.filter(isActive);
    const lasting = available(active, object.spec.minReadySeconds ?? 0, this.clock.nowMs());
    this.lookAgain(object, lasting.nextMs);
    const kept = this.#keepOneEach(object, active, fits, revision);
    const leaving = new Set(pods.filter(isTerminating).map((pod) => pod.spec.nodeName ?? ""));
    for (const pod of pods) if (isFinished(pod)) this.actions.delete(pod);
    const names = freePodNames(this.store, object, object.metadata.name);
    for (const node of fits) {
      const { old, next } = kept.get(node) ?? {};
      if (old !== undefined || next !== undefined || leaving.has(node)) continue;
      const pod = makePod(object, { name: names.next().value, node, revision });
      if (this.actions.create(pod) !== undefined) break; // the others as well
    }
    if (object.spec.updateStrategy?.type !== "OnDelete")
      this.#update(object, kept, new Set(lasting.pods), { desired: fits.size, revision });
    this.#report(object, active, { fits, revision, lasting: lasting.pods });
  }

  /** Pods of each node: one of an older template, one of this. Others, and those of nodes that do not fit, go. */
  #keepOneEach(
    object: DaemonSet,
    active: readonly Pod[],
    fits: ReadonlySet<string>,
    revision: string,
  ): Map<string, OnNode> {
    const kept = new Map<string, OnNode>();
    const { surge } = limitsOf(object, fits.size);
    for (const pod of active) {
      const node = pod.spec.nodeName ?? wantedNode(pod);
      const there = kept.get(node ?? "") ?? {};
      const place = revisionOf(pod) === revision ? "next" : "old";
      const isTwo = surge > 0 ? there[place] !== undefined : (there.old ?? there.next) !== undefined;
      if (node === undefined || !fits.has(node) || isTwo) this.actions.delete(pod);
      else kept.set(node, { ...there, [place]: pod });
    }
    return kept;
  }

  /** Pods of an older template go, as many at a time as may be missing; or, with maxSurge, when the next one is there. */
  #update(
    object: DaemonSet,
    kept: ReadonlyMap<string, OnNode>,
    lasting: ReadonlySet<Pod>,
    { desired, revision }: { desired: number; revision: string },
  ): void {
    const { surge, unavailable } = limitsOf(object, desired);
    if (surge > 0) {
      this.#surge(object, kept, lasting, { surge, revision });
      return;
    }
    const nodes = [...kept.values()];
    const outdated = nodes.flatMap(({ old }) => old ?? []);
    const missing = desired - nodes.filter(({ old, next }) => lasting.has((next ?? old) as Pod)).length;
    const room = Math.max(0, unavailable - missing);
    const serving = outdated.filter((pod) => lasting.has(pod)).slice(0, room);
    for (const pod of [...outdated.filter((each) => !lasting.has(each)), ...serving])
      this.actions.delete(pod);
  }

  #surge(
    object: DaemonSet,
    kept: ReadonlyMap<string, OnNode>,
    lasting: ReadonlySet<Pod>,
    { surge, revision }: { surge: number; revision: string },
  ): void {
    const nodes = [...kept].filter(([, { old }]) => old !== undefined);
    const names = freePodNames(this.store, object, object.metadata.name);
    let more = surge - nodes.filter(([, { next }]) => next !== undefined && !lasting.has(next)).length;
    for (const [node, { old, next }] of nodes) {
      if (next !== undefined) {
        if (lasting.has(next)) this.actions.delete(old as Pod);
      } else if (more-- > 0 || !lasting.has(old as Pod)) {
        const pod = makePod(object, { name: names.next().value, node, revision });
        if (this.actions.create(pod) !== undefined) return;
      }
    }
  }

  #report(
    object: DaemonSet,
    active: readonly Pod[],
    { fits, revision, lasting }: { fits: ReadonlySet<string>; revision: string; lasting: readonly Pod[] },
  ): void {
    const nodesOf = (pods: readonly Pod[]): number =>
      new Set(pods.map(({ spec }) => spec.nodeName ?? "").filter((node) => fits.has(node))).size;
    const right = active.filter((pod) => fits.has(pod.spec.nodeName ?? ""));
    const { generation } = object.metadata;
    this.writeStatus(object, {
      desiredNumberScheduled: fits.size,
      currentNumberScheduled: nodesOf(right),
      numberMisscheduled: active.filter(({ spec }) => spec.nodeName !== undefined).length - right.length,
      numberReady: nodesOf(right.filter(isReady)),
      numberAvailable: nodesOf([...lasting]),
      numberUnavailable: fits.size - nodesOf([...lasting]),
      updatedNumberScheduled: nodesOf(right.filter((pod) => revisionOf(pod) === revision)),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
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

interface OnNode {
  /** Of an older template. */
  readonly old?: Pod;
  readonly next?: Pod;
}

function limitsOf({ spec }: DaemonSet, desired: number): { surge: number; unavailable: number } {
  const { maxSurge = 0, maxUnavailable = 1 } = (spec.updateStrategy?.rollingUpdate ?? {}) as Limits;
  const surge = share(maxSurge, desired, Math.ceil);
  return { surge, unavailable: Math.max(surge > 0 ? 0 : 1, share(maxUnavailable, desired, Math.ceil)) };
}

interface Limits {
  readonly maxSurge?: number | string;
  readonly maxUnavailable?: number | string;
}

function revisionOf({ metadata }: Pod): string {
  return metadata.labels?.[REVISION_LABEL] ?? "";
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
