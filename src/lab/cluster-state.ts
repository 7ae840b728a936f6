// The lab's objects on disk: a lab process that is started again goes on with what the one before it had, down to the
// pods' addresses and names.
import { parseSpan } from "../base/address-span.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { SavedCluster } from "../cluster/saved-cluster.ts";
import { readPodSecurity } from "../config/pod-security.ts";
import { goArchitecture } from "../kube/kubelet-labels.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { LabError } from "./errors.ts";
import { isNodeLease } from "./node/node-beats.ts";
import type { LabPaths } from "./state-dir.ts";
import { readState, type SavedState, StateWriter } from "./state-files.ts";
import type { Topology } from "./topology.ts";

const SAVE_DELAY_MS = 100;
const UNSAVED_MAX = 10_000; // changes until the next writing is done

export interface OpenCluster {
  cluster: Cluster;
  /** Writes what is not on disk yet. */
  save(): Promise<void>;
}

/** What the lab process before had. Files are replaced in one step, so one that is no state was changed by somebody. */
function stateOf(lab: string, paths: LabPaths): SavedState | undefined {
  const found = readState(paths.state);
  if (found === "missing") return undefined;
  if (found !== "wrong") return found;
  const mend = `podwire lab down --lab ${lab}, then lab up, makes the lab anew`;
  throw new LabError("LAB_BAD_STATE", `${paths.state}: not the objects of a lab: ${mend}`);
}

/**
 * A lab process that was killed may have told changes that are not on disk. No version comes twice: whoever knows one of
 * them lists anew.
 */
function later(saved: SavedCluster): SavedCluster {
  return { ...saved, resourceVersion: saved.resourceVersion + UNSAVED_MAX };
}

export function openCluster(t: Topology, paths: LabPaths, log: (line: string) => void): OpenCluster {
  const before = stateOf(t.lab, paths);
  const cluster = new Cluster({
    clusterCidr: t.clusterCidr,
    serviceCidr: t.serviceCidr,
    loadBalancer: t.loadBalancer?.pool.flatMap((text) => parseSpan(text) ?? []),
    nowMs: Date.now,
    architecture: goArchitecture(process.arch),
    saved: before === undefined ? undefined : later(before.saved),
    ...{ events: true, hasApi: true },
    podSecurity: readPodSecurity(t.podSecurity, new FieldProblems()), // it was checked with the file
    audit: log,
  });
  if (before !== undefined) cluster.restore(before.objects);
  const onError = (error: Error): void => log(`state not saved: ${error.message}`);
  let timer: NodeJS.Timeout | undefined;
  const { store } = cluster;
  const writer = new StateWriter(paths.state, {
    get version() {
      return store.version;
    },
    objects: () => store.kinds.flatMap((kind) => store.list(kind)),
  });
  let last: Promise<void> = Promise.resolve();
  // One after another: two at once would write into one file.
  const save = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    last = last.catch(() => {}).then(() => writer.write());
    return last;
  };
  cluster.onChange((change) => {
    if (isNodeLease(change.object)) return;
    writer.changed(change);
    timer ??= setTimeout(() => save().catch(onError), SAVE_DELAY_MS);
  });
  return { cluster, save };
}
