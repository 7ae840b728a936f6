// The objects of the scale benchmark: services with one port, and one EndpointSlice each.
import type { EndpointSlice } from "../../kube/objects.ts";

const SERVICES_FROM = (10 << 24) | (96 << 16) | 1; // 10.96.0.1
const ENDPOINTS_FROM = (10 << 24) | (128 << 16) | 1; // 10.128.0.1
export const SPARE_FROM = (10 << 24) | (192 << 16) | 1; // addresses that no endpoint has at the start
export const CLUSTER_CIDR = "10.128.0.0/9";
export const NODE = "node1";
const NODES = 100;

export function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

export const serviceAddress = (i: number): number => SERVICES_FROM + i;

function service(i: number): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `svc-${i}`, namespace: "default" },
    spec: {
      clusterIP: dotted(serviceAddress(i)),
      selector: { app: `svc-${i}` },
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
    },
  };
}

function slice(i: number, endpoints: number): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `svc-${i}-slice`,
      namespace: "default",
      labels: { "kubernetes.io/service-name": `svc-${i}` },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: endpoints }, (_, k) => ({
      addresses: [dotted(ENDPOINTS_FROM + i * endpoints + k)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node${1 + ((i + k) % NODES)}`,
      targetRef: { kind: "Pod", namespace: "default", name: `svc-${i}-pod-${k}` },
    })),
  };
}

const node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: NODE },
  spec: { podCIDR: "10.128.0.0/24" },
  status: { addresses: [{ type: "InternalIP", address: "192.168.50.11" }] },
};

/** A cluster as a manifest. */
export function clusterText(services: number, endpointsEach: number): string {
  const items = Array.from({ length: services }, (_, i) => [service(i), slice(i, endpointsEach)]).flat();
  return JSON.stringify({ apiVersion: "v1", kind: "List", items: [node, ...items] });
}

/** The slice after one of its endpoints was replaced: the change that a rolling update makes again and again. */
export function replaceEndpoint(object: EndpointSlice, at: number, address: number): EndpointSlice {
  const endpoints = object.endpoints.map((endpoint, i) =>
    i === at % object.endpoints.length ? { ...endpoint, addresses: [dotted(address)] } : endpoint,
  );
  return { ...object, endpoints };
}
