// The objects that a command is to work on: KIND NAME…, KIND/NAME…, KIND -l LABELS, KIND --all.

import { notFound } from "../../cluster/outcome.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { usageError } from "../errors.ts";
import type { RunningLab } from "../running-lab.ts";
import { type Target, wordTargets } from "../targets.ts";
import { fieldMatcher, labelMatcher } from "./get/selector.ts";
import { listObjects } from "./workload.ts";

export interface ChoiceFlags {
  namespace: string;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  all?: boolean;
}

export interface Chosen {
  objects: KubeObject[];
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
  lab: RunningLab,
  targets: readonly Target[],
  flags: ChoiceFlags,
): Promise<Chosen> {
  const fits = [labelMatcher(flags.selector), fieldMatcher(flags.fieldSelector)];
  const namespace = flags.allNamespaces === true ? undefined : flags.namespace;
  const objects: KubeObject[] = [];
  const missing: string[] = [];
  for (const { word, names, optional } of targets) {
    const list = await listObjects(lab, word, namespace).catch((error: { code?: string }) => {
      if (optional && error.code === "UNKNOWN_KIND") return undefined;
      throw error;
    });
    if (list === undefined) continue;
    if (names.length === 0) objects.push(...list.items.filter((each) => fits.every((test) => test(each))));
    for (const name of names) {
      const object = list.items.find((each) => each.metadata.name === name);
      if (object === undefined) missing.push(notFound(list, name));
      else objects.push(object);
    }
  }
  return { objects, missing };
}
