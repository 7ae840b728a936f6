// Whatever is in a manifest: it is read, or refused with a ManifestError; nothing else is ever thrown, and a position
// can be found for every problem.
import fc from "fast-check";
import t from "tap";
import { checkConfiguration } from "../../config/check.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { ManifestError, parseManifests } from "./manifest.ts";

const container = {
  name: "a",
  image: "a",
  ports: [{ name: "http", containerPort: 80 }],
  env: [{ name: "A", value: "b" }],
  readinessProbe: { httpGet: { port: "http" } },
  volumeMounts: [{ name: "v", mountPath: "/v" }],
};
const labels = { app: "a" };
const podSpec = { containers: [container], volumes: [{ name: "v", emptyDir: {} }], nodeSelector: { a: "b" } };
const samples: object[] = [
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "a", labels, annotations: { b: "c" } },
    spec: {
      type: "LoadBalancer",
      selector: labels,
      clusterIPs: ["10.96.0.9"],
      externalIPs: ["1.2.3.4"],
      loadBalancerSourceRanges: ["10.0.0.0/8"],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } },
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: 80, targetPort: "http", nodePort: 30001 }],
    },
    status: { loadBalancer: { ingress: [{ ip: "5.6.7.8" }] } },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", labels },
    spec: podSpec,
    status: { podIPs: [{ ip: "10.244.1.9" }] },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "a" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec },
    },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "a", labels: { "kubernetes.io/service-name": "a" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 80 }],
    endpoints: [
      { addresses: ["10.0.0.1"], conditions: { ready: true }, hints: { forZones: [{ name: "z" }] } },
    ],
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "a" },
    spec: {
      podSelector: { matchExpressions: [{ key: "a", operator: "In", values: ["b"] }] },
      ingress: [
        {
          from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }],
          ports: [{ port: 80, endPort: 90 }],
        },
      ],
    },
  },
  {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", labels: { "kubernetes.io/hostname": "n" } },
    spec: { podCIDRs: ["10.244.7.0/24"], taints: [{ key: "a", effect: "NoSchedule" }] },
    status: { addresses: [{ type: "InternalIP", address: "192.168.50.17" }] },
  },
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "a" } },
  {
    apiVersion: "podwire.dev/v1alpha1",
    kind: "Lab",
    metadata: { name: "a" },
    spec: { nodes: [{ name: "n", podCIDR: "10.244.1.0/24" }], proxy: { conntrack: { udpTimeout: "5s" } } },
  },
];

/** Every path of a value, outermost first. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  if (path.length === 0) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[path[0]] = replaced(copy[path[0]], path.slice(1), by);
  return copy;
}

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    0,
    -1,
    80,
    70000,
    1.5,
    true,
    [],
    {},
    [null],
    [[]],
    { a: null },
    "None",
    "::1",
    "/",
  ),
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
);
const broken = fc
  .constantFrom(...samples)
  .chain((sample) =>
    fc.record({ sample: fc.constant(sample), path: fc.constantFrom(...pathsOf(sample)), by: odd }),
  )
  .map(({ sample, path, by }) => replaced(sample, path, by));

function outcomeOf(run: () => void): string {
  try {
    run();
    return "read";
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    if (error.problems.length === 0 || error.problems.some((p) => !(p.line >= 1 && p.column >= 1)))
      throw error;
    return "refused";
  }
}

t.test("any value anywhere in a manifest is read or refused, never a crash", async (t) => {
  const seen: Record<string, number> = { read: 0, refused: 0 };
  fc.assert(
    fc.property(broken, (value) => {
      seen[
        outcomeOf(() =>
          parseManifests([{ file: "a", text: JSON.stringify(value) }], { configuration: checkConfiguration }),
        )
      ]++;
    }),
    { numRuns: 800 },
  );
  t.ok(seen.read > 10 && seen.refused > 100, JSON.stringify(seen));
});

t.test("what is read can be applied, or is refused and leaves the cluster as it was", async () => {
  const cluster = makeCluster({ nodes: 0 });
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "node1" },
    spec: { podCIDRs: ["10.244.1.0/24"] },
  };
  cluster.apply([{ file: "node", text: JSON.stringify(node) }]);
  const kinds = ["Namespace", "Node", "Service", "Pod", "Deployment", "EndpointSlice", "NetworkPolicy"];
  const state = () => JSON.stringify(kinds.map((kind) => cluster.list(kind)));
  fc.assert(
    fc.property(broken, (value) => {
      const before = state();
      const text = JSON.stringify(value);
      if (outcomeOf(() => cluster.apply([{ file: "a", text }])) === "refused") return state() === before;
      cluster.apply([{ file: "a", text }]);
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test("any text is read or refused", async () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      outcomeOf(() => parseManifests([{ file: "a", text }]));
    }),
    { numRuns: 400 },
  );
  const yamlish = fc.array(
    fc.constantFrom(
      "a:",
      " ",
      "\n",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "&a",
      "*a",
      "<<:",
      "'",
      '"',
      "|",
      "---",
      "#",
      "1",
    ),
  );
  fc.assert(
    fc.property(yamlish, (parts) => {
      outcomeOf(() => parseManifests([{ file: "a", text: parts.join("") }]));
    }),
    { numRuns: 400 },
  );
});
