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
import { type Behind, type IngressObject, ingressClassLines, ingressLines } from "./ingress.ts";
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
  if (!isOurs || !specificLines(w, object, around)) return genericText(object, around.events, around.nowMs);
  if (around.events !== undefined && !WITHOUT_EVENTS.has(object.kind))
    eventLines(w, around.events, around.nowMs);
  return w.toString();
}

function specificLines(w: TabWriter, object: KubeObject, around: Surroundings): boolean {
  const { nowMs, pods = [], slices = [], services = [], replicaSets } = around;
  switch (object.kind) {
    case "Pod":
      podLines(w, object as Pod, nowMs);
      return true;
    case "Service":
      serviceLines(w, object as Service, slices);
      return true;
    case "EndpointSlice":
      sliceLines(w, object as EndpointSlice);
      return true;
    case "Endpoints":
      endpointsLines(w, object as Endpoints);
      return true;
    case "NetworkPolicy":
      policyLines(w, object as NetworkPolicy);
      return true;
    case "Node":
      nodeLines(w, object as Node, pods, nowMs);
      return true;
    case "Namespace":
      namespaceLines(w, object as Namespace);
      return true;
    case "Deployment":
      deploymentLines(w, object as Deployment, replicaSets);
      return true;
    case "ReplicaSet":
    case "ReplicationController":
      replicaSetLines(w, object as ReplicaSet, pods);
      return true;
    case "StatefulSet":
      statefulSetLines(w, object as StatefulSet, pods);
      return true;
    case "DaemonSet":
      daemonSetLines(w, object as DaemonSet, pods);
      return true;
    case "Job":
      jobLines(w, object as Job);
      return true;
    default:
      return otherLines(w, object, { services, slices });
  }
}

/** What does nothing to packets. */
function otherLines(w: TabWriter, object: KubeObject, behind: Behind): boolean {
  switch (object.kind) {
    case "CronJob":
      cronJobLines(w, object);
      return true;
    case "Ingress":
      ingressLines(w, object as IngressObject, behind);
      return true;
    case "IngressClass":
      ingressClassLines(w, object as IngressObject);
      return true;
    case "ConfigMap":
      configMapLines(w, object as ConfigObject);
      return true;
    case "Secret":
      secretLines(w, object as ConfigObject);
      return true;
    case "ServiceAccount":
      serviceAccountLines(w, object as ConfigObject);
      return true;
    default:
      return false;
  }
}
