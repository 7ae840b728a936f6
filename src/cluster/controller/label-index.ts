// Who selects whom, without asking everybody: objects by "key=value", and selectors by one of their pairs. A selector
// needs all of its pairs, so any one of them finds every candidate; the caller checks the rest.
import { type Labels, matchesLabels } from "../../kube/labels.ts";

interface Selector {
  readonly pair: string;
  readonly selector: Labels;
}

export class LabelIndex {
  readonly #labels = new Map<string, { namespace: string; labels: Labels }>();
  readonly #byPair = new Map<string, Set<string>>();
  readonly #selectors = new Map<string, Selector>();
  readonly #selectorsByPair = new Map<string, Set<string>>();

  /** Labels of an object; undefined takes it away. */
  setLabels(namespace: string, key: string, labels: Labels | undefined): void {
    const old = this.#labels.get(key);
    if (old !== undefined) {
      for (const pair of pairs(old.namespace, old.labels)) drop(this.#byPair, pair, key);
    }
    this.#labels.delete(key);
    if (labels === undefined) return;
    this.#labels.set(key, { namespace, labels });
    for (const pair of pairs(namespace, labels)) add(this.#byPair, pair, key);
  }

  /** A selector's owner; an empty or absent selector takes it away. */
  setSelector(namespace: string, key: string, selector: Labels | undefined): void {
    const old = this.#selectors.get(key);
    if (old !== undefined) drop(this.#selectorsByPair, old.pair, key);
    this.#selectors.delete(key);
    const [pair] = pairs(namespace, selector ?? {}).sort();
    if (pair === undefined) return;
    this.#selectors.set(key, { pair, selector: selector as Labels });
    add(this.#selectorsByPair, pair, key);
  }

  /** Owners of the selectors that match these labels. */
  selecting(namespace: string, labels: Labels | undefined): string[] {
    const found: string[] = [];
    for (const pair of pairs(namespace, labels ?? {})) {
      for (const key of this.#selectorsByPair.get(pair) ?? []) {
        if (matchesLabels(this.#selectors.get(key)?.selector, labels)) found.push(key);
      }
    }
    return found;
  }

  /** Objects that may match the selector, from the pair that fewest objects have. */
  matching(namespace: string, selector: Labels): Iterable<string> {
    let smallest: Set<string> | undefined;
    for (const pair of pairs(namespace, selector)) {
      const keys = this.#byPair.get(pair);
      if (keys === undefined) return [];
      if (smallest === undefined || keys.size < smallest.size) smallest = keys;
    }
    return smallest ?? [];
  }
}

function pairs(namespace: string, labels: Labels): string[] {
  return Object.entries(labels).map(([key, value]) => `${namespace}|${key}=${value}`);
}

function add(map: Map<string, Set<string>>, pair: string, key: string): void {
  const keys = map.get(pair);
  if (keys === undefined) map.set(pair, new Set([key]));
  else keys.add(key);
}

function drop(map: Map<string, Set<string>>, pair: string, key: string): void {
  const keys = map.get(pair);
  keys?.delete(key);
  if (keys?.size === 0) map.delete(pair);
}
