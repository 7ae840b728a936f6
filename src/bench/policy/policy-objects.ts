// A cluster to compile policies of: pods in classes of equal labels, spread over namespaces and nodes, and policies as
// people write them: a default deny for each namespace, who may reach an application on which port, what it may reach,
// and some ranges of addresses.
import type { KubeObject } from "../../kube/objects.ts";

export interface PolicyClusterSize {
  readonly policies: number;
  readonly pods: number;
  readonly classes: number;
  readonly nodes: number;
}

const PER_NAMESPACE = 10; // classes
const TIERS = ["web", "api", "db", "cache"] as const;

export function policyCluster({ policies, pods, classes, nodes }: PolicyClusterSize): KubeObject[] {
  const namespaces = Math.ceil(classes / PER_NAMESPACE);
  const objects: KubeObject[] = [];
  for (let i = 0; i < namespaces; i++) {
    const labels = { team: `team-${i % 17}`, stage: i % 2 === 0 ? "prod" : "test" };
    objects.push({ apiVersion: "v1", kind: "Namespace", metadata: { name: `ns-${i}`, labels } });
  }
  for (let i = 0; i < nodes; i++) objects.push(nodeObject(i));
  for (let i = 0; i < pods; i++) objects.push(podObject(i, i % classes, i % nodes));
  for (let i = 0; i < policies; i++) objects.push(policyObject(i, i % namespaces));
  return objects;
}

function nodeObject(i: number): KubeObject {
  const status = { addresses: [{ type: "InternalIP", address: `192.168.${50 + (i >> 8)}.${i & 255}` }] };
  const object = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node-${i}`, labels: {} },
    spec: {},
    status,
  };
  return object;
}

/** The pod with this number; `extra` are further labels. */
export function podObject(i: number, podClass: number, node: number, extra: object = {}): KubeObject {
  const namespace = `ns-${Math.floor(podClass / PER_NAMESPACE)}`;
  const labels = { app: `app-${podClass}`, tier: TIERS[podClass % TIERS.length], ...extra };
  const ports = [{ name: "http", containerPort: 8080, protocol: "TCP" }];
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name: `pod-${i}`, labels },
    spec: { nodeName: `node-${node}`, containers: [{ name: "c", image: "i", ports }] },
    status: {
      podIPs: [
        { ip: `10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}` },
        { ip: `fd00:10::${i.toString(16)}` },
      ],
    },
  };
  return object;
}

/** The policy with this number, in the namespace with that one. */
export function policyObject(i: number, namespace: number): KubeObject {
  const app = namespace * PER_NAMESPACE + (Math.floor(i / 50) % PER_NAMESPACE);
  const object = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: `ns-${namespace}`, name: `policy-${i}` },
    spec: specOf(i, app),
  };
  return object;
}

/** Blocks to go back and forth between: of nobody's addresses, of all pods', and of four of ten pods'. */
export const OUTSIDE = [{ cidr: "192.0.2.0/24" }, { cidr: "2001:db8::/32", except: ["2001:db8:1::/48"] }];
export const AROUND = [{ cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] }, { cidr: "10.0.0.0/8" }];
export const ACROSS = [{ cidr: "10.128.0.0/20" }, { cidr: "10.128.16.0/20", except: ["10.128.17.0/24"] }];

/** A policy with one block, about pods of the first nodes. */
export function blockPolicyObject(ipBlock: object): KubeObject {
  const object = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "ns-0", name: "block" },
    spec: {
      podSelector: { matchLabels: { app: "app-1" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: [{ ipBlock }] }],
      egress: [{ to: [{ ipBlock }], ports: [{ protocol: "TCP", port: 443 }] }],
    },
  };
  return object;
}

function specOf(i: number, app: number): object {
  const podSelector = { matchLabels: { app: `app-${app}` } };
  switch (Math.floor(i / 50) % 4) {
    case 0:
      return { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: [{ podSelector: {} }] }] };
    case 1:
      return {
        podSelector,
        policyTypes: ["Ingress"],
        ingress: [
          {
            from: [{ podSelector: { matchLabels: { tier: "web" } } }, { namespaceSelector: team(i) }],
            ports: [
              { protocol: "TCP", port: "http" },
              { protocol: "TCP", port: 9000 + (i % 100), endPort: 9200 },
            ],
          },
        ],
      };
    case 2:
      return {
        podSelector,
        policyTypes: ["Egress"],
        egress: [
          {
            to: [{ namespaceSelector: {} }],
            ports: [
              { protocol: "UDP", port: 53 },
              { protocol: "TCP", port: 53 },
            ],
          },
          { to: [{ namespaceSelector: team(i), podSelector: { matchLabels: { tier: "api" } } }] },
        ],
      };
    default:
      return {
        podSelector,
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: [block(i)] }],
        egress: [{ to: [block(i + 7)], ports: [{ protocol: "TCP", port: 443 }] }],
      };
  }
}

function team(i: number): object {
  return { matchLabels: { team: `team-${i % 17}` } };
}

function block(i: number): object {
  const first = `10.${i % 200}`;
  return { ipBlock: { cidr: `${first}.0.0/16`, except: [`${first}.${i % 256}.0/24`] } };
}
