import t from "tap";
import { judgeKind } from "./judge-kind.ts";

const said = (text: string): string => {
  const [apiVersion, kind] = text.split(" ");
  const verdict = judgeKind(apiVersion, kind);
  if (verdict.what === "ours") return `ours ${verdict.info.kind}`;
  if (verdict.what === "foreign") return `foreign ${verdict.title}`;
  return verdict.message.replace(/^no matches for kind "[^"]*" in version "[^"]*"/, "refused");
};

// Manifest's version and kind → what becomes of it.
const cases: [string, string][] = [
  ["v1 Service", "ours Service"],
  ["apps/v1 Deployment", "ours Deployment"],
  ["networking.k8s.io/v1beta1 ServiceCIDR", "ours ServiceCIDR"],

  ["v1 ServiceAccount", "foreign ServiceAccount"],
  ["v1 ConfigMap", "foreign ConfigMap"],
  ["networking.k8s.io/v1 Ingress", "foreign Ingress"],
  ["rbac.authorization.k8s.io/v1 ClusterRoleBinding", "foreign ClusterRoleBinding"],
  ["policy/v1 PodDisruptionBudget", "foreign PodDisruptionBudget"],
  ["policy/v1beta1 PodDisruptionBudget", "foreign PodDisruptionBudget"],
  ["autoscaling/v2 HorizontalPodAutoscaler", "foreign HorizontalPodAutoscaler"],
  ["batch/v1 CronJob", "ours CronJob"],
  ["storage.k8s.io/v1 StorageClass", "foreign StorageClass"],
  ["extensions/v1beta1 Ingress", "foreign Ingress"],
  ["apiextensions.k8s.io/v1 CustomResourceDefinition", "foreign CustomResourceDefinition"],
  ["monitoring.coreos.com/v1 ServiceMonitor", "foreign ServiceMonitor"],
  ["cert-manager.io/v1 Certificate", "foreign Certificate"],
  ["serving.knative.dev/v1 Service", "foreign Service.serving.knative.dev"],
  ["projectcalico.org/v3 NetworkPolicy", "foreign NetworkPolicy.projectcalico.org"],
  ["gateway.networking.k8s.io/v1 HTTPRoute", "foreign HTTPRoute"],
  ["snapshot.storage.k8s.io/v1 VolumeSnapshot", "foreign VolumeSnapshot"],
  ["scheduling.x-k8s.io/v1alpha1 PodGroup", "foreign PodGroup"],
  ["kustomize.config.k8s.io/v1beta1 Kustomization", "foreign Kustomization"],
  ["kubeadm.k8s.io/v1beta4 ClusterConfiguration", "foreign ClusterConfiguration"],

  ["v1 Servce", "refused; did you mean Service?"],
  ["v1 service", "refused; did you mean Service?"],
  ["v1 Pods", "refused; did you mean Pod?"],
  ["v1 svc", "refused; did you mean Service?"],
  ["v1 ServiceAcount", "refused; did you mean ServiceAccount?"],
  ["v1 Frobnicator", "refused"],
  ["apps/v1 Deploymnt", "refused; did you mean Deployment?"],
  ["networking.k8s.io/v1 NetworkPolicys", "refused; did you mean NetworkPolicy?"],
  ["networking.k8s.io/v1 NetworkPolicies", "refused; did you mean NetworkPolicy?"],
  ["rbac.authorization.k8s.io/v1 ClusterRol", "refused; did you mean ClusterRole?"],

  ["v2 Service", "refused: use v1"],
  ["v1beta1 Pod", "refused: use v1"],
  ["v2 ConfigMap", "refused: use v1"],
  ["apps/v1beta1 Deployment", "refused: use apps/v1"],
  ["extensions/v1beta1 Deployment", "refused: use apps/v1"],
  ["extensions/v1beta1 NetworkPolicy", "refused: use networking.k8s.io/v1"],
  ["discovery.k8s.io/v1beta1 EndpointSlice", "refused: use discovery.k8s.io/v1"],
  ["policy/v7 PodDisruptionBudget", "refused: use policy/v1"],
  ["kubeproxy.config.k8s.io/v1 KubeProxyConfiguration", "refused: use kubeproxy.config.k8s.io/v1alpha1"],
  ["podwire.dev/v1 Lab", "refused: use podwire.dev/v1alpha1"],

  ["policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy", "ours ClusterNetworkPolicy"],
  [
    "policy.networking.k8s.io/v1alpha1 ClusterNetworkPolicy",
    "refused: use policy.networking.k8s.io/v1alpha2",
  ],
  [
    "policy.networking.k8s.io/v1alpha1 AdminNetworkPolicy",
    "refused: use ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) with tier: Admin, and action: Accept for Allow",
  ],
  [
    "policy.networking.k8s.io/v1alpha1 BaselineAdminNetworkPolicy",
    "refused: use ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) with tier: Baseline, and action: Accept for Allow",
  ],
  ["policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicies", "refused; did you mean ClusterNetworkPolicy?"],
  ["policy.k8s.io/v1alpha2 ClusterNetworkPolicy", "refused: use policy.networking.k8s.io/v1alpha2"],
  ["crd.antrea.io/v1beta1 ClusterNetworkPolicy", "foreign ClusterNetworkPolicy.crd.antrea.io"],

  ["apps/v1 Service", "refused: use v1"],
  ["v1 Deployment", "refused: use apps/v1"],
  ["v1 Ingress", "refused: use networking.k8s.io/v1"],
  ["app/v1 Deployment", "refused: use apps/v1"],
  ["apps/v1 NetworkPolicy", "refused: use networking.k8s.io/v1"],
  ["network.k8s.io/v1 NetworkPolicy", "refused: use networking.k8s.io/v1"],
  ["networking.k8s.oi/v1 NetworkPolicy", "refused: use networking.k8s.io/v1"],
  ["rbac.authorisation.k8s.io/v1 Role", "refused: use rbac.authorization.k8s.io/v1"],
  ["kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfig", "refused"],
  ["bar/v1 Foo", "refused"],
  ["v1/ Pod", "refused: use v1"],
];

for (const [text, want] of cases) t.test(`${text}: ${want}`, async (t) => t.equal(said(text), want));
