// Where a container sees its pod's volumes.
import { lstatSync, mkdirSync, realpathSync, rmdirSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ACCOUNT_FOLDER } from "../../../kube/account-volume.ts";
import type { Container } from "../../../kube/objects.ts";
import type { Mount } from "../enter/enter.ts";
import { expand } from "../expand.ts";
import type { VolumePaths } from "./pod-volumes.ts";

const ACCOUNT_FOLDERS = 3; // below /var/run

/** Why a container cannot be made as its configuration says, in kubelet's words. */
export class MountProblem extends Error {}

/** `env`: for subPathExpr. */
export function mountsOf(
  container: Container,
  volumes: VolumePaths,
  env: Readonly<Record<string, string>>,
): Mount[] {
  return (container.volumeMounts ?? []).map((mount) => {
    const volume = volumes.get(mount.name);
    if (volume === undefined)
      throw new MountProblem(
        `cannot find volume "${mount.name}" to mount into container "${container.name}"`,
      );
    const subPath = mount.subPathExpr === undefined ? (mount.subPath ?? "") : expand(mount.subPathExpr, env);
    const where = `subPath directory for volumeMount "${mount.name}" of container "${container.name}"`;
    if (subPath.split("/").includes(".."))
      throw new MountProblem(`failed to prepare ${where}: must not contain '..'`);
    const source = subPath === "" ? volume.path : join(volume.path, subPath);
    if (subPath !== "" && !staysInside(source, volume.path))
      throw new MountProblem(`failed to prepare ${where}: it leads out of the volume`);
    if (subPath !== "" && statSync(source, { throwIfNoEntry: false }) === undefined) {
      if (volume.readOnly) throw new MountProblem(`failed to create ${where}`);
      mkdirSync(source, { recursive: true });
    }
    const target = normalize(join("/", mount.mountPath)).replace(/(.)\/$/, "$1");
    return { source, target, readOnly: volume.readOnly || mount.readOnly === true };
  });
}

/** By the links that programs may have made in a volume somebody would mount, and have made, folders of the machine. */
function staysInside(path: string, volume: string): boolean {
  try {
    let there = path;
    while (lstatSync(there, { throwIfNoEntry: false }) === undefined) there = dirname(there);
    const [real, root] = [there, volume].map((each) => realpathSync(each));
    return real === root || real.startsWith(root === "/" ? root : `${root}/`);
  } catch {
    return false; // a link to nothing, a file where a folder should be
  }
}

/** Is there a place for each of them among the machine's files? */
export function havePlaces(mounts: readonly Mount[]): boolean {
  return mounts.every(({ source, target }) => {
    const [from, to] = [source, target].map((path) => statSync(path, { throwIfNoEntry: false }));
    return to !== undefined && from?.isDirectory() === to.isDirectory();
  });
}

/**
 * Every pod has its account there, and few machines that folder: it is made for them, empty, since a root of its own for
 * each container would be much for that.
 */
export function makeAccountPlace(mounts: readonly Mount[]): void {
  if (!mounts.some(({ target }) => target === ACCOUNT_FOLDER)) return;
  try {
    mkdirSync(ACCOUNT_FOLDER, { recursive: true });
  } catch {
    // then the container has a root of its own
  }
}

/** After the last lab. */
export function removeAccountPlace(): void {
  try {
    for (let folder = ACCOUNT_FOLDER, i = 0; i < ACCOUNT_FOLDERS; i++, folder = dirname(folder))
      rmdirSync(folder);
  } catch {
    // never made, or somebody has something in there
  }
}
