// What `lab status` tells: of the lab process by its socket, or put together from what a dead one left behind.
import type { Pod } from "../kube/objects.ts";

export interface NodeReport {
  name: string;
  address: string;
  podCIDR: string;
  agent: string;
  /** Ready, Starting, NotReady; the reason says why. */
  state: string;
  pid: number | null;
  restarts: number;
  reason: string;
}

export interface PodReport {
  namespace: string;
  name: string;
  node: string;
  ip: string;
  ready: string;
  status: string;
  restarts: number;
  reason: string;
  processes: { container: string; pid: number | null; state: string; restarts: number; reason: string }[];
}

export interface LabStatus {
  lab: string;
  /** running, or "dead" when the lab process is gone. */
  state: "running" | "dead";
  pid: number | null;
  startedAt: string | null;
  ready: boolean;
  nodes: NodeReport[];
  pods: PodReport[];
  clients: { name: string; address: string }[];
  /** Everything that is not right, one line each. Empty means all is well. */
  problems: string[];
  /** Those of them that no waiting mends: pods that were refused, that fit on no node, that have failed for good. */
  stuck: string[];
}

/** Reason of the Ready condition when readiness gates alone are in its way. */
export const GATED = "ReadinessGatesNotReady";

/** What a volume lacks while the lab comes up. */
export const NOT_YET = "the API is not served yet";

export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
}

/**
 * A pod that will not be ready as things are: refused by its node, ended for good, without a node to go to, or with a
 * readiness gate that somebody has to open.
 */
export function isStuck(pod: Pod, nodes: readonly string[]): boolean {
  const { status, spec, metadata } = pod;
  if (metadata.deletionTimestamp !== undefined) return false; // soon gone
  if (status.phase === "Failed") return true;
  if (status.reason === "FailedMount" && status.message?.endsWith(NOT_YET) !== true) return true;
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  if (states.some(({ state }) => state?.waiting?.reason === "CreateContainerConfigError")) return true;
  const isBlocked = status.conditions?.some(({ reason }) => reason === "Unschedulable" || reason === GATED);
  return isBlocked === true || isForeign(spec.nodeName, nodes);
}

function isForeign(nodeName: string | undefined, nodes: readonly string[]): boolean {
  return nodeName !== undefined && !nodes.includes(nodeName);
}

/** Why a pod's containers ended last, or cannot start: "killed by signal 9", "exit status 1: no such file". */
export function podReason(pod: Pod): string {
  if (pod.status.message !== undefined && pod.status.message !== "") return pod.status.message;
  for (const c of [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])]) {
    const { reason, message = "" } = c.state?.waiting ?? {};
    if (reason?.startsWith("CreateContainer") && message !== "") return `${c.name}: ${message}`;
    const ended = c.state?.terminated ?? c.lastState?.terminated;
    if (ended !== undefined && (ended.exitCode !== 0 || c.restartCount > 0)) {
      return `${c.name}: ${exitText(ended.exitCode, ended.message ?? "")}`;
    }
  }
  const blocked = pod.status.conditions?.find((c) => c.status === "False" && c.message !== undefined);
  return blocked?.message ?? "";
}

export function exitText(exitCode: number, message: string): string {
  const what =
    exitCode > 128 && exitCode < 160 ? `killed by signal ${exitCode - 128}` : `exit status ${exitCode}`;
  return message === "" ? what : `${what}: ${message}`;
}
