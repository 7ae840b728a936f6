import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import { Cluster } from "../../cluster/cluster.ts";
import type { EndpointSlice, KubeObject, Service } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { type LabObject, planTopology } from "../topology.ts";
import { keepKubernetesService } from "./kubernetes-service.ts";

function kept(spec: NonNullable<LabObject["spec"]>): Cluster {
  const topology = planTopology("demo", { spec });
  const { clusterCidr, serviceCidr } = topology;
  const cluster = new Cluster({ clusterCidr, serviceCidr, nowMs: () => 0 });
  keepKubernetesService(cluster, topology);
  return cluster;
}

const KEY = "default/kubernetes";
const KINDS = ["Service", "Endpoints", "EndpointSlice"] as const;
const all = (cluster: Cluster): (KubeObject | undefined)[] => KINDS.map((kind) => cluster.get(kind, KEY));

t.test("the three objects as kube-apiserver writes them", async (t) => {
  const [service, endpoints, slice] = all(kept({}));
  t.match(service, {
    metadata: { labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.1",
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", protocol: "TCP", port: 443, targetPort: 6443 }],
    },
  });
  t.notOk((service as Service).spec.selector);
  t.match(endpoints, {
    subsets: [
      { addresses: [{ ip: "192.168.50.10" }], ports: [{ name: "https", port: 6443, protocol: "TCP" }] },
    ],
  });
  t.match(slice, {
    metadata: { labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["192.168.50.10"], conditions: { ready: true } }],
    ports: [{ name: "https", port: 6443, protocol: "TCP" }],
  });
  t.equal(kept({}).list("EndpointSlice").length, 1, "Endpoints are not mirrored beside the slice");
});

t.test("it is of the first family of the service range, and goes around the file's addresses", async (t) => {
  const six = kept({
    clusterCIDR: "fd00:10:244::/56,10.244.0.0/16",
    nodes: [
      { name: "a", address: "fd00:192:168:50::10" },
      { name: "b", address: "192.168.50.10" },
    ],
  });
  t.match(six.get("Service", KEY), { spec: { clusterIPs: ["fd00:10:96::1"], ipFamilies: ["IPv6"] } });
  t.match(six.get("EndpointSlice", KEY) as EndpointSlice, {
    addressType: "IPv6",
    endpoints: [{ addresses: ["fd00:192:168:50::9"] }],
  });
});

t.test("what somebody takes away or writes into endpoints is made again, his Service stays", async (t) => {
  const cluster = kept({});
  const before = all(cluster).map((each) => each?.metadata.resourceVersion);
  deleteNamed(cluster, "service", "default", ["kubernetes"]);
  await turn();
  await turn();
  t.ok(all(cluster).every((each) => each !== undefined));
  t.not(cluster.get("Service", KEY)?.metadata.resourceVersion, before[0]);
  const slice = cluster.get("EndpointSlice", KEY) as EndpointSlice;
  cluster.update({ ...slice, endpoints: [] } as EndpointSlice);
  deleteNamed(cluster, "endpoints", "default", ["kubernetes"]);
  const service = cluster.get("Service", KEY) as Service;
  cluster.update({ ...service, metadata: { ...service.metadata, labels: { mine: "1" } } });
  await turn();
  await turn();
  t.match(all(cluster), [
    { metadata: { labels: { mine: "1" } } },
    { subsets: [{}] },
    { endpoints: [{ addresses: ["192.168.50.10"] }] },
  ]);
  const version = cluster.store.version;
  await turn();
  t.equal(cluster.store.version, version, "and then it rests");
});
