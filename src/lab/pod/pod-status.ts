// Pod status from the state of its containers: phase, conditions, containers, in the words kubelet uses. Pure.
import type { ContainerState, ContainerStatus, PodCondition, PodStatus } from "kubernetes-types/core/v1.js";
import type { Container, Pod } from "../../kube/objects.ts";
import { GATED } from "../lab-status.ts";
import type { Exit, Phase } from "../process/managed-process.ts";

export interface ContainerView {
  container: Container;
  phase: Phase;
  reason: string;
  /** Why it waits, beyond the reason. */
  message?: string;
  startedAtMs: number;
  restarts: number;
  lastExit: Exit | undefined;
  /** It runs, its postStart hook has ended, and its startup probe has succeeded. Absent: as it runs. */
  started?: boolean;
  /** Answer of the readiness probe, or "started" where there is none. */
  ready: boolean;
  /** Why the probe fails. */
  probeMessage: string;
}

export interface PodView {
  pod: Pod;
  hostAddress: string;
  startedAtMs: number;
  /** Why the pod could not be set up, if so. */
  failure: string | undefined;
  failureReason?: string;
  /** Init containers, in their order; sidecars among them. */
  inits?: ContainerView[];
  containers: ContainerView[];
  /** The pod is over whatever its containers do: why. */
  verdict?: { reason: string; message: string } | undefined;
  /** Its node was given up; a node controller takes its readiness away then, and nothing else. */
  isLost?: boolean;
}

interface NotHeld {
  readonly reason: string;
  readonly message?: string;
}

/** Why a pod that is over is not ready. */
const ENDED: Readonly<Record<string, NotHeld>> = {
  Succeeded: { reason: "PodCompleted" },
  Failed: { reason: "PodFailed" },
};

const NODE_LOST: NotHeld = { reason: "NodeNotReady", message: "Node is not ready" };

export function podStatus(view: PodView, nowMs: number): PodStatus {
  const { pod, containers, inits = [], failure, verdict, isLost = false } = view;
  const statuses = containers.map((c) => containerStatus(c, failure));
  const initStatuses = inits.map((c) => initStatus(c, failure));
  const sidecars = initStatuses.filter((_, i) => isSidecar(inits[i].container));
  const allReady = failure === undefined && [...statuses, ...sidecars].every((status) => status.ready);
  const gates = (pod.spec?.readinessGates ?? []).map((gate) => gate.conditionType);
  const closed = gates.flatMap((type) => closedGate(pod, type));
  const phase = verdict === undefined ? phaseOf(view) : "Failed";
  const unheld = ENDED[phase] ?? notReady(view, statuses);
  const hold = (type: string, value: boolean, no: NotHeld = unheld): PodCondition =>
    condition(pod, type, value, nowMs, no);
  const unready = closed.length > 0 ? { reason: GATED, message: closed.join(", ") } : NODE_LOST;
  const waiting = inits.filter((each) => !isInitialized(each)).map(({ container }) => container.name);
  const incomplete = {
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${waiting.join(" ")}]`,
  };
  const { message: _, reason: __, ...before } = pod.status ?? {};
  return {
    ...before,
    phase,
    conditions: [
      hold("Initialized", waiting.length === 0 || phase === "Succeeded", incomplete),
      hold("Ready", allReady && closed.length === 0 && !isLost, allReady ? unready : unheld),
      hold("ContainersReady", allReady),
      hold("PodScheduled", true),
      ...(pod.status?.conditions ?? []).filter(({ type }) => !OWN.includes(type)),
    ],
    ...(failure === undefined
      ? {}
      : { message: failure, reason: view.failureReason ?? "FailedCreatePodSandBox" }),
    ...(verdict ?? {}),
    hostIP: view.hostAddress,
    startTime: iso(view.startedAtMs),
    ...(inits.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: statuses,
  };
}

/** What is written here; others are somebody else's. */
const OWN = ["Initialized", "Ready", "ContainersReady", "PodScheduled"];

/** An init container that goes on beside the others. */
export function isSidecar(container: Container): boolean {
  return (container as { restartPolicy?: string }).restartPolicy === "Always";
}

function isInitialized(view: ContainerView): boolean {
  if (isSidecar(view.container)) return view.phase === "running" ? view.started !== false : view.restarts > 0;
  return view.phase === "terminated" && view.lastExit?.exitCode === 0;
}

function notReady({ containers }: PodView, statuses: readonly ContainerStatus[]): NotHeld {
  const unready = containers.filter((_, i) => !statuses[i].ready).map((c) => c.container.name);
  const probe = containers.find((c, i) => !statuses[i].ready && c.probeMessage !== "")?.probeMessage;
  const said = probe === undefined ? "" : `: readiness probe: ${probe}`;
  const why =
    unready.length === 0 ? undefined : `containers with unready status: [${unready.join(" ")}]${said}`;
  return { reason: "ContainersNotReady", ...(why === undefined ? {} : { message: why }) };
}

/** In the kubelet's words, why a readiness gate keeps the pod from being ready; none: it does not. */
function closedGate(pod: Pod, type: string): string[] {
  const found = pod.status?.conditions?.find((c) => c.type === type);
  if (found === undefined) return [`corresponding condition of pod readiness gate "${type}" does not exist.`];
  if (found.status === "True") return [];
  return [`the status of pod readiness gate "${type}" is not "True", but ${found.status}`];
}

function phaseOf(view: PodView): string {
  const { containers, inits = [], pod } = view;
  if (view.failure !== undefined) return "Pending";
  const policy = pod.spec?.restartPolicy ?? "Always";
  const open = inits.filter((each) => !isInitialized(each));
  const begun = containers.some((c) => c.phase !== "waiting" || c.restarts > 0);
  if (open.length > 0 && !begun) {
    const isLost = open.some((c) => c.phase === "terminated" && c.lastExit?.exitCode !== 0);
    return policy === "Never" && isLost ? "Failed" : "Pending";
  }
  if (containers.some((c) => c.phase === "running")) return "Running";
  if (containers.every((c) => c.phase === "terminated")) {
    if (policy === "Always") return "Running";
    return containers.every((c) => c.lastExit?.exitCode === 0) ? "Succeeded" : "Failed";
  }
  return containers.some((c) => c.restarts > 0) ? "Running" : "Pending";
}

function containerStatus(view: ContainerView, failure: string | undefined): ContainerStatus {
  const { container, lastExit } = view;
  const isRunning = view.phase === "running";
  return {
    name: container.name,
    image: container.image ?? "",
    imageID: "",
    ready: view.ready && isRunning,
    started: view.started ?? isRunning,
    restartCount: view.restarts,
    state: stateOf(view, failure),
    lastState:
      lastExit !== undefined && view.phase !== "terminated" ? { terminated: terminated(lastExit) } : {},
  };
}

/** Of an init container that has ended well, ready means done. */
function initStatus(view: ContainerView, failure: string | undefined): ContainerStatus {
  const status = containerStatus(view, failure);
  if (isSidecar(view.container)) return status;
  return { ...status, ready: isInitialized(view), started: view.phase === "running" };
}

function stateOf(view: ContainerView, failure: string | undefined): ContainerState {
  if (view.phase === "running") return { running: { startedAt: iso(view.startedAtMs) } };
  if (view.phase === "terminated") {
    return {
      terminated:
        view.lastExit === undefined ? { exitCode: 0, reason: view.reason } : terminated(view.lastExit),
    };
  }
  const message = failure ?? view.message ?? view.lastExit?.message;
  return { waiting: { reason: view.reason, ...(message ? { message } : {}) } };
}

function terminated(exit: Exit): NonNullable<ContainerState["terminated"]> {
  return {
    exitCode: exit.exitCode,
    reason: exit.reason,
    ...(exit.message === "" ? {} : { message: exit.message }),
    startedAt: iso(exit.startedAtMs),
    finishedAt: iso(exit.finishedAtMs),
  };
}

function condition(pod: Pod, type: string, holds: boolean, nowMs: number, unheld: NotHeld): PodCondition {
  const status = holds ? "True" : "False";
  const before = pod.status?.conditions?.find((c) => c.type === type);
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : iso(nowMs);
  return {
    type,
    status,
    ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
    ...(holds ? {} : unheld),
  };
}

/** Kubernetes writes times to the second. */
export function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Before anything of it was begun. */
export function waitingView(container: Container, reason: string): ContainerView {
  return {
    container,
    phase: "waiting",
    reason,
    startedAtMs: 0,
    restarts: 0,
    lastExit: undefined,
    ready: false,
    probeMessage: "",
  };
}
