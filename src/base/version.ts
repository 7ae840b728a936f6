/** Which podwire this is, by its package: the nearest one of that name above this file, bundled or not. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const VERSION = readVersion();

function readVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Partial<Package>;
      if (found.name === "podwire" && found.version !== undefined) return found.version;
    } catch {
      // none here
    }
  }
  return "unknown"; // moved away from its package: no reason not to run
}

interface Package {
  readonly name: string;
  readonly version: string;
}
