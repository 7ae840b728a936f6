// What `podwire diff` shows of Secrets: which keys change, and none of their values, as kubectl diff does it.
import type { KubeObject } from "../../../kube/objects.ts";

type Values = Record<string, unknown>;
type Pair = readonly [KubeObject | undefined, KubeObject];

/** What kubectl apply keeps of the manifest: its values once more. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const MASK = "***";
const BEFORE = "*** (before)";
const AFTER = "*** (after)";

/** The pair with values masked where it is a Secret; who masks each alone would hide that they differ. */
export function masked([before, after]: Pair): Pair {
  if (after.apiVersion !== "v1" || after.kind !== "Secret") return [before, after];
  const [from, to] = [valuesOf(before), valuesOf(after)];
  return [
    before && withValues(before, from, maskedValues(from, to, BEFORE)),
    withValues(after, to, maskedValues(to, from, AFTER)),
  ];
}

function valuesOf(object: KubeObject | undefined): Values | undefined {
  return (object as { data?: Values } | undefined)?.data;
}

function maskedValues(own: Values = {}, other: Values = {}, whereChanged: string): Values {
  return Object.fromEntries(
    Object.entries(own).map(([key, value]) => [
      key,
      key in other && other[key] !== value ? whereChanged : MASK,
    ]),
  );
}

function withValues(object: KubeObject, had: Values | undefined, values: Values): KubeObject {
  const { annotations, ...metadata } = object.metadata;
  const kept =
    annotations?.[LAST_APPLIED] === undefined ? annotations : { ...annotations, [LAST_APPLIED]: MASK };
  return {
    ...object,
    metadata: { ...metadata, ...(kept === undefined ? {} : { annotations: kept }) },
    ...(had === undefined ? {} : { data: values }),
  } as KubeObject;
}
