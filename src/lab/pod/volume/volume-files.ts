// The files of volumes that hold what objects say: ConfigMaps, Secrets, the downward API, several of them projected into
// one. In kubelet's words where something is missing. Pure.
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from "kubernetes-types/core/v1.js";
import type { Pod } from "../../../kube/objects.ts";
import { NOT_YET } from "../../lab-status.ts";
import type { NodePlan } from "../../topology.ts";
import type { ConfigObjects, Entries } from "../config-objects.ts";
import { fieldText, resourceText, serviceAccountOf } from "../downward.ts";

export interface VolumeFile {
  readonly bytes: Uint8Array;
  /** Permissions. */
  readonly mode: number;
}

/** Path below the volume's folder → the file. */
export type VolumeFiles = Map<string, VolumeFile>;

export interface Place {
  readonly pod: Pod;
  readonly node: NodePlan;
  readonly objects: ConfigObjects;
}

/** Why the volume cannot be mounted; a cluster tries again and again. */
export class VolumeProblem extends Error {}

const MODE_DEFAULT = 0o644;
/** The volume that an API server adds to a pod, as it stands in what a cluster printed: a lab need not have its parts. */
const KUBELETS_OWN = /^(?:kube-api-access|default-token)-/;

/** Undefined: a volume that is no such thing. */
export function filesOf(volume: Volume, place: Place): VolumeFiles | undefined {
  const isOptional = KUBELETS_OWN.test(volume.name);
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) {
    const { defaultMode, ...source } = configMap;
    return projectedFiles({ defaultMode, sources: [{ configMap: source }] }, place, isOptional);
  }
  if (secret !== undefined) {
    const { defaultMode, secretName, ...source } = secret;
    const named = secretName === undefined ? source : { ...source, name: secretName };
    return projectedFiles({ defaultMode, sources: [{ secret: named }] }, place, isOptional);
  }
  if (downwardAPI !== undefined) {
    const { defaultMode, ...source } = downwardAPI;
    return projectedFiles({ defaultMode, sources: [{ downwardAPI: source }] }, place, isOptional);
  }
  return projected === undefined ? undefined : projectedFiles(projected, place, isOptional);
}

type Sources = Omit<ProjectedVolumeSource, "sources" | "defaultMode"> & {
  defaultMode: number | undefined;
  sources?: VolumeProjection[];
};

function projectedFiles(
  { defaultMode, sources = [] }: Sources | ProjectedVolumeSource,
  place: Place,
  isOptional: boolean,
): VolumeFiles {
  const files: VolumeFiles = new Map();
  const mode = defaultMode ?? MODE_DEFAULT;
  for (const source of sources) {
    for (const [path, file] of filesOfSource(source, place, { mode, isOptional })) files.set(path, file);
  }
  return files;
}

interface How {
  readonly mode: number;
  readonly isOptional: boolean;
}

function filesOfSource(source: VolumeProjection, place: Place, how: How): VolumeFiles {
  const { pod, objects } = place;
  const namespace = pod.metadata.namespace ?? "default";
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  if (configMap !== undefined) {
    const { name = "", items, optional } = configMap;
    const told = { kind: "configmap", keys: "config key", name, items };
    return entryFiles(objects.configMap(namespace, name), told, {
      ...how,
      isOptional: optional ?? how.isOptional,
    });
  }
  if (secret !== undefined) {
    const { name = "", items, optional } = secret;
    const told = { kind: "secret", keys: "secret key", name, items };
    return entryFiles(objects.secret(namespace, name), told, {
      ...how,
      isOptional: optional ?? how.isOptional,
    });
  }
  if (downwardAPI !== undefined)
    return new Map((downwardAPI.items ?? []).map((item) => [item.path, downwardFile(item, place, how.mode)]));
  if (serviceAccountToken !== undefined) {
    const text = objects.token(namespace, serviceAccountOf(pod), serviceAccountToken.audience);
    if (text === undefined) {
      if (how.isOptional) return new Map();
      throw new VolumeProblem(`failed to fetch token: ${NOT_YET}`);
    }
    return new Map([[serviceAccountToken.path, { bytes: Buffer.from(text), mode: how.mode }]]);
  }
  const [kind = "source"] = Object.keys(source);
  if (how.isOptional) return new Map();
  throw new VolumeProblem(`projected ${kind} is not supported here`);
}

interface Told {
  readonly kind: string;
  readonly keys: string;
  readonly name: string;
  readonly items: readonly KeyToPath[] | undefined;
}

function entryFiles(entries: Entries | undefined, told: Told, { mode, isOptional }: How): VolumeFiles {
  if (entries === undefined) {
    if (isOptional) return new Map();
    throw new VolumeProblem(`${told.kind} "${told.name}" not found`);
  }
  if ((told.items ?? []).length === 0)
    return new Map([...entries].map(([key, bytes]) => [key, { bytes, mode }]));
  const files: VolumeFiles = new Map();
  for (const { key, path, mode: own } of told.items ?? []) {
    const bytes = entries.get(key);
    if (bytes !== undefined) files.set(path, { bytes, mode: own ?? mode });
    else if (!isOptional) throw new VolumeProblem(`references non-existent ${told.keys}: ${key}`);
  }
  return files;
}

function downwardFile(item: DownwardAPIVolumeFile, { pod, node, objects }: Place, mode: number): VolumeFile {
  const { fieldRef, resourceFieldRef } = item;
  const text =
    resourceFieldRef === undefined
      ? fieldText(pod, node, fieldRef?.fieldPath ?? "")
      : resourceText(pod, undefined, resourceFieldRef, objects);
  return { bytes: Buffer.from(text), mode: item.mode ?? mode };
}
