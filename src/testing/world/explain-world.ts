// A little cluster to ask `explain` about: two nodes, one Service with its slices, everything in a word. Answers are one
// line: "dnat 10.244.1.5:8080 10.244.2.5:8080 masquerade", "reject", "drop", "accept".

import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { Explanation } from "../../kubeproxy/words/explanation.ts";
import { Explainer, type ExplainOptions, type Via } from "../../offline/explain/explainer.ts";
import { offlineConfig } from "../../offline/offline-config.ts";

export const NODE = "192.168.50.11"; //    node1, who is asked
export const NODE2 = "192.168.50.12";
export const POD = "10.244.1.9"; //        on node1
export const FAR_POD = "10.244.2.9"; //    on node2
export const OUTSIDE = "203.0.113.7";
export const CLUSTER_IP = "10.96.0.10";
export const VIP = "5.6.7.8";
export const EXTERNAL = "1.2.3.4";
export const NODE_PORT = 30080;
export const HERE = "10.244.1.5:8080";
export const THERE = "10.244.2.5:8080";
export const NODE6 = "fd00:50::11";
export const POD6 = "fd00:10:244:1::9";
export const OUTSIDE6 = "2001:db8::7";
export const CLUSTER_IP6 = "fd00:96::10";

/** Address, node name ("node1", "node2" or "" for none), conditions, hints. */
export interface TestEndpoint {
  readonly at: string;
  readonly node?: string;
  /** r ready (default), n not ready, t terminating and serving, x terminating and not serving, - no conditions at all. */
  readonly state?: string;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
}

export interface TestWorld {
  readonly spec?: object;
  readonly status?: object;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly endpoints?: readonly TestEndpoint[];
  /** Merged into the one slice; `slices` replaces it altogether. */
  readonly slice?: object;
  readonly slices?: readonly object[];
  readonly config?: object;
  readonly more?: readonly object[];
  readonly options?: ExplainOptions;
  readonly nodeName?: string;
  readonly node?: object;
  readonly node2?: object;
}

const CONDITIONS: Readonly<Record<string, object>> = {
  r: { ready: true, serving: true, terminating: false },
  n: { ready: false, serving: false, terminating: false },
  t: { ready: false, serving: true, terminating: true },
  x: { ready: false, serving: false, terminating: true },
};
const BOTH: readonly TestEndpoint[] = [
  { at: "10.244.1.5", node: "node1" },
  { at: "10.244.2.5", node: "node2" },
];

export class AskedWorld {
  readonly explainer: Explainer;

  constructor(w: TestWorld = {}) {
    const problems = new FieldProblems();
    const proxy = readProxyConfig({ clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", ...w.config }, problems);
    if (problems.any) throw new Error(JSON.stringify(problems.list));
    this.explainer = new Explainer(
      offlineConfig(w.nodeName ?? "node1", proxy, proxy.clusterCidrs),
      testObjects(w),
      w.options ?? {},
    );
  }

  explain(from: string, to: string, port = 80, protocol: ProbeProtocol = "TCP", via?: Via): Explanation {
    return this.explainer.explain({ from, to, port, protocol, via });
  }

  ask(from: string, to: string, port = 80, protocol: ProbeProtocol = "TCP", via?: Via): string {
    const { verdict, endpoints, masquerade } = this.explain(from, to, port, protocol, via);
    return [verdict, ...endpoints, ...(masquerade ? ["masquerade"] : [])].join(" ");
  }

  /** What a pod, a pod of another node, the node itself and somebody outside get. */
  classes(to: string, port = 80, protocol: ProbeProtocol = "TCP"): Record<string, string> {
    const ask = (from: string): string => this.ask(from, to, port, protocol);
    return { pod: ask(POD), node: ask(NODE), outside: ask(OUTSIDE) };
  }
}

function testObjects(w: TestWorld): KubeObject[] {
  const slices = w.slices ?? [testSlice("api-1", w.endpoints ?? BOTH, w.slice)];
  const raw = [
    testNode("node1", 1, w.node),
    testNode("node2", 2, w.node2),
    testService("api", w),
    ...slices,
    ...(w.more ?? []),
  ];
  return raw.map((object) => manifestOf(object, "test").object);
}

function testNode(name: string, n: number, more: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "topology.kubernetes.io/zone": `z${n}` } },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`] },
    status: {
      addresses: [
        { type: "InternalIP", address: `192.168.50.1${n}` },
        { type: "InternalIP", address: `fd00:50::1${n}` },
      ],
    },
    ...more,
  };
}

export function testService(name: string, w: TestWorld = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels: w.labels ?? {}, annotations: w.annotations ?? {} },
    spec: { clusterIP: CLUSTER_IP, ports: [{ name: "http", port: 80, targetPort: 8080 }], ...w.spec },
    ...(w.status === undefined ? {} : { status: w.status }),
  };
}

export function testSlice(name: string, endpoints: readonly TestEndpoint[], more: object = {}): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, labels: { "kubernetes.io/service-name": "api" } },
    addressType: endpoints[0]?.at.includes(":") ? "IPv6" : "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: endpoints.map(({ at, node = "", state = "r", zones = [], nodes = [] }) => ({
      addresses: [at],
      ...(state === "-" ? {} : { conditions: CONDITIONS[state] }),
      ...(node === "" ? {} : { nodeName: node }),
      ...(zones.length + nodes.length === 0 ? {} : { hints: hintsOf(zones, nodes) }),
    })),
    ...more,
  };
}

function hintsOf(zones: readonly string[], nodes: readonly string[]): object {
  const named = (names: readonly string[]): object[] => names.map((name) => ({ name }));
  return {
    ...(zones.length > 0 ? { forZones: named(zones) } : {}),
    ...(nodes.length > 0 ? { forNodes: named(nodes) } : {}),
  };
}

/** A Service with every kind of address. */
export const EVERYWHERE: TestWorld = {
  spec: {
    type: "LoadBalancer",
    externalIPs: [EXTERNAL],
    externalTrafficPolicy: "Cluster",
    ports: [{ name: "http", port: 80, targetPort: 8080, nodePort: NODE_PORT }],
  },
  status: { loadBalancer: { ingress: [{ ip: VIP }] } },
};

/** `w` with more of the Service's spec. */
export function withSpec(w: TestWorld, spec: object, more: TestWorld = {}): TestWorld {
  return { ...w, ...more, spec: { ...w.spec, ...spec } };
}
