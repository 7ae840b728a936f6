// What a container asks for and may take: ValidateContainerResourceRequirements (pkg/apis/core/validation).
import { type FieldPath, type FieldProblems, formatPath } from "../manifest/field-problems.ts";
import type { Container } from "../objects.ts";

const DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const NANO = 1_000_000_000n;

export function validateResources({ resources }: Container, at: FieldPath, problems: FieldProblems): void {
  const { limits = {}, requests = {} } = resources ?? {};
  const path = [...at, "resources"];
  for (const [list, quantities] of Object.entries({ limits, requests })) {
    for (const [name, quantity] of Object.entries(quantities)) {
      const where = [...path, list, name];
      const nanos = nanosOf(quantity);
      if (nanos < 0n) problems.invalid(where, quantity, "must be greater than or equal to 0");
      else if (isExtended(name) && nanos % NANO !== 0n)
        problems.invalid(where, quantity, "must be an integer");
    }
  }
  for (const [name, quantity] of Object.entries(requests)) {
    const limit = limits[name];
    const where = [...path, "requests"];
    if (limit === undefined) {
      if (!mayOvercommit(name))
        problems.invalid([...path, "limits"], "", "Limit must be set for non overcommitable resources");
      continue;
    }
    const [asked, most] = [nanosOf(quantity), nanosOf(limit)];
    const told = (words: string): void =>
      problems.add(
        [...where, name],
        `${formatPath(where)}: Invalid value: ${JSON.stringify(quantity)}: ${words} ${name} limit of ${limit}`,
      );
    if (!mayOvercommit(name) && asked !== most) told("must be equal to");
    else if (asked > most) told("must be less than or equal to");
  }
}

/** Of a vendor: "nvidia.com/gpu". */
function isExtended(name: string): boolean {
  return name.includes("/") && !/(^|\.)kubernetes\.io\//.test(name);
}

function mayOvercommit(name: string): boolean {
  return !isExtended(name) && !name.startsWith("hugepages-");
}

/** A quantity ("1.5Gi", "100m", "2e3") in billionths; smaller parts are rounded up, away from zero, as there. */
export function nanosOf(text: string): bigint {
  const [, sign, whole, part = "", suffix = ""] =
    /^([+-]?)(\d*)(?:\.(\d*))?((?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?)$/.exec(text) ?? [];
  const digits = BigInt(`${whole || "0"}${part}` || "0");
  const exponent = /^[eE][+-]?\d+$/.test(suffix)
    ? Number(suffix.slice(1))
    : 3 * (DECIMAL.indexOf(suffix) - 3);
  const binary = suffix.endsWith("i") ? 1024n ** BigInt(BINARY.indexOf(suffix)) : 1n;
  const shift = 9 + (suffix.endsWith("i") ? 0 : exponent) - part.length;
  const scaled = digits * binary;
  const nanos = shift >= 0 ? scaled * 10n ** BigInt(shift) : roundUp(scaled, 10n ** BigInt(-shift));
  return sign === "-" ? -nanos : nanos;
}

function roundUp(n: bigint, by: bigint): bigint {
  return (n + by - 1n) / by;
}
