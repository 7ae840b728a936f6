// The volumes of one pod, as folders of this machine that its containers get to see: made before they start, brought up
// to date when ConfigMaps, Secrets or the pod itself change, taken away with the pod.
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { HostPathVolumeSource, Volume } from "kubernetes-types/core/v1.js";
import { nanosOf } from "../../../kube/validate/resources.ts";
import { tryCommand } from "../../process/command.ts";
import type { PodToken, TokenWanted } from "../config-objects.ts";
import { writeFolder } from "./atomic-folder.ts";
import { filesOf, type Place, type PodPlace, type VolumeFiles, VolumeProblem } from "./volume-files.ts";

export interface VolumeFolders {
  /** Of this pod. */
  readonly own: string;
  /** Of the lab: what outlives pods. */
  readonly lab: string;
}

/** Name of a volume → where it lies on the machine. */
export type VolumePaths = ReadonlyMap<string, { readonly path: string; readonly readOnly: boolean }>;

const PRIVATE = 0o700;
const NAME = /^[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$/;
const NANO = 1_000_000_000n;

export class PodVolumes {
  readonly #folders: VolumeFolders;
  readonly #paths = new Map<string, { path: string; readOnly: boolean }>();
  /** What lies there: a change of the pod or of an object mostly changes none of it. */
  readonly #written = new Map<string, VolumeFiles>();
  /** Where a file system in memory is mounted. */
  readonly #mounted: string[] = [];
  /** By the file that each is for. */
  readonly #tokens = new Map<string, PodToken>();

  constructor(folders: VolumeFolders) {
    this.#folders = folders;
  }

  get paths(): VolumePaths {
    return this.#paths;
  }

  /** When a token has to be followed by the next one: it is time to refresh. Milliseconds since 1970. */
  get renewAtMs(): number {
    return Math.min(...[...this.#tokens.values()].map((each) => each.renewAtMs));
  }

  /** Makes what is missing. Throws a VolumeProblem whose message is kubelet's sentence. */
  async prepare(of: PodPlace): Promise<void> {
    const place = this.#withTokens(of);
    // Tokens and Secrets are their pod's, not the machine's: containers have them by mounts, others may not look in here.
    mkdirSync(this.#folders.own, { recursive: true });
    chmodSync(this.#folders.own, PRIVATE);
    for (const volume of place.pod.spec.volumes ?? []) {
      if (this.#paths.has(volume.name) && filesOf(volume, place) === undefined) continue;
      try {
        this.#paths.set(volume.name, await this.#make(volume, place));
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new VolumeProblem(`MountVolume.SetUp failed for volume "${volume.name}" : ${why}`, { cause });
      }
    }
  }

  /** What objects say by now. What is gone meanwhile keeps its last files, as in a cluster. */
  refresh(of: PodPlace): void {
    const place = this.#withTokens(of);
    for (const volume of place.pod.spec.volumes ?? []) {
      const known = this.#paths.get(volume.name);
      if (known === undefined) continue;
      try {
        const files = filesOf(volume, place);
        const written = this.#written.get(volume.name);
        if (files === undefined || (written !== undefined && areSame(written, files))) continue;
        writeFolder(known.path, files, Date.now());
        this.#written.set(volume.name, files);
      } catch (error) {
        if (!(error instanceof VolumeProblem)) throw error;
      }
    }
  }

  #withTokens(place: PodPlace): Place {
    const token = (use: string, wanted: TokenWanted): string | undefined => {
      const known = this.#tokens.get(use);
      if (known !== undefined && known.renewAtMs > Date.now()) return known.token;
      const next = place.objects.token(place.pod, wanted) ?? known;
      if (next !== undefined) this.#tokens.set(use, next);
      return next?.token;
    };
    return { ...place, token };
  }

  async remove(): Promise<void> {
    for (const path of this.#mounted) await tryCommand("umount", ["-l", path]);
    rmSync(this.#folders.own, { recursive: true, force: true });
  }

  async #make(volume: Volume, place: Place): Promise<{ path: string; readOnly: boolean }> {
    const path = `${this.#folders.own}/${volume.name}`;
    const files = filesOf(volume, place);
    if (files !== undefined) {
      writeFolder(path, files, Date.now());
      this.#written.set(volume.name, files);
      return { path, readOnly: true };
    }
    if (volume.hostPath !== undefined) return { path: this.#hostPath(volume.hostPath), readOnly: false };
    if (volume.persistentVolumeClaim !== undefined) {
      const { claimName, readOnly = false } = volume.persistentVolumeClaim;
      // No claim has another name, and a path would lead out of the lab's folder.
      if (!NAME.test(claimName))
        throw new VolumeProblem(`persistentvolumeclaim ${JSON.stringify(claimName)} not found`);
      const claim = `${this.#folders.lab}/claims/${place.pod.metadata.namespace}/${claimName}`;
      mkdirSync(claim, { recursive: true, mode: 0o777 });
      return { path: claim, readOnly };
    }
    if (volume.emptyDir === undefined && volume.ephemeral === undefined) {
      const [kind = "volume"] = Object.keys(volume).filter((field) => field !== "name");
      throw new VolumeProblem(`no volume plugin matched: a lab has no ${kind} volumes`);
    }
    mkdirSync(path, { recursive: true });
    if (volume.emptyDir?.medium === "Memory") await this.#inMemory(path, volume.emptyDir.sizeLimit);
    await tryCommand("chmod", ["1777", path]);
    return { path, readOnly: false };
  }

  async #inMemory(path: string, sizeLimit: string | undefined): Promise<void> {
    if (statSync(path).dev === statSync(dirname(path)).dev) {
      const bytes = sizeLimit === undefined ? 0n : nanosOf(sizeLimit) / NANO;
      const size = bytes > 0n ? ["-o", `size=${bytes}`] : [];
      const result = await tryCommand("mount", ["-t", "tmpfs", ...size, "tmpfs", path]);
      if (result.status !== 0) throw new VolumeProblem(result.stderr.trim().split("\n")[0]);
    }
    this.#mounted.push(path);
  }

  /** What is to be made where it is missing is made in the lab, not on the machine. */
  #hostPath({ path, type = "" }: HostPathVolumeSource): string {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there === undefined) {
      if (!type.endsWith("OrCreate"))
        throw new VolumeProblem(`hostPath type check failed: ${path} ${KINDS[type] ?? "does not exist"}`);
      const made = `${this.#folders.lab}/host${path}`;
      mkdirSync(type === "FileOrCreate" ? dirname(made) : made, { recursive: true });
      if (type === "FileOrCreate") writeFileSync(made, "", { flag: "a" });
      return made;
    }
    const isRight =
      {
        Directory: there.isDirectory(),
        DirectoryOrCreate: there.isDirectory(),
        File: there.isFile(),
        FileOrCreate: there.isFile(),
        Socket: there.isSocket(),
        CharDevice: there.isCharacterDevice(),
        BlockDevice: there.isBlockDevice(),
      }[type] ?? true;
    if (!isRight) throw new VolumeProblem(`hostPath type check failed: ${path} ${KINDS[type]}`);
    return path;
  }
}

function areSame(a: VolumeFiles, b: VolumeFiles): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([path, { bytes, mode }]) => {
    const other = b.get(path);
    return other !== undefined && other.mode === mode && Buffer.compare(other.bytes, bytes) === 0;
  });
}

const KINDS: Readonly<Record<string, string>> = {
  Directory: "is not a directory",
  DirectoryOrCreate: "is not a directory",
  File: "is not a file",
  FileOrCreate: "is not a file",
  Socket: "is not a socket file",
  CharDevice: "is not a character device",
  BlockDevice: "is not a block device",
};
