// An object as kubectl describes it: the same fields in the same order and columns (those of kubectl 1.32).

import { carriedKind, kindOf } from "../../../kube/kinds.ts";
import type {
  DaemonSet,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  Job,
  KubeObject,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
  ReplicaSet,
  Service,
  StatefulSet,
} from "../../../kube/objects.ts";
import { type ConfigObject, configMapLines, secretLines, serviceAccountLines } from "./config.ts";
import { genericText } from "./generic.ts";
import { type IngressObject, ingressClassLines, ingressLines } from "./ingress.ts";
import { endpointsLines, policyLines, serviceLines, sliceLines } from "./network.ts";
import { namespaceLines, nodeLines } from "./node.ts";
import { eventLines } from "./parts.ts";
import { podLines } from "./pod.ts";
import { TabWriter } from "./tabs.ts";
import {
  cronJobLines,
  daemonSetLines,
  deploymentLines,
  jobLines,
  replicaSetLines,
  statefulSetLines,
} from "./workloads.ts";

/** What stands around an object. */
export interface Surroundings {
  nowMs: number;
  /** Of this object; undefined: none are shown. */
  events?: readonly Event[] | undefined;
  /** Of its namespace, or of all. */
  pods?: readonly Pod[];
  /** Of a Service; of an Ingress those of its namespace. */
  slices?: readonly EndpointSlice[];
  /** Of an Ingress: those of its namespace. */
  services?: readonly Service[];
  /** Of a Deployment: its templates, with the numbers of their pods. */
  replicaSets?: { old: string; new: string };
}

/** Kinds that kubectl shows no events of. */
const WITHOUT_EVENTS = new Set(["NetworkPolicy", "Namespace", "Secret"]);

export function describe(object: KubeObject, around: Surroundings): string {
  const w = new TabWriter();
  const { apiVersion, kind } = object; // custom resources may have a name of ours
  const isOurs = (kindOf(apiVersion, kind) ?? carriedKind(apiVersion, kind)) !== undefined;
  const lines = isOurs ? LINES[kind] : undefined;
  if (lines === undefined) return genericText(object, around.events, around.nowMs);
  lines(w, object, around);
  if (around.events !== undefined && !WITHOUT_EVENTS.has(object.kind))
    eventLines(w, around.events, around.nowMs);
  return w.toString();
}

type Lines = (w: TabWriter, object: KubeObject, around: Surroundings) => void;

const scaledLines: Lines = (w, object, { pods = [] }) => replicaSetLines(w, object as ReplicaSet, pods);

const LINES: Readonly<Record<string, Lines>> = {
  Pod: (w, object, { nowMs }) => podLines(w, object as Pod, nowMs),
  Service: (w, object, { slices = [] }) => serviceLines(w, object as Service, slices),
  EndpointSlice: (w, object) => sliceLines(w, object as EndpointSlice),
  Endpoints: (w, object) => endpointsLines(w, object as Endpoints),
  NetworkPolicy: (w, object) => policyLines(w, object as NetworkPolicy),
  Node: (w, object, { pods = [], nowMs }) => nodeLines(w, object as Node, pods, nowMs),
  Namespace: (w, object) => namespaceLines(w, object as Namespace),
  Deployment: (w, object, { replicaSets }) => deploymentLines(w, object as Deployment, replicaSets),
  ReplicaSet: scaledLines,
  ReplicationController: scaledLines,
  StatefulSet: (w, object, { pods = [] }) => statefulSetLines(w, object as StatefulSet, pods),
  DaemonSet: (w, object, { pods = [] }) => daemonSetLines(w, object as DaemonSet, pods),
  Job: (w, object) => jobLines(w, object as Job),
  CronJob: cronJobLines,
  Ingress: (w, object, { services = [], slices = [] }) =>
    ingressLines(w, object as IngressObject, { services, slices }),
  IngressClass: (w, object) => ingressClassLines(w, object as IngressObject),
  ConfigMap: (w, object) => configMapLines(w, object as ConfigObject),
  Secret: (w, object) => secretLines(w, object as ConfigObject),
  ServiceAccount: (w, object) => serviceAccountLines(w, object as ConfigObject),
};
