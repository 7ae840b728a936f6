// The subresource scale: how many pods a workload wants and has, in a form that is the same for all kinds.
import type { KubeObject, LabelSelector } from "../kube/objects.ts";
import { type CustomScale, customScale, withReplicas } from "./custom/scale.ts";
import type { Resource } from "./resource.ts";
import type { JsonObject } from "./schema/schema.ts";
import { badRequest, invalidField } from "./status.ts";
import { AGE, count, NAME, type TableColumn } from "./table/column.ts";

type Scale = KubeObject & { spec: { replicas: number }; status: { replicas: number } };

/** Of tables of scales: with custom resources the age is a date, and the name says that it is one. */
const columnsOf = (isCustom: boolean): readonly TableColumn[] => [
  isCustom ? NAME : { ...NAME, format: "" },
  count<Scale>("Desired", ({ spec }) => spec.replicas),
  count<Scale>("Available", ({ status }) => status.replicas),
  isCustom ? { ...AGE, type: "date" } : AGE,
];

/** Scales as a resource of their own, for the form in which a client wants one. */
export function scaleResource(resource: Resource): Resource {
  const { custom: _custom, convert: _convert, ...rest } = resource;
  const columns = columnsOf(resource.custom !== undefined);
  return { ...rest, group: "autoscaling", version: "v1", kind: "Scale", columns };
}

const OWN_PATHS = { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" };

type Scaled = KubeObject & {
  spec: { replicas?: number; selector?: LabelSelector | Record<string, string> };
  status?: { replicas?: number };
};

export function scaleOf(object: KubeObject, { custom }: Resource): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const { spec, status, selector } =
    custom?.scale === undefined
      ? ownScale(object as Scaled)
      : customScale(object as unknown as JsonObject, custom.scale);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: spec },
    status: { replicas: status, selector },
  } as unknown as KubeObject;
}

const ownScale = (object: Scaled): CustomScale => ({
  spec: object.spec.replicas ?? 1,
  status: object.status?.replicas ?? 0,
  selector: selectorText(object),
});

/** The object with as many pods as a Scale asks for. Throws a StatusError. */
export function scaled(object: KubeObject, body: unknown, resource: Resource): KubeObject {
  const { spec, metadata, kind } = (body ?? {}) as {
    kind?: string;
    spec?: { replicas?: unknown };
    metadata?: { resourceVersion?: string };
  };
  if (kind !== undefined && kind !== "Scale") throw badRequest(`expected a Scale, got a ${kind}`);
  const replicas = spec?.replicas ?? 0;
  if (typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0 || replicas > 0x7fffffff) {
    const detail = `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`;
    throw invalidField({ ...resource, kind: "Scale" }, object.metadata.name, "spec.replicas", detail);
  }
  const { resourceVersion } = metadata ?? {};
  const paths = resource.custom?.scale ?? OWN_PATHS;
  const next = withReplicas(object as unknown as JsonObject, paths, replicas) as unknown as KubeObject;
  return {
    ...next,
    metadata: { ...object.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  };
}

/** As a labelSelector of a request. */
function selectorText({ kind, spec }: Scaled): string {
  const selector = spec.selector ?? {};
  const labels = kind === "ReplicationController" ? selector : (selector as LabelSelector).matchLabels;
  const equal = Object.entries((labels ?? {}) as Record<string, string>).map(
    ([key, value]) => `${key}=${value}`,
  );
  const more = kind === "ReplicationController" ? [] : ((selector as LabelSelector).matchExpressions ?? []);
  const others = more.map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.join(",")})`;
  });
  return [...equal, ...others].join(",");
}
