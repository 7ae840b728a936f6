// The Kubernetes objects as the control side sees them: the published types, with what validation and defaulting
// guarantee made non-optional. Nothing here exists at run time.
import type * as apps from "kubernetes-types/apps/v1.js";
import type * as batch from "kubernetes-types/batch/v1.js";
import type * as core from "kubernetes-types/core/v1.js";
import type * as discovery from "kubernetes-types/discovery/v1.js";
import type { Condition, ObjectMeta } from "kubernetes-types/meta/v1.js";
import type * as networking from "kubernetes-types/networking/v1.js";

export type Metadata = ObjectMeta & { name: string };

/** What every object has. `metadata.namespace` is set exactly for namespaced kinds. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
}

export type Namespace = KubeObject & { kind: "Namespace" } & Pick<core.Namespace, "spec" | "status">;
export type Node = KubeObject & { kind: "Node"; spec: core.NodeSpec; status: core.NodeStatus };
export type Pod = KubeObject & { kind: "Pod"; spec: core.PodSpec; status: core.PodStatus };
export type Service = KubeObject & {
  kind: "Service";
  spec: core.ServiceSpec & { type: string };
  status: core.ServiceStatus;
};
export type Deployment = KubeObject & {
  kind: "Deployment";
  spec: apps.DeploymentSpec;
  status?: apps.DeploymentStatus;
};
export type ReplicaSet = KubeObject & {
  kind: "ReplicaSet";
  spec: apps.ReplicaSetSpec & Templated;
  status?: apps.ReplicaSetStatus;
};
export type StatefulSet = KubeObject & {
  kind: "StatefulSet";
  spec: apps.StatefulSetSpec;
  status?: apps.StatefulSetStatus;
};
export type DaemonSet = KubeObject & {
  kind: "DaemonSet";
  spec: apps.DaemonSetSpec;
  status?: apps.DaemonSetStatus;
};
/** What a StatefulSet or DaemonSet looked like: `data` is a patch that makes it so again. */
export type ControllerRevision = KubeObject & {
  kind: "ControllerRevision";
  data?: { spec?: { template?: Record<string, unknown> } };
  revision: number;
};
export type Job = KubeObject & { kind: "Job"; spec: batch.JobSpec; status?: batch.JobStatus };
export type CronJob = KubeObject & { kind: "CronJob"; spec: batch.CronJobSpec; status?: CronJobStatus };
export interface CronJobStatus {
  active?: { apiVersion: string; kind: string; name: string; namespace: string; uid: string }[];
  lastScheduleTime?: string;
  lastSuccessfulTime?: string;
}
export type ReplicationController = KubeObject & {
  kind: "ReplicationController";
  spec: core.ReplicationControllerSpec & Templated;
};
export type PodTemplate = core.PodTemplateSpec;
interface Templated {
  template: PodTemplate;
}
export type EndpointSlice = KubeObject & {
  kind: "EndpointSlice";
  addressType: string;
  endpoints: Endpoint[];
  ports: EndpointPort[];
};
export type Event = KubeObject & { kind: "Event" } & Omit<core.Event, "metadata">;
export type ConfigMap = KubeObject & { kind: "ConfigMap" } & Omit<core.ConfigMap, "metadata">;
export type Secret = KubeObject & { kind: "Secret" } & Omit<core.Secret, "metadata">;
/** Endpoints as they were before EndpointSlices. */
export type Endpoints = KubeObject & { kind: "Endpoints" } & Pick<core.Endpoints, "subsets">;
/** `forNodes` came with Kubernetes 1.33. */
export type Endpoint = discovery.Endpoint & { hints?: { forNodes?: { name: string }[] } };
export type EndpointPort = discovery.EndpointPort;
export type NetworkPolicy = KubeObject & { kind: "NetworkPolicy"; spec: networking.NetworkPolicySpec };
export type NetworkPolicyPeer = networking.NetworkPolicyPeer;
export type NetworkPolicyPort = networking.NetworkPolicyPort;
export type Ingress = KubeObject & {
  kind: "Ingress";
  spec: networking.IngressSpec;
  status?: networking.IngressStatus;
};
export type IngressBackend = networking.IngressBackend;
export type IngressPath = networking.HTTPIngressPath;
export type IngressClass = KubeObject & { kind: "IngressClass"; spec?: networking.IngressClassSpec };
/** policy.networking.k8s.io/v1alpha2. Of each of the unions below exactly one field is set. */
export type ClusterNetworkPolicy = KubeObject & {
  kind: "ClusterNetworkPolicy";
  spec: {
    tier: "Admin" | "Baseline";
    /** 0 to 1000; lower ones are looked at first. */
    priority: number;
    subject: ClusterPolicyPods;
    ingress?: ClusterPolicyIngressRule[];
    egress?: ClusterPolicyEgressRule[];
  };
  status?: { conditions: Condition[] };
};
export type ClusterPolicyAction = "Accept" | "Deny" | "Pass";
export interface ClusterPolicyPods {
  namespaces?: LabelSelector;
  /** A namespaceSelector that is left out selects all namespaces. */
  pods?: { namespaceSelector?: LabelSelector; podSelector: LabelSelector };
}
export interface ClusterPolicyEgressPeer extends ClusterPolicyPods {
  nodes?: LabelSelector;
  networks?: string[];
  /** Refused when a manifest is read: there is nothing yet that knows the addresses of names. */
  domainNames?: string[];
}
interface ClusterPolicyRule {
  name?: string;
  action: ClusterPolicyAction;
  protocols?: ClusterPolicyProtocol[];
}
export type ClusterPolicyIngressRule = ClusterPolicyRule & { from: ClusterPolicyPods[] };
export type ClusterPolicyEgressRule = ClusterPolicyRule & { to: ClusterPolicyEgressPeer[] };
export interface ClusterPolicyProtocol {
  tcp?: ClusterPolicyPorts;
  udp?: ClusterPolicyPorts;
  sctp?: ClusterPolicyPorts;
  /** A port of the destination pod's containers, of whatever protocol it has there. */
  destinationNamedPort?: string;
}
export interface ClusterPolicyPorts {
  /** Both ends of a range are in it. */
  destinationPort?: { number?: number; range?: { start: number; end: number } };
}
/** Came with Kubernetes 1.33: addresses that ClusterIPs are taken from. */
export type ServiceCidr = KubeObject & { kind: "ServiceCIDR"; spec: { cidrs: string[] } };
export type PodSpec = core.PodSpec;
export type Container = core.Container;
export type EnvVar = core.EnvVar;
export type Probe = core.Probe;
export type ServicePort = core.ServicePort;
export type LabelSelector = NonNullable<apps.DeploymentSpec["selector"]>;

/**
 * "namespace/name", or the name alone for kinds without a namespace. Joined: V8 keeps a template's text with a note of
 * its parts, and keys of tens of thousands of objects are kept.
 */
export function keyOf(object: Pick<KubeObject, "metadata">): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : [namespace, name].join("/");
}
