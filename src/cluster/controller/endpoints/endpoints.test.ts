// Endpoints of Services with a selector, as kube's endpoints controller keeps them.
import t from "tap";
import type { Cluster } from "../../../cluster/cluster.ts";
import type { Endpoints, Pod } from "../../../kube/objects.ts";
import { deleteNamed } from "../../../testing/world/delete-named.ts";
import { makeCluster } from "../../../testing/world/make-cluster.ts";
import { type PortedAddress, subsetsOf, truncated } from "./subsets.ts";

const SINCE = "2026-01-02T03:04:05Z";
const pod = (name: string, ports: object[] = [], spec: object = {}): object => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name, labels: { app: "web" } } },
  spec: { nodeName: "node1", containers: [{ name: "c", image: "i", ports }], ...spec },
});
const service = (spec: object, labels: object = { tier: "front" }): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", labels } },
  spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
});
const apply = (cluster: Cluster, ...objects: object[]): void =>
  void cluster.apply(objects.map((object, i) => ({ file: `${i}`, text: JSON.stringify(object) })));
const ready = (cluster: Cluster, name: string, status = "True"): void => {
  const object = cluster.get("Pod", `default/${name}`) as Pod;
  const conditions = [{ type: "Ready", status, lastTransitionTime: SINCE }];
  cluster.update({ ...object, status: { ...object.status, conditions } } as Pod);
};
const of = (cluster: Cluster): Endpoints => cluster.get("Endpoints", "default/web") as Endpoints;

t.test("ready and other pods, with what they are; nothing of it becomes a second slice", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  apply(cluster, service({}), pod("a"), pod("b"), pod("c", [], { hostname: "c-0", subdomain: "web" }));
  ready(cluster, "a");
  const { metadata, subsets } = of(cluster);
  t.same(metadata.labels, { tier: "front", "endpoints.kubernetes.io/managed-by": "endpoint-controller" });
  t.same(metadata.annotations, { "endpoints.kubernetes.io/last-change-trigger-time": SINCE });
  const targetRef = (name: string) => ({
    ...{ kind: "Pod", namespace: "default", name },
    uid: cluster.get("Pod", `default/${name}`)?.metadata.uid,
  });
  const address = (name: string, ip: string, more = {}) => ({
    ...{ ip, nodeName: "node1", targetRef: targetRef(name), ...more },
  });
  t.same(subsets, [
    {
      addresses: [address("a", "10.244.1.2")],
      notReadyAddresses: [address("b", "10.244.1.3"), address("c", "10.244.1.4", { hostname: "c-0" })],
      ports: [{ port: 8080, protocol: "TCP" }],
    },
  ]);
  t.equal(cluster.list("EndpointSlice").length, 1);
  const version = metadata.resourceVersion;
  ready(cluster, "a");
  t.equal(of(cluster).metadata.resourceVersion, version);
  apply(cluster, { ...service({}, {}) });
  t.notOk(of(cluster).metadata.labels?.tier, "labels follow the Service's");
});

t.test("pods that end leave, unless those that are not ready are wanted", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  apply(cluster, service({}), pod("a"), pod("b"));
  for (const name of ["a", "b"]) ready(cluster, name);
  deleteNamed(cluster, "pod", "default", ["a"]);
  t.match(of(cluster).subsets, [{ addresses: [{ targetRef: { name: "b" } }] }]);
  t.equal(of(cluster).subsets?.[0].addresses?.length, 1);
  apply(cluster, service({ publishNotReadyAddresses: true }));
  t.equal(of(cluster).subsets?.[0].addresses?.length, 2);
  ready(cluster, "b", "False");
  t.equal(of(cluster).subsets?.[0].addresses?.length, 2);
});

t.test("ports by name: pods whose numbers differ, and one without", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  const named = (port: number) => [{ name: "http", containerPort: port }];
  const ports = [
    { name: "web", port: 80, targetPort: "http" },
    { name: "dns", port: 53, protocol: "UDP" },
  ];
  apply(cluster, service({ ports }), pod("a", named(8080)), pod("b", named(8081)), pod("c"));
  for (const name of ["a", "b", "c"]) ready(cluster, name);
  const dns = { name: "dns", port: 53, protocol: "UDP" };
  const shown = of(cluster).subsets?.map(({ addresses = [], ports: own }) => [
    addresses.map(({ targetRef }) => targetRef?.name).join(),
    own,
  ]);
  t.same(shown, [
    ["a", [{ name: "web", port: 8080, protocol: "TCP" }]],
    ["a,b,c", [dns]],
    ["b", [{ name: "web", port: 8081, protocol: "TCP" }]],
  ]);
});

t.test("headless Services: the label, and endpoints without ports", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  apply(cluster, service({ clusterIP: "None", ports: [] }), pod("a"));
  ready(cluster, "a");
  t.equal(of(cluster).metadata.labels?.["service.kubernetes.io/headless"], "");
  t.match(of(cluster).subsets, [{ addresses: [{ ip: "10.244.1.2" }] }]);
  t.notOk("ports" in (of(cluster).subsets?.[0] ?? {}));
});

t.test("whose they are: kept right, gone with the Service, others' left alone", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  apply(cluster, service({}), pod("a"));
  ready(cluster, "a");
  const before = of(cluster);
  cluster.update({ ...before, subsets: [] } as Endpoints);
  t.same(of(cluster).subsets, before.subsets);
  deleteNamed(cluster, "endpoints", "default", ["web"]);
  t.same(of(cluster).subsets, before.subsets);
  deleteNamed(cluster, "service", "default", ["web"]);
  t.equal(of(cluster), undefined);
  const { selector: _, ...spec } = (service({}) as { spec: { selector: object } }).spec;
  apply(cluster, { ...service({}), spec });
  t.equal(of(cluster), undefined);
  apply(cluster, {
    ...service({}),
    spec: { type: "ExternalName", externalName: "a.test", selector: { app: "web" } },
  });
  t.equal(of(cluster), undefined);
  t.equal(makeCluster().list("Endpoints").length, 0);
});

const addresses = (count: number, isReady: boolean, port: number, from = 0): PortedAddress[] =>
  Array.from({ length: count }, (_, i) => ({
    address: { ip: `10.0.${(from + i) >> 8}.${(from + i) & 255}` },
    isReady,
    ports: [{ port, protocol: "TCP" }],
  }));
const counts = (given: PortedAddress[]): (readonly [number, number])[] | undefined =>
  truncated(subsetsOf(given))?.map(
    (subset) => [subset.addresses?.length ?? 0, subset.notReadyAddresses?.length ?? 0] as const,
  );

t.test("a thousand addresses at most: ready ones first, each subset its share", async (t) => {
  t.equal(counts(addresses(1000, true, 1)), undefined);
  t.same(counts([...addresses(999, true, 1), ...addresses(5, false, 1, 999)]), [[999, 1]]);
  t.same(counts([...addresses(900, true, 1), ...addresses(300, true, 2, 900)]), [
    [750, 0],
    [250, 0],
  ]);
  t.same(counts([...addresses(1200, true, 1), ...addresses(10, false, 1, 1200)]), [[1000, 0]]);
});

t.test("more than a thousand pods: said in an annotation, which goes when they are fewer", async (t) => {
  const cluster = makeCluster({ hasApi: true, nodes: 5 });
  const many = Array.from({ length: 1001 }, (_, i) => pod(`p${i}`, [], { nodeName: `node${(i % 5) + 1}` }));
  apply(cluster, service({}), ...many);
  const over = () => of(cluster).metadata.annotations?.["endpoints.kubernetes.io/over-capacity"];
  t.equal(over(), "truncated");
  t.equal(of(cluster).subsets?.[0].notReadyAddresses?.length, 1000);
  deleteNamed(cluster, "pod", "default", ["p0"], 0);
  t.equal(over(), undefined);
});
