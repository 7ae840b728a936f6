// What `podwire delete` is asked to delete: by manifest, by kind and name, by labels, or all of a kind.
import { usageError } from "../errors.ts";
import type { RunningLab } from "../running-lab.ts";
import { fieldMatcher, labelMatcher } from "./get/selector.ts";
import { readAll } from "./manifests.ts";
import { listObjects } from "./workload.ts";

export interface TargetFlags {
  filename?: string[];
  namespace?: string;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  all?: boolean;
  ignoreNotFound?: boolean;
}

/** One call to the lab: manifests, or names of one kind in one namespace. */
export type Target =
  | { manifests: ReturnType<typeof readAll> }
  | { kind: string; namespace: string; names: string[] };

/** Those of names, or those that are found: checked before anything is asked for. */
export interface Wanted {
  targets: Target[];
  /** Kinds of which what fits is deleted. */
  kinds: string[];
}

export function wantedOf(words: string[], flags: TargetFlags): Wanted {
  const bySelector = flags.selector !== undefined || flags.fieldSelector !== undefined;
  const { filename, namespace = "default" } = flags;
  if (filename !== undefined) {
    if (words.length > 0) throw usageError("delete: either -f FILE or KIND NAME, not both");
    if (bySelector || flags.all === true)
      throw usageError(
        "delete: with -f the manifests say what is deleted: leave -l, --field-selector, --all out",
      );
    return { targets: [{ manifests: readAll(filename) }], kinds: [] };
  }
  if (words.length === 0)
    throw usageError("delete: what? podwire delete -f FILE, or podwire delete KIND NAME");
  const targets = words.some((word) => word.includes("/"))
    ? pairsOf(words, namespace)
    : namesOf(words, namespace);
  if (targets.length === 0) {
    if (!bySelector && flags.all !== true)
      throw usageError(`delete ${words[0]}: which one? podwire delete ${words[0]} NAME, -l LABELS or --all`);
    if (bySelector && flags.all === true) throw usageError("delete: either -l LABELS or --all, not both");
    return { targets, kinds: words[0].split(",").map(nonEmpty) };
  }
  if (bySelector) throw usageError("delete: name cannot be provided when a selector is specified");
  if (flags.all === true) throw usageError("delete: either names or --all, not both");
  if (flags.allNamespaces === true) throw usageError("delete: a name belongs to one namespace: -n, not -A");
  return { targets, kinds: [] };
}

function pairsOf(words: string[], namespace: string): Target[] {
  return words.map((word) => {
    const [kind, name, more] = word.split("/");
    if (!kind || !name || more !== undefined) throw usageError(`delete ${word}: write KIND/NAME for each`);
    return { kind, namespace, names: [name] };
  });
}

function namesOf([kinds, ...names]: string[], namespace: string): Target[] {
  return names.length === 0
    ? []
    : kinds.split(",").map((kind) => ({ kind: nonEmpty(kind), namespace, names }));
}

function nonEmpty(word: string): string {
  if (word === "") throw usageError("delete: a kind is missing");
  return word;
}

/** The objects of these kinds that fit, a target a kind and namespace. */
export async function findTargets(lab: RunningLab, kinds: string[], flags: TargetFlags): Promise<Target[]> {
  const fits = [labelMatcher(flags.selector), fieldMatcher(flags.fieldSelector)];
  const targets: Target[] = [];
  for (const word of kinds) {
    const namespace = flags.allNamespaces === true ? undefined : (flags.namespace ?? "default");
    const { kind, items } = await listObjects(lab, word, namespace);
    const byNamespace = new Map<string, string[]>();
    for (const object of items.filter((each) => fits.every((test) => test(each)))) {
      const where = object.metadata.namespace ?? "";
      byNamespace.set(where, [...(byNamespace.get(where) ?? []), object.metadata.name]);
    }
    for (const [where, names] of byNamespace)
      targets.push({ kind: kind.toLowerCase(), namespace: where, names });
  }
  return targets;
}
