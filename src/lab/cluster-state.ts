// The lab's objects on disk: a lab process that is started again goes on with what the one before it had, down to the
// pods' addresses and names.
import { Cluster } from "../cluster/cluster.ts";
import type { SavedCluster } from "../cluster/saved-cluster.ts";
import { STORED_KINDS } from "../kube/kinds.ts";
import { goArchitecture } from "../kube/kubelet-labels.ts";
import type { KubeObject } from "../kube/objects.ts";
import { type LabPaths, readJson, writeAtomically } from "./state-dir.ts";
import type { Topology } from "./topology.ts";

const SAVE_DELAY_MS = 100;
interface SavedState {
  version: 1;
  saved: SavedCluster;
  objects: KubeObject[];
}

export interface OpenCluster {
  cluster: Cluster;
  /** Writes what is not on disk yet. */
  save(): Promise<void>;
}

export function openCluster(t: Topology, paths: LabPaths, onError: (error: Error) => void): OpenCluster {
  const before = readJson<SavedState>(paths.state);
  const cluster = new Cluster({
    clusterCidr: t.clusterCidr,
    serviceCidr: t.serviceCidr,
    nowMs: Date.now,
    architecture: goArchitecture(process.arch),
    saved: before?.saved,
    events: true,
  });
  if (before !== undefined) cluster.restore(before.objects);
  let timer: NodeJS.Timeout | undefined;
  const save = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const objects = STORED_KINDS.flatMap(({ kind }) => cluster.list(kind));
    const state: SavedState = { version: 1, saved: cluster.save(), objects };
    await writeAtomically(paths.state, JSON.stringify(state));
  };
  cluster.onChange(() => {
    timer ??= setTimeout(() => save().catch(onError), SAVE_DELAY_MS);
  });
  return { cluster, save };
}
