// What the API server fills in when a manifest leaves it out (SetDefaults_* of the API groups), as far as podwire or
// its users see it. Changes the decoded object in place. What has to be allocated is the controllers' part.
import { NAMESPACE_NAME_LABEL } from "./labels.ts";
import type {
  Container,
  CronJob,
  Deployment,
  EndpointSlice,
  Endpoints,
  Ingress,
  IngressClass,
  KubeObject,
  NetworkPolicy,
  Node,
  Pod,
  PodSpec,
  Probe,
  Secret,
  Service,
} from "./objects.ts";

import { WORKLOAD_DEFAULTS } from "./workload-defaults.ts";

const AFFINITY_DEFAULT_SEC = 10800;

const defaulters: Record<string, (object: never) => void> = {
  Service: defaultService,
  EndpointSlice: defaultEndpointSlice,
  Endpoints: defaultEndpoints,
  Pod: defaultPod,
  Deployment: defaultDeployment,
  ...Object.fromEntries(Object.entries(WORKLOAD_DEFAULTS).map(([kind, fill]) => [kind, templated(fill)])),
  NetworkPolicy: defaultNetworkPolicy,
  Ingress: defaultIngress,
  IngressClass: defaultIngressClass,
  Node: defaultNode,
  Namespace: defaultNamespace,
  Secret: defaultSecret,
};

/** Fills in `object`, whose field types are right. `namespace` is for namespaced kinds that name none. */
export function applyDefaults(object: KubeObject, namespaced: boolean, namespace: string): void {
  object.metadata ??= {} as KubeObject["metadata"];
  if (namespaced && (object.metadata.namespace ?? "") === "") object.metadata.namespace = namespace;
  (defaulters[object.kind] as ((object: KubeObject) => void) | undefined)?.(object);
}

/** stringData is for writing: it goes where data is read. */
function defaultSecret(secret: Secret): void {
  if ((secret.type ?? "") === "") secret.type = "Opaque";
  const { stringData } = secret;
  if (stringData === undefined) return;
  const given = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  secret.data = { ...secret.data, ...Object.fromEntries(given) };
  delete secret.stringData;
}

function defaultService(service: Service): void {
  service.spec ??= {} as Service["spec"];
  service.status ??= {};
  const spec = service.spec;
  if ((spec.type ?? "") === "") spec.type = "ClusterIP";
  if ((spec.sessionAffinity ?? "") === "") spec.sessionAffinity = "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= AFFINITY_DEFAULT_SEC;
  }
  for (const port of spec.ports ?? []) {
    if ((port.protocol ?? "") === "") port.protocol = "TCP";
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "")
      port.targetPort = port.port;
  }
  const external =
    spec.type === "NodePort" ||
    spec.type === "LoadBalancer" ||
    (spec.type === "ClusterIP" && (spec.externalIPs ?? []).length > 0);
  if (external && (spec.externalTrafficPolicy ?? "") === "") spec.externalTrafficPolicy = "Cluster";
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  defaultClusterIps(service);
  for (const ingress of service.status.loadBalancer?.ingress ?? []) {
    if ((ingress.ip ?? "") !== "") ingress.ipMode ??= "VIP";
  }
}

/** clusterIP and clusterIPs[0] are one field in two places (NormalizeClusterIPs). */
function defaultClusterIps(service: Service): void {
  const spec = service.spec;
  if ((spec.clusterIP ?? "") === "" && spec.clusterIPs?.[0] !== undefined)
    spec.clusterIP = spec.clusterIPs[0];
  else if ((spec.clusterIP ?? "") !== "" && (spec.clusterIPs ?? []).length === 0) {
    spec.clusterIPs = [spec.clusterIP as string];
  }
}

function defaultEndpointSlice(slice: EndpointSlice): void {
  slice.endpoints ??= [];
  slice.ports ??= [];
  for (const port of slice.ports) {
    port.name ??= "";
    if ((port.protocol ?? "") === "") port.protocol = "TCP";
  }
}

function defaultEndpoints({ subsets = [] }: Endpoints): void {
  for (const port of subsets.flatMap(({ ports = [] }) => ports)) {
    if ((port.protocol ?? "") === "") port.protocol = "TCP";
  }
}

function defaultPod(pod: Pod): void {
  pod.spec ??= {} as Pod["spec"];
  pod.status ??= {};
  if ((pod.status.podIPs ?? []).length === 0 && (pod.status.podIP ?? "") !== "") {
    pod.status.podIPs = [{ ip: pod.status.podIP as string }];
  }
  defaultPodSpec(pod.spec);
  pod.spec = podOfTemplate(pod).spec;
}

/** What pods have and templates lack. */
export function podOfTemplate(pod: Pod): Pod {
  // Clients rely on securityContext: kubectl debug 1.37 crashes without.
  return withHostPorts({ ...pod, spec: { ...pod.spec, securityContext: pod.spec.securityContext ?? {} } });
}

/** With host networking each port is a port of the host. */
function withHostPorts(pod: Pod): Pod {
  const { spec } = pod;
  if (spec.hostNetwork !== true) return pod;
  const fill = (container: Container): Container => {
    if (container.ports === undefined) return container;
    const ports = container.ports.map((port) => ({ ...port, hostPort: port.hostPort || port.containerPort }));
    return { ...container, ports };
  };
  const init = spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(fill) };
  return { ...pod, spec: { ...spec, ...init, containers: spec.containers.map(fill) } };
}

function defaultPodSpec(spec: PodSpec): void {
  spec.containers ??= [];
  if ((spec.restartPolicy ?? "") === "") spec.restartPolicy = "Always";
  if ((spec.dnsPolicy ?? "") === "") spec.dnsPolicy = "ClusterFirst";
  spec.terminationGracePeriodSeconds ??= 30;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    defaultContainer(container);
  }
  for (const volume of spec.volumes ?? []) {
    if (Object.keys(volume).every((field) => field === "name")) volume.emptyDir = {};
  }
}

function defaultContainer(container: Container): void {
  for (const port of container.ports ?? []) {
    if ((port.protocol ?? "") === "") port.protocol = "TCP";
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe !== undefined) defaultProbe(probe);
  }
}

function defaultProbe(probe: Probe): void {
  const or = (value: number | undefined, otherwise: number): number => (value ?? 0) || otherwise;
  probe.timeoutSeconds = or(probe.timeoutSeconds, 1);
  probe.periodSeconds = or(probe.periodSeconds, 10);
  probe.successThreshold = or(probe.successThreshold, 1);
  probe.failureThreshold = or(probe.failureThreshold, 3);
  if (probe.httpGet === undefined) return;
  if ((probe.httpGet.path ?? "") === "") probe.httpGet.path = "/";
  if ((probe.httpGet.scheme ?? "") === "") probe.httpGet.scheme = "HTTP";
}

/** The defaults of a kind with a template, and those of the template's pods. */
function templated(fill: (object: never) => void): (object: never) => void {
  return (object: Deployment) => {
    object.spec ??= {} as Deployment["spec"];
    fill(object as never);
    const { template, jobTemplate } = object.spec as Deployment["spec"] & Partial<CronJob["spec"]>;
    if (template?.spec !== undefined) defaultPodSpec(template.spec);
    if (jobTemplate?.spec?.template?.spec !== undefined) defaultPodSpec(jobTemplate.spec.template.spec);
  };
}

function defaultDeployment(deployment: Deployment): void {
  deployment.spec ??= {} as Deployment["spec"];
  const spec = deployment.spec;
  spec.replicas ??= 1;
  spec.strategy ??= {};
  if ((spec.strategy.type ?? "") === "") spec.strategy.type = "RollingUpdate";
  if (spec.template?.spec !== undefined) defaultPodSpec(spec.template.spec);
}

function defaultNetworkPolicy(policy: NetworkPolicy): void {
  policy.spec ??= {} as NetworkPolicy["spec"];
  const spec = policy.spec;
  spec.podSelector ??= {};
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
    for (const port of rule.ports ?? []) port.protocol ??= "TCP";
  }
  if ((spec.policyTypes ?? []).length === 0) {
    spec.policyTypes = (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
  }
}

function defaultIngress(ingress: Ingress): void {
  ingress.spec ??= {};
}

function defaultIngressClass({ spec }: IngressClass): void {
  if (spec?.parameters !== undefined) spec.parameters.scope ??= "Cluster";
}

function defaultNode(node: Node): void {
  node.spec ??= {};
  node.status ??= {};
  const { podCIDR, podCIDRs } = node.spec;
  if ((podCIDR ?? "") !== "" && (podCIDRs ?? []).length === 0) node.spec.podCIDRs = [podCIDR as string];
  else if ((podCIDR ?? "") === "" && podCIDRs?.[0] !== undefined) node.spec.podCIDR = podCIDRs[0];
}

function defaultNamespace(namespace: KubeObject): void {
  if (namespace.metadata.name === undefined) return;
  namespace.metadata.labels = {
    ...namespace.metadata.labels,
    [NAMESPACE_NAME_LABEL]: namespace.metadata.name,
  };
}
