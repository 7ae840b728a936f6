// The objects by which a mesh runs in a lab: a proxy on each node, its account and configuration.
import type { LabMeshSettings } from "../../config/lab-mesh.ts";
import { hash32 } from "../../kube/hash.ts";
import {
  HBONE_PORT,
  MESH_CA_KEY,
  MESH_CA_MAP,
  MESH_LABELS,
  MESH_NAME,
  MESH_NAMESPACE,
  TRUST_DOMAIN,
} from "../../kube/mesh/mesh-names.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { MESH_IMAGE } from "../pod/image/built-in.ts";
import { agentSocket } from "../state-dir.ts";
import type { Topology } from "../topology.ts";

/** On what this makes: nothing else is taken away. */
export const MESH_MANAGED = { "app.kubernetes.io/managed-by": "podwire-lab-mesh" };
const FOLDER = "/etc/podwire";
const FILE = "mesh.yaml";
const CA_FOLDER = "/etc/podwire-mesh-ca";
const METRICS_PORT = 15020;
const DRAIN_SEC = 20;
const AGENTS = "agents";

/** Kinds of what runs a mesh. */
export const MESH_PARTS: readonly string[] = ["DaemonSet", "ConfigMap", "ServiceAccount"];

/** In the order in which they are made. `ca`: PEM. */
export function meshObjects(t: Topology, settings: LabMeshSettings, ca: string): KubeObject[] {
  const { plain, accessLog } = settings;
  const metadata = {
    name: MESH_NAME,
    namespace: MESH_NAMESPACE,
    labels: { ...MESH_LABELS, ...MESH_MANAGED },
  };
  const configuration = {
    ...{ source: { kubernetes: {} }, trustDomain: TRUST_DOMAIN, trustBundle: `${CA_FOLDER}/${MESH_CA_KEY}` },
    ...{ metrics: { port: METRICS_PORT }, drainSec: DRAIN_SEC },
    ...(plain !== undefined && { plain }),
    ...(accessLog !== undefined && { accessLog }),
  };
  const text = JSON.stringify(configuration, undefined, 2); // JSON is YAML
  const made = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [FILE]: text } },
    {
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, name: MESH_CA_MAP } },
      data: { [MESH_CA_KEY]: ca },
    },
    { apiVersion: "apps/v1", kind: "DaemonSet", metadata, spec: specOf(t, text) },
  ];
  return made as unknown as KubeObject[];
}

function specOf(t: Topology, text: string): object {
  const socket = agentSocket(t.lab, "$(NODE_NAME)");
  const agents = socket.slice(0, socket.lastIndexOf("/"));
  const container = {
    name: "mesh",
    image: MESH_IMAGE,
    args: ["--config", `${FOLDER}/${FILE}`, "--node-name", "$(NODE_NAME)", "--agent", socket],
    env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
    ports: [
      { name: "hbone", protocol: "TCP", containerPort: HBONE_PORT },
      { name: "metrics", protocol: "TCP", containerPort: METRICS_PORT },
    ],
    readinessProbe: {
      ...{ httpGet: { path: "/readyz", port: METRICS_PORT }, periodSeconds: 1, failureThreshold: 2 },
    },
    securityContext: { capabilities: { add: ["NET_ADMIN"] } },
    volumeMounts: [
      { name: "config", mountPath: FOLDER },
      { name: "ca", mountPath: CA_FOLDER },
      { name: AGENTS, mountPath: agents },
    ],
  };
  return {
    selector: { matchLabels: MESH_LABELS },
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
    template: {
      // It reads its configuration when it starts: another one makes other pods.
      metadata: { labels: MESH_LABELS, annotations: { "podwire.dev/config": hash32(text).toString(16) } },
      spec: {
        serviceAccountName: MESH_NAME,
        priorityClassName: "system-node-critical",
        terminationGracePeriodSeconds: DRAIN_SEC + 5,
        tolerations: [{ operator: "Exists" }],
        ...affinityOf(t),
        containers: [container],
        volumes: [
          { name: "config", configMap: { name: MESH_NAME } },
          { name: "ca", configMap: { name: MESH_CA_MAP } },
          { name: AGENTS, hostPath: { path: agents, type: "Directory" } },
        ],
      },
    },
  };
}

/** Kernel nodes have no plane that would give a proxy anything. */
function affinityOf({ nodes }: Topology): object {
  if (nodes.every(({ agent }) => agent === "podwire")) return {};
  const values = nodes.filter(({ agent }) => agent === "podwire").map(({ name }) => name);
  const term = { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values }] };
  const required = { nodeSelectorTerms: [term] };
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } } };
}
