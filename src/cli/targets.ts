// Which objects a command line names: KIND NAME…, KIND/NAME…, KIND,KIND…, "all", or the manifests of -f.
import { parseManifests } from "../kube/manifest/manifest.ts";
import { PassedOver } from "../kube/passed-over.ts";
import { note } from "./context.ts";
import { CliError, usageError } from "./errors.ts";
import { readAll } from "./objects/manifests.ts";

export interface Target {
  word: string;
  names: string[];
  /** Of an object that a manifest names. */
  namespace?: string | undefined;
  /** Kinds that this lab may not know. */
  optional: boolean;
}

/** kubectl's "all", as far as these kinds are here, in its order. */
const ALL = "pods,replicationcontrollers,services,daemonsets,deployments,replicasets,statefulsets,jobs".split(
  ",",
);

export function wordTargets(verb: string, kinds: string, names: string[]): Target[] {
  const words = [kinds, ...names];
  if (words.some((word) => word.includes("/"))) {
    return words.map((word) => {
      const [kind, name, more] = word.split("/");
      if (!kind || !name || more !== undefined) throw usageError(`${verb} ${word}: write KIND/NAME for each`);
      return { word: kind, names: [name], optional: false };
    });
  }
  return kinds.split(",").flatMap((word): Target[] => {
    if (word === "") throw usageError(`${verb} ${kinds}: a kind is missing`);
    if (word !== "all") return [{ word, names, optional: false }];
    return ALL.map((each) => ({ word: each, names, optional: true }));
  });
}

/** The objects that manifests name; their fields do not matter. */
export function manifestTargets(
  verb: string,
  files: readonly string[],
  onlyNamespace: string | undefined,
): Target[] {
  const passed = new PassedOver();
  const options = { namespace: onlyNamespace ?? "default", onlyNamespace, passed, carries: true };
  const manifests = parseManifests(readAll(files), options);
  for (const line of passed.notes()) note(line);
  if (manifests.length === 0) throw new CliError(`${verb}: no objects in ${files.join(", ")}`);
  return manifests.map(({ info, object: { metadata } }) => {
    return { word: info.plural, names: [metadata.name], namespace: metadata.namespace, optional: false };
  });
}
