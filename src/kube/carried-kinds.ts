// Kinds of the API server's own groups that are stored as they are given: nothing of podwire's decides anything by
// them. Applications and tools write them and read them back. Kubernetes 1.35, with kubectl's words for them.

export interface CarriedKind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** In a cluster somebody acts on them, and here nobody does: worth a word to who applies one. */
  readonly idle: boolean;
}

// Kind, plural, short names; "+" before it: no namespace; "!" behind it: nobody acts on it here.
const TABLE = `
  v1: ConfigMap configmaps cm, Secret secrets, ServiceAccount serviceaccounts sa, PodTemplate podtemplates,
    PersistentVolumeClaim persistentvolumeclaims pvc, +PersistentVolume persistentvolumes pv,
    LimitRange limitranges limits !, ResourceQuota resourcequotas quota !
  apps/v1: ControllerRevision controllerrevisions
  autoscaling/v2: HorizontalPodAutoscaler horizontalpodautoscalers hpa !
  policy/v1: PodDisruptionBudget poddisruptionbudgets pdb
  coordination.k8s.io/v1: Lease leases
  networking.k8s.io/v1: Ingress ingresses ing, +IngressClass ingressclasses, +IPAddress ipaddresses ip !
  rbac.authorization.k8s.io/v1: Role roles !, RoleBinding rolebindings !, +ClusterRole clusterroles !,
    +ClusterRoleBinding clusterrolebindings !
  storage.k8s.io/v1: +StorageClass storageclasses sc, +CSIDriver csidrivers !, +CSINode csinodes !,
    +VolumeAttachment volumeattachments !, CSIStorageCapacity csistoragecapacities !,
    +VolumeAttributesClass volumeattributesclasses vac !
  scheduling.k8s.io/v1: +PriorityClass priorityclasses pc !
  node.k8s.io/v1: +RuntimeClass runtimeclasses !
  apiextensions.k8s.io/v1: +CustomResourceDefinition customresourcedefinitions crd crds
  apiregistration.k8s.io/v1: +APIService apiservices !
  admissionregistration.k8s.io/v1: +MutatingWebhookConfiguration mutatingwebhookconfigurations !,
    +ValidatingWebhookConfiguration validatingwebhookconfigurations !,
    +ValidatingAdmissionPolicy validatingadmissionpolicies !,
    +ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings !
  certificates.k8s.io/v1: +CertificateSigningRequest certificatesigningrequests csr !
  flowcontrol.apiserver.k8s.io/v1: +FlowSchema flowschemas !,
    +PriorityLevelConfiguration prioritylevelconfigurations !
  resource.k8s.io/v1: +DeviceClass deviceclasses !, ResourceClaim resourceclaims !,
    ResourceClaimTemplate resourceclaimtemplates !, +ResourceSlice resourceslices !
`;

export const CARRIED_KINDS: readonly CarriedKind[] = TABLE.split(/\n {2}(?=\S)/)
  .filter((entry) => entry.trim() !== "")
  .flatMap((entry) => {
    const [apiVersion, kinds] = entry.split(/:\s+/);
    return kinds.split(",").map((text): CarriedKind => {
      const [kind, plural, ...words] = text.trim().split(/\s+/);
      return {
        kind: kind.replace(/^\+/, ""),
        apiVersion: apiVersion.trim(),
        plural,
        shortNames: words.filter((word) => word !== "!"),
        namespaced: !kind.startsWith("+"),
        idle: words.includes("!"),
      };
    });
  });
