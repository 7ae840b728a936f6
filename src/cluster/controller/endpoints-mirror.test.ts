import t from "tap";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import { withMirroredSlices } from "../../kube/mirrored-slices.ts";
import type { EndpointSlice, KubeObject } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import type { Cluster } from "../cluster.ts";

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: 10.96.1.21, ports: [ { name: pg, port: 5432 }, { name: admin, port: 80 } ] }
`;
const endpoints = (subsets: string, metadata = "") => `
apiVersion: v1
kind: Endpoints
metadata: { name: db${metadata} }
subsets: [ ${subsets} ]
`;
const PG = "ports: [ { name: pg, port: 5432 } ]";
const ONE = `{ addresses: [ { ip: 192.168.50.77 } ], ${PG} }`;

const apply = (cluster: Cluster, ...texts: string[]) =>
  cluster.apply([{ file: "a.yaml", text: texts.join("---") }]);
const mirrored = (objects: readonly KubeObject[]) => objects.filter(isSlice);
const isSlice = (object: KubeObject): object is EndpointSlice =>
  object.kind === "EndpointSlice" &&
  object.metadata.labels?.["endpointslice.kubernetes.io/managed-by"] ===
    "endpointslicemirroring-controller.k8s.io";
const told = (slices: readonly EndpointSlice[]) =>
  slices
    .map(({ addressType, ports, endpoints: list }) => {
      const numbers = ports.map((port) => `${port.name}=${port.port}/${port.protocol}`).join();
      const who = list.map((e) => `${e.addresses}${e.conditions?.ready === true ? "" : "!"}`).join(" ");
      return `${addressType} ${numbers}: ${who}`;
    })
    .sort();

t.test("the slice of an Endpoints object, whole", async (t) => {
  const cluster = makeCluster({ nodes: 0 });
  apply(cluster, SERVICE, endpoints(ONE, ", labels: { team: a }, annotations: { note: b }"));
  const [slice] = mirrored(cluster.list("EndpointSlice"));
  t.match(slice, {
    addressType: "IPv4",
    endpoints: [{ addresses: ["192.168.50.77"], conditions: { ready: true } }],
    ports: [{ name: "pg", port: 5432, protocol: "TCP" }],
    metadata: {
      name: /^db-[a-z0-9]{5}$/,
      labels: {
        team: "a",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
      },
      annotations: { note: "b" },
      ownerReferences: [{ kind: "Endpoints", name: "db", controller: true, blockOwnerDeletion: true }],
    },
  });
});

const cases: [name: string, subsets: string, ...want: string[]][] = [
  [
    "addresses that are not ready",
    `{ notReadyAddresses: [ { ip: 10.0.0.2 } ], addresses: [ { ip: 10.0.0.1 } ], ${PG} }`,
    "IPv4 pg=5432/TCP: 10.0.0.1 10.0.0.2!",
  ],
  [
    "a slice for each family",
    `{ addresses: [ { ip: 10.0.0.1 }, { ip: "fd00::1" } ], ${PG} }`,
    "IPv4 pg=5432/TCP: 10.0.0.1",
    "IPv6 pg=5432/TCP: fd00::1",
  ],
  [
    "a slice for each set of ports, one for equal sets",
    `${ONE}, { addresses: [ { ip: 10.0.0.1 } ], ports: [ { name: admin, port: 80, protocol: UDP } ] },
     { addresses: [ { ip: 10.0.0.2 } ], ${PG} }`,
    "IPv4 admin=80/UDP: 10.0.0.1",
    "IPv4 pg=5432/TCP: 192.168.50.77 10.0.0.2",
  ],
  [
    "a thousand addresses of a subset and no more",
    `{ addresses: [ ${Array.from({ length: 1001 }, (_, i) => `{ ip: 10.1.${i >> 8}.${i & 255} }`)} ], ${PG} }`,
    `IPv4 pg=5432/TCP: ${Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`).join(" ")}`,
  ],
];

for (const [name, subsets, ...want] of cases) {
  t.test(name, async (t) => {
    const cluster = makeCluster({ nodes: 0 });
    apply(cluster, SERVICE, endpoints(subsets));
    t.same(told(mirrored(cluster.list("EndpointSlice"))), want);
    const parsed = parseManifests([{ file: "a", text: `${SERVICE}---${endpoints(subsets)}` }]);
    t.same(told(mirrored(withMirroredSlices(parsed.map(({ object }) => object)))), want, "of files alone");
  });
}

t.test("not mirrored: a Service with a selector, none, the label, a leader's election", async (t) => {
  const others: [string, string[]][] = [
    ["selector", [SERVICE.replace("spec: {", "spec: { selector: { app: db },"), endpoints(ONE)]],
    ["no Service", [endpoints(ONE)]],
    ["label", [SERVICE, endpoints(ONE, ', labels: { endpointslice.kubernetes.io/skip-mirror: "true" }')]],
    [
      "leader",
      [SERVICE, endpoints(ONE, ', annotations: { control-plane.alpha.kubernetes.io/leader: "{}" }')],
    ],
  ];
  for (const [name, texts] of others) {
    const cluster = makeCluster({ nodes: 0 });
    apply(cluster, ...texts);
    t.same(mirrored(cluster.list("EndpointSlice")), [], name);
    const parsed = parseManifests([{ file: "a", text: texts.join("---") }]);
    t.same(mirrored(withMirroredSlices(parsed.map(({ object }) => object))), [], name);
  }
});

t.test(
  "slices follow: changed, put right, gone with the Endpoints, with the Service, with a selector",
  async (t) => {
    const cluster = makeCluster({ nodes: 0 });
    const now = () => mirrored(cluster.list("EndpointSlice"));
    apply(cluster, endpoints(ONE));
    apply(cluster, SERVICE);
    const [{ metadata }] = now();
    apply(cluster, endpoints(ONE.replace("77", "78")));
    t.same(told(now()), ["IPv4 pg=5432/TCP: 192.168.50.78"]);
    t.equal(now()[0].metadata.name, metadata.name, "the slice is kept");
    deleteNamed(cluster, "endpointslice", "default", [metadata.name]);
    t.same(told(now()), ["IPv4 pg=5432/TCP: 192.168.50.78"]);
    apply(cluster, SERVICE.replace("spec: {", "spec: { selector: { app: db },"));
    t.same(now(), []);
    apply(cluster, SERVICE);
    t.equal(now().length, 1);
    deleteNamed(cluster, "ep", "default", ["db"]);
    t.same(now(), []);
    apply(cluster, endpoints(ONE));
    t.equal(now().length, 1);
    apply(cluster, SERVICE, endpoints(ONE));
    deleteNamed(cluster, "svc", "default", ["db"]);
    t.same([now(), cluster.list("Endpoints")], [[], []], "Endpoints go with their Service");
  },
);

t.test("slices that a dump of a cluster brings are not made a second time", async (t) => {
  const cluster = makeCluster({ nodes: 0 });
  apply(cluster, SERVICE, endpoints(ONE));
  const dump = [...cluster.list("Service"), ...cluster.list("Endpoints"), ...cluster.list("EndpointSlice")];
  t.equal(withMirroredSlices(dump).length, dump.length);
});

t.test("what an API server refuses of Endpoints", async (t) => {
  const refused: [string, string][] = [
    [
      "{ ports: [] }",
      '5:12: document 1: Endpoints "db": subsets[0]: Required value: must specify `addresses` or',
    ],
    [
      "{ addresses: [ { ip: 10.0.0 } ] }",
      '5:33: document 1: Endpoints "db": subsets[0].addresses[0].ip: Invalid value: "10.0.0"',
    ],
    ["{ addresses: [ { ip: 127.0.0.1 } ] }", "may not be in the loopback range"],
    [
      `{ addresses: [ { ip: 10.0.0.1 } ], ports: [ { port: 1 }, { port: 2, name: b } ] }`,
      "subsets[0].ports[0].name: Required value",
    ],
    [
      `{ addresses: [ { ip: 10.0.0.1 } ], ports: [ { port: 70000 } ] }`,
      "subsets[0].ports[0].port: Invalid value: 70000",
    ],
    [
      `{ addresses: [ { ip: 10.0.0.1 } ], ports: [ { port: 1, protocol: ICMP } ] }`,
      'protocol: Unsupported value: "ICMP"',
    ],
    [`{ addresses: [ { ip: 10.0.0.1, node: a } ] }`, 'unknown field "subsets[0].addresses[0].node"'],
  ];
  for (const [subset, message] of refused) {
    let said = "";
    try {
      parseManifests([{ file: "a.yaml", text: endpoints(subset) }]);
    } catch (error) {
      said = (error as Error).message;
    }
    t.ok(said.includes(message), `${message}: ${said}`);
  }
});
