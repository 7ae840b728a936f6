// -f FILE: files, directories (the manifests in them) and "-" for standard input, as kubectl takes them.
import { readFileSync } from "node:fs";
import { manifestFiles } from "../lab/lab-file.ts";
import { readManifests } from "../lab/up.ts";
import { usageError } from "./errors.ts";

export interface ManifestText {
  file: string;
  text: string;
}

export function readAll(files: string[]): ManifestText[] {
  if (files.filter((file) => file === "-").length > 1)
    throw usageError("-f -: standard input can be read only once");
  return files.flatMap((file) =>
    file === "-" ? [{ file: "-", text: readFileSync(0, "utf8") }] : readManifests(manifestFiles([file])),
  );
}

/** Repeatable option. */
export function collect(value: string, list: string[] | undefined): string[] {
  return [...(list ?? []), value];
}
