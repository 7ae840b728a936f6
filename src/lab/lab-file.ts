// lab.yaml → Lab object and the manifests it names.
import { dirname, join, resolve } from "node:path";
import { checkConfiguration } from "../config/check.ts";
import { warningLines } from "../kube/fields/warnings.ts";
import { type ManifestText, parseManifests } from "../kube/manifest/manifest.ts";
import { descriptorOf, InputError, readInput, readManifestInputs } from "../watch/input.ts";
import { LabError } from "./errors.ts";
import { packageRoot } from "./preconditions.ts";
import { DEFAULT_LAB, type LabObject } from "./topology.ts";

export interface LabFile {
  object: LabObject;
  /** In the order in which they are applied. */
  manifests: ManifestText[];
  /** Whole lines about what the file says and no lab does. */
  notes: string[];
}

const DEMO = "src/lab/scenario/demo.yaml";

export function defaultLab(): LabFile {
  return { object: DEFAULT_LAB, manifests: manifestTexts([join(packageRoot(), DEMO)]), notes: [] };
}

/**
 * Reads and checks the file and what it names. Names in `manifests` are relative to it, or to the working directory where
 * the Lab object came through a pipe; they may be directories.
 */
export function readLabFile(file: string): LabFile {
  const { object, notes } = readOne(file);
  const base = descriptorOf(file) === undefined ? dirname(file) : ".";
  const listed = (object.spec?.manifests ?? []).map((name) => resolve(base, name));
  return { object, manifests: manifestTexts(listed), notes };
}

/** The Lab object alone. */
export function readLabObject(file: string): LabObject {
  return readOne(file).object;
}

function readOne(file: string): Pick<LabFile, "object" | "notes"> {
  const text = asLabError(() => readInput(file));
  const found = parseManifests([{ file, text }], { configuration: checkConfiguration });
  const labs = found.filter((each) => each.object.kind === "Lab");
  if (labs.length !== 1 || found.length !== 1) {
    throw new LabError(
      "LAB_BAD_FILE",
      `${file}: needs exactly one object, of kind Lab (podwire.dev/v1alpha1)`,
    );
  }
  return { object: labs[0].object as unknown as LabObject, notes: warningLines(labs, "lab") };
}

function manifestTexts(names: readonly string[]): ManifestText[] {
  return asLabError(() => readManifestInputs(names));
}

function asLabError<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new LabError("LAB_NO_FILE", cause.message, { cause, exitCode: cause.exitCode });
  }
}
