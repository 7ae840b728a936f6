// The benchmark's programs. Those in C are built with the system compiler into build/bench when they are needed.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "./shell.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const PROGRAMS = ["packet-gen", "copy-loop", "round-trip", "wake-up"] as const;
export type Program = (typeof PROGRAMS)[number];

/** A program of ours as the product runs: in one file where it was bundled (scripts/bundle), else module by module. */
export function asInstalled(program: string, checkout = ROOT): string {
  const bundled = join(checkout, "build/bundle", program);
  return existsSync(bundled) ? bundled : join(checkout, "build/src", program);
}

/** Compiles all of those of the network; returns the path of each. */
export async function buildPrograms(): Promise<Record<Program, string>> {
  const built = {} as Record<Program, string>;
  for (const name of PROGRAMS) built[name] = await buildProgram(name);
  return built;
}

/** Compiles one; returns its path. */
export async function buildProgram(name: Program | "http-rate"): Promise<string> {
  const out = join(ROOT, "build", "bench");
  await mkdir(out, { recursive: true });
  const source = join(ROOT, "src", "bench", "native", `${name}.c`);
  await run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", join(out, name), source]);
  return join(out, name);
}
