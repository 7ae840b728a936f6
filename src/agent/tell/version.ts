/** Which podwire this is, by its package. */
import { readFileSync } from "node:fs";

export const VERSION = readVersion();

function readVersion(): string {
  try {
    const text = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return "unknown"; // moved away from its package: no reason not to run
  }
}
