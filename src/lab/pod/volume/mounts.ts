// Where a container sees its pod's volumes.
import { mkdirSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import type { Container } from "../../../kube/objects.ts";
import type { Mount } from "../enter/enter.ts";
import { expand } from "../expand.ts";
import type { VolumePaths } from "./pod-volumes.ts";

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
    if (subPath !== "" && statSync(source, { throwIfNoEntry: false }) === undefined) {
      if (volume.readOnly) throw new MountProblem(`failed to create ${where}`);
      mkdirSync(source, { recursive: true });
    }
    const target = normalize(join("/", mount.mountPath)).replace(/(.)\/$/, "$1");
    return { source, target, readOnly: volume.readOnly || mount.readOnly === true };
  });
}

/** Is there a place for each of them among the machine's files? */
export function havePlaces(mounts: readonly Mount[]): boolean {
  return mounts.every(({ source, target }) => {
    const [from, to] = [source, target].map((path) => statSync(path, { throwIfNoEntry: false }));
    return to !== undefined && from?.isDirectory() === to.isDirectory();
  });
}
