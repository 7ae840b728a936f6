// A cluster's objects as an API server has them: with all that a node cuts when it hears of them. Services with one slice
// each, pods of other nodes, and what an agent of `NODE` needs to begin.
import { dotted, serviceAddress } from "./scale-objects.ts";

export const NODE = "node1";
const NODES = 100;
const APPS = 1000;
const ENDPOINTS_FROM = (10 << 24) | (128 << 16) | 1; // 10.128.0.1
const [TEMPLATE, MINUTE] = ["5d8f9c7b44", "2026-01-01T08:00:00Z"];

export interface Load {
  readonly services: number;
  /** Of each service. */
  readonly endpoints: number;
  readonly pods: number;
}

/** The agent's own node, and the namespace of everything. */
export function* firstObjects(): Generator<object> {
  yield {
    ...kind("v1", "Namespace"),
    metadata: metadata("default", 0),
    spec: { finalizers: ["kubernetes"] },
  };
  for (let i = 1; i <= NODES; i++) yield node(i);
}

export function* loadObjects({ services, endpoints, pods }: Load): Generator<object> {
  for (let i = 0; i < services; i++) {
    yield service(i);
    yield slice(i, endpoints);
  }
  for (let i = 0; i < pods; i++) yield pod(i);
}

const kind = (apiVersion: string, name: string) => ({ apiVersion, kind: name });
/** Nodes that are not the agent's. */
const otherNode = (i: number): string => `node${2 + (i % (NODES - 1))}`;
const app = (i: number): string => `app-${i % APPS}`;
const podName = (service: number, i: number): string => `load-${service}-${TEMPLATE}-${uid(i).slice(0, 5)}`;
const nodeAddress = (i: number): string => `192.168.77.${10 + i}`;

function uid(i: number): string {
  const hex = (Math.imul(i + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
  return `${hex}-${hex.slice(0, 4)}-4${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex}${hex.slice(0, 4)}`;
}

function metadata(name: string, i: number, labels: Record<string, string> = {}) {
  const two = (n: number): string => String(n % 60).padStart(2, "0");
  return {
    ...{ name, uid: uid(i), creationTimestamp: `2026-01-01T07:${two(i >> 6)}:${two(i)}Z`, labels },
    managedFields: [
      {
        ...{ manager: "kube-controller-manager", operation: "Update", apiVersion: "v1", time: MINUTE },
        ...{ fieldsType: "FieldsV1", fieldsV1: { "f:metadata": { "f:labels": { ".": {}, "f:app": {} } } } },
      },
    ],
  };
}

function owned(ownerKind: string, name: string, i: number) {
  const owner = { apiVersion: "v1", kind: ownerKind, name, uid: uid(i), controller: true };
  return { namespace: "default", generateName: `${name}-`, ownerReferences: [owner] };
}

function node(i: number): object {
  const name = `node${i}`;
  const podCIDR = `10.244.${i}.0/24`;
  return {
    ...kind("v1", "Node"),
    metadata: metadata(name, i, { "kubernetes.io/hostname": name }),
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: "InternalIP", address: nodeAddress(i) }] },
  };
}

function service(i: number): object {
  const clusterIP = dotted(serviceAddress(i));
  return {
    ...kind("v1", "Service"),
    metadata: { ...metadata(`load-${i}`, i, { app: app(i) }), namespace: "default" },
    spec: {
      ...{ clusterIP, clusterIPs: [clusterIP], type: "ClusterIP", sessionAffinity: "None" },
      ...{ ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack", internalTrafficPolicy: "Cluster" },
      selector: { app: app(i) },
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
    },
    status: { loadBalancer: {} },
  };
}

function slice(i: number, endpoints: number): object {
  const name = `load-${i}`;
  const labels = {
    ...{ app: app(i), "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" },
    "kubernetes.io/service-name": name,
  };
  return {
    ...{ ...kind("discovery.k8s.io/v1", "EndpointSlice"), addressType: "IPv4" },
    metadata: {
      ...metadata(`${name}-${uid(i).slice(0, 5)}`, i, labels),
      ...owned("Service", name, i),
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": MINUTE },
    },
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: endpoints }, (_, e) => ({
      addresses: [dotted(ENDPOINTS_FROM + i * endpoints + e)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: otherNode(i + e),
      targetRef: { kind: "Pod", namespace: "default", name: podName(i, e), uid: uid(i * endpoints + e) },
    })),
  };
}

function pod(i: number): object {
  const ip = dotted(ENDPOINTS_FROM + i);
  const labels = { app: app(i), "pod-template-hash": TEMPLATE };
  return {
    ...kind("v1", "Pod"),
    metadata: { ...metadata(podName(i % APPS, i), i, labels), ...owned("ReplicaSet", app(i), i) },
    spec: {
      ...{ nodeName: otherNode(i), restartPolicy: "Always", dnsPolicy: "ClusterFirst" },
      volumes: [{ name: "token", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }],
      containers: [
        {
          ...{ name: "main", image: "registry/app:1", env: [{ name: "A", value: "b" }] },
          ...{ ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }], resources: {} },
          volumeMounts: [{ name: "token", mountPath: "/var/run/secrets" }],
        },
      ],
    },
    status: {
      ...{ phase: "Running", hostIP: nodeAddress(2 + (i % (NODES - 1))), podIP: ip, podIPs: [{ ip }] },
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: MINUTE }],
      containerStatuses: [{ name: "main", ready: true, restartCount: 0, image: "x", imageID: "y" }],
    },
  };
}
