// Objects for tables of their kinds: each state that a column has another word for.
import { at, condition, type Given, NS } from "./table-given.ts";
import { PODS } from "./table-pods.ts";

const template = (...names: string[]): object => ({
  metadata: { labels: { app: "web", tier: "a" } },
  spec: { containers: (names.length === 0 ? ["web"] : names).map((name) => ({ name, image: `${name}:1` })) },
});
const selector = { matchLabels: { app: "web" } };
const picky = {
  matchLabels: { app: "web" },
  matchExpressions: [
    { key: "tier", operator: "In", values: ["b", "a"] },
    { key: "zone", operator: "NotIn", values: ["x"] },
    { key: "a", operator: "Exists" },
    { key: "gone", operator: "DoesNotExist" },
  ],
};

const ports = (...list: object[]): object[] => list;
const service = (name: string, spec: object, status?: object): Given => ({
  path: `/api/v1/${NS}/services`,
  object: { metadata: { name }, spec, ...(status === undefined ? {} : { status }) },
});
const port = (number: number, more: object = {}): object => ({ name: `p${number}`, port: number, ...more });
const SERVICES: readonly Given[] = [
  service("plain", { selector: { b: "2", a: "1" }, ports: ports(port(80), port(53, { protocol: "UDP" })) }),
  service("headless", { clusterIP: "None", selector: { a: "1" } }),
  service("node-port", {
    type: "NodePort",
    ports: ports(port(80, { nodePort: 30_080 }), port(81, { nodePort: 30_081 })),
  }),
  service("external", { ports: ports(port(80)), externalIPs: ["192.0.2.1", "192.0.2.2"] }),
  service("name", { type: "ExternalName", externalName: "example.com" }),
  service("waits", { type: "LoadBalancer", ports: ports(port(80, { nodePort: 30_082 })) }),
  service(
    "balanced",
    { type: "LoadBalancer", externalIPs: ["192.0.2.9"], ports: ports(port(80, { nodePort: 30_083 })) },
    {
      loadBalancer: {
        ingress: [{ ip: "203.0.113.2" }, { hostname: "b.example.com" }, { ip: "203.0.113.1" }],
      },
    },
  ),
];

const endpoints = (name: string, subsets: object[]): Given => ({
  path: `/api/v1/${NS}/endpoints`,
  object: { metadata: { name }, subsets },
});
const addresses = (...list: string[]): object[] => list.map((ip) => ({ ip }));
const slice = (name: string, addressType: string, list: object[], ports: object[]): Given => ({
  path: `/apis/discovery.k8s.io/v1/${NS}/endpointslices`,
  object: { metadata: { name }, addressType, endpoints: list, ports },
});
const ENDPOINTS: readonly Given[] = [
  endpoints("none", []),
  endpoints("many", [
    { addresses: addresses("10.0.0.1", "10.0.0.2", "10.0.0.3"), ports: [port(80), port(81)] },
  ]),
  endpoints("portless", [{ addresses: addresses("10.0.0.1", "10.0.0.2") }]),
  endpoints("six", [{ addresses: addresses("fd00::1"), ports: [port(80)] }]),
  endpoints("unready", [{ notReadyAddresses: addresses("10.0.0.1"), ports: [port(80)] }]),
  slice("none", "IPv4", [], []),
  slice("two", "IPv4", [{ addresses: ["10.0.0.1"] }, { addresses: ["10.0.0.2"] }], [port(80)]),
  slice(
    "five",
    "IPv6",
    [1, 2, 3, 4, 5].map((i) => ({ addresses: [`fd00::${i}`] })),
    [port(80), { name: "all" }],
  ),
];

const apps = (plural: string, name: string, spec: object, status?: object): Given => ({
  path: `/apis/apps/v1/${NS}/${plural}`,
  object: { metadata: { name }, spec, ...(status === undefined ? {} : { status }) },
});
const job = (name: string, spec: object, status?: object, metadata: object = {}): Given => ({
  path: `/apis/batch/v1/${NS}/jobs`,
  object: {
    metadata: { name, ...metadata },
    spec: {
      template: { spec: { restartPolicy: "Never", containers: [{ name: "j", image: "j:1" }] } },
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  },
});
const jobTemplate = {
  spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "j", image: "j:1" }] } } },
};
const cron = (name: string, spec: object, status?: object): Given => ({
  path: `/apis/batch/v1/${NS}/cronjobs`,
  object: {
    metadata: { name },
    spec: { schedule: "*/5 * * * *", jobTemplate, ...spec },
    ...(status && { status }),
  },
});
const WORKLOADS: readonly Given[] = [
  apps(
    "deployments",
    "web",
    { replicas: 3, selector, template: template("a", "b") },
    {
      ...{ replicas: 3, readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1, unavailableReplicas: 2 },
    },
  ),
  apps(
    "replicasets",
    "set",
    { replicas: 2, selector, template: template() },
    { replicas: 2, readyReplicas: 1 },
  ),
  apps(
    "statefulsets",
    "db",
    { serviceName: "db", selector, template: template() },
    { replicas: 1, readyReplicas: 1 },
  ),
  apps("daemonsets", "every", { selector, template: template() }),
  {
    path: `/api/v1/${NS}/replicationcontrollers`,
    object: {
      metadata: { name: "old" },
      spec: { replicas: 2, selector: { app: "web" }, template: template() },
    },
  },
  { path: `/api/v1/${NS}/podtemplates`, object: { metadata: { name: "pt" }, template: template() } },
  job("runs", { completions: 3, parallelism: 2 }, { startTime: at(130), active: 2, succeeded: 1 }),
  job("queue", { parallelism: 4 }, { startTime: at(10), active: 1 }),
  job("rests", { suspend: true }, { conditions: [condition("Suspended")] }),
  cron("soon", {}),
  cron(
    "often",
    { suspend: true, timeZone: "Etc/UTC" },
    { lastScheduleTime: at(400), active: [{ name: "x" }] },
  ),
  {
    path: `/apis/policy/v1/${NS}/poddisruptionbudgets`,
    object: { metadata: { name: "least" }, spec: { minAvailable: "50%", selector } },
  },
  {
    path: `/apis/policy/v1/${NS}/poddisruptionbudgets`,
    object: { metadata: { name: "most" }, spec: { maxUnavailable: 1, selector } },
  },
  {
    path: `/apis/autoscaling/v2/${NS}/horizontalpodautoscalers`,
    object: {
      metadata: { name: "scaler" },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        maxReplicas: 5,
        metrics: [
          {
            type: "Resource",
            resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
          },
          {
            type: "Resource",
            resource: { name: "memory", target: { type: "AverageValue", averageValue: "1Gi" } },
          },
          {
            type: "Pods",
            pods: { metric: { name: "rps" }, target: { type: "AverageValue", averageValue: "100" } },
          },
        ],
      },
    },
  },
];

const ingress = (name: string, spec: object, status?: object): Given => ({
  path: `/apis/networking.k8s.io/v1/${NS}/ingresses`,
  object: { metadata: { name }, spec, ...(status === undefined ? {} : { status }) },
});
const rule = (host?: string): object => ({
  ...(host === undefined ? {} : { host }),
  http: {
    paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "web", port: { number: 80 } } } }],
  },
});
const backend = { service: { name: "web", port: { number: 80 } } };
const NETWORK: readonly Given[] = [
  ingress("all", { defaultBackend: backend }),
  ingress(
    "hosts",
    { ingressClassName: "c", tls: [{}], rules: ["a.b", "c.d", "e.f", "g.h", "i.j"].map(rule) },
    {
      loadBalancer: { ingress: [{ ip: "203.0.113.7" }, { hostname: "lb.example.com" }] },
    },
  ),
  ingress("mixed", { rules: [rule("a.b"), rule(), rule("c.d"), rule("e.f")] }),
  {
    path: "/apis/networking.k8s.io/v1/ingressclasses",
    object: {
      metadata: { name: "c", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
      spec: {
        controller: "example.com/c",
        parameters: { apiGroup: "example.com", kind: "P", name: "p", scope: "Cluster" },
      },
    },
  },
  ...[{}, picky].map((podSelector, i) => ({
    path: `/apis/networking.k8s.io/v1/${NS}/networkpolicies`,
    object: { metadata: { name: `policy-${i}` }, spec: { podSelector } },
  })),
];

const subjects = [
  { kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "u" },
  { kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "g" },
  { kind: "ServiceAccount", name: "s", namespace: "default" },
  { kind: "ServiceAccount", name: "t", namespace: "kube-system" },
];
const event = (name: string, more: object): Given => ({
  path: `/api/v1/${NS}/events`,
  object: {
    metadata: { name },
    involvedObject: { kind: "Pod", name: "web", namespace: "default", fieldPath: "spec.containers{a}" },
    ...{ reason: "Started", type: "Normal", message: " Started it\n", ...more },
  },
});
const node = (name: string, more: object): Given => ({
  path: "/api/v1/nodes",
  object: { metadata: { name }, ...more },
});
const nodeInfo = {
  ...{
    kubeletVersion: "v1.37.0",
    osImage: "Debian",
    kernelVersion: "6.1.0",
    containerRuntimeVersion: "c://2",
  },
  ...{
    architecture: "amd64",
    operatingSystem: "linux",
    bootID: "",
    machineID: "",
    systemUUID: "",
    kubeProxyVersion: "",
  },
};
const CLUSTER: readonly Given[] = [
  node("quiet", {}),
  {
    path: "/api/v1/nodes",
    object: {
      metadata: {
        name: "loud",
        labels: {
          "node-role.kubernetes.io/worker": "",
          "node-role.kubernetes.io/edge": "",
          "kubernetes.io/role": "x",
        },
      },
      spec: { unschedulable: true },
      status: {
        conditions: [condition("Ready")],
        addresses: [
          { type: "InternalIP", address: "192.0.2.1" },
          { type: "ExternalIP", address: "203.0.113.1" },
        ],
        nodeInfo,
      },
    },
  },
  node("down", { status: { conditions: [condition("Ready", "Unknown")] } }),
  event("old", {
    ...{ firstTimestamp: at(4000), lastTimestamp: at(70), count: 4 },
    source: { component: "kubelet", host: "node1" },
  }),
  event("new", {
    eventTime: new Date(Date.now() - 90_000).toISOString().replace("Z", "000Z"),
    ...{ reportingComponent: "example.com/c", reportingInstance: "c-1", action: "Do" },
    series: { count: 7, lastObservedTime: new Date(Date.now() - 20_000).toISOString().replace("Z", "000Z") },
  }),
  {
    path: `/api/v1/${NS}/configmaps`,
    object: { metadata: { name: "c" }, data: { a: "1" }, binaryData: { b: "AA==" } },
  },
  { path: `/api/v1/${NS}/secrets`, object: { metadata: { name: "s" }, data: { a: "AA==", b: "AA==" } } },
  { path: `/api/v1/${NS}/serviceaccounts`, object: { metadata: { name: "s" } } },
  {
    path: `/apis/rbac.authorization.k8s.io/v1/${NS}/roles`,
    object: { metadata: { name: "r" }, rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] },
  },
  {
    path: `/apis/rbac.authorization.k8s.io/v1/${NS}/rolebindings`,
    object: {
      metadata: { name: "b" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects,
    },
  },
  {
    path: `/apis/coordination.k8s.io/v1/${NS}/leases`,
    object: { metadata: { name: "l" }, spec: { holderIdentity: "me" } },
  },
  { path: "/apis/node.k8s.io/v1/runtimeclasses", object: { metadata: { name: "rc" }, handler: "h" } },
  {
    path: `/api/v1/${NS}/limitranges`,
    object: { metadata: { name: "l" }, spec: { limits: [{ type: "Pod", max: { cpu: "2" } }] } },
  },
  {
    path: `/api/v1/${NS}/resourcequotas`,
    object: {
      metadata: { name: "q" },
      spec: { hard: { pods: "100", "limits.cpu": "400" } },
      status: { hard: { pods: "100", "limits.cpu": "400" }, used: { pods: "3", "limits.cpu": "1500m" } },
    },
  },
  {
    path: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    object: {
      metadata: { name: "v" },
      webhooks: [
        {
          ...{ name: "a.example.com", sideEffects: "None", admissionReviewVersions: ["v1"] },
          clientConfig: { url: "https://example.com/" },
        },
      ],
    },
  },
];

const claim = (name: string, spec: object, status?: object): Given => ({
  path: `/api/v1/${NS}/persistentvolumeclaims`,
  object: {
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
    ...(status === undefined ? {} : { status }),
  },
});
const STORAGE: readonly Given[] = [
  claim("waits", {}),
  claim(
    "bound",
    { volumeName: "v", storageClassName: "slow" },
    {
      ...{ phase: "Bound", accessModes: ["ReadWriteMany", "ReadWriteOnce"], capacity: { storage: "2Gi" } },
    },
  ),
  {
    path: "/api/v1/persistentvolumes",
    object: {
      metadata: { name: "v" },
      spec: {
        ...{ capacity: { storage: "2Gi" }, accessModes: ["ReadOnlyMany", "ReadWriteOnce"] },
        ...{
          hostPath: { path: "/tmp" },
          claimRef: { namespace: "default", name: "bound" },
          storageClassName: "slow",
        },
      },
    },
  },
  {
    path: "/apis/storage.k8s.io/v1/storageclasses",
    object: { metadata: { name: "slow" }, provisioner: "example.com/p", allowVolumeExpansion: true },
  },
  {
    path: "/apis/storage.k8s.io/v1/csinodes",
    object: { metadata: { name: "n" }, spec: { drivers: [{ name: "d.example.com", nodeID: "n" }] } },
  },
];

export const TABLE_OBJECTS: readonly Given[] = [
  ...CLUSTER,
  ...PODS,
  ...SERVICES,
  ...ENDPOINTS,
  ...WORKLOADS,
  ...NETWORK,
  ...STORAGE,
];

/** Of collections that a server fills by itself. */
const OWN_PATHS = [
  "/api/v1/namespaces",
  "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  "/apis/scheduling.k8s.io/v1/priorityclasses",
  "/apis/apiregistration.k8s.io/v1/apiservices",
  "/apis/networking.k8s.io/v1/servicecidrs",
  "/apis/networking.k8s.io/v1/ipaddresses",
];

/** All collections that are looked at. */
export function pathsOf(): string[] {
  return [...new Set([...TABLE_OBJECTS.map(({ path }) => path), ...OWN_PATHS])];
}
