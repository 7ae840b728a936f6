// A small cluster as names see it: every kind of Service that the DNS specification tells apart.
import type { KubeObject } from "../../kube/objects.ts";

const meta = (name: string, namespace = "default", labels = {}) => ({ name, namespace, labels });

export const namespaceObject = (name: string): KubeObject =>
  ({ apiVersion: "v1", kind: "Namespace", metadata: { name } }) as KubeObject;

export const service = (name: string, spec: object, namespace = "default"): KubeObject =>
  ({ apiVersion: "v1", kind: "Service", metadata: meta(name, namespace), spec, status: {} }) as KubeObject;

export const slice = (
  of: string,
  endpoints: readonly object[],
  ports: readonly object[] = [{ name: "https", port: 443, protocol: "TCP" }],
  more: { family?: string; namespace?: string; name?: string } = {},
): KubeObject =>
  ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: meta(more.name ?? `${of}-1`, more.namespace, { "kubernetes.io/service-name": of }),
    addressType: more.family ?? "IPv4",
    endpoints,
    ports,
  }) as KubeObject;

export const pod = (
  name: string,
  ips: readonly string[],
  namespace = "default",
  phase = "Running",
): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(name, namespace),
    spec: { nodeName: "node1", containers: [] },
    status: { phase, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  }) as KubeObject;

const HTTPS = { name: "https", port: 443, protocol: "TCP" };
const UNNAMED = { port: 80, protocol: "TCP" };

/** Those of the specification's examples, and what it says nothing of. */
export const CLUSTER: readonly KubeObject[] = [
  ...["default", "kube-system", "empty"].map(namespaceObject),
  service("kubernetes", { clusterIP: "10.3.0.1", clusterIPs: ["10.3.0.1", "2001:db8::1"], ports: [HTTPS] }),
  service("plain", { clusterIP: "10.3.0.2", clusterIPs: ["10.3.0.2"], ports: [UNNAMED] }),
  service("many", {
    clusterIP: "10.3.0.3",
    clusterIPs: ["10.3.0.3"],
    ports: [HTTPS, { name: "dns", port: 53, protocol: "UDP" }, { name: "dns", port: 53, protocol: "TCP" }],
  }),
  service("six", { clusterIP: "2001:db8::6", clusterIPs: ["2001:db8::6"], ports: [HTTPS] }),
  service("waiting", { ports: [HTTPS] }),
  service("headless", { clusterIP: "None", clusterIPs: ["None"], ports: [HTTPS, UNNAMED] }),
  slice("headless", [
    { addresses: ["10.3.0.100"], hostname: "my-pet" },
    { addresses: ["10.3.0.101"], hostname: "my-pet-2", conditions: { ready: true } },
    { addresses: ["10.3.0.102"] },
    { addresses: ["10.3.0.103"], hostname: "sick", conditions: { ready: false } },
  ]),
  slice("headless", [{ addresses: ["2001:db8::64"], hostname: "my-pet" }], [HTTPS], {
    family: "IPv6",
    name: "headless-2",
  }),
  service("portless", { clusterIP: "None", clusterIPs: ["None"] }),
  slice("portless", [{ addresses: ["10.3.0.110"], hostname: "a" }], []),
  service("nobody", { clusterIP: "None", clusterIPs: ["None"], ports: [HTTPS] }),
  service("eager", { clusterIP: "None", ports: [HTTPS], publishNotReadyAddresses: true }),
  slice("eager", [{ addresses: ["10.3.0.120"], hostname: "late", conditions: { ready: false } }]),
  service("foo", { type: "ExternalName", externalName: "www.example.com." }),
  service("inside", { type: "ExternalName", externalName: "kubernetes.default.svc.cluster.local" }),
  service("round", { type: "ExternalName", externalName: "round.default.svc.cluster.local" }),
  service("lost", { type: "ExternalName", externalName: "none.default.svc.cluster.local" }),
  service("number", { type: "ExternalName", externalName: "192.0.2.1" }),
  service(
    "kube-dns",
    { clusterIP: "10.3.0.10", ports: [{ name: "dns", port: 53, protocol: "UDP" }] },
    "kube-system",
  ),
  pod("web", ["10.244.1.2", "fd00:10:244:1::2"]),
  pod("done", ["10.244.1.3"], "default", "Succeeded"),
  pod("node-agent", ["192.168.50.11"], "kube-system"),
];
