// Nodes and namespaces.

import { ageOf } from "../../../apiserver/table/age.ts";
import type { Namespace, Node, Pod } from "../../../kube/objects.ts";
import { listed, marks, sorted, timeText } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

const ROLE = "node-role.kubernetes.io/";
const LEGACY_ROLE = "kubernetes.io/role";

export function nodeLines(w: TabWriter, node: Node, pods: readonly Pod[], nowMs: number): void {
  const { metadata, spec, status } = node;
  w.line(0, `Name:\t${metadata.name}`);
  w.line(0, `Roles:\t${rolesOf(metadata.labels).join(",") || "<none>"}`);
  marks(w, node);
  w.line(0, `CreationTimestamp:\t${timeText(metadata.creationTimestamp)}`);
  const taints = [...(spec.taints ?? [])].sort((a, b) =>
    `${a.effect},${a.key}` < `${b.effect},${b.key}` ? -1 : 1,
  );
  listed(
    w,
    "Taints",
    taints.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`),
  );
  w.line(0, `Unschedulable:\t${spec.unschedulable ?? false}`);
  conditionLines(w, node);
  w.line(0, "Addresses:");
  for (const { type, address } of status.addresses ?? []) w.line(1, `${type}:\t${address}`);
  for (const [title, list] of [
    ["Capacity", status.capacity],
    ["Allocatable", status.allocatable],
  ] as const) {
    if (Object.keys(list ?? {}).length > 0) w.line(0, `${title}:`);
    for (const [name, quantity] of sorted(list)) w.line(1, `${name}:\t${quantity}`);
  }
  systemLines(w, node);
  if (spec.podCIDR) w.line(0, `PodCIDR:\t${spec.podCIDR}`);
  if ((spec.podCIDRs ?? []).length > 0) w.line(0, `PodCIDRs:\t${spec.podCIDRs?.join(",")}`);
  if (spec.providerID) w.line(0, `ProviderID:\t${spec.providerID}`);
  podLines(
    w,
    pods.filter((pod) => runsOn(pod, metadata.name)),
    nowMs,
  );
}

function conditionLines(w: TabWriter, { status }: Node): void {
  const { conditions = [] } = status;
  if (conditions.length === 0) return;
  w.line(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
  w.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
  for (const { type, status: holds, lastHeartbeatTime, lastTransitionTime, reason, message } of conditions) {
    const times = `${timeText(lastHeartbeatTime)} \t${timeText(lastTransitionTime)}`;
    w.line(1, `${type} \t${holds} \t${times} \t${reason ?? ""} \t${message ?? ""}`);
  }
}

/** Where a node says nothing of itself, as those of a lab, the section is left out. */
function systemLines(w: TabWriter, { status }: Node): void {
  const info = status.nodeInfo as Record<string, string> | undefined;
  if (info === undefined) return;
  w.line(0, "System Info:");
  for (const [title, field] of [
    ["Machine ID", "machineID"],
    ["System UUID", "systemUUID"],
    ["Boot ID", "bootID"],
    ["Kernel Version", "kernelVersion"],
    ["OS Image", "osImage"],
    ["Operating System", "operatingSystem"],
    ["Architecture", "architecture"],
    ["Container Runtime Version", "containerRuntimeVersion"],
    ["Kubelet Version", "kubeletVersion"],
    ["Kube-Proxy Version", "kubeProxyVersion"],
  ])
    w.line(1, `${title}:\t${info[field] ?? ""}`);
}

/** A lab counts no resources: the columns of requests and limits are left out. */
function podLines(w: TabWriter, pods: readonly Pod[], nowMs: number): void {
  w.line(0, `Non-terminated Pods:\t(${pods.length} in total)`);
  w.line(1, "Namespace\tName\t\tAge");
  w.line(1, "---------\t----\t\t---");
  for (const { metadata } of pods)
    w.line(1, `${metadata.namespace}\t${metadata.name}\t\t${ageOf(metadata.creationTimestamp, nowMs)}`);
}

function runsOn({ spec, status }: Pod, node: string): boolean {
  return spec.nodeName === node && status.phase !== "Succeeded" && status.phase !== "Failed";
}

function rolesOf(labels: Readonly<Record<string, string>> = {}): string[] {
  const named = Object.keys(labels)
    .filter((key) => key.startsWith(ROLE) && key.length > ROLE.length)
    .map((key) => key.slice(ROLE.length));
  return [...new Set([...named, ...(labels[LEGACY_ROLE] ? [labels[LEGACY_ROLE]] : [])])].sort();
}

export function namespaceLines(w: TabWriter, namespace: Namespace): void {
  w.line(0, `Name:\t${namespace.metadata.name}`);
  marks(w, namespace);
  w.line(0, `Status:\t${namespace.status?.phase ?? "Active"}`);
  w.line(0, "\nNo resource quota.");
  w.line(0, "\nNo LimitRange resource.");
}
