// Labels, and selectors over them, from a vocabulary so small that they often meet.
import type { LabelSelector } from "kubernetes-types/meta/v1.js";
import type { Prng } from "../prng.ts";

export const POD_KEYS = ["app", "tier", "release"];
export const NAMESPACE_KEYS = ["team", "env"];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  app: ["web", "api", "db"],
  tier: ["front", "back"],
  release: ["stable", "canary", ""],
  team: ["red", "green", "blue"],
  env: ["prod", "test"],
};
const NAME = "kubernetes.io/metadata.name";

export function randomLabels(random: Prng, keys: readonly string[]): Record<string, string> {
  const present = keys.filter(() => random.below(4) > 0);
  return Object.fromEntries(present.map((key) => [key, random.pick(VALUES[key])]));
}

/** Over the labels of pods; now and then the empty one, which means all. */
export function podSelector(random: Prng): LabelSelector {
  return selector(random, POD_KEYS);
}

/** Over the labels of namespaces, among them the name that every one has. */
export function namespaceSelector(random: Prng, names: readonly string[]): LabelSelector {
  if (random.below(3) > 0) return selector(random, NAMESPACE_KEYS);
  if (random.below(2) === 0) return { matchLabels: { [NAME]: random.pick(names) } };
  const operator = random.pick(["In", "NotIn"]);
  return { matchExpressions: [{ key: NAME, operator, values: some(random, names) }] };
}

function selector(random: Prng, keys: readonly string[]): LabelSelector {
  const made: LabelSelector = {};
  if (random.below(2) === 0) {
    const key = random.pick(keys);
    made.matchLabels = { [key]: random.pick(VALUES[key]) };
  }
  if (random.below(2) === 0) {
    made.matchExpressions = Array.from({ length: 1 + random.below(2) }, () => expression(random, keys));
  }
  return made;
}

function expression(
  random: Prng,
  keys: readonly string[],
): NonNullable<LabelSelector["matchExpressions"]>[number] {
  const key = random.pick(keys);
  const operator = random.pick(["In", "NotIn", "Exists", "DoesNotExist"]);
  return operator === "In" || operator === "NotIn"
    ? { key, operator, values: some(random, VALUES[key]) }
    : { key, operator };
}

/** One or more of them, each once. */
export function some<T>(random: Prng, values: readonly T[]): T[] {
  const picked = values.filter(() => random.below(2) === 0);
  return picked.length > 0 ? picked : [random.pick(values)];
}
