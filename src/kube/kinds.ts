// The kinds we know, with kubectl's words for them. One table, so that parsing, the store and the commands agree.
import { CARRIED_KINDS } from "./carried-kinds.ts";

export interface KindInfo {
  readonly kind: string;
  readonly apiVersion: string;
  /** Versions of before that say the same in the same fields; read as `apiVersion`. */
  readonly formerVersions?: readonly string[];
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Not of the API server's own kinds: its definition's schema says what is right. */
  readonly custom?: boolean;
  /** False for configuration files: they are never stored. */
  readonly stored: boolean;
  /** Stored as it is given, and read by nothing of the network's: carried-kinds.ts. */
  readonly carried?: boolean;
  /** Carried, and in a cluster somebody would act on it. */
  readonly idle?: boolean;
}

const core = (kind: string, plural: string, shortNames: string[], namespaced = true): KindInfo => ({
  kind,
  apiVersion: "v1",
  plural,
  singular: kind.toLowerCase(),
  shortNames,
  namespaced,
  stored: true,
});

const configuration = (kind: string, apiVersion: string): KindInfo => ({
  kind,
  apiVersion,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  shortNames: [],
  namespaced: false,
  stored: false,
});

/** In the order in which dependent things are best made. */
export const KINDS: readonly KindInfo[] = [
  core("Namespace", "namespaces", ["ns"], false),
  core("Node", "nodes", ["no"], false),
  core("Service", "services", ["svc"]),
  { ...core("Endpoints", "endpoints", ["ep"]), singular: "endpoints" },
  core("Pod", "pods", ["po"]),
  { ...core("Deployment", "deployments", ["deploy"]), apiVersion: "apps/v1" },
  { ...core("ReplicaSet", "replicasets", ["rs"]), apiVersion: "apps/v1" },
  { ...core("StatefulSet", "statefulsets", ["sts"]), apiVersion: "apps/v1" },
  { ...core("DaemonSet", "daemonsets", ["ds"]), apiVersion: "apps/v1" },
  { ...core("Job", "jobs", []), apiVersion: "batch/v1" },
  { ...core("CronJob", "cronjobs", ["cj"]), apiVersion: "batch/v1" },
  core("ReplicationController", "replicationcontrollers", ["rc"]),
  { ...core("EndpointSlice", "endpointslices", []), apiVersion: "discovery.k8s.io/v1" },
  { ...core("NetworkPolicy", "networkpolicies", ["netpol"]), apiVersion: "networking.k8s.io/v1" },
  {
    ...core("ClusterNetworkPolicy", "clusternetworkpolicies", ["cnp"], false),
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    custom: true,
  },
  {
    ...core("ServiceCIDR", "servicecidrs", [], false),
    apiVersion: "networking.k8s.io/v1",
    formerVersions: ["networking.k8s.io/v1beta1", "networking.k8s.io/v1alpha1"],
  },
  configuration("KubeProxyConfiguration", "kubeproxy.config.k8s.io/v1alpha1"),
  configuration("Lab", "podwire.dev/v1alpha1"),
  configuration("AgentConfiguration", "podwire.dev/v1alpha1"),
  configuration("DNSConfiguration", "podwire.dev/v1alpha1"),
];

/** What a cluster's components write of their own accord: never read from manifests. */
const RECORDED = core("Event", "events", ["ev"]);

/** Pods as Calico sees them: shown, made of pods, and neither read nor stored. */
export const WORKLOAD_ENDPOINT: KindInfo = {
  ...core("WorkloadEndpoint", "workloadendpoints", ["wep", "weps"]),
  apiVersion: "projectcalico.org/v3",
  stored: false,
};

const CARRIED: readonly KindInfo[] = CARRIED_KINDS.map((each) => ({
  ...each,
  singular: each.kind.toLowerCase(),
  stored: true,
  carried: true,
}));

/** All that a store holds. */
export const STORED_KINDS: readonly KindInfo[] = [
  ...KINDS.filter(({ stored }) => stored),
  ...CARRIED,
  RECORDED,
];

/** What makes pods of a template. */
export const WORKLOADS: readonly string[] = [
  "DaemonSet",
  "Deployment",
  "Job",
  "ReplicaSet",
  "ReplicationController",
  "StatefulSet",
];

const byKind = new Map(KINDS.map((info) => [info.kind, info]));
const byWord = new Map<string, KindInfo>();
for (const info of STORED_KINDS) {
  const group = groupOf(info);
  for (const word of [info.plural, info.singular, ...info.shortNames]) byWord.set(word, info);
  if (group !== "") for (const word of [info.plural, info.singular]) byWord.set(`${word}.${group}`, info);
}

/** The kind of a manifest, or undefined when kind and version do not name one of ours. */
export function kindOf(apiVersion: string, kind: string): KindInfo | undefined {
  const info = byKind.get(kind);
  const isKnown = info?.apiVersion === apiVersion || info?.formerVersions?.includes(apiVersion) === true;
  return isKnown ? info : undefined;
}

/** A kind that is stored as it is given, by a manifest's kind and version. */
export function carriedKind(apiVersion: string, kind: string): KindInfo | undefined {
  return CARRIED.find((info) => info.kind === kind && info.apiVersion === apiVersion);
}

/** By its name ("Service"); it must be one of ours. */
export function kindNamed(kind: string): KindInfo {
  const others = [RECORDED, WORKLOAD_ENDPOINT, ...CARRIED];
  const info = byKind.get(kind) ?? others.find((each) => each.kind === kind);
  if (info === undefined) throw new TypeError(`no kind ${kind}`);
  return info;
}

/** kubectl's words for a kind, in any case: pods, po, Pod, deployments.apps … undefined when there is none. */
export function kindFromWord(word: string): KindInfo | undefined {
  return byWord.get(word.toLowerCase());
}

/** Of what `get` and `describe` show: the kinds that are stored, and those made of them. */
export function shownKindFromWord(word: string): KindInfo | undefined {
  const { plural, singular, shortNames } = WORKLOAD_ENDPOINT;
  const group = groupOf(WORKLOAD_ENDPOINT);
  const words = [plural, singular, ...shortNames, `${plural}.${group}`, `${singular}.${group}`];
  return words.includes(word.toLowerCase()) ? WORKLOAD_ENDPOINT : kindFromWord(word);
}

/** Of a word that means no kind that is stored. */
export function unknownKind(word: string): string {
  const shown = shownKindFromWord(word);
  if (shown === undefined) return `the server doesn't have a resource type ${JSON.stringify(word)}`;
  return `${shown.plural} are made of pods when they are shown: change the pods`;
}

/** "apps", "discovery.k8s.io"; empty for the core group. */
export function groupOf(info: Pick<KindInfo, "apiVersion">): string {
  const slash = info.apiVersion.indexOf("/");
  return slash < 0 ? "" : info.apiVersion.slice(0, slash);
}

/** As errors of an API server name a kind: services, deployments.apps. */
export function qualifiedPlural(info: Pick<KindInfo, "plural" | "apiVersion">): string {
  const slash = info.apiVersion.indexOf("/");
  return slash < 0 ? info.plural : `${info.plural}.${info.apiVersion.slice(0, slash)}`;
}

/** As kubectl names an object in what it prints: service/api, deployment.apps/web. */
export function resourceName(info: KindInfo, name: string): string {
  const group = groupOf(info);
  return `${info.singular}${group === "" ? "" : `.${group}`}/${name}`;
}
