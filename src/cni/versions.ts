// Versions of the specification, and what of them an operation needs.
import { CniCode, CniError } from "./cni-error.ts";

/** Oldest first: a place in the list is how new a version is. */
const SUPPORTED: readonly string[] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

export function isAtLeast(version: string, other: "0.4.0" | "1.0.0" | "1.1.0"): boolean {
  return SUPPORTED.indexOf(version) >= SUPPORTED.indexOf(other);
}

/** What the answer is written in when the request does not tell. */
export const NEWEST = "1.1.0";

/** Refuses versions that nobody knows here, and operations that came later than the version. */
export function checkVersion(version: string, command: string): void {
  const fail = (why: string): never => {
    const message = `cniVersion ${version}: ${why}: use one of ${SUPPORTED.join(", ")}`;
    throw new CniError(CniCode.INCOMPATIBLE_VERSION, message);
  };
  if (!SUPPORTED.includes(version)) fail("not supported");
  if (command === "CHECK" && !isAtLeast(version, "0.4.0")) fail("has no CHECK, 0.4.0 has");
  if ((command === "GC" || command === "STATUS") && !isAtLeast(version, "1.1.0")) {
    fail(`has no ${command}, 1.1.0 has`);
  }
}
