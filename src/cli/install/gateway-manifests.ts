// The objects that make podwire serve a cluster's Ingresses and Gateways: YAML with its reasons beside it, for people to
// read before they apply it. What was given is checked before it comes here.
import { createHash } from "node:crypto";
import { quoted } from "./manifests.ts";

export interface GatewayInstallation {
  readonly image: string;
  readonly namespace: string;
  readonly replicas: number;
  readonly serviceType: "LoadBalancer" | "NodePort";
  /** TCP ports of the Service, in order; 80 and 443 are those of Ingresses. */
  readonly ports: readonly number[];
  /** Without the Gateway API: a cluster where nobody has installed its definitions. */
  readonly isIngressOnly: boolean;
}

const NAME = "podwire-gateway";
const METRICS_PORT = 9153;
const DRAIN_SEC = 30;
/** Whoever still sends to an endpoint that is going is served for so long. */
const LEAVE_SEC = 5;
const GATEWAY_KINDS = [
  ...["gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes"],
  "backendtlspolicies",
];

/** Everything that `podwire install --gateway --print` prints. */
export function gatewayManifests(install: GatewayInstallation): string {
  const { namespace, isIngressOnly } = install;
  const objects = [
    ...(namespace === "kube-system" ? [] : [namespaceOf(namespace)]),
    accountOf(namespace),
    roleOf(isIngressOnly),
    bindingOf(namespace),
    leaseRole(namespace),
    leaseBinding(namespace),
    configMap(install),
    deployment(install),
    serviceOf(install),
    budgetOf(namespace),
    INGRESS_CLASS,
    ...(isIngressOnly ? [] : [GATEWAY_CLASS]),
  ];
  return HEAD + objects.join("---\n");
}

const HEAD = `# podwire as the proxy of a cluster's Ingresses and Gateways, whoever's network it has. Printed by
#   podwire install --gateway --print
# which has options for what differs between clusters. docs/install.md tells how to go about it.
`;

const metadata = (namespace: string): string => `metadata:
  name: ${NAME}
  namespace: ${quoted(namespace)}
  labels: { app.kubernetes.io/name: ${NAME} }
`;

const namespaceOf = (namespace: string): string => `apiVersion: v1
kind: Namespace
metadata:
  name: ${quoted(namespace)}
  labels:
    pod-security.kubernetes.io/enforce: restricted # it needs nothing that is not
`;

const accountOf = (namespace: string): string => `apiVersion: v1
kind: ServiceAccount
${metadata(namespace)}`;

const roleOf = (isIngressOnly: boolean): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ${NAME}
rules:
  # Secrets are the certificates. To read those of all namespaces is much: who runs this reads every password.
  - apiGroups: [ "" ]
    resources: [ namespaces, services, configmaps, secrets ]
    verbs: [ list, watch ]
  - apiGroups: [ discovery.k8s.io ]
    resources: [ endpointslices ]
    verbs: [ list, watch ]
  - apiGroups: [ networking.k8s.io ]
    resources: [ ingresses, ingressclasses ]
    verbs: [ list, watch ]
  - apiGroups: [ networking.k8s.io ]
    resources: [ ingresses/status ]
    verbs: [ patch ]
${isIngressOnly ? "" : GATEWAY_RULES}  - apiGroups: [ "" ]
    resources: [ events ] # of objects that cannot be used
    verbs: [ create, patch ]
`;

const listed = (resources: readonly string[]): string =>
  resources.map((name) => `      - ${name}\n`).join("");

const GATEWAY_RULES = `  - apiGroups: [ gateway.networking.k8s.io ]
    resources:
${listed([...GATEWAY_KINDS, "referencegrants"])}    verbs: [ list, watch ]
  - apiGroups: [ gateway.networking.k8s.io ]
    resources:
${listed(GATEWAY_KINDS.map((plural) => `${plural}/status`))}    verbs: [ patch ]
`;

const bindingOf = (namespace: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: ${NAME}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: ${NAME}
subjects:
  - kind: ServiceAccount
    name: ${NAME}
    namespace: ${quoted(namespace)}
`;

const leaseRole = (namespace: string): string => `# Of several pods one writes statuses: who has this Lease.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
${metadata(namespace)}rules:
  - apiGroups: [ coordination.k8s.io ]
    resources: [ leases ]
    verbs: [ create ]
  - apiGroups: [ coordination.k8s.io ]
    resources: [ leases ]
    resourceNames: [ ${NAME} ]
    verbs: [ get, update ]
`;

const leaseBinding = (namespace: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
${metadata(namespace)}roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ${NAME}
subjects:
  - kind: ServiceAccount
    name: ${NAME}
    namespace: ${quoted(namespace)}
`;

/** docs/gateway.md has every setting. */
function configurationOf({ namespace, isIngressOnly }: GatewayInstallation): string {
  const gateways = isIngressOnly ? "" : "gateways: all # at the ports of their listeners\n";
  return `source: { kubernetes: {} }
ingress: { http: 80, https: 443 }
${gateways}status: { service: ${quoted(`${namespace}/${NAME}`)} }
metrics: { port: ${METRICS_PORT} }
drainSec: ${DRAIN_SEC}
`;
}

const configMap = (install: GatewayInstallation): string => `apiVersion: v1
kind: ConfigMap
${metadata(install.namespace)}data:
  # docs/gateway.md has every setting.
  gateway.yaml: |
${configurationOf(install).replace(/^(?=.)/gm, "    ")}`;

const container = ({ image, ports }: GatewayInstallation): string => `        - name: gateway
          image: ${quoted(image)}
          imagePullPolicy: IfNotPresent
          command: [ podwire, gateway, --config, /etc/podwire/gateway.yaml ]
          ports:
            - { name: metrics, containerPort: ${METRICS_PORT} }
${ports.map((port) => `            - { containerPort: ${port} }\n`).join("")}          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ ALL ] }
          resources:
            requests: { cpu: 100m, memory: 150Mi }
          readinessProbe:
            httpGet: { path: /readyz, port: metrics }
            periodSeconds: 2
            failureThreshold: 1
          livenessProbe:
            httpGet: { path: /healthz, port: metrics }
            periodSeconds: 10
            failureThreshold: 3
          lifecycle:
            preStop: { exec: { command: [ sleep, "${LEAVE_SEC}" ] } } # until nobody sends here any more
          volumeMounts:
            - { name: configuration, mountPath: /etc/podwire, readOnly: true }
`;

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

const deployment = (install: GatewayInstallation): string => `apiVersion: apps/v1
kind: Deployment
${metadata(install.namespace)}spec:
  replicas: ${install.replicas}
  selector:
    matchLabels: { app.kubernetes.io/name: ${NAME} }
  # One is there before another goes: nobody's connection is refused.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  template:
    metadata:
      labels: { app.kubernetes.io/name: ${NAME} }
      annotations: { podwire.dev/configuration: ${JSON.stringify(hashOf(configurationOf(install)))} }
    spec:
      serviceAccountName: ${NAME}
      enableServiceLinks: false
      terminationGracePeriodSeconds: ${DRAIN_SEC + LEAVE_SEC + 5}
      nodeSelector: { kubernetes.io/os: linux }
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: { type: RuntimeDefault }
        sysctls: [ { name: net.ipv4.ip_unprivileged_port_start, value: "0" } ] # ports 80 and 443, without root
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: { app.kubernetes.io/name: ${NAME} }
      containers:
${container(install)}      volumes:
        - { name: configuration, configMap: { name: ${NAME} } }
`;

const serviceOf = ({ namespace, serviceType, ports }: GatewayInstallation): string => `apiVersion: v1
kind: Service
${metadata(namespace)}spec:
  type: ${serviceType}
  ipFamilyPolicy: PreferDualStack
  externalTrafficPolicy: Local # who asks is who he says
  selector: { app.kubernetes.io/name: ${NAME} }
  # A listener of a Gateway at another port needs it here, too.
  ports:
${ports.map((port) => `    - { name: tcp-${port}, port: ${port}, targetPort: ${port} }\n`).join("")}`;

const budgetOf = (namespace: string): string => `apiVersion: policy/v1
kind: PodDisruptionBudget
${metadata(namespace)}spec:
  maxUnavailable: 1
  selector:
    matchLabels: { app.kubernetes.io/name: ${NAME} }
`;

const INGRESS_CLASS = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: podwire
spec:
  controller: podwire.dev/ingress
`;

const GATEWAY_CLASS = `# Where the Gateway API's definitions are not installed: podwire install --gateway --ingress-only
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: podwire
spec:
  controllerName: podwire.dev/gateway
`;
