import fc from "fast-check";
import t from "tap";
import {
  type Deployment,
  type EndpointSlice,
  type KubeObject,
  keyOf,
  type Pod,
  type Service,
} from "../kube/objects.ts";
import { PassedOver } from "../kube/passed-over.ts";
import { deleteNamed } from "../testing/world/delete-named.ts";
import { makeCluster, makeNode } from "../testing/world/make-cluster.ts";
import type { Cluster } from "./cluster.ts";
import type { SavedCluster } from "./saved-cluster.ts";

const DUAL = { clusterCidr: "10.244.0.0/16,fd00:10:244::/56", serviceCidr: "10.96.0.0/16,fd00:96::/112" };

const pod = (name: string, rest = "", spec = "") => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: web }${rest} }
spec: { ${spec} containers: [{ name: a, image: a, ports: [{ name: http, containerPort: 8080 }] }] }
`;
const service = (name: string, spec = "", port = "port: 80, targetPort: http") => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { ${spec} selector: { app: web }, ports: [{ ${port} }] }
`;
const deployment = (replicas: number, image = "a", strategy = "") => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  ${strategy}
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: a, image: ${image}, ports: [{ name: http, containerPort: 8080 }] }] }
`;

function apply(cluster: Cluster, ...texts: string[]): string[] {
  const outcomes = cluster.apply([{ file: "a.yaml", text: texts.join("\n---\n") }]);
  return outcomes.map((o) => `${o.resource} ${o.action}`);
}

function setReady(cluster: Cluster, key: string, ready: boolean, since?: string): void {
  const old = cluster.get("Pod", key) as Pod;
  const time = since === undefined ? {} : { lastTransitionTime: since };
  const conditions = [{ type: "Ready", status: ready ? "True" : "False", ...time }];
  cluster.update({ ...old, status: { ...old.status, phase: "Running", conditions } } as Pod);
}

const ipsOf = (cluster: Cluster, key: string) =>
  ((cluster.get("Pod", key) as Pod).status.podIPs ?? []).map(({ ip }) => ip);
const serviceOf = (cluster: Cluster, name: string) => cluster.get("Service", `default/${name}`) as Service;
const endpointsOf = (cluster: Cluster) =>
  (cluster.list("EndpointSlice") as EndpointSlice[]).flatMap((slice) =>
    slice.endpoints.flatMap((e) => (slice.ports ?? []).map((p) => `${e.addresses[0]}:${p.port}`)),
  );

t.test("apply says created, unchanged and configured, as kubectl does", async (t) => {
  const cluster = makeCluster();
  t.same(apply(cluster, service("api"), deployment(1)), [
    "service/api created",
    "deployment.apps/web created",
  ]);
  t.same(apply(cluster, service("api"), deployment(1)), [
    "service/api unchanged",
    "deployment.apps/web unchanged",
  ]);
  t.same(apply(cluster, service("api", "sessionAffinity: ClientIP,")), ["service/api configured"]);
});

t.test("pods get addresses from .2 of their node's range, in both families", async (t) => {
  const cluster = makeCluster(DUAL);
  apply(cluster, pod("a"), pod("b"), pod("c"));
  t.same(ipsOf(cluster, "default/a"), ["10.244.1.2", "fd00:10:244:1::2"]);
  t.same(ipsOf(cluster, "default/b"), ["10.244.2.2", "fd00:10:244:2::2"]);
  t.same(ipsOf(cluster, "default/c"), ["10.244.1.3", "fd00:10:244:1::3"]);
  t.equal((cluster.get("Pod", "default/a") as Pod).status.hostIP, "192.168.50.11");
});

t.test("an address that a manifest asks for is honoured, by status or annotation", async (t) => {
  const cluster = makeCluster();
  apply(
    cluster,
    pod("auto"),
    `${pod("status")}status: { podIP: 10.244.1.2 }`,
    pod("annotated", ", annotations: { podwire.dev/ip: 10.244.2.77 }"),
  );
  t.same(ipsOf(cluster, "default/status"), ["10.244.1.2"]);
  t.same(ipsOf(cluster, "default/annotated"), ["10.244.2.77"]);
  t.equal((cluster.get("Pod", "default/annotated") as Pod).spec.nodeName, "node2");
  t.notSame(ipsOf(cluster, "default/auto"), ["10.244.1.2"]);
});

t.test("two pods with one address are refused, both named, and nothing of the call stays", async (t) => {
  const cluster = makeCluster();
  apply(cluster, `${pod("a")}status: { podIP: 10.244.1.5 }`);
  t.throws(() => apply(cluster, pod("c"), `${pod("b")}status: { podIP: 10.244.1.5 }`, service("api")), {
    code: "MANIFEST_INVALID",
    message:
      'a.yaml:13:18: document 2: Pod "b": ' +
      'address 10.244.1.5 is already used by pod "default/a", so pod "default/b" cannot have it',
  });
  t.same(cluster.list("Pod").map(keyOf), ["default/a"]);
  t.same(cluster.list("Service"), []);
  apply(cluster, pod("c"));
  t.same(ipsOf(cluster, "default/c"), ["10.244.2.2"]);
});

t.test("addresses outside the node's range, or reserved in it, are refused", async (t) => {
  const cluster = makeCluster();
  const asks = (ip: string) => () =>
    apply(cluster, `${pod("a", "", "nodeName: node1,")}status: { podIP: ${ip} }`);
  t.throws(asks("10.244.2.9"), {
    message: /10\.244\.2\.9 .*is not in podCIDR 10\.244\.1\.0\/24 of node "node1"/,
  });
  for (const ip of ["10.244.1.0", "10.244.1.1", "10.244.1.255"])
    t.throws(asks(ip), { message: /is reserved/ });
});

t.test("an exhausted range refuses the call and says which", async (t) => {
  const cluster = makeCluster({ nodes: 0 });
  cluster.update(
    makeNode("n", "192.168.50.11", { spec: { podCIDR: "10.244.9.0/29", podCIDRs: ["10.244.9.0/29"] } }),
  );
  apply(cluster, deployment(5));
  t.throws(() => apply(cluster, deployment(6)), {
    code: "IPAM_EXHAUSTED",
    message: 'node "n": podCIDR 10.244.9.0/29 is exhausted: all 5 addresses are in use',
  });
  t.equal(cluster.list("Pod").length, 5);
});

t.test("nodes cut their ranges from the cluster's; overlapping ones are refused", async (t) => {
  const cluster = makeCluster(DUAL);
  t.match(cluster.get("Node", "node2"), { spec: { podCIDRs: ["10.244.2.0/24", "fd00:10:244:2::/64"] } });
  const clash = makeNode("node3", "192.168.50.13", { spec: { podCIDRs: ["10.244.2.0/25"] } });
  t.throws(() => cluster.update(clash), {
    message: 'podCIDR 10.244.2.0/25 of node "node3" overlaps that of node "node2"',
  });
  t.throws(
    () => {
      for (let i = 3; i < 300; i++) cluster.update(makeNode(`n${i}`, `192.168.51.${i}`));
    },
    { message: 'node "n257": cluster CIDR 10.244.0.0/16 has no /24 left for it' },
  );
});

t.test("ClusterIPs come from the upper band, node ports from 30086 on, the same in every lab", async (t) => {
  const one = makeCluster();
  const two = makeCluster();
  for (const cluster of [one, two]) apply(cluster, service("api", "type: NodePort,"));
  const { clusterIP = "", ports = [] } = serviceOf(one, "api").spec;
  t.match(clusterIP, /^10\.96\.[1-9]\d*\./);
  t.ok((ports[0].nodePort ?? 0) >= 30086 && (ports[0].nodePort ?? 0) <= 32767);
  t.same(serviceOf(one, "api").spec, serviceOf(two, "api").spec);
});

t.test("addresses and ports that are taken or out of range are refused as the API server does", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api", "type: NodePort, clusterIP: 10.96.0.20,", "port: 80, nodePort: 30123"));
  const refused = (spec: string, port: string, message: string) =>
    t.throws(() => apply(cluster, service("b", spec, port)), {
      message: new RegExp(message.replaceAll(/[[\]()".]/g, "\\$&")),
    });
  refused(
    "clusterIP: 10.96.0.20,",
    "port: 80",
    'spec.clusterIPs[0]: Invalid value: ["10.96.0.20"]: failed to allocate IP 10.96.0.20: provided IP is already allocated',
  );
  refused(
    "clusterIP: 10.97.0.20,",
    "port: 80",
    "the provided IP (10.97.0.20) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
  );
  refused("clusterIP: 10.96.0.1,", "port: 80", "provided IP is already allocated");
  refused(
    "type: NodePort,",
    "port: 80, nodePort: 30123",
    "spec.ports[0].nodePort: Invalid value: 30123: provided port is already allocated",
  );
  refused(
    "type: NodePort,",
    "port: 80, nodePort: 8080",
    "spec.ports[0].nodePort: Invalid value: 8080: provided port is not in the valid range. The range of valid ports is 30000-32767",
  );
  refused(
    "ipFamilyPolicy: RequireDualStack,",
    "port: 80",
    'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  );
  t.same(cluster.list("Service").length, 1);
});

t.test("one number may serve TCP and UDP of the same Service", async (t) => {
  const cluster = makeCluster();
  const ports = "name: a, port: 53, nodePort: 30053 }, { name: b, protocol: UDP, port: 53, nodePort: 30053";
  t.same(apply(cluster, service("dns", "type: NodePort,", ports)), ["service/dns created"]);
});

t.test("an update keeps what was allocated, and gives back what the new type does not need", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api", "type: LoadBalancer, externalTrafficPolicy: Local,"));
  const before = serviceOf(cluster, "api").spec;
  t.ok((before.healthCheckNodePort ?? 0) >= 30000);
  apply(
    cluster,
    service("api", "type: LoadBalancer, externalTrafficPolicy: Local, sessionAffinity: ClientIP,"),
  );
  const after = serviceOf(cluster, "api").spec;
  t.match(after, { clusterIP: before.clusterIP, healthCheckNodePort: before.healthCheckNodePort });
  t.equal(after.ports?.[0].nodePort, before.ports?.[0].nodePort);
  apply(cluster, service("api"));
  t.equal(serviceOf(cluster, "api").spec.ports?.[0].nodePort, undefined);
  apply(cluster, service("b", "type: NodePort,", `port: 80, nodePort: ${before.ports?.[0].nodePort}`));
  t.throws(() => apply(cluster, service("api", "clusterIP: 10.96.0.99,")), {
    message: /may not change once set/,
  });
});

t.test("dual stack: both families when asked for, one otherwise; headless has none", async (t) => {
  const cluster = makeCluster(DUAL);
  apply(
    cluster,
    service("one"),
    service("both", "ipFamilyPolicy: PreferDualStack,"),
    service("none", "clusterIP: None,"),
  );
  t.same(serviceOf(cluster, "one").spec.ipFamilies, ["IPv4"]);
  t.same(serviceOf(cluster, "both").spec.ipFamilies, ["IPv4", "IPv6"]);
  t.match(serviceOf(cluster, "both").spec.clusterIPs?.[1], /^fd00:96::/);
  t.same(serviceOf(cluster, "none").spec.clusterIPs, ["None"]);
});

t.test("a restart hands out the same addresses, ports and nodes again", async (t) => {
  const first = makeCluster(DUAL);
  apply(first, pod("a"), pod("b"), service("x", "type: NodePort,"), service("why"));
  deleteNamed(first, "pod", "default", ["a"], 0);
  apply(first, pod("c"), pod("d"), service("z", "type: NodePort, clusterIP: 10.96.3.3,"));
  const saved = JSON.parse(JSON.stringify(first.save())) as SavedCluster;
  const second = makeCluster({ ...DUAL, saved });
  apply(second, service("new", "type: NodePort,"), pod("new"));
  apply(
    second,
    pod("d"),
    service("why"),
    pod("c"),
    service("z", "type: NodePort,"),
    service("x", "type: NodePort,"),
    pod("b"),
  );
  for (const key of ["default/b", "default/c", "default/d"]) {
    t.same(ipsOf(second, key), ipsOf(first, key), key);
    t.equal((second.get("Pod", key) as Pod).spec.nodeName, (first.get("Pod", key) as Pod).spec.nodeName);
  }
  for (const name of ["x", "why", "z"])
    t.same(serviceOf(second, name).spec.clusterIPs, serviceOf(first, name).spec.clusterIPs);
  for (const name of ["x", "z"])
    t.same(serviceOf(second, name).spec.ports, serviceOf(first, name).spec.ports);
});

t.test("restored objects are as they were, uids included", async (t) => {
  const first = makeCluster(DUAL);
  apply(first, deployment(3), service("x", "type: NodePort,"));
  const objects = ["Namespace", "Node", "Service", "Pod", "Deployment", "EndpointSlice"].flatMap((kind) =>
    first.list(kind),
  );
  const second = makeCluster({ ...DUAL, nodes: 0, saved: first.save() });
  second.restore(JSON.parse(JSON.stringify(objects)) as KubeObject[]);
  const plain = (cluster: Cluster) =>
    ["Node", "Service", "Pod", "Deployment", "EndpointSlice"].flatMap((kind) =>
      cluster.list(kind).map((o) => ({ ...o, metadata: { ...o.metadata, resourceVersion: "" } })),
    );
  t.same(plain(second), plain(first));
});

t.test(
  "pods are spread over nodes; selectors, taints and cordons are heeded, and who fits nowhere waits",
  async (t) => {
    const cluster = makeCluster({ nodes: 1 });
    const tainted = { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } };
    cluster.update(makeNode("node2", "192.168.50.12", tainted));
    apply(cluster, pod("a"), pod("b", "", "nodeSelector: { disk: ssd },"));
    t.equal((cluster.get("Pod", "default/a") as Pod).spec.nodeName, "node1");
    t.match(cluster.get("Pod", "default/b"), {
      status: {
        phase: "Pending",
        conditions: [
          {
            reason: "Unschedulable",
            message:
              "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, " +
              "1 node(s) had untolerated taint {a: }.",
          },
        ],
      },
    });
    const labelled = makeNode("node3", "192.168.50.13", {
      metadata: { name: "node3", labels: { disk: "ssd" } },
    });
    cluster.update(labelled);
    t.same(ipsOf(cluster, "default/b"), ["10.244.3.2"]);
  },
);

t.test("a Deployment makes, scales and replaces its pods, with stable names", async (t) => {
  const cluster = makeCluster();
  apply(cluster, deployment(3));
  const names = cluster.list("Pod").map(keyOf);
  t.match(names[0], /^default\/web-[a-z0-9]{10}-[a-z0-9]{5}$/);
  const again = makeCluster();
  apply(again, deployment(3));
  t.same(again.list("Pod").map(keyOf), names);
  apply(cluster, deployment(1));
  t.equal(cluster.list("Pod").filter((p) => p.metadata.deletionTimestamp === undefined).length, 1);
  t.match(cluster.get("Deployment", "default/web"), { status: { replicas: 1 } });
});

t.test(
  "a changed template rolls over: never fewer ready pods than wanted, old ones go as new ones are ready",
  async (t) => {
    const cluster = makeCluster();
    apply(cluster, deployment(4));
    for (const p of cluster.list("Pod")) setReady(cluster, keyOf(p), true);
    apply(cluster, deployment(4, "b"));
    for (let round = 0; round < 20; round++) {
      const pods = cluster.list("Pod") as Pod[];
      const alive = pods.filter((p) => p.metadata.deletionTimestamp === undefined);
      const ready = alive.filter((p) =>
        p.status.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
      );
      t.ok(ready.length >= 3, "maxUnavailable 25% of 4");
      t.ok(alive.length <= 5, "maxSurge 25% of 4");
      for (const p of pods) if (p.metadata.deletionTimestamp !== undefined) cluster.remove(p);
      const next = alive.find((p) => !ready.includes(p));
      if (next === undefined) break;
      setReady(cluster, keyOf(next), true);
    }
    const images = (cluster.list("Pod") as Pod[]).map((p) => p.spec.containers[0].image);
    t.same(images, ["b", "b", "b", "b"]);
    t.match(cluster.get("Deployment", "default/web") as Deployment, {
      status: { updatedReplicas: 4, readyReplicas: 4 },
    });
  },
);

t.test("Recreate takes all old pods away before it makes new ones", async (t) => {
  const cluster = makeCluster();
  const strategy = "strategy: { type: Recreate }";
  apply(cluster, deployment(2, "a", strategy));
  apply(cluster, deployment(2, "b", strategy));
  const pods = cluster.list("Pod") as Pod[];
  t.ok(pods.every((p) => p.metadata.deletionTimestamp !== undefined && p.spec.containers[0].image === "a"));
  for (const p of pods) cluster.remove(p);
  t.same(
    (cluster.list("Pod") as Pod[]).map((p) => p.spec.containers[0].image),
    ["b", "b"],
  );
});

t.test("EndpointSlices follow pods: readiness, named ports, termination, removal", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api"), pod("a"), pod("b"));
  const conditions = () =>
    (cluster.list("EndpointSlice") as EndpointSlice[]).flatMap((s) => s.endpoints.map((e) => e.conditions));
  t.same(endpointsOf(cluster), ["10.244.1.2:8080", "10.244.2.2:8080"]);
  t.same(conditions()[0], { ready: false, serving: false, terminating: false });
  setReady(cluster, "default/a", true);
  t.same(conditions()[0], { ready: true, serving: true, terminating: false });
  deleteNamed(cluster, "pods", "default", ["a"]);
  t.same(conditions()[0], { ready: false, serving: true, terminating: true });
  cluster.remove(cluster.get("Pod", "default/a") as Pod);
  t.same(endpointsOf(cluster), ["10.244.2.2:8080"]);
  deleteNamed(cluster, "svc", "default", ["api"]);
  t.same(cluster.list("EndpointSlice"), []);
});

t.test("a slice says when one of its pods last became ready or unready", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api"), pod("a"), pod("b"));
  const trigger = () => {
    const [slice] = cluster.list("EndpointSlice") as EndpointSlice[];
    return slice.metadata.annotations?.["endpoints.kubernetes.io/last-change-trigger-time"];
  };
  t.equal(trigger(), undefined, "nobody knows");
  setReady(cluster, "default/a", true, "2026-01-02T03:04:06Z");
  setReady(cluster, "default/b", true, "2026-01-02T03:04:05Z");
  t.equal(trigger(), "2026-01-02T03:04:06Z", "the latest, in whatever order they are told");
  setReady(cluster, "default/b", false, "2026-01-02T03:05:00Z");
  t.equal(trigger(), "2026-01-02T03:05:00Z");
});

t.test("trafficDistribution becomes hints, of ready endpoints", async (t) => {
  const cluster = makeCluster();
  const zones = [1, 2].map(
    (n) =>
      `{ apiVersion: v1, kind: Node, metadata: { name: node${n}, labels: { topology.kubernetes.io/zone: z${n} } } }`,
  );
  const hints = (way: string): unknown => {
    apply(cluster, service("api", `trafficDistribution: ${way},`), pod("a"), pod("b"), ...zones);
    setReady(cluster, "default/a", true);
    return (cluster.list("EndpointSlice") as EndpointSlice[]).flatMap((s) => s.endpoints.map((e) => e.hints));
  };
  t.same(hints("PreferSameZone"), [{ forZones: [{ name: "z1" }] }, undefined], "the other is not ready");
  t.same(hints("PreferClose"), [{ forZones: [{ name: "z1" }] }, undefined]);
  setReady(cluster, "default/b", true);
  t.same(hints("PreferSameNode"), [
    { forZones: [{ name: "z1" }], forNodes: [{ name: "node1" }] },
    { forZones: [{ name: "z2" }], forNodes: [{ name: "node2" }] },
  ]);
  apply(cluster, service("api"));
  t.same(
    (cluster.list("EndpointSlice") as EndpointSlice[]).flatMap((s) => s.endpoints.map((e) => e.hints)),
    [undefined, undefined],
  );
});

t.test("publishNotReadyAddresses makes unready pods ready endpoints", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api", "publishNotReadyAddresses: true,"), pod("a"));
  t.match(cluster.list("EndpointSlice")[0], { endpoints: [{ conditions: { ready: true, serving: false } }] });
});

t.test(
  "a Service without pods has an empty slice; manual slices and selectorless Services are left alone",
  async (t) => {
    const cluster = makeCluster();
    const manual = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: mine, labels: { kubernetes.io/service-name: api } }
addressType: IPv4
ports: [{ port: 80 }]
endpoints: [{ addresses: [10.0.0.9] }]
`;
    const bare = "apiVersion: v1\nkind: Service\nmetadata: { name: bare }\nspec: { ports: [{ port: 80 }] }\n";
    apply(cluster, service("api"), bare, manual);
    const slices = cluster.list("EndpointSlice") as EndpointSlice[];
    t.equal(slices.length, 2);
    t.match(
      slices.find((s) => s.metadata.name !== "mine"),
      {
        endpoints: [],
        ports: [],
        metadata: {
          labels: {
            "kubernetes.io/service-name": "api",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
          },
        },
      },
    );
    deleteNamed(cluster, "svc", "default", ["api"]);
    t.same(
      cluster.list("EndpointSlice").map((s) => s.metadata.name),
      ["mine"],
    );
  },
);

t.test("slices hold 100 endpoints; one pod's change is one slice's change", async (t) => {
  const cluster = makeCluster();
  apply(cluster, service("api"), deployment(250));
  const sizes = () =>
    (cluster.list("EndpointSlice") as EndpointSlice[]).map((s) => s.endpoints.length).sort();
  t.same(sizes(), [100, 100, 50]);
  const changes: string[] = [];
  cluster.onChange(({ type, object }) => changes.push(`${type} ${object.kind}`));
  setReady(cluster, keyOf(cluster.list("Pod")[77]), true);
  t.same(
    changes.filter((c) => c.endsWith("EndpointSlice")),
    ["MODIFIED EndpointSlice"],
  );
});

t.test("pods whose named port differs stand in slices of their own", async (t) => {
  const cluster = makeCluster();
  apply(
    cluster,
    service("api"),
    pod("a"),
    pod("b").replace("8080", "9090"),
    pod("c").replace("name: http,", ""),
  );
  t.same(endpointsOf(cluster).sort(), ["10.244.1.2:8080", "10.244.2.2:9090"]);
  t.equal(cluster.list("EndpointSlice").length, 3);
});

t.test("deleting a namespace deletes what is in it; an unknown one is refused", async (t) => {
  const cluster = makeCluster();
  const inShop = (text: string) => text.replace("metadata: { name", "metadata: { namespace: shop, name");
  t.throws(() => apply(cluster, inShop(service("api"))), { message: /namespaces "shop" not found/ });
  apply(cluster, inShop(service("api")), "apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }");
  t.ok(cluster.get("Service", "shop/api"));
  deleteNamed(cluster, "ns", "", ["shop"]);
  t.notOk(cluster.get("Service", "shop/api"));
});

t.test("kinds by kubectl's words, and unknown ones", async (t) => {
  const cluster = makeCluster();
  t.throws(() => cluster.kindOf("foo"), { message: `the server doesn't have a resource type "foo"` });
  for (const word of [
    "po",
    "pods",
    "Pod",
    "svc",
    "deployments.apps",
    "endpointslices",
    "no",
    "netpol",
    "cnp",
    "ns",
  ]) {
    t.ok(cluster.kindOf(word));
  }
});

t.test("what an API server does not let an update change is refused", async (t) => {
  const cluster = makeCluster();
  apply(cluster, pod("a"), deployment(1));
  t.throws(() => apply(cluster, pod("a", "", "restartPolicy: Never,")), {
    message: /spec: Forbidden: pod updates may not change fields other than/,
  });
  t.same(apply(cluster, pod("a").replace("image: a", "image: b")), ["pod/a configured"]);
  const other = deployment(1).replaceAll("app: web", "app: web2");
  t.throws(() => apply(cluster, other), { message: /spec\.selector: .*: field is immutable/ });
});

t.test(
  "labels and annotations that the lab wrote survive an apply; those a manifest dropped do not",
  async (t) => {
    const cluster = makeCluster();
    apply(cluster, pod("a", ", annotations: { mine: x, gone: why }"));
    const stored = cluster.get("Pod", "default/a") as Pod;
    const annotations = { ...stored.metadata.annotations, "podwire.dev/netns": "/run/netns/a" };
    cluster.update({ ...stored, metadata: { ...stored.metadata, annotations } } as Pod);
    apply(cluster, pod("a", ", annotations: { mine: z }"));
    t.same(cluster.get("Pod", "default/a")?.metadata.annotations, {
      mine: "z",
      "podwire.dev/netns": "/run/netns/a",
    });
    t.same(apply(cluster, pod("a", ", annotations: { mine: z }")), ["pod/a unchanged"]);
  },
);

t.test("watchers hear of a call's changes after it, in order, and of nothing that was refused", async (t) => {
  const cluster = makeCluster();
  const heard: string[] = [];
  cluster.onChange(({ type, object }) => heard.push(`${type} ${object.kind}/${object.metadata.name}`));
  t.throws(() => apply(cluster, pod("x"), service("why", "clusterIP: 1.2.3.4,")));
  t.same(heard, []);
  apply(cluster, pod("x"), service("why"));
  t.same(heard.slice(0, 2), ["ADDED Service/why", "ADDED Pod/x"]);
  t.match(heard[2], /^ADDED EndpointSlice\/why-/);
});

// Named states: from any to any, by any order of single calls, the result is that of the state alone.
const pieces: Record<string, string> = {
  a: pod("a"),
  b: pod("b"),
  api: service("api", "type: NodePort,"),
  web: service("web", "publishNotReadyAddresses: true,", "port: 1, targetPort: 2"),
  deploy: deployment(2),
};

t.test("a pod's weight goes into the slices that name it, and a wrong one is refused", async (t) => {
  const cluster = makeCluster();
  const weight = (text: string) => `, annotations: { podwire.dev/weight: "${text}" }`;
  cluster.apply([
    { file: "f", text: [service("web"), pod("a", weight("3")), pod("b"), pod("c")].join("---") },
  ]);
  const written = (): unknown =>
    (cluster.list("EndpointSlice") as EndpointSlice[]).map(
      (s) => s.metadata.annotations?.["podwire.dev/weights"],
    );
  const address = (name: string): string =>
    (cluster.list("Pod") as Pod[]).find(({ metadata }) => metadata.name === name)?.status.podIPs?.[0]?.ip ??
    "";
  t.same(written(), [`${address("a")}=3`]);
  cluster.apply([{ file: "f", text: [pod("a", weight("0")), pod("c", weight("65535"))].join("---") }]);
  t.same(written(), [`${address("a")}=0,${address("c")}=65535`]);
  for (const wrong of ["65536", "-1", "2.5", "x", ""]) {
    t.throws(() => cluster.apply([{ file: "f", text: pod("a", weight(wrong)) }]), {
      message: /metadata\.annotations\[podwire\.dev\/weight\]|must be an integer between 0 and 65535/,
    });
  }
});

t.test("EndpointSlices depend on the objects, never on the order in which they came", async () => {
  const names = Object.keys(pieces);
  const steps = fc.array(fc.record({ name: fc.constantFrom(...names), on: fc.boolean() }), { maxLength: 25 });
  fc.assert(
    fc.property(steps, fc.shuffledSubarray(names, { minLength: names.length }), (list, order) => {
      const cluster = makeCluster();
      const present = new Set<string>();
      for (const { name, on } of list) {
        if (on) apply(cluster, pieces[name]);
        else if (present.has(name)) remove(cluster, name);
        if (on) present.add(name);
        else present.delete(name);
      }
      const fresh = makeCluster();
      for (const name of order) if (present.has(name)) apply(fresh, pieces[name]);
      return compare(cluster) === compare(fresh);
    }),
    { numRuns: 60 },
  );
});

function remove(cluster: Cluster, name: string): void {
  const word = name === "deploy" ? "deploy" : name.length === 1 ? "pod" : "svc";
  deleteNamed(cluster, word, "default", [name === "deploy" ? "web" : name], 0);
  for (const p of cluster.list("Pod")) if (p.metadata.deletionTimestamp !== undefined) cluster.remove(p);
}

/** Who is an endpoint of what; addresses are given out in the order of arrival, so pods are told by name. */
function compare(cluster: Cluster): string {
  const slices = cluster.list("EndpointSlice") as EndpointSlice[];
  const lines = slices.flatMap((s) =>
    s.endpoints.map(
      (e) =>
        `${s.metadata.labels?.["kubernetes.io/service-name"]} ${e.targetRef?.name} ${JSON.stringify([s.ports, e.conditions])}`,
    ),
  );
  const services = (cluster.list("Service") as Service[]).map((s) => JSON.stringify(s.spec));
  return [...lines.sort(), ...services].join("\n");
}

t.test("what is not the network's business is passed over", async (t) => {
  const cluster = makeCluster();
  const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: web }\n";
  const texts = [{ file: "a", text: `${account}---${pod("web")}---\n${account}` }];
  const passed = new PassedOver();
  t.same(
    cluster.apply(texts, { passed }).map(({ resource, action }) => `${resource} ${action}`),
    ["pod/web created"],
  );
  t.same(passed.notes(), ["note: passed over, not the network's: 2 ServiceAccount"]);
});

t.test("nodes have the labels that a kubelet sets, and keep those that somebody else did", async (t) => {
  const cluster = makeCluster({ architecture: "arm64", nodes: 1 });
  t.same(cluster.get("Node", "node1")?.metadata.labels, {
    "beta.kubernetes.io/arch": "arm64",
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": "arm64",
    "kubernetes.io/hostname": "node1",
    "kubernetes.io/os": "linux",
  });
  const labels = { "kubernetes.io/hostname": "ip-10-0-0-7", disk: "ssd" };
  cluster.update(makeNode("other", "192.168.50.77", { metadata: { name: "other", labels } }));
  t.match(cluster.get("Node", "other")?.metadata.labels, { ...labels, "kubernetes.io/os": "linux" });
  const chosen = (selector: string): string => {
    cluster.apply([{ file: "a", text: pod("p", "", `nodeSelector: { ${selector} },`) }]);
    const { nodeName } = (cluster.get("Pod", "default/p") as Pod).spec;
    deleteNamed(cluster, "pod", "default", ["p"], 0);
    return nodeName ?? "none";
  };
  t.equal(chosen("beta.kubernetes.io/os: linux, disk: ssd"), "other");
  t.equal(chosen("kubernetes.io/hostname: node1"), "node1");
  t.equal(chosen("kubernetes.io/arch: amd64"), "none");
});

t.test("pods of another scheduler wait until it binds them", async (t) => {
  const cluster = makeCluster({ nodes: 1 });
  const pod = (name: string, schedulerName: string) =>
    ({
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default" } },
      ...{ spec: { schedulerName, containers: [{ name: "a", image: "a" }] }, status: {} },
    }) as unknown as Pod;
  const of = (name: string) => cluster.get("Pod", `default/${name}`) as Pod;
  cluster.write(pod("own", "default-scheduler"));
  cluster.write(pod("theirs", "mine"));
  t.equal(of("own").spec.nodeName, "node1");
  t.equal(of("theirs").spec.nodeName, undefined);
  t.match(of("theirs").status, { phase: "Pending" });
  cluster.write({ ...of("theirs"), spec: { ...of("theirs").spec, nodeName: "node1" } } as Pod);
  t.match(of("theirs").status.podIP, /^10\./);
});
