// Pod security admission: what an API server's plug-in PodSecurity says of a request. Pods that violate what their
// namespace enforces are refused; templates of pods are warned about, their pods refused when a controller makes them;
// a namespace whose labels become stricter is warned of the pods that it has. Words are the plug-in's own.
import { deepEqual } from "../base/deep-equal.ts";
import type { FieldPath } from "../kube/manifest/field-problems.ts";
import {
  type Container,
  type KubeObject,
  keyOf,
  type Namespace,
  type Pod,
  type PodTemplate,
} from "../kube/objects.ts";
import { detailText, evaluate, reasonText } from "../kube/pod-security/evaluate.ts";
import type { PodShape } from "../kube/pod-security/finding.ts";
import { compareLevels, isSame, type LevelVersion, levelVersionText } from "../kube/pod-security/level.ts";
import {
  DEFAULT_CONFIG,
  hasLevel,
  hasVersion,
  isPrivileged,
  type LabelProblem,
  MODES,
  type PodSecurityConfig,
  type PodSecurityPolicy,
  policyOf,
} from "../kube/pod-security/policy.ts";
import { seenPod } from "../kube/pod-security/seen-pod.ts";
import { accountOf, DEFAULT_ACCOUNT, withAccount } from "./account/pod-account.ts";
import type { AdmissionOptions } from "./cluster-options.ts";
import { type Store, sameContent } from "./store.ts";

export interface AdmissionRequest {
  readonly object: KubeObject;
  /** What it replaces; undefined: it is new. */
  readonly old?: KubeObject | undefined;
  readonly user: string;
}

export interface Judgement {
  /** Why it is refused, and which fields that is about. */
  readonly problems: readonly { readonly path: FieldPath; readonly message: string }[];
  readonly warnings: readonly string[];
  /** Annotations of an audit event: pod-security.kubernetes.io/… */
  readonly audit: Readonly<Record<string, string>>;
}

/** What is there. */
export interface Surroundings {
  /** Labels of a namespace. */
  labels(namespace: string): Readonly<Record<string, string>>;
  pods(namespace: string): Iterable<Pod>;
}

/** Who calls: the user of kubeadm's admin.conf. */
const CALLER = "kubernetes-admin";

const ADMITTED: Judgement = { problems: [], warnings: [], audit: {} };

/** Containers for debugging come by a request of their own. */
const DEBUG_FIELD = ["spec", "ephemeralContainers"];
const NO_DEBUGGING: Judgement = {
  ...ADMITTED,
  problems: [{ path: DEBUG_FIELD, message: `${DEBUG_FIELD.join(".")}: Forbidden: cannot be set on create` }],
};

function isDebugged(object: KubeObject): boolean {
  return object.kind === "Pod" && ((object as Pod).spec.ephemeralContainers ?? []).length > 0;
}

/** Of requests for the objects of a store. */
export class StoreAdmission {
  readonly #store: Store;
  readonly #admission: PodSecurityAdmission;
  readonly #audit: (line: string) => void;
  readonly #hasApi: boolean;

  constructor(store: Store, options: AdmissionOptions) {
    const { podSecurity = DEFAULT_CONFIG, audit = () => {}, hasApi = false } = options;
    this.#store = store;
    this.#audit = audit;
    this.#hasApi = hasApi;
    this.#admission = new PodSecurityAdmission(podSecurity, {
      labels: (name) => store.get("Namespace", name)?.metadata.labels ?? {},
      *pods(namespace) {
        for (const pod of store.values<Pod>("Pod")) if (pod.metadata.namespace === namespace) yield pod;
      },
    });
  }

  /** A new object with what is added to it before it is judged. */
  completed(object: KubeObject): KubeObject {
    const key = this.#accountKey(object);
    return key === undefined ? object : withAccount(object as Pod, this.#store.get("ServiceAccount", key));
  }

  /** A request that changes nothing is none. */
  judge(object: KubeObject, user = CALLER): Judgement {
    const old = this.#store.get(object.kind, keyOf(object));
    if (old !== undefined && sameContent(old, object)) return ADMITTED;
    if (old === undefined && isDebugged(object)) return NO_DEBUGGING;
    const refusal = old === undefined ? this.#accountRefusal(object) : undefined;
    if (refusal !== undefined) return refusal;
    const judged = this.#admission.judge({ object, old, user });
    for (const [key, text] of Object.entries(judged.audit)) {
      if (key === "enforce-policy") continue; // of every pod
      const { namespace, name } = object.metadata;
      const what = `${old === undefined ? "create" : "update"} ${object.kind} ${namespace}/${name} by ${user}`;
      this.#audit(`audit: ${what}: pod-security.kubernetes.io/${key}: ${text}`);
    }
    return judged;
  }

  #accountKey(object: KubeObject): string | undefined {
    return this.#hasApi && object.kind === "Pod" ? accountOf(object as Pod) : undefined;
  }

  /** The account that every namespace has may be about to be made. */
  #accountRefusal(object: KubeObject): Judgement | undefined {
    const key = this.#accountKey(object) ?? `/${DEFAULT_ACCOUNT}`;
    const name = key.slice(key.indexOf("/") + 1);
    if (name === DEFAULT_ACCOUNT || this.#store.get("ServiceAccount", key) !== undefined) return undefined;
    const why = `error looking up service account ${key}: serviceaccount "${name}" not found`;
    const message = `pods "${object.metadata.name}" is forbidden: ${why}`;
    return { ...ADMITTED, problems: [{ path: ["spec", "serviceAccountName"], message }] };
  }

  /** Why a pod that a controller makes is refused; undefined: it is admitted. */
  refusalOf(pod: Pod): string | undefined {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.kind ?? "";
    return this.judge(pod, CONTROLLERS[owner] ?? CALLER).problems[0]?.message;
  }
}

/** Service accounts of the controllers that make pods. */
const CONTROLLERS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({
    DaemonSet: "daemon-set-controller",
    Deployment: "replicaset-controller",
    Job: "job-controller",
    ReplicaSet: "replicaset-controller",
    ReplicationController: "replication-controller",
    StatefulSet: "statefulset-controller",
  }).map(([kind, name]) => [kind, `system:serviceaccount:kube-system:${name}`]),
);

export class PodSecurityAdmission {
  readonly #config: PodSecurityConfig;
  readonly #around: Surroundings;

  constructor(config: PodSecurityConfig, around: Surroundings) {
    this.#config = config;
    this.#around = around;
  }

  judge(request: AdmissionRequest): Judgement {
    const { object, old } = request;
    if (object.kind === "Namespace")
      return this.#namespace(object as Namespace, old as Namespace | undefined);
    const shape = shapeOf(object);
    return shape === undefined ? ADMITTED : this.#pods(request, shape);
  }

  #namespace(next: Namespace, old: Namespace | undefined): Judgement {
    const { name, labels = {} } = next.metadata;
    const { policy, problems } = policyOf(labels, this.#config.defaults);
    const before = old === undefined ? undefined : policyOf(old.metadata.labels, this.#config.defaults);
    const isNew = before === undefined || before.problems.length === 0;
    if (problems.length > 0 && (isNew || !deepEqual(problems, before.problems)))
      return refusedLabels(problems);
    const [is, was] = [policy.enforce, before?.policy.enforce];
    if (was !== undefined && !isStricter(is, was)) return ADMITTED;
    if (this.#config.exemptions.namespaces.includes(name)) {
      const warning = this.#ignored(name, policy, labels);
      return warning === undefined ? ADMITTED : { ...ADMITTED, warnings: [warning] };
    }
    return was === undefined ? ADMITTED : { ...ADMITTED, warnings: this.#violators(name, is) };
  }

  #pods({ object, old, user }: AdmissionRequest, shape: PodShape): Judgement {
    const { namespace = "" } = object.metadata;
    const { exemptions, defaults } = this.#config;
    if (exemptions.namespaces.includes(namespace)) return exempt("namespace");
    if (exemptions.usernames.includes(user)) return exempt("user");
    const { policy, problems } = policyOf(this.#around.labels(namespace), defaults);
    const isPod = object.kind === "Pod";
    const modes = isPod ? MODES : (["warn", "audit"] as const);
    const isFree = modes.every((mode) => policy[mode].level === "privileged");
    if (problems.length === 0 && isFree)
      return isPod ? { ...ADMITTED, audit: { "enforce-policy": "privileged:latest" } } : ADMITTED;
    if (isPod && old !== undefined && !isSignificant(object as Pod, old as Pod)) return ADMITTED;
    if (this.#isExemptClass(shape)) return exempt("runtimeClass");
    const audit: Record<string, string> = {};
    if (problems.length > 0) audit.error = `Failed to parse policy: ${aggregate(problems)}`;
    if (isPod) audit["enforce-policy"] = levelVersionText(policy.enforce);
    const audited = violation(policy.audit, shape);
    if (audited !== undefined) audit["audit-violations"] = `would violate ${audited}`;
    const refused = isPod ? violation(policy.enforce, shape) : undefined;
    if (refused !== undefined) {
      const message = `pods "${object.metadata.name}" is forbidden: violates ${refused}`;
      return { problems: [{ path: ["spec"], message }], warnings: [], audit };
    }
    const warned = violation(policy.warn, shape);
    return { problems: [], warnings: warned === undefined ? [] : [`would violate ${warned}`], audit };
  }

  #isExemptClass({ spec }: PodShape): boolean {
    const { runtimeClassName = "" } = spec;
    return runtimeClassName !== "" && this.#config.exemptions.runtimeClasses.includes(runtimeClassName);
  }

  /**
   * The pods of a namespace that would not be admitted any more, with the same faults together. All of them are looked
   * at: an API server leaves off after 3,000, or after a second.
   */
  #violators(namespace: string, enforce: LevelVersion): string[] {
    const byReason = new Map<string, string[]>();
    for (const pod of this.#around.pods(namespace)) {
      const findings = this.#isExemptClass(pod) ? [] : evaluate(enforce, seenPod(pod));
      if (findings.length === 0) continue;
      const reason = reasonText(findings);
      byReason.set(reason, [...(byReason.get(reason) ?? []), pod.metadata.name]);
    }
    if (byReason.size === 0) return [];
    const level = levelVersionText(enforce);
    const first = `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${level}"`;
    const lines = [...byReason].map(([reason, names]) => {
      const [name] = names.sort();
      const others = names.length - 1;
      const more = others === 0 ? "" : ` (and ${others} other pod${others === 1 ? "" : "s"})`;
      return `${name}${more}: ${reason}`;
    });
    return [first, ...lines.sort()];
  }

  #ignored(
    namespace: string,
    policy: PodSecurityPolicy,
    labels: Readonly<Record<string, string>>,
  ): string | undefined {
    const { defaults } = this.#config;
    const isDefault = MODES.every((mode) => {
      const both = [policy[mode], defaults[mode]];
      return isSame(both[0], both[1]) || both.every(({ level }) => level === "privileged");
    });
    if (isPrivileged(policy) || isDefault) return undefined;
    const said = MODES.filter((mode) => policy[mode].level !== "privileged")
      .filter((mode) => hasLevel(labels, mode) || hasVersion(labels, mode))
      .map((mode) => `${mode}=${levelVersionText(policy[mode])}`);
    const what = `the policy (${said.join(", ")}) will be ignored`;
    return `namespace "${namespace}" is exempt from Pod Security, and ${what}`;
  }
}

/** A pod, or the template that a workload makes pods of. */
function shapeOf(object: KubeObject): PodShape | undefined {
  if (object.kind === "Pod") return seenPod(object as Pod);
  const template = (object as { spec?: { template?: PodTemplate } }).spec?.template;
  return template?.spec === undefined ? undefined : (template as PodShape);
}

/** `PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`. */
function violation(policy: LevelVersion, shape: PodShape): string | undefined {
  const findings = evaluate(policy, shape);
  return findings.length === 0
    ? undefined
    : `PodSecurity "${levelVersionText(policy)}": ${detailText(findings)}`;
}

/** Whether pods that were admitted before may not be now. */
function isStricter(is: LevelVersion, was: LevelVersion): boolean {
  if (isSame(is, was) || is.level === "privileged") return false;
  return is.version !== was.version || compareLevels(is.level, was.level) > 0;
}

function exempt(reason: string): Judgement {
  return { ...ADMITTED, audit: { exempt: reason } };
}

function refusedLabels(problems: readonly LabelProblem[]): Judgement {
  const refused = problems.map(({ label, message }) => ({ path: ["metadata", "labels", label], message }));
  return { ...ADMITTED, problems: refused };
}

/** Several errors as one, as Go's libraries write them. */
function aggregate(problems: readonly LabelProblem[]): string {
  const texts = problems.map(({ message }) => message);
  return texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
}

/** Of an update only what changes the programs of a pod is judged anew. */
function isSignificant({ spec: next }: Pod, { spec: old }: Pod): boolean {
  const changed = (a: readonly Container[] = [], b: readonly Container[] = []): boolean =>
    a.length !== b.length || a.some(({ image }, i) => image !== b[i].image);
  if (changed(next.containers, old.containers) || changed(next.initContainers, old.initContainers))
    return true;
  return (next.ephemeralContainers ?? []).some(({ name, image }) => {
    const before = old.ephemeralContainers?.find((each) => each.name === name);
    return before === undefined || before.image !== image;
  });
}
