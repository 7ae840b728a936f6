// What controllers do to pods, with the events that a cluster's controllers record of it.

import type { KubeObject, Pod } from "../../kube/objects.ts";
import type { Happening } from "../event-recorder.ts";
import type { Store } from "../store.ts";

export interface PodActions {
  /** Why the API server refused it; undefined: it is there. */
  create(pod: Pod): string | undefined;
  delete(pod: Pod): void;
  /** Something happened to an object. */
  tell(happening: Happening): void;
}

/** Kinds whose controllers tell of each pod; a Deployment's tells of numbers. */
const COMPONENTS: Readonly<Record<string, string>> = {
  DaemonSet: "daemonset-controller",
  Job: "job-controller",
  ReplicaSet: "replicaset-controller",
  ReplicationController: "replication-controller",
  StatefulSet: "statefulset-controller",
};

export function toldActions(
  store: Store,
  tell: (happening: Happening) => void,
  actions: Pick<PodActions, "create" | "delete">,
): PodActions {
  /** Owner → what it was told of a pod that was refused: it tries again whenever it looks. */
  const refused = new Map<string, string>();
  const told = (pod: Pod, reason: string, text: (kind: string) => string): void => {
    const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true);
    const component = COMPONENTS[owner?.kind ?? ""];
    if (owner === undefined || component === undefined) return;
    const object = store.get(owner.kind, `${pod.metadata.namespace}/${owner.name}`);
    if (object !== undefined) tell({ object, reason, message: text(owner.kind), component });
  };
  const tellRefused = (pod: Pod, why: string): void => {
    const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true);
    const object = store.get(owner?.kind ?? "Pod", `${pod.metadata.namespace}/${owner?.name}`);
    if (object === undefined) return;
    const key = `${object.kind}/${object.metadata.uid}`;
    const message = refusalText(object, pod, why);
    if (refused.get(key) === message) return;
    refused.set(key, message);
    const component = COMPONENTS[object.kind] ?? "replicaset-controller"; // a Deployment's ReplicaSet is left out
    tell({ object, reason: "FailedCreate", message, component, type: "Warning" });
  };
  return {
    tell,
    create(pod) {
      const refusal = actions.create(pod);
      if (refusal !== undefined) {
        tellRefused(pod, refusal);
        return refusal;
      }
      told(pod, "SuccessfulCreate", (kind) => podText(kind, pod, "create", "Created"));
      return undefined;
    },
    delete(pod) {
      const isGoing = pod.metadata.deletionTimestamp !== undefined;
      actions.delete(pod);
      if (!isGoing) told(pod, "SuccessfulDelete", (kind) => podText(kind, pod, "delete", "Deleted"));
    },
  };
}

function refusalText({ kind, metadata }: KubeObject, pod: Pod, why: string): string {
  if (kind !== "StatefulSet") return `Error creating: ${why}`;
  return `create Pod ${pod.metadata.name} in StatefulSet ${metadata.name} failed error: ${why}`;
}

function podText(kind: string, { metadata }: KubeObject, verb: string, done: string): string {
  if (kind !== "StatefulSet") return `${done} pod: ${metadata.name}`;
  const owner = metadata.ownerReferences?.find((each) => each.controller === true)?.name;
  return `${verb} Pod ${metadata.name} in StatefulSet ${owner} successful`;
}
