// Reading JSON that somebody else wrote: what has the wrong type is refused by its key.
import { CniCode, CniError } from "./cni-error.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function invalid(key: string, why: string): CniError {
  return new CniError(CniCode.INVALID_CONFIG, `${key}: ${why}`);
}

/** A key that means something, and nothing here: it is refused rather than passed over. */
export function unsupported(key: string, value: unknown, instead: string): CniError {
  const message = `${key}: ${JSON.stringify(value)} is not supported: ${instead}`;
  return new CniError(CniCode.UNSUPPORTED_FIELD, message);
}

export function isMissing(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** An empty one where there is none: what Go leaves out and what it writes as null are the same. */
export function objectAt(value: unknown, key: string): Fields {
  if (isMissing(value)) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Fields;
  throw invalid(key, "must be an object");
}

export function listAt(value: unknown, key: string): readonly unknown[] {
  if (isMissing(value)) return [];
  if (Array.isArray(value)) return value;
  throw invalid(key, "must be a list");
}

export function textAt(value: unknown, key: string): string | undefined {
  if (isMissing(value)) return undefined;
  if (typeof value === "string") return value;
  throw invalid(key, "must be a string");
}

export function textsAt(value: unknown, key: string): string[] {
  return listAt(value, key).map((each, i) => textAt(each, `${key}[${i}]`) ?? "");
}

export function integerAt(value: unknown, key: string, min: number, max: number): number | undefined {
  if (isMissing(value)) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(key, `${JSON.stringify(value)} is no whole number of ${min} to ${max}`);
}

/** As Go reads keys: "HostPort" is "hostPort". */
export function lowerKeys(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key.toLowerCase(), value]));
}
