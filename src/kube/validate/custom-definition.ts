// CustomResourceDefinitions: names that fit, and one version that is stored.
import type { CustomDefinition } from "../custom-definition.ts";
import type { FieldProblems } from "../manifest/field-problems.ts";
import { checkName, dns1035Label, dns1123Subdomain } from "./names.ts";

export function validateCustomDefinition(
  { metadata, spec }: Partial<CustomDefinition>,
  problems: FieldProblems,
): void {
  const { group = "", names, versions = [], scope } = spec ?? {};
  checkName(problems, ["spec", "group"], group, dns1123Subdomain);
  checkName(problems, ["spec", "names", "plural"], names?.plural, dns1035Label);
  if ((names?.kind ?? "") === "") problems.required(["spec", "names", "kind"]);
  problems.oneOf(["spec", "scope"], scope, ["Cluster", "Namespaced"]);
  const name = `${names?.plural}.${group}`;
  if (metadata?.name !== undefined && metadata.name !== name)
    problems.invalid(["metadata", "name"], metadata.name, 'must be spec.names.plural+"."+spec.group');
  if (!Array.isArray(versions)) {
    problems.invalidWhole(["spec", "versions"], "must be a list");
    return;
  }
  for (const [i, version] of versions.entries())
    checkName(problems, ["spec", "versions", i, "name"], version?.name, dns1035Label);
  const stored = versions.filter((version) => version?.storage === true).length;
  if (stored !== 1)
    problems.invalidWhole(["spec", "versions"], "must have exactly one version marked as storage version");
}
