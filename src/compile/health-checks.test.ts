import t from "tap";
import { ip } from "../base/ip.ts";
import { readProxyConfig } from "../config/proxy.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import type { Endpoint } from "../kube/objects.ts";
import { type EndpointSlice, type Node, ObjectGraph, type Service } from "../watch/desired-state.ts";
import { HealthChecks, healthCheckAddresses, healthCheckOf, isNodeEligible } from "./health-checks.ts";
import { proxySettings } from "./proxy-settings.ts";

function service(spec: Partial<Service["spec"]> = {}, labels: Record<string, string> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "ns", name: "web", labels },
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.96.0.80",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32_000,
      ports: [{ name: "http", port: 80 }],
      ...spec,
    },
    status: {},
  };
}

type Conditions = NonNullable<Endpoint["conditions"]>;

function endpoint(address: string, nodeName = "node1", conditions?: Conditions): Endpoint {
  return { addresses: [address], nodeName, ...(conditions === undefined ? {} : { conditions }) };
}

function slice(name: string, endpoints: Endpoint[], over: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "ns", name, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints,
    ports: [{ name: "http", port: 8080 }],
    ...over,
  };
}

const count = (...slices: EndpointSlice[]): number | undefined =>
  healthCheckOf(service(), slices, "node1")?.localEndpoints;

t.test("only LoadBalancer with externalTrafficPolicy Local and a port is asked for its health", async (t) => {
  const check = { namespace: "ns", name: "web", port: 32_000, localEndpoints: 0 };
  t.same(healthCheckOf(service(), [], "node1"), check);
  const unasked: [string, Service | undefined][] = [
    ["NodePort", service({ type: "NodePort" })],
    ["policy Cluster", service({ externalTrafficPolicy: "Cluster" })],
    ["no port", service({ healthCheckNodePort: 0 })],
    ["headless", service({ clusterIP: "None" })],
    ["another proxy's", service({}, { "service.kubernetes.io/service-proxy-name": "other" })],
    ["gone", undefined],
  ];
  for (const [name, object] of unasked) t.equal(healthCheckOf(object, [], "node1"), undefined, name);
});

t.test("ready endpoints of this node count, one an address", async (t) => {
  t.equal(count(slice("a", [endpoint("10.1.0.1"), endpoint("10.2.0.1", "node2")])), 1);
  t.equal(count(slice("a", [endpoint("10.1.0.1")]), slice("b", [endpoint("10.1.0.1")])), 1, "twice the same");
  t.equal(count(slice("a", [endpoint("10.1.0.1")]), slice("b", [endpoint("10.1.0.2")])), 2);
  t.equal(count(slice("a", [endpoint("10.1.0.1", "node1", { ready: false, serving: true })])), 0);
  const terminating = { ready: false, serving: true, terminating: true };
  t.equal(count(slice("a", [endpoint("10.1.0.1", "node1", terminating)])), 0, "serving-terminating");
  t.equal(count(slice("a", [endpoint("10.1.0.1", "node1", {})])), 1, "unknown is ready");
  t.equal(count(slice("a", [endpoint("10.1.0.1")], { ports: [] })), 0, "a slice without ports");
  t.equal(count(slice("a", [endpoint("not an address")])), 0);
  const ignored = { "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "" };
  const metadata = { namespace: "ns", name: "a", labels: ignored };
  t.equal(count(slice("a", [endpoint("10.1.0.1")], { metadata })), 0, "a headless Service's slice");
});

t.test("a dual-stack pod is one endpoint", async (t) => {
  const v6 = slice("b", [endpoint("fd00::1"), endpoint("10.1.0.9")], { addressType: "IPv6" });
  t.equal(count(slice("a", [endpoint("10.1.0.1")]), v6), 1);
  t.equal(count(v6), 1);
});

t.test("the list follows the objects", async (t) => {
  const graph = new ObjectGraph();
  const checks = new HealthChecks();
  const step = (type: "MODIFIED" | "DELETED", object: Service | EndpointSlice): [number, number][] => {
    graph.onEvent({ type, object });
    checks.update(graph, graph.take().services, "node1");
    return checks.list().map((c) => [c.port, c.localEndpoints]);
  };
  t.same(step("MODIFIED", slice("a", [endpoint("10.1.0.1")])), [], "slices before their Service");
  t.same(step("MODIFIED", service()), [[32_000, 1]]);
  t.same(step("MODIFIED", service({ healthCheckNodePort: 32_001 })), [[32_001, 1]]);
  t.same(step("DELETED", slice("a", [])), [[32_001, 0]]);
  t.same(step("DELETED", service()), []);
});

t.test("the ports listen where node ports are served", async (t) => {
  const node = {
    metadata: { name: "node1" },
    spec: {},
    status: {
      addresses: [
        { type: "InternalIP", address: "192.168.50.11" },
        { type: "InternalIP", address: "fd50::11" },
        { type: "ExternalIP", address: "203.0.113.1" },
      ],
    },
  } as Node;
  const addresses = (raw: object): string[] => {
    const problems = new FieldProblems();
    const config = readProxyConfig(raw, problems);
    t.same(problems.list, []);
    return healthCheckAddresses(
      proxySettings({ config, nodeName: "node1", node, localIps: [ip("10.244.1.1")] }),
    );
  };
  t.same(addresses({}), ["::"]);
  t.same(addresses({ nodePortAddresses: ["0.0.0.0/0"] }), ["::"]);
  t.same(addresses({ nodePortAddresses: ["192.168.0.0/16"] }), ["192.168.50.11", "fd50::11"]);
  t.same(addresses({ nodePortAddresses: ["10.0.0.0/8", "fd50::/64"] }), ["10.244.1.1", "fd50::11"]);
  t.same(addresses({ nodePortAddresses: ["primary"] }), ["192.168.50.11", "fd50::11"]);
  t.same(addresses({ mode: "nftables" }), ["192.168.50.11", "fd50::11"], "nftables: primary ones");
});

t.test("a node on its way out is not eligible", async (t) => {
  const node = (metadata: object, spec: object): Node => ({ metadata, spec, status: {} }) as Node;
  const taint = (key: string) => node({}, { taints: [{ key, effect: "NoSchedule" }] });
  t.equal(isNodeEligible(node({}, {}), true), true);
  t.equal(isNodeEligible(taint("node.kubernetes.io/unreachable"), true), true);
  t.equal(isNodeEligible(taint("ToBeDeletedByClusterAutoscaler"), true), false);
  t.equal(isNodeEligible(node({ deletionTimestamp: "2026-01-02T03:04:05Z" }, {}), true), false);
  t.equal(isNodeEligible(undefined, true), false, "deleted");
  t.equal(isNodeEligible(undefined, false), true, "not there yet");
});
