// The API server's own groups: which kinds each has, and which versions there are or were (the first is the one to
// use); and policy.networking.k8s.io, of which podwire has a kind. It tells a kind that podwire has no use for from one
// that is misspelt. Kubernetes 1.35, with what went before.

export interface ApiGroup {
  /** "" is the core group. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly kinds: readonly string[];
}

const GROUPS = `
  core: v1: Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
    PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
  admissionregistration.k8s.io: v1 v1beta1 v1alpha1: MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
    MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
    ValidatingWebhookConfiguration
  apiextensions.k8s.io: v1 v1beta1: CustomResourceDefinition
  apiregistration.k8s.io: v1 v1beta1: APIService
  apps: v1 v1beta2 v1beta1: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
  authentication.k8s.io: v1 v1beta1 v1alpha1: SelfSubjectReview TokenRequest TokenReview
  authorization.k8s.io: v1 v1beta1: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview
    SubjectAccessReview
  autoscaling: v2 v1 v2beta2 v2beta1: HorizontalPodAutoscaler Scale
  batch: v1 v1beta1 v2alpha1: CronJob Job
  certificates.k8s.io: v1 v1beta1 v1alpha1: CertificateSigningRequest ClusterTrustBundle PodCertificateRequest
  coordination.k8s.io: v1 v1beta1 v1alpha2 v1alpha1: Lease LeaseCandidate
  discovery.k8s.io: v1 v1beta1 v1alpha1: EndpointSlice
  events.k8s.io: v1 v1beta1: Event
  flowcontrol.apiserver.k8s.io: v1 v1beta3 v1beta2 v1beta1 v1alpha1: FlowSchema PriorityLevelConfiguration
  imagepolicy.k8s.io: v1alpha1: ImageReview
  internal.apiserver.k8s.io: v1alpha1: StorageVersion
  networking.k8s.io: v1 v1beta1 v1alpha1: ClusterCIDR IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR
  node.k8s.io: v1 v1beta1 v1alpha1: RuntimeClass
  policy.networking.k8s.io: v1alpha2 v1alpha1: AdminNetworkPolicy BaselineAdminNetworkPolicy ClusterNetworkPolicy
  policy: v1 v1beta1: Eviction PodDisruptionBudget PodSecurityPolicy
  rbac.authorization.k8s.io: v1 v1beta1 v1alpha1: ClusterRole ClusterRoleBinding Role RoleBinding
  resource.k8s.io: v1 v1beta2 v1beta1 v1alpha3 v1alpha2 v1alpha1: DeviceClass DeviceTaintRule PodSchedulingContext
    ResourceClaim ResourceClaimParameters ResourceClaimTemplate ResourceClass ResourceClassParameters ResourceSlice
  scheduling.k8s.io: v1 v1beta1 v1alpha1: PriorityClass Workload
  settings.k8s.io: v1alpha1: PodPreset
  storage.k8s.io: v1 v1beta1 v1alpha1: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment
    VolumeAttributesClass
  storagemigration.k8s.io: v1beta1 v1alpha1: StorageVersionMigration
  extensions: v1beta1: DaemonSet Deployment Ingress NetworkPolicy PodSecurityPolicy ReplicaSet
`;

export const API_GROUPS: ReadonlyMap<string, ApiGroup> = new Map(
  GROUPS.split(/\n {2}(?=\S)/)
    .filter((entry) => entry.trim() !== "")
    .map((entry) => {
      const [name, versions, kinds] = entry.split(/:\s+/);
      const group = name.trim() === "core" ? "" : name.trim();
      return [group, { group, versions: versions.split(" "), kinds: kinds.trim().split(/\s+/) }];
    }),
);

/** "v1" → ["", "v1"]; "apps/v1" → ["apps", "v1"]. */
export function splitApiVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

/** "apps/v1", or "v1" of the core group: the version of that group to use. */
export function currentVersion({ group, versions }: ApiGroup): string {
  return group === "" ? versions[0] : `${group}/${versions[0]}`;
}
