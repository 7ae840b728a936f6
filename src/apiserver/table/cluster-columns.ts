// Columns of the cluster's own: nodes, namespaces, events, configuration, rights, limits.
import type * as admission from "kubernetes-types/admissionregistration/v1.js";
import type * as certificates from "kubernetes-types/certificates/v1.js";
import type * as coordination from "kubernetes-types/coordination/v1.js";
import type * as core from "kubernetes-types/core/v1.js";
import type * as nodeApi from "kubernetes-types/node/v1.js";
import type * as rbac from "kubernetes-types/rbac/v1.js";
import type * as scheduling from "kubernetes-types/scheduling/v1.js";
import type { KubeObject } from "../../kube/objects.ts";
import { ageOf, formatAge } from "./age.ts";
import { AGE, type Cell, column, count, NAME, type TableColumn, WIDE } from "./column.ts";

type Condition = { type: string; status: string; reason?: string };
type ApiService = KubeObject & {
  spec?: { service?: { namespace?: string; name?: string } };
  status?: { conditions?: Condition[] };
};
type Subjects = { subjects?: rbac.Subject[]; roleRef?: rbac.RoleRef };
type Info = keyof core.NodeSystemInfo;

const ROLE = "node-role.kubernetes.io/";
const created = column("Created At", ({ metadata }) => metadata.creationTimestamp ?? "", { type: "date" });
/** Of kinds that kube-apiserver has no columns for. */
export const PLAIN: readonly TableColumn[] = [NAME, created];
const webhooks: readonly TableColumn[] = [
  NAME,
  count<admission.ValidatingWebhookConfiguration>("Webhooks", ({ webhooks }) => webhooks?.length),
  AGE,
];
const bindings: readonly TableColumn[] = [
  NAME,
  column<Subjects>("Role", ({ roleRef }) => `${roleRef?.kind}/${roleRef?.name}`),
  AGE,
  column<Subjects>("Users", (o) => subjectsOf(o, "User"), WIDE),
  column<Subjects>("Groups", (o) => subjectsOf(o, "Group"), WIDE),
  column<Subjects>("ServiceAccounts", (o) => subjectsOf(o, "ServiceAccount"), WIDE),
];

export const CLUSTER: Readonly<Record<string, readonly TableColumn[]>> = {
  Node: [
    NAME,
    column("Status", nodeStatus),
    column("Roles", rolesOf),
    AGE,
    column<core.Node>("Version", ({ status }) => status?.nodeInfo?.kubeletVersion ?? ""),
    column<core.Node>("Internal-IP", (node) => addressOf(node, "InternalIP"), WIDE),
    column<core.Node>("External-IP", (node) => addressOf(node, "ExternalIP"), WIDE),
    column<core.Node>("OS-Image", (node) => infoOf(node, "osImage"), WIDE),
    column<core.Node>("Kernel-Version", kernelOf, WIDE),
    column<core.Node>("Container-Runtime", (node) => infoOf(node, "containerRuntimeVersion"), WIDE),
  ],
  Namespace: [NAME, column<core.Namespace>("Status", ({ status }) => status?.phase ?? "Active"), AGE],
  Event: [
    column("Last Seen", lastSeen),
    column<core.Event>("Type", ({ type }) => type ?? ""),
    column<core.Event>("Reason", ({ reason }) => reason ?? ""),
    column<core.Event>("Object", ({ involvedObject: { kind = "", name = "" } }) => {
      return [kind.toLowerCase(), ...(name === "" ? [] : [name])].join("/");
    }),
    column<core.Event>("Subobject", ({ involvedObject }) => involvedObject.fieldPath ?? "", WIDE),
    column<core.Event>(
      "Source",
      ({ source, reportingComponent, reportingInstance }) => {
        const host = source?.host || reportingInstance || "";
        return [source?.component || reportingComponent || "", ...(host === "" ? [] : [host])].join(", ");
      },
      WIDE,
    ),
    column<core.Event>("Message", ({ message }) => (message ?? "").trim()),
    column("First Seen", firstSeen, WIDE),
    column<core.Event>("Count", ({ series, count }) => series?.count ?? (count || 1), WIDE),
    column<KubeObject>("Name", ({ metadata }) => metadata.name, { ...WIDE, format: "name" }),
  ],
  ConfigMap: [
    NAME,
    column<core.ConfigMap>("Data", ({ data, binaryData }) => sizeOf(data) + sizeOf(binaryData)),
    AGE,
  ],
  Secret: [
    NAME,
    column<core.Secret>("Type", ({ type }) => type ?? "Opaque"),
    column<core.Secret>("Data", ({ data }) => sizeOf(data)),
    AGE,
  ],
  ServiceAccount: [NAME, AGE],
  Role: PLAIN,
  ClusterRole: PLAIN,
  RoleBinding: bindings,
  ClusterRoleBinding: bindings,
  Lease: [NAME, column<coordination.Lease>("Holder", ({ spec }) => spec?.holderIdentity ?? ""), AGE],
  PriorityClass: [
    NAME,
    count<scheduling.PriorityClass>("Value", ({ value }) => value),
    column<scheduling.PriorityClass>("Global-Default", ({ globalDefault }) => globalDefault ?? false, {
      type: "boolean",
    }),
    AGE,
    // A column of the narrow table that comes after the age.
    column<scheduling.PriorityClass>("PreemptionPolicy", ({ preemptionPolicy }) => preemptionPolicy ?? ""),
  ],
  RuntimeClass: [NAME, column<nodeApi.RuntimeClass>("Handler", ({ handler }) => handler), AGE],
  LimitRange: PLAIN,
  ResourceQuota: [
    NAME,
    column<core.ResourceQuota>("Request", (quota) => usageOf(quota, false)),
    column<core.ResourceQuota>("Limit", (quota) => usageOf(quota, true)),
    AGE,
  ],
  CertificateSigningRequest: [
    NAME,
    AGE,
    column<certificates.CertificateSigningRequest>("SignerName", ({ spec }) => spec.signerName || "<none>"),
    column<certificates.CertificateSigningRequest>("Requestor", ({ spec }) => spec.username ?? ""),
    column<certificates.CertificateSigningRequest>("RequestedDuration", ({ spec }) => {
      return spec.expirationSeconds === undefined ? "<none>" : formatAge(spec.expirationSeconds * 1000);
    }),
    column("Condition", requestStatus),
  ],
  MutatingWebhookConfiguration: webhooks,
  ValidatingWebhookConfiguration: webhooks,
  CustomResourceDefinition: PLAIN,
  APIService: [
    NAME,
    column<ApiService>("Service", ({ spec }) => {
      return spec?.service === undefined ? "Local" : `${spec.service.namespace}/${spec.service.name}`;
    }),
    column<ApiService>("Available", ({ status }) => {
      const found = status?.conditions?.find(({ type }) => type === "Available");
      if (found === undefined) return "Unknown";
      const reason = found.status === "True" ? "" : (found.reason ?? "");
      return reason === "" ? found.status : `${found.status} (${reason})`;
    }),
    AGE,
  ],
};

/** Nobody has said anything is no "no". */
function nodeStatus({ spec, status }: core.Node): string {
  const ready = status?.conditions?.findLast(({ type }) => type === "Ready");
  const word = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return spec?.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

function rolesOf({ metadata }: KubeObject): string {
  const roles = Object.entries(metadata.labels ?? {}).map(([key, value]) => {
    if (key.startsWith(ROLE)) return key.slice(ROLE.length);
    return key === "kubernetes.io/role" ? value : "";
  });
  return [...new Set(roles.filter((role) => role !== ""))].sort().join(",") || "<none>";
}

function addressOf({ status }: core.Node, type: string): string {
  return status?.addresses?.find((each) => each.type === type)?.address ?? "<none>";
}

function infoOf({ status }: core.Node, field: Info): string {
  return status?.nodeInfo?.[field] || "<unknown>";
}

function kernelOf(node: core.Node): string {
  const architecture = node.status?.nodeInfo?.architecture ?? "";
  return `${infoOf(node, "kernelVersion")}${architecture === "" ? "" : ` (${architecture})`}`;
}

function firstSeen({ firstTimestamp, eventTime }: core.Event, nowMs: number): string {
  return ageOf(firstTimestamp ?? eventTime, nowMs);
}

function lastSeen(event: core.Event, nowMs: number): string {
  const last = event.series?.lastObservedTime ?? event.lastTimestamp;
  return last === undefined || last === null ? firstSeen(event, nowMs) : ageOf(last, nowMs);
}

function sizeOf(map: object | undefined): number {
  return Object.keys(map ?? {}).length;
}

function subjectsOf({ subjects = [] }: Subjects, kind: string): string {
  return subjects
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace = "" }) => (kind === "ServiceAccount" ? `${namespace}/${name}` : name))
    .join(", ");
}

/** "pods: 3/10, …": used and allowed, those of limits apart. */
function usageOf({ status }: core.ResourceQuota, isLimit: boolean): Cell {
  const { hard = {}, used = {} } = status ?? {};
  return Object.keys(hard)
    .filter((name) => name.startsWith("limits.") === isLimit)
    .sort()
    .map((name) => `${name}: ${used[name] ?? 0}/${hard[name]}`)
    .join(", ");
}

function requestStatus({ status }: certificates.CertificateSigningRequest): string {
  const has = (type: string): boolean => status?.conditions?.some((each) => each.type === type) === true;
  const answer = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending";
  const issued = (status?.certificate ?? "") === "" ? "" : ",Issued";
  return `${answer}${has("Failed") ? ",Failed" : ""}${issued}`;
}
