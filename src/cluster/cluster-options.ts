// What a cluster is made with, and how its calls may be asked for.
import type { AddressSpan } from "../base/address-span.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { PodSecurityConfig } from "../kube/pod-security/policy.ts";
import type { Happening } from "./event-recorder.ts";
import type { SavedCluster } from "./saved-cluster.ts";
import type { EventType } from "./store.ts";

export interface AdmissionOptions {
  /** What pods are held to; left out: what their namespaces' labels ask for. */
  readonly podSecurity?: PodSecurityConfig | undefined;
  /** Told what an API server's audit log would say of it, in whole lines. */
  readonly audit?: (line: string) => void;
  /** Whether there is an API for pods and clients: then pods have service accounts, and Services Endpoints. */
  readonly hasApi?: boolean | undefined;
}

export interface ClusterOptions extends AdmissionOptions {
  /** As --cluster-cidr: one range, or one of each family with a comma between. */
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Addresses for Services of type LoadBalancer; left out: somebody else makes load balancers, or nobody. */
  readonly loadBalancer?: readonly AddressSpan[] | undefined;
  /** Of the machines that nodes are, in Go's words; their kubelets would say it in labels. */
  readonly architecture?: string;
  /** Milliseconds since 1970, for creation and deletion times. */
  readonly nowMs: () => number;
  /** Whether what happens to objects is recorded, as Event objects. */
  readonly events?: boolean;
  /** Told of a controller's pods that are refused. */
  readonly onFailedCreate?: (happening: Happening) => void;
  readonly saved?: SavedCluster | undefined;
}

export interface CallOptions {
  /** Everything but storing: what would come of it, or why it would be refused. */
  readonly dryRun?: boolean;
}

export interface DeletionOptions extends CallOptions {
  /** Of a pod; left out: what the pod says. */
  readonly graceSeconds?: number | undefined;
  /** What becomes of what the object owns: it goes then, goes first, or stays. */
  readonly propagation?: "Background" | "Foreground" | "Orphan" | undefined;
}

export interface ApplyOptions extends CallOptions {
  /** Objects that are there already refuse the call. */
  readonly create?: boolean;
  /** Objects with a uid are those of a cluster, which has admitted them. */
  readonly isDump?: boolean;
  /** Told the warnings of an API server. */
  readonly warn?: (text: string) => void;
}

export interface Change {
  readonly type: EventType;
  readonly object: KubeObject;
}
