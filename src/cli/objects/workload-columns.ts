// kubectl's columns for what makes pods, beside Deployments.
import type {
  DaemonSet,
  Job,
  KubeObject,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from "../../kube/objects.ts";
import { ageOf, type Column } from "../table.ts";
import { selectorText as textOf } from "./selector-text.ts";

type Columns = Column<KubeObject>[];
type Templated = ReplicaSet | ReplicationController | StatefulSet | DaemonSet | Job;

export function workloadColumns(
  name: Column<KubeObject>,
  age: Column<KubeObject>,
  nowMs: number,
): Record<string, Columns> {
  const replicas: Columns = [
    name,
    of<ReplicaSet>("DESIRED", ({ spec }) => spec.replicas ?? 1),
    of<ReplicaSet>("CURRENT", (o) => countOf(o, "replicas")),
    of<ReplicaSet>("READY", (o) => countOf(o, "readyReplicas")),
    age,
    ...containerColumns,
    of<Templated>("SELECTOR", selectorText, true),
  ];
  return {
    ReplicaSet: replicas,
    ReplicationController: replicas,
    StatefulSet: [
      name,
      of<StatefulSet>("READY", (o) => `${countOf(o, "readyReplicas")}/${o.spec.replicas ?? 1}`),
      age,
      ...containerColumns,
    ],
    DaemonSet: [
      name,
      of<DaemonSet>("DESIRED", (o) => countOf(o, "desiredNumberScheduled")),
      of<DaemonSet>("CURRENT", (o) => countOf(o, "currentNumberScheduled")),
      of<DaemonSet>("READY", (o) => countOf(o, "numberReady")),
      of<DaemonSet>("UP-TO-DATE", (o) => countOf(o, "updatedNumberScheduled")),
      of<DaemonSet>("AVAILABLE", (o) => countOf(o, "numberAvailable")),
      of<DaemonSet>("NODE SELECTOR", ({ spec }) => {
        return textOf({ matchLabels: spec.template.spec?.nodeSelector ?? {} });
      }),
      age,
      ...containerColumns,
      of<Templated>("SELECTOR", selectorText, true),
    ],
    Job: [
      name,
      of<Job>("STATUS", jobStatus),
      of<Job>("COMPLETIONS", completions),
      of<Job>("DURATION", (job) => duration(job, nowMs)),
      age,
      ...containerColumns,
      of<Templated>("SELECTOR", selectorText, true),
    ],
  };
}

function of<T>(
  header: string,
  value: (object: T) => string | number | undefined,
  wide = false,
): Column<KubeObject> {
  return { header, value: value as (object: KubeObject) => string | number | undefined, wide };
}

function countOf(object: Templated, field: string): number {
  return (object as { status?: Record<string, number> }).status?.[field] ?? 0;
}

function containersOf(object: Templated): { name: string; image?: string }[] {
  return object.spec.template?.spec?.containers ?? [];
}

export const containerColumns: Columns = [
  of<Templated>(
    "CONTAINERS",
    (o) =>
      containersOf(o)
        .map((c) => c.name)
        .join(","),
    true,
  ),
  of<Templated>(
    "IMAGES",
    (o) =>
      containersOf(o)
        .map((c) => c.image ?? "")
        .join(","),
    true,
  ),
];

function selectorText(object: Templated): string {
  if (object.kind === "ReplicationController") return textOf({ matchLabels: object.spec.selector ?? {} });
  return textOf(object.spec.selector as Parameters<typeof textOf>[0]);
}

function jobStatus({ status, metadata }: Job): string {
  const holds = (type: string): boolean =>
    status?.conditions?.some((c) => c.type === type && c.status === "True") === true;
  const found = ["Complete", "Failed"].find(holds);
  if (found !== undefined) return found;
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  return holds("Suspended") ? "Suspended" : "Running";
}

function completions({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0;
  if (spec.completions !== undefined) return `${done}/${spec.completions}`;
  return (spec.parallelism ?? 1) > 1 ? `${done}/1 of ${spec.parallelism}` : `${done}/1`;
}

function duration({ status }: Job, nowMs: number): string | undefined {
  if (status?.startTime === undefined) return undefined;
  return ageOf(
    status.startTime,
    status.completionTime === undefined ? nowMs : Date.parse(status.completionTime),
  );
}
