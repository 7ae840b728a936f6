// The files of volumes that hold what objects say: ConfigMaps, Secrets, the downward API, several of them projected into
// one. In kubelet's words where something is missing. Pure.
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from "kubernetes-types/core/v1.js";
import { ACCOUNT_VOLUME } from "../../../kube/account-volume.ts";
import type { KubeObject, Pod } from "../../../kube/objects.ts";
import { NOT_YET } from "../../lab-status.ts";
import type { NodePlan } from "../../topology.ts";
import type { ConfigObjects, Entries, TokenWanted } from "../config-objects.ts";
import { fieldText, resourceText } from "../downward.ts";

export interface VolumeFile {
  readonly bytes: Uint8Array;
  /** Permissions. */
  readonly mode: number;
}

/** Path below the volume's folder → the file. */
export type VolumeFiles = Map<string, VolumeFile>;

export interface PodPlace {
  readonly pod: Pod;
  readonly node: NodePlan;
  readonly objects: ConfigObjects;
}

export interface Place extends PodPlace {
  /** Of the pod's service account; undefined: nobody here gives any. `use`: the file that it is for. */
  token(use: string, wanted: TokenWanted): string | undefined;
}

/** Why the volume cannot be mounted; a cluster tries again and again. */
export class VolumeProblem extends Error {}

const MODE_DEFAULT = 0o644;
/**
 * The volume that an API server adds to a pod, as it stands in what another cluster printed, too: a lab need not have its
 * parts.
 */
const isServers = (name: string): boolean =>
  name.startsWith(ACCOUNT_VOLUME) || name.startsWith("default-token-");

/** Whether a volume of the pod has files of this ConfigMap or Secret of its namespace. */
export function hasFilesOf({ spec }: Pod, { kind, metadata: { name } }: KubeObject): boolean {
  const isMap = kind === "ConfigMap";
  return (spec.volumes ?? []).some(({ configMap, secret, projected }) => {
    const named = (isMap ? configMap?.name : secret?.secretName) === name;
    const isOne = (source: VolumeProjection): boolean =>
      (isMap ? source.configMap : source.secret)?.name === name;
    return named || projected?.sources?.some(isOne) === true;
  });
}

/** Undefined: a volume that is no such thing. */
export function filesOf(volume: Volume, place: Place): VolumeFiles | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) {
    const { defaultMode, ...source } = configMap;
    return projectedFiles({ defaultMode, sources: [{ configMap: source }] }, place, volume.name);
  }
  if (secret !== undefined) {
    const { defaultMode, secretName, ...source } = secret;
    const named = secretName === undefined ? source : { ...source, name: secretName };
    return projectedFiles({ defaultMode, sources: [{ secret: named }] }, place, volume.name);
  }
  if (downwardAPI !== undefined) {
    const { defaultMode, ...source } = downwardAPI;
    return projectedFiles({ defaultMode, sources: [{ downwardAPI: source }] }, place, volume.name);
  }
  return projected === undefined ? undefined : projectedFiles(projected, place, volume.name);
}

type Sources = Omit<ProjectedVolumeSource, "sources" | "defaultMode"> & {
  defaultMode: number | undefined;
  sources?: VolumeProjection[];
};

function projectedFiles(
  { defaultMode, sources = [] }: Sources | ProjectedVolumeSource,
  place: Place,
  volume: string,
): VolumeFiles {
  const files: VolumeFiles = new Map();
  const how = { mode: defaultMode ?? MODE_DEFAULT, isOptional: isServers(volume), volume };
  for (const source of sources) {
    for (const [path, file] of filesOfSource(source, place, how)) files.set(path, file);
  }
  return files;
}

interface How {
  readonly mode: number;
  readonly isOptional: boolean;
  readonly volume: string;
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
    const { path, ...wanted } = serviceAccountToken;
    const text = place.token(`${how.volume}/${path}`, wanted);
    if (text === undefined) {
      if (how.isOptional) return new Map();
      throw new VolumeProblem(`failed to fetch token: ${NOT_YET}`);
    }
    return new Map([[path, { bytes: Buffer.from(text), mode: how.mode }]]);
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
