// lab.yaml → Lab object and the manifests it names.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseManifests } from "../control/manifest/manifest.ts";
import { LabError } from "./errors.ts";
import { packageRoot } from "./preconditions.ts";
import { DEFAULT_LAB, type LabObject } from "./topology.ts";
import { readProblem } from "./up.ts";

export interface LabFile {
  object: LabObject;
  /** Files, in the order in which they are applied. */
  manifests: string[];
}

const DEMO = "src/lab/scenario/demo.yaml";

export function defaultLab(): LabFile {
  return { object: DEFAULT_LAB, manifests: [join(packageRoot(), DEMO)] };
}

/** Reads and checks the file; names in `manifests` are relative to it, and may be directories. */
export function readLabFile(file: string): LabFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new LabError("LAB_NO_FILE", `${file}: ${readProblem(error)}`);
  }
  const found = parseManifests([{ file, text }]);
  const labs = found.filter((each) => each.object.kind === "Lab");
  if (labs.length !== 1 || found.length !== 1) {
    throw new LabError(
      "LAB_BAD_FILE",
      `${file}: needs exactly one object, of kind Lab (podwire.dev/v1alpha1)`,
    );
  }
  const object = labs[0].object as unknown as LabObject;
  const listed = (object.spec?.manifests ?? []).map((name) => resolve(dirname(file), name));
  return { object, manifests: manifestFiles(listed) };
}

/** Files as they are, directories as the manifests in them, by name, as `kubectl apply -f DIR` takes them. */
export function manifestFiles(paths: string[]): string[] {
  return paths.flatMap((path) => {
    if (!existsSync(path)) throw new LabError("LAB_NO_FILE", `${path}: no such file`);
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .sort();
    if (files.length === 0) throw new LabError("LAB_NO_FILE", `${path}: no .yaml, .yml or .json file in it`);
    return files.map((name) => join(path, name));
  });
}
