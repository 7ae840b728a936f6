// The objects that run a mesh's proxies in a cluster: `podwire install --mesh --print`. Who signs the proxies' identities
// is the cluster's to say: docs/mesh.md.
import {
  HBONE_PORT,
  MESH_CA_KEY,
  MESH_CA_MAP,
  MESH_NAME,
  MESH_NAMESPACE,
  TRUST_DOMAIN,
} from "../../kube/mesh/mesh-names.ts";
import { quoted } from "./manifests.ts";

const METRICS_PORT = 15020;
const DRAIN_SEC = 20;

export function meshManifests(image: string): string {
  return HEAD + [NAMESPACE, ACCOUNT, ROLE, BINDING, CONFIGURATION, daemonSet(quoted(image))].join("---\n");
}

const HEAD = `# The proxies of podwire's mesh, one a node, for namespaces with the label podwire.dev/mesh: enabled.
# Printed by
#   podwire install --mesh --print
# Two things come from elsewhere: whom to trust, as ${MESH_CA_KEY} of a ConfigMap ${MESH_CA_MAP} beside these, and who
# approves and signs CertificateSigningRequests of signerName podwire.dev/mesh-workload: a lab has both, a cluster has
# to bring them.
`;

const NAMESPACE = `apiVersion: v1
kind: Namespace
metadata:
  name: ${MESH_NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: privileged # proxies make rules of their own pods' networks
`;

const ACCOUNT = `apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${MESH_NAME}
  namespace: ${MESH_NAMESPACE}
`;

const ROLE = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ${MESH_NAME}
rules:
  - apiGroups: [ "" ]
    resources: [ nodes, namespaces, pods, services ]
    verbs: [ list, watch ]
  - apiGroups: [ discovery.k8s.io ]
    resources: [ endpointslices ]
    verbs: [ list, watch ]
  - apiGroups: [ security.istio.io ]
    resources: [ authorizationpolicies ]
    verbs: [ list, watch ]
  - apiGroups: [ gateway.networking.k8s.io ]
    resources: [ httproutes ]
    verbs: [ list, watch ]
  - apiGroups: [ certificates.k8s.io ]
    resources: [ certificatesigningrequests ]
    verbs: [ create, get ]
`;

const BINDING = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: ${MESH_NAME}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: ${MESH_NAME}
subjects:
  - kind: ServiceAccount
    name: ${MESH_NAME}
    namespace: ${MESH_NAMESPACE}
`;

const CONFIGURATION = `apiVersion: v1
kind: ConfigMap
metadata:
  name: ${MESH_NAME}
  namespace: ${MESH_NAMESPACE}
data:
  # docs/mesh.md has every setting. The name of its node each proxy is told by its pod.
  mesh.yaml: |
    source: { kubernetes: {} }
    trustDomain: ${TRUST_DOMAIN}
    trustBundle: /etc/podwire-mesh-ca/${MESH_CA_KEY}
    agent: /run/podwire/agent.sock
    metrics: { port: ${METRICS_PORT} }
    drainSec: ${DRAIN_SEC}
`;

const daemonSet = (image: string): string => `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: ${MESH_NAME}
  namespace: ${MESH_NAMESPACE}
  labels: { app.kubernetes.io/name: ${MESH_NAME} }
spec:
  selector:
    matchLabels: { app.kubernetes.io/name: ${MESH_NAME} }
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: { maxUnavailable: 1 }
  template:
    metadata:
      labels: { app.kubernetes.io/name: ${MESH_NAME} }
    spec:
      serviceAccountName: ${MESH_NAME}
      priorityClassName: system-node-critical
      enableServiceLinks: false
      terminationGracePeriodSeconds: ${DRAIN_SEC + 5}
      nodeSelector: { kubernetes.io/os: linux }
      tolerations: [ { operator: Exists } ]
      containers:
        - name: mesh
          image: ${image}
          imagePullPolicy: IfNotPresent
          command: [ podwire, mesh, --config, /etc/podwire/mesh.yaml, --node-name, $(NODE_NAME) ]
          env:
            - name: NODE_NAME
              valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
          ports:
            - { name: hbone, containerPort: ${HBONE_PORT} }
            - { name: metrics, containerPort: ${METRICS_PORT} }
          readinessProbe:
            httpGet: { path: /readyz, port: ${METRICS_PORT} }
            periodSeconds: 2
          securityContext:
            privileged: true # sysctls of its own pod's network, rules and routes there
            readOnlyRootFilesystem: true
          volumeMounts:
            - { name: configuration, mountPath: /etc/podwire, readOnly: true }
            - { name: ca, mountPath: /etc/podwire-mesh-ca, readOnly: true }
            - { name: agent, mountPath: /run/podwire }
      volumes:
        - { name: configuration, configMap: { name: ${MESH_NAME} } }
        - { name: ca, configMap: { name: ${MESH_CA_MAP} } }
        - { name: agent, hostPath: { path: /run/podwire, type: DirectoryOrCreate } }
`;
