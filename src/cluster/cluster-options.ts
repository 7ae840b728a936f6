// What a cluster is made with, and how its calls may be asked for.
import type { KindInfo } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { SavedCluster } from "./saved-cluster.ts";
import type { EventType } from "./store.ts";

export interface ClusterOptions {
  /** As --cluster-cidr: one range, or one of each family with a comma between. */
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Of the machines that nodes are, in Go's words; their kubelets would say it in labels. */
  readonly architecture?: string;
  /** Milliseconds since 1970, for creation and deletion times. */
  readonly nowMs: () => number;
  /** Whether what happens to objects is recorded, as Event objects. */
  readonly events?: boolean;
  readonly saved?: SavedCluster | undefined;
}

export interface CallOptions {
  /** Everything but storing: what would come of it, or why it would be refused. */
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends CallOptions {
  /** Objects that are there already refuse the call. */
  readonly create?: boolean;
}

export interface DeleteTarget {
  readonly info: KindInfo;
  readonly key: string;
  /** The manifest that named it. */
  readonly file?: string;
}

export interface Change {
  readonly type: EventType;
  readonly object: KubeObject;
}
