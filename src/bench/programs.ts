// The benchmark's programs. Those in C are built with the system compiler into build/bench when they are needed.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "./shell.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const PROGRAMS = ["packet-gen", "copy-loop", "round-trip", "wake-up"] as const;
export type Program = (typeof PROGRAMS)[number];

/** A program of ours as the product runs: in one file where it was bundled (scripts/bundle), else module by module. */
export function asInstalled(program: string): string {
  const bundled = join(ROOT, "build/bundle", program);
  return existsSync(bundled) ? bundled : join(ROOT, "build/src", program);
}

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
