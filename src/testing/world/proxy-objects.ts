// Services, EndpointSlices and nodes in few words, as a cluster would hold them: defaulted, addresses
// allocated. For tests of what a proxy makes of them.
import type { EndpointSlice, Node, Service } from "../../kube/objects.ts";

export interface ServiceShape {
  name?: string;
  namespace?: string;
  labels?: Record<string, string>;
  spec?: Partial<Service["spec"]>;
  /** status.loadBalancer.ingress. */
  ingress?: { ip?: string; hostname?: string; ipMode?: string }[];
  port?: { name?: string; port?: number; protocol?: string; nodePort?: number };
}

export interface EndpointShape {
  address: string;
  node?: string;
  ready?: boolean;
  serving?: boolean;
  terminating?: boolean;
  zones?: string[];
  nodes?: string[];
}

export interface SliceShape {
  /** Of the Service. */
  name?: string;
  namespace?: string;
  slice?: string;
  labels?: Record<string, string>;
  family?: 4 | 6;
  addressType?: string;
  port?: { name?: string; port?: number; protocol?: string };
  endpoints: EndpointShape[];
}

/** Service ns/svc with ClusterIP 172.30.0.41, one TCP port "p80". */
export function service(shape: ServiceShape = {}): Service {
  const { name = "svc", namespace = "ns", spec = {} } = shape;
  const port = { name: "p80", port: 80, protocol: "TCP", ...shape.port };
  const clusterIp = spec.clusterIP ?? spec.clusterIPs?.[0] ?? "172.30.0.41";
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, ...(shape.labels && { labels: shape.labels }) },
    spec: {
      type: "ClusterIP",
      clusterIP: clusterIp,
      clusterIPs: [clusterIp],
      ports: [port],
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
      ...spec,
    },
    status: { loadBalancer: { ingress: shape.ingress ?? [] } },
  };
}

/** A slice of ns/svc whose port "p80" is 8080. */
export function slice(shape: SliceShape): EndpointSlice {
  const { name = "svc", namespace = "ns", family = 4 } = shape;
  const port = { name: "p80", port: 8080, protocol: "TCP", ...shape.port };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: shape.slice ?? `${name}-1`,
      namespace,
      labels: { "kubernetes.io/service-name": name, ...shape.labels },
    },
    addressType: shape.addressType ?? `IPv${family}`,
    ports: [port],
    endpoints: shape.endpoints.map(endpoint),
  };
}

function endpoint(shape: EndpointShape): EndpointSlice["endpoints"][number] {
  const { ready, serving, terminating, zones, nodes } = shape;
  const conditions = {
    ...(ready !== undefined && { ready }),
    ...(serving !== undefined && { serving }),
    ...(terminating !== undefined && { terminating }),
  };
  const hints = {
    ...(zones !== undefined && { forZones: zones.map((name) => ({ name })) }),
    ...(nodes !== undefined && { forNodes: nodes.map((name) => ({ name })) }),
  };
  return {
    addresses: [shape.address],
    conditions,
    ...(shape.node !== undefined && { nodeName: shape.node }),
    ...(Object.keys(hints).length > 0 && { hints }),
  };
}

/** Node with these internal addresses. */
export function node(name: string, addresses: readonly string[], shape: NodeShape = {}): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: shape.zone === undefined ? {} : { "topology.kubernetes.io/zone": shape.zone } },
    spec: { podCIDRs: [...(shape.podCidrs ?? [])] },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  };
}

export interface NodeShape {
  zone?: string;
  podCidrs?: readonly string[];
}
