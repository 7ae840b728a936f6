// The objects that make podwire the network of a cluster: YAML with its reasons beside it, for people to read before they
// apply it. What was given is checked before it comes here.
import { createHash } from "node:crypto";
import { CONFLIST } from "./cni-network.ts";

/** Where a cluster has podwire. */
export interface Place {
  readonly image: string;
  readonly namespace: string;
  /** Where the nodes' runtime looks for plug-ins, and for networks. */
  readonly cniBinDir: string;
  readonly cniConfDir: string;
}

/** What differs between clusters. */
export interface Installation extends Place {
  /** An AgentConfiguration without nodeName. */
  readonly configuration: string;
  /** Of the health endpoint; null: it is switched off. */
  readonly healthPort: number | null;
}

/** Pods are made anew when it changes. */
const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);
/** A text below a key. */
const indented = (text: string, by: number): string => text.replace(/^(?=.)/gm, " ".repeat(by)).trimEnd();
/** JSON's strings are YAML's, whatever is in them. */
export const quoted = (text: string): string => (/^[a-z/][\w./-]*$/.test(text) ? text : JSON.stringify(text));

/** Everything that `podwire install --print` prints. */
export function installManifests(install: Installation): string {
  const { namespace } = install;
  const own = namespace === "kube-system" ? [] : [namespaceOf(namespace)];
  const objects = [accountOf(namespace), ROLE, bindingOf(namespace), configMap(install), daemonSet(install)];
  return HEAD + [...own, ...objects].join("---\n");
}

const HEAD = `# podwire as the network of a cluster, in place of kube-proxy and of another network plug-in. Printed by
#   podwire install --print
# which has options for what differs between clusters. docs/install.md tells how to go about it, and how to take it back.
`;

const namespaceOf = (namespace: string): string => `apiVersion: v1
kind: Namespace
metadata:
  name: ${quoted(namespace)}
  labels:
    pod-security.kubernetes.io/enforce: privileged # the agent makes and moves the node's devices
`;

const accountOf = (namespace: string): string => `apiVersion: v1
kind: ServiceAccount
metadata:
  name: podwire
  namespace: ${quoted(namespace)}
`;

const ROLE = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: podwire
rules:
  - apiGroups: [ "" ]
    resources: [ nodes, namespaces, pods, services ]
    verbs: [ list, watch ]
  - apiGroups: [ discovery.k8s.io ]
    resources: [ endpointslices ]
    verbs: [ list, watch ]
  - apiGroups: [ networking.k8s.io ]
    resources: [ networkpolicies, servicecidrs ]
    verbs: [ list, watch ]
  - apiGroups: [ policy.networking.k8s.io ]
    resources: [ clusternetworkpolicies ]
    verbs: [ list, watch ]
  - apiGroups: [ "" ]
    resources: [ events ]
    verbs: [ create, patch ]
  - apiGroups: [ "" ]
    resources: [ nodes/status ]
    verbs: [ patch ]
`;

const bindingOf = (namespace: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: podwire
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: podwire
subjects:
  - kind: ServiceAccount
    name: podwire
    namespace: ${quoted(namespace)}
`;

const configMap = ({ namespace, configuration }: Installation): string => `apiVersion: v1
kind: ConfigMap
metadata:
  name: podwire
  namespace: ${quoted(namespace)}
data:
  # docs/agent.md has every setting. The name of its node each agent is told by its pod.
  agent.yaml: |
${indented(configuration, 4)}
  podwire.conflist: |
${indented(CONFLIST, 4)}
`;

/** An agent that starts with many services has a minute; one that does not answer for half a minute begins anew. */
const probes = (port: number): string => `          startupProbe:
            httpGet: { host: 127.0.0.1, port: ${port}, path: /livez }
            periodSeconds: 2
            failureThreshold: 30
          readinessProbe:
            httpGet: { host: 127.0.0.1, port: ${port}, path: /healthz }
            periodSeconds: 5
          livenessProbe:
            httpGet: { host: 127.0.0.1, port: ${port}, path: /livez }
            periodSeconds: 10
            failureThreshold: 3
`;

const cniContainer = (
  image: string,
): string => `        # Replaces plug-in and network within their folders, so that a runtime never sees half of one.
        - name: cni
          image: ${image}
          imagePullPolicy: IfNotPresent
          command: [ podwire, cni, install ]
          args: [ --bin-dir, /host/bin, --conf-dir, /host/net.d, --conflist, /etc/podwire/podwire.conflist ]
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ ALL ], add: [ DAC_OVERRIDE ] }
          volumeMounts:
            - { name: configuration, mountPath: /etc/podwire, readOnly: true }
            - { name: cni-bin, mountPath: /host/bin }
            - { name: cni-conf, mountPath: /host/net.d }
`;

const agentContainer = (image: string, healthPort: number | null): string => `        - name: agent
          image: ${image}
          imagePullPolicy: IfNotPresent
          command: [ podwire, agent, --config, /etc/podwire/agent.yaml, --node-name, $(NODE_NAME) ]
          env:
            - name: NODE_NAME
              valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
          # Privileged: /dev/net/tun, /dev/cpu_dma_latency and a writable /proc/sys are given to nobody else.
          securityContext:
            privileged: true
            readOnlyRootFilesystem: true
          # No limits: a data path that is stopped for its share of the processor loses packets.
          resources:
            requests: { cpu: 100m, memory: 200Mi }
${healthPort === null ? "" : probes(healthPort)}          volumeMounts:
            - { name: configuration, mountPath: /etc/podwire, readOnly: true }
            - { name: run, mountPath: /run/podwire }
            - { name: state, mountPath: /var/lib/podwire }
            - { name: netns, mountPath: /run/netns, mountPropagation: HostToContainer }
            - { name: tmp, mountPath: /tmp }
`;

/** run: the socket that the plug-in asks; state: leases, and what is known; netns: pods' networks, by runtimes' paths. */
const volumes = ({ cniBinDir, cniConfDir }: Place): string => `      volumes:
        - { name: configuration, configMap: { name: podwire } }
        - { name: run, hostPath: { path: /run/podwire, type: DirectoryOrCreate } }
        - { name: state, hostPath: { path: /var/lib/podwire, type: DirectoryOrCreate } }
        - { name: netns, hostPath: { path: /run/netns, type: DirectoryOrCreate } }
        - { name: cni-bin, hostPath: { path: ${quoted(cniBinDir)}, type: DirectoryOrCreate } }
        - { name: cni-conf, hostPath: { path: ${quoted(cniConfDir)}, type: DirectoryOrCreate } }
        - { name: tmp, emptyDir: {} }
`;

const daemonSet = (install: Installation): string => `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: podwire
  namespace: ${quoted(install.namespace)}
  labels: { app.kubernetes.io/name: podwire }
spec:
  selector:
    matchLabels: { app.kubernetes.io/name: podwire }
  # One node after the other: its pods have no network until the next agent runs, some seconds.
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 1 }
  template:
    metadata:
      labels: { app.kubernetes.io/name: podwire }
      annotations: { podwire.dev/configuration: ${JSON.stringify(hashOf(install.configuration + CONFLIST))} }
    spec:
      serviceAccountName: podwire
      hostNetwork: true
      dnsPolicy: Default # the node's own: the cluster's DNS needs the network first
      enableServiceLinks: false
      priorityClassName: system-node-critical
      terminationGracePeriodSeconds: 30
      nodeSelector: { kubernetes.io/os: linux }
      tolerations: [ { operator: Exists } ] # also on nodes that are not ready: they become ready by it
      initContainers:
${cniContainer(quoted(install.image))}      containers:
${agentContainer(quoted(install.image), install.healthPort)}${volumes(install)}`;
