// What an API server serves: resources by group, version and plural. The built-in ones are the kinds that a store holds;
// definitions of custom resources add to them.
import { splitApiVersion } from "../kube/api-groups.ts";
import { type KindInfo, STORED_KINDS } from "../kube/kinds.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { CustomVersion } from "./custom/definition.ts";
import { compareVersions } from "./custom/version-order.ts";
import type { TableColumn } from "./table/column.ts";

export interface Resource {
  /** "" is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  /** kubectl get all */
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** status, scale, eviction … */
  readonly subresources: readonly string[];
  /** How the store knows its kind; undefined: it is asked about, and never stored. */
  readonly storedAs: string | undefined;
  readonly info?: KindInfo;
  /** Of a kind that a user has defined. */
  readonly custom?: CustomVersion;
  /** Custom, and served without its definition. */
  readonly isKnown?: boolean;
  /** Of its tables, where they are neither its kind's nor its definition's. */
  readonly columns?: readonly TableColumn[];
  /** The object in this version, where the store holds another one's; and back. */
  readonly convert?: Conversion;
}

export interface Conversion {
  fromStored(object: KubeObject): KubeObject;
  toStored(object: KubeObject): KubeObject;
}

export const ALL_VERBS = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
] as const;

const IN_ALL = new Set([
  "CronJob",
  "DaemonSet",
  "Deployment",
  "HorizontalPodAutoscaler",
  "Job",
  "Pod",
  "ReplicaSet",
  "ReplicationController",
  "Service",
  "StatefulSet",
]);

const WITH_STATUS = new Set([
  ...IN_ALL,
  "APIService",
  "CertificateSigningRequest",
  "ClusterNetworkPolicy",
  "CustomResourceDefinition",
  "FlowSchema",
  "Ingress",
  "Namespace",
  "Node",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "PodDisruptionBudget",
  "PriorityLevelConfiguration",
  "ResourceClaim",
  "ResourceQuota",
  "ServiceCIDR",
  "ValidatingAdmissionPolicy",
  "VolumeAttachment",
]);

const SCALABLE: readonly string[] = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];

const MORE_SUBRESOURCES: Readonly<Record<string, readonly string[]>> = {
  CertificateSigningRequest: ["approval"],
  Pod: ["attach", "binding", "eviction", "exec", "log", "portforward"],
  ServiceAccount: ["token"],
};

export class Resources {
  readonly #byPath = new Map<string, Resource>();
  /** Group → its versions, the preferred one first. */
  readonly #groups = new Map<string, string[]>();

  constructor() {
    for (const info of STORED_KINDS) this.add(builtIn(info));
  }

  /** How often what is served has changed. */
  changes = 0;

  /** A custom resource where something is served without a definition is not. */
  add(resource: Resource): void {
    const { group, version, plural, isKnown = false } = resource;
    if (!isKnown && resource.custom !== undefined && this.#isBuiltIn(resource)) return;
    this.changes++;
    this.#byPath.set(pathOf(group, version, plural), resource);
    const versions = this.#groups.get(group) ?? [];
    if (!versions.includes(version)) versions.push(version);
    versions.sort(compareVersions);
    this.#groups.set(group, versions);
  }

  remove(resource: Resource): void {
    if (this.#isBuiltIn(resource)) return;
    this.changes++;
    const { group, version, plural } = resource;
    this.#byPath.delete(pathOf(group, version, plural));
    if (this.of(group, version).length > 0) return;
    const versions = (this.#groups.get(group) ?? []).filter((each) => each !== version);
    if (versions.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, versions);
  }

  get(group: string, version: string, plural: string): Resource | undefined {
    return this.#byPath.get(pathOf(group, version, plural));
  }

  #isBuiltIn({ group, version, plural }: Resource): boolean {
    const there = this.get(group, version, plural);
    return there !== undefined && (there.isKnown === true || there.custom === undefined);
  }

  of(group: string, version: string): Resource[] {
    return [...this.#byPath.values()].filter((each) => each.group === group && each.version === version);
  }

  get groups(): ReadonlyMap<string, readonly string[]> {
    return this.#groups;
  }
}

function pathOf(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`;
}

/** apps/v1, or v1. */
export function apiVersionOf({ group, version }: Pick<Resource, "group" | "version">): string {
  return group === "" ? version : `${group}/${version}`;
}

function builtIn(info: KindInfo): Resource {
  const [group, version] = splitApiVersion(info.apiVersion);
  const { kind, plural, singular, shortNames, namespaced } = info;
  const subresources = [
    ...(WITH_STATUS.has(kind) ? ["status"] : []),
    ...(SCALABLE.includes(kind) ? ["scale"] : []),
    ...(MORE_SUBRESOURCES[kind] ?? []),
  ];
  return {
    ...{ group, version, kind, plural, singular, shortNames, namespaced, subresources, info },
    categories: IN_ALL.has(kind) ? ["all"] : [],
    storedAs: kind,
  };
}
