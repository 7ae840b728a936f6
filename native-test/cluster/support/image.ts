// Images of containers out of programs, without an engine: an OCI archive of one layer, for `ctr images import`.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const TYPE = "application/vnd.oci.image";
/** Docker's names of what Node.js calls otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64" };

export interface ImageFile {
  readonly path: string;
  /** Copied from here, … */
  readonly from?: string;
  /** … or this text. */
  readonly text?: string;
}

/** Makes FOLDER/LABEL.tar, the image NAME that starts `command`, with these words where a pod gives no others. */
export function makeImage(
  folder: string,
  name: string,
  files: readonly ImageFile[],
  command: readonly string[],
  words: readonly string[] = [],
): string {
  const label = name.replace(/[^a-z]/g, "-");
  const root = join(folder, `${label}-root`);
  const work = join(folder, `${label}-image`);
  for (const { path, from, text = "" } of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (from === undefined) writeFileSync(join(root, path), text);
    else copyFileSync(from, join(root, path));
  }
  mkdirSync(join(work, "blobs/sha256"), { recursive: true });
  const blob = (bytes: Buffer): { digest: string; size: number } => {
    const sum = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(work, "blobs/sha256", sum), bytes);
    return { digest: `sha256:${sum}`, size: bytes.length };
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const layerFile = join(folder, `${label}-layer.tar`);
  execFileSync("tar", ["--owner=0", "--group=0", "--numeric-owner", "-C", root, "-cf", layerFile, "."]);
  const layer = blob(readFileSync(layerFile));
  const config = blob(
    json({
      ...{ architecture: ARCHITECTURES[process.arch] ?? process.arch, os: "linux" },
      config: { Entrypoint: command, Cmd: words, Env: ["PATH=/bin:/"] },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    }),
  );
  const manifest = blob(
    json({
      ...{ schemaVersion: 2, mediaType: `${TYPE}.manifest.v1+json` },
      config: { mediaType: `${TYPE}.config.v1+json`, ...config },
      layers: [{ mediaType: `${TYPE}.layer.v1.tar`, ...layer }],
    }),
  );
  const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name };
  writeFileSync(join(work, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(work, "index.json"),
    json({
      schemaVersion: 2,
      manifests: [{ mediaType: `${TYPE}.manifest.v1+json`, ...manifest, annotations }],
    }),
  );
  const out = join(folder, `${label}.tar`);
  execFileSync("tar", ["-C", work, "-cf", out, "oci-layout", "index.json", "blobs"]);
  for (const each of [root, work, layerFile]) rmSync(each, { recursive: true });
  return out;
}
