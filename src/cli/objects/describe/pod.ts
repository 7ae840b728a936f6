// A pod, and the template of one.
import type { Toleration, Volume } from "kubernetes-types/core/v1.js";
import { ageOf } from "../../../apiserver/table/age.ts";
import type { Container, Pod, PodTemplate } from "../../../kube/objects.ts";
import { containerLines } from "./containers.ts";
import { annotationLines, controlledBy, head, labelLines, listed, marks, timeText } from "./parts.ts";
import type { TabWriter } from "./tabs.ts";

export function podLines(w: TabWriter, pod: Pod, nowMs: number): void {
  const { spec, status, metadata } = pod;
  head(w, pod);
  if (spec.priority !== undefined) w.line(0, `Priority:\t${spec.priority}`);
  if (spec.priorityClassName) w.line(0, `Priority Class Name:\t${spec.priorityClassName}`);
  if (spec.runtimeClassName) w.line(0, `Runtime Class Name:\t${spec.runtimeClassName}`);
  if (spec.serviceAccountName) w.line(0, `Service Account:\t${spec.serviceAccountName}`);
  w.line(0, `Node:\t${spec.nodeName === undefined ? "<none>" : `${spec.nodeName}/${status.hostIP ?? ""}`}`);
  if (status.startTime !== undefined) w.line(0, `Start Time:\t${timeText(status.startTime)}`);
  marks(w, pod);
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
  if (deletionTimestamp !== undefined && status.phase !== "Failed" && status.phase !== "Succeeded") {
    w.line(0, `Status:\tTerminating (lasts ${ageOf(deletionTimestamp, nowMs)})`);
    w.line(0, `Termination Grace Period:\t${deletionGracePeriodSeconds}s`);
  } else w.line(0, `Status:\t${status.phase ?? "Pending"}`);
  if (status.reason) w.line(0, `Reason:\t${status.reason}`);
  if (status.message) w.line(0, `Message:\t${status.message}`);
  const ips = (status.podIPs ?? []).map(({ ip }) => ip ?? "");
  w.line(0, `IP:\t${status.podIP ?? ips[0] ?? ""}`);
  w.line(0, `IPs:${ips.length === 0 ? "\t<none>" : ""}`);
  for (const ip of ips) w.line(1, `IP:\t${ip}`);
  controlledBy(w, pod);
  if ((spec.initContainers ?? []).length > 0)
    containerLines(w, "Init Containers", spec.initContainers ?? [], status.initContainerStatuses, pod);
  containerLines(w, "Containers", spec.containers, status.containerStatuses, pod);
  conditionLines(w, pod);
  volumeLines(w, spec.volumes, "");
  w.line(0, `QoS Class:\t${status.qosClass ?? qosClass(spec.containers)}`);
  labelLines(w, "Node-Selectors", spec.nodeSelector);
  listed(w, "Tolerations", tolerationTexts(spec.tolerations));
}

function conditionLines(w: TabWriter, { spec, status }: Pod): void {
  const { conditions = [] } = status;
  const gates = spec.readinessGates ?? [];
  if (gates.length > 0) w.line(0, "Readiness Gates:\n  Type\tStatus");
  for (const { conditionType } of gates) {
    const found = conditions.find(({ type }) => type === conditionType)?.status ?? "<none>";
    w.line(1, `${conditionType} \t${found} `);
  }
  if (conditions.length > 0) w.line(0, "Conditions:\n  Type\tStatus");
  for (const { type, status: holds } of conditions) w.line(1, `${type} \t${holds} `);
}

export function templateLines(w: TabWriter, template: PodTemplate | undefined): void {
  w.line(0, "Pod Template:");
  if (template === undefined) w.line(1, "<unset>");
  const { metadata, spec } = template ?? {};
  labelLines(w, "  Labels", metadata?.labels);
  if (Object.keys(metadata?.annotations ?? {}).length > 0)
    annotationLines(w, "  Annotations", metadata?.annotations);
  if (spec?.serviceAccountName) w.line(1, `Service Account:\t${spec.serviceAccountName}`);
  if ((spec?.initContainers ?? []).length > 0)
    containerLines(w, "Init Containers", spec?.initContainers ?? [], undefined, undefined);
  containerLines(w, "Containers", spec?.containers ?? [], undefined, undefined);
  volumeLines(w, spec?.volumes, "  ");
  if (spec?.priorityClassName) w.line(1, `Priority Class Name:\t${spec.priorityClassName}`);
  labelLines(w, "  Node-Selectors", spec?.nodeSelector);
  listed(w, "  Tolerations", tolerationTexts(spec?.tolerations));
}

/** Kind of a volume → what is said of it, and of which fields. */
const VOLUMES: Readonly<
  Record<string, [text: string, fields: [label: string, field: string, none: string][]]>
> = {
  emptyDir: [
    "EmptyDir (a temporary directory that shares a pod's lifetime)",
    [
      ["Medium", "medium", ""],
      ["SizeLimit", "sizeLimit", "<unset>"],
    ],
  ],
  hostPath: [
    "HostPath (bare host directory volume)",
    [
      ["Path", "path", ""],
      ["HostPathType", "type", "<none>"],
    ],
  ],
  configMap: [
    "ConfigMap (a volume populated by a ConfigMap)",
    [
      ["Name", "name", ""],
      ["Optional", "optional", "false"],
    ],
  ],
  secret: [
    "Secret (a volume populated by a Secret)",
    [
      ["SecretName", "secretName", ""],
      ["Optional", "optional", "false"],
    ],
  ],
  persistentVolumeClaim: [
    "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
    [
      ["ClaimName", "claimName", ""],
      ["ReadOnly", "readOnly", "false"],
    ],
  ],
};

function volumeLines(w: TabWriter, volumes: readonly Volume[] = [], space: string): void {
  w.line(0, `${space}Volumes:${volumes.length === 0 ? "\t<none>" : ""}`);
  for (const { name, ...source } of volumes) {
    w.line(1, `${space === "" ? "" : " "}${name}:`);
    const [kind, value] = Object.entries(source)[0] ?? ["<unknown>", {}];
    const [text, fields] = VOLUMES[kind] ?? [kind.charAt(0).toUpperCase() + kind.slice(1), []];
    w.line(2, `Type:\t${text}`);
    for (const [label, field, none] of fields)
      w.line(2, `${label}:\t${String((value as Record<string, unknown>)[field] ?? none)}`);
  }
}

function tolerationTexts(tolerations: readonly Toleration[] = []): string[] {
  const byKey = [...tolerations].sort((a, b) =>
    (a.key ?? "") < (b.key ?? "") ? -1 : a.key === b.key ? 0 : 1,
  );
  return byKey.map(({ key = "", value = "", effect = "", operator, tolerationSeconds }) => {
    const what = `${key}${value === "" ? "" : `=${value}`}${effect === "" ? "" : `:${effect}`}`;
    const exists = operator === "Exists" && value === "" ? `${what === "" ? "" : " "}op=Exists` : "";
    return `${what}${exists}${tolerationSeconds === undefined ? "" : ` for ${tolerationSeconds}s`}`;
  });
}

/** What a cluster makes of the resources that containers ask for. */
function qosClass(containers: readonly Container[]): string {
  const lists = containers.map(({ resources }) => ({
    limits: resources?.limits ?? {},
    requests: { ...resources?.limits, ...resources?.requests },
  }));
  const counts = ["cpu", "memory"] as const;
  const asks = lists.some(({ limits, requests }) => counts.some((name) => limits[name] ?? requests[name]));
  if (!asks) return "BestEffort";
  const isFirm = lists.every(({ limits, requests }) =>
    counts.every((name) => limits[name] !== undefined && limits[name] === requests[name]),
  );
  return isFirm ? "Guaranteed" : "Burstable";
}
