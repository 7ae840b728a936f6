// ServiceCIDR, as ValidateServiceCIDR (pkg/apis/networking/validation) refuses it: younger than the other kinds, it takes
// ranges in their standard form alone.
import { parseCidr } from "../../base/ip.ts";
import type { FieldProblems } from "../manifest/field-problems.ts";
import type { ServiceCidr } from "../objects.ts";
import * as names from "./names.ts";

const RANGES_MAX = 2; // one of each family

export function validateServiceCidr(object: ServiceCidr, problems: FieldProblems): void {
  const path = ["spec", "cidrs"];
  const cidrs = object.spec?.cidrs ?? [];
  if (cidrs.length === 0) problems.required(path, "at least one CIDR required");
  if (cidrs.length > RANGES_MAX) problems.tooMany(path, cidrs.length, RANGES_MAX);
  const valid = cidrs.map((text, i) => names.checkStandardCidr(problems, [...path, i], text));
  const families = cidrs.map((text) => parseCidr(text)?.family);
  if (valid.every(Boolean) && new Set(families).size < families.length) {
    problems.invalid(
      path,
      cidrs,
      "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
    );
  }
}
