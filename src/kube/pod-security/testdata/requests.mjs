// Requests to an API server whose answer pod security decides: what is asked, what is there, how it is configured.
const P = "pod-security.kubernetes.io/";
const labels = (of) => Object.fromEntries(Object.entries(of).map(([key, value]) => [P + key, value]));

const plain = { containers: [{ name: "c", image: "a" }] };
const hardened = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
  containers: [
    {
      name: "c",
      image: "a",
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    },
  ],
};
const hostNetwork = { ...plain, hostNetwork: true };

function pod(name, spec, more = {}) {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "shop", ...more }, spec };
}
function owned(name, uid, spec) {
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "r", uid, controller: true };
  return pod(name, spec, { ownerReferences: [owner] });
}
function namespace(of, name = "shop") {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: labels(of) } };
}
function workload(apiVersion, kind, spec) {
  const metadata = { name: "w", namespace: "shop" };
  return { apiVersion, kind, metadata, spec: { template: { metadata: { labels: { a: "b" } }, spec } } };
}
const deployment = (spec) => workload("apps/v1", "Deployment", spec);
function withImage(spec, image) {
  return { ...spec, containers: spec.containers.map((each) => ({ ...each, image })) };
}

const HEAD = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n";
const EXEMPT = `${HEAD}exemptions: { usernames: [ admin ], runtimeClasses: [ kata ], namespaces: [ shop ] }\n`;
const BASELINE = `${HEAD}defaults: { enforce: baseline, enforce-version: v1.20, warn: restricted, audit: restricted }\n`;

const create = (title, object, of = {}, more = {}) => ({
  title,
  operation: "CREATE",
  object,
  labels: labels(of),
  ...more,
});
const update = (title, old, object, of = {}, more = {}) => ({
  ...create(title, object, of, more),
  operation: "UPDATE",
  old,
});
const relabel = (title, from, to, pods = [], more = {}) =>
  update(title, namespace(from), namespace(to), to, { pods, ...more });

function namespaceRequests() {
  const mixed = [
    pod("b", hostNetwork),
    pod("a", hostNetwork),
    pod("c", hostNetwork),
    pod("fine", hardened),
    pod("x", plain),
    pod("privileged", { containers: [{ name: "c", image: "a", securityContext: { privileged: true } }] }),
    pod("kata", { ...hostNetwork, runtimeClassName: "kata" }),
    owned("r-2", "u", plain),
    owned("r-1", "u", plain),
  ];
  return [
    create(
      "a namespace with all labels",
      namespace({
        enforce: "baseline",
        "enforce-version": "v1.0",
        audit: "restricted",
        "audit-version": "latest",
        warn: "privileged",
        "warn-version": "v1.99",
      }),
    ),
    create("a level that is none", namespace({ enforce: "Baseline" })),
    create("an empty level", namespace({ warn: "" })),
    create(
      "versions that are none",
      namespace({ "enforce-version": "1.20", "audit-version": "v1.020", "warn-version": "v2.0" }),
    ),
    create(
      "a version of many digits",
      namespace({ "enforce-version": "v1.9223372036854775808", "warn-version": "v1.9223372036854775807" }),
    ),
    create(
      "everything wrong",
      namespace({
        enforce: "a",
        "enforce-version": "b",
        audit: "c",
        "audit-version": "d",
        warn: "e",
        "warn-version": "f",
      }),
    ),
    create(
      "a namespace that is exempt",
      namespace({ enforce: "baseline", "audit-version": "v1.20", warn: "restricted" }),
      {},
      { config: EXEMPT },
    ),
    create("a namespace that is exempt, without labels", namespace({}), {}, { config: EXEMPT }),
    create(
      "a namespace that is exempt, with the defaults",
      namespace({ enforce: "privileged" }),
      {},
      { config: EXEMPT },
    ),
    relabel("restricted where pods run", {}, { enforce: "restricted" }, mixed),
    relabel("baseline where pods run", {}, { enforce: "baseline", "enforce-version": "v1.24" }, mixed),
    relabel("the same again", { enforce: "baseline" }, { enforce: "baseline", warn: "restricted" }, mixed),
    relabel(
      "another version",
      { enforce: "baseline" },
      { enforce: "baseline", "enforce-version": "v1.20" },
      mixed,
    ),
    relabel(
      "another version and a lower level",
      { enforce: "restricted" },
      { enforce: "baseline", "enforce-version": "v1.20" },
      mixed,
    ),
    relabel("a lower level", { enforce: "restricted" }, { enforce: "baseline" }, mixed),
    relabel(
      "privileged",
      { enforce: "restricted" },
      { enforce: "privileged", "enforce-version": "v1.20" },
      mixed,
    ),
    relabel("warn and audit alone", {}, { warn: "restricted", audit: "restricted" }, mixed),
    relabel("restricted with an exempt runtime class", {}, { enforce: "baseline" }, mixed, {
      config: EXEMPT.replace("shop", "other"),
    }),
    relabel("restricted where all is well", {}, { enforce: "restricted" }, [pod("fine", hardened)]),
    relabel("an exempt namespace where pods run", {}, { enforce: "baseline" }, mixed, { config: EXEMPT }),
    relabel("no label where the default is stricter", { enforce: "privileged" }, {}, mixed, {
      config: BASELINE,
    }),
    relabel("a level that is none, where one was right", { enforce: "baseline" }, { enforce: "base" }, mixed),
    relabel(
      "a level that is none, as before",
      { enforce: "base" },
      { enforce: "base", audit: "baseline" },
      mixed,
    ),
    relabel("another level that is none", { enforce: "base" }, { enforce: "basis" }, mixed),
    relabel(
      "a version that is none beside",
      { enforce: "base" },
      { enforce: "base", "warn-version": "x" },
      mixed,
    ),
    relabel("the nonsense taken away", { enforce: "base" }, { enforce: "baseline" }, mixed),
  ];
}

function podRequests() {
  const strict = { enforce: "restricted" };
  return [
    create("a pod, no labels", pod("p", hostNetwork)),
    create("a pod that restricted refuses", pod("p", plain), strict),
    create("a pod that restricted admits", pod("p", hardened), strict),
    create("a pod that a version refuses", pod("p", plain), {
      enforce: "restricted",
      "enforce-version": "v1.7",
    }),
    create("a pod that baseline refuses", pod("p", hostNetwork), {
      enforce: "baseline",
      "enforce-version": "v1.99",
    }),
    create("a pod that baseline admits, and warn would not", pod("p", plain), {
      enforce: "baseline",
      warn: "restricted",
    }),
    create("a warning of its own version", pod("p", plain), { warn: "restricted", "warn-version": "v1.8" }),
    create("an audit", pod("p", plain), { audit: "restricted", "audit-version": "v1.18" }),
    create("all three", pod("p", hostNetwork), {
      enforce: "privileged",
      audit: "restricted",
      warn: "baseline",
    }),
    create("a warning beside a refusal", pod("p", hostNetwork), {
      enforce: "baseline",
      audit: "restricted",
      warn: "restricted",
    }),
    create("labels that are none", pod("p", plain), { enforce: "base", audit: "x", warn: "y" }),
    create("a version that is none", pod("p", plain), { enforce: "restricted", "enforce-version": "x" }),
    create("by defaults", pod("p", hostNetwork), {}, { config: BASELINE }),
    create("by defaults, a warning", pod("p", plain), {}, { config: BASELINE }),
    create(
      "labels go before defaults",
      pod("p", hostNetwork),
      { enforce: "privileged" },
      { config: BASELINE },
    ),
    create(
      "a level by label, its version by default",
      pod("p", hostNetwork),
      { enforce: "restricted" },
      { config: BASELINE },
    ),
    create("an exempt user", pod("p", plain), strict, {
      config: EXEMPT.replace("shop", "other"),
      user: "admin",
    }),
    create("another user", pod("p", plain), strict, {
      config: EXEMPT.replace("shop", "other"),
      user: "somebody",
    }),
    create("an exempt namespace", pod("p", plain), strict, { config: EXEMPT }),
    create("an exempt runtime class", pod("p", { ...plain, runtimeClassName: "kata" }), strict, {
      config: EXEMPT.replace("shop", "other"),
    }),
    create("another runtime class", pod("p", { ...plain, runtimeClassName: "runc" }), strict, {
      config: EXEMPT.replace("shop", "other"),
    }),
    update(
      "other labels and annotations",
      pod("p", plain),
      pod("p", plain, {
        labels: { a: "b" },
        annotations: { "container.apparmor.security.beta.kubernetes.io/c": "unconfined" },
      }),
      strict,
    ),
    update("another image", pod("p", plain), pod("p", withImage(plain, "b")), strict),
    update(
      "another image of one that is admitted",
      pod("p", hardened),
      pod("p", withImage(hardened, "b")),
      strict,
    ),
    update(
      "an ephemeral container",
      pod("p", hardened),
      pod("p", { ...hardened, ephemeralContainers: [{ name: "e", image: "a" }] }),
      strict,
      { subresource: "ephemeralcontainers" },
    ),
    update(
      "an ephemeral container that was there",
      pod("p", { ...plain, ephemeralContainers: [{ name: "e", image: "a" }] }),
      pod("p", { ...plain, ephemeralContainers: [{ name: "e", image: "a" }] }),
      strict,
      { subresource: "ephemeralcontainers" },
    ),
    update(
      "an ephemeral container with another image",
      pod("p", { ...plain, ephemeralContainers: [{ name: "e", image: "a" }] }),
      pod("p", { ...plain, ephemeralContainers: [{ name: "e", image: "b" }] }),
      strict,
      { subresource: "ephemeralcontainers" },
    ),
    update(
      "one init container more",
      pod("p", plain),
      pod("p", { ...plain, initContainers: [{ name: "i", image: "a" }] }),
      strict,
    ),
    update("another image, a warning", pod("p", plain), pod("p", withImage(plain, "b")), {
      warn: "restricted",
    }),
  ];
}

function workloadRequests() {
  const kinds = [
    ["v1", "ReplicationController"],
    ["apps/v1", "Deployment"],
    ["apps/v1", "ReplicaSet"],
    ["apps/v1", "StatefulSet"],
    ["apps/v1", "DaemonSet"],
    ["batch/v1", "Job"],
  ];
  return [
    ...kinds.map(([version, kind]) =>
      create(`a ${kind}`, workload(version, kind, plain), { warn: "restricted" }),
    ),
    create("a template where pods would be refused", deployment(hostNetwork), { enforce: "restricted" }),
    create("a template, no warning asked for", deployment(hostNetwork), {
      enforce: "restricted",
      warn: "privileged",
    }),
    create("a template with a version", deployment(plain), {
      enforce: "restricted",
      "enforce-version": "v1.7",
    }),
    create("a template with another version", deployment(plain), {
      enforce: "restricted",
      "enforce-version": "v1.7",
      "warn-version": "v1.20",
    }),
    create("a template and a laxer warning", deployment(plain), { enforce: "restricted", warn: "baseline" }),
    create("a template that all admit", deployment(hardened), { enforce: "restricted" }),
    create("a template, audited", deployment(plain), { audit: "restricted" }),
    create("a template by default", deployment(plain), {}, { config: BASELINE }),
    create(
      "a template by default, where enforce is a label",
      deployment(hostNetwork),
      { enforce: "baseline" },
      { config: BASELINE },
    ),
    create("a template, labels that are none", deployment(plain), { enforce: "base" }),
    create("a template, a warning that is none", deployment(plain), { enforce: "restricted", warn: "x" }),
    create(
      "a template with an exempt runtime class",
      deployment({ ...plain, runtimeClassName: "kata" }),
      { warn: "restricted" },
      { config: EXEMPT.replace("shop", "other") },
    ),
    create(
      "a template of an exempt user",
      deployment(plain),
      { warn: "restricted" },
      { config: EXEMPT.replace("shop", "other"), user: "admin" },
    ),
    create(
      "a template in an exempt namespace",
      deployment(plain),
      { warn: "restricted" },
      { config: EXEMPT },
    ),
    update("a template again", deployment(plain), deployment(withImage(plain, "b")), { warn: "restricted" }),
  ];
}

function configurations() {
  const ask = (title, text) =>
    create(`configuration: ${title}`, namespace({}), {}, { config: `${HEAD}${text}` });
  return [
    ask("nothing", ""),
    ask("a level that is none", "defaults: { enforce: base }"),
    ask(
      "everything wrong",
      "defaults: { enforce: a, enforce-version: b, audit: c, audit-version: d, warn: e, warn-version: f }",
    ),
    ask(
      "exemptions twice and empty",
      'exemptions: { usernames: [ a, "", a ], runtimeClasses: [ a, a, A ], namespaces: [ a, a, A ] }',
    ),
  ];
}

export function requests() {
  return [...namespaceRequests(), ...podRequests(), ...workloadRequests(), ...configurations()];
}
