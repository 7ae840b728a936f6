// Which objects of files are a cluster's, and which are still to become one.
import { WORKLOADS } from "../../kube/kinds.ts";
import { isMirrored } from "../../kube/mirrored-slices.ts";
import type { KubeObject, Service } from "../../kube/objects.ts";
import { DEFAULT_NODES } from "./offline-cluster.ts";

/**
 * Manifests as somebody writes them for a cluster: Services wait for their address, or pods for the slices
 * they will be in. Otherwise objects are taken as they stand, as they are in a cluster, whatever ranges it
 * has.
 */
export function needControllers(objects: readonly KubeObject[]): boolean {
  const own = objects.filter((object) => !isMirrored(object)); // those stand for no pods
  const has = (kind: string): boolean => own.some((object) => object.kind === kind);
  return objects.some(isUnaddressed) || (["Pod", ...WORKLOADS].some(has) && !has("EndpointSlice"));
}

function isUnaddressed(object: KubeObject): boolean {
  const { spec } = object as Service;
  return object.kind === "Service" && spec.type !== "ExternalName" && (spec.clusterIP ?? "") === "";
}

/**
 * Is what `explain` is given such manifests, of Services and what serves them? Where slices are, a cluster's controllers
 * have been: objects are taken as they stand. The node that is asked about has to be one of theirs; without Nodes there
 * are two (offline-cluster.ts).
 */
export function becomesCluster(objects: readonly KubeObject[], node: string | undefined): boolean {
  const named = objects.filter(({ kind }) => kind === "Node").map(({ metadata }) => metadata.name);
  const nodes = named.length > 0 ? named : DEFAULT_NODES;
  const isOfTheirs = node === undefined || nodes.includes(node);
  const has = (kind: string): boolean =>
    objects.some((object) => object.kind === kind && !isMirrored(object));
  return isOfTheirs && has("Service") && !has("EndpointSlice") && needControllers(objects);
}
