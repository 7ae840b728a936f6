// Is everything up that was asked for? Deployments, StatefulSets, DaemonSets and ReplicationControllers by their own
// status, Jobs by their end.
import { setTimeout as sleep } from "node:timers/promises";
import type { AskedLab } from "./reach-services.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects as the lab prints them
type Json = any;

export interface WorkloadState {
  /** "deployment NAMESPACE/NAME 2/2". */
  readonly ready: string[];
  readonly waiting: string[];
}

const KINDS = ["deployments", "statefulsets", "daemonsets", "replicationcontrollers", "jobs"];
const ASK_AGAIN_MS = 500;

/** Waits until nothing is waited for any more, `timeoutMs` at most. */
export async function awaitWorkloads(lab: AskedLab, timeoutMs: number): Promise<WorkloadState> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const state = await workloadState(lab);
    if (state.waiting.length === 0 || Date.now() > until) return state;
    await sleep(ASK_AGAIN_MS);
  }
}

async function workloadState(lab: AskedLab): Promise<WorkloadState> {
  const state: WorkloadState = { ready: [], waiting: [] };
  for (const kind of KINDS) {
    for (const object of (await lab.json("get", kind, "-A")).items) {
      const { metadata, spec, status = {} } = object as Json;
      const [is, wanted] = countsOf(kind, spec, status);
      const isSeen = (status.observedGeneration ?? metadata.generation) === metadata.generation;
      const line = `${kind.replace(/s$/, "")} ${metadata.namespace}/${metadata.name} ${is}/${wanted}`;
      (is === wanted && isSeen ? state.ready : state.waiting).push(line);
    }
  }
  return state;
}

function countsOf(kind: string, spec: Json, status: Json): [number, number] {
  if (kind === "daemonsets") return [status.numberReady ?? 0, status.desiredNumberScheduled ?? 0];
  if (kind === "jobs") return [status.succeeded ?? 0, spec.completions ?? 1];
  return [status.readyReplicas ?? 0, spec.replicas ?? 1];
}
