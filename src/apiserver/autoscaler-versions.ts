// HorizontalPodAutoscalers are stored as autoscaling/v2 has them; v1 knows of one metric, the use of processors. What
// else v2 has goes along as annotations, as an API server does it: whoever writes in v1 what he has read loses nothing.
import type { KubeObject } from "../kube/objects.ts";
import type { Resource } from "./resource.ts";

type Fields = Record<string, unknown>;
type Metric = { type?: string } & Record<string, Fields | undefined>;
type Scaler = KubeObject & { spec?: Fields; status?: Fields };

const METRICS = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions";
const ALL = [METRICS, BEHAVIOR, CONDITIONS];

export const AUTOSCALERS: Resource = {
  ...{
    group: "autoscaling",
    version: "v1",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
  },
  ...{ singular: "horizontalpodautoscaler", shortNames: ["hpa"], categories: ["all"], namespaced: true },
  ...{ subresources: ["status"], storedAs: "HorizontalPodAutoscaler" },
  convert: { fromStored: toFirst, toStored: toSecond },
};

function toFirst(object: KubeObject): KubeObject {
  const { metrics, behavior, ...spec } = (object as Scaler).spec ?? {};
  const { conditions, currentMetrics: _, ...status } = (object as Scaler).status ?? {};
  const all = (metrics as Metric[] | undefined) ?? [];
  const cpu = all.find(isProcessors);
  const percent = (cpu?.resource?.target as Fields | undefined)?.averageUtilization;
  const others = all.filter((metric) => metric !== cpu);
  const notes = {
    ...(others.length === 0 ? {} : { [METRICS]: JSON.stringify(others.map(firstMetric)) }),
    ...(behavior === undefined ? {} : { [BEHAVIOR]: JSON.stringify(renamed(behavior, capital)) }),
    ...(conditions === undefined ? {} : { [CONDITIONS]: JSON.stringify(conditions) }),
  };
  const target = percent === undefined ? {} : { targetCPUUtilizationPercentage: percent };
  const annotations = { ...object.metadata.annotations, ...notes };
  const metadata = Object.keys(notes).length === 0 ? object.metadata : { ...object.metadata, annotations };
  const told = (object as Scaler).status === undefined ? {} : { status };
  return {
    ...object,
    apiVersion: "autoscaling/v1",
    metadata,
    spec: { ...spec, ...target },
    ...told,
  } as Scaler;
}

function isProcessors({ resource }: Metric): boolean {
  return (
    resource?.name === "cpu" && (resource.target as Fields | undefined)?.averageUtilization !== undefined
  );
}

function toSecond(object: KubeObject): KubeObject {
  const { targetCPUUtilizationPercentage: percent, ...spec } = (object as Scaler).spec ?? {};
  const { annotations = {}, ...rest } = object.metadata;
  const others = (noted(annotations[METRICS]) as Metric[] | undefined)?.map(secondMetric) ?? [];
  const target = { type: "Utilization", averageUtilization: percent };
  const cpu = percent === undefined ? [] : [{ type: "Resource", resource: { name: "cpu", target } }];
  const metrics = [...cpu, ...others];
  const behavior = noted(annotations[BEHAVIOR]);
  const conditions = noted(annotations[CONDITIONS]);
  const kept = Object.fromEntries(Object.entries(annotations).filter(([name]) => !ALL.includes(name)));
  const metadata = Object.keys(kept).length === 0 ? rest : { ...rest, annotations: kept };
  const more = {
    ...(metrics.length === 0 ? {} : { metrics }),
    ...(behavior === undefined ? {} : { behavior: renamed(behavior, small) }),
  };
  const { status } = object as Scaler;
  const told =
    status === undefined
      ? {}
      : { status: { ...status, ...(conditions === undefined ? {} : { conditions }) } };
  return { ...object, apiVersion: "autoscaling/v2", metadata, spec: { ...spec, ...more }, ...told } as Scaler;
}

/** What somebody has written there himself, and is no JSON, is nothing. */
function noted(text: string | undefined): unknown {
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
const small = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((one) => renamed(one, rename));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, child]) => child !== null);
  return Object.fromEntries(entries.map(([name, child]) => [rename(name), renamed(child, rename)]));
}

/** v1 has the target's numbers beside the name. */
function firstMetric(metric: Metric): Fields {
  const { type, resource, containerResource, pods, object, external } = metric;
  const of = (source: Fields | undefined): Fields => (source?.target ?? {}) as Fields;
  const name = (source: Fields | undefined): Fields => (source?.metric ?? {}) as Fields;
  const shares = (source: Fields | undefined): Fields => ({
    targetAverageUtilization: of(source).averageUtilization,
    targetAverageValue: of(source).averageValue,
  });
  const made: Fields = { type };
  if (resource !== undefined) made.resource = { name: resource.name, ...shares(resource) };
  if (containerResource !== undefined) {
    const { name, container } = containerResource;
    made.containerResource = { name, container, ...shares(containerResource) };
  }
  const { name: metricName, selector } = name(pods ?? object ?? external);
  const { value, averageValue } = of(pods ?? object ?? external);
  if (pods !== undefined) made.pods = { metricName, targetAverageValue: averageValue, selector };
  if (object !== undefined)
    made.object = {
      target: object.describedObject,
      metricName,
      targetValue: value ?? "0",
      averageValue,
      selector,
    };
  if (external !== undefined)
    made.external = {
      metricName,
      metricSelector: selector,
      targetValue: value,
      targetAverageValue: averageValue,
    };
  return made;
}

function secondMetric(metric: Metric): Fields {
  const { type, resource, containerResource, pods, object, external } = metric;
  const target = (utilization: unknown, averageValue: unknown, value?: unknown): Fields =>
    clean(
      utilization !== undefined
        ? { type: "Utilization", averageUtilization: utilization }
        : averageValue !== undefined
          ? { type: "AverageValue", averageValue }
          : { type: "Value", value },
    );
  const of = (source: Fields): Fields => target(source.targetAverageUtilization, source.targetAverageValue);
  const metricOf = (name: unknown, selector: unknown): Fields => clean({ name, selector });
  const made: Fields = { type };
  if (resource !== undefined) made.resource = { name: resource.name, target: of(resource) };
  if (containerResource !== undefined) {
    const { name, container } = containerResource;
    made.containerResource = { name, container, target: of(containerResource) };
  }
  if (pods !== undefined)
    made.pods = {
      metric: metricOf(pods.metricName, pods.selector),
      target: target(undefined, pods.targetAverageValue),
    };
  if (object !== undefined) {
    const value = target(undefined, object.averageValue, object.targetValue);
    made.object = {
      describedObject: object.target,
      metric: metricOf(object.metricName, object.selector),
      target: value,
    };
  }
  if (external !== undefined) {
    const value = target(undefined, external.targetAverageValue, external.targetValue);
    made.external = { metric: metricOf(external.metricName, external.metricSelector), target: value };
  }
  return made;
}

const clean = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
