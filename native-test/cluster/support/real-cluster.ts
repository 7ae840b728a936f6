// A whole cluster beside a test: a control plane with controllers and scheduler, and two machines with kubelet and
// containerd on one segment with it, where somebody from outside is, too. What makes the network of its nodes is for the
// test to start.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Result, type Running, run, start, until } from "../../../src/testing/lab/process.ts";
import type { Namespaces } from "../../support/namespaces.ts";
import { POD_IMAGE } from "./containerd.ts";
import { ControlPlane, PROGRAMS } from "./control-plane.ts";
import { CLUSTER_DNS, Kubelet } from "./kubelet.ts";
import { Machine } from "./machine.ts";

export const NODES = {
  node1: ["192.168.77.11", "fd00:77::11"],
  node2: ["192.168.77.12", "fd00:77::12"],
} as const;
export type NodeName = keyof typeof NODES;
export const NODE_NAMES = Object.keys(NODES) as NodeName[];
/** Of the API server, and by which the machines reach the world. */
export const CONTROL = "192.168.77.1";
const CLIENT = "192.168.77.20";
/** What the nameserver outside knows. */
export const WORLD = { name: "www.world.example", address: "203.0.113.9" };
export const RANGES = { pods: "10.244.0.0/16,fd00:10:244::/56", services: "10.96.0.0/12,fd00:10:96::/112" };
const COREDNS_IMAGE = "localhost/coredns:test";
const PATIENCE_MS = 120_000;

// biome-ignore lint/suspicious/noExplicitAny: tests check what they read of it
type Any = any;

export class RealCluster {
  readonly control: ControlPlane;
  readonly machines = {} as Record<NodeName, Machine>;
  readonly kubelets = new Map<NodeName, Kubelet>();
  readonly #namespaces: Namespaces;
  readonly #folder: string;
  readonly #outside: Running[] = [];

  private constructor(namespaces: Namespaces, folder: string, control: ControlPlane) {
    this.#namespaces = namespaces;
    this.#folder = folder;
    this.control = control;
  }

  static async start(namespaces: Namespaces, folder: string): Promise<RealCluster> {
    await makeSegment(namespaces);
    const control = await ControlPlane.start(folder, {
      address: CONTROL,
      flags: {
        "service-cluster-ip-range": RANGES.services,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "disable-admission-plugins": "",
        "endpoint-reconciler-type": "lease", // so `kubernetes` leads to it
        "kubelet-preferred-address-types": "InternalIP",
      },
      users: {
        "system:kube-controller-manager": "",
        "system:kube-scheduler": "",
        ...Object.fromEntries(NODE_NAMES.map((name) => [`system:node:${name}`, "system:nodes"])),
      },
    });
    const cluster = new RealCluster(namespaces, folder, control);
    try {
      for (const name of NODE_NAMES)
        cluster.machines[name] = await Machine.start(namespaces, name, join(folder, name, "containerd"));
      await control.startControllers({
        "allocate-node-cidrs": true,
        "cluster-cidr": RANGES.pods,
        "node-cidr-mask-size-ipv6": 64,
        "service-cluster-ip-range": RANGES.services,
      });
      await control.startScheduler();
      await cluster.#startNameserver();
      const begun = await Promise.allSettled(NODE_NAMES.map((name) => cluster.#startKubelet(name)));
      for (const each of begun) if (each.status === "rejected") throw each.reason;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async #startKubelet(name: NodeName): Promise<void> {
    const kubelet = await Kubelet.start({
      ...{ control: this.control, machine: this.machines[name], nameserver: CONTROL },
      ...{ folder: join(this.#folder, name), addresses: NODES[name].join() },
    });
    this.kubelets.set(name, kubelet);
    const program = { path: "coredns", from: join(PROGRAMS, "coredns") };
    await kubelet.containerd.addImage(COREDNS_IMAGE, [program], ["/coredns"]);
  }

  /** Programs of the world: one that knows a name there, and one that answers at it. */
  async #startNameserver(): Promise<void> {
    const { name, address } = WORLD;
    const config = `.:53 {\n  hosts {\n    ${address} ${name}\n  }\n}\n`;
    const file = join(this.#folder, "Corefile");
    await writeFile(file, config);
    this.#outside.push(await start([join(PROGRAMS, "coredns"), "-conf", file], /CoreDNS-/));
    const serve = `echo on; exec ${join(PROGRAMS, "pod")} serve 8080`;
    this.#outside.push(await start(["sh", "-c", serve], /on/));
  }

  get admin() {
    return this.control.admin;
  }

  async node(name: NodeName): Promise<Any> {
    return await this.admin.done("GET", `/api/v1/nodes/${name}`);
  }

  /** "True", "False" or "Unknown", and why. */
  async condition(name: NodeName, type: string): Promise<string> {
    const { status } = await this.node(name);
    const found = status.conditions?.find((each: Any) => each.type === type);
    return `${found?.status} ${found?.reason}`;
  }

  /** Those with this label. */
  async pods(app: string, namespace = "default", label = "app"): Promise<Any[]> {
    const selector = encodeURIComponent(`${label}=${app}`);
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
    return (await this.admin.done("GET", path)).items;
  }

  /** They are so many, and all of them ready; throws what they say where they do not become it. */
  async ready(app: string, count: number, namespace = "default", label = "app"): Promise<Any[]> {
    let pods: Any[] = [];
    const areReady = async (): Promise<boolean> => {
      pods = (await this.pods(app, namespace, label)).filter(({ metadata }) => !metadata.deletionTimestamp);
      return pods.length === count && pods.every(isReady);
    };
    try {
      await until(`${count} pods of ${app} to be ready`, areReady, PATIENCE_MS);
    } catch (error) {
      const { items } = await this.admin.done("GET", `/api/v1/namespaces/${namespace}/events`);
      const said = items.map((event: Any) => `${event.involvedObject.name}: ${event.message}`);
      throw new Error(`${(error as Error).message}\n${said.slice(-20).join("\n")}`);
    }
    return pods;
  }

  /** In the container `main` of a pod. */
  async exec(pod: Any, ...words: string[]): Promise<Result> {
    const kubelet = this.kubelets.get(pod.spec.nodeName) as Kubelet;
    return await kubelet.exec(pod.metadata.name, ...words);
  }

  /** What a pod is answered there, after the addresses that the name has for it; or why it is not. */
  async get(pod: Any, url: string): Promise<string> {
    const { stdout, stderr } = await this.exec(pod, "/pod", "get", url);
    return (stdout || stderr).trim();
  }

  /** The same for a program of a node, or of somebody outside. */
  async curl(from: NodeName | "client", url: string): Promise<string> {
    const words = ["curl", "-gsS", "--max-time", "3", url];
    const { stdout, stderr } = await (from === "client"
      ? run([...this.#namespaces.command("client", ""), ...words].filter(Boolean))
      : this.machines[from].run(...words));
    return (stdout || stderr).trim();
  }

  /** The API server, which is on no node, reaches pods by their nodes. */
  async routePods(): Promise<void> {
    for (const name of NODE_NAMES) {
      const [four, six] = NODES[name];
      for (const range of (await this.node(name)).spec.podCIDRs as string[])
        await run(["ip", "route", "replace", range, "via", range.includes(":") ? six : four]);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.kubelets.values()].map((kubelet) => kubelet.stop()));
    for (const machine of Object.values(this.machines)) await machine.stop();
    for (const each of this.#outside.reverse()) await each.stop("SIGKILL");
    await this.control.stop();
    await run(["ip", "link", "del", "br0"]);
    await run(["ip", "addr", "del", `${WORLD.address}/32`, "dev", "lo"]); // or the next cluster here cannot begin
  }
}

export function isReady(pod: Any): boolean {
  return pod.status.conditions?.some((each: Any) => each.type === "Ready" && each.status === "True") === true;
}

/** A segment with the API server, both machines with one NIC each, and somebody from outside. */
async function makeSegment(namespaces: Namespaces): Promise<void> {
  namespaces.add(...NODE_NAMES, "client");
  const here = async (words: string): Promise<void> => {
    const { status, stderr } = await run(["ip", ...words.split(" ")]);
    if (status !== 0) throw new Error(`ip ${words}: ${stderr}`);
  };
  await here("link add br0 type bridge forward_delay 0 mcast_snooping 0");
  await here("link set br0 up");
  await here(`addr add ${CONTROL}/24 dev br0`);
  await here("addr add fd00:77::1/64 dev br0 nodad");
  await here(`addr add ${WORLD.address}/32 dev lo`);
  for (const [name, addresses] of Object.entries({ ...NODES, client: [CLIENT, "fd00:77::20"] })) {
    await here(`link add up-${name} type veth peer name eth0 netns ${namespaces.nameOf(name)}`);
    await here(`link set up-${name} master br0 up`);
    namespaces.ip(name, "link set eth0 up");
    namespaces.ip(name, `addr add ${addresses[0]}/24 dev eth0`);
    namespaces.ip(name, `addr add ${addresses[1]}/64 dev eth0 nodad`);
    namespaces.ip(name, `route add default via ${CONTROL}`);
    namespaces.ip(name, "route add default via fd00:77::1");
  }
}

/** The cluster's DNS as clusters have it: CoreDNS in two pods, its rights, its Service. */
export function dnsObjects(): object[] {
  const labels = { "k8s-app": "kube-dns", app: "coredns" };
  const metadata = (name: string) => ({ name, namespace: "kube-system" });
  const corefile = `.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . /etc/resolv.conf
  cache 30
  loadbalance
}
`;
  const list = ["list", "watch"];
  const probe = (path: string, port: number) => ({
    ...{ httpGet: { path, port, scheme: "HTTP" }, periodSeconds: 2, timeoutSeconds: 5 },
  });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata("coredns") },
    {
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "coredns" } },
      rules: [
        { apiGroups: [""], resources: ["services", "pods", "namespaces"], verbs: list },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: list },
      ],
    },
    {
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding" },
      metadata: { name: "coredns" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "coredns" },
      subjects: [{ kind: "ServiceAccount", ...metadata("coredns") }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata: metadata("coredns"), data: { Corefile: corefile } },
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { ...metadata("kube-dns"), labels } },
      spec: {
        ...{ clusterIP: CLUSTER_DNS, ipFamilyPolicy: "PreferDualStack", selector: { app: "coredns" } },
        ports: ["UDP", "TCP"].map((protocol) => ({
          name: `dns-${protocol.toLowerCase()}`,
          port: 53,
          protocol,
        })),
      },
    },
    {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: metadata("coredns") },
      spec: {
        ...{ replicas: 2, selector: { matchLabels: labels } },
        template: {
          metadata: { labels },
          spec: {
            ...{ serviceAccountName: "coredns", dnsPolicy: "Default", terminationGracePeriodSeconds: 1 },
            ...{ topologySpreadConstraints: [onePerNode(labels)] },
            containers: [
              {
                ...{ name: "main", image: COREDNS_IMAGE, imagePullPolicy: "Never" },
                args: ["-conf", "/etc/coredns/Corefile"],
                volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
                ...{ livenessProbe: probe("/health", 8080), readinessProbe: probe("/ready", 8181) },
              },
            ],
            volumes: [{ name: "config", configMap: { name: "coredns" } }],
          },
        },
      },
    },
  ];
}

function onePerNode(labels: object): object {
  return {
    ...{ maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule" },
    labelSelector: { matchLabels: labels },
  };
}

interface Workload {
  readonly kind?: "Deployment" | "DaemonSet";
  readonly replicas?: number;
  readonly hostNetwork?: boolean;
  /** It serves HTTP here; without it it waits to be asked to ask. */
  readonly port?: number;
}

/** Pods of programs/pod, one a node, probed by HTTP where they serve. */
export function workload(name: string, options: Workload = {}): object {
  const { kind = "Deployment", replicas = 2, hostNetwork = false, port } = options;
  const labels = { app: name };
  const probe = { httpGet: { path: "/", port }, periodSeconds: 1, timeoutSeconds: 3 };
  return {
    ...{ apiVersion: "apps/v1", kind, metadata: { name, namespace: "default" } },
    spec: {
      ...(kind === "Deployment" ? { replicas } : {}),
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...{ hostNetwork, automountServiceAccountToken: false, terminationGracePeriodSeconds: 1 },
          ...(kind === "Deployment" ? { topologySpreadConstraints: [onePerNode(labels)] } : {}),
          ...(hostNetwork ? { dnsPolicy: "ClusterFirstWithHostNet" } : {}),
          containers: [
            {
              ...{ name: "main", image: POD_IMAGE, imagePullPolicy: "Never" },
              ...(port === undefined
                ? {}
                : {
                    args: ["serve", `${port}`],
                    readinessProbe: probe,
                    // Longer than an agent that is replaced takes on a busy machine.
                    livenessProbe: { ...probe, failureThreshold: 30 },
                  }),
            },
          ],
        },
      },
    },
  };
}

/** A Service of both families for the pods of this workload. */
export function service(name: string, targetPort: number, more: object = {}): object {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" } },
    spec: {
      ...{ selector: { app: name }, ipFamilyPolicy: "RequireDualStack", ports: [{ port: 80, targetPort }] },
      ...more,
    },
  };
}
