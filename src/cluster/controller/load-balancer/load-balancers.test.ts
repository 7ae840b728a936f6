// Services of type LoadBalancer in a cluster with a pool: who gets which address, who keeps it, and from where it is
// announced.
import t from "tap";
import { type AddressSpan, parseSpan } from "../../../base/address-span.ts";
import { hash32 } from "../../../kube/hash.ts";
import type { Event, Service } from "../../../kube/objects.ts";
import { deleteNamed } from "../../../testing/world/delete-named.ts";
import { makeCluster, makeNode } from "../../../testing/world/make-cluster.ts";
import type { Cluster } from "../../cluster.ts";
import type { ClusterOptions } from "../../cluster-options.ts";

const NODES = ["node1", "node2", "node3"];
const spans = (...texts: string[]): AddressSpan[] => texts.flatMap((text) => parseSpan(text) ?? []);

function lab(pool = "192.168.50.240-192.168.50.242", options: Partial<ClusterOptions> = {}): Cluster {
  const cluster = makeCluster({
    nodes: 0,
    events: true,
    loadBalancer: spans(...pool.split(",")),
    ...options,
  });
  for (const name of NODES) ready(cluster, name, true);
  return cluster;
}

function ready(cluster: Cluster, name: string, isReady: boolean, metadata: object = {}): void {
  const status = {
    addresses: [{ type: "InternalIP", address: `192.168.50.1${name.at(-1)}` }],
    conditions: [{ type: "Ready", status: isReady ? "True" : "Unknown" }],
  };
  cluster.update(makeNode(name, "", { metadata: { name, ...metadata }, status }));
}

const apply = (cluster: Cluster, ...texts: string[]) =>
  cluster.apply([{ file: "a.yaml", text: texts.join("\n---\n") }]);
const service = (name: string, spec = "", metadata = "") =>
  `{ apiVersion: v1, kind: Service, metadata: { name: ${name} ${metadata} }, spec: { type: LoadBalancer, ${spec} ` +
  "ports: [ { port: 80 } ] } }";
/** Endpoints of a Service without selector: "node1 node2!" with those that are not ready. */
const slice = (name: string, where: string) => {
  const list = where.split(" ").map((text, i) => {
    const [node, mark] = [text.replace(/[!~]/, ""), text.at(-1)];
    const conditions =
      mark === "!"
        ? "{ ready: false }"
        : mark === "~"
          ? "{ ready: false, serving: true }"
          : "{ ready: true }";
    return `{ addresses: [ 10.244.9.${i + 1} ], nodeName: ${node}, conditions: ${conditions} }`;
  });
  return (
    `{ apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: { name: ${name}-1, labels: ` +
    `{ kubernetes.io/service-name: ${name} } }, addressType: IPv4, ports: [ { port: 80 } ], ` +
    `endpoints: [ ${where === "" ? "" : list.join()} ] }`
  );
};

const get = (cluster: Cluster, name: string) => cluster.get("Service", `default/${name}`) as Service;
const addressesOf = (cluster: Cluster, name: string): string =>
  (get(cluster, name).status.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join();
const fromOf = (cluster: Cluster, name: string): string | undefined =>
  get(cluster, name).metadata.annotations?.["podwire.dev/announced-from"];
const told = (cluster: Cluster, name: string): string[] =>
  (cluster.list("Event") as Event[])
    .filter(({ involvedObject }) => involvedObject.kind === "Service" && involvedObject.name === name)
    .map(({ type, reason, message, count }) => `${type} ${reason}: ${message} x${count}`);
/** Where an address is announced among these nodes. */
const chosen = (address: string, names = NODES): string =>
  [...names].sort((a, b) => hash32(`${a}#${address}`) - hash32(`${b}#${address}`))[0];

t.test(
  "Services get the pool's addresses in their order, and those that come too late an Event",
  async (t) => {
    const cluster = lab();
    apply(cluster, service("a"), service("b"), service("c"), service("d"));
    t.same(get(cluster, "a").status.loadBalancer, { ingress: [{ ip: "192.168.50.240", ipMode: "VIP" }] });
    t.same(
      ["b", "c", "d"].map((name) => addressesOf(cluster, name)),
      ["192.168.50.241", "192.168.50.242", ""],
    );
    const failed =
      'Warning AllocationFailed: Failed to allocate IP for "default/d": no IPv4 address is left x1';
    t.same(told(cluster, "a"), ['Normal IPAllocated: Assigned IP ["192.168.50.240"] x1']);
    t.same(told(cluster, "d"), [failed]);
    deleteNamed(cluster, "service", "default", ["b"]);
    t.equal(addressesOf(cluster, "d"), "192.168.50.241", "who waits gets what is given back");
    apply(cluster, service("c").replace("LoadBalancer", "ClusterIP"));
    t.same(get(cluster, "c").status.loadBalancer, {}, "another type has none");
    apply(cluster, service("e"));
    t.equal(addressesOf(cluster, "e"), "192.168.50.242");
  },
);

t.test(
  "an address stays with its Service: applied again, after a refused call, in the next process",
  async (t) => {
    const cluster = lab();
    apply(cluster, service("a"), service("b"));
    deleteNamed(cluster, "service", "default", ["a"]);
    apply(cluster, service("b", "externalTrafficPolicy: Local,"));
    t.equal(addressesOf(cluster, "b"), "192.168.50.241");
    t.throws(() => apply(cluster, service("c"), service("x", "clusterIP: 1.2.3.4,")));
    apply(cluster, service("c"));
    t.equal(addressesOf(cluster, "c"), "192.168.50.240", "the call that was refused has kept none");
    t.equal(addressesOf(cluster, "b"), "192.168.50.241");
    const next = makeCluster({ nodes: 0, loadBalancer: spans("192.168.50.240/30"), saved: cluster.save() });
    next.restore([...cluster.list("Namespace"), ...cluster.list("Node"), ...cluster.list("Service")]);
    apply(next, service("aa"));
    t.same(
      ["aa", "b", "c"].map((name) => addressesOf(next, name)),
      ["192.168.50.242", "192.168.50.241", "192.168.50.240"],
    );
  },
);

t.test("a status that somebody else writes is put right", async (t) => {
  const cluster = lab();
  apply(cluster, service("a"));
  cluster.update({ ...get(cluster, "a"), status: {} } as Service);
  t.equal(addressesOf(cluster, "a"), "192.168.50.240");
  cluster.update({
    ...get(cluster, "a"),
    status: { loadBalancer: { ingress: [{ ip: "1.2.3.4" }] } },
  } as Service);
  t.equal(addressesOf(cluster, "a"), "192.168.50.240");
});

t.test("classes of others are left alone, and without a pool all are", async (t) => {
  const cluster = lab();
  const own = "loadBalancerClass: example.com/lb,";
  apply(cluster, service("a", own), service("b", "loadBalancerClass: podwire.dev/lab,"));
  const given = { loadBalancer: { ingress: [{ ip: "192.0.2.7", ipMode: "VIP" }] } };
  cluster.update({ ...get(cluster, "a"), status: given } as Service);
  t.equal(addressesOf(cluster, "a"), "192.0.2.7");
  t.equal(addressesOf(cluster, "b"), "192.168.50.240");
  const bare = makeCluster();
  apply(bare, service("a"));
  bare.update({ ...get(bare, "a"), status: given } as Service);
  t.equal(addressesOf(bare, "a"), "192.0.2.7");
});

const metallb = (addresses: string) => `, annotations: { metallb.io/loadBalancerIPs: "${addresses}" }`;

t.test("a Service may ask for an address, and hears why it cannot have it", async (t) => {
  const cluster = lab();
  const cases: [name: string, spec: string, metadata: string, want: string][] = [
    ["a", "loadBalancerIP: 192.168.50.242,", "", "192.168.50.242"],
    ["b", "", metallb("192.168.50.241"), "192.168.50.241"],
    [
      "c",
      "loadBalancerIP: 192.168.50.242,",
      "",
      "default/a has 192.168.50.242, and addresses are not shared",
    ],
    ["d", "loadBalancerIP: 192.168.50.9,", "", "192.168.50.9 is not in the lab's loadBalancer.pool"],
    ["e", "", metallb("fd00::1"), "fd00::1 is asked for, and the Service has no IPv6"],
    ["f", "", metallb("192.168.50.240,192.168.50.241"), "more than one IPv4 address is asked for"],
    ["g", "", metallb("web"), '"web" is not an IP address'],
    [
      "h",
      "loadBalancerIP: 192.168.50.240,",
      metallb("192.168.50.240"),
      "both spec.loadBalancerIP and the annotation metallb.io/loadBalancerIPs ask for addresses: leave one out",
    ],
  ];
  for (const [name, spec, metadata, want] of cases) {
    apply(cluster, service(name, spec, metadata));
    const addresses = addressesOf(cluster, name);
    if (/^[\d.]+$/.test(want)) t.equal(addresses, want, name);
    else {
      t.equal(addresses, "", name);
      t.same(told(cluster, name), [
        `Warning AllocationFailed: Failed to allocate IP for "default/${name}": ${want} x1`,
      ]);
    }
  }
  apply(cluster, service("a", "loadBalancerIP: 192.168.50.240,"));
  t.equal(addressesOf(cluster, "a"), "192.168.50.240", "it asks for another one");
  t.equal(addressesOf(cluster, "c"), "192.168.50.242", "and who waited for the first has it");
});

const dual = (name: string, policy: string) => service(name, `ipFamilyPolicy: ${policy},`);

t.test("one address of each family that the Service has", async (t) => {
  const ranges = {
    clusterCidr: "10.244.0.0/16,fd00:10:244::/56",
    serviceCidr: "10.96.0.0/16,fd00:10:96::/112",
  };
  const cluster = lab("192.168.50.240-192.168.50.242,fd00:192:168:50::f0/128", ranges);
  apply(cluster, service("a"), dual("b", "RequireDualStack"), dual("c", "PreferDualStack"));
  apply(cluster, dual("d", "RequireDualStack"));
  t.same(
    ["a", "b", "c", "d"].map((name) => addressesOf(cluster, name)),
    ["192.168.50.240", "192.168.50.241,fd00:192:168:50::f0", "192.168.50.242", ""],
  );
  deleteNamed(cluster, "service", "default", ["b"]);
  t.equal(addressesOf(cluster, "d"), "192.168.50.241,fd00:192:168:50::f0");
  apply(cluster, dual("c", "PreferDualStack"));
  t.equal(addressesOf(cluster, "c"), "192.168.50.242");
});

t.test("a ready node announces what an endpoint serves, and another one when it dies", async (t) => {
  const cluster = lab();
  apply(cluster, service("a"));
  t.equal(fromOf(cluster, "a"), undefined, "nobody serves it");
  apply(cluster, slice("a", "node1!"));
  t.equal(fromOf(cluster, "a"), undefined, "nobody is ready");
  apply(cluster, slice("a", "node1"));
  const first = chosen("192.168.50.240");
  t.equal(fromOf(cluster, "a"), first);
  ready(cluster, first, false);
  const rest = NODES.filter((name) => name !== first);
  const second = chosen("192.168.50.240", rest);
  t.equal(fromOf(cluster, "a"), second);
  t.same(told(cluster, "a").slice(1), [
    `Normal nodeAssigned: announcing from node "${first}" with protocol "layer2" x1`,
    `Normal nodeAssigned: announcing from node "${second}" with protocol "layer2" x1`,
  ]);
  ready(cluster, first, true);
  t.equal(fromOf(cluster, "a"), first, "it comes back");
  ready(cluster, first, true, { labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "" } });
  t.equal(fromOf(cluster, "a"), second, "who is excluded announces nothing");
  ready(cluster, second, true, { annotations: { "podwire.dev/agent": "kernel" } });
  const [third] = rest.filter((name) => name !== second);
  t.equal(fromOf(cluster, "a"), third, "nor does a plain kernel");
  ready(cluster, third, false);
  t.equal(fromOf(cluster, "a"), undefined, "there is no other");
  t.equal(addressesOf(cluster, "a"), "192.168.50.240", "the address stays");
});

t.test(
  "with externalTrafficPolicy Local a node with ready endpoints announces, or with one that serves",
  async (t) => {
    const cluster = lab();
    apply(cluster, service("a", "externalTrafficPolicy: Local,"), slice("a", "node3"));
    t.equal(fromOf(cluster, "a"), "node3");
    apply(cluster, slice("a", "node1 node3!"));
    t.equal(fromOf(cluster, "a"), "node1");
    apply(cluster, slice("a", "node2~ node1"));
    t.equal(fromOf(cluster, "a"), "node1", "ready before terminating");
    apply(cluster, slice("a", "node2~ node1!"));
    t.equal(fromOf(cluster, "a"), "node2", "terminating before none");
    ready(cluster, "node2", false);
    t.equal(fromOf(cluster, "a"), undefined);
  },
);

t.test("addresses are spread over the nodes", async (t) => {
  const cluster = lab("192.168.50.100-192.168.50.219");
  const names = Array.from({ length: 60 }, (_, i) => `s${i}`);
  for (const name of names) apply(cluster, service(name), slice(name, "node1"));
  const count = (node: string) => names.filter((name) => fromOf(cluster, name) === node).length;
  for (const node of NODES) t.ok(count(node) >= 10, `${node} announces ${count(node)} of 60`);
});

t.test(
  "the annotation is the controller's: whoever takes it away or writes it finds it put right",
  async (t) => {
    const cluster = lab();
    apply(cluster, service("a"), slice("a", "node1"));
    const from = chosen("192.168.50.240");
    for (const text of [
      service("a"),
      service("a", "", ", annotations: { podwire.dev/announced-from: node9 }"),
    ]) {
      apply(cluster, text);
      t.equal(fromOf(cluster, "a"), from);
    }
    const { annotations: _, ...metadata } = get(cluster, "a").metadata;
    cluster.update({ ...get(cluster, "a"), metadata } as Service);
    t.equal(fromOf(cluster, "a"), from);
  },
);
