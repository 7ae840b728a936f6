// -f FILE: files, directories (the manifests in them) and "-" for standard input, as kubectl takes them.
import type { ManifestText } from "../../kube/manifest/manifest.ts";
import { type NamedInput, readInput, readManifestInputs, refuseTwice } from "../../watch/input.ts";
import { CliError, Exit } from "../errors.ts";

/** Texts of manifests, for a command that says what it did with each object. */
export function readAll(files: readonly string[], flag = "-f"): ManifestText[] {
  refuseTwice(named(flag, files));
  return readManifestInputs(files);
}

/**
 * Texts of manifests, for a command that answers from them. One that holds nothing at all would be answered from
 * too, as if there were no such objects: most likely a program that should have written them did not.
 */
export function readObjects(files: readonly string[], flag = "-f"): ManifestText[] {
  const texts = readManifestInputs(files);
  const empty = texts.find(({ file, text }) => files.includes(file) && /^\uFEFF?\s*$/.test(text));
  if (empty !== undefined) throw noObjects(flag, `${empty.file} is empty`);
  if (texts.length > 0 && !texts.some(({ text }) => CONTENT.test(text.replace(/^\uFEFF/, ""))))
    throw noObjects(flag, `no objects in ${files.join(", ")}`);
  return texts;
}

function noObjects(flag: string, why: string): CliError {
  return new CliError(`${flag}: ${why}: give manifests with at least one object`, Exit.FAILED, "NO_OBJECTS");
}

/** A line that is neither blank nor a comment, a mark between documents or a directive. */
const CONTENT = /^(?![^\S\n]*(?:#.*)?$)(?!(?:---|\.\.\.)[^\S\n]*(?:#.*)?$)(?!%)./m;

/** A file that holds one thing other than manifests: a configuration. */
export function readOne(file: string): ManifestText {
  return { file, text: readInput(file) };
}

/** The inputs of one flag, for `refuseTwice`. */
export function named(flag: string, names: string | readonly string[] | undefined): NamedInput[] {
  return [names ?? []].flat().map((name) => ({ flag, name }));
}

/** What a call says of namespaces: with -n all objects are of that one, and none may name another. */
export function namespaceBody(given: string | undefined): { namespace: string; isNamespaceFixed: boolean } {
  return { namespace: given ?? "default", isNamespaceFixed: given !== undefined };
}

/** Repeatable option. */
export function collect(value: string, list: string[] | undefined): string[] {
  return [...(list ?? []), value];
}
