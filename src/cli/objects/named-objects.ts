// The objects that a command is to work on: KIND NAME…, KIND/NAME…, KIND -l LABELS, KIND --all.

import { notFound } from "../../cluster/outcome.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import type { ApiResource } from "../api/discovery.ts";
import type { Followed } from "../api/watch-objects.ts";
import { usageError } from "../errors.ts";
import { type Target, wordTargets } from "../targets.ts";
import { fieldMatcher, labelMatcher } from "./get/selector.ts";

export interface ChoiceFlags {
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  all?: boolean;
}

export interface Named {
  readonly object: KubeObject;
  readonly resource: ApiResource;
}

export interface Chosen {
  objects: Named[];
  /** A line for each name that is not there. */
  missing: string[];
}

/** Checks what needs nobody to be asked. */
export function choiceOf(verb: string, words: readonly string[], flags: ChoiceFlags): Target[] {
  const [first, ...rest] = words;
  if (first === undefined) throw usageError(`${verb}: what? podwire ${verb} KIND NAME, or KIND/NAME`);
  const targets = wordTargets(verb, first, rest);
  const isNamed = targets.some(({ names }) => names.length > 0);
  const bySelector = flags.selector !== undefined || flags.fieldSelector !== undefined;
  if (isNamed && bySelector)
    throw usageError(`${verb}: name cannot be provided when a selector is specified`);
  if (isNamed && (flags.all === true || flags.allNamespaces === true))
    throw usageError(`${verb}: either names, or --all or -A, not both`);
  if (!isNamed && !bySelector && flags.all !== true)
    throw usageError(`${verb} ${first}: which one? podwire ${verb} ${first} NAME, -l LABELS or --all`);
  return targets;
}

export async function choose(
  api: ApiClient,
  targets: readonly Target[],
  flags: ChoiceFlags,
): Promise<Chosen> {
  const fits = [labelMatcher(flags.selector), fieldMatcher(flags.fieldSelector)];
  const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
  const objects: Named[] = [];
  const missing: string[] = [];
  for (const { word, names, optional } of targets) {
    const resource = await api.resource(word).catch((error: { code?: string }) => {
      if (optional && error.code === "UNKNOWN_KIND") return undefined;
      throw error;
    });
    if (resource === undefined) continue;
    if (names.length === 0) {
      const { items } = await api.list({ resource, namespace });
      const fitting = items.filter((each) => fits.every((test) => test(each)));
      objects.push(...fitting.map((object) => ({ object, resource })));
    }
    for (const name of names) {
      const object = await api.find({ resource, namespace, name });
      if (object === undefined) missing.push(notFound(resource, name));
      else objects.push({ object, resource });
    }
  }
  return { objects, missing };
}

/** Where an object is, for calls about it. */
export function placeOf({ object, resource }: Named) {
  const { namespace, name } = object.metadata;
  return { resource, namespace, name };
}

/** What to follow to hear of all of them. */
export function followedBy(objects: readonly Named[]): Followed[] {
  const all = objects.map(({ object, resource }) => ({ resource, namespace: object.metadata.namespace }));
  const key = ({ resource: { apiVersion, plural }, namespace = "" }: Followed): string =>
    `${apiVersion}/${plural}/${namespace}`;
  return [...new Map(all.map((each) => [key(each), each])).values()];
}
