// Every check from manifest to message: at two versions of its level one pod is admitted, and one that differs in a single
// thing is refused, for that thing alone.
import t from "tap";
import { CHECKS } from "../kube/pod-security/evaluate.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";

interface Case {
  readonly check: string;
  /** At which it is tried. */
  readonly versions: readonly string[];
  /** Of the pod, of the container: what is admitted, and what is refused. */
  readonly pass?: Part;
  readonly fail: Part;
  readonly message: string;
}

interface Part {
  readonly pod?: object;
  readonly context?: object;
  readonly container?: object;
  readonly podContext?: object;
  readonly annotations?: object;
}

const HARDENED = { allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: { drop: ["ALL"] } };
const CONFINED = { seccompProfile: { type: "RuntimeDefault" } };
const must = 'container "c" must';

function text({ pod, context, container, podContext, annotations = {} }: Part): string {
  const securityContext = { ...HARDENED, ...context };
  const spec = {
    securityContext: { ...CONFINED, ...podContext },
    containers: [{ name: "c", image: "podwire/echo", ...container, securityContext }],
    ...pod,
  };
  const metadata = { name: "x", namespace: "shop", annotations };
  return JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata, spec });
}

const hostPath = { volumes: [{ name: "v", hostPath: { path: "/" } }] };
const probe = (host: string) => ({
  livenessProbe: { httpGet: { port: 80, ...(host === "" ? {} : { host }) } },
});

const CASES: readonly Case[] = [
  {
    check: "appArmorProfile",
    versions: ["v1.0", "latest"],
    pass: { context: { appArmorProfile: { type: "RuntimeDefault" } } },
    fail: { context: { appArmorProfile: { type: "Unconfined" } } },
    message: `forbidden AppArmor profile (${must} not set AppArmor profile type to "Unconfined")`,
  },
  {
    check: "capabilities_baseline",
    versions: ["v1.0", "latest"],
    pass: { context: { capabilities: { add: ["CHOWN"] } } },
    fail: { context: { capabilities: { add: ["NET_ADMIN"] } } },
    message: `non-default capabilities (${must} not include "NET_ADMIN" in securityContext.capabilities.add)`,
  },
  {
    check: "hostNamespaces",
    versions: ["v1.0", "latest"],
    pass: { pod: { hostNetwork: false } },
    fail: { pod: { hostNetwork: true } },
    message: "host namespaces (hostNetwork=true)",
  },
  {
    check: "hostPathVolumes",
    versions: ["v1.0", "latest"],
    pass: { pod: { volumes: [{ name: "v", emptyDir: {} }] } },
    fail: { pod: hostPath },
    message: 'hostPath volumes (volume "v")',
  },
  {
    check: "hostPorts",
    versions: ["v1.0", "latest"],
    pass: { container: { ports: [{ containerPort: 80 }] } },
    fail: { container: { ports: [{ containerPort: 80, hostPort: 80 }] } },
    message: 'hostPort (container "c" uses hostPort 80)',
  },
  {
    check: "hostProbesAndHostLifecycle",
    versions: ["v1.34", "latest"],
    pass: { container: probe("") },
    fail: { container: probe("10.0.0.1") },
    message: 'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
  },
  {
    check: "privileged",
    versions: ["v1.0", "latest"],
    pass: { context: { allowPrivilegeEscalation: true, privileged: false } },
    fail: { context: { allowPrivilegeEscalation: true, privileged: true } },
    message: `privileged (${must} not set securityContext.privileged=true)`,
  },
  {
    check: "procMount",
    versions: ["v1.0", "v1.34"],
    pass: { pod: { hostUsers: false }, context: { procMount: "Default" } },
    fail: { pod: { hostUsers: false }, context: { procMount: "Unmasked" } },
    message: `procMount (${must} not set securityContext.procMount to "Unmasked")`,
  },
  {
    check: "seLinuxOptions",
    versions: ["v1.0", "v1.30"],
    pass: { context: { seLinuxOptions: { type: "container_t" } } },
    fail: { context: { seLinuxOptions: { type: "container_engine_t" } } },
    message:
      'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
  },
  {
    check: "seccompProfile_baseline",
    versions: ["v1.0", "v1.18"],
    pass: { annotations: { "seccomp.security.alpha.kubernetes.io/pod": "docker/default" } },
    fail: { annotations: { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" } },
    message: 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
  },
  {
    check: "seccompProfile_baseline",
    versions: ["v1.19", "latest"],
    pass: { podContext: { seccompProfile: { type: "Localhost", localhostProfile: "x" } } },
    fail: { podContext: { seccompProfile: { type: "Unconfined" } } },
    message: 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
  },
  {
    check: "sysctls",
    versions: ["v1.0", "v1.31"],
    pass: { podContext: { sysctls: [{ name: "net.ipv4.tcp_syncookies", value: "1" }] } },
    fail: { podContext: { sysctls: [{ name: "net.ipv4.tcp_rmem", value: "1" }] } },
    message: "forbidden sysctls (net.ipv4.tcp_rmem)",
  },
  {
    check: "allowPrivilegeEscalation",
    versions: ["v1.8", "latest"],
    fail: { context: { allowPrivilegeEscalation: true } },
    message: `allowPrivilegeEscalation != false (${must} set securityContext.allowPrivilegeEscalation=false)`,
  },
  {
    check: "capabilities_restricted",
    versions: ["v1.22", "latest"],
    pass: { context: { capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } } },
    fail: { context: { capabilities: { drop: ["NET_RAW"] } } },
    message: `unrestricted capabilities (${must} set securityContext.capabilities.drop=["ALL"])`,
  },
  {
    check: "procMount_restricted",
    versions: ["v1.35", "latest"],
    pass: { pod: { hostUsers: false }, context: { procMount: "Default" } },
    fail: { pod: { hostUsers: false }, context: { procMount: "Unmasked" } },
    message: `procMount (${must} not set securityContext.procMount to "Unmasked")`,
  },
  {
    check: "restrictedVolumes",
    versions: ["v1.0", "latest"],
    pass: { pod: { volumes: [{ name: "v", secret: { secretName: "s" } }] } },
    fail: { pod: hostPath },
    message: 'restricted volume types (volume "v" uses restricted volume type "hostPath")',
  },
  {
    check: "runAsNonRoot",
    versions: ["v1.0", "latest"],
    fail: { context: { runAsNonRoot: false } },
    message: 'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
  },
  {
    check: "runAsUser",
    versions: ["v1.23", "latest"],
    pass: { context: { runAsUser: 1000 } },
    fail: { context: { runAsUser: 0 } },
    message: 'runAsUser=0 (container "c" must not set runAsUser=0)',
  },
  {
    check: "seccompProfile_restricted",
    versions: ["v1.19", "latest"],
    fail: { podContext: { seccompProfile: undefined } },
    message:
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  },
];

/** What an API server would say of a pod in a namespace that enforces this. */
function answer(level: string, version: string, pod: string): string {
  const cluster = makeCluster({ nodes: 0 });
  const labels = {
    "pod-security.kubernetes.io/enforce": level,
    "pod-security.kubernetes.io/enforce-version": version,
  };
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels } };
  cluster.apply([{ file: "ns", text: JSON.stringify(namespace) }]);
  try {
    return cluster
      .apply([{ file: "f", text: pod }])
      .map(({ action }) => action)
      .join();
  } catch (error) {
    return (error as Error).message.replace(/^.*?Pod "x": /, "");
  }
}

const forbidden = (policy: string, found: string) =>
  `pods "x" is forbidden: violates PodSecurity "${policy}": ${found}`;

for (const { check, versions, pass = {}, fail, message } of CASES) {
  const level = CHECKS.find(({ id }) => id === check)?.level ?? "";
  t.test(`${check} ${versions.join(" and ")}: ${message}`, async (t) => {
    for (const version of versions) {
      t.equal(answer(level, version, text(pass)), "created", version);
      t.equal(answer(level, version, text(fail)), forbidden(`${level}:${version}`, message), version);
    }
  });
}

t.test("windowsHostProcess, which needs the node's network as well", async (t) => {
  const windows = { spec: { os: { name: "windows" }, hostNetwork: true } };
  const pod = (hostProcess: boolean) =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "x", namespace: "shop" },
      spec: {
        ...windows.spec,
        hostNetwork: hostProcess,
        containers: [{ name: "c", image: "a", securityContext: { windowsOptions: { hostProcess } } }],
      },
    });
  const found =
    'host namespaces (hostNetwork=true), hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)';
  for (const version of ["v1.0", "latest"]) {
    t.equal(answer("baseline", version, pod(false)), "created");
    t.equal(answer("baseline", version, pod(true)), forbidden(`baseline:${version}`, found));
  }
});

t.test("no check is left out", async (t) => {
  const tried = new Set([...CASES.map(({ check }) => check), "windowsHostProcess"]);
  t.same(
    CHECKS.map(({ id }) => id).filter((id) => !tried.has(id)),
    [],
  );
});
