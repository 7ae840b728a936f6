/**
 * A pod's resolver goes through its search domains, a query each (ndots:5). Where the first of them was asked for, the
 * server can go through the rest itself, as CoreDNS' autopath does.
 */
import { fits, labelsBefore, splitName } from "./name.ts";
import { Type } from "./query.ts";

interface SearchOptions {
  readonly zone: string;
  /** What the pod's resolver goes through after the cluster's domains. */
  readonly search: readonly string[];
  /** The asking pod's. */
  namespace(): string | undefined;
}

/** The names that the pod would ask for next; none: it is no pod's first query. */
export function searchedNames(
  labels: readonly string[],
  type: number,
  { zone, search, namespace }: SearchOptions,
): string[][] {
  if (type !== Type.A && type !== Type.AAAA) return [];
  const services = ["svc", ...splitName(zone)];
  const before = labelsBefore(labels, services);
  if (before < 2 || labels[before - 1] !== namespace()) return [];
  const name = labels.slice(0, before - 1);
  const domains = [services, splitName(zone), ...search.map(splitName), []];
  return domains.map((domain) => [...name, ...domain]).filter(fits);
}
