// What a Deployment's controller tells: from how many pods to how many each of its templates has been scaled. In a
// cluster a ReplicaSet stands for the template; here its name does.
import { type Deployment, keyOf, type Pod } from "../../kube/objects.ts";
import type { PodActions } from "./told-actions.ts";
import { templateRevision } from "./workload.ts";

export const HASH_LABEL = "pod-template-hash";
const COMPONENT = "deployment-controller";

export interface Scaling {
  /** How many more there are to be; `made` are fewer where some were refused. */
  readonly wanted: number;
  readonly made: readonly Pod[];
  readonly removed: readonly Pod[];
}

export class DeploymentScales {
  readonly #actions: PodActions;
  /** Deployment → template's hash → pods wanted when it was told last. */
  readonly #told = new Map<string, Map<string, number>>();

  constructor(actions: PodActions) {
    this.#actions = actions;
  }

  forget(key: string): void {
    this.#told.delete(key);
  }

  /** `pods`: those there were, before. */
  changed(
    deployment: Deployment,
    hash: string,
    pods: readonly Pod[],
    { wanted, made, removed }: Scaling,
  ): void {
    const key = keyOf(deployment);
    const told = this.#told.get(key) ?? new Map<string, number>();
    this.#told.set(key, told);
    for (const each of new Set([...pods.map(hashOf), hash])) {
      const there = count(pods, each);
      const from = told.get(each) ?? there;
      const to = there + (each === hash ? wanted : 0) - count(removed, each);
      told.set(each, to);
      if (to > from) this.#tell(deployment, "ScalingReplicaSet", scaled("up", deployment, each, from, to));
      else if (to < from)
        this.#tell(deployment, "ScalingReplicaSet", scaled("down", deployment, each, from, to));
      else if (each === hash) this.#replaced(deployment, made);
    }
    for (const each of told.keys()) if (each !== hash && count(pods, each) === 0) told.delete(each);
  }

  /** Pods for others that are gone: what the ReplicaSet would tell. */
  #replaced(deployment: Deployment, made: readonly Pod[]): void {
    for (const { metadata } of made)
      this.#tell(deployment, "SuccessfulCreate", `Created pod: ${metadata.name}`);
  }

  #tell(object: Deployment, reason: string, message: string): void {
    this.#actions.tell({ object, reason, message, component: COMPONENT });
  }
}

/** What tells the pods of one template from those of another. */
export function templateHash(deployment: Deployment): string {
  return templateRevision(deployment.spec.template);
}

function scaled(way: string, { metadata }: Deployment, hash: string, from: number, to: number): string {
  return `Scaled ${way} replica set ${metadata.name}-${hash} from ${from} to ${to}`;
}

function hashOf({ metadata }: Pod): string {
  return metadata.labels?.[HASH_LABEL] ?? "";
}

function count(pods: readonly Pod[], hash: string): number {
  return pods.filter((pod) => hashOf(pod) === hash).length;
}
