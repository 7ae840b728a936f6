// Labels and annotations of an object as it stands, and the annotation that restarts what a template makes.
import type { Cluster } from "../cluster/cluster.ts";
import { timeText } from "../cluster/event-recorder.ts";
import { notFound } from "../cluster/outcome.ts";
import type { KindInfo } from "../kube/kinds.ts";
import { NAMESPACE_NAME_LABEL } from "../kube/labels.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import type { KubeObject, PodTemplate } from "../kube/objects.ts";
import { validateMetadata } from "../kube/validate/metadata.ts";
import { LabError } from "./errors.ts";

type StringMap = Record<string, string>;

export interface MetadataBody {
  kind: string;
  name: string;
  namespace: string;
  field: "labels" | "annotations";
  set: StringMap;
  remove: string[];
  overwrite?: boolean;
  dryRun?: boolean;
}

interface Target {
  kind: string;
  name: string;
  namespace: string;
}

export interface Changed {
  object: KubeObject;
  /** An API server's. */
  warnings: readonly string[];
}

/** The object before and after; what is refused changes nothing. */
export function setMetadata(cluster: Cluster, body: MetadataBody): Changed & { before: KubeObject } {
  const { field, set, remove, overwrite = false, dryRun = false } = body;
  const { info, object: before } = find(cluster, body);
  const now = before.metadata[field] ?? {};
  const taken = Object.entries(set).filter(([key, value]) => Object.hasOwn(now, key) && now[key] !== value);
  if (!overwrite && taken.length > 0)
    throw new LabError(
      "CONFLICT",
      refusal(
        field,
        taken.map(([key]) => key),
        now,
      ),
    );
  const entries = Object.entries({ ...now, ...set }).filter(([key]) => !remove.includes(key));
  const metadata = {
    ...before.metadata,
    [field]: { ...Object.fromEntries(entries), ...fixedOf(before, field) },
  };
  const problems = new FieldProblems();
  validateMetadata(metadata, info, problems);
  const object = { ...before, metadata };
  const judged = problems.any ? undefined : cluster.judge(object);
  const wrong = [...problems.list, ...(judged?.problems ?? [])];
  if (wrong.length > 0) {
    const why = wrong.map(({ message }) => message).join("; ");
    throw new LabError("INVALID", `${info.singular}/${body.name}: ${why}`);
  }
  return {
    before,
    object: dryRun ? object : update(cluster, info, object),
    warnings: judged?.warnings ?? [],
  };
}

/** The object as it is stored then, with its new resourceVersion. */
function update(cluster: Cluster, info: KindInfo, object: KubeObject): KubeObject {
  cluster.update(object);
  const { namespace, name } = object.metadata;
  return cluster.get(info.kind, info.namespaced ? `${namespace}/${name}` : name) ?? object;
}

/** What is filled in again at each write: a namespace goes by its name. */
function fixedOf({ kind, metadata }: KubeObject, field: MetadataBody["field"]): StringMap {
  return kind === "Namespace" && field === "labels" ? { [NAMESPACE_NAME_LABEL]: metadata.name } : {};
}

/** kubectl's sentences. */
function refusal(field: MetadataBody["field"], keys: readonly string[], now: StringMap): string {
  const found = keys.map((key) => `'${key}' already has a value (${now[key]})`);
  if (field === "labels") return found.map((text) => `${text}, and --overwrite is false`).join("; ");
  return `--overwrite is false but found the following declared annotation(s): ${found.join("; ")}`;
}

const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";
const RESTARTABLE = ["Deployment", "DaemonSet", "StatefulSet"];

/** A template that says when is another template: its pods are made anew, as the object's strategy has it. */
export function restart(cluster: Cluster, target: Target): Changed {
  const { info, object } = find(cluster, target);
  if (!RESTARTABLE.includes(info.kind)) {
    const group = info.apiVersion.includes("/") ? `.${info.apiVersion.split("/")[0]}` : "";
    throw new LabError(
      "NOT_RESTARTABLE",
      `${info.plural}${group} "${target.name}" restarting is not supported`,
    );
  }
  const { spec } = object as KubeObject & { spec: { template: PodTemplate } };
  const { metadata } = spec.template;
  const annotations = { ...metadata?.annotations, [RESTARTED_AT]: timeText(Date.now()) };
  const template = { ...spec.template, metadata: { ...metadata, annotations } };
  const next = { ...object, spec: { ...spec, template } } as KubeObject;
  const { warnings } = cluster.judge(next);
  return { object: update(cluster, info, next), warnings };
}

function find(cluster: Cluster, { kind, name, namespace }: Target): { info: KindInfo; object: KubeObject } {
  const info = cluster.kindOf(kind);
  const object = cluster.get(info.kind, info.namespaced ? `${namespace}/${name}` : name);
  if (object === undefined) throw new LabError("NOT_FOUND", notFound(info, name));
  return { info, object };
}
