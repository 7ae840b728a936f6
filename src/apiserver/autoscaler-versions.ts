// HorizontalPodAutoscalers are stored as autoscaling/v2 has them; v1 knows of one metric, the use of processors.
import type { KubeObject } from "../kube/objects.ts";
import type { Resource } from "./resource.ts";

type Metric = {
  type?: string;
  resource?: { name?: string; target?: { type?: string; averageUtilization?: number } };
};
type Scaler = KubeObject & { spec?: Record<string, unknown> };

export const AUTOSCALERS: Resource = {
  ...{
    group: "autoscaling",
    version: "v1",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
  },
  ...{ singular: "horizontalpodautoscaler", shortNames: ["hpa"], categories: ["all"], namespaced: true },
  ...{ subresources: ["status"], storedAs: "HorizontalPodAutoscaler" },
  convert: {
    fromStored: (object) => {
      const { metrics, behavior: _, ...spec } = (object as Scaler).spec ?? {};
      const cpu = (metrics as Metric[] | undefined)?.find(({ resource }) => resource?.name === "cpu");
      const percent = cpu?.resource?.target?.averageUtilization;
      const target = percent === undefined ? {} : { targetCPUUtilizationPercentage: percent };
      return { ...object, apiVersion: "autoscaling/v1", spec: { ...spec, ...target } } as KubeObject;
    },
    toStored: (object) => {
      const { targetCPUUtilizationPercentage: percent, ...spec } = (object as Scaler).spec ?? {};
      const target = { type: "Utilization", averageUtilization: percent };
      const metrics = [{ type: "Resource", resource: { name: "cpu", target } }];
      const more = percent === undefined ? {} : { metrics };
      return { ...object, apiVersion: "autoscaling/v2", spec: { ...spec, ...more } } as KubeObject;
    },
  },
};
