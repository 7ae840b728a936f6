// Health and metrics of an agent, as load balancers and Prometheus ask for them: over the network, at the node's own
// addresses. Two agents of one machine serve the same ports, each in its node's namespace.
import t from "tap";
import { lintExposition, parseExposition } from "../../src/testing/exposition-checker.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client, HTTP_PORT, NODE_PORT, pod, service } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";

const CHECK_PORT = 31_777;
const MOVED_PORT = 31_778;
const NODES = { node1: "192.168.50.11", node2: "192.168.50.12" } as const;

interface Answer {
  status: number;
  headers: string;
  body: string;
}

const skip = cannotRun("curl");
t.test("health and metrics", { skip }, async (t) => {
  const balancer = (over: object = {}): object =>
    service("web", {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: CHECK_PORT,
      clusterIP: "10.96.0.80",
      ...over,
    });
  const lab = await TestLab.up("health", {
    proxy: { metricsBindAddress: "0.0.0.0:10249" },
    objects: [client("client-1", "node1"), pod("web-1", "node1", { app: "web" }), balancer()],
  });
  t.teardown(() => lab.down());

  const get = async (from: string, url: string): Promise<Answer> => {
    const result = await lab.exec(from, ["curl", "-sSi", "--max-time", "5", url]);
    if (result.status !== 0) return { status: 0, headers: result.stderr, body: "" };
    const [headers, ...body] = result.stdout.split("\r\n\r\n");
    return { status: Number(headers.split(" ")[1]), headers, body: body.join("\r\n\r\n") };
  };
  const health = (node: keyof typeof NODES, from = "client/outside", port = CHECK_PORT) =>
    get(from, `http://${NODES[node]}:${port}/`);
  const becomes = (node: keyof typeof NODES, status: number) =>
    until(`${status} from ${node}`, async () => (await health(node)).status === status);

  t.test("the node with an endpoint answers 200, the other one 503, whoever asks", async (t) => {
    for (const from of ["client/outside", "client-1", "node/node1", "node/node2"]) {
      t.equal((await health("node1", from)).status, 200, `${from} → node1`);
      t.equal((await health("node2", from)).status, 503, `${from} → node2`);
    }
    const { headers, body } = await health("node1");
    t.match(headers, /^content-type: application\/json\r?$/im);
    t.match(headers, /^x-load-balancing-endpoint-weight: 1\r?$/im);
    t.same(JSON.parse(body), {
      service: { namespace: "default", name: "web" },
      localEndpoints: 1,
      serviceProxyHealthy: true,
    });
    t.match((await health("node2")).headers, /^x-load-balancing-endpoint-weight: 0\r?$/im);
  });

  t.test("a pod that becomes ready turns its node, one that goes turns it back", async (t) => {
    const probe = { exec: { command: ["test", "-e", `${lab.folder}/ready`] }, periodSeconds: 1 };
    await lab.apply(pod("web-2", "node2", { app: "web", readinessProbe: probe }));
    await until("web-2 to run", async () => {
      const { status } = await lab.json("get", "pods", "web-2");
      return status.phase === "Running";
    });
    t.equal((await health("node2")).status, 503, "not ready yet");
    await lab.exec("node/node2", ["touch", `${lab.folder}/ready`]);
    await becomes("node2", 200);
    await lab.exec("node/node2", ["rm", `${lab.folder}/ready`]);
    await becomes("node2", 503);
    await lab.output(["delete", "pod", "web-1"]);
    await becomes("node1", 503);
    await lab.apply(pod("web-1", "node1", { app: "web" }));
    await becomes("node1", 200);
    t.pass("transitions seen from outside");
  });

  t.test("the listener moves with the Service, and closes with it", async (t) => {
    await lab.apply(balancer({ healthCheckNodePort: MOVED_PORT }));
    await until("the new port", async () => (await health("node1", "client-1", MOVED_PORT)).status === 200);
    t.equal((await health("node1")).status, 0, "the old port is closed");
    await lab.apply(balancer({ externalTrafficPolicy: "Cluster", healthCheckNodePort: 0 }));
    await until("policy Cluster", async () => (await health("node1", "client-1", MOVED_PORT)).status === 0);
    await lab.apply(balancer());
    await becomes("node1", 200);
    await lab.output(["delete", "service", "web"]);
    await until("the end", async () => (await health("node1")).status === 0);
    t.match((await health("node1")).headers, /^curl: \(7\)/, "connection refused");
    await lab.apply(balancer());
    await becomes("node1", 200);
  });

  t.test("healthz and livez of both nodes, on the same port of one machine", async (t) => {
    for (const node of ["node1", "node2"] as const) {
      for (const path of ["healthz", "livez"]) {
        const answer = await get("client/outside", `http://${NODES[node]}:10256/${path}`);
        t.equal(answer.status, 200, `${path} of ${node}`);
        t.match(JSON.parse(answer.body), { healthy: true, status: { IPv4: { healthy: true } } });
      }
    }
    t.equal((await get("node/node1", "http://127.0.0.1:10256/healthz")).status, 200, "on loopback too");
  });

  t.test("a node that the autoscaler is to delete turns load balancers away, and lives", async (t) => {
    const taint = (...taints: object[]) =>
      lab.apply({ apiVersion: "v1", kind: "Node", metadata: { name: "node1" }, spec: { taints } });
    const at = async (path: string) =>
      (await get("client/outside", `http://${NODES.node1}:10256/${path}`)).status;
    await taint({ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" });
    await until("healthz to say so", async () => (await at("healthz")) === 503);
    t.equal(await at("livez"), 200);
    t.equal((await health("node1")).status, 200, "the Service's own port is about endpoints");
    await taint();
    await until("healthz to be well again", async () => (await at("healthz")) === 200);
  });

  t.test("an agent that was killed serves its ports again", async (t) => {
    const pidOf = async (): Promise<number> => {
      const { stdout } = await lab.podwire(["lab", "status", "-o", "json"]); // status 3: web-2 is not ready
      return JSON.parse(stdout).nodes.find((node: { name: string }) => node.name === "node1").pid;
    };
    const before = await pidOf();
    process.kill(before, "SIGKILL");
    await until("another agent", async () => ![before, null].includes(await pidOf()));
    await becomes("node1", 200);
    const answer = await get("client/outside", `http://${NODES.node1}:10256/livez`);
    t.equal(answer.status, 200);
  });

  t.test("metrics tell of real packets, and Prometheus can read them", async (t) => {
    const scrape = async (node: keyof typeof NODES) => {
      const answer = await get("client/outside", `http://${NODES[node]}:10249/metrics`);
      t.equal(answer.status, 200);
      t.match(answer.headers, /^content-type: text\/plain; version=0\.0\.4; charset=utf-8\r?$/im);
      const families = parseExposition(answer.body);
      t.same(lintExposition(families), []);
      return (name: string, labels = "") => families.get(name)?.samples.get(`${name}{${labels}}`) ?? -1;
    };
    const port = 'port="eth0 default/client-1",pod="default/client-1",kind="pod"';
    const before = await scrape("node1");
    const url = `http://10.96.0.80/?n=[1-20]`;
    await lab.exec("client-1", ["curl", "-sS", "-H", "Connection: close", "--max-time", "5", url]);
    const after = await scrape("node1");
    const grown = (name: string, labels = "") => after(name, labels) - before(name, labels);
    t.ok(grown("podwire_port_receive_packets_total", port) >= 100, "20 connections of 5 packets at least");
    t.ok(grown("podwire_port_transmit_bytes_total", port) > 2000);
    t.ok(grown("podwire_events_total", 'event="ct_created"') >= 20);
    t.ok(after("podwire_conntrack_entries") >= 20);
    t.equal(after("podwire_conntrack_entries_limit"), 262_144);
    t.equal(after("podwire_ready"), 1);
    t.ok(after("process_resident_memory_bytes") > 1e7);
    t.ok(after("kubeproxy_sync_proxy_rules_service_changes_total") > 0);
    t.ok(after("kubeproxy_sync_proxy_rules_duration_seconds_count", 'ip_family="IPv4"') < 0, "a histogram");
    const other = await scrape("node2");
    t.equal(other("podwire_port_receive_packets_total", port), -1, "another node, other pods");
  });

  t.test("a drop is told with its reason", async (t) => {
    const name = 'podwire_dropped_packets_total{reason="SERVICE_NO_ENDPOINTS"}';
    const read = async () => {
      const { body } = await get("node/node1", "http://127.0.0.1:10249/metrics");
      return Number(
        body
          .split("\n")
          .find((line) => line.startsWith(name))
          ?.split(" ")[1],
      );
    };
    const before = await read();
    const nobody = { type: "ClusterIP", clusterIP: "10.96.0.81", selector: { app: "nobody" } };
    const ports = [{ name: "http", protocol: "TCP", port: 80, targetPort: HTTP_PORT }];
    await lab.apply(service("empty", { ...nobody, ports }));
    await lab.exec("client-1", ["curl", "-sS", "--max-time", "5", "http://10.96.0.81/"]);
    t.ok((await read()) > before);
  });

  t.test("the time from a slice's trigger to its being in force is measured", async (t) => {
    const count = async () => {
      const { body } = await get("node/node2", "http://127.0.0.1:10249/metrics");
      const name = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}';
      return Number(
        body
          .split("\n")
          .find((line) => line.startsWith(name))
          ?.split(" ")[1],
      );
    };
    const before = await count();
    t.ok(before > 0, "pods became ready since the agent began");
    await lab.apply({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "by-hand",
        labels: { "kubernetes.io/service-name": "by-hand" },
        annotations: { "endpoints.kubernetes.io/last-change-trigger-time": new Date().toISOString() },
      },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.244.1.200"] }],
      ports: [{ name: "http", port: 80 }],
    });
    await until("one more observation", async () => (await count()) === before + 1);
    t.pass("one trigger, one observation");
  });

  t.test("mode and configuration are there to be looked at", async (t) => {
    const at = (path: string) => get("node/node1", `http://127.0.0.1:10249${path}`);
    t.equal((await at("/proxyMode")).body, "iptables");
    t.match(JSON.parse((await at("/configz")).body), {
      "kubeproxy.config.k8s.io": { mode: "iptables", clusterCIDR: "10.244.0.0/16" },
    });
    t.equal((await at("/nothing")).status, 404);
  });

  t.test("node ports are not disturbed by the ports beside them", async (t) => {
    t.equal((await get("client/outside", `http://${NODES.node1}:${NODE_PORT}/`)).status, 200);
  });
});
