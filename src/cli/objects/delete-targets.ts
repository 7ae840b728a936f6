// What `podwire delete` is asked to delete: by manifest, by kind and name, by labels, or all of a kind.
import type { ApiClient } from "../api/api-client.ts";
import type { ApiResource } from "../api/discovery.ts";
import { usageError } from "../errors.ts";
import { fieldMatcher, labelMatcher } from "./get/selector.ts";

export interface TargetFlags {
  filename?: string[];
  namespace?: string;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  all?: boolean;
  ignoreNotFound?: boolean;
}

/** Names of one kind in one namespace. */
export interface Target {
  kind: string;
  namespace: string;
  names: string[];
}

/** One object that is to go. */
export interface Doomed {
  resource: ApiResource;
  namespace: string | undefined;
  name: string;
  /** The manifest that names it. */
  file?: string;
}

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
    return { targets: [], kinds: [] };
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

/** The objects that names mean. */
export async function namedObjects(api: ApiClient, targets: readonly Target[]): Promise<Doomed[]> {
  const found: Doomed[] = [];
  for (const { kind, namespace, names } of targets) {
    const resource = await api.resource(kind);
    const where = resource.namespaced ? namespace : undefined;
    found.push(...names.map((name) => ({ resource, namespace: where, name })));
  }
  return found;
}

/** The objects of these kinds that fit. */
export async function fittingObjects(
  api: ApiClient,
  kinds: readonly string[],
  flags: TargetFlags,
): Promise<Doomed[]> {
  const fits = [labelMatcher(flags.selector), fieldMatcher(flags.fieldSelector)];
  const namespace = flags.allNamespaces === true ? undefined : (flags.namespace ?? "default");
  const found: Doomed[] = [];
  for (const word of kinds) {
    const resource = await api.resource(word);
    const { items } = await api.list({ resource, namespace });
    const fitting = items.filter((each) => fits.every((test) => test(each)));
    found.push(
      ...fitting.map(({ metadata }) => ({ resource, namespace: metadata.namespace, name: metadata.name })),
    );
  }
  return found;
}
