// Columns of what makes pods.
import type * as apps from "kubernetes-types/apps/v1.js";
import type * as autoscaling from "kubernetes-types/autoscaling/v2.js";
import type * as batch from "kubernetes-types/batch/v1.js";
import type * as core from "kubernetes-types/core/v1.js";
import type * as policy from "kubernetes-types/policy/v1.js";
import type { LabelSelector } from "../../kube/objects.ts";
import { ageOf, formatAge } from "./age.ts";
import { AGE, column, count, NAME, type TableColumn, WIDE } from "./column.ts";
import { labelText, selectorText } from "./selector-text.ts";

interface Templated {
  spec?: { template?: core.PodTemplateSpec; selector?: LabelSelector };
}

const containersOf = ({ spec }: Templated): core.Container[] => spec?.template?.spec?.containers ?? [];
const namesOf = (list: core.Container[]): string => list.map(({ name }) => name).join(",");
const imagesOf = (list: core.Container[]): string => list.map(({ image }) => image ?? "").join(",");

const CONTAINERS: readonly TableColumn[] = [
  column<Templated>("Containers", (o) => namesOf(containersOf(o)), WIDE),
  column<Templated>("Images", (o) => imagesOf(containersOf(o)), WIDE),
];
const SELECTOR = column<Templated>("Selector", ({ spec }) => selectorText(spec?.selector) || "<none>", WIDE);

type Counted = apps.ReplicaSet | core.ReplicationController;
const replicas: readonly TableColumn[] = [
  NAME,
  count<Counted>("Desired", ({ spec }) => spec?.replicas ?? 1),
  count<Counted>("Current", ({ status }) => status?.replicas),
  count<Counted>("Ready", ({ status }) => status?.readyReplicas),
  AGE,
  ...CONTAINERS,
];

export const WORKLOADS: Readonly<Record<string, readonly TableColumn[]>> = {
  Deployment: [
    NAME,
    column<apps.Deployment>("Ready", readyOf),
    // Numbers, in columns that are declared to be text.
    column<apps.Deployment>("Up-to-date", ({ status }) => status?.updatedReplicas ?? 0),
    column<apps.Deployment>("Available", ({ status }) => status?.availableReplicas ?? 0),
    AGE,
    ...CONTAINERS,
    column<apps.Deployment>("Selector", ({ spec }) => selectorText(spec?.selector), WIDE),
  ],
  ReplicaSet: [...replicas, SELECTOR],
  ReplicationController: [
    ...replicas,
    column<core.ReplicationController>("Selector", ({ spec }) => labelText(spec?.selector) || "<none>", WIDE),
  ],
  StatefulSet: [NAME, column<apps.StatefulSet>("Ready", readyOf), AGE, ...CONTAINERS],
  DaemonSet: [
    NAME,
    count<apps.DaemonSet>("Desired", ({ status }) => status?.desiredNumberScheduled),
    count<apps.DaemonSet>("Current", ({ status }) => status?.currentNumberScheduled),
    count<apps.DaemonSet>("Ready", ({ status }) => status?.numberReady),
    count<apps.DaemonSet>("Up-to-date", ({ status }) => status?.updatedNumberScheduled),
    count<apps.DaemonSet>("Available", ({ status }) => status?.numberAvailable),
    column<apps.DaemonSet>("Node Selector", ({ spec }) => {
      return labelText(spec?.template.spec?.nodeSelector) || "<none>";
    }),
    AGE,
    ...CONTAINERS,
    SELECTOR,
  ],
  Job: [
    NAME,
    column("Status", jobStatus),
    column("Completions", completions),
    column("Duration", duration),
    AGE,
    ...CONTAINERS,
    SELECTOR,
  ],
  CronJob: [
    NAME,
    column<batch.CronJob>("Schedule", ({ spec }) => spec?.schedule ?? ""),
    column<batch.CronJob>("Timezone", ({ spec }) => spec?.timeZone ?? "<none>"),
    column<batch.CronJob>("Suspend", ({ spec }) => isTrue(spec?.suspend), { type: "boolean" }),
    count<batch.CronJob>("Active", ({ status }) => status?.active?.length),
    column<batch.CronJob>("Last Schedule", ({ status }, nowMs) => {
      return status?.lastScheduleTime === undefined ? "<none>" : ageOf(status.lastScheduleTime, nowMs);
    }),
    AGE,
    column<batch.CronJob>("Containers", (o) => namesOf(containersOf(jobOf(o))), WIDE),
    column<batch.CronJob>("Images", (o) => imagesOf(containersOf(jobOf(o))), WIDE),
    column<batch.CronJob>("Selector", (o) => selectorText(jobOf(o).spec?.selector) || "<none>", WIDE),
  ],
  PodTemplate: [
    NAME,
    column<core.PodTemplate>("Containers", ({ template }) => namesOf(template?.spec?.containers ?? [])),
    column<core.PodTemplate>("Images", ({ template }) => imagesOf(template?.spec?.containers ?? [])),
    column<core.PodTemplate>(
      "Pod Labels",
      ({ template }) => labelText(template?.metadata?.labels) || "<none>",
    ),
  ],
  PodDisruptionBudget: [
    NAME,
    column<policy.PodDisruptionBudget>("Min Available", ({ spec }) => String(spec?.minAvailable ?? "N/A")),
    column<policy.PodDisruptionBudget>("Max Unavailable", ({ spec }) =>
      String(spec?.maxUnavailable ?? "N/A"),
    ),
    count<policy.PodDisruptionBudget>("Allowed Disruptions", ({ status }) => status?.disruptionsAllowed),
    AGE,
  ],
  HorizontalPodAutoscaler: [
    NAME,
    column<autoscaling.HorizontalPodAutoscaler>("Reference", ({ spec }) => {
      return `${spec?.scaleTargetRef.kind}/${spec?.scaleTargetRef.name}`;
    }),
    column("Targets", targets),
    column<autoscaling.HorizontalPodAutoscaler>("MinPods", ({ spec }) =>
      String(spec?.minReplicas ?? "<unset>"),
    ),
    column<autoscaling.HorizontalPodAutoscaler>("MaxPods", ({ spec }) => spec?.maxReplicas ?? 0),
    column<autoscaling.HorizontalPodAutoscaler>("Replicas", ({ status }) => status?.currentReplicas ?? 0),
    AGE,
  ],
  ControllerRevision: [
    NAME,
    column("Controller", ({ metadata }) => {
      const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
      if (owner === undefined) return "<none>";
      const group = owner.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0]}` : "";
      return `${`${owner.kind}${group}`.toLowerCase()}/${owner.name}`;
    }),
    column<apps.ControllerRevision>("Revision", ({ revision }) => revision),
    AGE,
  ],
};

function readyOf({ spec, status }: apps.Deployment | apps.StatefulSet): string {
  return `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 1}`;
}

function jobOf({ spec }: batch.CronJob): Templated {
  return (spec?.jobTemplate ?? {}) as Templated;
}

function isTrue(value: boolean | undefined): string {
  return value === undefined ? "<unset>" : value ? "True" : "False";
}

/** The first that holds; FailureTarget and what follows stand for a Job whose pods are still being ended. */
const JOB_ENDS = ["Complete", "Failed"];
const JOB_WAYS = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];

function jobStatus({ status, metadata }: batch.Job): string {
  const holds = (type: string): boolean =>
    status?.conditions?.find((c) => c.type === type)?.status === "True";
  const end = JOB_ENDS.find(holds);
  if (end !== undefined) return end;
  return metadata?.deletionTimestamp !== undefined ? "Terminating" : (JOB_WAYS.find(holds) ?? "Running");
}

function completions({ spec, status }: batch.Job): string {
  const done = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${done}/${spec.completions}`;
  return (spec?.parallelism ?? 0) > 1 ? `${done}/1 of ${spec?.parallelism}` : `${done}/1`;
}

function duration({ status }: batch.Job, nowMs: number): string {
  const { startTime, completionTime } = status ?? {};
  if (startTime === undefined) return "";
  const end = completionTime === undefined ? nowMs : Date.parse(completionTime);
  return formatAge(end - Date.parse(startTime));
}

const METRICS_SHOWN = 2;

function targets({ spec, status }: autoscaling.HorizontalPodAutoscaler): string {
  const all = (spec?.metrics ?? []).map((metric, i) => target(metric, status?.currentMetrics?.[i]));
  if (all.length === 0) return "<none>";
  const rest = all.length - METRICS_SHOWN;
  return all.slice(0, METRICS_SHOWN).join(", ") + (rest > 0 ? ` + ${rest} more...` : "");
}

function target(spec: autoscaling.MetricSpec, status: autoscaling.MetricStatus | undefined): string {
  const resource = spec.resource ?? spec.containerResource;
  const current = (
    status?.resource ??
    status?.containerResource ??
    status?.pods ??
    status?.object ??
    status?.external
  )?.current;
  if (resource !== undefined) {
    const { averageValue, averageUtilization } = resource.target;
    const percent = (value: number | undefined, otherwise: string): string =>
      value === undefined ? otherwise : `${value}%`;
    const shown =
      averageValue === undefined
        ? `${percent(current?.averageUtilization, "<unknown>")}/${percent(averageUtilization, "<auto>")}`
        : `${current?.averageValue ?? "<unknown>"}/${averageValue}`;
    return `${resource.name}: ${shown}`;
  }
  const wanted = (spec.pods ?? spec.object ?? spec.external)?.target;
  if (wanted === undefined) return "<unknown type>";
  if (wanted.averageValue === undefined) return `${current?.value ?? "<unknown>"}/${wanted.value}`;
  const note = spec.pods === undefined ? " (avg)" : "";
  return `${current?.averageValue ?? "<unknown>"}/${wanted.averageValue}${note}`;
}
