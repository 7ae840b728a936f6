/**
 * What of an API server's object a node keeps. The rest (managed fields, others' annotations, images …) is most of it and
 * is cut as it comes. What is kept has the types and defaults that the rest of podwire counts on; an object that has not
 * is told, and is no part of what is followed.
 */
import { applyDefaults } from "../../kube/defaults.ts";
import { standardizeAddresses } from "../../kube/fields/addresses.ts";
import type { KindInfo } from "../../kube/kinds.ts";
import { decodeCustom, decodeOwn } from "../../kube/manifest/decode.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { isMeshProxy } from "../../kube/mesh/mesh-names.ts";
import type { EndpointSlice, KubeObject, Node, Pod, Service } from "../../kube/objects.ts";
import { MANAGED_BY_LABEL } from "../../kube/slice-labels.ts";
import { checkCidr } from "../../kube/validate/names.ts";
import { validateObject } from "../../kube/validate/object.ts";
import { KeptPod } from "./kept-pod.ts";
import { KeptService } from "./kept-service.ts";
import { KeptSlice } from "./kept-slice.ts";
import type { Received } from "./received.ts";
import { SharedParts } from "./shared-parts.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Prefixes of annotations that mean something here. */
const ANNOTATIONS =
  /^(?:podwire\.dev|flannel\.alpha\.coreos\.com|(?:[a-z-]+\.)?kubernetes\.io|service\.alpha\.kubernetes\.io)\//;
/** Whoever applies an object with kubectl writes all of it once more. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const METADATA = [
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "labels",
  "deletionTimestamp",
];

/** Parts of an object beside its metadata, by kind; a kind that is not here keeps its spec. */
const KEPT: Readonly<Record<string, (object: Fields) => Fields>> = {
  Namespace: () => ({}),
  Node: ({ spec, status }) => ({
    spec: only(spec, ["podCIDR", "podCIDRs", "providerID", "taints"]),
    status: only(status, ["addresses"]),
  }),
  Pod: ({ metadata, spec, status }) => ({
    spec: {
      ...only(spec, ["nodeName", "hostNetwork", "serviceAccountName"]),
      containers: containers(spec, "containers"),
      initContainers: containers(spec, "initContainers").filter(
        ({ restartPolicy }) => restartPolicy === "Always",
      ),
    },
    status: {
      ...only(status, ["phase", "podIP", "podIPs", "hostIP"]),
      ...(isMeshProxy(metadata as Fields) && only(status, ["conditions"])), // whether it is ready, of others nobody asks
    },
  }),
  Service: ({ spec, status }) => ({ spec, status: only(status, ["loadBalancer"]) }),
  EndpointSlice: ({ addressType, endpoints, ports }) => ({
    ...{ addressType, ports },
    endpoints: Array.isArray(endpoints)
      ? endpoints.map((one) => (isObject(one) ? only(one, ENDPOINT) : one))
      : endpoints,
  }),
};
const ENDPOINT = ["addresses", "conditions", "hostname", "nodeName", "zone", "hints"];
/** Of these only what a node asks for is left, so that they would not pass as whole objects. */
const PARTIAL: readonly string[] = ["Pod", "Node", "Namespace"];

const shared = new SharedParts();

/** The object as it is kept, or why it cannot be used: one line. What was received is taken apart for it. */
export function keptObject(received: Received, info: KindInfo, nodeName: string): KubeObject | string {
  const problems = new FieldProblems();
  const { kind } = info;
  const whole = received as Fields;
  const parts = KEPT[kind]?.(whole) ?? { spec: whole.spec };
  const cut = { apiVersion: info.apiVersion, kind, metadata: metadataOf(received), ...parts };
  const object = (info.custom === true ? decodeCustom : decodeOwn)(cut, kind, problems) as KubeObject;
  const wrong = (): string | undefined =>
    problems.list.find(({ message }) => !message.startsWith("unknown field"))?.message; // of a server newer than this
  const mistyped = wrong();
  if (mistyped !== undefined) return mistyped;
  standardizeAddresses(object, () => {});
  applyDefaults(object, info.namespaced, "default");
  if (!PARTIAL.includes(kind)) validateObject(object, info, problems);
  else if (kind === "Node") checkRanges(object as Node, problems);
  const refused = wrong();
  if (refused !== undefined) return refused;
  return compactObject(object, nodeName);
}

/** Routes are made of them. */
function checkRanges({ spec: { podCIDRs = [] } }: Node, problems: FieldProblems): void {
  for (const [i, text] of podCIDRs.entries()) checkCidr(problems, ["spec", "podCIDRs", i], text);
}

/** What says the same in as little memory as it can. The object is changed for that. `nodeName`: the agent's. */
export function compactObject(object: KubeObject, nodeName: string): KubeObject {
  if (object.kind === "Pod") {
    const pod = object as Pod;
    const isOwn = pod.spec.nodeName === undefined || pod.spec.nodeName === nodeName;
    return isOwn || !KeptPod.fits(pod) ? pod : new KeptPod(pod, (value) => shared.value(value));
  }
  if (object.kind === "Service" && KeptService.fits(object as Service))
    return new KeptService(object as Service, (value) => shared.value(value));
  shared.fields(object.metadata, ["namespace", "creationTimestamp", "annotations"]);
  if (object.kind === "EndpointSlice") {
    shared.fields(object.metadata.labels, [MANAGED_BY_LABEL]);
    return new KeptSlice(object as EndpointSlice, (value) => shared.value(value));
  }
  return object;
}

/** Enough of an object to say that it is gone. */
export function bareObject({ metadata }: Received, { apiVersion, kind }: KindInfo): KubeObject {
  const { name = "", ...more } = only(metadata, ["name", "namespace", "uid", "resourceVersion"]);
  return { apiVersion, kind, metadata: { ...more, name: String(name) } };
}

function metadataOf({ metadata }: Received): Fields {
  const kept = only(metadata, METADATA);
  const annotations = Object.entries(metadata?.annotations ?? {}).filter(
    ([key]) => ANNOTATIONS.test(key) && key !== LAST_APPLIED,
  );
  if (annotations.length > 0) kept.annotations = Object.fromEntries(annotations);
  return kept;
}

function containers(spec: unknown, field: string): Record<string, unknown>[] {
  const list = (spec as Fields | undefined)?.[field];
  if (!Array.isArray(list)) return [];
  return list.map((container) => only(container, ["name", "ports", "restartPolicy"]));
}

function only(value: unknown, names: readonly string[]): Record<string, unknown> {
  const from = (value ?? {}) as Fields;
  const kept: Record<string, unknown> = {};
  for (const name of names) if (from[name] !== undefined) kept[name] = from[name];
  return kept;
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
