// Pods held against what k8s.io/pod-security-admission finds in them (testdata of src/kube/pod-security), for the test
// and for the fuzzer.
import { evaluate } from "../kube/pod-security/evaluate.ts";
import type { PodShape } from "../kube/pod-security/finding.ts";
import { LATEST, type Level } from "../kube/pod-security/level.ts";

type Numbers = readonly number[];

/** A pod, and what is found in it. */
export interface CorpusPod {
  readonly pod: PodShape;
  /** [reason, detail]: each once. */
  readonly findings: readonly (readonly [string, string])[];
  /** Version → numbers of findings; a version that finds the same as the one before it is left out. */
  readonly baseline: Readonly<Record<string, Numbers>>;
  readonly restricted: Readonly<Record<string, Numbers>>;
}

export const LAST_MINOR = 38;
export const CELLS = 2 * (LAST_MINOR + 2);

export function differencesOf(entry: CorpusPod): string[] {
  return (["baseline", "restricted"] as const).flatMap((level) => {
    const found: string[] = [];
    let wanted: Numbers = [];
    for (let minor = 0; minor <= LAST_MINOR; minor++) {
      wanted = entry[level][`v1.${minor}`] ?? wanted;
      found.push(...differences(entry, level, minor, wanted));
    }
    return [...found, ...differences(entry, level, LATEST, entry[level].latest)];
  });
}

function differences({ pod, findings }: CorpusPod, level: Level, version: number, wanted: Numbers): string[] {
  const own = JSON.stringify(evaluate({ level, version }, pod).map(({ reason, detail }) => [reason, detail]));
  const theirs = JSON.stringify(wanted.map((number) => findings[number]));
  return own === theirs ? [] : [`${level} ${version}: ${own}, and not ${theirs}`];
}
