// The C programs of the benchmark: built with the system compiler into build/bench when they are needed.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "./shell.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const PROGRAMS = ["packet-gen", "copy-loop", "round-trip", "wake-up"] as const;
export type Program = (typeof PROGRAMS)[number];

/** Compiles all of them; returns the path of each. */
export async function buildPrograms(): Promise<Record<Program, string>> {
  const out = join(ROOT, "build", "bench");
  await mkdir(out, { recursive: true });
  const built = {} as Record<Program, string>;
  for (const name of PROGRAMS) {
    built[name] = join(out, name);
    const source = join(ROOT, "src", "bench", "native", `${name}.c`);
    await run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", built[name], source]);
  }
  return built;
}
