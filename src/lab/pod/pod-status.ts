// Pod status from the state of its containers: phase, conditions, containerStatuses, in the words kubelet uses. Pure.
import type { ContainerState, ContainerStatus, PodCondition, PodStatus } from "kubernetes-types/core/v1.js";
import type { Container, Pod } from "../../kube/objects.ts";
import { GATED } from "../lab-status.ts";
import type { Exit, Phase } from "../process/managed-process.ts";

export interface ContainerView {
  container: Container;
  phase: Phase;
  reason: string;
  startedAtMs: number;
  restarts: number;
  lastExit: Exit | undefined;
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
  containers: ContainerView[];
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

export function podStatus(view: PodView, nowMs: number): PodStatus {
  const { pod, containers } = view;
  const statuses = containers.map((c) => containerStatus(c, view.failure));
  const allReady = view.failure === undefined && statuses.every((status) => status.ready);
  const gates = (pod.spec?.readinessGates ?? []).map((gate) => gate.conditionType);
  const closed = gates.flatMap((type) => closedGate(pod, type));
  const unready = containers.filter((_, i) => !statuses[i].ready).map((c) => c.container.name);
  const probe = containers.find((c, i) => !statuses[i].ready && c.probeMessage !== "")?.probeMessage;
  const said = probe === undefined ? "" : `: readiness probe: ${probe}`;
  const why =
    unready.length === 0 ? undefined : `containers with unready status: [${unready.join(" ")}]${said}`;
  const phase = phaseOf(view);
  const unheld = ENDED[phase] ?? {
    reason: "ContainersNotReady",
    ...(why === undefined ? {} : { message: why }),
  };
  const hold = (type: string, value: boolean, no: NotHeld = unheld): PodCondition =>
    condition(pod, type, value, nowMs, no);
  const gated = { reason: GATED, message: closed.join(", ") };
  return {
    ...(pod.status ?? {}),
    phase,
    conditions: [
      hold("Initialized", true),
      hold("Ready", allReady && closed.length === 0, allReady ? gated : unheld),
      hold("ContainersReady", allReady),
      hold("PodScheduled", true),
      ...(pod.status?.conditions ?? []).filter((c) => gates.includes(c.type)),
    ],
    ...(view.failure === undefined ? {} : { message: view.failure, reason: "FailedCreatePodSandBox" }),
    hostIP: view.hostAddress,
    startTime: iso(view.startedAtMs),
    containerStatuses: statuses,
  };
}

/** In the kubelet's words, why a readiness gate keeps the pod from being ready; none: it does not. */
function closedGate(pod: Pod, type: string): string[] {
  const found = pod.status?.conditions?.find((c) => c.type === type);
  if (found === undefined) return [`corresponding condition of pod readiness gate "${type}" does not exist.`];
  if (found.status === "True") return [];
  return [`the status of pod readiness gate "${type}" is not "True", but ${found.status}`];
}

function phaseOf(view: PodView): string {
  const { containers, pod } = view;
  if (view.failure !== undefined) return "Pending";
  if (containers.some((c) => c.phase === "running")) return "Running";
  if (containers.every((c) => c.phase === "terminated")) {
    const policy = pod.spec?.restartPolicy ?? "Always";
    if (policy === "Always") return "Running";
    return containers.every((c) => c.lastExit?.exitCode === 0) ? "Succeeded" : "Failed";
  }
  return containers.some((c) => c.restarts > 0) ? "Running" : "Pending";
}

function containerStatus(view: ContainerView, failure: string | undefined): ContainerStatus {
  const { container, lastExit } = view;
  return {
    name: container.name,
    image: container.image ?? "",
    imageID: "",
    ready: view.ready && view.phase === "running",
    started: view.phase === "running",
    restartCount: view.restarts,
    state: stateOf(view, failure),
    lastState:
      lastExit !== undefined && view.phase !== "terminated" ? { terminated: terminated(lastExit) } : {},
  };
}

function stateOf(view: ContainerView, failure: string | undefined): ContainerState {
  if (view.phase === "running") return { running: { startedAt: iso(view.startedAtMs) } };
  if (view.phase === "terminated") {
    return {
      terminated:
        view.lastExit === undefined ? { exitCode: 0, reason: view.reason } : terminated(view.lastExit),
    };
  }
  const message = failure ?? view.lastExit?.message;
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
