// What is kept of objects says what they said, in less memory.
import fc from "fast-check";
import t from "tap";
import { deepEqual } from "../../base/deep-equal.ts";
import { kindNamed } from "../../kube/kinds.ts";
import type { EndpointSlice, KubeObject, Node, Pod } from "../../kube/objects.ts";
import { compactObject, keptObject } from "./kept-object.ts";
import { KeptPod } from "./kept-pod.ts";
import { KeptService } from "./kept-service.ts";
import { KeptSlice } from "./kept-slice.ts";

const OWN_NODE = "node1";
const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value));

const name = fc.constantFrom("a", "b");
const metadata = fc.record(
  {
    ...{ name, namespace: name, uid: name, resourceVersion: fc.constantFrom("1", "2") },
    ...{ creationTimestamp: fc.constant("2026-01-01T00:00:00Z"), labels: fc.dictionary(name, name) },
    annotations: fc.dictionary(name, name),
  },
  { requiredKeys: ["name", "namespace"] },
);
const address = fc.constantFrom("10.0.0.1", "10.0.0.2", "fd00::1");
const endpoint = fc.record(
  {
    addresses: fc.array(address, { minLength: 1, maxLength: 2 }),
    conditions: fc.record({ ready: fc.boolean() }, { requiredKeys: [] }),
    ...{ nodeName: name, zone: name, hints: fc.record({ forZones: fc.array(fc.record({ name })) }) },
  },
  { requiredKeys: ["addresses"] },
);
const slice = fc
  .record({
    ...{
      metadata,
      addressType: fc.constantFrom("IPv4", "IPv6"),
      endpoints: fc.array(endpoint, { maxLength: 3 }),
    },
    ports: fc.array(fc.record({ name, port: fc.constantFrom(80, 81), protocol: fc.constant("TCP") })),
  })
  .map((parts): object => ({ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", ...parts }));
const status = fc
  .record({ phase: fc.constantFrom("Running", "Pending"), hostIP: address }, { requiredKeys: ["phase"] })
  .chain((rest) =>
    fc.array(address, { maxLength: 2 }).map((ips) => {
      return ips.length === 0 ? rest : { ...rest, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
    }),
  );
const pod = fc
  .record({
    ...{ metadata, status },
    spec: fc.record(
      {
        nodeName: fc.constantFrom("node2", "node3"),
        hostNetwork: fc.boolean(),
        containers: fc.constant([{ name: "x" }]),
      },
      { requiredKeys: ["nodeName", "containers"] },
    ),
  })
  .map((parts): object => ({ apiVersion: "v1", kind: "Pod", ...parts }));
const ports = fc.array(fc.record({ port: fc.constantFrom(80, 81), protocol: fc.constant("TCP") }));
const service = fc
  .record({
    metadata,
    spec: fc
      .record(
        {
          ...{ ports, selector: fc.dictionary(name, name), type: fc.constantFrom("ClusterIP", "NodePort") },
          clusterIPs: fc.array(address, { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ["clusterIPs"] },
      )
      .map((spec) => ({ ...spec, clusterIP: spec.clusterIPs[0] })),
    status: fc.record({ loadBalancer: fc.constant({}) }, { requiredKeys: [] }),
  })
  .map((parts): object => ({ apiVersion: "v1", kind: "Service", ...parts }));

for (const [kind, objects, Kept] of [
  ["a service", service, KeptService],
  ["a slice", slice, KeptSlice],
  ["a pod of another node", pod, KeptPod],
] as const) {
  t.test(`${kind} is kept as what it was, and is another one when anything is other`, async () => {
    fc.assert(
      fc.property(objects, objects, (one, other) => {
        const [kept, keptOther] = [one, other].map((each) =>
          compactObject(copyOf(each) as KubeObject, OWN_NODE),
        );
        return (
          kept instanceof Kept &&
          deepEqual(copyOf(kept), one) &&
          deepEqual(kept.metadata, (one as KubeObject).metadata) &&
          deepEqual(kept, keptOther) === deepEqual(one, other)
        );
      }),
    );
  });
}

t.test("endpoints, spec and status are there for whoever asks", async (t) => {
  const endpoints = [
    { addresses: ["10.0.0.1"], conditions: { ready: true }, nodeName: "node2" },
    { addresses: ["10.0.0.2"], conditions: { ready: true }, nodeName: "node2" },
  ];
  const given = { kind: "EndpointSlice", metadata: { name: "s" }, addressType: "IPv4", ports: [], endpoints };
  const kept = compactObject(copyOf(given) as never, OWN_NODE) as EndpointSlice;
  t.same(kept.endpoints, endpoints);
  t.equal(kept.endpoints[0].conditions, kept.endpoints[1].conditions, "said once");
  const podIPs = [{ ip: "10.0.0.1" }, { ip: "fd00::1" }];
  const pod = {
    ...{ kind: "Pod", metadata: { name: "p" }, spec: { nodeName: "node2", containers: [] } },
    status: { phase: "Running", podIP: "10.0.0.1", podIPs },
  };
  const far = compactObject(copyOf(pod) as never, OWN_NODE) as Pod;
  t.match(far, { kind: "Pod", spec: pod.spec, status: pod.status });
});

t.test("a pod of this node, of none yet, and one whose addresses are none stay as they are", async (t) => {
  const pod = { kind: "Pod", metadata: { name: "p" }, spec: {}, status: {} };
  for (const own of [
    pod,
    { ...pod, spec: { nodeName: OWN_NODE } },
    { ...pod, spec: { nodeName: "x" }, status: { podIP: "10.0.0.1" } },
    { ...pod, spec: { nodeName: "x" }, status: { podIP: "1,2", podIPs: [{ ip: "1,2" }] } },
  ])
    t.equal(compactObject(own as never, OWN_NODE), own);
});

t.test(
  "a service without an address, and one whose addresses are two things, stay as they are",
  async (t) => {
    const metadata = { name: "s" };
    for (const spec of [{}, { clusterIP: "10.0.0.1" }, { clusterIP: "10.0.0.2", clusterIPs: ["10.0.0.1"] }]) {
      const own = { kind: "Service", metadata, spec };
      t.equal(compactObject(own as never, OWN_NODE), own);
    }
  },
);

t.test("what a server sends is cut to what a node asks for", async (t) => {
  const received = {
    metadata: { name: "web-1", namespace: "default", managedFields: [{}], annotations: { "a.b/c": "d" } },
    ...{ addressType: "IPv4", ports: [{ port: 80 }] },
    endpoints: [{ addresses: ["10.0.0.1"], targetRef: { kind: "Pod" }, hostname: "web-1", other: 1 }],
  };
  const kept = keptObject(received, kindNamed("EndpointSlice"), OWN_NODE);
  t.same(copyOf(kept), {
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: { name: "web-1", namespace: "default" },
    ports: [{ name: "", port: 80, protocol: "TCP" }],
    endpoints: [{ addresses: ["10.0.0.1"], hostname: "web-1" }],
  });
});

t.test("whether a pod is ready is kept of the mesh's proxies alone", async (t) => {
  const conditions = [{ type: "Ready", status: "False" }];
  const received = (namespace: string): object => ({
    metadata: { name: "a", namespace, labels: { "app.kubernetes.io/name": "podwire-mesh" } },
    spec: { nodeName: OWN_NODE, containers: [{ name: "main", image: "x" }] },
    status: { phase: "Running", podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }], conditions },
  });
  const [proxy, other] = ["podwire-system", "default"].map(
    (namespace) => keptObject(received(namespace) as never, kindNamed("Pod"), OWN_NODE) as Pod,
  );
  t.match(proxy.status.conditions, conditions);
  t.equal(other.status.conditions, undefined);
});

t.test("of a Node there is what a node asks for: its ranges, its addresses, its taints", async (t) => {
  const spec = {
    podCIDRs: ["10.244.1.0/24"],
    taints: [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }],
  };
  const status = { addresses: [{ type: "InternalIP", address: "192.168.50.11" }] };
  const received = {
    ...{ apiVersion: "v1", kind: "Node", metadata: { name: OWN_NODE } },
    spec: { ...spec, unschedulable: true },
    status: { ...status, images: [] },
  };
  const kept = keptObject(copyOf(received) as never, kindNamed("Node"), OWN_NODE) as Node;
  t.match(kept, { spec, status });
  t.notOk("unschedulable" in kept.spec || "images" in (kept.status ?? {}));
});

t.test(
  "a Node whose range is none cannot be used: no agent of the cluster can make a route of it",
  async (t) => {
    const node = (podCIDRs: string[]) => ({ metadata: { name: "other" }, spec: { podCIDRs } }) as never;
    const said = (podCIDRs: string[]) => keptObject(node(podCIDRs), kindNamed("Node"), OWN_NODE);
    for (const range of ["nonsense", "10.244.1.0", "10.244.1.0/33", ""])
      t.match(said(["10.244.1.0/24", range]), /^spec\.podCIDRs\[1\]: Invalid value/, range);
    t.match(said(["010.244.1.7/24"]), { spec: { podCIDRs: ["10.244.1.0/24"] } }, "as API servers let it be");
  },
);
