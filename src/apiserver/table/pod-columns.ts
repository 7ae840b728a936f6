// A pod's columns: its READY, STATUS and RESTARTS are put together of its containers' states.
import type * as core from "kubernetes-types/core/v1.js";
import type { Pod } from "../../kube/objects.ts";
import { ageOf } from "./age.ts";
import { AGE, column, NAME, type TableColumn, WIDE } from "./column.ts";

export const PODS: readonly TableColumn[] = [
  NAME,
  column("Ready", readyColumn),
  column("Status", podStatusWord),
  column("Restarts", restartsColumn),
  AGE,
  column("IP", ({ status }: Pod) => status?.podIPs?.[0]?.ip || "<none>", WIDE),
  column("Node", ({ spec }: Pod) => spec.nodeName || "<none>", WIDE),
  column("Nominated Node", ({ status }: Pod) => status?.nominatedNodeName || "<none>", WIDE),
  column("Readiness Gates", readinessGates, WIDE),
];

/** "1/2": containers that are ready, those that run beside the others from the start counted. */
export function readyColumn(pod: Pod): string {
  const { ready, total } = containersOf(pod);
  return `${ready}/${total}`;
}

/** The phase, or what keeps a container from running. */
export function podStatusWord(pod: Pod): string {
  const { metadata, status } = pod;
  const phase = status?.phase ?? "";
  const isEnded = phase === "Succeeded" || phase === "Failed";
  if (metadata.deletionTimestamp === undefined || (isEnded && status.reason !== "NodeLost"))
    return containersOf(pod).word;
  return status?.reason === "NodeLost" ? "Unknown" : "Terminating";
}

/** Of the containers that count: while a pod initializes, of those that do it. */
export function restartsOf(pod: Pod): number {
  return containersOf(pod).restarts;
}

/** "3 (41s ago)". */
function restartsColumn(pod: Pod, nowMs: number): string {
  const { restarts, lastEnd } = containersOf(pod);
  return restarts === 0 || lastEnd === "" ? String(restarts) : `${restarts} (${ageOf(lastEnd, nowMs)} ago)`;
}

interface Containers {
  ready: number;
  total: number;
  word: string;
  restarts: number;
  /** When a container ended that was started again; "": none. */
  lastEnd: string;
}

function containersOf(pod: Pod): Containers {
  const { spec, status } = pod;
  const sidecars = new Set(
    (spec.initContainers ?? []).filter((c) => c.restartPolicy === "Always").map((c) => c.name),
  );
  const isGated = (status?.conditions ?? []).some(
    (c) => c.type === "PodScheduled" && c.reason === "SchedulingGated",
  );
  const first = isGated ? "SchedulingGated" : status?.reason || status?.phase || "Pending";
  const begun = { ready: 0, total: spec.containers.length + sidecars.size, word: first };
  const states = status?.initContainerStatuses ?? [];
  const open = states.findIndex((each) => !isPassed(each, sidecars));
  const passed = open < 0 ? states : states.slice(0, open);
  begun.ready = passed.filter((each) => each.state?.terminated?.exitCode !== 0 && each.ready).length;
  if (open >= 0) begun.word = initWord(states[open], open, spec.initContainers?.length ?? 0);
  const isInitialized = status?.conditions?.some((c) => c.type === "Initialized" && c.status === "True");
  if (open >= 0 && isInitialized !== true) {
    const seen = states.slice(0, open + 1);
    return { ...begun, restarts: sumOf(seen), lastEnd: lastEndOf(seen) };
  }
  const main = status?.containerStatuses ?? [];
  const counted = [...passed, ...states.slice(passed.length, passed.length + 1), ...main].filter(
    (each) => main.includes(each) || sidecars.has(each.name),
  );
  const running = main.filter((each) => isRunning(each)).length;
  return {
    ready: begun.ready + running,
    total: begun.total,
    word: mainWord(begun.word, pod, main, running > 0),
    restarts: sumOf(counted),
    lastEnd: lastEndOf(counted),
  };
}

/** A container of the initialization that holds up no other: it ended well, or it runs on beside them. */
function isPassed({ name, state, started }: core.ContainerStatus, sidecars: Set<string>): boolean {
  return state?.terminated?.exitCode === 0 || (sidecars.has(name) && started === true);
}

function initWord({ state }: core.ContainerStatus, index: number, total: number): string {
  const { terminated, waiting } = state ?? {};
  if (terminated !== undefined) return `Init:${endWord(terminated)}`;
  const reason = waiting?.reason ?? "";
  return reason !== "" && reason !== "PodInitializing" ? `Init:${reason}` : `Init:${index}/${total}`;
}

function endWord({ reason, signal, exitCode }: core.ContainerStateTerminated): string {
  if (reason !== undefined && reason !== "") return reason;
  return signal !== undefined && signal !== 0 ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

/** Of several containers the first that says something; one that failed is not passed over for one that ended well. */
function mainWord(
  before: string,
  { status }: Pod,
  main: core.ContainerStatus[],
  isAnyRunning: boolean,
): string {
  let word = before;
  let failed = "";
  for (const { state } of main.toReversed()) {
    const { waiting, terminated } = state ?? {};
    if (waiting?.reason !== undefined && waiting.reason !== "") word = waiting.reason;
    else if (terminated !== undefined) {
      word = endWord(terminated);
      if (terminated.exitCode !== 0) failed = word;
    }
  }
  if (word !== "Completed") return word;
  const isReady = status.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;
  if (isAnyRunning && isReady) return "Running";
  return failed || (isAnyRunning ? "NotReady" : word);
}

function isRunning({ ready, state }: core.ContainerStatus): boolean {
  const isWaiting = state?.waiting?.reason !== undefined && state.waiting.reason !== "";
  return !isWaiting && state?.terminated === undefined && ready && state?.running !== undefined;
}

function sumOf(statuses: core.ContainerStatus[]): number {
  return statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function lastEndOf(statuses: core.ContainerStatus[]): string {
  const ends = statuses.map(({ lastState }) => lastState?.terminated?.finishedAt ?? "");
  return ends.sort().at(-1) ?? "";
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const open = gates.filter(
    ({ conditionType }) => status?.conditions?.find((c) => c.type === conditionType)?.status === "True",
  );
  return `${open.length}/${gates.length}`;
}
