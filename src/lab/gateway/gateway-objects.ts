// The objects by which a gateway runs in a lab: a Deployment with its configuration and its account, behind a Service.
// One for all Ingresses, in a namespace of its own, and one for each Gateway, beside it.
import type { LabGatewaySettings } from "../../config/lab-gateways.ts";
import type { Gateway } from "../../kube/gateway/gateway-objects.ts";
import { hash32 } from "../../kube/hash.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { wantedAddresses } from "../../l7/status-writes.ts";
import { GATEWAY_IMAGE } from "../pod/image/built-in.ts";
import type { Topology } from "../topology.ts";

const INGRESS_NAME = "podwire-ingress";
const INGRESS_NAMESPACE = "podwire-system";
/** On what this makes: nothing else is taken away. */
export const MANAGED = { "app.kubernetes.io/managed-by": "podwire-lab" };
const NAME_LABEL = "gateway.networking.k8s.io/gateway-name";
/** By which a Service asks for addresses of the pool. */
const ADDRESSES_ANNOTATION = "metallb.io/loadBalancerIPs";
const FOLDER = "/etc/podwire";
const FILE = "gateway.yaml";
const METRICS_PORT = 9153;
const DRAIN_SEC = 20;
const PROTOCOLS = ["HTTP", "HTTPS", "TLS", "TCP", "UDP"];

/** What is to run. */
export interface Wanted {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of all that is made for it, besides: what the Gateway's `infrastructure` says. */
  readonly passed: { readonly labels: object; readonly annotations: object };
  /** That it asks for. */
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly protocol: "TCP" | "UDP"; readonly port: number }[];
  /** Of `podwire gateway`'s configuration. */
  readonly serves: object;
}

export const INGRESS_WANTED: Wanted = {
  ...{ name: INGRESS_NAME, namespace: INGRESS_NAMESPACE, labels: {} },
  ...{ passed: { labels: {}, annotations: {} }, addresses: [] },
  ports: [80, 443].map((port) => ({ protocol: "TCP", port })),
  serves: { ingress: { http: 80, https: 443 } },
};

/** A port for each that its listeners have; none: there is nothing to run. */
export function wantedBy(gateway: Gateway): Wanted {
  const { metadata, spec } = gateway;
  const { name, namespace = "default" } = metadata;
  const { labels = {}, annotations = {} } = spec.infrastructure ?? {};
  const ports = spec.listeners.flatMap(({ protocol, port }) =>
    PROTOCOLS.includes(protocol)
      ? { protocol: protocol === "UDP" ? ("UDP" as const) : ("TCP" as const), port }
      : [],
  );
  const all = new Map(ports.map((each) => [`${each.protocol} ${each.port}`, each]));
  return {
    ...{ name: `${name}-podwire`, namespace, labels: { [NAME_LABEL]: name } },
    ...{ passed: { labels, annotations }, addresses: wantedAddresses(gateway) },
    ports: [...all.values()],
    serves: { gateways: [`${namespace}/${name}`] },
  };
}

/** Kinds of what runs a gateway. */
export const GATEWAY_PARTS: readonly string[] = ["Deployment", "Service", "ConfigMap", "ServiceAccount"];

/** In the order in which they are made. */
export function gatewayObjects(wanted: Wanted, t: Topology, settings: LabGatewaySettings): KubeObject[] {
  const { name, namespace, labels, passed } = wanted;
  const own = { "app.kubernetes.io/name": "podwire-gateway", "app.kubernetes.io/instance": name, ...labels };
  const all = { ...passed.labels, ...own, ...MANAGED };
  const metadata = { name, namespace, labels: all, ...annotated(passed.annotations) };
  const configuration = configurationOf(wanted, t, settings);
  const text = JSON.stringify(configuration, undefined, 2); // JSON is YAML
  const made = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [FILE]: text } },
    serviceOf(wanted, t, metadata, own),
    deploymentOf(wanted, settings, { metadata, selector: own, text, metricsPort: metricsPortOf(wanted) }),
  ];
  return made as unknown as KubeObject[];
}

function configurationOf(
  wanted: Wanted,
  t: Topology,
  { accessLog, proxyProtocol, limits }: LabGatewaySettings,
): object {
  const address = [
    ...(t.clusterCidr.includes(".") ? ["0.0.0.0"] : []),
    ...(t.clusterCidr.includes(":") ? ["::"] : []),
  ];
  return {
    source: { kubernetes: {} },
    ...wanted.serves,
    address,
    metrics: { port: metricsPortOf(wanted) },
    drainSec: DRAIN_SEC,
    ...(accessLog !== undefined && { accessLog }),
    ...(proxyProtocol !== undefined && { proxyProtocol }),
    ...(limits !== undefined && { limits }),
  };
}

function annotated(annotations: object): object {
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}

/** None of a listener's. */
function metricsPortOf({ ports }: Wanted): number {
  let port = METRICS_PORT;
  while (ports.some((each) => each.port === port)) port++;
  return port;
}

function serviceOf(
  { ports, passed, addresses }: Wanted,
  { loadBalancer, nodes }: Topology,
  metadata: object,
  selector: object,
): object {
  const asked = addresses.length === 0 ? {} : { [ADDRESSES_ANNOTATION]: addresses.join() };
  // Who asks is who he says, where the node that is asked has a pod. Kernel nodes announce nothing.
  const isLocal = loadBalancer !== undefined && nodes.every(({ agent }) => agent === "podwire");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...metadata, ...annotated({ ...passed.annotations, ...asked }) },
    spec: {
      type: loadBalancer === undefined ? "NodePort" : "LoadBalancer",
      ipFamilyPolicy: "PreferDualStack",
      externalTrafficPolicy: isLocal ? "Local" : "Cluster",
      selector,
      ports: ports.map(({ protocol, port }) => ({
        ...{ name: `${protocol.toLowerCase()}-${port}`, protocol, port, targetPort: port },
      })),
    },
  };
}

interface Template {
  readonly metadata: object;
  readonly selector: object;
  readonly text: string;
  readonly metricsPort: number;
}

function deploymentOf(
  { name, ports, passed }: Wanted,
  { replicas = 1 }: LabGatewaySettings,
  { metadata, selector, text, metricsPort }: Template,
): object {
  const container = {
    name: "gateway",
    image: GATEWAY_IMAGE,
    args: ["--config", `${FOLDER}/${FILE}`],
    ports: [
      ...ports.map(({ protocol, port }) => ({ protocol, containerPort: port })),
      { name: "metrics", protocol: "TCP", containerPort: metricsPort },
    ],
    readinessProbe: {
      httpGet: { path: "/readyz", port: metricsPort },
      periodSeconds: 2,
      failureThreshold: 1,
    },
    volumeMounts: [{ name: "config", mountPath: FOLDER }],
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: {
      replicas,
      // One is there before another goes: nobody's connection is refused.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: selector },
      template: {
        // It reads its configuration when it starts: another one makes other pods.
        metadata: {
          labels: { ...passed.labels, ...selector },
          annotations: { ...passed.annotations, "podwire.dev/config": hash32(text).toString(16) },
        },
        spec: {
          serviceAccountName: name,
          terminationGracePeriodSeconds: DRAIN_SEC + 5,
          containers: [container],
          volumes: [{ name: "config", configMap: { name } }],
        },
      },
    },
  };
}
