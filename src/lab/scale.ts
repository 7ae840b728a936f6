// How many pods a deployment, or another kind with replicas, is to have.
import type { Cluster } from "../cluster/cluster.ts";
import { notFound } from "../cluster/outcome.ts";
import type { KubeObject } from "../kube/objects.ts";
import { LabError } from "./errors.ts";

export interface ScaleBody {
  kind: string;
  name: string;
  namespace: string;
  replicas: number;
  /** Scale only if so many are wanted now. */
  current?: number;
}

const SCALABLE = ["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"];

/** The object as it stands then; its pods follow. */
export function scale(cluster: Cluster, { kind, name, namespace, replicas, current }: ScaleBody): KubeObject {
  const info = cluster.kindOf(kind);
  if (!SCALABLE.includes(info.kind))
    throw new LabError("NOT_SCALABLE", `scale ${info.singular}/${name}: a ${info.kind} has no replicas`);
  const object = cluster.get(info.kind, `${namespace}/${name}`) as
    | (KubeObject & { spec: { replicas?: number } })
    | undefined;
  if (object === undefined) throw new LabError("NOT_FOUND", notFound(info, name));
  const wanted = object.spec.replicas ?? 1;
  if (current !== undefined && current !== wanted)
    throw new LabError(
      "CONFLICT",
      `scale ${info.singular}/${name}: expected replicas to be ${current}, it has ${wanted}`,
    );
  cluster.update({ ...object, spec: { ...object.spec, replicas } } as KubeObject);
  return cluster.get(info.kind, `${namespace}/${name}`) ?? object;
}
