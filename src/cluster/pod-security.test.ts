// Pod security in a cluster: who is refused, who is warned, what becomes of pods that controllers make.
import t from "tap";
import { parseManifests } from "../kube/manifest/manifest.ts";
import type { Event, KubeObject } from "../kube/objects.ts";
import { DEFAULT_CONFIG, type Exemption, type PodSecurityConfig } from "../kube/pod-security/policy.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import type { ApplyOptions } from "./cluster-options.ts";

const CONTEXT =
  "{ runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: { drop: [ ALL ] }, seccompProfile: { type: RuntimeDefault } }";
const HARDENED = `containers: [ { name: c, image: a, securityContext: ${CONTEXT} } ]`;
const PLAIN = "containers: [ { name: c, image: a } ]";
const FOUND =
  'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
  'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
  'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
  'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

const namespace = (labels: string, name = "shop") => `
apiVersion: v1
kind: Namespace
metadata: { name: ${name}, labels: { ${labels
  .split(" ")
  .filter((each) => each !== "")
  .map((each) => `pod-security.kubernetes.io/${each.replace("=", ": ")}`)
  .join(", ")} } }
`;
const pod = (name: string, spec = PLAIN, meta = "") => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop ${meta} }
spec: { ${spec} }
`;
const workload = (kind: string, spec = PLAIN, more = "replicas: 2,") => {
  const version = { Job: "batch/v1", ReplicationController: "v1" }[kind] ?? "apps/v1";
  const selector = { Job: "", ReplicationController: "" }[kind] ?? "selector: { matchLabels: { a: b } },";
  const restart = kind === "Job" ? "restartPolicy: Never," : "";
  return `
apiVersion: ${version}
kind: ${kind}
metadata: { name: w, namespace: shop }
spec: { ${more} ${selector} template: { metadata: { labels: { a: b } }, spec: { ${restart} ${spec} } } }
`;
};

function securedCluster(podSecurity?: PodSecurityConfig) {
  const audited: string[] = [];
  const failed: string[] = [];
  const cluster = makeCluster({
    events: true,
    podSecurity,
    audit: (line) => audited.push(line),
    onFailedCreate: ({ object, message }) => failed.push(`${object.kind}: ${message}`),
  });
  const warnings: string[] = [];
  const apply = (text: string, options: ApplyOptions = {}): string[] => {
    warnings.length = 0;
    const manifests = parseManifests([{ file: "f.yaml", text }]);
    const all = { ...options, warn: (line: string) => void warnings.push(line) };
    return cluster.applyManifests(manifests, all).map(({ resource, action }) => `${resource} ${action}`);
  };
  const pods = () => cluster.list("Pod").map(({ metadata }) => metadata.name);
  const events = () =>
    (cluster.list("Event") as Event[])
      .filter(({ involvedObject }) => involvedObject.kind !== "Pod")
      .map(
        ({ reason, message, source, type, count }) =>
          `${type} ${reason} ${source?.component} ${count} ${message}`,
      );
  return { cluster, apply, warnings, audited, failed, pods, events };
}

function exempting(kind: Exemption, name: string): PodSecurityConfig {
  return { ...DEFAULT_CONFIG, exemptions: { ...DEFAULT_CONFIG.exemptions, [kind]: [name] } };
}

t.test(
  "a pod that its namespace does not admit is refused in the API server's sentence, nothing applied",
  async (t) => {
    const { apply, pods, warnings, audited } = securedCluster();
    apply(namespace("enforce=restricted audit=baseline"));
    t.throws(() => apply(`${pod("fine", HARDENED)}---${pod("x")}`), {
      code: "MANIFEST_INVALID",
      message: `f.yaml:10:1: document 2: Pod "x": pods "x" is forbidden: violates PodSecurity "restricted:latest": ${FOUND}`,
    });
    t.same([pods(), warnings, audited], [[], [], []]);
    t.same(apply(pod("fine", HARDENED)), ["pod/fine created"]);
    t.throws(
      () => apply(pod("other", `hostNetwork: true, ${PLAIN}`), { dryRun: true }),
      /host namespaces \(hostNetwork=true\)/,
    );
    t.match(audited, [
      /^audit: create Pod shop\/other by kubernetes-admin: pod-security\.kubernetes\.io\/audit-violations: would violate PodSecurity "baseline:latest": host namespaces/,
    ]);
  },
);

t.test("labels of the same call hold, whatever stands first; versions differ", async (t) => {
  const { apply } = securedCluster();
  t.throws(() => apply(`${pod("x")}---${namespace("enforce=restricted enforce-version=v1.8")}`), {
    message:
      /violates PodSecurity "restricted:v1\.8": allowPrivilegeEscalation != false \(.*\), runAsNonRoot != true \([^(]*\)$/,
  });
  t.same(
    apply(
      `${pod("x", `os: { name: windows }, securityContext: { runAsNonRoot: true }, ${PLAIN}`)}---${namespace("enforce=restricted")}`,
    ),
    ["pod/x created", "namespace/shop created"],
  );
});

t.test("warnings: of pods and of templates, once a request, not of what is unchanged", async (t) => {
  const { apply, warnings } = securedCluster();
  apply(namespace("warn=restricted warn-version=v1.20"));
  const line =
    /^would violate PodSecurity "restricted:v1\.20": allowPrivilegeEscalation != false .* seccompProfile /;
  for (const text of [
    pod("x"),
    ...["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"].map((kind) => workload(kind)),
    ...["DaemonSet", "Job"].map((kind) => workload(kind, PLAIN, "")),
  ]) {
    apply(text, { dryRun: true });
    t.match([...warnings], [line], text);
    apply(text);
    t.match([...warnings], [line], text);
    apply(text);
    t.same(warnings, [], "unchanged");
  }
  apply(workload("Deployment").replace("replicas: 2", "replicas: 3"));
  t.match([...warnings], [line], "configured");
  apply(pod("x", PLAIN, ", labels: { a: c }"));
  t.same(warnings, [], "a pod whose programs stay as they are");
  apply(pod("x", PLAIN.replace("image: a", "image: b")));
  t.match([...warnings], [line], "another image");
});

t.test(
  "templates are warned of what enforce asks for; hostNetwork makes host ports of pods alone",
  async (t) => {
    const { apply, warnings, failed } = securedCluster();
    const ports = "containers: [ { name: c, image: a, ports: [ { containerPort: 80 } ] } ]";
    apply(`${namespace("enforce=baseline")}---${workload("Deployment", `hostNetwork: true, ${ports}`)}`);
    t.same(warnings, ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']);
    t.match(failed, [
      /^ReplicaSet: Error creating: pods "w-\S+" is forbidden: violates PodSecurity "baseline:latest": host namespaces \(hostNetwork=true\), hostPort \(container "c" uses hostPort 80\)$/,
    ]);
  },
);

t.test(
  "a Deployment's pods are refused: event, condition, and they come when the labels change",
  async (t) => {
    const { cluster, apply, pods, events } = securedCluster();
    const deployment = () =>
      cluster.get("Deployment", "shop/w") as KubeObject & { status: { conditions: object[] } };
    apply(`${namespace("enforce=restricted")}---${workload("Deployment")}`);
    t.same(pods(), []);
    t.match(
      events(),
      [
        /^Warning FailedCreate replicaset-controller 1 Error creating: pods "w-\w+-\w{5}" is forbidden: violates PodSecurity "restricted:latest": /,
        /^Normal ScalingReplicaSet deployment-controller 1 Scaled up replica set w-\w+ from 0 to 2$/,
      ],
      "told once",
    );
    t.match(deployment().status.conditions.at(-1), {
      type: "ReplicaFailure",
      status: "True",
      reason: "FailedCreate",
      message: `violates PodSecurity "restricted:latest": ${FOUND}`,
    });
    apply(namespace("enforce=baseline"));
    t.equal(pods().length, 2);
    t.equal(deployment().status.conditions.length, 2, "the failure is gone");
    t.equal(events().filter((line) => line.includes("SuccessfulCreate")).length, 2);
  },
);

t.test("pods of every other workload are refused, each in its controller's words", async (t) => {
  const refused = 'pods "w-\\S+" is forbidden: violates PodSecurity "restricted:latest": ';
  const words: Record<string, string> = {
    ReplicaSet: `replicaset-controller 1 Error creating: ${refused}`,
    ReplicationController: `replication-controller 1 Error creating: ${refused}`,
    DaemonSet: `daemonset-controller 1 Error creating: ${refused}`,
    Job: `job-controller 1 Error creating: ${refused}`,
    StatefulSet: `statefulset-controller 1 create Pod w-0 in StatefulSet w failed error: ${refused}`,
  };
  for (const [kind, text] of Object.entries(words)) {
    const { cluster, apply, pods, events } = securedCluster();
    apply(namespace("enforce=restricted"));
    apply(workload(kind, PLAIN, kind === "DaemonSet" || kind === "Job" ? "" : "replicas: 2,"));
    t.same(pods(), [], kind);
    t.match(events(), [new RegExp(`^Warning FailedCreate ${text}`)], kind);
    if (kind.startsWith("Replica"))
      t.match(cluster.get(kind, "shop/w"), { status: { conditions: [{ type: "ReplicaFailure" }] } });
    apply(namespace("enforce=privileged"));
    t.ok(pods().length > 0, `${kind}: admitted now`);
    if (kind.startsWith("Replica"))
      t.equal(
        (cluster.get(kind, "shop/w") as unknown as { status: { conditions?: object[] } }).status.conditions,
        undefined,
      );
  }
});

t.test("a namespace with stricter labels is warned of the pods it has; they stay", async (t) => {
  const { apply, warnings, pods } = securedCluster();
  apply(namespace(""));
  apply([pod("a"), pod("b"), pod("c", `hostPID: true, ${PLAIN}`), pod("fine", HARDENED)].join("---"));
  apply(namespace("enforce=restricted enforce-version=v1.7"));
  t.same(warnings, [
    'existing pods in namespace "shop" violate the new PodSecurity enforce level "restricted:v1.7"',
    "a (and 1 other pod): runAsNonRoot != true",
    "c: host namespaces, runAsNonRoot != true",
  ]);
  t.equal(pods().length, 4);
  apply(namespace("enforce=restricted enforce-version=v1.7"));
  t.same(warnings, [], "unchanged");
});

t.test("labels that are none are refused by field, with all that is wrong", async (t) => {
  const { cluster, apply } = securedCluster();
  t.throws(() => apply(namespace("enforce=strict warn-version=1.25.0")), {
    message: [
      'f.yaml:4:71: document 1: Namespace "shop": metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
      'f.yaml:4:120: document 1: Namespace "shop": metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.25.0": must be "latest" or "v1.x"',
    ].join("\n"),
  });
  t.equal(cluster.get("Namespace", "shop"), undefined);
});

t.test("exemptions: namespaces, runtime classes, and users, of whom controllers are some", async (t) => {
  const strict = namespace("enforce=restricted");
  const shop = securedCluster(exempting("namespaces", "shop"));
  t.same(shop.apply(`${strict}---${pod("x")}`), ["namespace/shop created", "pod/x created"]);
  t.same(shop.warnings, [
    'namespace "shop" is exempt from Pod Security, and the policy (enforce=restricted:latest) will be ignored',
  ]);
  const kata = securedCluster(exempting("runtimeClasses", "kata"));
  kata.apply(`${strict}---${pod("x", `runtimeClassName: kata, ${PLAIN}`)}`);
  t.throws(() => kata.apply(pod("other", `runtimeClassName: other, ${PLAIN}`)), /forbidden/);
  const user = securedCluster(exempting("usernames", "kubernetes-admin"));
  user.apply(`${strict}---${pod("x")}---${workload("Deployment")}`);
  t.same([user.pods(), user.failed.length], [["x"], 1]);
  const sa = "system:serviceaccount:kube-system:replicaset-controller";
  const controller = securedCluster(exempting("usernames", sa));
  controller.apply(`${strict}---${workload("Deployment")}`);
  t.equal(controller.pods().length, 2);
  t.throws(() => controller.apply(pod("x")), /forbidden/);
});

t.test("a refused rollout leaves the pods that there are", async (t) => {
  const { apply, pods, failed } = securedCluster();
  apply(`${namespace("enforce=baseline")}---${workload("Deployment", PLAIN, "replicas: 4,")}`);
  t.equal(pods().length, 4);
  apply(workload("Deployment", `hostIPC: true, ${PLAIN}`, "replicas: 4,"));
  t.match(failed, [/hostIPC=true/]);
  t.ok(pods().length >= 3, "no more than may be missing go");
});

t.test("pods of a dump have been admitted; AppArmor's annotations are seen as fields", async (t) => {
  const { apply, pods } = securedCluster();
  const dumped = pod("x", PLAIN, ", uid: u-1");
  apply(`${namespace("enforce=restricted")}---${dumped}`, { isDump: true });
  t.same(pods(), ["x"]);
  t.throws(() => apply(pod("other"), { isDump: true }), /forbidden/);
  apply(namespace("enforce=baseline"));
  const annotated = ', annotations: { "container.apparmor.security.beta.kubernetes.io/c": unconfined }';
  t.throws(() => apply(pod("z", PLAIN, annotated)), {
    message:
      /forbidden AppArmor profiles \(container "c" and annotation must not set AppArmor profile type to "Unconfined", "container\.apparmor\.security\.beta\.kubernetes\.io\/c="unconfined""\)/,
  });
});

t.test("a pod comes without ephemeral containers, and gets none by apply", async (t) => {
  const { apply } = securedCluster();
  apply(namespace(""));
  const debugged = pod("x", `ephemeralContainers: [ { name: e, image: a } ], ${PLAIN}`);
  t.throws(() => apply(debugged), /spec\.ephemeralContainers: Forbidden: cannot be set on create/);
  apply(pod("x"));
  t.throws(() => apply(debugged), /pod updates may not change fields other than/);
});

t.test("after a call that was refused nothing is told again", async (t) => {
  const { apply, events } = securedCluster();
  apply(`${namespace("enforce=restricted")}---${workload("Deployment")}`);
  const before = events();
  t.throws(() => apply(pod("x")), /forbidden/);
  t.same(events(), before);
});
