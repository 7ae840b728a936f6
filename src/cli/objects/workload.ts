// A workload as one names it on the command line: pod, pod/NAME, deploy/NAME, svc/NAME.

import { workloadEndpointOf } from "../../calico/workload-endpoint.ts";
import { shownKindFromWord, WORKLOAD_ENDPOINT, WORKLOADS } from "../../kube/kinds.ts";
import { matchesLabels } from "../../kube/labels.ts";
import type { KubeObject, Pod, Service } from "../../kube/objects.ts";
import { CliError } from "../errors.ts";
import type { KindList, ObjectHolder } from "../nodes/nodes.ts";

/** Objects of a kind by any of kubectl's words for it; `namespace` undefined means all. */
export async function listObjects(holder: ObjectHolder, word: string, namespace?: string): Promise<KindList> {
  const shown = shownKindFromWord(word);
  if (shown === WORKLOAD_ENDPOINT) {
    const pods = (await listObjects(holder, "pods", namespace)).items as Pod[];
    return { ...shown, items: pods.flatMap((pod) => workloadEndpointOf(pod) ?? []) };
  }
  return holder.list(word, namespace);
}

/** The pod of that name, or a running one of a Deployment or Service. */
export async function findPod(holder: ObjectHolder, workload: string, namespace: string): Promise<Pod> {
  const [word, name] = workload.includes("/") ? workload.split("/", 2) : ["pod", workload];
  const { kind, items } = await listObjects(holder, word, namespace);
  const object = items.find((each) => each.metadata.name === name);
  if (object === undefined) {
    const hint =
      items.length === 0 ? "there are none" : `there is ${items.map((o) => o.metadata.name).join(", ")}`;
    throw new CliError(`${workload}: not found in namespace ${namespace}: ${hint}`);
  }
  if (kind === "Pod") return object as Pod;
  if (kind !== "Service" && !WORKLOADS.includes(kind))
    throw new CliError(`${workload}: a ${kind} runs nowhere: name a pod or a deployment`);
  const pods = (await listObjects(holder, "pods", namespace)).items as Pod[];
  const own = pods.filter((pod) => (kind === "Service" ? serves(pod, object) : isOwned(pod, object)));
  const running = own.find(
    (pod) => pod.status.phase === "Running" && pod.metadata.deletionTimestamp === undefined,
  );
  const chosen = running ?? own[0];
  if (chosen === undefined) throw new CliError(`${workload}: has no pods in namespace ${namespace}`);
  return chosen;
}

function serves(pod: Pod, service: KubeObject): boolean {
  const { selector } = (service as Service).spec;
  return matchesLabels(selector, pod.metadata.labels);
}

/** Itself, or by a ReplicaSet of a Deployment's. */
function isOwned(pod: Pod, { kind, metadata }: KubeObject): boolean {
  const hash = pod.metadata.labels?.["pod-template-hash"];
  const isIt = (o: { kind: string; name: string }): boolean =>
    kind === "Deployment"
      ? o.kind === "ReplicaSet" && o.name === `${metadata.name}-${hash}`
      : o.kind === kind && o.name === metadata.name;
  return pod.metadata.ownerReferences?.some(isIt) === true;
}
