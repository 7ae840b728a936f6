// The servers over loopback sockets of this test: what they answer, and when they open, move and close.
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t from "tap";
import type { HealthCheck } from "../compile/health-checks.ts";
import { proxySettings } from "../compile/proxy-settings.ts";
import { formatHostPort, type HostPort } from "../config/host-port.ts";
import { readProxyConfig } from "../config/proxy.ts";
import { Counters } from "../dataplane/counters.ts";
import { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import { Fdb } from "../dataplane/table/fdb.ts";
import { Neighbors } from "../dataplane/table/neighbor.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { lintExposition, parseExposition } from "../testing/exposition-checker.ts";
import { projectRoot } from "../testing/tidy/source-tree.ts";
import { type EndpointSlice, type Node, ObjectGraph, type Service } from "../watch/desired-state.ts";
import { HealthPorts } from "./health-ports.ts";
import type { NodeListener } from "./node-listener.ts";
import { NodeServers } from "./node-servers.ts";

const NO_FAULTS = {
  internalErrors: 0,
  refusedServicePorts: 0,
  heldMs: 0,
  tunnelBundles: false,
  tunnelGso: false,
};

/** Listens on free ports of loopback in place of the addresses asked for. */
class Loopback {
  readonly servers = new Map<string, Server>();
  /** Addresses that are somebody else's. */
  readonly taken = new Set<string>();
  tries = 0;

  readonly open = async (where: HostPort, handler: RequestListener): Promise<NodeListener> => {
    const name = formatHostPort(where);
    this.tries++;
    if (this.taken.has(name) || this.servers.has(name)) {
      throw new Error(`cannot listen on ${name}: EADDRINUSE`);
    }
    const server = createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.servers.set(name, server);
    return {
      close: () => {
        this.servers.delete(name);
        server.close();
        server.closeAllConnections();
      },
    };
  };

  async opened(count: number): Promise<void> {
    while (this.servers.size < count) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  get names(): string[] {
    return [...this.servers.keys()].sort();
  }

  async get(name: string, path = "/"): Promise<{ status: number; headers: Headers; text: string }> {
    const server = this.servers.get(name);
    if (server === undefined) throw new Error(`nobody listens on ${name}`);
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}

const check = (name: string, port: number, localEndpoints: number): HealthCheck => ({
  namespace: "ns",
  name,
  port,
  localEndpoints,
});

/** "name type" of each row of the tables in docs/metrics.md. */
function documented(): string[] {
  const text = readFileSync(join(projectRoot(), "docs/metrics.md"), "utf8");
  return [...text.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram) \|/gm)].map(
    (m) => `${m[1]} ${m[2]}`,
  );
}

t.test("a health-check port answers as kube-proxy's, byte by byte", async (t) => {
  const net = new Loopback();
  let healthy = true;
  const ports = new HealthPorts(net.open, () => healthy);
  t.teardown(() => ports.close());
  await ports.sync([check("web", 32_000, 2)], ["::"]);
  const good = await net.get("[::]:32000", "/any/path?at=all");
  t.equal(good.status, 200);
  t.equal(good.headers.get("content-type"), "application/json");
  t.equal(good.headers.get("x-content-type-options"), "nosniff");
  t.equal(good.headers.get("x-load-balancing-endpoint-weight"), "2");
  t.equal(
    good.text,
    '{\n\t"service": {\n\t\t"namespace": "ns",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n' +
      '\t"serviceProxyHealthy": true\n}',
  );
  healthy = false;
  const sick = await net.get("[::]:32000");
  t.equal(sick.status, 503);
  t.equal(sick.headers.get("x-load-balancing-endpoint-weight"), "2");
  t.match(JSON.parse(sick.text), { localEndpoints: 2, serviceProxyHealthy: false });
  healthy = true;
  void ports.sync([check("web", 32_000, 0)], ["::"]);
  const empty = await net.get("[::]:32000");
  t.equal(empty.status, 503, "the count is in force before the promise resolves");
  t.match(JSON.parse(empty.text), { localEndpoints: 0, serviceProxyHealthy: true });
});

t.test("ports open, move and close with their Services and the node's addresses", async (t) => {
  const net = new Loopback();
  const ports = new HealthPorts(net.open, () => true);
  await ports.sync([check("a", 1, 1), check("b", 2, 1)], ["10.0.0.1", "fd00::1"]);
  t.same(net.names, ["10.0.0.1:1", "10.0.0.1:2", "[fd00::1]:1", "[fd00::1]:2"]);
  const { tries } = net;
  await ports.sync([check("a", 1, 5), check("b", 2, 1)], ["10.0.0.1", "fd00::1"]);
  t.equal(net.tries, tries, "what stays is left alone");
  await ports.sync([check("b", 1, 1)], ["10.0.0.1", "fd00::1"]);
  t.same(net.names, ["10.0.0.1:1", "[fd00::1]:1"], "b took the port that a gave up");
  t.match(JSON.parse((await net.get("10.0.0.1:1")).text), { service: { name: "b" } });
  await ports.sync([check("b", 1, 1)], ["10.0.0.2"]);
  t.same(net.names, ["10.0.0.2:1"]);
  await Promise.all([ports.sync([], ["10.0.0.2"]), ports.sync([check("c", 3, 0)], ["10.0.0.2"])]);
  t.same(net.names, ["10.0.0.2:3"], "changes one after the other");
  await ports.close();
  t.same(net.names, []);
});

t.test("a port that is taken is told once, tried again, and holds nobody else up", async (t) => {
  const net = new Loopback();
  const ports = new HealthPorts(net.open, () => true);
  t.teardown(() => ports.close());
  const told: string[] = [];
  ports.onProblem = (error) => told.push(error.message);
  net.taken.add("10.0.0.2:1");
  await ports.sync([check("a", 1, 1), check("b", 2, 1)], ["10.0.0.1", "10.0.0.2"]);
  t.same(net.names, ["10.0.0.1:2", "10.0.0.2:2"], "all addresses of a Service or none");
  await ports.sync([check("a", 1, 1), check("b", 2, 1)], ["10.0.0.1", "10.0.0.2"]);
  t.same(told, ["Service ns/a: healthCheckNodePort: cannot listen on 10.0.0.2:1: EADDRINUSE"]);
  net.taken.clear();
  const keepAwake = setTimeout(() => {}, 5000); // the retry does not
  await net.opened(4);
  clearTimeout(keepAwake);
  t.same(net.names, ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.2:2"]);
});

/** An agent's bookkeeping around NodeServers, without an agent. */
function create(raw: object = {}) {
  const net = new Loopback();
  const graph = new ObjectGraph();
  const proxy = readProxyConfig(raw, new FieldProblems());
  const tables = {
    counters: new Counters(4),
    conntrack: new Conntrack(10),
    fdb: new Fdb(4),
    fabric: new Neighbors(4),
    stations: new Neighbors(4),
  };
  const servers = new NodeServers({
    nodeName: "node1",
    proxy,
    open: net.open,
    sources: {
      plane: () => ({ tables, ports: [], missed: new Map(), ...NO_FAULTS }),
      services: () => ({ servicePorts: 2, hostPorts: 1, noLocalInternal: 0, noLocalExternal: 1 }),
      policies: () => [],
      objects: () => ({ nodes: graph.nodes.size }),
      ready: () => true,
      source: () => ({
        problem: "",
        silentSeconds: 1,
        unreported: "",
        server: "",
        aheadSeconds: 0,
        refused: new Map(),
      }),
    },
  });
  const events = (type: "ADDED" | "DELETED", ...objects: (Node | Service | EndpointSlice)[]): void => {
    const list = objects.map((object) => ({ type, object }));
    servers.events(list);
    for (const event of list) graph.onEvent(event);
    servers.queued();
  };
  const apply = async (): Promise<void> => {
    const changes = graph.take();
    const settings = proxySettings({ config: proxy, nodeName: "node1", node: graph.nodes.get("node1") });
    servers.applying();
    await servers.applied(graph, changes, settings, 0.001);
  };
  return { net, servers, events, apply };
}

function node(over: object = {}): Node {
  const status = { addresses: [{ type: "InternalIP", address: "192.168.50.11" }] };
  return { apiVersion: "v1", kind: "Node", metadata: { name: "node1" }, spec: {}, status, ...over } as Node;
}

t.test(":10256 follows the queue and the node, and counts its answers", async (t) => {
  const { net, servers, events, apply } = create({ iptables: { syncPeriod: "20ms", minSyncPeriod: "0s" } });
  t.teardown(() => servers.close());
  servers.start();
  const status = async (path: string) => (await net.get("0.0.0.0:10256", path)).status;
  await net.opened(2);
  t.same(net.names, ["0.0.0.0:10256", "127.0.0.1:10249"]);
  t.equal(await status("/healthz"), 200, "starting");
  events("ADDED", node());
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.same([await status("/healthz"), await status("/livez")], [503, 503], "waited more than 2 × syncPeriod");
  await apply();
  t.same([await status("/healthz?x=1"), await status("/livez")], [200, 200]);
  events(
    "ADDED",
    node({ spec: { taints: [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }] } }),
  );
  await apply();
  t.same([await status("/healthz"), await status("/livez")], [503, 200]);
  events("ADDED", node());
  await apply();
  t.equal(await status("/healthz"), 200);
  events("DELETED", node());
  await apply();
  const answer = await net.get("0.0.0.0:10256", "/healthz");
  t.equal(answer.headers.get("content-type"), "application/json");
  t.match(JSON.parse(answer.text), { nodeEligible: false, healthy: true, status: { IPv4: {} } });
  t.equal(await status("/nothing"), 404);
  const { text } = await net.get("127.0.0.1:10249", "/metrics");
  t.match(text, 'kubeproxy_proxy_healthz_total{code="200"} 3\nkubeproxy_proxy_healthz_total{code="503"} 3\n');
  t.match(text, 'kubeproxy_proxy_livez_total{code="503"} 1\nkubeproxy_proxy_livez_total{code="200"} 2\n');
});

t.test(":10249 has metrics that Prometheus reads, the mode and the configuration", async (t) => {
  const { net, servers, events, apply } = create({ mode: "nftables", healthzBindAddress: "" });
  t.teardown(() => servers.close());
  servers.start();
  events("ADDED", node());
  await apply();
  await net.opened(1);
  const at = "127.0.0.1:10249";
  t.same(net.names, [at], "no health server where none is wanted");
  const metrics = await net.get(at, "/metrics");
  t.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const families = parseExposition(metrics.text);
  t.same(lintExposition(families), []);
  t.ok(families.has("process_cpu_seconds_total"));
  const shown = [...families.values()].map((family) => `${family.name} ${family.type}`);
  const ours = shown.filter((line) => /^(?:podwire|kubeproxy)_/.test(line)).sort();
  t.same(documented().sort(), ours, "docs/metrics.md lists every metric, and no other");
  t.match(metrics.text, /^podwire_build_info\{version="\d+\.\d+\.\d+",nodejs_version="\d+\.\d+\.\d+"\} 1$/m);
  t.equal((await net.get(at, "/proxyMode")).text, "nftables");
  t.equal((await net.get(at, "/healthz")).text, "ok");
  const configuration = JSON.parse((await net.get(at, "/configz")).text);
  t.match(configuration, { "kubeproxy.config.k8s.io": { mode: "nftables" } });
  t.equal((await net.get(at, "/")).status, 404);
});

t.test("a Service's port opens when its change is applied, at node port addresses", async (t) => {
  const { net, servers, events, apply } = create({ nodePortAddresses: ["192.168.0.0/16"] });
  t.teardown(() => servers.close());
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "ns", name: "web" },
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.96.0.80",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32_000,
    },
    status: {},
  } as Service;
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "ns", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.1.2"], nodeName: "node1" }],
    ports: [{ name: "", port: 8080 }],
  } as EndpointSlice;
  events("ADDED", service, slice);
  await apply();
  t.same(net.names, [], "the node's addresses are not known yet");
  events("ADDED", node());
  await apply();
  t.same(net.names, ["192.168.50.11:32000"]);
  t.equal((await net.get("192.168.50.11:32000")).status, 200);
  events("DELETED", slice);
  await apply();
  t.equal((await net.get("192.168.50.11:32000")).status, 503);
  events("DELETED", service);
  await apply();
  t.same(net.names, []);
});
